"""What begins anew with a day or a month: gateways whose clock the test sets."""

from __future__ import annotations

from datetime import timedelta

from conftest import MakeGatewayAt
from harness import Json, Tenant

ASK: Json = {"model": "sim", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}


def statuses(tenant: Tenant, calls: int) -> list[int]:
    return [tenant.post("/chat/completions", ASK).status_code for _ in range(calls)]


def test_a_days_rate_limit_starts_anew_with_the_day_also_over_a_restart(gateway_at: MakeGatewayAt) -> None:
    gateway = gateway_at("2026-12-30 12:00:00")
    tenant = gateway.tenant()
    path = f"/admin/v1/organizations/{tenant.org}/limits"
    answer = gateway.api("PUT", path, {"subject": "organization", "requests_per_day": 2})
    assert answer.status_code == 200, answer.text
    assert statuses(tenant, 3) == [200, 200, 429]
    # A minute before midnight is the same day still.
    gateway.travel("2026-12-30 23:59:00")
    refusal = tenant.post("/chat/completions", ASK)
    assert refusal.status_code == 429 and refusal.json()["error"]["resets_at"].startswith("2026-12-31T00:00:00")
    gateway.travel("2026-12-31 00:00:10")
    assert statuses(tenant, 3) == [200, 200, 429]
    # Days that pass while it is down count like any others.
    assert gateway.stop() == 0
    gateway.travel(timedelta(days=1))
    gateway.start()
    assert statuses(tenant, 3) == [200, 200, 429]
    days = [row["at"][:10] for row in tenant.settled(6)]
    assert days == ["2027-01-01"] * 2 + ["2026-12-31"] * 2 + ["2026-12-30"] * 2


def test_a_months_budget_starts_anew_with_the_month(gateway_at: MakeGatewayAt) -> None:
    gateway = gateway_at("2026-12-15 12:00:00")
    tenant = gateway.tenant()
    gateway.make("/admin/v1/budgets", organization=tenant.org, of="organization", period="monthly", steps=1)
    assert statuses(tenant, 2) == [200, 429]
    gateway.travel("2026-12-31 23:59:00")
    assert statuses(tenant, 1) == [429]
    gateway.travel("2027-01-01 00:00:10")
    assert statuses(tenant, 2) == [200, 429]
    gateway.travel("2027-02-01 00:00:10")
    assert statuses(tenant, 2) == [200, 429]
    tenant.settled(3)
