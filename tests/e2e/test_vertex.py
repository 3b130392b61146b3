"""Google's Vertex AI: Gemini and Claude there by everybody's official SDKs, and the access tokens that it takes.

The mock checks what a service account signed, the tokens, the paths and the bodies; google-auth checks the mock and us.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from google.auth import jwt
from google.oauth2 import service_account

from claude import NodeClaude, PythonClaude
from conftest import MakeGateway, stopping
from gemini import NodeGemini, PythonGemini
from harness import (
    CLAUDE_PRICE,
    FREE,
    HTTP,
    PRICE,
    Gateway,
    Json,
    Mock,
    Price,
    Provider,
    Route,
    Tenant,
    config,
    environment,
    eventually,
    run,
)
from sdk import Sdk
from test_conversions import TALK, WORDS
from test_conversions import check_paid as check_converted
from test_gemini import CONTENTS, GEMINI_PRICE, check_paid
from test_gemini import ask as content
from test_routing import body as chat
from upstreams import Recorder
from vertex import EMAIL, LOCATION, PROJECT, Account, Judge, Vertex, by_account, judging

Claude = PythonClaude | NodeClaude
Gemini = PythonGemini | NodeGemini

CLAUDE = "claude-sonnet-4-5@20250929"
FOLDER = f"/v1/projects/{PROJECT}/locations/{LOCATION}/publishers"


@pytest.fixture(scope="module")
def account() -> Account:
    return Account()


@pytest.fixture(scope="module")
def judge(mock: Mock, account: Account) -> Iterator[Judge]:
    with judging(mock.base_url, account) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    mock: Mock, upstream: Recorder, judge: Judge, account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("vertex")
    signed = by_account(account.file(folder, "account", judge.token_uri))
    wrong = by_account(account.file(folder, "wrong", judge.token_uri, private=Account().private))
    anthropic = "vertex-anthropic"
    providers = [
        Vertex("geminis", mock.base_url, credential=signed),
        Vertex("h2", mock.base_url, http2=True, credential=signed),
        Vertex("claudes", mock.base_url, kind=anthropic, credential=signed),
        Vertex("machine", mock.base_url),
        Vertex("machine-claudes", mock.base_url, kind=anthropic),
        Vertex("express", mock.base_url, credential='api_key = "env:UPSTREAM_KEY"', place=""),
        Vertex("key", mock.base_url, credential='api_key = "env:UPSTREAM_KEY"'),
        Vertex("wrong", mock.base_url, credential=wrong),
        Vertex("recorder", upstream.base_url, credential=signed),
        Vertex("claudes-recorder", upstream.base_url, kind=anthropic, credential=signed),
        Provider("backup", mock.base_url),
    ]
    routes = [
        Route("gemini", "geminis", "sim-small", GEMINI_PRICE),
        Route("gemini?*", "geminis", "sim-small?*", GEMINI_PRICE),
        Route("claude", "claudes", CLAUDE, CLAUDE_PRICE),
        Route("claude?*", "claudes", CLAUDE + "?*", CLAUDE_PRICE),
        *(Route(name, name, "sim-small", GEMINI_PRICE) for name in ("h2", "machine", "express", "key", "wrong")),
        Route("machine-claudes", "machine-claudes", CLAUDE, CLAUDE_PRICE),
        Route("recorded", "recorder", "gemini-2.5-pro", GEMINI_PRICE),
        Route("recorded-claude", "claudes-recorder", CLAUDE, CLAUDE_PRICE),
    ]
    second = f'{{ provider = "backup", model = "sim-small", price = {PRICE.toml()} }}'
    both = Route("barred", "wrong", "sim-small").toml().removesuffix("]") + f", {second}]"
    strict = Route("strict", "claudes", CLAUDE, CLAUDE_PRICE).toml() + '\nsubstitution = "refuse"'
    text = "\n\n".join([config(providers, routes), both, strict])
    host = mock.base_url.removeprefix("http://").removesuffix("/v1")
    with stopping(Gateway(folder / "gateway", text, {"GCE_METADATA_HOST": host})) as running:
        yield running.start()


@pytest.fixture
def tenant(gateway: Gateway) -> Tenant:
    return gateway.tenant()


COUNTS = ["", "?in=1000;cached=40;out=50", "?in=999;reasoning=7;out=20;chunk=3"]


@pytest.mark.parametrize("op", ["generate", "stream"])
@pytest.mark.parametrize("counts", COUNTS)
def test_content_is_paid_for(gemini: Gemini, mock: Mock, tenant: Tenant, op: str, counts: str) -> None:
    called = gemini.call(tenant, op, params=content("gemini" + counts, system_instruction="Be brief."))
    check_paid(called, mock, tenant, GEMINI_PRICE)
    assert called.texts[0].startswith(WORDS) and called.usage
    assert called.usage["trafficType"] == "ON_DEMAND"


def test_prompts_are_counted_for_nothing(gemini: Gemini, claude: Claude, tenant: Tenant) -> None:
    assert gemini.call(tenant, "count", params=content("gemini")).answer == 14
    params = {"model": "claude", "messages": TALK, "extra_headers": {"anthropic-beta": "not-yet-2026-01-01"}}
    if claude.name == "node":
        del params["extra_headers"]
    counted = claude.call(tenant, "count", params=params)
    assert counted.error is None and counted.answer > 5
    assert tenant.rows() == []


MESSAGES = ["", "?in=1000;cached=40;cache_write=20;cache_write_1h=10;out=50", "?reasoning=7;out=20", "?split=7;out=30"]


@pytest.mark.parametrize("op", ["message", "stream"])
@pytest.mark.parametrize("counts", MESSAGES)
def test_messages_are_paid_for(claude: Claude, mock: Mock, tenant: Tenant, op: str, counts: str) -> None:
    params = {"model": "claude" + counts, "max_tokens": 2_000, "system": "Be brief.", "messages": TALK}
    called = claude.call(tenant, op, params=params)
    truth = check_converted(called, mock, tenant, CLAUDE_PRICE)
    assert truth["model"] == called.answer["model"] == CLAUDE.replace("@", "-")
    assert called.answer["stop_reason"] == "end_turn" and called.answer["content"][-1]["text"].startswith(WORDS)
    written = truth["cache_write_tokens"] + truth["cache_write_1h_tokens"]
    assert called.usage["input_tokens"] == truth["prompt_tokens"] - truth["cached_tokens"] - written
    assert called.usage["output_tokens"] == truth["completion_tokens"]


@pytest.mark.parametrize("op", ["chat", "stream"])
@pytest.mark.parametrize(("model", "price"), [("gemini", GEMINI_PRICE), ("claude", CLAUDE_PRICE)])
def test_chats_are_converted(sdk: Sdk, mock: Mock, tenant: Tenant, op: str, model: str, price: Price) -> None:
    params: Json = {"model": model + "?out=9", "messages": [{"role": "system", "content": "Be brief."}, *TALK]}
    if op == "stream":
        params["stream_options"] = {"include_usage": True}
    called = sdk.call(tenant, op, params=params)
    truth = check_converted(called, mock, tenant, price)
    assert called.texts[0].startswith(WORDS) and called.usage
    assert called.usage["completion_tokens"] == truth["completion_tokens"] == 9


@pytest.mark.parametrize("op", ["respond", "respond_stream"])
@pytest.mark.parametrize(("model", "price"), [("gemini", GEMINI_PRICE), ("claude", CLAUDE_PRICE)])
def test_responses_are_converted(sdk: Sdk, mock: Mock, tenant: Tenant, op: str, model: str, price: Price) -> None:
    called = sdk.call(tenant, op, params={"model": model, "input": "Tell me.", "max_output_tokens": 9})
    check_converted(called, mock, tenant, price)


@pytest.mark.parametrize("op", ["message", "stream"])
def test_either_is_called_in_the_others_words(
    claude: Claude, gemini: Gemini, mock: Mock, gateway: Gateway, op: str
) -> None:
    params = {"model": "gemini", "max_tokens": 99, "messages": TALK}
    tenant = gateway.tenant()
    check_converted(claude.call(tenant, op, params=params), mock, tenant, GEMINI_PRICE)
    tenant = gateway.tenant()
    called = gemini.call(tenant, "generate" if op == "message" else op, params=content("claude"))
    check_paid(called, mock, tenant, CLAUDE_PRICE)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["h2", "machine", "machine-claudes", "express", "key"])
def test_every_credential_is_taken(tenant: Tenant, model: str, streamed: bool) -> None:
    answer = tenant.post("/chat/completions", chat(model, streamed))
    assert answer.status_code == 200, answer.text
    row = tenant.settled_one()
    assert row["provider"] == model and Decimal(row["cost"]) > 0


def test_a_name_with_another_sign_is_no_substitution(tenant: Tenant) -> None:
    answer = tenant.post("/chat/completions", chat("strict", False))
    assert (answer.status_code, answer.json()["model"]) == (200, CLAUDE.replace("@", "-")), answer.text


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("400", 400, None),
        ("401", 502, "provider_auth_failed"),
        ("429", 429, None),
        ("quota", 503, "provider_quota_exhausted"),
        ("500", 502, None),
        ("503", 503, None),
    ],
)
@pytest.mark.parametrize("model", ["gemini", "claude"])
def test_refusals_are_told_as_elsewhere(tenant: Tenant, model: str, fault: str, status: int, code: str | None) -> None:
    answer = tenant.post("/chat/completions", chat(f"{model}?fault={fault};retry_after=0", False))
    assert answer.status_code == status, answer.text
    assert code in (None, answer.json()["error"]["code"]), answer.text
    assert Decimal(tenant.settled_one()["cost"]) == 0


@pytest.mark.parametrize("model", ["gemini", "claude"])
@pytest.mark.parametrize("fault", ["close_mid", "error_mid"])
def test_a_stream_that_breaks_is_an_error(claude: Claude, tenant: Tenant, model: str, fault: str) -> None:
    params = {"model": f"{model}?out=100;fault={fault}", "max_tokens": 200, "messages": TALK}
    assert claude.call(tenant, "stream", params=params).error is not None
    row = tenant.settled_one()
    assert row["status"] == "failed" and Decimal(row["cost"]) > 0


def test_content_goes_out_as_it_came(upstream: Recorder, judge: Judge, tenant: Tenant) -> None:
    upstream.says({"candidates": [], "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}})
    body = b' { "contents":%s , "labels": {"team":"a"},"unknown":[1] }' % json.dumps(CONTENTS).encode()
    url = f"{tenant.gateway.url}/v1beta/models/recorded"
    headers = {"x-goog-api-key": tenant.secret, "content-type": "application/json"}
    for action, line in [
        (":generateContent", ":generateContent"),
        (":streamGenerateContent?alt=sse", ":streamGenerateContent?alt=sse"),
        (":countTokens", ":countTokens"),
    ]:
        HTTP.post(url + action, content=body, headers=headers)
        seen = upstream.seen[-1]
        assert seen.line == f"POST {FOLDER}/google/models/gemini-2.5-pro{line} HTTP/1.1"
        assert seen.body == body
        assert seen.headers["authorization"].removeprefix("Bearer ") in judge.tokens
        assert "x-goog-api-key" not in seen.headers and tenant.secret not in str(seen.headers)


def test_messages_go_out_with_their_version_and_without_their_model(
    upstream: Recorder, judge: Judge, tenant: Tenant
) -> None:
    said = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": CLAUDE, "stop_reason": "end_turn"}
    upstream.says({**said, "input_tokens": 1, "usage": {"input_tokens": 1, "output_tokens": 1}})
    head = {"anthropic-version": "2023-06-01", "anthropic-beta": "context-1m-2025-08-07,x"}
    rest = b'"messages": %s ,"unknown":{"a" : 1}' % json.dumps(TALK).encode()
    version = b'"anthropic_version":"vertex-2023-10-16",'
    model = CLAUDE.encode()
    for path, body, action, sent, beta in [
        ("", b'{"model":"recorded-claude","max_tokens":5,%s}', f"{CLAUDE}:rawPredict", b'{%s"max_tokens":5,%s}', True),
        (
            "",
            b'{"stream":true,"max_tokens":5,%s,"model":"recorded-claude"}',
            f"{CLAUDE}:streamRawPredict",
            b'{%s"stream":true,"max_tokens":5,%s}',
            True,
        ),
        (
            "/count_tokens",
            b'{"model":"recorded-claude",%s}',
            "count-tokens:rawPredict",
            b'{%s"model":"' + model + b'",%s}',
            False,
        ),
    ]:
        tenant.post("/messages" + path, body % rest, head | {"content-type": "application/json"})
        seen = upstream.seen[-1]
        assert seen.line == f"POST {FOLDER}/anthropic/models/{action} HTTP/1.1"
        assert seen.body == sent % (version, rest)
        assert seen.headers["authorization"].removeprefix("Bearer ") in judge.tokens
        assert "anthropic-version" not in seen.headers and "x-api-key" not in seen.headers
        assert seen.headers.get("anthropic-beta") == (head["anthropic-beta"] if beta else None)


def test_google_auth_signs_alike(judge: Judge, account: Account, tenant: Tenant, tmp_path: Path) -> None:
    assert tenant.post("/chat/completions", chat("gemini", False)).status_code == 200
    ours = next(asked for asked in judge.asked if asked["good"])
    file = account.file(tmp_path, "theirs", judge.token_uri)
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    credentials = service_account.Credentials.from_service_account_file(str(file), scopes=scopes)
    theirs = credentials._make_authorization_grant_assertion()
    assert ours["header"] == jwt.decode_header(theirs)
    claims = jwt.decode(theirs, verify=False)
    # google-auth always means Google's endpoint; the file names the same one.
    assert ours["claims"]["aud"] == judge.token_uri and claims.pop("aud") == "https://oauth2.googleapis.com/token"
    assert ours["claims"]["iss"] == EMAIL and abs(ours["claims"]["iat"] - time.time()) < 300
    assert ours["claims"]["exp"] - ours["claims"]["iat"] == claims["exp"] - claims["iat"] == 3_600
    assert {**claims, "iat": 0, "exp": 0} == {
        name: 0 if name in ("iat", "exp") else value for name, value in ours["claims"].items() if name != "aud"
    }


def test_an_account_that_is_refused_is_ours_alone(gateway: Gateway, tenant: Tenant, account: Account, judge: Judge) -> None:
    answer = tenant.post("/chat/completions", chat("wrong", False))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["owner"]) == (502, "provider_auth_failed", "provider")
    assert "doctor" in error["next_step"] and answer.headers["x-should-retry"] == "false"
    # And where there is another target, it has the call.
    moved = tenant.post("/chat/completions", chat("barred", True))
    assert (moved.status_code, moved.headers["x-tollkeeper-target"]) == (200, "backup/sim-small")
    rows = tenant.settled(3)
    assert sorted(row["reason"] for row in rows) == ["complete", "provider_auth_failed", "provider_auth_failed"]
    shown = answer.text + gateway.log()
    assert "invalid_grant: Invalid JWT Signature." in gateway.log()
    secrets = [*account.private.splitlines()[1:-1], *judge.tokens, *(asked["assertion"] for asked in judge.asked)]
    for secret in filter(None, secrets):
        assert secret not in shown and secret.rpartition(".")[2] not in shown


def test_what_vertex_has_not_is_refused_by_name(tenant: Tenant) -> None:
    answer = tenant.post("/embeddings", {"model": "gemini", "input": "x"})
    assert answer.status_code in (400, 404) and "gemini" in answer.text
    assert tenant.rows() == []


# Tokens: each gateway below has an endpoint of its own, whose tokens are short.


def own(make_gateway: MakeGateway, judge: Judge, mock: Mock, folder: Path) -> Gateway:
    signed = by_account(judge.account.file(folder, "own", judge.token_uri))
    providers = [Vertex("geminis", mock.base_url, credential=signed)]
    return make_gateway(text=config(providers, [Route("gemini", "geminis", "sim-small", GEMINI_PRICE)]))


def test_one_token_is_had_for_all(make_gateway: MakeGateway, mock: Mock, account: Account, tmp_path: Path) -> None:
    with judging(mock.base_url, account) as judge:
        tenant = own(make_gateway, judge, mock, tmp_path).tenant()
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: tenant.post("/chat/completions", chat("gemini", False)), range(32)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(judge.asked) == 1 and judge.errors == []
        tenant.settled(32)


def test_a_token_is_renewed_before_it_ends(make_gateway: MakeGateway, mock: Mock, account: Account, tmp_path: Path) -> None:
    with judging(mock.base_url, account, life=8) as judge:
        tenant = own(make_gateway, judge, mock, tmp_path).tenant()
        began, calls = time.monotonic(), 0
        # The mock refuses a token that has ended, so that a renewal which comes too late would be seen.
        while len(judge.tokens) < 3:
            assert time.monotonic() - began < 60
            answer = tenant.post("/chat/completions", chat("gemini", False))
            assert answer.status_code == 200, answer.text
            calls += 1
            time.sleep(0.05)
        # Two lives, but for the quarter in which the next one was had.
        assert time.monotonic() - began > 11
        assert len(set(judge.tokens)) == 3 and judge.errors == []
        tenant.settled(calls)


def test_a_renewal_that_fails_costs_nobody_a_call_while_the_token_lives(
    make_gateway: MakeGateway, mock: Mock, account: Account, tmp_path: Path
) -> None:
    with judging(mock.base_url, account, life=12) as judge:
        tenant = own(make_gateway, judge, mock, tmp_path).tenant()
        assert tenant.post("/chat/completions", chat("gemini", False)).status_code == 200
        had = time.monotonic()
        judge.fails = (503, {"error": "temporarily_unavailable"})
        while time.monotonic() - had < 10.5:
            assert tenant.post("/chat/completions", chat("gemini", False)).status_code == 200
            time.sleep(0.25)
        assert 2 <= len(judge.asked) <= 3, "one try in five seconds"
        time.sleep(max(0.0, had + 12.5 - time.monotonic()))
        refused = tenant.post("/chat/completions", chat("gemini", False))
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "provider_auth_failed"), refused.text
        assert "temporarily_unavailable" in tenant.gateway.log()
        # It is well again by itself when the endpoint is.
        judge.fails = None
        eventually(
            lambda: tenant.post("/chat/completions", chat("gemini", False)).status_code == 200, "another token", 60
        )


def test_a_call_does_not_wait_for_a_renewal(make_gateway: MakeGateway, mock: Mock, account: Account, tmp_path: Path) -> None:
    with judging(mock.base_url, account, life=24) as judge:
        tenant = own(make_gateway, judge, mock, tmp_path).tenant()
        assert tenant.post("/chat/completions", chat("gemini", False)).status_code == 200
        had = time.monotonic()
        judge.fails = 8.0
        time.sleep(18.5)
        began = time.monotonic()
        assert tenant.post("/chat/completions", chat("gemini", False)).status_code == 200
        assert time.monotonic() - began < 5 and time.monotonic() - had < 24
        eventually(lambda: len(judge.asked) == 2, "the renewal")


def test_the_doctor_tells_why_there_is_no_token(mock: Mock, account: Account, tmp_path: Path) -> None:
    host = mock.base_url.removeprefix("http://").removesuffix("/v1")

    def checks(credential: str, kind: str = "vertex", place: str = Vertex.place, metadata: str = host) -> dict[str, Json]:
        file = tmp_path / "tollkeeper.toml"
        providers = [Vertex("google", mock.base_url, kind=kind, credential=credential, place=place)]
        file.write_text(config(providers, [Route("m", "google", CLAUDE, FREE)]))
        args = ["doctor", "--json", "--live", "--data", str(tmp_path), "--config", str(file)]
        done = run(*args, env=environment(UPSTREAM_KEY="sk", GCE_METADATA_HOST=metadata))
        assert "PRIVATE" not in done.stdout + done.stderr
        return {check["check"]: check for check in done.json["checks"]}

    with judging(mock.base_url, account) as judge:
        good = by_account(account.file(tmp_path, "good", judge.token_uri))
        for credential, kind, place in [
            (good, "vertex", Vertex.place),
            (good, "vertex-anthropic", Vertex.place),
            ('credential = "metadata"', "vertex", Vertex.place),
            ('api_key = "env:UPSTREAM_KEY"', "vertex", ""),
        ]:
            found = checks(credential, kind, place)
            assert found["provider google"]["ok"] and found[f"live call to google/{CLAUDE}"]["ok"], found
        wrong = by_account(account.file(tmp_path, "wrong", judge.token_uri, private=Account().private))
        found = checks(wrong)
        assert "Invalid JWT Signature" in found["provider google"]["message"], found
        assert "service_account" in found["provider google"]["next_step"]
        assert not found[f"live call to google/{CLAUDE}"]["ok"]
        judge.fails = (400, {"error": "invalid_grant", "error_description": "Invalid grant: account not found"})
        assert "account not found" in checks(good)["provider google"]["message"]
        judge.fails = (200, {"access_token": "ya29.not-of-the-mock", "expires_in": 3599})
        found = checks(good)["provider google"]
        assert "refuses the credential with status 401" in found["message"] and "roles/aiplatform.user" in found["next_step"]
    found = checks(good)["provider google"]
    assert "no access token could be had from http://127.0.0.1" in found["message"], found
    found = checks('credential = "metadata"', metadata="127.0.0.1:1")["provider google"]
    assert not found["ok"] and "machine of Google's" in found["next_step"], found
