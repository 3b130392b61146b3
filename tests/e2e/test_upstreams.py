"""Ways to a provider: HTTP/2 without TLS, TLS with and without HTTP/2, and a certificate nobody knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import MakeGateway
from harness import HTTP, SETTINGS, Json, Mock, Provider, Route, Tenant, config
from sdk import Sdk
from upstreams import Recorder, tls

MESSAGES = [{"role": "user", "content": "hi"}]


def ask(model: str) -> Json:
    return {"model": model, "messages": MESSAGES}


#: Shaking hands takes work on both sides, which a busy machine does late; no wait is what these tests are about.
PATIENT = SETTINGS.replace("connect_ms = 400", "connect_ms = 10000")


@pytest.mark.parametrize("op", ["chat", "stream"])
@pytest.mark.parametrize("model", ["h2?out=16", "h2?split=5;out=16", "h2?tps=500;out=16"])
def test_http2_without_tls(sdk: Sdk, tenant: Tenant, op: str, model: str) -> None:
    called = sdk.call(tenant, op, params=ask(model))
    assert called.error is None and called.texts[0].startswith("The keeper")
    row = tenant.settled_one()
    assert (row["provider"], row["status"], row["estimated"], row["output_tokens"]) == ("h2", "succeeded", False, 16)


@pytest.mark.parametrize(
    ("op", "fault", "reason"),
    [
        ("chat", "close", "upstream_closed"),
        ("chat", "hang", "upstream_timeout"),
        ("stream", "close_mid", "upstream_closed"),
        ("stream", "hang_mid", "upstream_idle_timeout"),
    ],
)
def test_faults_over_http2(sdk: Sdk, tenant: Tenant, op: str, fault: str, reason: str) -> None:
    called = sdk.call(tenant, op, params=ask(f"h2?fault={fault}"))
    assert called.error and called.error.code == reason
    assert (tenant.settled_one()["status"], tenant.settled_one()["reason"]) == ("failed", reason)


def test_many_calls_share_connections_of_http2(tenant: Tenant) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: tenant.post("/chat/completions", ask("h2?latency_ms=50")), range(128)))
    assert {answer.status_code for answer in answers} == {200}
    tenant.settled(128)


def test_a_slow_reader_of_http2_hurts_nobody(tenant: Tenant) -> None:
    """Small pieces that nobody reads wait on the connection that other calls share."""
    body = ask("h2?out=4000;split=100") | {"stream": True, "max_tokens": 4000}
    headers = {"authorization": f"Bearer {tenant.secret}"}
    with HTTP.stream("POST", tenant.gateway.base_url + "/chat/completions", json=body, headers=headers) as slow:
        statuses = [tenant.post("/chat/completions", ask("h2?out=16")).status_code for _ in range(20)]
        assert statuses == [200] * 20
        assert slow.read().endswith(b"data: [DONE]\n\n")
    assert {row["status"] for row in tenant.settled(21)} == {"succeeded"}


def test_http2_speaks_first_where_it_is_configured(make_gateway: MakeGateway, upstream: Recorder) -> None:
    text = config([Provider("h2", upstream.base_url, http2=True)], [Route("any", "h2", "any")])
    tenant = make_gateway(text=text).tenant()
    upstream.says(b"this is no HTTP/2")
    assert tenant.post("/chat/completions", ask("any")).status_code in (502, 504)
    assert upstream.seen[-1].line == "PRI * HTTP/2.0"
    tenant.settled_one()


@pytest.mark.parametrize(("offered", "agreed"), [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2"), ([], None)])
def test_tls(
    make_gateway: MakeGateway, sdk: Sdk, mock: Mock, tmp_path: Path, offered: list[str], agreed: str | None
) -> None:
    authority = tmp_path / "authority.pem"
    with tls(mock.base_url, authority, offered) as terminator:
        text = config([Provider("tls", terminator.base_url)], [Route("sim", "tls", "sim-small")], PATIENT)
        tenant = make_gateway(text=text, SSL_CERT_FILE=str(authority)).tenant()
        for op in ["chat", "stream"]:
            assert sdk.call(tenant, op, params=ask("sim")).error is None
        assert [row["status"] for row in tenant.settled(2)] == ["succeeded"] * 2
        assert terminator.agreed and set(terminator.agreed) == {agreed}


def test_an_unknown_certificate_is_refused(make_gateway: MakeGateway, mock: Mock, tmp_path: Path) -> None:
    with tls(mock.base_url, tmp_path / "authority.pem", ["http/1.1"]) as terminator:
        text = config([Provider("tls", terminator.base_url)], [Route("sim", "tls", "sim-small")], PATIENT)
        tenant = make_gateway(text=text).tenant()
        answer = tenant.post("/chat/completions", ask("sim"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
        assert tenant.settled_one()["status"] == "failed"
