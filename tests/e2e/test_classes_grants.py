"""Class 2.2, trial and promotional credit: which models it is for, when it ends, and what follows it."""

from __future__ import annotations

from decimal import Decimal

import httpx2 as httpx
import pytest

from conftest import MakeGatewayAt
from harness import HTTP, Gateway, Json, Tenant

ASK: Json = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}


def call(tenant: Tenant, model: str = "sim") -> httpx.Response:
    return tenant.post("/chat/completions", ASK | {"model": model})


def follow(tenant: Tenant, after_grant: str) -> None:
    """What the project has chosen, as its owner says it on the command line."""
    done = tenant.gateway.cli("project", "update", tenant.project, "--after-grant", after_grant, "--json")
    assert done.code == 0 and done.json["after_grant"] == after_grant, done


def lots(tenant: Tenant, kind: str) -> Decimal:
    """What remains of all lots of a kind."""
    wallets = tenant.balance()["wallets"]
    remaining = [lot["remaining"] for wallet in wallets for lot in wallet["lots"] if lot["kind"] == kind]
    return sum(map(Decimal, remaining), Decimal(0))


def used_up(answer: httpx.Response, left: str, beside: str) -> None:
    """The refusal names the choice, what is left, what lies beside, and the one step that helps."""
    assert (answer.status_code, answer.headers["x-should-retry"]) == (429, "false"), answer.text
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["reason"]) == ("insufficient_quota", "insufficient_quota", "grants_used_up")
    assert error["owner"] == "billing" and error["limit"] == left, error
    assert f"Other credit, which it leaves alone: {beside}." in error["message"], error
    assert "--after-grant paid" in error["next_step"] and "--kind promo" in error["next_step"], error


@pytest.fixture
def promoted(gateway: Gateway, tenant: Tenant) -> Tenant:
    """A tenant with 5.00 prepaid and 0.50 promotional for the model `sim` alone."""
    code = f"SIM-{tenant.org[-8:]}".upper()
    terms = {"code": code, "amount": "0.50", "uses": 1, "credit_days": 90, "models": ["sim"]}
    made = gateway.api("POST", "/admin/v1/promo-codes", terms)
    assert made.status_code == 201, made.text
    gateway.make("/admin/v1/credits/redeem", organization=tenant.org, code=code)
    return tenant


def test_2_2_a_grant_pays_for_its_model_and_the_project_chooses_what_follows(promoted: Tenant) -> None:
    gateway = promoted.gateway
    # A new project goes on with what was paid for.
    assert gateway.get(f"/admin/v1/projects/{promoted.project}")["after_grant"] == "paid"
    assert call(promoted, "vendor/sim").status_code == 200
    prepaid = lots(promoted, "prepaid")
    assert prepaid < 5
    follow(promoted, "stop")
    assert call(promoted).status_code == 200
    promo = lots(promoted, "promo")
    assert promo < Decimal("0.50"), "the grant has paid for its model"
    # Another model is none of the grant's, and 4.99 of prepaid credit stay where they are.
    used_up(call(promoted, "vendor/sim"), "0.00", str(prepaid))
    assert (lots(promoted, "promo"), lots(promoted, "prepaid")) == (promo, prepaid)
    follow(promoted, "paid")
    assert call(promoted, "vendor/sim").status_code == 200
    assert lots(promoted, "promo") == promo and lots(promoted, "prepaid") < prepaid
    rows = promoted.rows()
    assert [(row["model"], row["access_class"], row["payer"]) for row in rows] == [
        ("vendor/sim", "direct", "organization"),
        ("sim", "direct", "organization"),
        ("vendor/sim", "direct", "organization"),
    ]
    assert all(row["list_price"] == row["cost"] and row["pool"] is None for row in rows)


def test_2_2_every_kind_of_client_is_told_that_the_grants_are_used_up(promoted: Tenant) -> None:
    follow(promoted, "stop")
    url = promoted.gateway.url
    bearer = {"authorization": f"Bearer {promoted.secret}"}
    answer = HTTP.post(f"{url}/api/v1/chat/completions", json=ASK | {"model": "vendor/sim"}, headers=bearer)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, 402), answer.text
    assert answer.json()["error"]["metadata"]["reason"] == "grants_used_up", answer.text
    answer = HTTP.post(f"{url}/v1/messages", json=ASK | {"model": "claude"}, headers=bearer | {"anthropic-version": "2023-06-01"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (402, "billing_error"), answer.text
    assert error["details"]["error_code"] == "grants_used_up", answer.text


def test_2_2_what_follows_a_grant_shows_where_somebody_looks(promoted: Tenant) -> None:
    gateway = promoted.gateway
    follow(promoted, "stop")
    limits = gateway.get(f"/admin/v1/keys/{promoted.key_id}/limits")
    assert limits["project"]["after_grant"] == "stop"
    assert (limits["credit"]["available"], limits["credit"]["grants"]) == ("5.50", "0.50")
    shown = gateway.cli("limits", "show", "--key", promoted.key_id)
    assert shown.json["credit"] == limits["credit"], shown
    listed = gateway.cli("project", "list", "--org", promoted.org).json["data"]
    assert [project["after_grant"] for project in listed] == ["stop"], listed
    changed = gateway.get(f"/admin/v1/organizations/{promoted.org}/audit")["data"][0]
    assert (changed["before"]["after_grant"], changed["after"]["after_grant"]) == ("paid", "stop"), changed
    # A call that is refused explains itself afterwards, too.
    refused = call(promoted, "vendor/sim")
    found = gateway.get(f"/admin/v1/requests/{refused.headers['x-request-id']}/explain")
    assert (found["stopped"]["owner"], found["stopped"]["code"]) == ("billing", "grants_used_up"), found
    assert [layer["owner"] for layer in found["layers"]][-3:] == ["usage_limit", "rate_limit", "billing"], found
    wrong = gateway.api("PATCH", f"/admin/v1/projects/{promoted.project}", {"after_grant": "later"})
    assert wrong.status_code == 400 and "write stop or paid" in wrong.text, wrong.text


def test_2_2_a_grant_ends_on_its_day_and_nothing_else_pays_under_stop(gateway_at: MakeGatewayAt) -> None:
    gateway = gateway_at("2026-12-15 12:00:00")
    tenant = gateway.tenant("5.00")
    ends = {"amount": "1.00", "kind": "promo", "expires_at": "2026-12-31T00:00:00Z"}
    gateway.make("/admin/v1/credits/grants", organization=tenant.org, **ends)
    follow(tenant, "stop")
    assert call(tenant).status_code == 200
    gateway.travel("2026-12-30 23:59:00")
    assert call(tenant).status_code == 200
    assert lots(tenant, "prepaid") == 5
    gateway.travel("2026-12-31 00:00:10")
    used_up(call(tenant), "0.00", "5.00")
    assert (lots(tenant, "promo"), lots(tenant, "prepaid")) == (0, 5)
    # Another grant, and it goes on; then the choice is another one.
    gateway.make("/admin/v1/credits/grants", organization=tenant.org, amount="0.25", kind="promo")
    assert call(tenant).status_code == 200
    assert 0 < lots(tenant, "promo") < Decimal("0.25") and lots(tenant, "prepaid") == 5
    gateway.travel("2027-01-15 12:00:00")
    assert call(tenant).status_code == 200, "this one does not end"
    follow(tenant, "paid")
    assert call(tenant).status_code == 200
    assert lots(tenant, "prepaid") == 5, "a grant pays first, whatever follows it"
