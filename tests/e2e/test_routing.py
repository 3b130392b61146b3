"""The fault table: every fault of the mock, streamed and not, with another target to fall back on and without.

Of each call: what the client gets, its rows, what it is charged, that its hold is gone, and where the answer says that
it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from conftest import stopping
from harness import PRICE, SETTINGS, Gateway, Json, Mock, Provider, Route, config

#: Circuits that never open: each fault is to be met by the first target.
ROUTING = SETTINGS + "[routing]\nbreaker_failures = 1000000\nretries_per_second = 1000\n"


@pytest.fixture(scope="module")
def house(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    providers = [Provider("mock", mock.base_url), Provider("backup", mock.base_url)]
    price = PRICE.toml()
    second = f'{{ provider = "backup", model = "sim-small", price = {price} }}'
    both = Route("both?*", "mock", "sim-small?*").toml().removesuffix("]") + f", {second}]"
    # The mock takes its behaviour from the name that it is called by, and answers by the name without it.
    strict = Route("strict?*", "mock", "sim-small?*").toml().removesuffix(" }]") + ', aliases = ["sim-small"] }]'
    strict += '\nsubstitution = "refuse"'
    hedged = both.replace("both?*", "hedged?*") + "\nhedge_after_ms = 300"
    routes = [Route("alone?*", "mock", "sim-small?*")]
    text = "\n\n".join([config(providers, routes, ROUTING), both, strict, hedged])
    with stopping(Gateway(tmp_path_factory.mktemp("routing"), text)) as running:
        yield running.start()


@dataclass(frozen=True)
class Row:
    """A fault, and what it comes to at the only target: whole, then streamed."""

    fault: str
    #: The status that the client gets, and the reason on the row.
    whole: tuple[int, str]
    streamed: tuple[int, str]
    #: Whether another target is turned to, whole and streamed.
    again: tuple[bool, bool]


def refused(fault: str, status: int, reason: str, again: bool = True) -> Row:
    return Row(fault, (status, reason), (status, reason), (again, again))


FINE = (200, "complete")

TABLE = [
    refused("400", 400, "upstream_rejected", again=False),
    refused("401", 502, "provider_auth_failed"),
    refused("429", 429, "upstream_rate_limited"),
    refused("quota", 503, "provider_quota_exhausted"),
    refused("500", 502, "upstream_error"),
    refused("503", 503, "upstream_overloaded"),
    refused("hang", 504, "upstream_timeout"),
    refused("close", 502, "upstream_closed"),
    refused("slow_headers", 504, "upstream_timeout"),
    Row("garbage", (502, "upstream_garbage"), (200, "upstream_garbage"), (True, True)),
    Row("empty", (502, "upstream_garbage"), (200, "upstream_closed"), (True, True)),
    # Amid a stream the client has something, so nothing is tried again.
    Row("hang_mid", (504, "upstream_idle_timeout"), (200, "upstream_idle_timeout"), (True, False)),
    Row("close_mid", (502, "upstream_closed"), (200, "upstream_closed"), (True, False)),
    Row("garbage_mid", (502, "upstream_garbage"), (200, "upstream_garbage"), (True, False)),
    Row("error_mid", (502, "upstream_error"), (200, "upstream_error"), (True, False)),
    Row("wrong_model", FINE, FINE, (False, False)),
    Row("no_usage", FINE, FINE, (False, False)),
    Row("no_done", FINE, FINE, (False, False)),
]


def body(model: str, streamed: bool) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": streamed}


def test_every_fault_is_in_the_table() -> None:
    source = Path(__file__).parents[2] / "crates/mock/src/behaviour.rs"
    listed = source.read_text().split("\nfaults! {")[1].split("\n}")[0]
    names = {line.split('"')[1] for line in listed.splitlines() if '= "' in line}
    assert names == {row.fault for row in TABLE}


@pytest.mark.parametrize("fallback", [False, True], ids=["alone", "fallback"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.fault)
def test_faults(house: Gateway, row: Row, streamed: bool, fallback: bool) -> None:
    tenant = house.tenant()
    model = f"{'both' if fallback else 'alone'}?fault={row.fault};after=3;out=8;retry_after=0"
    answer = tenant.post("/chat/completions", body(model, streamed))
    (status, reason), again = (row.streamed, row.again[1]) if streamed else (row.whole, row.again[0])
    moved = fallback and again
    rows = sorted(tenant.settled(2 if moved else 1), key=lambda line: line["attempt"])
    first, last = rows[0], rows[-1]
    # What it came to at the first target.
    assert (first["attempt"], first["reason"], first["provider"]) == (1, reason, "mock")
    if moved:
        assert (answer.status_code, last["reason"], last["status"]) == (200, "complete", "succeeded")
        assert (last["attempt"], last["target"], last["estimated"]) == (2, "backup/sim-small", False)
        assert (first["status"], Decimal(first["cost"])) == ("failed", 0)
    else:
        assert (answer.status_code, last["status"]) == (status, "succeeded" if reason == "complete" else "failed")
    # One answer, with its end.
    if streamed and answer.status_code == 200:
        done = last["status"] == "succeeded" and row.fault != "no_done"
        assert answer.text.count("data: [DONE]") == int(done)
    # The charge is the sum of the rows, and nothing is held.
    balance = tenant.balance()
    assert Decimal(balance["held"]) == 0
    charged = sum((Decimal(line["cost"]) for line in rows), Decimal(0))
    assert Decimal("5.00") - Decimal(balance["available"]) == charged
    if last["status"] == "succeeded":
        assert charged > 0
    # Where it came from.
    assert answer.headers["x-tollkeeper-target"] == last["target"]
    assert answer.headers["x-tollkeeper-attempts"] == str(len(rows))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_another_model_is_withheld_by_a_strict_route(house: Gateway, streamed: bool) -> None:
    tenant = house.tenant()
    answer = tenant.post("/chat/completions", body("strict?fault=wrong_model", streamed))
    assert answer.status_code == 502 and answer.json()["error"]["code"] == "model_substituted", answer.text
    row = tenant.settled_one()
    assert (row["status"], row["reason"], row["model_answered"]) == ("failed", "model_substituted", "sim-other")
    assert Decimal(row["cost"]) > 0
    tenant.post("/chat/completions", body("strict?out=3", streamed)).raise_for_status()


def test_explain_tells_the_order_and_the_attempts(house: Gateway) -> None:
    tenant = house.tenant()
    answer = tenant.post("/chat/completions", body("both?fault=500", False))
    request = answer.headers["x-request-id"]
    tenant.settled(2)
    explained = house.get(f"/admin/v1/requests/{request}/explain")
    assert explained["route"]["then"] == ["backup/sim-small"]
    assert (len(explained["attempts"]), explained["retry_cost"]) == (2, "0.00")
    assert explained["layers"][-1]["saw"]["attempts"] == 2
    route = house.cli("route", "explain", "both?out=1", "--json")
    targets = route.json["targets"]
    assert [(target["target"], target["place"]) for target in targets] == [
        ("mock/sim-small?out=1", 1),
        ("backup/sim-small", 2),
    ]
    assert all(target["circuit"] == "closed" and target["contract"]["covers_key"] is None for target in targets)
    shown = house.cli("route", "explain", "both?out=1")
    assert "called first, as it is written" in shown.stdout and "backup/sim-small" in shown.stdout


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_slow_attempt_has_another_one_beside_it(house: Gateway, mock: Mock, streamed: bool) -> None:
    tenant = house.tenant()
    answer = tenant.post("/chat/completions", body("hedged?latency_ms=1200;out=8", streamed))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tollkeeper-target"] == "backup/sim-small"
    assert answer.headers["x-tollkeeper-attempts"] == "2"
    outrun, won = sorted(tenant.settled(2), key=lambda line: line["attempt"])
    assert outrun["target"] == "mock/sim-small?latency_ms=1200;out=8"
    assert (outrun["status"], outrun["reason"]) == ("cancelled", "outrun")
    # What was given up costs its prompt by our count, which is the mock's.
    assert outrun["estimated"] and outrun["output_tokens"] == 0 and outrun["input_tokens"] == won["input_tokens"] > 0
    assert Decimal(outrun["cost"]) == PRICE.cost(outrun["input_tokens"], 0)
    assert (won["status"], won["estimated"]) == ("succeeded", False)
    told = house.cli("explain", won["request_id"]).json
    assert Decimal(told["retry_cost"]) == Decimal(outrun["cost"]) and told["state"] == "settled"
    balance = house.cli("credits", "balance", "--org", tenant.org).json
    assert Decimal(balance["held"]) == 0 and Decimal(balance["posted"]) == tenant.granted - sum(
        Decimal(row["cost"]) for row in (outrun, won)
    )
    # One that begins in time is alone.
    answer = tenant.post("/chat/completions", body("hedged?out=8", streamed))
    assert answer.headers["x-tollkeeper-attempts"] == "1"
    explained = house.api("GET", "/admin/v1/routes/explain?model=hedged?out=8").json()
    assert explained["hedge_after_ms"] == 300
