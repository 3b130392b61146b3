"""Gemini's API by Google's own SDKs: answers, streams, tools, errors, any provider behind it, and what all of it cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from claude import NodeClaude, PythonClaude
from conftest import stopping
from gemini import NodeGemini, PythonGemini
from harness import CLAUDE_PRICE, HTTP, PRICE, UPSTREAM_KEY, Gateway, Json, Mock, Price, Provider, Route, Tenant, config, unlike
from sdk import Called, Sdk
from upstreams import Recorder

Gemini = PythonGemini | NodeGemini
Claude = PythonClaude | NodeClaude

GEMINI_PRICE = Price("1.250001", "10.000007", "0.125003")
TEXT = "Tell me everything about tolls."
CONTENTS = [{"role": "user", "parts": [{"text": TEXT}]}]
WORDS = "The keeper at the gate"
FUNCTION = {"name": "say", "description": "Says a text.", "parameters": {"type": "OBJECT", "properties": {}}}


@pytest.fixture(scope="module")
def gateway(mock: Mock, upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`gemini` is served in Gemini's dialect, `claude` in Anthropic's, `old` in OpenAI's chats alone."""
    providers = [
        Provider("geminis", mock.base_url, kind="gemini"),
        Provider("geminis-recorder", upstream.base_url, kind="gemini"),
        Provider("claudes", mock.base_url, kind="anthropic"),
        Provider("olds", mock.base_url, kind="deepseek"),
    ]
    routes = [Route("recorded", "geminis-recorder", "upstream/gemini-1", GEMINI_PRICE)]
    for model, provider, price in [
        ("gemini", "geminis", GEMINI_PRICE),
        ("claude", "claudes", CLAUDE_PRICE),
        ("old", "olds", PRICE),
    ]:
        routes += [Route(model, provider, "sim-small", price), Route(f"{model}?*", provider, "sim-small?*", price)]
    with stopping(Gateway(tmp_path_factory.mktemp("gemini"), config(providers, routes))) as running:
        yield running.start()


@pytest.fixture
def tenant(gateway: Gateway) -> Tenant:
    return gateway.tenant()


def ask(model: str = "gemini", **settings: object) -> Json:
    return {"model": model, "contents": CONTENTS} | ({"config": settings} if settings else {})


def check_paid(called: Called, mock: Mock, tenant: Tenant, price: Price = GEMINI_PRICE) -> Json:
    """The call's row agrees with what was told and with the truth, to the nano-dollar."""
    assert called.error is None and called.request_id and called.usage, called.error
    row, truth = tenant.settled_one(), mock.truth_of(called.request_id)
    assert row["request_id"] == called.request_id and not row["estimated"] and row["status"] == "succeeded"
    assert Decimal(row["cost"]) == price.of_truth(truth) > 0
    usage = called.usage
    assert usage["promptTokenCount"] == truth["prompt_tokens"]
    assert usage.get("cachedContentTokenCount", 0) == truth["cached_tokens"] == row["cached_tokens"]
    thoughts = usage.get("thoughtsTokenCount", 0)
    # In a stream Anthropic tells of the thoughts at its beginning alone.
    assert thoughts == truth["reasoning_tokens"] or price == CLAUDE_PRICE
    assert usage["candidatesTokenCount"] + thoughts == truth["completion_tokens"] == row["output_tokens"]
    return row


COUNTS = ["", "?in=1000;cached=40;out=50", "?in=999;reasoning=7;out=20;chunk=3"]


@pytest.mark.parametrize("op", ["generate", "stream"])
@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize(("model", "price"), [("gemini", GEMINI_PRICE), ("claude", CLAUDE_PRICE), ("old", PRICE)])
def test_every_token_is_paid_for(
    gemini: Gemini, mock: Mock, tenant: Tenant, op: str, counts: str, model: str, price: Price
) -> None:
    called = gemini.call(tenant, op, params=ask(model + counts, system_instruction="Be brief."))
    check_paid(called, mock, tenant, price)
    assert called.texts[0].startswith(WORDS)
    assert called.answer["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_versions_are_served(gemini: Gemini, mock: Mock, tenant: Tenant, version: str) -> None:
    check_paid(gemini.call(tenant, "generate", params=ask(), version=version), mock, tenant)


@pytest.mark.parametrize("op", ["generate", "stream"])
@pytest.mark.parametrize("model", ["gemini", "claude", "old"])
def test_a_cap_is_heeded(gemini: Gemini, mock: Mock, tenant: Tenant, op: str, model: str) -> None:
    called = gemini.call(tenant, op, params=ask(f"{model}?out=50", max_output_tokens=5))
    assert called.error is None and called.answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert tenant.settled_one()["output_tokens"] == 5


@pytest.mark.parametrize("op", ["generate", "stream"])
@pytest.mark.parametrize(("model", "price"), [("gemini", GEMINI_PRICE), ("claude", CLAUDE_PRICE)])
def test_functions_are_called(
    gemini: Gemini, mock: Mock, tenant: Tenant, op: str, model: str, price: Price
) -> None:
    calling = {"function_calling_config": {"mode": "ANY"}}
    tools = [{"function_declarations": [FUNCTION]}]
    called = gemini.call(tenant, op, params=ask(model, tools=tools, tool_config=calling))
    check_paid(called, mock, tenant, price)
    if op == "generate":
        call = called.answer["candidates"][0]["content"]["parts"][-1]["functionCall"]
        assert call["name"] == "say" and call["args"]["text"].startswith(WORDS)


def test_a_prompt_is_counted_for_nothing(gemini: Gemini, tenant: Tenant) -> None:
    counted = {model: gemini.call(tenant, "count", params=ask(model)).answer for model in ("gemini", "claude")}
    assert counted["gemini"] == 14
    assert abs(counted["claude"] - counted["gemini"]) <= 5, "the gateway's own count"
    assert tenant.rows() == []


def test_models_are_listed(gemini: Gemini, tenant: Tenant) -> None:
    listed = gemini.call(tenant, "models")
    assert listed.error is None and {"models/gemini", "models/claude"} <= set(listed.answer)
    model = gemini.call(tenant, "model", params={"model": "gemini"}).answer
    assert model["name"] == "models/gemini"
    missing = gemini.call(tenant, "model", params={"model": "nobody"}).error
    assert missing and (missing.status, missing.type) == (404, "NOT_FOUND")


#: What is wrong, and what an application gets: class, status, word and reason.
ERRORS = [
    (ask(max_output_tokens=-1), ("ClientError", 400, "INVALID_ARGUMENT", "INTEGER_BELOW_MIN_VALUE")),
    (ask("nobody"), ("ClientError", 404, "NOT_FOUND", "MODEL_NOT_FOUND")),
    (ask("gemini?fault=400"), ("ClientError", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")),
    (ask("gemini?fault=401"), ("ServerError", 502, "INTERNAL", "PROVIDER_AUTH_FAILED")),
    (ask("gemini?fault=429"), ("ClientError", 429, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED")),
    (ask("gemini?fault=quota"), ("ServerError", 503, "UNAVAILABLE", "PROVIDER_QUOTA_EXHAUSTED")),
    (ask("gemini?fault=500"), ("ServerError", 502, "INTERNAL", "INTERNAL")),
    (ask("gemini?fault=503"), ("ServerError", 503, "UNAVAILABLE", "UNAVAILABLE")),
    (ask("gemini?fault=error_mid"), ("ServerError", 502, "INTERNAL", "INTERNAL")),
    (ask("claude?fault=429"), ("ClientError", 429, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED")),
    (ask("old?fault=500"), ("ServerError", 502, "INTERNAL", "INTERNAL")),
]


@pytest.mark.parametrize(
    ("params", "expected"), ERRORS, ids=lambda value: value["model"] if isinstance(value, dict) else value[3]
)
def test_errors_have_the_sdks_own_classes(
    gemini: Gemini, tenant: Tenant, params: Json, expected: tuple[str, int, str, str]
) -> None:
    error = gemini.call(tenant, "generate", params=params).error
    assert error and error.request_id and error.request_id.startswith("req_")
    name, status, word, reason = expected
    assert (error.status, error.type, error.code) == (status, word, reason), error
    assert error.name in (name, "ApiError")


def test_no_money_is_told_as_google_tells_it(gemini: Gemini, tenant: Tenant) -> None:
    error = gemini.call(tenant.gateway.tenant(granted="0"), "generate", params=ask()).error
    assert error and (error.status, error.type) == (402, "RESOURCE_EXHAUSTED")
    assert error.code == "CREDIT_BALANCE_EXHAUSTED"


def test_an_unknown_key_is_refused(gemini: Gemini, tenant: Tenant) -> None:
    stranger = Tenant(tenant.gateway, tenant.org, tenant.project, tenant.key_id, unlike(tenant.secret))
    error = gemini.call(stranger, "generate", params=ask()).error
    assert error and (error.status, error.type, error.code) == (401, "UNAUTHENTICATED", "INVALID_API_KEY")


@pytest.mark.parametrize(("after", "tps"), [(1, 8), (20, 16)])
def test_a_client_hangs_up_amid_a_stream(gemini: Gemini, mock: Mock, tenant: Tenant, after: int, tps: int) -> None:
    model = f"gemini?tps={tps};out=1000;in=500;cached=20"
    called = gemini.call(tenant, "stream", params=ask(model), cancel_after=after)
    assert called.error is None and called.chunks == after and called.request_id
    row, truth = tenant.settled_one(), mock.truth_of(called.request_id)
    assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", True)
    assert not truth["finished"], "the provider was told to stop"
    # The input is the provider's own count, with what was cached; the output is ours.
    assert abs(row["output_tokens"] - truth["completion_tokens"]) <= 5 and row["output_tokens"] >= after - 2
    assert Decimal(row["cost"]) == GEMINI_PRICE.cost(500, row["output_tokens"], 100)


def test_who_hangs_up_pays_for_what_was_thought(gemini: Gemini, mock: Mock, tenant: Tenant) -> None:
    called = gemini.call(tenant, "stream", params=ask("gemini?tps=16;out=1000;reasoning=300"), cancel_after=5)
    assert called.error is None and called.request_id
    row, truth = tenant.settled_one(), mock.truth_of(called.request_id)
    assert (row["status"], row["estimated"]) == ("cancelled", True)
    assert 300 <= row["output_tokens"] and abs(row["output_tokens"] - truth["completion_tokens"]) <= 5


@pytest.mark.parametrize("model", ["gemini", "claude", "old"])
@pytest.mark.parametrize("fault", ["close_mid", "garbage_mid", "hang_mid", "error_mid"])
def test_a_stream_that_breaks_raises(gemini: Gemini, tenant: Tenant, fault: str, model: str) -> None:
    called = gemini.call(tenant, "stream", params=ask(f"{model}?out=100;fault={fault}"))
    assert called.error and called.error.status in (502, 503, 504), "a broken answer is no answer"
    row = tenant.settled_one()
    assert row["status"] == "failed" and Decimal(row["cost"]) > 0


@pytest.mark.parametrize("op", ["generate", "stream"])
def test_what_the_provider_does_not_count_is_counted_here(gemini: Gemini, tenant: Tenant, op: str) -> None:
    called = gemini.call(tenant, op, params=ask("gemini?out=10;fault=no_usage"))
    assert called.error is None and called.texts[0].startswith(WORDS)
    row = tenant.settled_one()
    assert (row["status"], row["output_tokens"], row["estimated"]) == ("succeeded", 10, True)


@pytest.mark.parametrize("op", ["chat", "stream", "respond", "respond_stream"])
@pytest.mark.parametrize("counts", COUNTS)
def test_openais_callers_reach_geminis_models(sdk: Sdk, mock: Mock, tenant: Tenant, op: str, counts: str) -> None:
    if op.startswith("respond"):
        params: Json = {"model": "gemini" + counts, "input": TEXT, "instructions": "Be brief."}
    else:
        params = {"model": "gemini" + counts, "messages": [{"role": "user", "content": TEXT}]}
    if op == "stream":
        params["stream_options"] = {"include_usage": True}
    called = sdk.call(tenant, op, params=params)
    assert called.error is None and called.request_id and called.usage, called.error
    truth, row = mock.truth_of(called.request_id), tenant.settled_one()
    assert called.texts[0].startswith(WORDS) and not row["estimated"]
    assert Decimal(row["cost"]) == GEMINI_PRICE.of_truth(truth) > 0
    told = ("input_tokens", "output_tokens") if op.startswith("respond") else ("prompt_tokens", "completion_tokens")
    assert [called.usage[name] for name in told] == [truth["prompt_tokens"], truth["completion_tokens"]]


@pytest.mark.parametrize("op", ["message", "stream"])
@pytest.mark.parametrize("counts", COUNTS)
def test_anthropics_callers_reach_geminis_models(
    claude: Claude, mock: Mock, tenant: Tenant, op: str, counts: str
) -> None:
    params = {"model": "gemini" + counts, "max_tokens": 2_000, "messages": [{"role": "user", "content": TEXT}]}
    called = claude.call(tenant, op, params=params)
    assert called.error is None and called.request_id, called.error
    truth, row = mock.truth_of(called.request_id), tenant.settled_one()
    assert called.answer["content"][-1]["text"].startswith(WORDS) and not row["estimated"]
    assert Decimal(row["cost"]) == GEMINI_PRICE.of_truth(truth) > 0
    assert called.usage and called.usage["output_tokens"] == truth["completion_tokens"]


def test_what_cannot_be_said_is_refused_by_name(gemini: Gemini, tenant: Tenant) -> None:
    error = gemini.call(tenant, "generate", params=ask("claude", candidate_count=2)).error
    assert error and (error.status, error.param) == (400, "generationConfig.candidateCount")
    assert tenant.rows() == []


def post(tenant: Tenant, path: str, body: bytes, **headers: str) -> tuple[int, str, bytes]:
    """A call without an SDK and without a key of its own: status, content type and body."""
    answer = HTTP.post(tenant.gateway.url + path, content=body, headers={"content-type": "application/json"} | headers)
    return answer.status_code, answer.headers["content-type"], answer.content


BODY = json.dumps({"contents": CONTENTS}).encode()


@pytest.mark.parametrize("model", ["gemini", "claude"])
def test_a_stream_without_events_is_an_array(mock: Mock, tenant: Tenant, model: str) -> None:
    path = f"/v1beta/models/{model}%3Fout=20:streamGenerateContent"
    answer = HTTP.post(tenant.gateway.url + path, content=BODY, headers={"x-goog-api-key": tenant.secret})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    elements = answer.json()
    assert len(elements) >= 20 and elements[-1]["usageMetadata"]["candidatesTokenCount"] == 20
    said = "".join(part["text"] for one in elements for part in one["candidates"][0]["content"]["parts"])
    assert said.startswith(WORDS) and not tenant.settled_one()["estimated"]


def test_an_array_that_breaks_ends_with_the_error(tenant: Tenant) -> None:
    path = "/v1beta/models/gemini%3Fout=20;fault=close_mid:streamGenerateContent"
    status, _, body = post(tenant, path, BODY, **{"x-goog-api-key": tenant.secret})
    assert status == 200 and json.loads(body)[-1]["error"]["status"] == "INTERNAL"


def test_a_key_in_the_address_works_and_is_nowhere_seen(gateway: Gateway, upstream: Recorder, tenant: Tenant) -> None:
    upstream.says({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3}})
    status, _, answer = post(tenant, f"/v1beta/models/recorded:generateContent?key={tenant.secret}", BODY)
    assert status == 200, answer
    assert tenant.secret not in str(upstream.seen[-1])
    listed = HTTP.get(f"{tenant.gateway.url}/v1/models?key={tenant.secret}").json()
    assert "models/gemini" in [model["name"] for model in listed["models"]]
    for path in ("/v1beta/nothing", "/v1beta/models/recorded:embedContent", "/v1/models/recorded:generateContent/x"):
        status, _, answer = post(tenant, f"{path}?key={tenant.secret}", BODY)
        assert status == 404 and tenant.secret.encode() not in answer
    assert tenant.secret not in gateway.log()


#: Bodies that a parser which builds and writes anew would change: order, spaces, escapes, numbers, unknown members.
BODIES = [
    BODY,
    b'  {"safetySettings" : [ ] ,"contents":[{"parts":[{"text":"\\u00e9\\n\xc3\xa9 \\ud83d\\ude00"}],"role":"user"}] \n}',
    b'{"generationConfig":{"temperature":1.50,"seed":12345678901234567890123,"thinkingConfig":{"thinkingBudget":-1}},'
    b'"x_new":{"b":[1,2.0,{}],"a":null},"contents":[{"parts":[{"text":"hi","x":"/\\/"}]}]}',
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("indent", [None, 3])
def test_bodies_pass_byte_for_byte(tenant: Tenant, upstream: Recorder, body: bytes, indent: int | None) -> None:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 1, "thoughtsTokenCount": 5, "totalTokenCount": 15}
    parts = [{"text": "hi"}]
    answer = json.dumps({"candidates": [{"content": {"parts": parts}}], "usageMetadata": usage}, indent=indent).encode()
    upstream.says(answer, "application/json; charset=UTF-8")
    headers = {"x-goog-api-key": tenant.secret, "x-goog-user-project": "of-the-client"}
    got = post(tenant, "/v1beta/models/recorded:generateContent", body, **headers)
    assert got == (200, "application/json; charset=UTF-8", answer)
    seen = upstream.seen[-1]
    assert seen.line.split()[1] == "/v1/models/upstream%2Fgemini-1:generateContent"
    assert (seen.body, seen.headers["x-goog-api-key"]) == (body, UPSTREAM_KEY)
    assert "authorization" not in seen.headers and "x-goog-user-project" not in seen.headers
    row = tenant.settled_one()
    assert (row["input_tokens"], row["output_tokens"]) == (9, 6)


def test_streams_pass_byte_for_byte(tenant: Tenant, upstream: Recorder) -> None:
    first = b'data: {"candidates": [{"content": {"parts": [{"text": "Hi"}],"role": "model"}}],"x":1.0}\r\n\r\n'
    last = b'data: {"candidates": [{"finishReason": "STOP"}],"usageMetadata": {"promptTokenCount": 9,"candidatesTokenCount": 1}}\r\n\r\n'
    upstream.says(first + last, "text/event-stream")
    path = "/v1beta/models/recorded:streamGenerateContent?alt=sse"
    got = post(tenant, path, BODY, **{"x-goog-api-key": tenant.secret})
    assert got == (200, "text/event-stream", first + last)
    assert upstream.seen[-1].line.split()[1] == "/v1/models/upstream%2Fgemini-1:streamGenerateContent?alt=sse"
    tenant.settled_one()


def test_embeddings_go_a_folder_deeper(gateway: Gateway, upstream: Recorder, tenant: Tenant) -> None:
    upstream.says({"object": "list", "data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    answer = tenant.post("/embeddings", {"model": "recorded", "input": "hi"})
    assert answer.status_code == 200, answer.text
    seen = upstream.seen[-1]
    assert seen.line.split()[1] == "/v1/openai/embeddings"
    assert seen.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"


def test_a_client_of_anthropics_gets_no_count_from_google(claude: Claude, tenant: Tenant) -> None:
    messages = [{"role": "user", "content": TEXT}]
    counted = claude.call(tenant, "count", params={"model": "gemini", "messages": messages})
    assert counted.error is None and counted.answer > 5
