"""Amazon Bedrock: the official SDKs call models that speak Converse alone, signed and by key, and what it costs is right.

The mock checks signatures, and botocore's own signer and its reader of event streams check the mock.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from unittest import mock as patching

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer

from claude import NodeClaude, PythonClaude
from conftest import stopping
from harness import (
    CLAUDE_PRICE,
    FREE,
    HTTP,
    PRICE,
    Gateway,
    Json,
    Mock,
    Provider,
    Route,
    Tenant,
    config,
    environment,
    run,
)
from sdk import Sdk
from test_conversions import CHAT_TOOL, TALK, TOOL, WORDS, check_paid
from test_routing import ROUTING, TABLE, Row
from test_routing import body as ask
from upstreams import Recorder

Claude = PythonClaude | NodeClaude

REGION = "eu-west-1"
#: The access key that the mock knows, and others.
KEYS = {
    "AWS_ID": "SIMULATED",
    "AWS_SECRET": "simulated",
    "AWS_TOKEN": "a/session+token==",
    "AWS_WRONG": "t00-secret-for-logs",
}
MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


@dataclass(frozen=True)
class Bedrock(Provider):
    """A provider of Amazon's."""

    kind: str = "bedrock"
    credential: str = 'api_key = "env:UPSTREAM_KEY"'

    def toml(self) -> str:
        return super().toml().replace('api_key = "env:UPSTREAM_KEY"', f'region = "{REGION}"\n{self.credential}')


def signing(secret: str = "AWS_SECRET", token: bool = False) -> str:
    lines = ['access_key_id = "env:AWS_ID"', f'secret_access_key = "env:{secret}"']
    return "\n".join(lines + ['session_token = "env:AWS_TOKEN"'] * token)


@pytest.fixture(scope="module")
def gateway(mock: Mock, upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    providers = [
        Bedrock("aws", mock.base_url, credential=signing()),
        Bedrock("session", mock.base_url, credential=signing(token=True)),
        Bedrock("h2", mock.base_url, http2=True, credential=signing()),
        Bedrock("key", mock.base_url),
        Bedrock("wrong", mock.base_url, credential=signing("AWS_WRONG")),
        Bedrock("recorder", upstream.base_url.removesuffix("/v1"), credential=signing(token=True)),
        Provider("backup", mock.base_url),
    ]
    second = f'{{ provider = "backup", model = "sim-small", price = {PRICE.toml()} }}'
    routes = [
        Route("claude", "aws", MODEL, CLAUDE_PRICE),
        Route("claude?*", "aws", MODEL + "?*", CLAUDE_PRICE),
        *(Route(name, name, "sim/small:1", CLAUDE_PRICE) for name in ("session", "h2", "key", "wrong", "recorder")),
        Route("alone?*", "aws", "sim-small?*"),
    ]
    firsts = [Route("both?*", "aws", "sim-small?*"), Route("barred", "wrong", "sim-small")]
    both = [route.toml().removesuffix("]") + f", {second}]" for route in firsts]
    text = "\n\n".join([config(providers, routes, ROUTING), *both])
    with stopping(Gateway(tmp_path_factory.mktemp("bedrock"), text, KEYS)) as running:
        yield running.start()


@pytest.fixture
def tenant(gateway: Gateway) -> Tenant:
    return gateway.tenant()


#: Plain; read from and written to the cache; with a thought; and in pieces that end amid a frame.
COUNTS = ["", "?in=1000;cached=40;cache_write=20;cache_write_1h=10;out=50", "?reasoning=7;out=20", "?split=7;out=30"]


@pytest.mark.parametrize("op", ["chat", "stream"])
@pytest.mark.parametrize("counts", COUNTS)
def test_chats(sdk: Sdk, mock: Mock, tenant: Tenant, op: str, counts: str) -> None:
    params: Json = {"model": "claude" + counts, "messages": [{"role": "system", "content": "Be brief."}, *TALK]}
    if op == "stream":
        params["stream_options"] = {"include_usage": True}
    called = sdk.call(tenant, op, params=params)
    truth = check_paid(called, mock, tenant, CLAUDE_PRICE)
    assert truth["model"] == MODEL and truth["stream"] == (op == "stream")
    assert called.texts[0].startswith(WORDS) and called.usage
    assert called.usage["prompt_tokens"] == truth["prompt_tokens"]
    assert called.usage["completion_tokens"] == truth["completion_tokens"]
    assert called.usage["prompt_tokens_details"]["cached_tokens"] == truth["cached_tokens"]


@pytest.mark.parametrize("op", ["respond", "respond_stream"])
def test_responses(sdk: Sdk, mock: Mock, tenant: Tenant, op: str) -> None:
    params: Json = {"model": "claude?out=9", "input": TALK[0]["content"], "instructions": "Be brief."}
    called = sdk.call(tenant, op, params=params)
    truth = check_paid(called, mock, tenant, CLAUDE_PRICE)
    assert called.texts[0].startswith(WORDS) and called.usage
    assert (called.usage["input_tokens"], called.usage["output_tokens"]) == (truth["prompt_tokens"], 9)


@pytest.mark.parametrize("op", ["message", "stream"])
@pytest.mark.parametrize("counts", COUNTS)
def test_messages(claude: Claude, mock: Mock, tenant: Tenant, op: str, counts: str) -> None:
    params = {"model": "claude" + counts, "max_tokens": 2_000, "system": "Be brief.", "messages": TALK}
    called = claude.call(tenant, op, params=params)
    truth = check_paid(called, mock, tenant, CLAUDE_PRICE)
    assert called.answer["stop_reason"] == "end_turn" and called.answer["content"][-1]["text"].startswith(WORDS)
    written = truth["cache_write_tokens"] + truth["cache_write_1h_tokens"]
    assert called.usage["input_tokens"] == truth["prompt_tokens"] - truth["cached_tokens"] - written
    assert called.usage["cache_read_input_tokens"] == truth["cached_tokens"]
    assert called.usage["cache_creation_input_tokens"] == written
    assert called.usage["output_tokens"] == truth["completion_tokens"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["session", "h2", "key"])
def test_every_credential_is_taken(mock: Mock, tenant: Tenant, model: str, streamed: bool) -> None:
    answer = tenant.post("/chat/completions", ask(model, streamed))
    assert answer.status_code == 200, answer.text
    row = tenant.settled_one()
    assert Decimal(row["cost"]) == CLAUDE_PRICE.of_truth(mock.truth_of(row["request_id"])) > 0
    assert row["target"] == f"{model}/sim/small:1"


def test_tools_are_called(tenant: Tenant) -> None:
    client = tenant.client()
    params: Json = {"model": "claude", "messages": TALK, "tools": [CHAT_TOOL], "tool_choice": "required"}
    answer = client.chat.completions.create(**params)
    choice = answer.choices[0]
    called = choice.message.tool_calls[0]
    assert choice.finish_reason == "tool_calls" and called.function.name == "say"
    assert json.loads(called.function.arguments)["text"].startswith(WORDS)
    # And the next turn, with what the tool said.
    result = {"role": "tool", "tool_call_id": called.id, "content": "said"}
    turn = [*TALK, choice.message.model_dump(exclude_none=True), result]
    again = client.chat.completions.create(**{**params, "messages": turn, "tool_choice": "auto"})
    assert again.choices[0].message.content and again.choices[0].finish_reason == "stop"
    assert [row["status"] for row in tenant.settled(2)] == ["succeeded"] * 2


@pytest.mark.parametrize("op", ["message", "stream"])
def test_tools_are_used(claude: Claude, tenant: Tenant, op: str) -> None:
    params = {"model": "claude", "max_tokens": 99, "messages": TALK, "tools": [TOOL], "tool_choice": {"type": "any"}}
    called = claude.call(tenant, op, params=params)
    assert called.error is None and called.answer["stop_reason"] == "tool_use"
    used = called.answer["content"][-1]
    assert used["name"] == "say" and used["input"]["text"].startswith(WORDS)


@pytest.mark.parametrize("fallback", [False, True], ids=["alone", "fallback"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.fault)
def test_faults(gateway: Gateway, row: Row, streamed: bool, fallback: bool) -> None:
    tenant = gateway.tenant()
    model = f"{'both' if fallback else 'alone'}?fault={row.fault};after=3;out=8;retry_after=0"
    answer = tenant.post("/chat/completions", ask(model, streamed))
    (status, reason), again = (row.streamed, row.again[1]) if streamed else (row.whole, row.again[0])
    moved = fallback and again
    rows = sorted(tenant.settled(2 if moved else 1), key=lambda line: line["attempt"])
    first, last = rows[0], rows[-1]
    assert (first["reason"], first["provider"]) == (reason, "aws")
    if moved:
        assert (answer.status_code, last["status"], last["target"]) == (200, "succeeded", "backup/sim-small")
        assert (first["status"], Decimal(first["cost"])) == ("failed", 0)
    else:
        assert (answer.status_code, last["status"]) == (status, "succeeded" if reason == "complete" else "failed")
    if streamed and answer.status_code == 200:
        assert answer.text.count("data: [DONE]") == int(last["status"] == "succeeded")
        assert answer.text.count('"error"') == int(last["status"] != "succeeded")
    balance = tenant.balance()
    charged = sum((Decimal(line["cost"]) for line in rows), Decimal(0))
    assert (Decimal(balance["held"]), Decimal("5.00") - Decimal(balance["available"])) == (0, charged)


@pytest.mark.parametrize("fault", ["error_mid", "close_mid"])
def test_broken_streams_are_errors_to_every_client(sdk: Sdk, claude: Claude, tenant: Tenant, fault: str) -> None:
    model = f"claude?fault={fault}"
    for called in (
        sdk.call(tenant, "stream", params={"model": model, "messages": TALK}),
        sdk.call(tenant, "respond_stream", params={"model": model, "input": "x"}),
        claude.call(tenant, "stream", params={"model": model, "max_tokens": 99, "messages": TALK}),
    ):
        assert called.error is not None, called


def test_who_leaves_pays_for_what_came(sdk: Sdk, mock: Mock, tenant: Tenant) -> None:
    called = sdk.call(tenant, "stream", params={"model": "claude?out=400;tps=200", "messages": TALK}, cancel_after=5)
    assert called.request_id
    row = tenant.settled_one()
    assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", True)
    assert Decimal(0) < Decimal(row["cost"]) <= CLAUDE_PRICE.of_truth(mock.truth_of(called.request_id)) * 2


def test_a_credential_that_is_refused_is_ours_alone(gateway: Gateway, tenant: Tenant) -> None:
    answer = tenant.post("/chat/completions", ask("wrong", False))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["owner"]) == (502, "provider_auth_failed", "provider")
    # And where there is another target, it has the call.
    moved = tenant.post("/chat/completions", ask("barred", False))
    assert (moved.status_code, moved.headers["x-tollkeeper-target"]) == (200, "backup/sim-small")
    tenant.settled(3)
    assert gateway.child
    shown = answer.text + gateway.child.log.read_text()
    for secret in (*KEYS.values(), "AWS4-HMAC"):
        assert secret == "simulated" or secret not in shown, secret


def test_what_converse_cannot_say_is_refused_by_name(tenant: Tenant) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    answer = tenant.post("/chat/completions", {"model": "claude", "messages": [{"role": "user", "content": parts}]})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "messages[0].content[0]", answer.text
    assert tenant.post("/embeddings", {"model": "claude", "input": "x"}).status_code in (400, 404)
    assert tenant.rows() == []


def test_botocore_signs_alike(upstream: Recorder, tenant: Tenant) -> None:
    said = {"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn"}
    for content in ("plain", "Grüße, 世界", "x" * 20_000):
        upstream.says({**said, "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}})
        body = {"model": "recorder", "messages": [{"role": "user", "content": content}]}
        assert tenant.post("/chat/completions", body).status_code == 200
        seen = upstream.seen[-1]
        assert seen.line == "POST /model/sim%2Fsmall%3A1/converse HTTP/1.1"
        assert json.loads(seen.body)["messages"] == [{"role": "user", "content": [{"text": content}]}]
        url = f"http://{seen.headers['host']}{seen.line.split()[1]}"
        request = AWSRequest("POST", url, {"content-type": seen.headers["content-type"]}, seen.body)
        moment = datetime.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        assert abs((datetime.now(UTC).replace(tzinfo=None) - moment).total_seconds()) < 300
        credentials = Credentials(KEYS["AWS_ID"], KEYS["AWS_SECRET"], KEYS["AWS_TOKEN"])
        with patching.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: moment):
            botocore.auth.SigV4Auth(credentials, "bedrock", REGION).add_auth(request)
        for name in ("authorization", "x-amz-date", "x-amz-security-token"):
            assert seen.headers[name] == request.headers[name], name


def test_botocore_reads_what_the_mock_streams(mock: Mock) -> None:
    headers = {"authorization": "Bearer any"}
    url = f"{mock.base_url}/model/sim%3Fout=5;reasoning=1/converse-stream"
    answer = HTTP.post(url, headers=headers, json={"messages": [{"role": "user", "content": [{"text": "hi"}]}]})
    buffer = EventStreamBuffer()
    buffer.add_data(answer.content)
    events = list(buffer)
    names = [event.headers[":event-type"] for event in events]
    assert (names[0], names[-2:]) == ("messageStart", ["messageStop", "metadata"])
    assert json.loads(events[-1].payload)["usage"]["outputTokens"] == 5


def test_an_image_in_the_request_goes_along(upstream: Recorder, tenant: Tenant) -> None:
    picture = base64.b64encode(b"not really a picture").decode()
    said = {"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "max_tokens"}
    upstream.says({**said, "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}})
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}]
    body = {"model": "recorder", "messages": [{"role": "user", "content": parts}], "max_tokens": 1}
    answer = tenant.post("/chat/completions", body)
    assert answer.json()["choices"][0]["finish_reason"] == "length", answer.text
    sent = json.loads(upstream.seen[-1].body)
    assert sent["messages"][0]["content"] == [{"image": {"format": "png", "source": {"bytes": picture}}}]
    assert sent["inferenceConfig"] == {"maxTokens": 1}


def test_the_doctor_tells_whether_the_credential_is_taken(gateway: Gateway, mock: Mock, tmp_path: Path) -> None:
    def checks(credential: str) -> dict[str, Json]:
        file = tmp_path / "tollkeeper.toml"
        providers = [Bedrock("aws", mock.base_url, credential=credential)]
        file.write_text(config(providers, [Route("claude", "aws", "sim-small", FREE)]))
        args = ["doctor", "--json", "--live", "--data", str(gateway.data), "--config", str(file)]
        done = run(*args, env=environment(UPSTREAM_KEY="sk", **KEYS))
        assert "t00-secret" not in done.stdout + done.stderr
        return {check["check"]: check for check in done.json["checks"]}

    for credential in (signing(), signing(token=True), 'api_key = "env:UPSTREAM_KEY"'):
        found = checks(credential)
        assert found["provider aws"]["ok"] and found["live call to aws/sim-small"]["ok"], found
    found = checks(signing("AWS_WRONG"))
    assert not found["provider aws"]["ok"] and "clock" in found["provider aws"]["next_step"]
    assert not found["live call to aws/sim-small"]["ok"]


def test_a_route_is_explained(gateway: Gateway) -> None:
    shown = gateway.cli("route", "explain", "both?out=1", "--json").json
    targets = [(target["target"], target["place"], target["circuit"]) for target in shown["targets"]]
    assert targets == [("aws/sim-small?out=1", 1, "closed"), ("backup/sim-small", 2, "closed")]
