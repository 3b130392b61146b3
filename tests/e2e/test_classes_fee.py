"""The fee on keys of one's own (5.5): a million calls a month carry none, then 5 % of the list price."""

from __future__ import annotations

import sqlite3
from decimal import ROUND_CEILING, Decimal

from conftest import MakeGatewayAt
from harness import PRICE, SETTINGS, Contract, Gateway, Json, Mock, Provider, Tenant

ASK: Json = {"model": "sim", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
NANO = Decimal("0.000000001")


def configured(mock: Mock, at: str, byok: str = "") -> str:
    provider = Provider("mock", mock.base_url, contract=Contract(verified_on=at[:10])).toml()
    target = f'{{ provider = "mock", model = "sim-small", price = {PRICE.toml()} }}'
    route = f'[[routes]]\nmodel = "sim"\ntargets = [{target}]\n'
    return "\n\n".join([SETTINGS, byok, provider, route])


def own(tenant: Tenant) -> Json:
    """A call by a key of the caller's own, and its row."""
    before = len(tenant.rows())
    headers = {"x-tollkeeper-provider-key": "mock=sk-a-key-of-the-callers-own"}
    answer = tenant.post("/chat/completions", ASK, headers)
    assert answer.status_code == 200, answer.text
    row: Json = tenant.settled(before + 1)[0]
    assert (row["access_class"], row["payer"]) == ("byok", "caller"), row
    listed = PRICE.cost(row["input_tokens"], row["output_tokens"])
    assert Decimal(row["list_price"]) == listed
    return row | {"fee": (listed * 5 / 100).quantize(NANO, ROUND_CEILING)}


def used(gateway: Gateway, tenant: Tenant) -> int:
    pools = gateway.get(f"/admin/v1/organizations/{tenant.org}/pools")["data"]
    return int(next(row["used"] for row in pools if row["kind"] == "byok_without_fee"))


def count(gateway: Gateway, more: int) -> None:
    """Counts calls of the first month that never were."""
    assert gateway.stop() == 0
    books = sqlite3.connect(next(gateway.data.glob("*.db")))
    with books:
        first = "SELECT min(start) FROM pool_use"
        assert books.execute(f"UPDATE pool_use SET used = used + {more} WHERE start = ({first})").rowcount == 1
    books.close()
    gateway.start()


def test_5_5_the_1_000_001st_call_of_a_month_pays_five_percent(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, configured(mock, at))
    tenant = gateway.tenant()
    assert Decimal(own(tenant)["cost"]) == 0 and used(gateway, tenant) == 1
    # All but one of the rest, as the books would have counted them.
    count(gateway, 999_998)
    assert Decimal(own(tenant)["cost"]) == 0, "the 1,000,000th"
    row = own(tenant)
    assert Decimal(row["cost"]) == row["fee"] > 0, "the 1,000,001st"
    # A call by our key is no such call, and pays its price.
    answer = tenant.post("/chat/completions", ASK)
    assert answer.status_code == 200
    ours = tenant.settled(4)[0]
    assert (ours["access_class"], ours["payer"]) == ("direct", "organization")
    assert Decimal(ours["cost"]) == PRICE.cost(ours["input_tokens"], ours["output_tokens"])
    gateway.travel("2027-01-01 00:00:05")
    assert Decimal(own(tenant)["cost"]) == 0 and used(gateway, tenant) == 1, "a month of its own"
    assert "PooledIsRows" in gateway.verify().stdout, "what no row tells of is noticed"
    count(gateway, -999_998)


def test_5_5_an_allowance_by_value_is_split_where_a_call_straddles_it(
    gateway_at: MakeGatewayAt, mock: Mock
) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, configured(mock, at, '[byok]\nfree_value_per_month = "0.000300000"\nfee_percent = "5.5"\n'))
    tenant = gateway.tenant()
    left, paid = Decimal("0.0003"), []
    for _ in range(4):
        row = own(tenant)
        listed = Decimal(row["list_price"])
        beyond = max(listed - left, Decimal(0))
        left = max(left - listed, Decimal(0))
        assert Decimal(row["cost"]) == (beyond * Decimal("0.055")).quantize(NANO, ROUND_CEILING), row
        paid.append(Decimal(row["cost"]))
    assert paid[0] == 0 < paid[-1], "some within, some beyond"
    assert any(0 < cost < paid[-1] for cost in paid), "and one of both"
    assert gateway.verify().code == 0


def test_5_5_a_fee_needs_credit(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, configured(mock, at, "[byok]\nfree_requests_per_month = 1\n"))
    tenant = gateway.tenant(granted="0")
    assert Decimal(own(tenant)["cost"]) == 0
    answer = tenant.post("/chat/completions", ASK, {"x-tollkeeper-provider-key": "mock=sk-a-key-of-the-callers-own"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota"), answer.text


def test_2_8_the_end_users_own_key_is_billed_to_the_end_user(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, configured(mock, at))
    tenant = gateway.tenant()
    headers = {"x-tollkeeper-end-user-key": "mock=sk-the-end-users-key"}
    assert tenant.post("/chat/completions", ASK, headers).status_code == 200
    row = tenant.settled_one()
    assert (row["access_class"], row["payer"], row["cost"]) == ("user_pays", "end_user", "0.00"), row
    assert b"sk-the-end-users-key" not in next(gateway.data.glob("*.db")).read_bytes()
    assert "sk-the-end-users-key" not in gateway.log()
