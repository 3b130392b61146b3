"""What the books leave behind: backups of a live gateway, restores that go on, statements that add up."""

from __future__ import annotations

import csv
import io
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from conftest import MakeGateway
from harness import BINARY, Gateway, Json, Outcome, Tenant, environment, eventually, run

ASK: Json = {"model": "sim?out=20", "messages": [{"role": "user", "content": "."}], "max_tokens": 50}
MONTH = "%Y-%m"


def call(tenant: Tenant, **changes: object) -> str:
    """One call; the id of its request."""
    answer = tenant.post("/chat/completions", ASK | changes)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-request-id"]


def backup(gateway: Gateway, to: Path, *more: str) -> Outcome:
    return run("backup", "--json", "--data", str(gateway.data), "--to", str(to), *more)


def restore(file: Path, data: Path, *more: str) -> Outcome:
    return run("restore", "--json", "--from", str(file), "--data", str(data), *more)


def this_month() -> str:
    return datetime.now(timezone.utc).strftime(MONTH)


def statement(tenant: Tenant) -> Json:
    path = f"/admin/v1/organizations/{tenant.org}/statement?month={this_month()}"
    return tenant.gateway.get(path)


def check_statement(tenant: Tenant) -> Json:
    """Its lines sum to what is there, since nothing was there before this month."""
    found = statement(tenant)
    amounts = [Decimal(line["amount"]) for line in found["lines"]]
    assert Decimal(found["opening_balance"]) == 0
    assert sum(amounts) == Decimal(found["closing_balance"]) == Decimal(tenant.balance()["net"])
    return found


def test_what_was_backed_up_live_goes_on_elsewhere(make_gateway: MakeGateway, tmp_path: Path) -> None:
    gateway = make_gateway("first")
    tenant = gateway.tenant(granted="5.00")
    before = [call(tenant) for _ in range(5)]
    stop, during = threading.Event(), []

    def traffic() -> None:
        while not stop.is_set():
            during.append(call(tenant))

    caller = threading.Thread(target=traffic)
    caller.start()
    eventually(lambda: len(during) >= 3, "calls")
    file = tmp_path / "copy.tkb"
    made = backup(gateway, file)
    stop.set()
    caller.join()
    assert made.code == 0, made
    assert made.json["organizations"] == 1 and made.json["rows"] >= 8
    assert made.json["not_included"] == ["key.pepper", "operator.key"]
    assert file.stat().st_mode & 0o777 == 0o600 and [path.name for path in tmp_path.glob("*copy*")] == ["copy.tkb"]
    secrets = [(gateway.data / name).read_bytes().strip() for name in ["operator.key", "key.pepper"]]
    assert not any(secret in file.read_bytes() for secret in [*secrets, tenant.secret.encode()])
    late = call(tenant)
    gateway.kill()

    second = Gateway(tmp_path / "second", gateway.config, gateway.env, operator_key=gateway.operator_key)
    restored = restore(file, second.data)
    assert restored.code == 0 and not restored.json["pepper"] and restored.json["head"] == made.json["head"], restored
    for name in ["operator.key", "key.pepper"]:
        shutil.copy(gateway.data / name, second.data / name)
    second.start()
    try:
        moved = Tenant(second, tenant.org, tenant.project, tenant.key_id, tenant.secret, tenant.granted)
        rows = {row["request_id"] for row in moved.rows()}
        assert set(before) <= rows and late not in rows
        after = call(moved)
        assert second.api("GET", f"/admin/v1/requests/{after}").status_code == 200
        # The operator's key and the tenant's both work, and what is booked now adds up with what was restored.
        found = check_statement(moved)
        usage = [line for line in found["lines"] if line["object"] == "usage"]
        assert sum(line["calls"] for line in usage) == len(rows) + 1
        assert second.stop() == 0
        assert second.verify().code == 0
    finally:
        if second.child:
            second.kill()
    # The folder that was killed is whole as well.
    gateway.start()


def test_statements_in_every_form(gateway: Gateway, tmp_path: Path) -> None:
    tenant = gateway.tenant(granted="5.00")
    for _ in range(3):
        call(tenant)
    call(tenant, model="sim?out=7")
    tenant.grant("1.25", "promo")
    found = check_statement(tenant)
    assert [line["object"] for line in found["lines"]] == ["booking", "booking", "usage", "usage"]
    assert not found["complete"] and found["month"] == this_month()

    args = ["credits", "statement", "--org", tenant.org, "--month", this_month()]
    assert tenant.gateway.cli(*args).json["lines"] == found["lines"]
    rows = list(csv.DictReader(io.StringIO(gateway.cli(*args, "--format", "csv").stdout)))
    assert [row["type"] for row in rows] == [
        *("opening_balance", "grant", "grant", "usage", "usage"),
        *("payer", "closing_balance"),
    ]
    moved = sum(Decimal(row["amount"]) for row in rows if row["amount"])
    assert moved == Decimal(rows[-1]["balance"]) - Decimal(rows[0]["balance"])
    page = tmp_path / "page.html"
    written = gateway.cli(*args, "--out", str(page))
    assert written.code == 0 and page.read_text().startswith("<!doctype html>"), written
    again = gateway.cli(*args, "--out", str(page))
    assert again.code == 1 and "exists already" in again.stderr
    unknown = gateway.cli(*args, "--out", str(tmp_path / "page.pdf"))
    assert unknown.code == 2 and ".html, .csv or .json" in unknown.stderr and not (tmp_path / "page.pdf").exists()
    served = gateway.api("GET", f"/admin/v1/organizations/{tenant.org}/statement?month={this_month()}&format=html")
    assert served.headers["content-security-policy"].startswith("default-src 'none'")
    served = gateway.api("GET", f"/admin/v1/organizations/{tenant.org}/statement?month={this_month()}&format=csv")
    assert served.headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize(
    ("org", "query", "status", "param", "words"),
    [
        ("", "", 400, "month", "is missing"),
        ("", "?month=2026-13", 400, "month", "write it like 2026-11"),
        ("", "?month=9998-12", 400, "month", "has not begun; the month that runs is"),
        ("", "?month=2026-01&format=pdf", 400, "format", "csv, html or json"),
        ("org_" + "0" * 32, "?month=2026-01", 404, "id", "There is no org_"),
        ("nobody", "?month=2026-01", 400, "id", "is not an id of this kind"),
    ],
)
def test_statements_that_cannot_be(
    gateway: Gateway, tenant: Tenant, org: str, query: str, status: int, param: str, words: str
) -> None:
    answer = gateway.api("GET", f"/admin/v1/organizations/{org or tenant.org}/statement{query}")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param) and words in error["message"], answer.text


def test_a_full_disk_leaves_no_backup(gateway: Gateway, tmp_path: Path) -> None:
    def almost_full() -> None:
        # The limit is an error of the write and not a signal, as a full disk is.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    file = tmp_path / "copy.tkb"
    done = subprocess.run(
        [BINARY, "backup", "--data", str(gateway.data), "--to", str(file)],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=almost_full,
        restore_signals=False,
        check=False,
    )
    assert done.returncode == 1 and f"cannot write a copy to {tmp_path}" in done.stderr, done
    assert os.listdir(tmp_path) == []


def test_a_restore_killed_anywhere_leaves_one_database(make_gateway: MakeGateway, tmp_path: Path) -> None:
    gateway = make_gateway()
    tenant = gateway.tenant()
    call(tenant)
    old, file = tmp_path / "old.tkb", tmp_path / "new.tkb"
    call(tenant)
    heads = {backup(gateway, file).json["head"]}
    call(tenant)
    assert gateway.stop() == 0
    heads.add(backup(gateway, old).json["head"])
    for attempt in range(12):
        child = subprocess.Popen(
            [BINARY, "restore", "--force", "--from", str(file), "--data", str(gateway.data)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        time.sleep(attempt * 0.004)
        child.kill()
        child.wait()
        assert gateway.verify().code == 0
        assert backup(gateway, tmp_path / f"{attempt}.tkb").json["head"] in heads
    assert restore(file, gateway.data, "--force").code == 0
    assert restore(file, gateway.data).code == 1
    gateway.start()
    running = restore(file, gateway.data, "--force")
    assert running.code == 1 and "in use by another tollkeeper" in running.stderr, running
