"""The AI SDK, unmodified, against the gateway: its providers for OpenAI's responses and chats, for Anthropic, for
whatever is compatible and for OpenRouter, each called at providers of more than one dialect."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from harness import CLAUDE_PRICE, EMBEDDING_PRICE, HERE, PATIENCE, PRICE, Gateway, Json, Mock, Price, Tenant, unlike
from other_clients import WHOLE, WORDS, check_paid, png
from sdk import NODE


class AiSdk:
    """One Node process that performs operations line by line."""

    def __init__(self) -> None:
        assert NODE.exists(), f"{NODE} is missing; run `npm ci` in {HERE / 'node'}"
        self.process = subprocess.Popen(
            [NODE, "ai.mjs"], cwd=HERE / "node", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def call(self, tenant: Tenant, op: str, provider: str, model: str, **call: Any) -> Json:
        assert self.process.stdin and self.process.stdout
        call = {"max_retries": 0} | call | {"op": op, "provider": provider, "name": model}
        self.process.stdin.write(json.dumps(call | {"url": tenant.gateway.url, "key": tenant.secret}) + "\n")
        outcome: Json = json.loads(self.process.stdout.readline())
        return outcome

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def ai() -> Iterator[AiSdk]:
    running = AiSdk()
    yield running
    running.stop()


CALLS = [
    ("responses", "sim", PRICE),
    ("responses", "claude", CLAUDE_PRICE),
    ("responses", "old", PRICE),
    ("chat", "sim", PRICE),
    ("chat", "claude", CLAUDE_PRICE),
    ("anthropic", "claude", CLAUDE_PRICE),
    ("anthropic", "old", PRICE),
    ("compatible", "sim", PRICE),
    ("compatible", "claude", CLAUDE_PRICE),
    ("openrouter", "sim", PRICE),
    ("openrouter", "claude", CLAUDE_PRICE),
]
every_call = pytest.mark.parametrize(
    ("provider", "model", "price"), CALLS, ids=[f"{provider}-{model}" for provider, model, _ in CALLS]
)
both = pytest.mark.parametrize("op", ["generate", "stream"])


@every_call
@both
def test_a_question_is_answered(
    ai: AiSdk, tenant: Tenant, mock: Mock, provider: str, model: str, price: Price, op: str
) -> None:
    outcome = ai.call(tenant, op, provider, model + "?in=1000;cached=40;out=16;split=7")
    assert outcome.get("text") == WHOLE, outcome
    [row] = check_paid(tenant, mock, price)
    assert row["streamed"] == (op == "stream") and outcome.get("chunks", 99) > 10
    [usage] = outcome["usages"]
    assert (usage["inputTokens"], usage["outputTokens"]) == (row["input_tokens"], row["output_tokens"])
    assert usage["inputTokenDetails"]["cacheReadTokens"] == row["cached_tokens"] == 400


@every_call
@both
def test_tools_are_called_at_once_and_told_back(
    ai: AiSdk, tenant: Tenant, mock: Mock, provider: str, model: str, price: Price, op: str
) -> None:
    outcome = ai.call(tenant, op, provider, model + "?calls=2", tools=True)
    assert outcome.get("text") == WHOLE, outcome
    first, second = outcome["calls"]
    assert [call["name"] for call in first] == ["toll", "greet"] and second == []
    assert first[0]["input"]["text"].startswith(WORDS)
    check_paid(tenant, mock, price, 2)


@every_call
@both
def test_an_answer_has_the_shape_that_is_asked_for(
    ai: AiSdk, tenant: Tenant, mock: Mock, provider: str, model: str, price: Price, op: str
) -> None:
    outcome = ai.call(tenant, op, provider, model, shape=True)
    assert outcome.get("object") == {"text": WHOLE}, outcome
    check_paid(tenant, mock, price)


@every_call
def test_an_image_is_shown(ai: AiSdk, tenant: Tenant, mock: Mock, provider: str, model: str, price: Price) -> None:
    outcome = ai.call(tenant, "generate", provider, model, image=png())
    assert outcome.get("text") == WHOLE, outcome
    check_paid(tenant, mock, price)


def test_texts_are_embedded(ai: AiSdk, tenant: Tenant, mock: Mock) -> None:
    outcome = ai.call(tenant, "embed", "", "embed", values=["toll", "gate", "toll"])
    vectors = outcome.get("embeddings")
    assert vectors and vectors[0] == vectors[2] != vectors[1], outcome
    [row] = check_paid(tenant, mock, EMBEDDING_PRICE)
    assert outcome["usage"]["tokens"] == row["input_tokens"]


#: The route with its fault, and what an application sees: the status, and whether it may try again.
ERRORS = [
    ("nobody", 404, False),
    ("{}?fault=400", 400, False),
    ("{}?fault=429;retry_after=7", 429, True),
    ("{}?fault=500", 502, True),
]


@every_call
@both
def test_errors_say_what_they_are(
    ai: AiSdk, tenant: Tenant, provider: str, model: str, price: Price, op: str
) -> None:
    for asked, status, retryable in ERRORS:
        outcome = ai.call(tenant, op, provider, asked.format(model))
        error = outcome.get("error")
        assert error and error["name"] == "AI_APICallError", outcome
        assert (error["status"], error["retryable"]) == (status, retryable), outcome
        assert error["retry_after"] == ("7" if status == 429 else None)


@pytest.mark.parametrize("provider", ["responses", "chat", "anthropic", "compatible", "openrouter"])
def test_refusals_say_what_they_are(ai: AiSdk, gateway: Gateway, provider: str) -> None:
    poor = gateway.tenant(granted="0")
    error = ai.call(poor, "generate", provider, "claude").get("error")
    assert error and error["status"] == (402 if provider in ("anthropic", "openrouter") else 429), error
    assert "0.00 available" in error["message"], error
    stranger = Tenant(gateway, poor.org, poor.project, poor.key_id, unlike(poor.secret))
    error = ai.call(stranger, "generate", provider, "claude").get("error")
    assert error and (error["status"], error["retryable"]) == (401, False), error
    assert poor.rows() == []


@every_call
def test_a_stream_that_breaks_is_an_error(ai: AiSdk, tenant: Tenant, provider: str, model: str, price: Price) -> None:
    outcome = ai.call(tenant, "stream", provider, model + "?out=40;fault=error_mid")
    assert outcome.get("error"), outcome
    row = tenant.settled_one()
    assert row["status"] == "failed" and row["output_tokens"] == 20
