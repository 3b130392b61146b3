"""Chat completions with the official SDKs: what comes back, and what the books say of it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import openai
import pytest

from harness import EMBEDDING_PRICE, PRICE, Gateway, Json, Mock, Tenant
from sdk import Sdk

MESSAGES = [{"role": "user", "content": "How much is the toll?"}]
#: What the mock says in 16 tokens.
WORDS = "The keeper at the gate counts each token, takes the fare and lets it."


def ask(model: str = "sim", **params: Any) -> Json:
    return {"model": model, "messages": MESSAGES} | params


def check_row(row: Json, truth: Json, tenant: Tenant, **expected: Any) -> None:
    """A row of a call that went well says what the provider would bill, at the route's price."""
    expected = {
        "request_id": truth["request_id"],
        "attempt": 1,
        "org": tenant.org,
        "project": tenant.project,
        "key": tenant.key_id,
        "provider": "mock",
        "environment": "dev",
        "input_tokens": truth["prompt_tokens"],
        "cached_tokens": truth["cached_tokens"],
        "output_tokens": truth["completion_tokens"],
        "reasoning_tokens": truth["reasoning_tokens"],
        "status": "succeeded",
        "reason": "complete",
        "estimated": False,
        "http_status": 200,
    } | expected
    assert {name: row[name] for name in expected} == expected
    assert Decimal(row["cost"]) == PRICE.of_truth(truth)


@pytest.mark.parametrize(
    ("model", "params", "choices", "tokens"),
    [
        ("sim", {}, 1, 16),
        ("vendor/sim", {}, 1, 16),
        ("sim", {"n": 3}, 3, 48),
        ("sim?out=5", {}, 1, 5),
        ("sim", {"max_tokens": 7}, 1, 7),
        ("sim", {"max_completion_tokens": 9, "n": 2}, 2, 18),
        ("sim?cached=50;reasoning=4;out=20", {}, 1, 20),
        ("sim?split=3", {"user": "somebody"}, 1, 16),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_is_answered_and_booked(
    sdk: Sdk, mock: Mock, tenant: Tenant, model: str, params: Json, choices: int, tokens: int, streamed: bool
) -> None:
    options = {"stream_options": {"include_usage": True}} if streamed else {}
    called = sdk.call(tenant, "stream" if streamed else "chat", params=ask(model, **params, **options))
    assert called.error is None and called.request_id
    assert len(called.texts) == choices and all(text.startswith(WORDS[:10]) for text in called.texts)
    truth = mock.truth_of(called.request_id)
    assert called.usage and called.usage["completion_tokens"] == truth["completion_tokens"] == tokens
    assert called.usage["prompt_tokens"] == truth["prompt_tokens"]
    target = "mock/sim-small" + model.removeprefix("vendor/").removeprefix("sim")
    row = tenant.settled_one()
    check_row(row, truth, tenant, model=model, target=target, streamed=streamed, user=params.get("user"))


@pytest.mark.parametrize("split", ["", "?split=1", "?split=7;chunk=5", "?chunk=16", "?tps=400"])
@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {}}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_obfuscation": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
        ({"stream_options": {"include_obfuscation": False, "include_usage": True}}, True),
    ],
)
def test_usage_of_a_stream_comes_if_asked_for(tenant: Tenant, split: str, options: Json, asked: bool) -> None:
    answer = tenant.post("/chat/completions", ask("sim" + split, stream=True, **options))
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""], "the stream is whole"
    events = [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]
    told = [event for event in events if not event["choices"]]
    assert len(told) == asked and sum(bool(event.get("usage")) for event in events) == asked
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"]) == WORDS
    assert events[-1 - asked]["choices"][0]["finish_reason"] == "stop"
    row = tenant.settled_one()
    assert (row["output_tokens"], row["estimated"]) == (16, False), "metered all the same"


@pytest.mark.parametrize("asked", [False, True])
def test_sdks_see_usage_only_if_asked_for(sdk: Sdk, tenant: Tenant, asked: bool) -> None:
    options: Json = {"stream_options": {"include_usage": True}} if asked else {}
    called = sdk.call(tenant, "stream", params=ask(**options))
    assert called.texts == [WORDS] and called.error is None
    assert (called.empty_choices, called.usage is not None) == (asked, asked)


@pytest.mark.parametrize(
    ("params", "headers", "expected"),
    [
        ({"user": "u-1"}, {}, {"user": "u-1", "feature": None, "run": None}),
        ({"safety_identifier": "s-1"}, {}, {"user": "s-1"}),
        (
            {"metadata": {"user": "m-1", "feature": "search", "run": "r-1"}},
            {},
            {"user": "m-1", "feature": "search", "run": "r-1"},
        ),
        (
            {"user": "u-1", "metadata": {"feature": "search"}},
            {"x-tollkeeper-user": "h-1", "x-tollkeeper-feature": "summary", "x-tollkeeper-run": "run 7"},
            {"user": "h-1", "feature": "summary", "run": "run 7"},
        ),
        ({"user": "é" * 100}, {}, {"user": "é" * 64}),
    ],
)
def test_rows_say_for_whom_and_for_what(
    sdk: Sdk, gateway: Gateway, params: Json, headers: Json, expected: Json
) -> None:
    tenant = gateway.tenant(environment="prod")
    assert sdk.call(tenant, "chat", params=ask(**params), headers=headers).error is None
    row = tenant.settled_one()
    assert {name: row[name] for name in expected} == expected
    assert row["environment"] == "prod"


def test_the_answer_says_what_it_cost(tenant: Tenant) -> None:
    answer = tenant.post("/chat/completions", ask())
    row = tenant.settled_one()
    assert answer.headers["x-tollkeeper-cost"] == row["cost"]
    assert answer.headers["x-request-id"] == row["request_id"]


def test_a_free_model_costs_nothing(tenant: Tenant) -> None:
    assert tenant.client().chat.completions.create(**ask("free")).usage
    row = tenant.settled_one()
    assert Decimal(row["cost"]) == 0 and row["output_tokens"] == 16


def test_the_streaming_helper(tenant: Tenant) -> None:
    with tenant.client().chat.completions.stream(**ask("sim?split=9")) as stream:
        kinds = {event.type for event in stream}
        assert stream.get_final_completion().choices[0].message.content == WORDS
    assert {"chunk", "content.delta", "content.done"} <= kinds
    tenant.settled_one()


def test_the_asynchronous_client(tenant: Tenant) -> None:
    async def stream(client: openai.AsyncOpenAI) -> str:
        events = await client.chat.completions.create(**ask("sim?tps=400"), stream=True)
        return "".join([event.choices[0].delta.content or "" async for event in events])

    async def all_at_once() -> list[str]:
        async with openai.AsyncOpenAI(base_url=tenant.gateway.base_url, api_key=tenant.secret) as client:
            answers = [client.chat.completions.create(**ask()) for _ in range(8)]
            whole = [answer.choices[0].message.content or "" for answer in await asyncio.gather(*answers)]
            return whole + await asyncio.gather(*(stream(client) for _ in range(8)))

    assert asyncio.run(all_at_once()) == [WORDS] * 16
    rows = tenant.settled(16)
    assert len({row["request_id"] for row in rows}) == 16
    assert sum(row["streamed"] for row in rows) == 8


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
@pytest.mark.parametrize("given", ["a text", ["two", "texts and more"], [464, 25960], [[464], [25960, 13]]])
def test_embeddings(sdk: Sdk, mock: Mock, tenant: Tenant, encoding: str | None, given: Any) -> None:
    params: Json = {"model": "embed", "input": given, "dimensions": 4}
    params |= {"encoding_format": encoding} if encoding else {}
    called = sdk.call(tenant, "embed", params=params)
    assert called.error is None and called.answer
    direct = mock.direct().embeddings.create(**params | {"model": "sim-embedding"})
    found = [item["embedding"] for item in called.answer["data"]]
    assert found == [item.embedding for item in direct.data], "base64 by default, floats if asked for"
    row = tenant.settled_one()
    assert called.usage and row["input_tokens"] == called.usage["prompt_tokens"] == direct.usage.prompt_tokens
    assert (row["output_tokens"], row["target"], row["status"]) == (0, "mock/sim-embedding", "succeeded")
    assert Decimal(row["cost"]) == EMBEDDING_PRICE.cost(row["input_tokens"], 0)


def test_models(sdk: Sdk, tenant: Tenant) -> None:
    listed = sdk.call(tenant, "models").answer
    assert {"sim", "vendor/sim", "embed"} <= set(listed) and not any("*" in name for name in listed)
    for name in ["sim", "vendor/sim", "sim?out=3"]:
        model = sdk.call(tenant, "model", params={"id": name}).answer
        assert (model["id"], model["object"], model["owned_by"]) == (name, "model", "mock")
    missing = sdk.call(tenant, "model", params={"id": "vendor/none"}).error
    assert missing and (missing.name, missing.code) == ("NotFoundError", "model_not_found")
