"""Any client to any provider: the official SDKs call models at providers that speak another dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from claude import NodeClaude, PythonClaude
from conftest import stopping
from harness import CLAUDE_PRICE, HTTP, PRICE, Gateway, Json, Mock, Price, Provider, Route, Tenant, config
from sdk import Called, Sdk

Claude = PythonClaude | NodeClaude

TALK = [{"role": "user", "content": "Tell me everything about tolls."}]
WORDS = "The keeper at the gate"
CHAT_TOOL = {"type": "function", "function": {"name": "say", "parameters": {"type": "object", "properties": {}}}}
TOOL = {"name": "say", "description": "Says a text.", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def gateway(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`claude` is served in Anthropic's dialect alone, `old` in OpenAI's chats alone."""
    providers = [Provider("claudes", mock.base_url, kind="anthropic"), Provider("olds", mock.base_url, kind="deepseek")]
    routes = [
        Route("claude", "claudes", "sim-small", CLAUDE_PRICE),
        Route("claude?*", "claudes", "sim-small?*", CLAUDE_PRICE),
        Route("old", "olds", "sim-small", PRICE),
        Route("old?*", "olds", "sim-small?*", PRICE),
    ]
    folder: Path = tmp_path_factory.mktemp("conversions")
    with stopping(Gateway(folder, config(providers, routes))) as running:
        yield running.start()


@pytest.fixture
def tenant(gateway: Gateway) -> Tenant:
    return gateway.tenant()


def check_paid(called: Called, mock: Mock, tenant: Tenant, price: Price) -> Json:
    """What the provider would bill is what was charged, to the nano-dollar."""
    assert called.error is None and called.request_id, called.error
    truth, row = mock.truth_of(called.request_id), tenant.settled_one()
    assert row["request_id"] == called.request_id and not row["estimated"] and row["status"] == "succeeded"
    assert Decimal(row["cost"]) == price.of_truth(truth) > 0
    return truth


COUNTS = ["", "?in=1000;cached=40;out=50", "?reasoning=7;out=20"]


@pytest.mark.parametrize("op", ["chat", "stream"])
@pytest.mark.parametrize("counts", COUNTS)
def test_chats_reach_anthropics_models(sdk: Sdk, mock: Mock, tenant: Tenant, op: str, counts: str) -> None:
    params: Json = {"model": "claude" + counts, "messages": [{"role": "system", "content": "Be brief."}, *TALK]}
    if op == "stream":
        params["stream_options"] = {"include_usage": True}
    called = sdk.call(tenant, op, params=params)
    truth = check_paid(called, mock, tenant, CLAUDE_PRICE)
    assert called.texts[0].startswith(WORDS) and called.usage
    assert called.usage["prompt_tokens"] == truth["prompt_tokens"]
    assert called.usage["completion_tokens"] == truth["completion_tokens"]
    assert called.usage["prompt_tokens_details"]["cached_tokens"] == truth["cached_tokens"]


@pytest.mark.parametrize("op", ["respond", "respond_stream"])
@pytest.mark.parametrize(("model", "price"), [("claude", CLAUDE_PRICE), ("old", PRICE)])
def test_responses_reach_models_without_them(
    sdk: Sdk, mock: Mock, tenant: Tenant, op: str, model: str, price: Price
) -> None:
    called = sdk.call(tenant, op, params={"model": model, "input": TALK[0]["content"], "instructions": "Be brief."})
    truth = check_paid(called, mock, tenant, price)
    assert called.texts[0].startswith(WORDS) and called.usage
    assert called.usage["input_tokens"] == truth["prompt_tokens"]
    assert called.usage["output_tokens"] == truth["completion_tokens"]


@pytest.mark.parametrize("op", ["message", "stream"])
@pytest.mark.parametrize("counts", COUNTS)
def test_messages_reach_models_of_chats(claude: Claude, mock: Mock, tenant: Tenant, op: str, counts: str) -> None:
    params = {"model": "old" + counts, "max_tokens": 2_000, "system": "Be brief.", "messages": TALK}
    called = claude.call(tenant, op, params=params)
    truth = check_paid(called, mock, tenant, PRICE)
    assert called.answer["stop_reason"] == "end_turn" and called.answer["content"][-1]["text"].startswith(WORDS)
    assert called.usage["input_tokens"] + called.usage["cache_read_input_tokens"] == truth["prompt_tokens"]
    assert called.usage["cache_read_input_tokens"] == truth["cached_tokens"]
    assert called.usage["output_tokens"] == truth["completion_tokens"]


def test_tools_are_called_across(mock: Mock, tenant: Tenant) -> None:
    params = {"model": "claude", "messages": TALK, "tools": [CHAT_TOOL], "tool_choice": "required"}
    answer = tenant.client().chat.completions.create(**params)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.tool_calls
    called = choice.message.tool_calls[0]
    assert called.type == "function" and called.function.name == "say"
    assert json.loads(called.function.arguments)["text"].startswith(WORDS)
    # And the next turn, with what the tool said.
    result = {"role": "tool", "tool_call_id": called.id, "content": "said"}
    turn = [*TALK, choice.message.model_dump(exclude_none=True), result]
    again = tenant.client().chat.completions.create(model="claude", messages=turn, tools=[CHAT_TOOL])
    assert again.choices[0].message.content and again.choices[0].finish_reason == "stop"
    assert [row["status"] for row in tenant.settled(2)] == ["succeeded"] * 2


@pytest.mark.parametrize(
    ("path", "body", "headers", "param"),
    [
        ("/chat/completions", {"model": "claude", "messages": TALK, "n": 2}, {}, "n"),
        ("/responses", {"model": "old", "input": "x", "previous_response_id": "resp_1"}, {}, "previous_response_id"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(
    tenant: Tenant, path: str, body: Json, headers: Json, param: str
) -> None:
    answer = tenant.post(path, body, headers=headers)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param and error["type"] == "invalid_request_error", error
    assert tenant.rows() == []


def test_what_is_left_out_is_told(tenant: Tenant) -> None:
    answer = tenant.post("/chat/completions", {"model": "claude", "messages": TALK, "seed": 7})
    assert answer.status_code == 200, answer.text
    assert "seed" in answer.headers["x-tollkeeper-dropped"]
    plain = tenant.post("/chat/completions", {"model": "claude", "messages": TALK})
    assert "x-tollkeeper-dropped" not in plain.headers


@pytest.mark.parametrize("fault", ["429", "500"])
def test_errors_are_told_in_the_callers_words(sdk: Sdk, claude: Claude, tenant: Tenant, fault: str) -> None:
    asked: Any = {"model": f"claude?fault={fault}", "messages": TALK}
    failed = sdk.call(tenant, "chat", params=asked).error
    told = claude.call(tenant, "message", params={"model": f"old?fault={fault}", "max_tokens": 9, "messages": TALK}).error
    assert failed and told and failed.status == told.status
    assert {row["status"] for row in tenant.settled(2)} == {"failed"}


@pytest.mark.parametrize("fault", ["error_mid", "close_mid"])
def test_broken_streams_are_errors_to_every_client(sdk: Sdk, claude: Claude, tenant: Tenant, fault: str) -> None:
    for called in (
        sdk.call(tenant, "stream", params={"model": f"claude?fault={fault}", "messages": TALK}),
        sdk.call(tenant, "respond_stream", params={"model": f"old?fault={fault}", "input": "x"}),
        claude.call(tenant, "stream", params={"model": f"old?fault={fault}", "max_tokens": 99, "messages": TALK}),
    ):
        assert called.error is not None, called


@pytest.mark.parametrize("chunk", [1, 7])
def test_who_leaves_pays_for_what_came(sdk: Sdk, mock: Mock, tenant: Tenant, chunk: int) -> None:
    model = f"claude?out=400;tps=200;chunk={chunk}"
    called = sdk.call(tenant, "stream", params={"model": model, "messages": TALK}, cancel_after=5)
    assert called.request_id
    row = tenant.settled_one()
    assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", True)
    assert Decimal(0) < Decimal(row["cost"]) <= CLAUDE_PRICE.of_truth(mock.truth_of(called.request_id)) * 2
    assert HTTP.get(f"{tenant.gateway.url}/livez").status_code == 200
