"""Rate limits, usage tiers and refusals as the official SDKs see them: what they raise and what they try again."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from conftest import MakeGateway
from harness import FREE, PATIENCE, SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config, eventually, unlike
from sdk import Sdk

MESSAGES: Json = [{"role": "user", "content": "hi"}]
ASK: Json = {"model": "sim", "messages": MESSAGES, "max_tokens": 20}

TIERS = """
[[tiers]]
name = "new"
monthly_ceiling = "0.0001"
limits = [{ models = "sim*", requests_per_day = 2 }]
[[tiers]]
name = "customer"
credit_purchased = "50.00"
limits = [{ models = "sim*", requests_per_day = 500 }]
"""


def limit(tenant: Tenant, **caps: int) -> None:
    """Limits all calls of an organization."""
    path = f"/admin/v1/organizations/{tenant.org}/limits"
    answer = tenant.gateway.api("PUT", path, {"subject": "organization", **caps})
    assert answer.status_code == 200, answer.text


def refused(gateway: Gateway, outcome: str) -> Decimal:
    """How often this owner has refused."""
    return gateway.metric("tollkeeper_requests_total", outcome=outcome)


def remaining(tenant: Tenant) -> str:
    """What a call leaves of its requests."""
    answer = tenant.post("/chat/completions", ASK)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-ratelimit-remaining-requests"]


@pytest.fixture(autouse=True)
def far_from_midnight() -> None:
    """A day that begins during a test begins at 0, as it should; then the test counts wrong."""
    now = datetime.now(UTC)
    if (now.hour, now.minute) == (23, 59):
        pytest.skip("a new day begins in this minute")


#: How each layer's refusal looks to an application: what is wrong, the class, the code, and the owner that counts it.
CLASSES = [
    ("unknown key", "AuthenticationError", "invalid_api_key", "key"),
    ("disabled key", "PermissionDeniedError", "key_disabled", "key"),
    ("unknown model", "NotFoundError", "model_not_found", "model_access"),
    ("model without a price", "PermissionDeniedError", "model_not_priced", "model_access"),
    ("budget", "RateLimitError", "organization_spend_limit_exceeded", "usage_limit"),
    ("day", "RateLimitError", "rate_limit_exceeded", "rate_limit"),
    ("credit", "RateLimitError", "insufficient_quota", "billing"),
]


@pytest.mark.parametrize(("case", "name", "code", "owner"), CLASSES, ids=[case for case, *_ in CLASSES])
def test_the_sdks_raise_the_class_that_is_expected_and_do_not_try_again(
    sdk: Sdk, make_gateway: MakeGateway, mock: Mock, case: str, name: str, code: str, owner: str
) -> None:
    routes = [Route("sim", "mock", "sim-small"), Route("unpriced", "mock", "sim-small", price=None)]
    gateway = make_gateway(text=config([Provider("mock", mock.base_url)], routes))
    tenant = gateway.tenant("0" if case == "credit" else "5.00")
    caller, params = tenant, ASK
    if case == "unknown key":
        caller = Tenant(gateway, tenant.org, tenant.project, tenant.key_id, unlike(tenant.secret))
    elif case == "disabled key":
        assert gateway.api("PATCH", f"/admin/v1/keys/{tenant.key_id}", {"disabled": True}).status_code == 200
    elif case == "unknown model":
        params = ASK | {"model": "none"}
    elif case == "model without a price":
        params = ASK | {"model": "unpriced"}
    elif case == "budget":
        gateway.make("/admin/v1/budgets", organization=tenant.org, of="organization", period="monthly", cost="0.00")
    elif case == "day":
        limit(tenant, requests_per_day=0)
    called = sdk.call(caller, "chat", max_retries=2, params=params)
    assert called.error and (called.error.name, called.error.code) == (name, code), called
    assert called.error.request_id and called.error.request_id.startswith("req_")
    # Three tries are what the SDK would make by itself.
    assert refused(gateway, owner) == 1
    assert tenant.rows() == []


def test_the_sdks_wait_as_long_as_they_are_told(sdk: Sdk, gateway: Gateway, tenant: Tenant) -> None:
    limit(tenant, concurrent_requests=1)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(tenant.post, "/chat/completions", ASK | {"model": "sim?latency_ms=1400"})
        eventually(lambda: Decimal(tenant.balance()["held"]) > 0, "the call that is in the way")
        error = sdk.call(tenant, "chat", params=ASK).error
        assert error and (error.name, error.code) == ("RateLimitError", "rate_limit_exceeded"), error
        # After a second, and after another one, the place is free.
        called = sdk.call(tenant, "chat", max_retries=3, params=ASK)
        assert called.error is None, called.error
        assert slow.result().status_code == 200
    tenant.settled(2)


def test_a_wait_of_a_day_is_not_tried(sdk: Sdk, gateway: Gateway, tenant: Tenant) -> None:
    limit(tenant, requests_per_day=1)
    assert remaining(tenant) == "0"
    answer = tenant.post("/chat/completions", ASK)
    headers = [answer.headers.get(name) for name in ("x-should-retry", "retry-after", "retry-after-ms")]
    assert (answer.status_code, headers) == (429, ["false", "60", None]), answer.headers
    error = sdk.call(tenant, "chat", max_retries=2, timeout=5, params=ASK).error
    assert error and (error.name, error.status, error.type) == ("RateLimitError", 429, "requests"), error
    assert len(tenant.settled(1)) == 1


def test_a_changed_limit_and_a_revoked_key_hold_for_the_next_request(gateway: Gateway, tenant: Tenant) -> None:
    limit(tenant, requests_per_day=2)
    assert [remaining(tenant) for _ in range(2)] == ["1", "0"]
    assert tenant.post("/chat/completions", ASK).status_code == 429
    limit(tenant, requests_per_day=3)
    assert remaining(tenant) == "0"
    gateway.api("DELETE", f"/admin/v1/keys/{tenant.key_id}")
    for _ in range(3):
        answer = tenant.post("/chat/completions", ASK)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "key_disabled"), answer.text


@contextlib.contextmanager
def database(gateway: Gateway) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(gateway.data / "tollkeeper.db", timeout=5)) as connection:
        yield connection


def written(gateway: Gateway) -> int:
    """How many requests of the day are on the disk."""
    with database(gateway) as connection:
        found = connection.execute("SELECT coalesce(sum(used), 0) FROM day_count WHERE measure = 'requests_per_day'")
        count: int = found.fetchone()[0]
        return count


def test_a_days_counts_survive_a_restart_and_a_crash(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    tenant = gateway.tenant()
    limit(tenant, requests_per_day=10)
    assert [remaining(tenant) for _ in range(3)] == ["9", "8", "7"]
    # A graceful end loses none, however soon it comes.
    gateway.stop()
    assert written(gateway) == 3
    gateway.start()
    assert [remaining(tenant) for _ in range(3)] == ["6", "5", "4"]
    # A crash loses the last second at most: what was written stands.
    eventually(lambda: written(gateway) == 6, "the next writing")
    gateway.kill()
    gateway.start()
    assert remaining(tenant) == "3"
    gateway.kill()
    gateway.start()
    # Of the last second: the one call of it is lost, or is not.
    assert remaining(tenant) in ("2", "3")


def test_a_top_up_leads_to_the_next_tier(make_gateway: MakeGateway, mock: Mock) -> None:
    routes = [Route("sim", "mock", "sim-small"), Route("free", "mock", "sim-small", FREE)]
    gateway = make_gateway(text=config([Provider("mock", mock.base_url)], routes, SETTINGS + TIERS))
    tenant = gateway.tenant()

    def events() -> list[Any]:
        page = gateway.get(f"/admin/v1/events?organization={tenant.org}&limit=100")
        return [event for event in page["data"] if event["event"] == "tier_reached"]

    eventually(lambda: [event["tier"] for event in events()] == ["new"], "the first tier")
    # The ceiling is looked after with the tier: a call of more than a tenth of a thousandth is too dear.
    def over() -> Json:
        answer = tenant.post("/chat/completions", ASK)
        error: Json = answer.json().get("error", {"type": "none"})
        return error if error["type"] == "insufficient_quota" else {}

    error = eventually(over, "the ceiling")
    assert error["code"] == "organization_usage_limit_exceeded", error
    assert error["limit"] == "0.0001" and error["resets_at"].endswith("-01T00:00:00.000000Z"), error
    tenant.grant("45.00")
    eventually(lambda: [event["tier"] for event in events()] == ["customer", "new"], "the next tier")
    # The limits are the new tier's at once; its ceiling is looked after right afterwards.
    assert eventually(lambda: tenant.post("/chat/completions", ASK).status_code == 200, "no ceiling")
    assert int(remaining(tenant)) > 400


def test_a_key_that_is_revoked_while_a_body_arrives_has_ended(gateway: Gateway) -> None:
    tenant = gateway.tenant()
    body = json.dumps(ASK).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {tenant.secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    address = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + body[:10])
        revoked = gateway.api("DELETE", f"/admin/v1/keys/{tenant.key_id}", None)
        assert revoked.status_code == 200, revoked.text
        connection.sendall(body[10:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 403 ") and b'"owner":"key"' in answer, answer
    assert tenant.rows() == []
