"""OpenRouter's key, keys, credits and generation: its shapes, its envelope, and who may ask."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx as sdk_httpx
import httpx2 as httpx
import openrouter
import pytest

from harness import CLAUDE_PRICE, HTTP, PRICE, Gateway, Json, Mock, Price, Tenant, unlike
from other_clients import WHOLE, check_paid

ASK: Json = {"model": "sim", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "user": "u-1"}
COSTS = {f"{kind}usage{span}" for kind in ("", "byok_") for span in ("", "_daily", "_weekly", "_monthly")}
BOTH = COSTS | set(
    "label limit limit_remaining limit_reset include_byok_in_limit creator_user_id expires_at workspace_id".split()
)
OWN = BOTH | set(
    "is_free_tier is_management_key is_provisioning_key allowed_data_regions budgets effective_budget"
    " free_model_daily_requests organization_id rate_limit".split()
)
MANAGED = BOTH | set("hash name disabled created_at updated_at last_used_at external_user".split())
#: What a caller may find on its way: nobody's key, one that was never made, and the address of another path.
HASH = "0" * 64


def call(gateway: Gateway, method: str, path: str, key: str = "", body: Json | None = None, org: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    headers |= {"openai-organization": org} if org else {}
    return HTTP.request(method, f"{gateway.url}/api/v1/{path}", headers=headers, json=body)


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def failed(answer: httpx.Response, status: int, error_type: str) -> Json:
    error: Json = answer.json()["error"]
    assert (answer.status_code, error["code"], error["metadata"]["error_type"]) == (status, status, error_type), answer.text
    assert error["message"] and answer.headers["x-request-id"].startswith("req_")
    return error


def exactly(answer: httpx.Response, field: str) -> Decimal:
    """An amount as it was written, digit by digit."""
    import json

    found = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)["data"][field]
    assert isinstance(found, Decimal)
    return found


def test_a_key_sees_what_it_has_cost(gateway: Gateway, tenant: Tenant) -> None:
    other = gateway.make("/admin/v1/keys", name="other", project=tenant.project)["secret"]
    before = ok(call(gateway, "GET", "key", tenant.secret))["data"]
    assert set(before) >= OWN and before["limit"] is None and before["usage"] == 0
    assert not before["is_free_tier"] and not before["is_management_key"]
    assert (before["organization_id"], before["workspace_id"]) == (tenant.org, tenant.project)
    assert before["budgets"] == [] and before["effective_budget"] is None

    request = tenant.post("/chat/completions", ASK).headers["x-request-id"]
    row = tenant.settled_one()
    answer = call(gateway, "GET", "key", tenant.secret)
    for field in ("usage", "usage_daily", "usage_weekly", "usage_monthly"):
        assert exactly(answer, field) == Decimal(row["cost"])
    assert ok(call(gateway, "GET", "key", other))["data"]["usage"] == 0
    assert tenant.secret not in answer.text and answer.json()["data"]["label"].startswith("tk-")

    for name in (request, "gen-" + request.removeprefix("req_")):
        answer = call(gateway, "GET", f"generation?id={name}", other)
        assert exactly(answer, "total_cost") == exactly(answer, "usage") == Decimal(row["cost"])
        found = answer.json()["data"]
        assert (found["id"], found["request_id"], found["external_user"]) == (name, request, "u-1")
        assert (found["tokens_prompt"], found["tokens_completion"]) == (row["input_tokens"], row["output_tokens"])
        assert [each["status"] for each in found["provider_responses"]] == [200]

    operators = {"key": gateway.operator_key, "org": tenant.org}
    credits = call(gateway, "GET", "credits", **operators)
    assert exactly(credits, "total_credits") == 5 and exactly(credits, "total_usage") == Decimal(row["cost"])
    balance = Decimal(tenant.balance()["net"])
    assert exactly(credits, "total_credits") - exactly(credits, "total_usage") == balance


def test_5_5_calls_by_keys_of_ones_own_are_told_apart_from_what_was_charged(gateway: Gateway, tenant: Tenant) -> None:
    tenant.post("/chat/completions", ASK)
    charged = Decimal(tenant.settled_one()["cost"])
    listed = Decimal(0)
    for number, header in enumerate(("x-tollkeeper-provider-key", "x-tollkeeper-end-user-key"), 2):
        provider = tenant.rows()[0]["provider"]
        answer = tenant.post("/chat/completions", ASK, {header: f"{provider}=sk-of-somebody-elses-account"})
        assert answer.status_code == 200, answer.text
        row = tenant.settled(number)[0]
        assert row["payer"] in ("caller", "end_user") and Decimal(row["list_price"]) > 0 == Decimal(row["cost"]), row
        listed += Decimal(row["list_price"])
    own = call(gateway, "GET", "key", tenant.secret)
    operators = {"key": gateway.operator_key, "org": tenant.org}
    hash = next(k["hash"] for k in ok(call(gateway, "GET", f"keys?workspace_id={tenant.project}", **operators))["data"])
    for answer in (own, call(gateway, "GET", f"keys/{hash}", **operators)):
        for span in ("", "_daily", "_weekly", "_monthly"):
            assert (exactly(answer, f"usage{span}"), exactly(answer, f"byok_usage{span}")) == (charged, listed), span
        assert answer.json()["data"]["include_byok_in_limit"] is False
    counted = call(gateway, "PATCH", f"keys/{hash}", body={"include_byok_in_limit": True}, **operators)
    assert "include_byok_in_limit" in failed(counted, 400, "invalid_request")["message"]


def test_a_limit_of_a_key_is_held_to(gateway: Gateway, tenant: Tenant) -> None:
    operators = {"key": gateway.operator_key, "org": tenant.org}
    body = {"name": "capped", "limit": 1e-05, "limit_reset": "monthly", "include_byok_in_limit": False}
    made = ok(call(gateway, "POST", "keys", body=body, **operators), 201)
    hash, capped = made["data"]["hash"], Tenant(gateway, tenant.org, tenant.project, "", made["key"])
    assert set(made["data"]) >= MANAGED and len(hash) == 64 and made["key"].startswith("tk-")
    assert (made["data"]["limit"], made["data"]["limit_reset"]) == (1e-05, "monthly")

    refused = capped.post("/chat/completions", ASK)
    assert refused.status_code == 429 and refused.json()["error"]["reason"] == "key_budget_exceeded", refused.text
    own = ok(call(gateway, "GET", "key", capped.secret))["data"]
    assert own["effective_budget"]["scope"] == "key_limit" and own["effective_budget"]["resets_at"]

    # Raised in its period it is the same budget; by another period it is another one.
    for patch, expected in [
        ({"limit": 2.5}, (2.5, "monthly")),
        ({"limit_reset": "daily"}, (2.5, "daily")),
        ({"limit": 3, "limit_reset": None}, (3, None)),
        ({"name": "renamed"}, (3, None)),
    ]:
        found = ok(call(gateway, "PATCH", f"keys/{hash}", body=patch, **operators))["data"]
        assert (found["limit"], found["limit_reset"]) == expected
        assert len(gateway.get(f"/admin/v1/budgets?organization={tenant.org}")["data"]) == 1
    assert capped.post("/chat/completions", ASK).status_code == 200
    cost = Decimal(tenant.settled_one()["cost"])
    answer = call(gateway, "GET", f"keys/{hash}", **operators)
    assert exactly(answer, "limit_remaining") == 3 - cost and exactly(answer, "usage") == cost
    assert answer.json()["data"]["name"] == "renamed" and answer.json()["data"]["last_used_at"]

    assert ok(call(gateway, "PATCH", f"keys/{hash}", body={"limit": None}, **operators))["data"]["limit"] is None
    assert gateway.get(f"/admin/v1/budgets?organization={tenant.org}")["data"] == []


def test_keys_are_listed_disabled_and_revoked(gateway: Gateway, tenant: Tenant) -> None:
    operators = {"key": gateway.operator_key, "org": tenant.org}
    [first] = ok(call(gateway, "GET", "keys", **operators))["data"]
    assert set(first) >= MANAGED and first["name"] == "tests" and first["workspace_id"] == tenant.project
    hash = first["hash"]
    assert ok(call(gateway, "PATCH", f"keys/{hash}", body={"disabled": True}, **operators))["data"]["disabled"]
    failed(call(gateway, "GET", "key", tenant.secret), 401, "authentication")
    assert tenant.post("/chat/completions", ASK).status_code == 403
    assert ok(call(gateway, "GET", "keys", **operators))["data"] == []
    assert len(ok(call(gateway, "GET", "keys?include_disabled=true", **operators))["data"]) == 1
    assert ok(call(gateway, "GET", "keys?include_disabled=true&offset=1", **operators))["data"] == []
    assert ok(call(gateway, "PATCH", f"keys/{hash}", body={"disabled": False}, **operators))["data"]["disabled"] is False
    assert ok(call(gateway, "GET", "key", tenant.secret))
    assert ok(call(gateway, "DELETE", f"keys/{hash}", **operators)) == {"deleted": True}
    failed(call(gateway, "GET", f"keys/{hash}", **operators), 404, "not_found")
    error = failed(call(gateway, "GET", "key", tenant.secret), 401, "authentication")
    assert error["metadata"]["reason"] == "disabled_key" and "another key" not in error["metadata"]["next_step"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "keys"), ("POST", "keys"), ("GET", f"keys/{HASH}"), ("PATCH", f"keys/{HASH}"), ("DELETE", f"keys/{HASH}"), ("GET", "credits")],
)
def test_only_administrators_may(gateway: Gateway, tenant: Tenant, method: str, path: str) -> None:
    failed(call(gateway, method, path), 401, "authentication")
    failed(call(gateway, method, path, unlike(tenant.secret)), 401, "authentication")
    failed(call(gateway, method, path, "sk-proj-0123456789abcdef"), 401, "authentication")
    failed(call(gateway, method, path, tenant.secret), 403, "permission_denied")
    error = failed(call(gateway, method, path, gateway.operator_key), 400, "invalid_request")
    assert "OpenAI-Organization" in error["message"]
    failed(call(gateway, method, path, gateway.operator_key, org="org_" + "0" * 32), 404, "not_found")


def test_nothing_of_another_organization_is_seen(gateway: Gateway, tenant: Tenant) -> None:
    other = gateway.tenant()
    request = tenant.post("/chat/completions", ASK).headers["x-request-id"]
    tenant.settled_one()
    failed(call(gateway, "GET", f"generation?id={request}", other.secret), 404, "not_found")
    assert ok(call(gateway, "GET", f"generation?id={request}", gateway.operator_key, org=tenant.org))
    failed(call(gateway, "GET", f"generation?id={request}", gateway.operator_key, org=other.org), 404, "not_found")
    [key] = ok(call(gateway, "GET", "keys", gateway.operator_key, org=tenant.org))["data"]
    for method in ("GET", "PATCH", "DELETE"):
        failed(call(gateway, method, f"keys/{key['hash']}", gateway.operator_key, {}, other.org), 404, "not_found")
    workspace = f"keys?workspace_id={tenant.project}"
    failed(call(gateway, "GET", workspace, gateway.operator_key, org=other.org), 404, "not_found")


def test_mistakes_name_the_field(gateway: Gateway, tenant: Tenant) -> None:
    operators = {"key": gateway.operator_key, "org": tenant.org}
    for body, field in [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "limit": "10"}, "limit"),
        ({"name": "x", "limit": -1}, "limit"),
        ({"name": "x", "limit_reset": "daily"}, "limit_reset"),
        ({"name": "x", "limit": 1, "limit_reset": "yearly"}, "limit_reset"),
        ({"name": "x", "limits": 1}, "limits"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "workspace_id": "default"}, "workspace_id"),
    ]:
        error = failed(call(gateway, "POST", "keys", body=body, **operators), 400, "invalid_request")
        assert field in error["message"], error
    failed(call(gateway, "GET", "generation", tenant.secret), 400, "invalid_request")
    for unknown in ("gen-nonsense", "req_" + "0" * 32):
        failed(call(gateway, "GET", f"generation?id={unknown}", tenant.secret), 404, "not_found")
    failed(call(gateway, "GET", "nothing", tenant.secret), 404, "not_found")
    failed(call(gateway, "PUT", "key", tenant.secret), 405, "invalid_request")
    # None of them made a key.
    assert len(ok(call(gateway, "GET", "keys", **operators))["data"]) == 1


def test_an_administrators_key_acts_for_its_member(gateway: Gateway, tenant: Tenant) -> None:
    path = f"/admin/v1/organizations/{tenant.org}"
    admins = {}
    for name, role in (("ada", "owner"), ("rea", "reader")):
        made = gateway.api("POST", f"{path}/users", {"email": f"{name}@example.com", "name": name, "role": role})
        key = gateway.api("POST", f"{path}/admin-keys", {"user": made.json()["id"], "name": name})
        admins[name] = key.json()["secret"]
    assert ok(call(gateway, "GET", "credits", admins["ada"]))["data"]["total_credits"] == 5
    made = ok(call(gateway, "POST", "keys", admins["ada"], {"name": "hers"}), 201)
    assert ok(call(gateway, "GET", "keys", admins["ada"]))["data"][-1]["hash"] == made["data"]["hash"]
    # Another role may see the organization and change no project's keys.
    assert ok(call(gateway, "GET", "credits", admins["rea"]))
    for method, path in (("GET", "keys"), ("POST", "keys"), ("DELETE", f"keys/{made['data']['hash']}")):
        failed(call(gateway, method, path, admins["rea"], {"name": "x"}), 403, "permission_denied")
    # It administers its own organization alone, and calls no models.
    failed(call(gateway, "GET", "keys", admins["ada"], org="org_" + "0" * 32), 403, "permission_denied")
    failed(call(gateway, "GET", "key", admins["ada"]), 403, "permission_denied")


def test_its_own_sdk_reads_all_of_it(gateway: Gateway, tenant: Tenant) -> None:
    request = tenant.post("/chat/completions", ASK).headers["x-request-id"]
    cost = float(tenant.settled_one()["cost"])
    own = openrouter.OpenRouter(api_key=tenant.secret, server_url=gateway.url + "/api/v1")
    assert own.api_keys.get_current_key_metadata().data.usage == cost
    assert own.generations.get_generation(id=request).data.total_cost == cost
    operators = openrouter.OpenRouter(
        api_key=gateway.operator_key,
        server_url=gateway.url + "/api/v1",
        client=httpx_of_the_sdk({"openai-organization": tenant.org}),
    )
    assert operators.credits.get_credits().data.total_usage == cost
    made = operators.api_keys.create(name="sdk", limit=10, limit_reset="daily")
    assert made.key.startswith("tk-") and made.data.limit == 10
    found = operators.api_keys.update(hash=made.data.hash, disabled=True)
    assert found.data.disabled and operators.api_keys.get(hash=made.data.hash).data.limit_remaining == 10
    assert [key.name for key in operators.api_keys.list(include_disabled=True).data] == ["tests", "sdk"]
    operators.api_keys.delete(hash=made.data.hash)
    assert [key.name for key in operators.api_keys.list(include_disabled=True).data] == ["tests"]


def httpx_of_the_sdk(headers: dict[str, str]) -> Any:
    """A client for the SDK, which has no option for headers of one's own."""
    return sdk_httpx.Client(headers=headers, trust_env=False)


@pytest.mark.parametrize(("model", "price"), [("sim", PRICE), ("claude", CLAUDE_PRICE)])
@pytest.mark.parametrize("streamed", [False, True])
def test_its_own_sdk_calls_models(tenant: Tenant, mock: Mock, model: str, price: Price, streamed: bool) -> None:
    transport = sdk_httpx.HTTPTransport(verify=False)
    with sdk_httpx.Client(transport=transport, trust_env=False) as http:
        client = openrouter.OpenRouter(tenant.secret, server_url=f"{tenant.gateway.url}/api/v1", client=http)
        asked: Any = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": streamed}
        answer = client.chat.send(**asked)
        if streamed:
            chunks = list(answer)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        else:
            text = answer.choices[0].message.content
        assert text == WHOLE
        check_paid(tenant, mock, price)
        poor = openrouter.OpenRouter(
            tenant.gateway.tenant("0").secret, server_url=f"{tenant.gateway.url}/api/v1", client=http
        )
        with pytest.raises(openrouter.errors.PaymentRequiredResponseError) as caught:
            poor.chat.send(**asked)
        assert "0.00 available" in str(caught.value)
