"""Anthropic's messages by Anthropic's own SDKs: answers, streams, tools, errors, and what all of it cost."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from claude import NodeClaude, PythonClaude
from harness import CLAUDE_PRICE, HTTP, UPSTREAM_KEY, Json, Mock, Tenant, eventually, unlike
from sdk import Called
from upstreams import Recorder

Claude = PythonClaude | NodeClaude

MESSAGES = [{"role": "user", "content": "Tell me everything about tolls."}]
TOOL = {
    "name": "say",
    "description": "Says a text.",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
VERSION = {"anthropic-version": "2023-06-01"}


def ask(model: str = "claude", **more: object) -> Json:
    return {"model": model, "max_tokens": 2_000, "messages": MESSAGES} | more


def check_paid(called: Called, mock: Mock, tenant: Tenant) -> Json:
    """The call's row agrees with what was told and with the truth, to the nano-dollar."""
    assert called.error is None and called.request_id and called.usage
    row, truth = tenant.settled_one(), mock.truth_of(called.request_id)
    assert row["request_id"] == called.request_id and not row["estimated"]
    assert Decimal(row["cost"]) == CLAUDE_PRICE.of_truth(truth) > 0
    usage = called.usage
    written = truth["cache_write_tokens"] + truth["cache_write_1h_tokens"]
    assert usage["cache_read_input_tokens"] == truth["cached_tokens"] == row["cached_tokens"]
    assert usage["cache_creation_input_tokens"] == written
    assert usage["input_tokens"] == truth["prompt_tokens"] - truth["cached_tokens"] - written
    assert usage["output_tokens"] == truth["completion_tokens"] == row["output_tokens"]
    return row


MODELS = [
    "claude",
    "claude?in=1000;cached=40;cache_write=30;out=50",
    "claude?in=999;cache_write_1h=33;reasoning=7;out=20",
]


@pytest.mark.parametrize("op", ["message", "stream"])
@pytest.mark.parametrize("model", MODELS)
def test_every_token_is_paid_for(claude: Claude, mock: Mock, tenant: Tenant, op: str, model: str) -> None:
    called = claude.call(tenant, op, params=ask(model))
    row = check_paid(called, mock, tenant)
    assert called.answer["stop_reason"] == "end_turn" and called.answer["role"] == "assistant"
    text = called.answer["content"][-1]
    assert text["type"] == "text" and text["text"].startswith("The keeper at the gate")
    assert (row["status"], row["target"].startswith("claudes/sim-small")) == ("succeeded", True)


@pytest.mark.parametrize("op", ["message", "stream"])
def test_tools_are_called(claude: Claude, mock: Mock, tenant: Tenant, op: str) -> None:
    called = claude.call(tenant, op, params=ask(tools=[TOOL], tool_choice={"type": "any"}))
    check_paid(called, mock, tenant)
    call = called.answer["content"][0]
    assert called.answer["stop_reason"] == "tool_use" and (call["type"], call["name"]) == ("tool_use", "say")
    assert call["input"]["text"].startswith("The keeper at the gate")


def test_thoughts_are_shown_and_paid_for(claude: Claude, mock: Mock, tenant: Tenant) -> None:
    params = ask("claude?reasoning=30;out=50", thinking={"type": "enabled", "budget_tokens": 1_024})
    called = claude.call(tenant, "stream", params=params)
    check_paid(called, mock, tenant)
    assert [block["type"] for block in called.answer["content"]] == ["thinking", "text"]


def test_a_prompt_is_counted_for_nothing(claude: Claude, tenant: Tenant) -> None:
    counted = {
        model: claude.call(tenant, "count", params={"model": model, "system": "Be brief.", "messages": MESSAGES}).answer
        for model in ("claude", "uncounted")
    }
    assert counted["claude"] == 17
    assert abs(counted["uncounted"] - counted["claude"]) <= 3, "the gateway's own count"
    assert tenant.rows() == []
    for model, told in (("claude", None), ("uncounted", "approximate")):
        answer = tenant.post("/messages/count_tokens", {"model": model, "messages": MESSAGES}, VERSION)
        assert answer.headers.get("x-tollkeeper-token-count") == told


def test_models_are_listed(claude: Claude, tenant: Tenant) -> None:
    assert "claude" in claude.call(tenant, "models").answer


#: What is wrong, and what an application gets: class, status, type and code.
ERRORS = [
    (ask(max_tokens=-1), ("BadRequestError", 400, "invalid_request_error", "integer_below_min_value")),
    (ask(messages=[]), ("BadRequestError", 400, "invalid_request_error", "empty_array")),
    (ask("nobody"), ("NotFoundError", 404, "not_found_error", "model_not_found")),
    (ask("claude?fault=400"), ("BadRequestError", 400, "invalid_request_error", None)),
    (ask("claude?fault=401"), ("InternalServerError", 502, "api_error", "provider_auth_failed")),
    (ask("claude?fault=429"), ("RateLimitError", 429, "rate_limit_error", None)),
    (ask("claude?fault=quota"), ("InternalServerError", 503, "api_error", "provider_quota_exhausted")),
    (ask("claude?fault=500"), ("InternalServerError", 502, "api_error", None)),
    (ask("claude?fault=503"), ("OverloadedError", 529, "overloaded_error", None)),
    (ask("claude?fault=error_mid"), ("InternalServerError", 502, "api_error", None)),
]

#: Classes that one of the SDKs has and the other one has not.
PARENTS = {"OverloadedError": "InternalServerError", "ServiceUnavailableError": "InternalServerError"}


@pytest.mark.parametrize(("params", "expected"), ERRORS, ids=lambda value: value[2] if isinstance(value, tuple) else "")
def test_errors_have_the_sdks_own_classes(
    claude: Claude, tenant: Tenant, params: Json, expected: tuple[str, int, str, str | None]
) -> None:
    error = claude.call(tenant, "message", params=params).error
    assert error and error.request_id and error.request_id.startswith("req_")
    name, status, kind, code = expected
    assert (error.status, error.type, error.code) == (status, kind, code), error
    assert PARENTS.get(error.name, error.name) == PARENTS.get(name, name)


def test_no_money_is_its_own_class_and_not_tried_again(claude: Claude, tenant: Tenant) -> None:
    poor = tenant.gateway.tenant(granted="0")
    before = poor.gateway.metric("tollkeeper_requests_total", endpoint="messages")
    error = claude.call(poor, "message", params=ask(), max_retries=2).error
    assert error and (error.status, error.type, error.code) == (402, "billing_error", "credit_balance_exhausted")
    assert error.name in ("PaymentRequiredError", "APIStatusError", "APIError")
    assert poor.gateway.metric("tollkeeper_requests_total", endpoint="messages") - before == 1


def test_an_unknown_key_is_its_own_class(claude: Claude, tenant: Tenant) -> None:
    stranger = Tenant(tenant.gateway, tenant.org, tenant.project, tenant.key_id, unlike(tenant.secret))
    error = claude.call(stranger, "message", params=ask()).error
    assert error and (error.name, error.status, error.type) == ("AuthenticationError", 401, "authentication_error")


@pytest.mark.parametrize("after", [1, 20])
def test_a_client_hangs_up_amid_a_stream(claude: Claude, mock: Mock, tenant: Tenant, after: int) -> None:
    model = "claude?tps=50;out=1000;in=500;cached=20;cache_write=10"
    called = claude.call(tenant, "stream", params=ask(model), cancel_after=after)
    assert called.error is None and called.chunks == after and called.request_id
    row, truth = tenant.settled_one(), mock.truth_of(called.request_id)
    assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", True)
    assert not truth["finished"], "the provider was told to stop"
    # The input is the provider's own count, with what was cached; the output is ours.
    assert abs(row["output_tokens"] - truth["completion_tokens"]) <= 5 and row["output_tokens"] >= after - 2
    assert Decimal(row["cost"]) == CLAUDE_PRICE.cost(500, row["output_tokens"], 100, 50)


@pytest.mark.parametrize("fault", ["close_mid", "garbage_mid", "hang_mid", "error_mid"])
def test_a_stream_that_breaks_raises(claude: Claude, tenant: Tenant, fault: str) -> None:
    called = claude.call(tenant, "stream", params=ask(f"claude?out=100;fault={fault}"))
    assert called.error and called.answer is None, "a broken answer is no answer"
    row = tenant.settled_one()
    assert row["status"] == "failed" and Decimal(row["cost"]) > 0


@pytest.mark.parametrize("fault", ["no_done", "no_usage"])
def test_a_stream_whose_end_is_odd_ends_well(claude: Claude, tenant: Tenant, fault: str) -> None:
    called = claude.call(tenant, "stream", params=ask(f"claude?out=10;fault={fault}"))
    assert called.error is None and called.answer["stop_reason"] == "end_turn"
    row = tenant.settled_one()
    assert (row["status"], row["output_tokens"], row["estimated"]) == ("succeeded", 10, fault == "no_usage")


ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "upstream/claude-1",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 1, "x_new": {"a": 1}},
    "x_new": 1.50,
}


@pytest.mark.parametrize("query", ["", "?beta=true"])
def test_bytes_and_headers_pass(tenant: Tenant, upstream: Recorder, query: str) -> None:
    answer = json.dumps(ANSWER, indent=3).encode()
    upstream.says(answer)
    body = (
        b' {"max_tokens":10 , "model":"recorded-claude","messages":[{"role":"user","content":[{"type":"text",'
        b'"text":"\\u00e9","cache_control":{"type":"ephemeral","ttl":"1h"}}]}],"temperature":1.50,"x_new":[1e-7]} '
    )
    headers = VERSION | {
        "content-type": "application/json",
        "anthropic-beta": "one-2025-01-01,two-2025-02-02",
        "x-claude-code-session-id": "session-1",
        "x-private": "no",
    }
    got = tenant.post("/messages" + query, body, headers)
    assert (got.status_code, got.content) == (200, answer)
    assert got.headers["request-id"] == got.headers["x-request-id"]
    seen = upstream.seen[-1]
    assert seen.line == "POST /v1/messages HTTP/1.1"
    assert seen.body == body.replace(b"recorded-claude", b"upstream/claude-1")
    assert seen.headers["x-api-key"] == UPSTREAM_KEY and "authorization" not in seen.headers
    assert seen.headers["anthropic-version"] == "2023-06-01"
    assert seen.headers["anthropic-beta"] == "one-2025-01-01,two-2025-02-02"
    assert "x-private" not in seen.headers and "x-claude-code-session-id" not in seen.headers
    row = tenant.settled_one()
    assert (row["target"], row["input_tokens"], row["output_tokens"]) == ("claudes-recorder/upstream/claude-1", 9, 1)
    assert row["run"] == "session-1"


def test_the_key_comes_in_either_header_but_only_one(tenant: Tenant) -> None:
    url = tenant.gateway.base_url + "/messages"

    def call(**headers: str) -> tuple[int, Json]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = HTTP.post(url, json=ask(), headers=VERSION | named)
        return answer.status_code, answer.json()

    bearer = f"Bearer {tenant.secret}"
    assert call(x_api_key=tenant.secret)[0] == 200
    assert call(authorization=bearer, x_api_key=tenant.secret)[0] == 200
    status, body = call(authorization=bearer, x_api_key="sk-ant-other")
    assert status == 401 and body["error"]["type"] == "authentication_error"
    assert "Two different API keys" in body["error"]["message"]
    status, body = call()
    assert (status, body["error"]["details"]["error_code"]) == (401, "invalid_api_key")


def test_what_is_missing_is_named(tenant: Tenant) -> None:
    answer = tenant.post("/messages", ask())
    assert answer.status_code == 400 and answer.json()["error"]["message"] == "anthropic-version: header is required"
    root = tenant.gateway.url
    answer = HTTP.post(root + "/v1/v1/messages", json=ask(), headers=VERSION)
    assert answer.status_code == 404 and "leave it out of the base URL" in answer.json()["error"]["message"]
    answer = HTTP.post(root + "/messages", json=ask(), headers=VERSION)
    assert answer.status_code == 404 and "did you mean POST /v1/messages" in answer.json()["error"]["message"]
    assert answer.json()["type"] == "error" and answer.headers["request-id"]
    answer = HTTP.get(root + "/v1/messages", headers=VERSION)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    for member, value in (("inference_geo", "us"), ("speed", "fast"), ("tools", [{"type": "web_search_20250305"}])):
        answer = tenant.post("/messages", ask(**{member: value}), VERSION)
        assert answer.status_code == 400 and answer.json()["error"]["param"] == member, answer.text
    assert tenant.rows() == []


def test_rates_are_told_in_anthropics_headers(tenant: Tenant) -> None:
    limit = {"subject": "organization", "requests_per_minute": 5, "input_tokens_per_minute": 10_000}
    made = tenant.gateway.api("PUT", f"/admin/v1/organizations/{tenant.org}/limits", limit)
    assert made.status_code == 200, made.text
    answer = tenant.post("/messages", ask(), VERSION)
    assert answer.status_code == 200
    told = {name: value for name, value in answer.headers.items() if "ratelimit" in name}
    assert told["anthropic-ratelimit-requests-limit"] == "5"
    assert told["anthropic-ratelimit-requests-remaining"] == "4"
    assert told["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert told["anthropic-ratelimit-input-tokens-limit"] == "10000"
    assert not [name for name in told if name.startswith("x-")]
    # Counting takes from the same requests, and no tokens.
    counted = tenant.post("/messages/count_tokens", {"model": "claude", "messages": MESSAGES}, VERSION)
    assert counted.headers["anthropic-ratelimit-requests-remaining"] == "3"
    # It is on record, though it has no row.
    path = f"/admin/v1/requests/{counted.headers['x-request-id']}/explain"
    explained = eventually(
        lambda: said.json() if (said := tenant.gateway.api("GET", path)).status_code == 200 else None, "the decision"
    )
    assert (explained["state"], explained["endpoint"], explained["attempts"]) == ("counted", "count_tokens", [])
    assert [layer["owner"] for layer in explained["layers"]][-2:] == ["route", "rate_limit"]
