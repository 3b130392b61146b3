"""Money that comes in: a stand-in for Stripe takes it, tells of it well and badly, and knows the truth; gateways die in
between. Credit comes once for each payment, or not at all."""

from __future__ import annotations

import json
import os
import random
import selectors
import subprocess
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from conftest import MakeGateway
from harness import BINARY, HTTP, PATIENCE, SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config, environment
from harness import eventually

FAKE_STRIPE = Path(os.environ.get("FAKE_STRIPE_BIN", BINARY.parent / "tollkeeper-fake-stripe"))
SECRET_KEY = "sk_test_of_the_tests0123456789"
WEBHOOK_SECRET = "whsec_of_the_tests0123456789"
#: A card that pays whenever it is asked.
GOOD = "pm_card_visa"
#: A card that pays on the page and is declined afterwards.
FAILS_LATER = "pm_card_chargeCustomerFail"


class FakeStripe:
    """The stand-in as a process, steered over HTTP. It ends when its standard input does."""

    def __init__(self, folder: Path) -> None:
        assert FAKE_STRIPE.is_file(), f"{FAKE_STRIPE} is missing; build tollkeeper-fake-stripe, or set FAKE_STRIPE_BIN"
        args = [FAKE_STRIPE, "--secret-key", SECRET_KEY, "--webhook-secret", WEBHOOK_SECRET]
        with (folder / "stripe.log").open("ab") as log:
            self.process = subprocess.Popen(
                args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment(), text=True
            )
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE), "the stand-in for Stripe did not start"
        self.url: str = json.loads(self.process.stdout.readline())["url"]

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(PATIENCE)

    def steer(self, path: str, **body: Any) -> Any:
        answer = HTTP.post(f"{self.url}/fake/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pay(self, checkout: str, card: str = GOOD) -> None:
        self.steer(f"checkout/{checkout}/pay", payment_method=card)

    def events(self) -> list[Json]:
        found: list[Json] = HTTP.get(f"{self.url}/fake/events").json()
        return found

    def truth(self) -> list[Json]:
        """Every movement of money."""
        found: list[Json] = HTTP.get(f"{self.url}/fake/truth").json()
        return found

    def deliver(self, gateway: Gateway, events: list[Json] | None = None, **order: Any) -> list[int]:
        """Sends events, in this order, and answers with what each was answered with."""
        ids = [event["id"] for event in (self.events() if events is None else events)]
        answer = self.steer("deliver", url=f"{gateway.url}/webhooks/stripe", events=ids, **order)
        return [one["status"] for one in answer["answers"]]


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[FakeStripe]:
    running = FakeStripe(tmp_path)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def shop(stripe: FakeStripe, mock: Mock, make_gateway: MakeGateway) -> Gateway:
    """A gateway whose customers pay by Stripe."""
    payments = f"""
[payments]
provider = "stripe"
secret_key = "env:STRIPE_SECRET_KEY"
webhook_secrets = ["env:STRIPE_WEBHOOK_SECRET"]
base_url = "{stripe.url}"
success_url = "https://console.example/paid"
cancel_url = "https://console.example/"
recharge_look_ms = 20
"""
    routes = [Route("sim", "mock", "sim-small"), Route("sim?*", "mock", "sim-small?*")]
    text = config([Provider("mock", mock.base_url)], routes, SETTINGS + payments)
    return make_gateway("shop", text, STRIPE_SECRET_KEY=SECRET_KEY, STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET)


def begin(tenant: Tenant, amount: str = "25.00", key: str | None = None) -> Json:
    headers = {"idempotency-key": key} if key else {}
    answer = tenant.gateway.api("POST", "/admin/v1/topups", {"organization": tenant.org, "amount": amount}, **headers)
    assert answer.status_code == 201, answer.text
    topup: Json = answer.json()
    return topup


def buy(stripe: FakeStripe, tenant: Tenant, card: str = GOOD) -> Json:
    """A top-up that is paid at Stripe, of which the gateway has heard nothing yet."""
    topup = begin(tenant)
    stripe.pay(topup["provider_ref"], card)
    return topup


def available(tenant: Tenant) -> Decimal:
    return Decimal(tenant.balance()["available"])


def topups(tenant: Tenant, purpose: str) -> list[Json]:
    """Newest first."""
    page = tenant.gateway.get(f"/admin/v1/topups?organization={tenant.org}&limit=100")
    return [topup for topup in page["data"] if topup["purpose"] == purpose]


def told(tenant: Tenant) -> list[str]:
    """What was told of payments, oldest first."""
    page = tenant.gateway.get(f"/admin/v1/events?organization={tenant.org}&limit=100")
    return [event["what"] for event in reversed(page["data"]) if event["event"] == "payment"]


def set_recharge(tenant: Tenant, threshold: str, monthly_max: str = "100.00") -> httpx.Response:
    body = {"threshold": threshold, "amount": "25.00", "monthly_max": monthly_max}
    return tenant.gateway.api("PUT", f"/admin/v1/organizations/{tenant.org}/recharge", body)


def recharging(stripe: FakeStripe, shop: Gateway, threshold: str, monthly_max: str = "100.00", card: str = GOOD) -> Tenant:
    """A tenant with 25 dollars, whose card was left for auto-recharge."""
    tenant = shop.tenant(granted="0")
    buy(stripe, tenant, card)
    assert set(stripe.deliver(shop)) == {200}
    assert available(tenant) == 25
    answer = set_recharge(tenant, threshold, monthly_max)
    assert answer.status_code == 200, answer.text
    return tenant


def call(tenant: Tenant, model: str = "sim?out=500") -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "toll"}], "max_tokens": 1000}
    return tenant.post("/chat/completions", body).status_code


def test_a_checkout_is_credited_once(stripe: FakeStripe, shop: Gateway) -> None:
    tenant = shop.tenant(granted="0")
    topup = begin(tenant, key="first")
    assert (topup["status"], topup["url"].startswith(stripe.url)) == ("pending", True), topup
    assert begin(tenant, key="first") == topup, "the same call is the same top-up"
    for body, status in [
        ({"organization": tenant.org, "amount": "26.00"}, 409),
        ({"organization": tenant.org, "amount": "4.99"}, 400),
        ({"organization": tenant.org, "amount": "1000.01"}, 400),
        ({"organization": tenant.org, "amount": "25.001"}, 400),
        ({"organization": "org_" + "0" * 32, "amount": "25.00"}, 404),
    ]:
        key = {"idempotency-key": "first"} if status == 409 else {}
        answer = shop.api("POST", "/admin/v1/topups", body, **key)
        assert answer.status_code == status, (body, answer.text)
    assert call(tenant) == 429, "nothing was paid yet"

    stripe.pay(topup["provider_ref"])
    events = stripe.events()
    assert len(events) == 2
    for order in [
        {"signing": "forged"},
        {"signing": "empty"},
        {"signing": "tampered"},
        {"signing": "unsigned"},
        {"age_seconds": 400},
        {"age_seconds": -400},
    ]:
        assert set(stripe.deliver(shop, events, **order)) == {400}, order
        assert available(tenant) == 0, order
    # In the wrong order, each three times, and all of it again, also while a secret is being rolled.
    assert set(stripe.deliver(shop, events[::-1], times=3)) == {200}
    assert set(stripe.deliver(shop, events, signing="rolled")) == {200}
    assert available(tenant) == 25
    paid = shop.get(f"/admin/v1/topups/{topup['id']}")
    assert (paid["status"], paid["payment"]) == ("paid", stripe.truth()[0]["payment_intent"])
    assert call(tenant) == 200
    assert SECRET_KEY not in shop.log() and WEBHOOK_SECRET not in shop.log()


def test_the_webhook_asks_for_nothing_but_its_signature(stripe: FakeStripe, shop: Gateway, tenant: Tenant) -> None:
    url = shop.url + "/webhooks/stripe"
    assert HTTP.post(url, content=b"x" * 300_000).status_code == 413
    assert HTTP.get(url).status_code == 405
    refused = HTTP.post(url, content=b"{}", headers={"stripe-signature": "t=1,v1=00"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_signature")
    # Of another gateway on the same account: taken, and nothing happens.
    theirs = shop.tenant(granted="0")
    buy(stripe, theirs)
    nowhere = HTTP.post(tenant.gateway.url + "/webhooks/stripe", content=b"{}")
    assert nowhere.status_code == 404, "that gateway has no Stripe"


def test_recharge_needs_a_payment_method(stripe: FakeStripe, shop: Gateway) -> None:
    tenant = shop.tenant(granted="0")
    assert set_recharge(tenant, "10.00").status_code == 409
    buy(stripe, tenant)
    assert set(stripe.deliver(shop)) == {200}
    for threshold, monthly_max, status in [("-1", "100", 400), ("10", "24.99", 400), ("10", "100", 200)]:
        assert set_recharge(tenant, threshold, monthly_max).status_code == status, (threshold, monthly_max)
    path = f"/admin/v1/organizations/{tenant.org}/recharge"
    shown = shop.get(path)
    assert (shown["enabled"], shown["payment_method"], shown["threshold"]) == (True, GOOD, "10.00")
    assert shop.api("DELETE", path).json()["enabled"] is False
    assert shop.get(path)["threshold"] == "10.00", "its settings are kept"
    shown_by = shop.cli("credits", "recharge", "set", "--org", tenant.org, "--threshold", "10", "--amount", "25",
                        "--monthly-max", "100")
    assert shown_by.code == 0 and shown_by.json["enabled"], shown_by
    off = shop.cli("credits", "recharge", "off", "--org", tenant.org)
    assert off.code == 0 and not off.json["enabled"], off


def test_a_wallet_that_runs_low_is_recharged_once_and_calls_go_on(stripe: FakeStripe, shop: Gateway) -> None:
    tenant = recharging(stripe, shop, threshold="25.00")
    assert topups(tenant, "recharge") == [], "25 are not below 25"
    assert call(tenant) == 200
    eventually(lambda: len(stripe.truth()) == 2, "the charge")
    assert [call(tenant) for _ in range(5)] == [200] * 5, "calls go on while it is pending"
    assert [topup["status"] for topup in topups(tenant, "recharge")] == ["pending"]
    assert available(tenant) < 25, "a charge alone brings no credit"
    assert set(stripe.deliver(shop, times=2)) == {200}
    assert 49 < available(tenant) < 50
    assert [call(tenant) for _ in range(5)] == [200] * 5
    assert (len(stripe.truth()), [topup["status"] for topup in topups(tenant, "recharge")]) == (2, ["paid"])
    assert told(tenant) == []


def test_a_declined_recharge_waits_and_is_told(stripe: FakeStripe, shop: Gateway) -> None:
    tenant = recharging(stripe, shop, threshold="30.00", card=FAILS_LATER)
    eventually(lambda: told(tenant) == ["recharge_declined"], "the event")
    # The webhook tells of the same decline.
    assert set(stripe.deliver(shop)) == {200}
    assert [call(tenant) for _ in range(5)] == [200] * 5
    shown = shop.get(f"/admin/v1/organizations/{tenant.org}/recharge")
    assert (shown["declines"], shown["charged_this_month"]) == (1, "0.00"), shown
    assert [topup["status"] for topup in topups(tenant, "recharge")] == ["declined"], "it is not tried again at once"
    assert (len(stripe.truth()), told(tenant)) == (1, ["recharge_declined"])


def test_the_monthly_maximum_holds_and_is_told_once(stripe: FakeStripe, shop: Gateway) -> None:
    tenant = recharging(stripe, shop, threshold="1000.00", monthly_max="60.00")
    for paid in [2, 3]:
        eventually(lambda paid=paid: len(stripe.truth()) == paid, "a charge")
        assert set(stripe.deliver(shop)) == {200}
    eventually(lambda: told(tenant), "the event")
    assert [call(tenant) for _ in range(5)] == [200] * 5
    assert (told(tenant), len(stripe.truth())) == (["recharge_monthly_maximum"], 3)


@pytest.mark.parametrize("fault", [None, "lost", "hang"])
def test_a_gateway_that_dies_after_the_charge_credits_it_once(stripe: FakeStripe, shop: Gateway, fault: str | None) -> None:
    tenant = recharging(stripe, shop, threshold="25.00")
    if fault:
        stripe.steer("faults", fault=fault, times=1)
    assert call(tenant) == 200
    eventually(lambda: len(stripe.truth()) == 2, "the charge")
    shop.kill()
    shop.start()
    assert [topup["status"] for topup in topups(tenant, "recharge")] == ["pending"]
    # Asked again, Stripe knows the charge by its key.
    eventually(lambda: topups(tenant, "recharge")[0]["provider_ref"], "the answer")
    assert (len(stripe.truth()), available(tenant) < 25) == (2, True)
    assert set(stripe.deliver(shop)) == {200}
    assert 49 < available(tenant) < 50
    assert (len(stripe.truth()), [topup["status"] for topup in topups(tenant, "recharge")]) == (2, ["paid"])


def test_a_gateway_that_dies_with_a_webhook_in_hand_credits_it_once(stripe: FakeStripe, shop: Gateway) -> None:
    tenant, chance = shop.tenant(granted="0"), random.Random(7)
    seen: set[Decimal] = set()
    for count in range(1, 13):
        before = len(stripe.events())
        topup = buy(stripe, tenant)
        events = stripe.events()[before:]
        sending = threading.Thread(target=stripe.deliver, args=(shop, events))
        sending.start()
        # Not to wait for something, but to die at another moment each time.
        time.sleep(chance.uniform(0, 0.02))
        shop.kill()
        sending.join()
        shop.start()
        seen.add(available(tenant) - 25 * (count - 1))
        assert seen <= {0, 25}, "the whole payment or nothing of it"
        status = shop.get(f"/admin/v1/topups/{topup['id']}")["status"]
        assert (status == "paid") == (available(tenant) == 25 * count), "status and credit are one"
        # Stripe sends again what was not answered; what was is sent again, too.
        assert set(stripe.deliver(shop, events)) == {200}
        assert available(tenant) == 25 * count
    assert len(topups(tenant, "manual")) == 12


def test_a_checkout_that_was_not_answered_is_begun_again(stripe: FakeStripe, shop: Gateway) -> None:
    tenant = shop.tenant(granted="0")
    stripe.steer("faults", fault="lost", times=1)
    body = {"organization": tenant.org, "amount": "25.00"}
    lost = shop.api("POST", "/admin/v1/topups", body, **{"idempotency-key": "again"})
    assert (lost.status_code, lost.json()["error"]["code"]) == (502, "payment_provider"), lost.text
    shop.kill()
    shop.start()
    again = shop.api("POST", "/admin/v1/topups", body, **{"idempotency-key": "again"}).json()
    assert [topup["id"] for topup in topups(tenant, "manual")] == [again["id"]]
    stripe.pay(again["provider_ref"])
    assert set(stripe.deliver(shop)) == {200}
    assert available(tenant) == 25


def test_a_transfer_is_confirmed_once(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    tenant = gateway.tenant(granted="0")
    topup = begin(tenant)
    assert (topup["status"], topup["url"]) == ("pending", None) and "quoting top_" in topup["instructions"]
    path = f"/admin/v1/topups/{topup['id']}/confirm"
    assert gateway.api("POST", path, {"reason": " "}).status_code == 400
    assert gateway.api("POST", path, {}).status_code == 400
    assert available(tenant) == 0
    name = {"idempotency-key": "seen"}
    first = gateway.api("POST", path, {"reason": "bank statement 7"}, **name)
    assert (first.status_code, first.json()["status"]) == (200, "paid"), first.text
    assert gateway.api("POST", path, {"reason": "bank statement 7"}, **name).json() == first.json()
    assert gateway.api("POST", path, {"reason": "another"}, **name).status_code == 409
    assert gateway.api("POST", path, {"reason": "bank statement 7"}).json()["status"] == "paid"
    gateway.kill()
    gateway.start()
    assert available(tenant) == 25
    assert set_recharge(tenant, "10.00").status_code == 409, "transfers cannot be collected"

    begun = gateway.cli("credits", "topup", "--org", tenant.org, "--amount", "10.00")
    assert begun.code == 0, begun
    done = gateway.cli("credits", "confirm", begun.json["id"], "--reason", "paid in cash")
    assert done.code == 0 and done.json["status"] == "paid", done
    listed = gateway.cli("credits", "topups", "--org", tenant.org)
    assert [one["amount"] for one in listed.json["data"]] == ["10.00", "25.00"]
    assert available(tenant) == 35
