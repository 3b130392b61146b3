"""What goes wrong seldom and costs much: slow ends, locked books, wrong counts, clients that neither read nor leave."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import MakeGateway, stopping
from harness import (
    HTTP,
    SETTINGS,
    UPSTREAM_KEY,
    Gateway,
    Json,
    Mock,
    Provider,
    Route,
    Tenant,
    config,
    environment,
    eventually,
    run,
)
from test_lifecycle import Stream
from upstreams import LOOPBACK, Script, Scripted, scripted

PROMPT = "What does it cost to pass the old bridge?"
ANSWER = "It costs two silver coins."
DONE = b"data: [DONE]\n\n"


def ask(model: str, **more: object) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}


def usage(prompt: int, completion: int) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def event(text: str | None = None, finish: str | None = None, counts: Json | None = None) -> bytes:
    """A chunk of a stream; without text and end it has no choices."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": counts}
    return b"data: %s\n\n" % json.dumps(chunk | {"choices": [choice] if text or finish else []}).encode()


def whole(counts: Json) -> bytes:
    """An answer in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps(answer | {"choices": [choice], "usage": counts}).encode()


#: Counts that no provider can mean.
IMPLAUSIBLE = {"huge": usage(900_000_000_000, 6), "none": usage(12, 0)}

#: More than all the sockets on the way can hold.
FLOOD: Script = [event("toll " * 3000)] * 2000

SCRIPTS: dict[str, Script] = {
    "zero-first": [event(counts=usage(12, 0)), *[event(" toll")] * 20, 10.0],
    "flood": FLOOD,
    "error-only": [b'data: {"error":{"message":"no room","type":"server_error","code":"overloaded"}}\n\n'],
    "late-end": [event(ANSWER), event(finish="stop"), event(counts=usage(12, 6)), DONE, 0.03],
    **{f"whole-{name}": [whole(counts)] for name, counts in IMPLAUSIBLE.items()},
    **{
        f"stream-{name}": [event(ANSWER), event(finish="stop"), event(counts=counts), DONE]
        for name, counts in IMPLAUSIBLE.items()
    },
}


@pytest.fixture(scope="module")
def script() -> Iterator[Scripted]:
    with scripted(SCRIPTS) as running:
        yield running


@pytest.fixture(scope="module")
def scripted_gateway(script: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the scripts."""
    text = config([Provider("scripted", script.base_url)], [Route(name, "scripted", name) for name in SCRIPTS])
    with stopping(Gateway(tmp_path_factory.mktemp("scripted"), text)) as running:
        yield running.start()


def raw(gateway: Gateway, request: bytes, receive: int | None = None) -> socket.socket:
    """A connection that has sent this."""
    address = urlsplit(gateway.url)
    connection = socket.socket()
    if receive:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    connection.settimeout(10)
    connection.connect((address.hostname, address.port))
    connection.sendall(request)
    return connection


def books(gateway: Gateway) -> contextlib.closing[sqlite3.Connection]:
    """The database, as another process sees it."""
    return contextlib.closing(sqlite3.connect(gateway.data / "tollkeeper.db", timeout=5, isolation_level=None))


def test_a_stream_that_outlasts_the_drain_costs_what_was_delivered(mock: Mock, make_gateway: MakeGateway) -> None:
    settings = SETTINGS.replace("[server]", "[server]\ndrain_seconds = 1")
    text = config([Provider("mock", mock.base_url)], [Route("sim?*", "mock", "sim-small?*")], settings)
    gateway = make_gateway(text=text)
    tenant, child = gateway.tenant(), gateway.child
    assert child
    stream = Stream(tenant, "sim?tps=20;out=400")
    child.signal(signal.SIGTERM)
    assert child.wait() == 1, "a call had not ended"
    events = [json.loads(line[6:]) for line in stream.end().splitlines() if line.startswith("data: {")]
    received = sum(bool(choice["delta"].get("content")) for chunk in events for choice in chunk.get("choices", []))
    gateway.start()
    row = tenant.settled_one()
    assert row["status"] in ("cancelled", "failed") and row["estimated"], row
    assert received > 3 and abs(row["output_tokens"] - received) <= 5, (received, row)


def test_frozen_books_stop_their_own_calls_only(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    frozen, other = gateway.tenant(), gateway.tenant()
    gateway.stop()
    freeze = "UPDATE books SET frozen = ? WHERE organization = ?"
    org = bytes.fromhex(frozen.org.removeprefix("org_"))
    with books(gateway) as database:
        assert database.execute(freeze, (1, org)).rowcount == 1
    gateway.start()
    with ThreadPoolExecutor(4) as pool:
        calls = [(who, pool.submit(who.post, "/chat/completions", ask("sim"))) for who in [frozen, other] * 6]
    for who, call in calls:
        answer = call.result()
        if who is other:
            assert answer.status_code == 200, answer.text
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "wallet_frozen"), answer.text
            assert answer.headers["x-should-retry"] == "false"
    other.settled(6)
    assert frozen.rows() == []
    gateway.stop()
    with books(gateway) as database:
        database.execute(freeze, (0, org))


def test_a_settlement_outlives_a_locked_database(mock: Mock, make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    tenant = gateway.tenant()
    with ThreadPoolExecutor(1) as pool, books(gateway) as database:
        call = pool.submit(tenant.post, "/chat/completions", ask("sim?latency_ms=1000"))
        eventually(lambda: Decimal(tenant.balance()["held"]) > 0, "a hold")
        database.execute("BEGIN IMMEDIATE")
        eventually(mock.truth, "the answer of the provider")
        # The time itself is what is tested: longer than the store waits for a lock.
        time.sleep(7)
        assert Decimal(tenant.balance()["held"]) > 0 and tenant.rows() == [], "the lock was in the way"
        database.execute("ROLLBACK")
        answer = call.result(10)
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["status"], row["estimated"]) == ("succeeded", False), (row, answer.text)
    assert (row["input_tokens"], row["output_tokens"]) == (truth["prompt_tokens"], truth["completion_tokens"])


def test_an_abandoned_stream_with_an_early_zero_is_counted_by_us(scripted_gateway: Gateway) -> None:
    tenant = scripted_gateway.tenant()
    with tenant.client().chat.completions.create(**ask("zero-first", stream=True)) as stream:
        for _ in zip(range(10), stream, strict=False):
            pass
    row = tenant.settled_one()
    assert row["estimated"] and 5 <= row["output_tokens"] <= 30, row


@pytest.mark.parametrize("form", ["whole", "stream"])
@pytest.mark.parametrize("name", IMPLAUSIBLE)
def test_implausible_counts_are_not_charged(scripted_gateway: Gateway, form: str, name: str) -> None:
    tenant = scripted_gateway.tenant()
    answer = tenant.post("/chat/completions", ask(f"{form}-{name}", stream=form == "stream"))
    assert answer.status_code == 200 and ANSWER in answer.text, answer.text
    row = tenant.settled_one()
    assert row["estimated"] and 1 <= row["input_tokens"] < 60 and 1 <= row["output_tokens"] < 30, row


def test_a_client_that_stops_reading_is_given_up(scripted_gateway: Gateway) -> None:
    tenant = scripted_gateway.tenant("5000.00")
    body = json.dumps(ask("flood", stream=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.secret}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with raw(scripted_gateway, head.encode() + body, receive=4096) as connection:
        assert connection.recv(12) == b"HTTP/1.1 200"
        eventually(lambda: len(tenant.rows()) == 1, "the settlement", patience=8)
        row = tenant.settled_one()
    assert row["status"] in ("cancelled", "failed") and row["estimated"] and row["output_tokens"] > 0, row


def test_a_body_that_never_comes_holds_nothing_up(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    request = b"POST /admin/v1/organizations HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{}"
    with raw(gateway, request) as answered:
        assert answered.recv(12) == b"HTTP/1.1 401"
        with raw(gateway, request):
            assert gateway.child
            gateway.child.signal(signal.SIGTERM)
            assert gateway.child.process.wait(8) == 0


def test_a_stream_that_is_only_an_error_costs_nothing(scripted_gateway: Gateway) -> None:
    tenant = scripted_gateway.tenant()
    tenant.post("/chat/completions", ask("error-only", stream=True))
    row = tenant.settled_one()
    assert (row["status"], row["cost"], row["output_tokens"]) == ("failed", "0.00", 0), row


def test_streams_that_end_late_share_a_connection(script: Scripted, make_gateway: MakeGateway) -> None:
    gateway = make_gateway(text=config([Provider("s", script.base_url)], [Route("late-end", "s", "late-end")]))
    tenant, before, answered = gateway.tenant(), script.connections, script.answers
    for number in range(6):
        answer = tenant.post("/chat/completions", ask("late-end", stream=True))
        assert answer.text.endswith(DONE.decode()), answer.text
        # The client has its end before the terminator comes; only a call after it can find the connection free.
        eventually(lambda due=answered + number: script.answers > due, "the terminator")
        time.sleep(0.1)
    assert script.connections - before == 1
    assert not any(row["estimated"] for row in tenant.settled(6))


def test_expired_credit_is_not_available(gateway: Gateway) -> None:
    tenant = gateway.tenant("0")
    expires = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    grant = {"organization": tenant.org, "amount": "3.00", "kind": "promo", "expires_at": expires}
    gateway.make("/admin/v1/credits/grants", **grant)

    def available() -> str:
        shown = gateway.cli("credits", "balance", "--json", "--org", tenant.org)
        assert shown.code == 0, shown
        return str(shown.json["available"])

    assert available() == "3.00"
    eventually(lambda: available() == "0.00", "the expiry", patience=5)


def test_the_data_folders_files_are_private(make_gateway: MakeGateway, tmp_path: Path) -> None:
    data = tmp_path / "open" / "data"
    data.mkdir(parents=True)
    data.chmod(0o755)
    gateway = make_gateway("open")
    gateway.tenant()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in data.iterdir() if file.is_file()}
    private = ["tollkeeper.db", "tollkeeper.db-wal", "tollkeeper.db-shm", "operator.key", "key.pepper"]
    assert {name: modes.get(name) for name in private} == dict.fromkeys(private, 0o600)


def test_a_first_start_on_a_taken_port_leaves_no_key(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "tollkeeper.toml"
    file.write_text(config([], []))
    with socket.create_server((LOOPBACK, 0)) as taken:
        listen = f"{LOOPBACK}:{taken.getsockname()[1]}"
        args = ["serve", "--json", "--data", str(data), "--config", str(file), "--listen", listen]
        done = run(*args, env=environment(UPSTREAM_KEY=UPSTREAM_KEY))
    assert done.code == 1 and listen in done.stderr, done
    assert not (data / "operator.key").exists()


@pytest.mark.parametrize(
    ("param", "value", "status"),
    [
        ("service_tier", "priority", 400),
        ("service_tier", "auto", 200),
        ("web_search_options", {}, 400),
    ],
)
def test_what_costs_extra_is_refused(tenant: Tenant, param: str, value: object, status: int) -> None:
    answer = tenant.post("/chat/completions", ask("sim", **{param: value}))
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json()["error"]["param"] == param, answer.text
    tenant.settled(int(status == 200))


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [("HEAD", "/livez", 200, None), ("GET", "/v1/chat/completions", 405, "POST")],
)
def test_methods(gateway: Gateway, method: str, path: str, status: int, allow: str | None) -> None:
    answer = HTTP.request(method, gateway.url + path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow), answer.headers
