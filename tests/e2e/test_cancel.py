"""Clients that leave: the call ends on the books all the same, and costs what was generated until then."""

from __future__ import annotations

from decimal import Decimal

import pytest

from harness import PRICE, Json, Mock, Tenant
from sdk import Sdk

MESSAGES = [{"role": "user", "content": "Tell me everything about tolls."}]


def ask(model: str) -> Json:
    return {"model": model, "messages": MESSAGES}


#: So slow that a busy machine, which takes its time to pass the word on, does not miss many tokens.
@pytest.mark.parametrize(("after", "tps"), [(1, 8), (20, 16)])
def test_a_client_hangs_up_amid_a_stream(sdk: Sdk, mock: Mock, tenant: Tenant, after: int, tps: int) -> None:
    called = sdk.call(tenant, "stream", params=ask(f"sim?tps={tps};out=1000"), cancel_after=after)
    assert called.error is None and called.chunks == after and called.request_id
    row, truth = tenant.settled_one(), mock.truth_of(called.request_id)
    assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", True)
    assert not truth["finished"], "the provider was told to stop"
    assert row["input_tokens"] == truth["prompt_tokens"]
    assert abs(row["output_tokens"] - truth["completion_tokens"]) <= 5 and row["output_tokens"] >= after - 2
    assert Decimal(row["cost"]) == PRICE.cost(row["input_tokens"], row["output_tokens"])


#: Both SDKs' names for the same thing.
TIMEOUT = {"python": "APITimeoutError", "node": "APIConnectionTimeoutError"}


@pytest.mark.parametrize("tries", [1, 2])
def test_a_client_gives_up_waiting(sdk: Sdk, mock: Mock, tenant: Tenant, tries: int) -> None:
    called = sdk.call(tenant, "chat", params=ask("sim?latency_ms=900"), timeout=0.3, max_retries=tries - 1)
    assert called.error and called.error.name == TIMEOUT[sdk.name]
    for row in tenant.settled(tries):
        # The provider went on to the end and bills it, so its count stands.
        assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", False)
        assert Decimal(row["cost"]) == PRICE.of_truth(mock.truth_of(row["request_id"])) > 0


@pytest.mark.parametrize(
    ("op", "model", "status", "reason"),
    [
        ("stream", "sim?latency_ms=600;out=1000;tps=100", "cancelled", "client_closed"),
        ("stream", "sim?ttft_ms=900;out=1000;tps=100", "cancelled", "client_closed"),
        ("stream", "sim?fault=hang", "cancelled", "client_closed"),
        ("chat", "sim?fault=hang", "failed", "upstream_timeout"),
        ("chat", "sim?latency_ms=600;fault=500", "failed", "upstream_error"),
        ("chat", "hole", "failed", "upstream_connect_timeout"),
    ],
)
def test_a_client_leaves_before_the_answer_begins(
    tenant: Tenant, sdk: Sdk, op: str, model: str, status: str, reason: str
) -> None:
    called = sdk.call(tenant, op, params=ask(model), timeout=0.2, **({"cancel_after": 1} if op == "stream" else {}))
    assert called.chunks or (called.error and called.error.name == TIMEOUT[sdk.name])
    row = tenant.settled_one()
    assert (row["status"], row["reason"]) == (status, reason)
    assert row["output_tokens"] <= 1, "nothing was generated that anybody saw"
