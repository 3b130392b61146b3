"""LiteLLM as a client, unmodified, against the gateway: its providers `openai`, `anthropic` and `openrouter`, each
called at providers of both dialects. It has an environment of its own, which `cargo xtask test --only e2e` makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from harness import CLAUDE_PRICE, EMBEDDING_PRICE, HERE, PATIENCE, PRICE, Gateway, Json, Mock, Price, Tenant, environment, unlike
from other_clients import WHOLE, WORDS, check_paid, png

#: Beside the environment of the tests, or where a variable says it is.
PYTHON = Path(os.environ.get("TOLLKEEPER_LITELLM", Path(sys.prefix).parent / "litellm/bin/python"))
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"LiteLLM is not installed at {PYTHON}: run `cargo xtask test --only e2e`"
)


class LiteLlm:
    """One process that performs calls line by line."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [PYTHON, HERE / "litellm/client.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment(),
        )

    def call(self, op: str, **params: Any) -> Json:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"op": op, "params": params}) + "\n")
        outcome: Json = json.loads(self.process.stdout.readline())
        return outcome

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def litellm() -> Iterator[LiteLlm]:
    running = LiteLlm()
    yield running
    running.stop()


@dataclass(frozen=True)
class Maker:
    """How LiteLLM is told whom to call: a prefix of the model's name, and a base URL in that provider's form."""

    prefix: str

    def params(self, tenant: Tenant, model: str, **more: Any) -> Json:
        bases = {"openai": "/v1", "anthropic": "", "openrouter": "/api/v1"}
        base = tenant.gateway.url + bases[self.prefix]
        asked = {"model": f"{self.prefix}/{model}", "api_base": base, "api_key": tenant.secret, "max_retries": 0}
        return asked | {"messages": TALK, "timeout": PATIENCE} | more


TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How much is the toll?"}]
PARAMETERS = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Says it.", "parameters": PARAMETERS}}
    for name in ("toll", "greet")
]
OPENAI, ANTHROPIC, OPENROUTER = Maker("openai"), Maker("anthropic"), Maker("openrouter")
CALLS = [
    (OPENAI, "sim", PRICE),
    (OPENAI, "claude", CLAUDE_PRICE),
    (ANTHROPIC, "claude", CLAUDE_PRICE),
    (ANTHROPIC, "old", PRICE),
    (OPENROUTER, "sim", PRICE),
]
every_call = pytest.mark.parametrize(
    ("maker", "model", "price"), CALLS, ids=[f"{maker.prefix}-{model}" for maker, model, _ in CALLS]
)


@every_call
@pytest.mark.parametrize("op", ["complete", "complete_async"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_question_is_answered(
    litellm: LiteLlm, tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price, op: str, streamed: bool
) -> None:
    more: Json = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
    params = maker.params(tenant, model + "?in=1000;cached=40;out=16;split=7", **more)
    outcome = litellm.call(op, **params)
    assert outcome.get("text") == WHOLE, outcome
    [row] = check_paid(tenant, mock, price)
    assert row["streamed"] == streamed and outcome.get("chunks", 99) > 10
    usage = outcome["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (row["input_tokens"], row["output_tokens"])
    assert usage["prompt_tokens_details"]["cached_tokens"] == row["cached_tokens"] == 400


@every_call
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_at_once_and_told_back(
    litellm: LiteLlm, tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price, streamed: bool
) -> None:
    params = maker.params(tenant, model + "?calls=2", tools=TOOLS, stream=streamed)
    asked = litellm.call("complete", **params)
    assert [call["name"] for call in asked.get("calls", [])] == ["toll", "greet"], asked
    assert json.loads(asked["calls"][0]["arguments"])["text"].startswith(WORDS)
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "3"} for call in asked["calls"]]
    answer = litellm.call("complete", **params | {"messages": [*TALK, asked["turn"], *results]})
    assert answer.get("text") == WHOLE and not answer["calls"], answer
    check_paid(tenant, mock, price, 2)


class Said(BaseModel):
    """What the mock says where JSON is asked for."""

    text: str


@every_call
def test_an_answer_has_the_shape_that_is_asked_for(
    litellm: LiteLlm, tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price
) -> None:
    schema = PARAMETERS | {"additionalProperties": False}
    shape = {"type": "json_schema", "json_schema": {"name": "said", "strict": True, "schema": schema}}
    outcome = litellm.call("complete", **maker.params(tenant, model, response_format=shape))
    assert Said.model_validate_json(outcome.get("text") or "").text == WHOLE, outcome
    check_paid(tenant, mock, price)


@every_call
def test_an_image_is_shown(
    litellm: LiteLlm, tenant: Tenant, mock: Mock, maker: Maker, model: str, price: Price
) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png()}"}}
    talk = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    outcome = litellm.call("complete", **maker.params(tenant, model, messages=talk))
    assert outcome.get("text") == WHOLE, outcome
    check_paid(tenant, mock, price)


def test_responses_and_embeddings(litellm: LiteLlm, tenant: Tenant, mock: Mock) -> None:
    params = OPENAI.params(tenant, "embed", input=["toll", "gate", "toll"])
    del params["messages"]
    outcome = litellm.call("embed", **params)
    vectors = outcome.get("vectors")
    assert vectors and vectors[0] == vectors[2] != vectors[1], outcome
    check_paid(tenant, mock, EMBEDDING_PRICE)
    other = tenant.gateway.tenant()
    params = OPENAI.params(other, "sim", input="How much is the toll?")
    del params["messages"]
    assert litellm.call("respond", **params).get("text") == WHOLE
    check_paid(other, mock, PRICE)


#: The route with its fault, and what an application catches: classes (one provider has no word for it) and status.
ERRORS = [
    ("nobody", {"NotFoundError"}, 404),
    ("{}?fault=400", {"BadRequestError"}, 400),
    ("{}?fault=429;retry_after=7", {"RateLimitError"}, 429),
    ("{}?fault=500", {"BadGatewayError", "APIError"}, 502),
]


@every_call
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_have_its_own_classes(
    litellm: LiteLlm, tenant: Tenant, maker: Maker, model: str, price: Price, streamed: bool
) -> None:
    for asked, names, status in ERRORS:
        outcome = litellm.call("complete", **maker.params(tenant, asked.format(model), stream=streamed))
        error = outcome.get("error")
        assert error and error["name"] in names and error["status"] == status, outcome


@pytest.mark.parametrize("maker", [OPENAI, ANTHROPIC, OPENROUTER], ids=lambda maker: maker.prefix)
def test_refusals_have_its_own_classes(litellm: LiteLlm, gateway: Gateway, maker: Maker) -> None:
    poor = gateway.tenant(granted="0")
    error = litellm.call("complete", **maker.params(poor, "claude")).get("error")
    assert error and error["status"] == (429 if maker is OPENAI else 402), error
    assert "0.00 available" in error["message"], error
    stranger = Tenant(gateway, poor.org, poor.project, poor.key_id, unlike(poor.secret))
    error = litellm.call("complete", **maker.params(stranger, "claude")).get("error")
    assert error and (error["name"], error["status"]) == ("AuthenticationError", 401), error
    assert poor.rows() == []


@every_call
def test_a_stream_that_breaks_raises(
    litellm: LiteLlm, tenant: Tenant, maker: Maker, model: str, price: Price
) -> None:
    params = maker.params(tenant, model + "?out=40;fault=error_mid", stream=True)
    outcome = litellm.call("complete", **params)
    assert outcome.get("error"), outcome
    row = tenant.settled_one()
    assert row["status"] == "failed" and row["output_tokens"] == 20
