"""Starting, stopping, dying and starting again: what was booked stays booked, what runs ends whole."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import httpx2 as httpx
import pytest

from conftest import MakeGateway
from harness import BINARY, HTTP, UPSTREAM_KEY, Child, Gateway, Json, Tenant, environment, eventually, run
from sdk import Sdk

PROMPT = "A secret that no log may hold: xyzzy"
#: Long enough to be cut by whatever happens meanwhile: a second and a half.
LONG = "sim?tps=40;out=60"


def ask(model: str = "sim", **more: object) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}


class Stream:
    """A stream that is read in a thread while other things happen."""

    def __init__(self, tenant: Tenant, model: str = LONG) -> None:
        self.text, self.begun = "", threading.Event()
        self.thread = threading.Thread(target=self.read, args=(tenant, ask(model, stream=True)))
        self.thread.start()
        assert self.begun.wait(10)

    def read(self, tenant: Tenant, body: Json) -> None:
        headers = {"authorization": f"Bearer {tenant.secret}"}
        url = tenant.gateway.base_url + "/chat/completions"
        with (
            contextlib.suppress(httpx.RemoteProtocolError),
            HTTP.stream("POST", url, json=body, headers=headers) as answer,
        ):
            for text in answer.iter_text():
                self.text += text
                if self.text.count("\n\n") >= 3:
                    self.begun.set()

    def end(self) -> str:
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.text


def status(url: str) -> int:
    return HTTP.get(url).status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_shutdown_drains(make_gateway: MakeGateway, number: int) -> None:
    gateway = make_gateway()
    tenant, child = gateway.tenant(), gateway.child
    assert child and [status(gateway.url + path) for path in ["/livez", "/readyz"]] == [200, 200]
    stream = Stream(tenant)
    child.signal(number)
    eventually(lambda: status(gateway.url + "/readyz") == 503, "readiness to fail")
    assert status(gateway.url + "/livez") == 200
    refused = tenant.post("/chat/completions", ask())
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    assert stream.end().endswith("data: [DONE]\n\n"), "a running stream ends whole"
    assert child.wait() == 0
    gateway.start()
    row = tenant.settled_one()
    assert (row["status"], row["output_tokens"], row["estimated"]) == ("succeeded", 60, False)


def test_an_idle_gateway_stops_at_once_whoever_is_connected(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    # The pool of the client keeps a connection open.
    assert status(gateway.url + "/livez") == 200 and gateway.child
    gateway.child.signal(signal.SIGTERM)
    assert gateway.child.process.wait(3) == 0


def test_a_second_signal_stops_at_once(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    tenant, child = gateway.tenant(), gateway.child
    assert child
    stream = Stream(tenant, "sim?tps=5;out=100")
    child.signal(signal.SIGINT)
    eventually(lambda: status(gateway.url + "/readyz") == 503, "the drain to begin")
    child.signal(signal.SIGINT)
    assert child.wait() == 1, "some calls had not ended"
    assert "[DONE]" not in stream.end()
    gateway.start()
    row = tenant.settled_one()
    assert row["status"] in ("cancelled", "failed") and row["estimated"]


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_crash_loses_nothing(make_gateway: MakeGateway, durability: str) -> None:
    gateway = make_gateway()
    gateway.stop()
    gateway.config = f'ledger.durability = "{durability}"\n{gateway.config}'
    tenant = gateway.start().tenant()
    whole = [tenant.post("/chat/completions", ask()) for _ in range(3)]
    booked = tenant.settled(3)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(tenant.post, "/chat/completions", ask("sim?latency_ms=1200"))
        eventually(lambda: Decimal(tenant.balance()["held"]) > 0, "a hold")
        gateway.kill()
        assert stuck.exception(10)
    assert gateway.verify().json["holds"] == 1, "the hold was durable before anything was sent"
    gateway.start()
    rows = tenant.settled(4)
    assert rows[1:] == booked and {row["request_id"] for row in booked} == {a.headers["x-request-id"] for a in whole}
    assert (rows[0]["status"], rows[0]["reason"], rows[0]["estimated"]) == ("failed", "gateway_restarted", True)
    assert tenant.post("/chat/completions", ask()).status_code == 200, "the key works as before"
    tenant.settled(5)


def test_sdks_bridge_a_restart(make_gateway: MakeGateway, sdk: Sdk) -> None:
    gateway = make_gateway()
    tenant = gateway.tenant()
    gateway.stop()
    alone = sdk.call(tenant, "chat", params=ask())
    assert alone.error and alone.error.name == "APIConnectionError"
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(sdk.call, tenant, "chat", params=ask(), max_retries=6)
        gateway.start()
        assert call.result(20).error is None, "a refused connection is tried again"
    tenant.settled_one()


def test_secrets_and_prompts_stay_out_of_logs_and_metrics(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    tenant = gateway.tenant()
    for model in ["sim", "sim?fault=500", "sim?fault=garbage", "sim?fault=401", "none"]:
        tenant.post("/chat/completions", ask(model, user="somebody@example.com"))
    tenant.post("/chat/completions", b'{"model": "' + PROMPT.encode())
    tenant.settled(4)
    page = HTTP.get(gateway.url + "/metrics").text
    assert 'outcome="ok"' in page and page.endswith("# EOF\n")
    gateway.stop()
    for line in gateway.log().splitlines():
        json.loads(line)
    for secret in [tenant.secret, gateway.operator_key, UPSTREAM_KEY, "xyzzy", "example.com"]:
        assert secret not in gateway.log() and secret not in page, secret


def test_the_operator_key_may_come_from_the_environment(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(TOLLKEEPER_OPERATOR_KEY="an-operator-chose-this-key")
    assert gateway.child and "operator_key" not in gateway.child.ready
    gateway.operator_key = "an-operator-chose-this-key"
    assert gateway.tenant().org
    gateway.stop()
    gateway.env = {"TOLLKEEPER_OPERATOR_KEY": "another-key-at-a-later-start"}
    gateway.start()
    assert gateway.tenant().org, "the first start's key stays"


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def demo(folder: Path, log: Path) -> Child:
    return Child(["demo", "--json", "--data", str(folder), "--listen", "127.0.0.1:0"], log, environment())


def demo_tenant(child: Child, folder: Path) -> Tenant:
    """What the demo made, as its own files and answers tell it."""
    gateway = Gateway(folder, "", operator_key=(folder / "operator.key").read_text().strip())
    gateway.base_url = child.ready["base_url"]
    tenant = Tenant(gateway, "", "", "", child.ready["key"], granted=Decimal("5.00"))
    answer = tenant.post("/chat/completions", ask("sim-small"))
    assert answer.status_code == 200, answer.text
    row = gateway.get(f"/admin/v1/requests/{answer.headers['x-request-id']}")["attempts"][0]
    tenant.org, tenant.project, tenant.key_id = row["org"], row["project"], row["key"]
    return tenant


def test_a_second_demo_finds_the_first_ones_data(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for calls in (1, 2):
        child = demo(folder, tmp_path / "log")
        try:
            assert child.ready["pid"] == child.process.pid and child.ready["base_url"].endswith("/v1")
            tenant = demo_tenant(child, folder)
            tenant.settled(calls)
            lots = tenant.balance()["wallets"][0]["lots"]
            assert [(lot["kind"], lot["granted"]) for lot in lots] == [("promo", "5.00")]
            names = {"operator.key", "key.pepper", "demo.key"}
            assert {mode(folder / name) for name in names} == {0o600}
            assert child.ready["key"] == (folder / "demo.key").read_text().strip()
        finally:
            assert child.stop() == 0, child.log.read_text()
    assert run("verify", "--data", str(folder)).code == 0


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_curl_line_of_the_demo_works_as_pasted(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    args = [str(BINARY), "demo", "--data", str(tmp_path / "demo"), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(args, stdout=theirs, stderr=subprocess.DEVNULL, env=environment(NO_COLOR="1"))
    os.close(theirs)
    try:
        shown = b""
        while not (line := re.search(rb"^curl (.*\\\r\n)+.*[^\\]\r\n", shown, re.MULTILINE)):
            shown += os.read(ours, 4096)
        command = line[0].decode().replace("\r\n", "\n")
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=True)
        assert '"object":"chat.completion"' in done.stdout, done
    finally:
        process.terminate()
        assert process.wait(20) == 0
        os.close(ours)
