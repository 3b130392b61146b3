"""The doctor with a key: it walks the layers, makes the smallest safe call, and finds the one thing that is wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from conftest import MakeGateway
from harness import FREE, HTTP, SETTINGS, Gateway, Json, Mock, Outcome, Provider, Route, Tenant, config, environment, run
from upstreams import closed_port

FINDINGS = 6
ASK: Json = {"model": "sim", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}


def doctor(gateway: Gateway, key: str, *more: str, operator: bool = False, url: str = "") -> tuple[Outcome, list[Json]]:
    """What the doctor says about a key. It never shows the key."""
    env = environment(TOLLKEEPER_URL=url or gateway.url, TOLLKEEPER_KEY=key)
    if operator:
        env["TOLLKEEPER_OPERATOR_KEY"] = gateway.operator_key
    done = run("doctor", "--json", *more, env=env)
    assert key not in done.stdout + done.stderr
    assert done.json["object"] == "diagnosis" and done.json["ok"] == (done.code == 0)
    checks: list[Json] = done.json["checks"]
    assert all(check["ok"] or check["next_step"] for check in checks), checks
    return done, checks


def finds(gateway: Gateway, key: str, check: str, says: str, *more: str, **options: object) -> Json:
    """The one thing that the doctor finds, in this layer."""
    done, checks = doctor(gateway, key, *more, **options)  # type: ignore[arg-type]
    found = [each for each in checks if not each["ok"]]
    assert done.code == FINDINGS and found, checks
    assert found[-1]["check"] == check and says in found[-1]["message"], found
    return found[-1]


def keys(gateway: Gateway, tenant: Tenant, method: str = "GET", hash: str = "", **body: object) -> Json:
    """OpenRouter's keys, which can be disabled and given limits."""
    headers = {"authorization": f"Bearer {gateway.operator_key}", "openai-organization": tenant.org}
    url = f"{gateway.url}/api/v1/keys" + (f"/{hash}" if hash else "")
    answer = HTTP.request(method, url, headers=headers, json=body or None)
    assert answer.status_code in (200, 201), answer.text
    found: Json = answer.json()
    return found


def test_a_healthy_key_and_where_its_cost_landed(gateway: Gateway, tenant: Tenant, tmp_path: Path) -> None:
    # Without --live only what costs nothing real is called, which is the model at the price 0.
    done, checks = doctor(gateway, tenant.secret)
    assert done.code == 0 and all(check["ok"] for check in checks), checks
    assert "`free` answered" in str(checks) and "it cost 0.00, as expected" in checks[-1]["message"]
    tenant.settled(1)
    # What was named and costs something is not called, and that is said.
    done, checks = doctor(gateway, tenant.secret, "--model", "sim")
    assert done.code == 0 and "costs real money" in checks[-1]["message"] and "--live" in checks[-1]["next_step"]
    tenant.settled(1)

    file = tmp_path / "key"
    file.write_text(tenant.secret + "\n")
    env = environment(TOLLKEEPER_URL=gateway.url, TOLLKEEPER_OPERATOR_KEY=gateway.operator_key)
    done = run("doctor", "--json", "--key-file", str(file), "--live", "--model", "sim", env=env)
    [row, _] = tenant.settled(2)
    assert done.code == 0 and tenant.secret not in done.stdout + done.stderr, done
    last = done.json["checks"][-1]
    assert last["check"] == "cost" and f"it cost {row['cost']}, as expected" in last["message"]
    for place in (tenant.org, tenant.project, tenant.key_id):
        assert place in last["message"]
    [explained] = [check for check in done.json["checks"] if check["check"] == "explain"]
    assert all(layer in explained["message"] for layer in ("1.1 key", "1.6 usage limit", "1.8 billing", "1.9 provider"))
    [billing] = [check for check in done.json["checks"] if check["check"] == "1.8 billing"]
    assert billing["ok"] and "available" in billing["message"]
    assert Decimal(row["cost"]) > 0


def test_keys_that_do_not_open(gateway: Gateway, tenant: Tenant, make_gateway: MakeGateway) -> None:
    finds(gateway, "sk-proj-0123456789abcdef0123456789", "1.1 key", "ChatGPT Plus")
    finds(gateway, "hunter2hunter2hunter2", "1.1 key", "sent nowhere")
    finds(gateway, tenant.secret[:-3], "1.1 key", "not a whole key")
    finds(gateway, gateway.operator_key, "1.1 key", "administers")
    stranger = make_gateway("elsewhere").tenant()
    finds(gateway, stranger.secret, "1.1 key", "another gateway")

    [key] = keys(gateway, tenant)["data"]
    keys(gateway, tenant, "PATCH", key["hash"], disabled=True)
    found = finds(gateway, tenant.secret, "1.1 key", "disabled")
    assert "another key" not in found["next_step"] and "A new key would have the same" in found["message"]


def test_an_expired_key(gateway: Gateway, tenant: Tenant) -> None:
    from datetime import UTC, datetime, timedelta
    from time import sleep

    soon = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    secret = gateway.make("/admin/v1/keys", project=tenant.project, expires_at=soon)["secret"]
    sleep(1.2)
    finds(gateway, secret, "1.1 key", "expired")


def test_no_credit(gateway: Gateway) -> None:
    broke = gateway.tenant("0")
    found = finds(gateway, broke.secret, "1.8 billing", "ChatGPT Plus", "--live", "--model", "sim")
    assert "credits grant" in found["next_step"]
    # With the operator's key it is seen without a call that costs anything.
    finds(gateway, broke.secret, "1.8 billing", "no credit is left", operator=True)


def test_a_budget_that_is_used_up(gateway: Gateway, tenant: Tenant) -> None:
    [key] = keys(gateway, tenant)["data"]
    keys(gateway, tenant, "PATCH", key["hash"], limit=0)
    finds(gateway, tenant.secret, "1.6 usage limit", "0.00 of 0 left")
    finds(gateway, tenant.secret, "1.6 usage limit", "another key has no room", "--live", "--model", "sim")


def test_a_model_that_may_not_be_called(gateway: Gateway, tenant: Tenant) -> None:
    found = finds(gateway, tenant.secret, "1.3 model access", "does not exist", "--model", "gpt-nowhere")
    assert "GET /v1/models" in found["next_step"]
    finds(gateway, tenant.secret, "1.3 model access", "no price", "--live", "--model", "unpriced")


def test_a_rate_limit_that_is_used_up(mock: Mock, make_gateway: MakeGateway) -> None:
    tiers = '[[tiers]]\nname = "new"\nlimits = [{ models = "*", requests_per_minute = 1 }]\n'
    routes = [Route("sim", "mock", "sim-small"), Route("free", "mock", "sim-small", FREE)]
    gateway = make_gateway(text=config([Provider("mock", mock.base_url)], routes, SETTINGS + tiers))
    tenant = gateway.tenant()
    assert doctor(gateway, tenant.secret)[0].code == 0
    finds(gateway, tenant.secret, "1.7 rate limit", "Another key does not raise")
    done, checks = doctor(gateway, tenant.secret, operator=True)
    assert "0 of 1 requests per minute left for * (tier)" in str(checks) and done.code == FINDINGS


def test_no_gateway(gateway: Gateway, tenant: Tenant, mock: Mock) -> None:
    with closed_port() as nowhere:
        finds(gateway, tenant.secret, "gateway", "cannot connect", url=nowhere.removesuffix("/v1"))
    # Something else answers there: the provider itself.
    finds(gateway, tenant.secret, "gateway", "not as a gateway", url=mock.base_url.removesuffix("/v1"))
    done = run("doctor", "--url", gateway.base_url, env=environment(TOLLKEEPER_KEY=tenant.secret))
    assert done.code == 2 and "leave out /v1" in done.stderr
    done = run("doctor", env=environment())
    assert done.code == 2 and "--data" in done.stderr


def test_a_wrong_operators_key_is_told_and_the_walk_goes_on(gateway: Gateway, tenant: Tenant) -> None:
    env = environment(TOLLKEEPER_URL=gateway.url, TOLLKEEPER_KEY=tenant.secret, TOLLKEEPER_OPERATOR_KEY="tk-op-wrong")
    done = run("doctor", "--json", env=env)
    assert done.code == FINDINGS
    assert [check["check"] for check in done.json["checks"] if not check["ok"]] == ["operator"]
    assert done.json["checks"][-1]["check"] == "cost"
