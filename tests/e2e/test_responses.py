"""Responses with the official SDKs: what comes back, what breaks, and what the books say of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from conftest import MakeGateway
from harness import PRICE, UPSTREAM_KEY, Gateway, Json, Mock, Provider, Route, Tenant, config
from sdk import Sdk
from test_chat import WORDS, check_row
from upstreams import Recorder, closed_port

TOLL = {"type": "function", "name": "toll", "parameters": {"type": "object", "properties": {}}, "strict": False}
ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": "How much is the toll?"}]},
    {"type": "function_call", "call_id": "call_1", "name": "toll", "arguments": '{"axles": 2}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "seven"},
]
#: The events of a message of two deltas, as OpenAI orders them.
EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def ask(model: str = "sim", **params: Any) -> Json:
    return {"model": model, "input": "How much is the toll?"} | params


@pytest.mark.parametrize(
    ("model", "params", "tokens"),
    [
        ("sim", {}, 16),
        ("sim", {"input": ITEMS, "instructions": "Be brief.", "tools": [TOLL]}, 16),
        ("sim?out=50", {"max_output_tokens": 20}, 20),
        ("sim?cached=50;reasoning=4;out=20", {"reasoning": {"effort": "low"}, "store": False}, 20),
        ("sim?split=3", {"user": "somebody", "include": ["reasoning.encrypted_content"]}, 16),
        ("h2?chunk=5", {"metadata": {"feature": "f"}}, 16),
    ],
)
@pytest.mark.parametrize("op", ["respond", "respond_stream"])
def test_a_response_is_answered_and_booked(
    sdk: Sdk, mock: Mock, tenant: Tenant, model: str, params: Json, tokens: int, op: str
) -> None:
    called = sdk.call(tenant, op, params=ask(model, **params))
    assert called.error is None and called.request_id, called.error
    truth = mock.truth_of(called.request_id)
    assert called.texts[0].startswith(WORDS[:10])
    capped = "max_output_tokens" in params
    assert called.answer["status"] == ("incomplete" if capped else "completed")
    usage = called.usage or {}
    assert (usage["input_tokens"], usage["output_tokens"]) == (truth["prompt_tokens"], truth["completion_tokens"])
    assert truth["completion_tokens"] == tokens
    row = tenant.settled_one()
    target = {"sim": "mock/sim-small", "h2": "h2/sim-small"}[model.partition("?")[0]] + model[len(model.partition("?")[0]) :]
    provider = target.partition("/")[0]
    streamed = op == "respond_stream"
    check_row(row, truth, tenant, model=model, target=target, provider=provider, streamed=streamed, user=params.get("user"))


def test_events_come_typed_and_in_order(sdk: Sdk, tenant: Tenant) -> None:
    called = sdk.call(tenant, "respond_stream", params=ask("sim?chunk=8"))
    assert (called.error, called.events, called.texts) == (None, EVENTS, [WORDS])
    tenant.settled_one()


@pytest.mark.parametrize("model", ["sim", "sim?split=1", "sim?reasoning=3;chunk=4", "sim?tps=400"])
def test_the_streaming_helpers(sdk: Sdk, tenant: Tenant, model: str) -> None:
    called = sdk.call(tenant, "respond_helper", params=ask(model))
    assert called.error is None, called.error
    assert called.events[0] == "response.created" and called.events[-1] == "response.completed"
    assert called.texts[0].startswith("The keeper at the gate")
    assert called.usage and called.usage["output_tokens"] == 16
    tenant.settled_one()


def test_structured_output_passes_through(sdk: Sdk, tenant: Tenant) -> None:
    called = sdk.call(tenant, "respond_parse", params=ask())
    assert (called.error, called.texts) == (None, [WORDS])
    tenant.settled_one()


@pytest.mark.parametrize("op", ["respond", "respond_stream", "respond_helper"])
def test_calls_of_functions(sdk: Sdk, mock: Mock, tenant: Tenant, op: str) -> None:
    called = sdk.call(tenant, op, params=ask("sim?out=5", tools=[TOLL], tool_choice="required"))
    assert called.error is None, called.error
    [item] = called.answer["output"]
    assert (item["type"], item["name"], item["status"]) == ("function_call", "toll", "completed")
    assert json.loads(item["arguments"]) == {"text": "The keeper at the gate"}
    row = tenant.settled_one()
    assert Decimal(row["cost"]) == PRICE.of_truth(mock.truth_of(row["request_id"]))


@pytest.mark.parametrize("after", [5, 20])
def test_a_client_hangs_up_amid_a_response(sdk: Sdk, mock: Mock, tenant: Tenant, after: int) -> None:
    called = sdk.call(tenant, "respond_stream", params=ask("sim?tps=50;out=1000"), cancel_after=after)
    assert called.error is None and called.chunks == after and called.request_id
    row, truth = tenant.settled_one(), mock.truth_of(called.request_id)
    assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", True)
    assert not truth["finished"], "the provider was told to stop"
    assert row["input_tokens"] == truth["prompt_tokens"]
    assert abs(row["output_tokens"] - truth["completion_tokens"]) <= 5 and row["output_tokens"] >= after - 5
    assert Decimal(row["cost"]) == PRICE.cost(row["input_tokens"], row["output_tokens"])


#: A fault before the answer, the exception and its status, and the row's reason.
REFUSED = [
    ("400", "BadRequestError", 400, "upstream_rejected"),
    ("429", "RateLimitError", 429, "upstream_rate_limited"),
    ("500", "InternalServerError", 502, "upstream_error"),
    ("quota", "InternalServerError", 503, "provider_quota_exhausted"),
    ("close", "InternalServerError", 502, "upstream_closed"),
]


@pytest.mark.parametrize(("fault", "error", "status", "reason"), REFUSED)
@pytest.mark.parametrize("op", ["respond", "respond_stream"])
def test_faults_before_the_answer(
    sdk: Sdk, tenant: Tenant, op: str, fault: str, error: str, status: int, reason: str
) -> None:
    called = sdk.call(tenant, op, params=ask(f"sim?fault={fault}"))
    assert called.error and (called.error.name, called.error.status) == (error, status)
    row = tenant.settled_one()
    assert (row["status"], row["reason"], Decimal(row["cost"])) == ("failed", reason, 0)


#: A fault amid a stream, and what the row says; what was delivered is charged.
BROKEN = [
    ("close_mid", "upstream_closed"),
    ("hang_mid", "upstream_idle_timeout"),
    ("garbage_mid", "upstream_garbage"),
    ("no_done", "upstream_closed"),
]


@pytest.mark.parametrize(("fault", "reason"), BROKEN)
@pytest.mark.parametrize("op", ["respond_stream", "respond_helper"])
def test_a_broken_stream_raises(sdk: Sdk, tenant: Tenant, op: str, fault: str, reason: str) -> None:
    called = sdk.call(tenant, op, params=ask(f"sim?fault={fault};after=7"))
    assert called.error and (called.error.name, called.error.code) == ("APIError", reason), called.error
    row = tenant.settled_one()
    assert (row["status"], row["reason"], row["estimated"]) == ("failed", reason, True)
    assert row["output_tokens"] == (16 if fault == "no_done" else 7)
    assert Decimal(row["cost"]) == PRICE.cost(row["input_tokens"], row["output_tokens"])
    if op == "respond_stream":
        # What reads no errors reads this, with the response that had begun.
        assert called.events[-1] == "response.failed" and called.answer["error"]["code"] == reason
        assert called.answer["id"].startswith("resp_") and called.answer["id"] != f"resp_{row['request_id']}"


@pytest.mark.parametrize(
    ("op", "output"),
    [("respond", 0), ("respond_stream", 7)],
)
def test_a_response_that_failed_passes_as_one(sdk: Sdk, tenant: Tenant, op: str, output: int) -> None:
    called = sdk.call(tenant, op, params=ask("sim?fault=error_mid;after=7"))
    assert called.error is None and called.answer["status"] == "failed"
    assert called.answer["error"]["code"] == "server_error"
    row = tenant.settled_one()
    assert (row["status"], row["reason"], row["output_tokens"]) == ("failed", "upstream_error", output)
    assert row["estimated"] == bool(output)


def test_a_response_without_usage_is_counted(sdk: Sdk, mock: Mock, tenant: Tenant) -> None:
    params = ask("sim?fault=no_usage", input=ITEMS, instructions="Be brief.")
    assert sdk.call(tenant, "respond", params=params).error is None
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert row["estimated"] and (row["input_tokens"], row["output_tokens"]) == (truth["prompt_tokens"], 16)


@pytest.mark.parametrize(
    ("params", "param", "message"),
    [
        ({"background": True}, "background", "in the background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "stored prompt"),
        ({"tools": [{"type": "web_search"}]}, "tools", "none for web searches"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "tools", "`file_search`"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools", "`code_interpreter`"),
        ({"tools": [{"type": "image_generation"}]}, "tools", "`image_generation`"),
        ({"service_tier": "priority"}, "service_tier", "none for `priority`"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "does not say how much the model takes"),
        ({"conversation": "conv_1"}, "conversation", "does not say how much the model takes"),
        ({"input": 7}, "input", "Invalid type for 'input'"),
    ],
)
def test_what_has_no_price_or_end_is_refused_by_name(
    sdk: Sdk, tenant: Tenant, params: Json, param: str, message: str
) -> None:
    called = sdk.call(tenant, "respond", params=ask(**params))
    assert called.error and (called.error.name, called.error.param) == ("BadRequestError", param), called
    assert message in called.error.message
    assert tenant.rows() == []


@pytest.mark.parametrize("call", ["retrieve", "delete", "cancel", "input_items"])
def test_kept_responses_are_not_found(sdk: Sdk, tenant: Tenant, call: str) -> None:
    called = sdk.call(tenant, "kept_response", params={"id": "resp_1", "call": call}, max_retries=2)
    assert called.error and (called.error.name, called.error.code) == ("NotFoundError", "response_not_kept")
    assert "keeps none" in called.error.message


def test_an_earlier_response_is_held_for_as_much_as_the_model_takes(mock: Mock, make_gateway: MakeGateway) -> None:
    provider = Provider("simulated", mock.base_url)
    gateway = make_gateway(text=config([provider], [Route("kept", "simulated", "sim-small", None)]))
    # 128,000 tokens of input at 0.50 and 4,096 of output at 2.00 a million come to 0.072192.
    poor, rich = gateway.tenant("0.07"), gateway.tenant("0.08")
    params = ask("kept", previous_response_id="resp_1")
    refused = poor.post("/responses", params)
    assert refused.status_code == 429 and refused.json()["error"]["code"] == "insufficient_quota"
    answer = rich.post("/responses", params)
    assert answer.status_code == 200, answer.text
    truth = mock.truth_of(answer.headers["x-request-id"])
    [row] = rich.settled(1)
    assert (row["input_tokens"], row["output_tokens"]) == (truth["prompt_tokens"], 16)


@pytest.mark.parametrize(
    ("members", "status"),
    [({}, 200), ({"previous_response_id": "resp_1"}, 502), ({"input": [{"type": "item_reference", "id": "msg_1"}]}, 502)],
)
def test_what_a_provider_keeps_no_other_one_is_asked_for(
    mock: Mock, make_gateway: MakeGateway, members: Json, status: int
) -> None:
    with closed_port() as refused:
        providers = [Provider("openai", refused), Provider("simulated", mock.base_url)]
        first, second = Route("kept", "openai", "gpt-4o-mini", None), Route("kept", "simulated", "sim-small", None)
        targets = ", ".join(route.toml().partition("targets = [")[2].removesuffix("]") for route in (first, second))
        route = f'[[routes]]\nmodel = "kept"\ntargets = [{targets}]'
        gateway = make_gateway(text=config(providers, []) + "\n\n" + route)
        tenant = gateway.tenant()
        answer = tenant.post("/responses", ask("kept", **members))
        assert answer.status_code == status, answer.text
        assert answer.headers["x-tollkeeper-attempts"] == ("2" if status == 200 else "1")


def test_a_response_under_stops_ends_where_the_money_ends(gateway: Gateway, sdk: Sdk, mock: Mock) -> None:
    tenant = gateway.tenant("0.05")
    gateway.api("PATCH", f"/admin/v1/organizations/{tenant.org}", {"in_flight": "stops"}).raise_for_status()
    called = sdk.call(tenant, "respond_stream", params=ask("sim?out=20000;tps=200000"))
    assert called.error is None, called.error
    assert called.events[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    answer = called.answer
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert answer["output"][0]["content"][0]["text"] == called.texts[0]
    [row] = tenant.rows()
    assert called.usage and called.usage["output_tokens"] == row["output_tokens"]
    assert Decimal(row["cost"]) <= Decimal("0.05") and (row["status"], row["reason"]) == ("cancelled", "hold_exhausted")


def test_a_key_may_be_limited_to_responses(tenant: Tenant) -> None:
    tenant.gateway.api("PATCH", f"/admin/v1/keys/{tenant.key_id}", {"endpoints": ["responses"]}).raise_for_status()
    assert tenant.post("/responses", ask()).status_code == 200
    refused = tenant.post("/chat/completions", {"model": "sim", "messages": []})
    assert refused.status_code == 403 and "chat_completions" in refused.json()["error"]["message"]
    tenant.settled_one()


#: Bodies that a parser which builds and writes anew would change, and answers as they came.
BODIES = [
    b'{"model":"recorded","input":"hi"}',
    b' {"input" : [ { "content":"\\u00e9\\n \\ud83d\\ude00","role":"user"} ] ,\n\t"model":"recorded","x_new":{"a":1.0} }',
]
ANSWER = b'{ "id":"resp_1","object":"response","created_at":1,"status":"completed","model":"upstream/model-1","output":[],\
 "x_new":1.50,"usage":{"input_tokens":9,"output_tokens":1,"total_tokens":10}}\n'
STREAM = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1","x":1.0}}\n\n\
: comment\n\nevent: response.new_thing\ndata:  {"type":"response.new_thing"}\r\n\r\n\
event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_1","usage":{"input_tokens":9,"output_tokens":1}}}\n\n'


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("streamed", [False, True])
def test_bytes_pass_as_they_are(tenant: Tenant, upstream: Recorder, body: bytes, streamed: bool) -> None:
    answer, kind = (STREAM, "text/event-stream") if streamed else (ANSWER, "application/json")
    upstream.says(answer, kind)
    sent = body.replace(b'"model"', b'"stream":true,"model"', 1) if streamed else body
    got = tenant.post("/responses", sent, headers={"content-type": "application/json"})
    assert (got.status_code, got.content) == (200, answer)
    seen = upstream.seen[-1]
    assert seen.line == "POST /v1/responses HTTP/1.1" and seen.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert seen.body == sent.replace(b'"recorded"', b'"upstream/model-1"', 1)
    row = tenant.settled_one()
    assert (row["input_tokens"], row["output_tokens"]) == (9, 1)
