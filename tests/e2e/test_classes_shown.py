"""Section 2: on whose account a call is made, and who pays, shows before a call, in its answer and after it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from conftest import stopping
from harness import FREE, HTTP, PRICE, SETTINGS, Contract, Gateway, Json, Mock, Provider, Route, Tenant, config, days_ago
from sdk import Sdk

ASK: Json = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
SHOW = {"x-tollkeeper-show": "access"}
#: Each route's class, its owner, and who pays by it.
CLASSES = {
    "own": ("direct", "Grün & Söhne; Ltd", "organization"),
    "given": ("trial", "the trial's account", "organization"),
    "tier": ("free_tier", "the tests", "provider"),
    "house": ("self_hosted", "the house", "operator"),
}


@pytest.fixture(scope="module")
def house(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    def contract(name: str, more: str = "") -> Contract:
        access_class, owner, _ = CLASSES[name]
        return Contract(owner=owner, more=f'class = "{access_class}"\n{more}')

    providers = [Provider(name, mock.base_url, contract=contract(name)) for name in CLASSES]
    # Nothing of these tests' projects may go there.
    providers.append(Provider("prod", mock.base_url, contract=Contract(more='environments = ["prod"]')))
    routes = [Route(name, name, "sim-small", FREE if name in ("tier", "house") else PRICE) for name in CLASSES]
    routes.append(Route("closed", "prod", "sim-small"))
    # A secret has one owner, so each owner has one of its own.
    keys = {f"KEY_OF_{provider.name}": f"sk-of-{provider.name}" for provider in providers}
    owned = [provider.toml().replace("UPSTREAM_KEY", f"KEY_OF_{provider.name}") for provider in providers]
    text = "\n\n".join([config([], routes, SETTINGS), *owned])
    with stopping(Gateway(tmp_path_factory.mktemp("shown"), text, keys)) as running:
        yield running.start()


@pytest.fixture
def caller(house: Gateway) -> Tenant:
    return house.tenant()


def cards(tenant: Tenant) -> dict[str, Json]:
    listed = HTTP.get(f"{tenant.gateway.base_url}/models", headers={"authorization": f"Bearer {tenant.secret}"})
    assert listed.status_code == 200, listed.text
    return {card["id"]: card for card in listed.json()["data"]}


def test_2_models_are_listed_with_class_payer_and_contract(caller: Tenant) -> None:
    listed = cards(caller)
    for name, (access_class, owner, payer) in CLASSES.items():
        shown = listed[name]["tollkeeper"]
        assert (shown["access_class"], shown["owner"], shown["payer"]) == (access_class, owner, payer), shown
        assert shown["targets"] == [f"{name}/sim-small"] and shown["refused"] is None, shown
        assert shown["contract"] == {
            "limits": "none",
            "support": "the tests",
            "training": False,
            "retention_days": 0,
            "region": "here",
            "data": "internal",
            "environments": ["dev", "staging", "prod"],
            "verified_on": days_ago(0),
            "stale": False,
        }
    # What is free says so, and is not without a price.
    assert listed["tier"]["pricing"] == {"prompt": "0", "completion": "0"}, listed["tier"]
    closed = listed["closed"]["tollkeeper"]
    assert closed["access_class"] is None and closed["targets"] == [] and "prod" in closed["refused"], closed
    one = HTTP.get(f"{caller.gateway.base_url}/models/tier", headers={"authorization": f"Bearer {caller.secret}"})
    assert one.json() == listed["tier"]


def test_2_both_official_sdks_read_the_list(sdk: Sdk, caller: Tenant) -> None:
    called = sdk.call(caller, "models")
    assert called.error is None and set(CLASSES) <= set(called.answer), called


def test_2_the_extras_can_be_read_with_the_sdk(caller: Tenant) -> None:
    listed = {model.id: model for model in caller.client().models.list()}
    assert set(CLASSES) <= set(listed)
    assert listed["own"].model_extra and listed["own"].model_extra["tollkeeper"]["payer"] == "organization"
    assert caller.client().models.retrieve("house").owned_by == "house"


def test_2_answers_say_on_whose_account_where_they_are_asked(caller: Tenant) -> None:
    today = days_ago(0)
    for name, (access_class, owner, payer) in CLASSES.items():
        for streamed in (False, True):
            body = ASK | {"model": name, "stream": streamed}
            answer = caller.post("/chat/completions", body, SHOW)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-tollkeeper-access-class"] == access_class
            assert answer.headers["x-tollkeeper-payer"] == payer
            seen = owner.replace("ü", "?").replace("ö", "?").replace(";", ",")
            assert answer.headers["x-tollkeeper-contract"] == f"{seen}; verified {today}"
            unasked = caller.post("/chat/completions", body)
            assert not [header for header in unasked.headers if "payer" in header or "contract" in header]
    wrong = caller.post("/chat/completions", ASK | {"model": "own"}, {"x-tollkeeper-show": "everything"})
    error = wrong.json()["error"]
    assert (wrong.status_code, error["param"]) == (400, "x-tollkeeper-show") and "write `access`" in error["message"]


def test_2_rows_and_statement_say_who_paid_at_which_price(caller: Tenant) -> None:
    for name in CLASSES:
        assert caller.post("/chat/completions", ASK | {"model": name}).status_code == 200
    rows = {row["model"]: row for row in caller.settled(len(CLASSES))}
    for name, (access_class, _, payer) in CLASSES.items():
        row = rows[name]
        assert (row["access_class"], row["payer"]) == (access_class, payer), row
        assert row["pool"] is None and row["pool_units"] is None
    assert rows["tier"]["cost"] == rows["house"]["cost"] == "0.00"
    assert rows["own"]["list_price"] == rows["own"]["cost"] != "0.00"
    month = rows["own"]["at"][:7]
    sheet = caller.gateway.get(f"/admin/v1/organizations/{caller.org}/statement?month={month}")
    paid = sum((Decimal(row["cost"]) for row in rows.values()), Decimal(0))
    listed = sum((Decimal(row["list_price"]) for row in rows.values()), Decimal(0))
    assert (Decimal(sheet["paid"]), Decimal(sheet["list_price"])) == (paid, listed), sheet
    assert {"payer": "organization", "amount": sheet["paid"]} in sheet["payers"], sheet
    lines = {line["model"]: line for line in sheet["lines"] if line["object"] == "usage"}
    for name, row in rows.items():
        assert (lines[name]["list_price"], Decimal(lines[name]["amount"])) == (row["list_price"], -Decimal(row["cost"]))
        assert lines[name]["unlisted"] == 0
    explained = caller.gateway.get(f"/admin/v1/requests/{rows['own']['request_id']}/explain")
    assert explained["attempts"] == [rows["own"]]


def test_2_a_route_explains_payer_and_list_price(caller: Tenant) -> None:
    done = caller.gateway.cli("route", "explain", "own", "--key", caller.key_id, "--json")
    (target,) = done.json["targets"]
    assert (target["contract"]["class"], target["payer"]) == ("direct", "organization"), target
    assert target["thousand_input_at_list"] == target["thousand_input"] != "0.00", target
