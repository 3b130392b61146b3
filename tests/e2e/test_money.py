"""Money under a crowd: nobody spends what is not there, and the books add up to the nano-dollar."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import openai
import pytest

from harness import PRICE, Gateway, Json, Mock, eventually

CROWD = 64
ASK: Json = {"model": "sim", "messages": [{"role": "user", "content": "."}]}


@pytest.mark.parametrize(
    "model", ["sim?out=500", "sim?out=500;tps=2000", "sim?out=40;cached=50", "sim?out=500;fault=500;fail=30"]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_crowd_cannot_overspend(gateway: Gateway, mock: Mock, model: str, streamed: bool) -> None:
    tenant = gateway.tenant(granted="0.01")
    client, ready = tenant.client(), threading.Barrier(CROWD)

    def call(number: int) -> str:
        messages: Any = [{"role": "user", "content": f"I am number {number}"}]
        ready.wait()
        try:
            answer = client.chat.completions.create(model=model, messages=messages, max_tokens=100, stream=streamed)
            return "answered" if not streamed or list(answer) else "empty"
        except openai.RateLimitError as error:
            assert error.code == "insufficient_quota"
            return "refused"
        except openai.InternalServerError:
            return "failed"

    with ThreadPoolExecutor(CROWD) as pool:
        ended = Counter(pool.map(call, range(CROWD)))
    assert ended["answered"] >= 1 and ended["refused"] >= 1 and ended["empty"] == 0, ended
    rows = tenant.settled(ended["answered"] + ended["failed"])
    assert sum(Decimal(row["cost"]) for row in rows) <= Decimal("0.01")
    for row in rows:
        assert Decimal(row["cost"]) == PRICE.of_truth(mock.truth_of(row["request_id"])) <= Decimal(row["held"])


def test_the_last_cent_can_be_spent(gateway: Gateway) -> None:
    tenant = gateway.tenant(granted="0.002")
    client = tenant.client()
    with pytest.raises(openai.RateLimitError):
        for _ in range(1000):
            client.chat.completions.create(**ASK | {"model": "sim?out=5", "max_tokens": 5})
    tenant.settled(len(tenant.rows()))
    # What is left is less than the bound of one more call: its body's bytes as input, and its named output.
    assert 0 < Decimal(tenant.balance()["available"]) < PRICE.cost(150, 5)


def test_lots_are_drawn_promo_first(gateway: Gateway) -> None:
    tenant = gateway.tenant(granted="0")
    for kind in ["prepaid", "promo"]:
        tenant.grant("0.0100", kind)
    assert tenant.post("/chat/completions", ASK | {"max_tokens": 16}).status_code == 200
    row = tenant.settled_one()
    lots = {lot["kind"]: Decimal(lot["granted"]) - Decimal(lot["remaining"]) for lot in tenant.balance()["wallets"][0]["lots"]}
    assert lots == {"promo": Decimal(row["cost"]), "prepaid": 0}


def test_a_long_stream_grows_its_hold(gateway: Gateway, mock: Mock) -> None:
    tenant = gateway.tenant(granted="1.00")
    answer = tenant.post("/chat/completions", ASK | {"model": "sim?out=20000;chunk=50", "stream": True})
    assert answer.text.endswith("data: [DONE]\n\n")
    row = tenant.settled_one()
    # The first slice of output is 4,096 tokens; each further one is asked for while the stream runs.
    assert Decimal(row["held"]) > 2 * PRICE.cost(0, 4096)
    assert Decimal(row["cost"]) == PRICE.of_truth(mock.truth_of(row["request_id"])) > PRICE.cost(0, 4096)


@pytest.mark.parametrize("streamed", [False, True])
def test_what_runs_ends_and_the_rest_is_debt(gateway: Gateway, streamed: bool) -> None:
    tenant = gateway.tenant(granted="0.05")
    answer = tenant.post("/chat/completions", ASK | {"model": "sim?out=20000;chunk=50", "stream": streamed})
    assert answer.status_code == 200 and (not streamed or answer.text.endswith("data: [DONE]\n\n"))
    cost = Decimal(tenant.rows()[0]["cost"])
    balance = tenant.balance()
    assert (balance["posted"], balance["held"], Decimal(balance["debt"])) == ("0.00", "0.00", cost - Decimal("0.05"))
    refused = tenant.post("/chat/completions", ASK)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (429, "wallet_in_debt")
    tenant.grant("1.00")
    tenant.settled(1)
    assert tenant.post("/chat/completions", ASK | {"max_tokens": 5}).status_code == 200
    tenant.settled(2)


def test_credit_that_has_expired_buys_nothing(gateway: Gateway) -> None:
    tenant = gateway.tenant(granted="0")
    soon = (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    grant = {"organization": tenant.org, "amount": "1.00", "kind": "promo", "expires_at": soon}
    gateway.make("/admin/v1/credits/grants", **grant)
    assert tenant.post("/chat/completions", ASK).status_code == 200
    eventually(lambda: tenant.post("/chat/completions", ASK).status_code == 429, "the end of the credit")
    assert Decimal(tenant.balance()["available"]) == 0
    grant["expires_at"] = "2020-01-01"
    past = gateway.api("POST", "/admin/v1/credits/grants", grant)
    assert (past.status_code, past.json()["error"]["param"]) == (400, "expires_at")
