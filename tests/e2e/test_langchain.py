"""LangChain, unmodified, against the gateway: its models of OpenAI's and of Anthropic's make, each called at
providers of both dialects."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from harness import CLAUDE_PRICE, EMBEDDING_PRICE, PATIENCE, PRICE, Gateway, Mock, Price, Tenant, unlike
from other_clients import WHOLE, WORDS, check_paid, png
from sdk import Said


@tool
def toll(text: str) -> str:
    """Says what the toll is."""
    return f"{text}: 3"


@tool
def greet(text: str) -> str:
    """Greets somebody."""
    return f"hello {text}"


TOOLS = [toll, greet]


@dataclass(frozen=True)
class Maker:
    """One of LangChain's models."""

    name: str

    def __call__(self, tenant: Tenant, model: str, **options: Any) -> BaseChatModel:
        options = {"model": model, "timeout": PATIENCE, "max_retries": 0, "api_key": tenant.secret} | options
        if self.name == "anthropic":
            return ChatAnthropic(base_url=tenant.gateway.url, max_tokens=2_000, **options)
        if self.name == "responses":
            options["use_responses_api"] = True
        return ChatOpenAI(base_url=tenant.gateway.base_url, stream_usage=True, **options)


#: LangChain's model, the gateway's route and its price: a provider of the model's own dialect, and one of another.
CALLS = [
    (Maker("openai"), "sim", PRICE),
    (Maker("openai"), "claude", CLAUDE_PRICE),
    (Maker("responses"), "sim", PRICE),
    (Maker("responses"), "claude", CLAUDE_PRICE),
    (Maker("responses"), "old", PRICE),
    (Maker("anthropic"), "claude", CLAUDE_PRICE),
    (Maker("anthropic"), "old", PRICE),
]
TALK: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("How much is the toll?")]

#: LangChain keeps its connections for all of its models, and they belong to the loop that opened them.
LOOP = asyncio.new_event_loop()

every_call = pytest.mark.parametrize(
    ("maker", "model", "price"), CALLS, ids=[f"{maker.name}-{model}" for maker, model, _ in CALLS]
)


def check_usage(message: AIMessage, row: dict[str, Any]) -> None:
    """LangChain counts what the bill counts."""
    usage = message.usage_metadata
    assert usage and (usage["input_tokens"], usage["output_tokens"]) == (row["input_tokens"], row["output_tokens"])
    assert usage.get("input_token_details", {}).get("cache_read", 0) == row["cached_tokens"]


@every_call
def test_a_question_is_answered(tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price) -> None:
    answer = maker(tenant, model + "?in=1000;cached=40;out=16").invoke(TALK)
    assert answer.text == WHOLE
    [row] = check_paid(tenant, mock, price)
    check_usage(answer, row)


@every_call
@pytest.mark.parametrize("is_async", [False, True])
def test_an_answer_is_streamed_with_its_usage(
    tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price, is_async: bool
) -> None:
    llm = maker(tenant, model + "?in=1000;cached=40;out=16;split=7")

    async def collect() -> list[AIMessageChunk]:
        return [chunk async for chunk in llm.astream(TALK)]

    chunks = LOOP.run_until_complete(collect()) if is_async else list(llm.stream(TALK))
    assert len(chunks) > 10, "piece by piece"
    answer = sum(chunks[1:], chunks[0])
    assert answer.text == WHOLE
    [row] = check_paid(tenant, mock, price)
    assert row["streamed"]
    # Anthropic's last event need not tell the input, and LangChain looks nowhere else.
    if (maker.name, model) != ("anthropic", "claude"):
        check_usage(answer, row)


@every_call
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_at_once_and_told_back(
    tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price, streamed: bool
) -> None:
    llm = maker(tenant, model + "?calls=2").bind_tools(TOOLS)

    def ask(talk: list[BaseMessage]) -> AIMessage:
        if not streamed:
            return llm.invoke(talk)
        chunks = list(llm.stream(talk))
        return sum(chunks[1:], chunks[0])

    asked = ask(TALK)
    assert [call["name"] for call in asked.tool_calls] == ["toll", "greet"], asked
    assert asked.tool_calls[0]["args"]["text"].startswith(WORDS)
    by_name = {tool.name: tool for tool in TOOLS}
    results = [by_name[call["name"]].invoke(call) for call in asked.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    answer = ask([*TALK, asked, *results])
    assert answer.text == WHOLE and not answer.tool_calls
    check_paid(tenant, mock, price, 2)


@every_call
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_answer_has_the_shape_that_is_asked_for(
    tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price, method: str
) -> None:
    answer = maker(tenant, model).with_structured_output(Said, method=method).invoke(TALK)
    assert isinstance(answer, Said) and answer.text == WHOLE
    check_paid(tenant, mock, price)


@every_call
def test_an_image_is_shown(tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price) -> None:
    shown = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "base64": png(), "mime_type": "image/png"},
    ]
    assert maker(tenant, model).invoke([HumanMessage(shown)]).text == WHOLE
    check_paid(tenant, mock, price)


def test_texts_are_embedded(tenant: Tenant, mock: Mock) -> None:
    embeddings = OpenAIEmbeddings(
        model="embed",
        base_url=tenant.gateway.base_url,
        api_key=tenant.secret,
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    vectors = embeddings.embed_documents(["toll", "gate", "toll"])
    assert vectors[0] == vectors[2] != vectors[1]
    check_paid(tenant, mock, EMBEDDING_PRICE)


#: The route with its fault, and what an application catches: class and status.
ERRORS = [
    ("nobody", "NotFoundError", 404),
    ("{}?fault=400", "BadRequestError", 400),
    ("{}?fault=429;retry_after=7", "RateLimitError", 429),
    ("{}?fault=500", "InternalServerError", 502),
]


@every_call
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_have_the_sdks_own_classes(
    tenant: Tenant, maker: Maker, model: str, price: Price, streamed: bool
) -> None:
    sdk = anthropic if maker.name == "anthropic" else openai
    for asked, name, status in ERRORS:
        llm = maker(tenant, asked.format(model))
        with pytest.raises(getattr(sdk, name)) as caught:
            list(llm.stream(TALK)) if streamed else llm.invoke(TALK)
        assert caught.value.status_code == status
        assert caught.value.response.headers.get("retry-after") == ("7" if status == 429 else None)


@pytest.mark.parametrize("maker", [Maker("openai"), Maker("responses"), Maker("anthropic")], ids=lambda maker: maker.name)
def test_refusals_have_the_sdks_own_classes(gateway: Gateway, mock: Mock, maker: Maker) -> None:
    poor = gateway.tenant(granted="0")
    sdk, broke, status = openai, "RateLimitError", 429
    if maker.name == "anthropic":
        sdk, broke, status = anthropic, "PaymentRequiredError", 402
    before = gateway.metric("tollkeeper_requests_total", outcome="billing")
    with pytest.raises(getattr(sdk, broke)) as caught:
        maker(poor, "claude", max_retries=2).invoke(TALK)
    assert caught.value.status_code == status
    assert gateway.metric("tollkeeper_requests_total", outcome="billing") - before == 1, "not tried again"
    stranger = Tenant(gateway, poor.org, poor.project, poor.key_id, unlike(poor.secret))
    with pytest.raises(sdk.AuthenticationError):
        maker(stranger, "claude").invoke(TALK)
    assert poor.rows() == []


@every_call
def test_a_stream_that_breaks_raises(tenant: Tenant, maker: Maker, model: str, price: Price) -> None:
    # Of a response that failed LangChain makes a ValueError.
    with pytest.raises((openai.APIError, anthropic.APIError, ValueError), match="Overloaded|server"):
        list(maker(tenant, model + "?out=40;fault=error_mid").stream(TALK))
    row = tenant.settled_one()
    assert row["status"] == "failed" and row["output_tokens"] == 20
