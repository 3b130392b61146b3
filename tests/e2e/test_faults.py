"""Every way in which a provider can fail: what the client sees, what the books say, and that nothing stays held."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from harness import PRICE, Json, Mock, Tenant
from sdk import Called, Sdk

MESSAGES: Any = [{"role": "user", "content": "What does it cost to pass?"}]


SERVER = "InternalServerError"


@dataclass(frozen=True)
class Fault:
    """How a provider behaves, and what must come of it."""

    model: str
    #: The exception that both SDKs raise; nothing if the call goes well.
    error: str | None
    #: The status that the exception carries, if it comes before the answer has begun.
    status: int | None
    #: The code that the exception carries, where it is sure to have one.
    code: str | None
    #: Why the row says that the call ended so.
    reason: str
    #: The status that the provider answered with; 0 for none.
    http_status: int = 200
    #: Whether the tokens are counted by us.
    estimated: bool = False
    #: Whether the call costs what the truth log says; else it costs nothing.
    charged: bool = False
    #: How soon the call must have ended, in seconds.
    within: float = 2.0

    def __str__(self) -> str:
        return self.model


def fine(model: str, estimated: bool = False) -> Fault:
    """The call goes well."""
    return Fault(model, None, None, None, "complete", estimated=estimated, charged=True)


def lost(model: str, status: int, reason: str, **more: Any) -> Fault:
    """No answer came of it, by the fault of the way to the provider: nothing is charged."""
    return Fault(model, SERVER, status, reason, reason, **more)


def broke(model: str, reason: str, **more: Any) -> Fault:
    """A stream had begun when it broke: what was delivered is charged."""
    return Fault(model, "APIError", None, reason, reason, **{"estimated": True, "charged": True} | more)


#: Before an answer begins it is all the same whether it was to be a stream.
EITHER = [
    Fault("sim?fault=429", "RateLimitError", 429, "rate_limit_exceeded", "upstream_rate_limited", 429),
    Fault("sim?fault=400", "BadRequestError", 400, "invalid_value", "upstream_rejected", 400),
    Fault("sim?fault=500", SERVER, 502, None, "upstream_error", 500),
    Fault("sim?fault=503", SERVER, 503, "server_is_overloaded", "upstream_overloaded", 503),
    # Our account at the provider is not the caller's business.
    lost("sim?fault=401", 502, "provider_auth_failed", http_status=401),
    lost("sim?fault=quota", 503, "provider_quota_exhausted", http_status=429),
    lost("refused", 502, "upstream_unreachable", http_status=0),
    lost("hole", 504, "upstream_connect_timeout", http_status=0),
    lost("sim?fault=hang", 504, "upstream_timeout", http_status=0, within=3.0),
    lost("sim?fault=slow_headers", 504, "upstream_timeout", http_status=0, within=3.0),
    lost("sim?fault=close", 502, "upstream_closed", http_status=0),
    # Late, but not too late.
    fine("sim?latency_ms=300"),
    fine("sim?fault=slow_headers;latency_ms=300"),
    fine("sim?fault=wrong_model"),
    fine("sim?fault=no_usage", estimated=True),
    fine("sim?fault=no_usage;out=600", estimated=True),
]

#: An answer in one piece that cannot be used is not passed on, and costs nothing.
WHOLE = [
    lost("sim?fault=close_mid", 502, "upstream_closed"),
    lost("sim?fault=garbage", 502, "upstream_garbage"),
    lost("sim?fault=garbage_mid", 502, "upstream_garbage"),
    lost("sim?fault=empty", 502, "upstream_garbage"),
    lost("sim?fault=hang_mid", 504, "upstream_idle_timeout"),
    Fault("sim?fault=error_mid", SERVER, 502, None, "upstream_error"),
]

#: A stream that breaks says so, and costs what was delivered.
STREAMED = [
    broke("sim?fault=close_mid;after=5", "upstream_closed"),
    broke("sim?fault=hang_mid;after=5", "upstream_idle_timeout"),
    Fault("sim?fault=error_mid;after=5", "APIError", None, None, "upstream_error", estimated=True, charged=True),
    broke("sim?fault=garbage", "upstream_garbage", estimated=False, charged=False),
    broke("sim?fault=empty", "upstream_closed", estimated=False, charged=False),
    fine("sim?fault=no_done"),
]

CASES = [("chat", fault) for fault in EITHER + WHOLE] + [("stream", fault) for fault in EITHER + STREAMED]


def check_end(called: Called, fault: Fault) -> None:
    if fault.error is None:
        assert called.error is None, called.error
        return
    assert called.error, called
    assert (called.error.name, called.error.status) == (fault.error, fault.status), called.error
    assert fault.code is None or called.error.code == fault.code, called.error
    assert fault.status is None or (called.error.request_id or "").startswith("req_")


@pytest.mark.parametrize(("op", "fault"), CASES, ids=lambda value: str(value))
def test_faults(sdk: Sdk, mock: Mock, tenant: Tenant, op: str, fault: Fault) -> None:
    began = time.monotonic()
    called = sdk.call(tenant, op, params={"model": fault.model, "messages": MESSAGES})
    assert time.monotonic() - began < fault.within
    check_end(called, fault)
    row = tenant.settled_one()
    outcome = {
        "status": "failed" if fault.error else "succeeded",
        "reason": fault.reason,
        "estimated": fault.estimated,
        "http_status": fault.http_status,
        "streamed": op == "stream",
    }
    assert {name: row[name] for name in outcome} == outcome
    if fault.charged:
        truth = mock.truth_of(row["request_id"])
        assert (row["input_tokens"], row["output_tokens"]) == (truth["prompt_tokens"], truth["completion_tokens"])
        assert Decimal(row["cost"]) == PRICE.of_truth(truth) > 0
    else:
        assert row["input_tokens"] == row["output_tokens"] == Decimal(row["cost"]) == 0


def test_garbage_amid_a_stream_ends_it(sdk: Sdk, tenant: Tenant) -> None:
    called = sdk.call(tenant, "stream", params={"model": "sim?fault=garbage_mid;after=5", "messages": MESSAGES})
    assert called.error and (called.error.name, called.error.code) == ("APIError", "upstream_garbage")
    row = tenant.settled_one()
    # The provider goes on and bills all of it; the caller pays for what was delivered.
    assert (row["status"], row["reason"], row["estimated"]) == ("failed", "upstream_garbage", True)
    assert row["output_tokens"] == 5 and Decimal(row["cost"]) == PRICE.cost(row["input_tokens"], 5)


def test_another_model_that_answers_is_named(tenant: Tenant) -> None:
    tenant.client().chat.completions.create(model="sim?fault=wrong_model", messages=MESSAGES)
    row = tenant.settled_one()
    assert (row["model"], row["model_answered"]) == ("sim?fault=wrong_model", "sim-other")


@pytest.mark.parametrize("fault", ["close_mid", "garbage_mid", "hang_mid", "error_mid"])
def test_a_broken_stream_keeps_what_came_before(sdk: Sdk, tenant: Tenant, fault: str) -> None:
    called = sdk.call(tenant, "stream", params={"model": f"sim?fault={fault};after=7", "messages": MESSAGES})
    assert called.texts == ["The keeper at the gate counts each"]
    row = tenant.settled_one()
    assert row["request_id"] == called.request_id, "a stream carries its request id"


@dataclass(frozen=True)
class Retried:
    """What an SDK does about a failure when it may try again."""

    model: str
    attempts: int
    #: The least time between the attempts, in seconds.
    at_least: float
    error: str

    def __str__(self) -> str:
        return self.model


RETRIED = [
    Retried("sim?fault=429;retry_after=1", 2, 1.0, "RateLimitError"),
    Retried("sim?fault=503", 2, 0.3, SERVER),
    Retried("refused", 2, 0.3, SERVER),
    Retried("sim?fault=close", 2, 0.3, SERVER),
    # What another try cannot cure.
    Retried("sim?fault=401", 1, 0.0, SERVER),
    Retried("sim?fault=quota", 1, 0.0, SERVER),
    Retried("sim?fault=400", 1, 0.0, "BadRequestError"),
]


@pytest.mark.parametrize("retried", RETRIED, ids=str)
def test_sdks_try_again_where_it_helps(sdk: Sdk, tenant: Tenant, retried: Retried) -> None:
    began = time.monotonic()
    called = sdk.call(tenant, "chat", params={"model": retried.model, "messages": MESSAGES}, max_retries=1)
    assert time.monotonic() - began >= retried.at_least
    assert called.error and called.error.name == retried.error
    rows = tenant.settled(retried.attempts)
    assert len({row["request_id"] for row in rows}) == retried.attempts, "each try has a request and a row of its own"
    assert all(Decimal(row["cost"]) == 0 for row in rows)


def test_a_retry_that_succeeds_is_charged_once(sdk: Sdk, tenant: Tenant) -> None:
    # Half of the requests fail; ten tries at the same fault would be a coin that never turns.
    called = sdk.call(tenant, "chat", params={"model": "sim?fault=503;fail=50", "messages": MESSAGES}, max_retries=8)
    assert called.error is None
    rows = tenant.rows()
    assert [row["status"] for row in tenant.settled(len(rows))] == ["succeeded"] + ["failed"] * (len(rows) - 1)


def test_a_long_retry_after_is_cut(tenant: Tenant) -> None:
    body: Json = {"model": "sim?fault=429;retry_after=3600", "messages": MESSAGES}
    answer = tenant.post("/chat/completions", body)
    assert answer.status_code == 429 and answer.headers["retry-after"] == "60", "SDKs give up on longer ones"
    assert "x-should-retry" not in answer.headers
    tenant.settled_one()


@pytest.mark.parametrize("fault", ["500", "close", "garbage", "hang_mid", "no_usage"])
def test_faults_of_embeddings(mock: Mock, tenant: Tenant, fault: str) -> None:
    body: Any = {"model": f"embed?fault={fault}", "input": ["one", "two and three"]}
    answer = tenant.post("/embeddings", body)
    row = tenant.settled_one()
    if fault == "no_usage":
        truth = mock.truth_of(row["request_id"])
        assert answer.status_code == 200 and row["estimated"] and row["input_tokens"] == truth["prompt_tokens"]
    else:
        assert answer.status_code >= 500 and row["status"] == "failed" and Decimal(row["cost"]) == 0


def test_a_long_prompt_without_usage_is_counted(mock: Mock, tenant: Tenant) -> None:
    messages = [
        {"role": "user", "content": "Zoll, péage, 料金 and 🛃 fees. " * 1000},
        {"role": "assistant", "content": "ok"},
    ]
    assert tenant.post("/chat/completions", {"model": "sim?fault=no_usage", "messages": messages}).status_code == 200
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert row["estimated"] and row["input_tokens"] == truth["prompt_tokens"] > 10_000
