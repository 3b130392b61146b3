"""The ledger over the wire: wallets, credit that moves, budgets, and books that add up to the nano-dollar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx2 as httpx
import pytest

from conftest import MakeGateway
from harness import PRICE, SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config, eventually, unlike

ASK: Json = {"model": "sim?out=5", "max_tokens": 5, "messages": [{"role": "user", "content": "."}]}


@pytest.fixture(autouse=True)
def verified(gateway: Gateway) -> Iterator[None]:
    """Whatever a test did, every rule of the ledger must hold afterwards."""
    yield
    done = gateway.verify()
    assert done.code == 0, done


def order(gateway: Gateway, path: str, method: str = "POST", key: str | None = None, **body: Any) -> httpx.Response:
    """A call of the operator, once under this name if there is one."""
    return gateway.api(method, f"/admin/v1/{path}", body, **({"idempotency-key": key} if key else {}))


def book(gateway: Gateway, path: str, method: str = "POST", **body: Any) -> Json:
    """The same, which must be done."""
    answer = order(gateway, path, method, **body)
    assert answer.status_code in (200, 201), answer.text
    done: Json = answer.json()
    return done


def error(answer: httpx.Response, status: int, code: str | None = None, param: str | None = None) -> Json:
    """Asserts a refusal; its error object."""
    assert answer.status_code == status, answer.text
    found: Json = answer.json()["error"]
    assert code is None or found["code"] == code, found
    assert param is None or found["param"] == param, found
    return found


def wallets(tenant: Tenant) -> dict[str, Json]:
    """The wallets by name; the organization's own is `own`."""
    return {wallet["name"]: wallet for wallet in tenant.balance()["wallets"]}


def posted(tenant: Tenant) -> dict[str, Decimal]:
    return {name: Decimal(wallet["posted"]) for name, wallet in wallets(tenant).items()}


def ledger(tenant: Tenant, limit: int = 1000) -> list[Json]:
    """All entries, newest first, page by page."""
    entries: list[Json] = []
    before = ""
    while True:
        page = tenant.gateway.get(f"/admin/v1/organizations/{tenant.org}/ledger?limit={limit}{before}")
        entries += page["data"]
        assert len(page["data"]) <= limit
        if not page["has_more"]:
            return entries
        before = f"&before={entries[-1]['sequence']}"


def sibling(tenant: Tenant) -> Tenant:
    """Another project of the same organization."""
    gateway = tenant.gateway
    project = gateway.make("/admin/v1/projects", name="other", organization=tenant.org)["id"]
    key = gateway.make("/admin/v1/keys", name="other", project=project)
    return Tenant(gateway, tenant.org, project, key["id"], key["secret"], tenant.granted)


def spend(tenant: Tenant, **more: Any) -> httpx.Response:
    return tenant.post("/chat/completions", ASK | more)


def call(tenant: Tenant, **more: Any) -> str:
    """The id of a call that is paid for."""
    answer = spend(tenant, **more)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-request-id"]


def spend_all(tenant: Tenant, **more: Any) -> Json:
    """Calls until it is refused; the error."""
    for _ in range(1000):
        answer = spend(tenant, **more)
        if answer.status_code != 200:
            return error(answer, 429)
    raise AssertionError("nothing was refused")


def test_a_transfer_moves_paid_credit_and_leaves_promotional(gateway: Gateway, tenant: Tenant) -> None:
    tenant.grant("1.00", "promo")
    wallet = book(gateway, "wallets", organization=tenant.org, name="chat", project=tenant.project)
    purpose = (wallet["name"], wallet["project"], wallet["models"], wallet["overflow"])
    assert purpose == ("chat", tenant.project, [], False)
    move = {"organization": tenant.org, "from": "own", "to": wallet["id"], "amount": "2.00"}
    moved = book(gateway, "credits/transfers", **move)
    assert [lot["kind"] for lot in moved["lots"]] == ["prepaid"] and moved["lots"][0]["wallet"] == wallet["id"]
    assert posted(tenant) == {"own": 4, "chat": 2}
    # Three are paid and one is promotional, which stays.
    too_much = order(gateway, "credits/transfers", **move | {"amount": "3.01"})
    refused = error(too_much, 402, "insufficient_credit", "amount")
    assert "3.00" in refused["message"]
    book(gateway, "credits/transfers", **move | {"from": wallet["id"], "to": "own", "amount": "0.5"})
    assert posted(tenant) == {"own": Decimal("4.5"), "chat": Decimal("1.5")}
    error(order(gateway, "credits/transfers", **move | {"to": "own"}), 400, param="to")
    error(order(gateway, "credits/transfers", **move | {"to": unlike(wallet["id"])}), 404, param="to")
    error(order(gateway, "credits/transfers", **move | {"from": "mine"}), 400, param="from")
    error(order(gateway, "credits/transfers", **move | {"amount": "-1"}), 400, param="amount")
    again = order(gateway, "wallets", organization=tenant.org, name="twice", project=tenant.project)
    assert "already" in error(again, 409)["message"]


def test_a_project_with_its_own_wallet_stops_and_the_others_go_on(gateway: Gateway, tenant: Tenant) -> None:
    other = sibling(tenant)
    wallet = book(gateway, "wallets", organization=tenant.org, name="chat", project=tenant.project)["id"]
    assert spend(tenant).status_code == 429, "its wallet is empty, and the organization's is not for it"
    book(gateway, "credits/transfers", organization=tenant.org, **{"from": "own"}, to=wallet, amount="0.002")
    assert spend_all(tenant)["reason"] == "credit_balance_exhausted"
    call(other)
    rows = tenant.settled(len(tenant.rows()))
    cost = sum(Decimal(row["cost"]) for row in rows if row["project"] == tenant.project)
    assert posted(tenant)["chat"] == Decimal("0.002") - cost


def test_an_overflowing_wallet_is_empty_first(gateway: Gateway, tenant: Tenant) -> None:
    wallet = book(gateway, "wallets", organization=tenant.org, name="chat", project=tenant.project, overflow=True)["id"]
    book(gateway, "credits/transfers", organization=tenant.org, **{"from": "own"}, to=wallet, amount="0.000000100")
    call(tenant)
    row = tenant.settled_one()
    assert posted(tenant) == {"own": Decimal("4.9999999") - Decimal(row["cost"]) + Decimal("0.0000001"), "chat": 0}


def test_restricted_promo_credit_is_spent_first_and_on_nothing_else(gateway: Gateway, tenant: Tenant) -> None:
    code = f"LAUNCH-{tenant.org[-8:].upper()}"
    made = book(gateway, "promo-codes", code=code, amount="0.50", uses=1, credit_days=90, models=["sim?*"])
    assert (made["uses"], made["used"]) == (1, 0)
    lot = book(gateway, "credits/redeem", organization=tenant.org, code=code.lower())
    assert lot["kind"] == "promo" and lot["expires_at"] is not None
    tenant.granted += Decimal("0.50")
    call(tenant)
    cost = Decimal(tenant.settled(1)[0]["cost"])
    assert posted(tenant) == {"own": 5, code: Decimal("0.50") - cost}
    call(tenant, model="vendor/sim")
    assert posted(tenant)["own"] < 5 and posted(tenant)[code] == Decimal("0.50") - cost
    error(order(gateway, "credits/redeem", organization=tenant.org, code=code), 409, "promo_code_spent", "code")
    late = error(order(gateway, "credits/redeem", organization=gateway.tenant("0").org, code=code), 409)
    assert "used up" in late["message"]
    error(order(gateway, "credits/redeem", organization=tenant.org, code="NO-SUCH-CODE"), 404, param="code")
    move = {"organization": tenant.org, "from": wallets(tenant)[code]["id"], "to": "own", "amount": "0.1"}
    error(order(gateway, "credits/transfers", **move), 402)
    entry = next(entry for entry in ledger(tenant) if entry["kind"] == "redeem")
    assert code in entry["reason"] and entry["about"]["id"] == lot["id"]
    listed = {found["code"]: found["used"] for found in gateway.get("/admin/v1/promo-codes")["data"]}
    assert listed[code] == 1
    assert book(gateway, "promo-codes", code=code, amount="0.50", uses=1, credit_days=90, models=["sim?*"])["used"] == 1
    error(order(gateway, "promo-codes", code=code, amount="0.60", uses=1), 409)


def test_a_call_is_refunded_at_most_once_over(gateway: Gateway, tenant: Tenant) -> None:
    request = call(tenant)
    charged = Decimal(tenant.settled_one()["cost"])
    part = (charged / 3).quantize(Decimal("0.000000001"))
    first = book(gateway, "credits/refunds", request=request, amount=str(part), reason="half of it was lost")
    assert (first["kind"], Decimal(first["amount"])) == ("refund", part)
    error(order(gateway, "credits/refunds", request=request, amount=str(charged), reason="x"), 409, "refund_too_large")
    rest = book(gateway, "credits/refunds", request=request, reason="all of it was lost")
    assert Decimal(rest["amount"]) == charged - part
    error(order(gateway, "credits/refunds", request=request, reason="again"), 409)
    error(order(gateway, "credits/refunds", request=request, amount="0.000000001", reason="again"), 409)
    error(order(gateway, "credits/refunds", request=request, reason=" "), 400, param="reason")
    error(order(gateway, "credits/refunds", request=f"req_{'0' * 32}", reason="x"), 404, param="request")
    assert Decimal(tenant.balance()["posted"]) == 5
    assert Decimal(gateway.get(f"/admin/v1/requests/{request}")["refunded"]) == charged


def test_payouts_and_adjustments_need_a_reason_and_what_they_take(gateway: Gateway, tenant: Tenant) -> None:
    tenant.grant("1.00", "promo")
    mine = {"organization": tenant.org, "reason": "account closed"}
    paid = book(gateway, "credits/payouts", amount="2.00", **mine)
    assert paid["id"].startswith("lot_") and [draw["amount"] for draw in paid["draws"]] == ["2.00"]
    error(order(gateway, "credits/payouts", amount="3.01", **mine), 402, "insufficient_credit")
    error(order(gateway, "credits/payouts", organization=tenant.org, amount="1"), 400, param="reason")
    assert book(gateway, "credits/adjustments", amount="0.25", **mine)["kind"] == "adjustment"
    taken = book(gateway, "credits/adjustments", amount="-1.50", **mine)
    assert (taken["object"], taken["amount"]) == ("adjustment", "-1.50")
    assert [draw["amount"] for draw in taken["draws"]] == ["1.00", "0.50"], "in the order in which they burn"
    error(order(gateway, "credits/adjustments", amount="0", **mine), 400, param="amount")
    assert Decimal(tenant.balance()["posted"]) == Decimal("2.75")
    kinds = [(entry["kind"], entry["about"]["type"], entry["amount"]) for entry in ledger(tenant)]
    assert kinds == [
        ("adjust", "adjustment", "-1.50"),
        ("adjust", "lot", "0.25"),
        ("pay_out", "payout", "-2.00"),
        ("grant", "lot", "1.00"),
        ("grant", "lot", "5.00"),
    ]
    assert {entry["actor"] for entry in ledger(tenant)} == {"operator"}


#: Every call that moves money or sets a rule for it: its path, its body, and another body.
Made = dict[str, str]
ONCE: dict[str, Callable[[Made], tuple[str, str, Json, Json]]] = {
    "grant": lambda made: ("POST", "credits/grants", {"amount": "1.00", "kind": "prepaid"}, {"amount": "2.00"}),
    "transfer": lambda made: (
        "POST",
        "credits/transfers",
        {"from": "own", "to": made["wallet"], "amount": "1.00"},
        {"amount": "2.00"},
    ),
    "refund": lambda made: ("POST", "credits/refunds", {"request": made["request"], "reason": "a"}, {"reason": "b"}),
    "payout": lambda made: ("POST", "credits/payouts", {"amount": "1.00", "reason": "a"}, {"amount": "2.00"}),
    "adjust up": lambda made: ("POST", "credits/adjustments", {"amount": "1.00", "reason": "a"}, {"amount": "2.00"}),
    "adjust down": lambda made: ("POST", "credits/adjustments", {"amount": "-1.00", "reason": "a"}, {"amount": "-2"}),
    "redeem": lambda made: ("POST", "credits/redeem", {"code": made["code"]}, {"code": "ANOTHER"}),
    "wallet": lambda made: ("POST", "wallets", {"name": "small", "models": ["sim-*"]}, {"name": "large"}),
    "budget": lambda made: ("POST", "budgets", {"of": "run", "period": "total", "steps": 5}, {"steps": 6}),
    "budget change": lambda made: ("PATCH", f"budgets/{made['budget']}", {"steps": 9}, {"steps": 10}),
}


@pytest.mark.parametrize("name", ONCE)
def test_a_named_call_counts_once(gateway: Gateway, tenant: Tenant, name: str) -> None:
    code = f"ONCE-{tenant.org[-12:].upper()}"
    book(gateway, "promo-codes", code=code, amount="1.00", uses=5)
    made = {
        "wallet": book(gateway, "wallets", organization=tenant.org, name="chat", project=tenant.project)["id"],
        "budget": book(gateway, "budgets", organization=tenant.org, of="user", period="daily", steps=5)["id"],
        "request": call(sibling(tenant)),
        "code": code,
    }
    tenant.settled_one()
    method, path, body, other = ONCE[name](made)
    if name != "refund":
        body = {"organization": tenant.org} | body
    first = order(gateway, path, method, key="k-1", **body)
    assert first.status_code in (200, 201), first.text
    seen, entries = tenant.balance(), ledger(tenant)
    again = order(gateway, path, method, key="k-1", **body)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    error(order(gateway, path, method, key="k-1", **body | other), 409, "idempotency_conflict", "Idempotency-Key")
    # The same body somewhere else is another call, too.
    if name == "payout":
        error(order(gateway, "credits/adjustments", key="k-1", **body), 409, "idempotency_conflict")
    assert (tenant.balance(), ledger(tenant)) == (seen, entries), "nothing happened twice"


def test_a_denied_call_may_succeed_later_under_its_name(gateway: Gateway) -> None:
    tenant = gateway.tenant(granted="0")
    body = {"organization": tenant.org, "amount": "1.00", "reason": "closed"}
    error(order(gateway, "credits/payouts", key="k", **body), 402)
    tenant.grant("1.00")
    assert order(gateway, "credits/payouts", key="k", **body).status_code == 201
    error(order(gateway, "credits/payouts", key="k" * 256, **body), 400, param="Idempotency-Key")


def test_a_hard_budget_refuses_until_it_starts_anew(gateway: Gateway, tenant: Tenant) -> None:
    other = sibling(tenant)
    body = {"organization": tenant.org, "of": "project", "which": tenant.project, "period": "monthly", "cost": "0.002"}
    budget = book(gateway, "budgets", **body)
    assert (budget["hard"], budget["thresholds"], budget["zone"]) == (True, [50, 80, 100], "UTC")
    refused = spend_all(tenant)
    assert (refused["code"], refused["owner"]) == ("project_spend_limit_exceeded", "usage_limit")
    first = datetime.now(timezone.utc).replace(day=1)
    following = (first + timedelta(days=32)).strftime("%Y-%m-01T00:00:00.000000Z")
    assert (refused["limit"], refused["resets_at"]) == ("0.002", following)
    call(other)
    spent = sum(Decimal(row["cost"]) for row in tenant.rows() if row["project"] == tenant.project)
    assert 0 < spent <= Decimal("0.002")
    listed = gateway.get(f"/admin/v1/budgets?organization={tenant.org}")["data"]
    assert [(one["id"], one["resets_at"]) for one in listed] == [(budget["id"], following)]
    assert [(used["value"], Decimal(used["spent"])) for used in listed[0]["uses"]] == [(tenant.project, spent)]
    raised = book(gateway, f"budgets/{budget['id']}", "PATCH", organization=tenant.org, cost="1.00", thresholds=[90])
    assert (raised["cost"], raised["thresholds"], raised["hard"]) == ("1.00", [90], True)
    call(tenant)
    error(order(gateway, f"budgets/{budget['id']}", "PATCH", organization=tenant.org, cost=None), 400, param="caps")
    gone = gateway.api("DELETE", f"/admin/v1/budgets/{budget['id']}?organization={tenant.org}")
    assert gone.status_code == 200 and gone.json()["deleted"]
    again = gateway.api("DELETE", f"/admin/v1/budgets/{budget['id']}?organization={tenant.org}")
    assert again.status_code == 404
    assert gateway.get(f"/admin/v1/budgets?organization={tenant.org}")["data"] == []


def test_a_run_budget_ends_a_loop(gateway: Gateway, tenant: Tenant) -> None:
    book(gateway, "budgets", organization=tenant.org, of="run", period="total", steps=3)

    def step(run: str) -> httpx.Response:
        return tenant.post("/chat/completions", ASK, headers={"x-tollkeeper-run": run})

    assert [step("agent-1").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = step("agent-1").json()["error"]
    assert (refused["owner"], refused["reason"]) == ("usage_limit", "run_budget_exceeded")
    assert "resets_at" not in refused, "it never does"
    assert step("agent-2").status_code == 200
    call(tenant)


def test_a_user_budget_counts_each_user(gateway: Gateway, tenant: Tenant) -> None:
    book(gateway, "budgets", organization=tenant.org, of="user", period="daily", steps=1)
    call(tenant, user="u-1")
    assert error(spend(tenant, user="u-1"), 429)["reason"] == "user_budget_exceeded"
    call(tenant, user="u-2")
    call(tenant)
    uses = gateway.get(f"/admin/v1/budgets?organization={tenant.org}")["data"][0]["uses"]
    assert sorted((used["value"], used["steps"]) for used in uses) == [("u-1", 1), ("u-2", 1)]


def test_a_soft_budget_tells_once_and_refuses_nothing(gateway: Gateway, tenant: Tenant) -> None:
    tell = {"organization": tenant.org, "of": "organization", "period": "monthly", "hard": False}
    budget = book(gateway, "budgets", steps=2, thresholds=[50, 100], **tell)["id"]
    for _ in range(4):
        call(tenant)
    tenant.settled(4)
    page = gateway.get(f"/admin/v1/events?organization={tenant.org}")
    told = [(event["event"], event["budget"], event["percent"]) for event in page["data"]]
    assert told == [("budget_threshold", budget, 100), ("budget_threshold", budget, 50)] and not page["has_more"]
    newest = gateway.get(f"/admin/v1/events?organization={tenant.org}&limit=1")
    assert newest["data"] == page["data"][:1] and newest["has_more"]
    older = gateway.get(f"/admin/v1/events?organization={tenant.org}&before={page['data'][0]['id']}")
    assert older["data"] == page["data"][1:]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "caps"),
        ({"cost": "-1"}, "cost"),
        ({"steps": 1, "thresholds": [80, 50]}, "thresholds"),
        ({"steps": 1, "of": "team"}, "of"),
        ({"steps": 1, "period": "hourly"}, "period"),
        ({"steps": 1, "zone": "Moon"}, "zone"),
        ({"steps": 1, "which": "me"}, "which"),
        ({"steps": 1, "of": "project", "which": f"proj_{'0' * 32}"}, "which"),
        ({"steps": 1, "of": "key", "which": "key_1"}, "which"),
        ({"steps": 1, "of": "environment", "which": "production"}, "which"),
        ({"steps": 1, "of": "user", "which": " "}, "which"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(gateway: Gateway, tenant: Tenant, body: Json, param: str) -> None:
    answer = order(gateway, "budgets", **{"organization": tenant.org, "of": "organization", "period": "daily"} | body)
    assert answer.status_code in (400, 404) and error(answer, answer.status_code)["param"] == param


def stopping(gateway: Gateway, granted: str) -> Tenant:
    """A tenant whose calls end where the money ends."""
    tenant = gateway.tenant(granted)
    changed = book(gateway, f"organizations/{tenant.org}", "PATCH", in_flight="stops", time_zone="Europe/Berlin")
    assert (changed["in_flight"], changed["time_zone"]) == ("stops", "Europe/Berlin")
    return tenant


def test_a_stream_under_stops_ends_where_the_money_ends(gateway: Gateway, mock: Mock) -> None:
    tenant = stopping(gateway, "0.05")
    messages: Any = ASK["messages"]
    stream = tenant.client().chat.completions.create(model="sim?out=20000;chunk=50", messages=messages, stream=True)
    reasons = [choice.finish_reason for chunk in stream for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["length"]
    row = tenant.settled_one()
    assert 0 < Decimal(row["cost"]) <= Decimal("0.05")
    assert tenant.balance()["debt"] == "0.00"
    # Nearly all of it was used: a cut is not an excuse to stop early.
    assert Decimal(row["cost"]) > Decimal("0.03"), row


def test_an_answer_under_stops_is_no_longer_than_the_money(gateway: Gateway) -> None:
    tenant = stopping(gateway, "0.02")
    body = {"model": "sim?out=20000", "messages": ASK["messages"], "max_tokens": 10_000}
    answer = tenant.post("/chat/completions", body)
    assert answer.status_code == 200, answer.text
    choice, usage = answer.json()["choices"][0], answer.json()["usage"]
    assert choice["finish_reason"] == "length"
    assert 1_000 < usage["completion_tokens"] < PRICE.cost(0, 1) ** -1 * Decimal("0.02")
    row = tenant.settled_one()
    assert 0 < Decimal(row["cost"]) <= Decimal("0.02") and tenant.balance()["debt"] == "0.00"


def test_a_ledger_adds_up_page_by_page(gateway: Gateway, tenant: Tenant) -> None:
    wallet = book(gateway, "wallets", organization=tenant.org, name="chat", project=tenant.project)["id"]
    book(gateway, "credits/transfers", organization=tenant.org, **{"from": "own"}, to=wallet, amount="2.00")
    request = call(tenant)
    tenant.settled_one()
    book(gateway, "credits/refunds", request=request, reason="a test")
    book(gateway, "credits/adjustments", organization=tenant.org, amount="-1", reason="a test")
    entries = ledger(tenant, limit=2)
    assert entries == ledger(tenant)
    assert [entry["sequence"] for entry in entries] == [5, 4, 3, 2, 1]
    assert [entry["kind"] for entry in entries] == ["adjust", "refund", "settle", "transfer", "grant"]
    running = Decimal(0)
    for entry in reversed(entries):
        running += Decimal(entry["amount"])
        assert running == Decimal(entry["balance"]), entry
        assert re.fullmatch("[0-9a-f]{64}", entry["hash"])
        assert sum(Decimal(lot["amount"]) for lot in entry["lots"]) == Decimal(entry["amount"])
    assert running == Decimal(tenant.balance()["net"]) == 4
    settle, transfer = entries[2], entries[3]
    assert settle["about"] == {"type": "request", "id": request} and settle["actor"] is None
    assert [lot["wallet_name"] for lot in settle["lots"]] == ["chat"]
    assert transfer["moved"] == "2.00"
    lots = sorted((lot["wallet_name"], lot["amount"]) for lot in transfer["lots"])
    assert lots == [("chat", "2.00"), ("own", "-2.00")]
    assert len({entry["hash"] for entry in entries}) == 5


def test_time_alone_expires_credit_and_warns_once(make_gateway: MakeGateway, mock: Mock) -> None:
    settings = SETTINGS + "\n[ledger]\nsweep_seconds = 1\nwarn_days = 2\n"
    routes = [Route("sim?*", "mock", "sim-small?*")]
    gateway = make_gateway(text=config([Provider("mock", mock.base_url)], routes, settings))
    tenant = gateway.tenant(granted="0")

    def grant(**after: float) -> Json:
        ends = (datetime.now(timezone.utc) + timedelta(**after)).isoformat().replace("+00:00", "Z")
        return book(gateway, "credits/grants", organization=tenant.org, amount="1.00", kind="promo", expires_at=ends)

    soon, later, late = grant(seconds=1.5), grant(days=1), grant(days=3)
    entries = eventually(lambda: [one for one in ledger(tenant) if one["kind"] == "expire"], "the end of the credit")
    assert [(entry["about"]["id"], entry["amount"]) for entry in entries] == [(soon["id"], "-1.00")]

    def warned() -> list[str]:
        events = gateway.get(f"/admin/v1/events?organization={tenant.org}")["data"]
        return [event["lot"] for event in events if event["event"] == "credit_expiring"]

    eventually(lambda: later["id"] in warned(), "the warning")
    count = lambda: gateway.metric("tollkeeper_ledger_events_total", event="credit_expiring")  # noqa: E731
    eventually(lambda: count() == len(warned()), "the count")
    eventually(lambda: "credit expires soon" in gateway.log(), "the line in the log")
    assert late["id"] not in warned() and len(warned()) == len(set(warned()))
    # What was warned of and stays makes nobody busy: while another grant lives and ends, several rounds long, there are
    # the commands of its grant, its warning and its end, and no more.
    before = gateway.metric("tollkeeper_ledger_commands_total")
    last = grant(seconds=2.5)["id"]
    eventually(lambda: ledger(tenant)[0]["about"]["id"] == last and ledger(tenant)[0]["kind"] == "expire", "its end")
    assert gateway.metric("tollkeeper_ledger_commands_total") - before <= 3


def test_what_cannot_be_undone_asks_first(gateway: Gateway, tenant: Tenant) -> None:
    for takes in (["payout", "--amount", "1"], ["adjust", "--amount", "-1"]):
        words = ["credits", *takes, "--org", tenant.org, "--reason", "a test"]
        refused = gateway.cli(*words)
        assert (refused.code, refused.stdout) == (2, "") and "--yes" in refused.stderr
        done = gateway.cli(*words, "--yes")
        assert done.code == 0 and done.json["draws"][0]["amount"] == "1.00", done
    added = gateway.cli("credits", "adjust", "--org", tenant.org, "--amount", "1", "--reason", "a test")
    assert added.code == 0 and added.json["kind"] == "adjustment"
    assert Decimal(tenant.balance()["posted"]) == 4


def test_the_command_line_says_it_all(gateway: Gateway, tenant: Tenant) -> None:
    def done(*args: str) -> Json:
        outcome = gateway.cli(*args)
        assert outcome.code == 0, outcome
        return outcome.json

    org = ["--org", tenant.org]
    made = done("org", "create", "Zone Co", "--time-zone", "Asia/Tokyo", "--in-flight", "stops")
    assert (made["time_zone"], made["in_flight"]) == ("Asia/Tokyo", "stops")
    assert done("org", "update", made["id"], "--name", "Zones Co")["name"] == "Zones Co"
    assert done("org", "show", made["id"]) == made | {"name": "Zones Co"}
    assert made["id"] in [organization["id"] for organization in done("org", "list")["data"]]
    wallet = done("wallets", "create", "chat", *org, "--project", tenant.project, "--overflow")["id"]
    assert [found["name"] for found in done("wallets", "list", *org)["data"]] == ["own", "chat"]
    assert done("credits", "grant", *org, "--amount", "1", "--kind", "promo", "--wallet", wallet)["wallet"] == wallet
    moved = done("credits", "transfer", *org, "--from", "own", "--to", wallet, "--amount", "2", "--reason", "a test")
    assert moved["amount"] == "2.00"
    poor = gateway.cli("credits", "transfer", *org, "--from", wallet, "--to", "own", "--amount", "3")
    assert poor.code == 7 and "promotional" in poor.stderr, "no credit for it"
    request = call(tenant)
    assert done("credits", "refund", request, "--reason", "a test")["kind"] == "refund"
    code = f"CLI-{tenant.org[-8:]}".upper()
    assert done("promo", "create", code, "--amount", "1", "--uses", "2")["code"] == code
    assert code in [found["code"] for found in done("promo", "list")["data"]]
    assert done("credits", "redeem", code, *org)["kind"] == "promo"
    assert done("credits", "ledger", *org, "--limit", "3")["has_more"]
    budget = done("budgets", "set", *org, "--of", "run", "--period", "total", "--steps", "2", "--thresholds", "50,100")
    assert (budget["steps"], budget["thresholds"]) == (2, [50, 100])
    assert done("budgets", "set", *org, "--id", budget["id"], "--steps", "3", "--soft")["hard"] is False
    assert [found["steps"] for found in done("budgets", "list", *org)["data"]] == [3]
    assert done("budgets", "remove", budget["id"], *org)["deleted"]
    assert gateway.cli("budgets", "remove", budget["id"], *org).code == 5
    assert done("events", *org)["data"] == []
