"""The effective limits of a key: the chain as the gateway applies it, by the API and the command."""

from __future__ import annotations

from decimal import Decimal

from conftest import MakeGateway
from harness import SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config, eventually

ASK: Json = {"model": "sim", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
TIERS = """
[[tiers]]
name = "new"
monthly_ceiling = "100.00"
models = ["sim*"]
limits = [{ models = "*", requests_per_minute = 3 }, { models = "sim*", tokens_per_minute = 100000 }]
"""


def limits(gateway: Gateway, tenant: Tenant, user: str = "") -> Json:
    path = f"/admin/v1/keys/{tenant.key_id}/limits" + (f"?user={user}" if user else "")
    found = gateway.get(path)
    told = gateway.cli("limits", "show", "--key", tenant.key_id, *(["--user", user] if user else []))
    assert told.code == 0 and told.json["budgets"] == found["budgets"], told
    assert found["object"] == "effective_limits" and tenant.secret not in told.stdout
    return found


def budget(gateway: Gateway, tenant: Tenant, **body: str) -> None:
    answer = gateway.api("POST", "/admin/v1/budgets", {"organization": tenant.org, "period": "monthly", **body})
    assert answer.status_code == 201, answer.text


def test_the_whole_chain_is_shown_with_what_is_left(mock: Mock, make_gateway: MakeGateway) -> None:
    settings = SETTINGS + TIERS
    gateway = make_gateway(text=config([Provider("mock", mock.base_url)], [Route("sim", "mock", "sim-small")], settings))
    tenant, other = gateway.tenant(), gateway.tenant("0")
    budget(gateway, tenant, of="organization", cost="2.00")
    budget(gateway, tenant, of="key", cost="1.00")
    budget(gateway, tenant, of="user", cost="0.50")
    budget(gateway, tenant, of="project", which=tenant.project, cost="0.75")

    assert tenant.post("/chat/completions", ASK | {"user": "u-1"}).status_code == 200
    cost = Decimal(tenant.settled_one()["cost"])
    # The gateway books the tier's ceiling by itself, some seconds after the organization was made.
    path = f"/admin/v1/budgets?organization={tenant.org}"
    eventually(lambda: len(gateway.get(path)["data"]) == 5, "the ceiling")
    found = limits(gateway, tenant)

    assert (found["key"]["id"], found["key"]["state"], found["project"]["state"]) == (tenant.key_id, "enabled", "open")
    assert (found["tier"]["name"], found["tier"]["models"], found["note"]) == ("new", ["sim*"], None)
    groups = {group["models"]: group for group in found["rate_limits"]}
    assert list(groups) == ["*", "sim*"]
    [everything] = groups["*"]["limits"]
    assert everything["measure"] == "requests_per_minute" and everything["of"] == "tier" and everything["binding"]
    assert (everything["limit"], everything["used"], everything["remaining"]) == (3, 1, 2)
    assert 0 < everything["full_in_ms"] <= 60_000
    assert "tokens_per_minute" in groups["*"]["not_limited_in_this_chain"]
    # A group has what all models share, too: nothing is unlimited while a parent binds.
    assert [(limit["measure"], limit["models"]) for limit in groups["sim*"]["limits"]] == [
        ("requests_per_minute", "*"),
        ("tokens_per_minute", "sim*"),
    ]

    budgets = {each["of"]: each for each in found["budgets"]}
    assert set(budgets) == {"tier", "organization", "project", "key", "user"}
    for of, cap in {"tier": 100, "organization": 2, "project": "0.75", "key": 1}.items():
        assert Decimal(budgets[of]["spent"]) == cost and Decimal(budgets[of]["held"]) == 0
        assert Decimal(budgets[of]["remaining"]) == Decimal(cap) - cost and budgets[of]["resets_at"]
    assert [of for of, each in budgets.items() if each["binding"]] == ["project"]
    assert budgets["user"]["each"] and budgets["user"]["spent"] is None
    assert Decimal(found["credit"]["available"]) == 5 - cost

    of_user = {each["of"]: each for each in limits(gateway, tenant, "u-1")["budgets"]}["user"]
    assert Decimal(of_user["remaining"]) == Decimal("0.5") - cost and of_user["binding"]

    # Another organization's use is its own.
    [others] = [limit for limit in limits(gateway, other)["rate_limits"][0]["limits"]]
    assert others["remaining"] == 3


def test_where_nothing_limits_that_is_said(gateway: Gateway, tenant: Tenant) -> None:
    found = limits(gateway, tenant)
    assert found["note"] == "no limit in this chain" and found["budgets"] == [] and "unlimited" not in str(found)
    assert [group["note"] for group in found["rate_limits"]] == ["no limit in this chain"]
    unknown = gateway.cli("limits", "show", "--key", "key_" + "0" * 32)
    assert unknown.code == 5 and "check the id" in unknown.stderr
