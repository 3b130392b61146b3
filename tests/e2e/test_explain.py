"""What was decided about a request: each layer with what it saw, what stopped it or the route it took, and the cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from conftest import MakeGateway
from harness import SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config, unlike

ASK: Json = {"model": "sim?out=5", "max_tokens": 5, "messages": [{"role": "user", "content": "a private thought"}]}
TO_ROUTE = ["key", "project", "model_access", "region", "route"]
TO_BILLING = [*TO_ROUTE, "usage_limit", "rate_limit", "billing"]
UNKNOWN = "0" * 32


def call(tenant: Tenant, status: int, **more: Any) -> str:
    """The id of a call that is answered so."""
    answer = tenant.post("/chat/completions", ASK | more)
    assert answer.status_code == status, answer.text
    return answer.headers["x-request-id"]


def explain(gateway: Gateway, request: str) -> Json:
    """The explanation, the same by the API and the command; it holds no prompt and no secret."""
    found = gateway.get(f"/admin/v1/requests/{request}/explain")
    assert found["object"] == "explanation" and found["request"] == request
    told = gateway.cli("explain", request)
    assert told.code == 0 and told.json == found
    assert "private" not in told.stdout
    return found


def passed(found: Json) -> list[str]:
    """The layers that let it pass, after which at most one may stand that did not."""
    layers = found["layers"]
    assert all(layer["passed"] for layer in layers[:-1]), layers
    return [layer["owner"] for layer in layers if layer["passed"]]


def stopped(found: Json) -> tuple[str, str]:
    assert [layer["owner"] for layer in found["layers"] if not layer["passed"]] == [found["stopped"]["owner"]]
    assert found["stopped"]["message"] and found["stopped"]["next_step"]
    return found["stopped"]["owner"], found["stopped"]["code"]


def check_billed(found: Json, tenant: Tenant, row: Json) -> None:
    assert (found["state"], found["recorded"], found["stopped"]) == ("settled", True, None)
    assert passed(found) == [*TO_BILLING, "provider"]
    saw = {layer["owner"]: layer["saw"] for layer in found["layers"]}
    assert saw["key"]["id"] == tenant.key_id and tenant.secret not in str(found)
    assert saw["key"]["redacted"].startswith("tk-") and saw["key"]["expires_at"] is None
    assert (saw["project"]["environment"], saw["project"]["data_class"]) == ("dev", "internal")
    assert saw["model_access"] == {"model": row["model"], "route": "sim?*"}
    assert (saw["route"]["target"], saw["route"]["price_version"]) == (row["target"], row["price_version"])
    assert saw["billing"]["held"] == found["route"]["held"]
    assert found["caller"]["organization"] == {"id": tenant.org, "name": "Tests"}
    assert (found["attempts"], found["cost"]) == ([row], row["cost"])
    assert found["hold"] == found["hold"] | {"amount": row["held"], "state": "settled"}


def make(mock: Mock, make_gateway: MakeGateway, settings: str = SETTINGS) -> Gateway:
    routes = [Route("sim?*", "mock", "sim-small?*")]
    return make_gateway(text=config([Provider("mock", mock.base_url)], routes, settings))


def test_every_request_is_explained_also_after_a_restart(mock: Mock, make_gateway: MakeGateway) -> None:
    gateway = make(mock, make_gateway)
    tenant, poor, capped = gateway.tenant(), gateway.tenant("0"), gateway.tenant()
    budget = {"organization": capped.org, "of": "organization", "period": "monthly", "steps": 0}
    assert gateway.api("POST", "/admin/v1/budgets", budget).status_code == 201
    stranger = Tenant(gateway, tenant.org, tenant.project, "", unlike(tenant.secret))

    billed = call(tenant, 200)
    streamed = call(tenant, 200, stream=True)
    failed = call(tenant, 502, model="sim?fault=500")
    rows = {row["request_id"]: row for row in tenant.settled(3)}
    broke, over = call(poor, 429), call(capped, 429)
    unknown, nowhere = call(stranger, 401), call(tenant, 404, model="nowhere")
    unread = call(tenant, 400, messages="none")

    def check() -> None:
        check_billed(explain(gateway, billed), tenant, rows[billed])
        check_billed(explain(gateway, streamed), tenant, rows[streamed])

        found = explain(gateway, failed)
        assert passed(found) == TO_BILLING and stopped(found) == ("provider", rows[failed]["reason"])
        assert (found["attempts"], found["cost"]) == ([rows[failed]], "0.00")
        assert found["route"]["target"] == rows[failed]["target"]

        found = explain(gateway, broke)
        assert (found["state"], found["hold"], found["attempts"], found["route"]) == ("refused", None, [], None)
        assert passed(found) == [*TO_ROUTE, "usage_limit", "rate_limit"] and stopped(found) == ("billing", "credit_exhausted")
        assert "credits" in found["stopped"]["next_step"] and found["cost"] == "0.00"

        found = explain(gateway, over)
        assert passed(found) == TO_ROUTE and stopped(found) == ("usage_limit", "organization_budget_exceeded")
        assert (found["stopped"]["limit"], found["stopped"]["used"]) == ("0", "0")

        found = explain(gateway, unknown)
        assert passed(found) == [] and stopped(found) == ("key", "invalid_key")
        assert found["caller"] is None and stranger.secret not in str(found)

        found = explain(gateway, nowhere)
        assert passed(found) == ["key", "project"] and stopped(found) == ("model_access", "model_not_found")
        assert found["caller"]["key"]["id"] == tenant.key_id

        found = explain(gateway, unread)
        assert (found["stopped"]["owner"], found["stopped"]["kind"]) == (None, "bad_request")
        assert found["stopped"]["param"] == "messages" and passed(found) == ["key", "project"]

    check()
    assert gateway.stop() == 0
    gateway.start()
    check()
    assert gateway.metric("tollkeeper_decisions_dropped_total") == 0


def test_a_running_request_is_running(gateway: Gateway, tenant: Tenant) -> None:
    body = ASK | {"model": "sim?tps=40;out=40", "max_tokens": 40, "stream": True}
    stream: Any = tenant.client().chat.completions.create(**body)
    found = explain(gateway, stream.response.headers["x-request-id"])
    assert (found["state"], found["hold"]["state"], found["attempts"]) == ("running", "live", [])
    assert passed(found) == TO_BILLING and found["stopped"] is None
    assert Decimal(found["route"]["held"]) == Decimal(found["hold"]["amount"]) > 0
    assert list(stream)
    tenant.settled_one()


def test_what_was_not_recorded_is_not_guessed(mock: Mock, make_gateway: MakeGateway) -> None:
    settings = SETTINGS + '[explain]\nrecord = "none"\nkeep_days = 7\n'
    gateway = make(mock, make_gateway, settings)
    tenant = gateway.tenant("0.01")
    billed = call(tenant, 200)
    row = tenant.settled_one()
    found = explain(gateway, billed)
    assert (found["recorded"], found["route"], found["attempts"]) == (False, None, [row])
    assert "not on record" in found["note"] and [layer["owner"] for layer in found["layers"]] == ["provider"]
    assert found["caller"] == {"organization": {"id": tenant.org}, "project": {"id": tenant.project}, "key": {"id": tenant.key_id}}
    refused = call(tenant, 404, model="nowhere")
    for request in (refused, f"req_{UNKNOWN}"):
        answer = gateway.api("GET", f"/admin/v1/requests/{request}/explain")
        assert answer.status_code == 404 and "7 days" in answer.json()["error"]["message"], answer.text
        assert gateway.cli("explain", request).code == 5


def test_strangers_do_not_fill_the_disk(mock: Mock, make_gateway: MakeGateway) -> None:
    gateway = make(mock, make_gateway)
    stranger = Tenant(gateway, "", "", "", "tk-nonsense")
    for _ in range(70):
        call(stranger, 401)
    assert gateway.metric("tollkeeper_decisions_dropped_total") == 10
