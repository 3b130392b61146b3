"""What free really means: free variants and their caps (2.5, 5.1), the free router (5.2), complimentary tokens (2.3, 5.3)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
from conftest import MakeGatewayAt
from harness import FREE, PRICE, SETTINGS, Contract, Gateway, Json, Mock, Provider, Tenant, eventually

ASK: Json = {"model": "sim:free", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
#: Nobody waits a minute in a test: the caps of a day are what is looked at, but for where a minute's is.
MANY_A_MINUTE = "[free]\nrequests_per_minute = 100000\n"


def route(model: str, *targets: str) -> str:
    return f'[[routes]]\nmodel = "{model}"\ntargets = [{", ".join(targets)}]\n'


def target(upstream: str, more: str = "", provider: str = "gratis") -> str:
    return (
        f'{{ provider = "{provider}", model = "{upstream}", price = {FREE.toml()}, list = {PRICE.toml()}{more} }}'
    )


def configured(mock: Mock, at: str, *routes: str, settings: str = "") -> str:
    contract = Contract(verified_on=at[:10], more='class = "free"')
    free = Provider("gratis", mock.base_url, contract=contract).toml()
    paid = Provider("mock", mock.base_url, contract=Contract(verified_on=at[:10])).toml()
    sim = route("sim", f'{{ provider = "mock", model = "sim-small", price = {PRICE.toml()} }}')
    return "\n\n".join([SETTINGS, settings, free, paid, sim, *routes])


def statuses(tenant: Tenant, calls: int, body: Json = ASK) -> list[int]:
    return [tenant.post("/chat/completions", body).status_code for _ in range(calls)]


def refused(answer: httpx.Response) -> Json:
    assert answer.status_code == 429, answer.text
    error: Json = answer.json()["error"]
    return error


def broke(gateway: Gateway, **kwargs: str) -> Tenant:
    """An organization that has bought nothing."""
    return gateway.tenant(granted="0", **kwargs)


def test_5_1_the_21st_of_a_minute_and_the_51st_of_a_day(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, configured(mock, at, route("sim:free", target("sim-small"))))
    tenant = broke(gateway)
    assert statuses(tenant, 20) == [200] * 20
    error = refused(tenant.post("/chat/completions", ASK))
    assert error["reason"] == "requests_per_minute_exceeded" and "free models" in error["message"], error
    assert error["limit"] == "20" and error["owner"] == "rate_limit"
    rows = tenant.settled(20)
    for row in rows:
        assert (row["cost"], row["access_class"], row["payer"]) == ("0.00", "free", "provider"), row
        assert Decimal(row["list_price"]) == PRICE.cost(row["input_tokens"], row["output_tokens"])
        assert Decimal(row["held"]) == 0

    text = configured(mock, at, route("sim:free", target("sim-small")), settings=MANY_A_MINUTE)
    gateway = gateway_at(at, text, "many")
    tenant = broke(gateway)
    assert statuses(tenant, 51) == [200] * 50 + [429]
    error = refused(tenant.post("/chat/completions", ASK))
    assert (error["reason"], error["limit"], error["used"]) == ("free_requests_used_up", "50", "50"), error
    assert error["resets_at"].startswith("2026-12-31T00:00:00") and error["owner"] == "billing"
    assert "10.00" in error["next_step"] and "1000 a day" in error["next_step"]
    key = httpx.get(gateway.url + "/api/v1/key", headers={"authorization": f"Bearer {tenant.secret}"}).json()
    assert key["data"]["free_model_daily_requests"] == {"limit": 50, "remaining": 0, "used": 50}
    # Nobody starts anew by starting the gateway anew, nor by killing it.
    gateway.kill()
    gateway.start()
    assert statuses(tenant, 1) == [429]
    gateway.travel("2026-12-31 00:00:05")
    assert statuses(tenant, 1) == [200]
    assert gateway.verify().code == 0


def test_5_1_the_1000th_after_purchase(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    settings = "[free]\nrequests_per_minute = 100000\nrequests_per_day = 5\n"
    gateway = gateway_at(at, configured(mock, at, route("sim:free", target("sim-small")), settings=settings))
    tenant = gateway.tenant(granted="9.99")
    assert statuses(tenant, 6) == [200] * 5 + [429]
    tenant.grant("0.01")
    eventually(lambda: statuses(tenant, 1) == [200], "the larger cap")
    with ThreadPoolExecutor(16) as pool:
        served = list(pool.map(lambda _: statuses(tenant, 1)[0], range(994)))
    assert served == [200] * 994
    error = refused(tenant.post("/chat/completions", ASK))
    assert (error["limit"], error["used"]) == ("1000", "1000"), error
    assert "paid for" in error["next_step"]


def test_5_1_64_clients_on_the_last_10_free_calls(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    text = configured(mock, at, route("sim:free", target("sim-small")), settings=MANY_A_MINUTE)
    gateway = gateway_at(at, text)
    tenant = broke(gateway)
    assert statuses(tenant, 40) == [200] * 40
    with ThreadPoolExecutor(64) as pool:
        served = list(pool.map(lambda _: statuses(tenant, 1)[0], range(64)))
    assert (served.count(200), served.count(429)) == (10, 54), served
    tenant.settled(50)
    assert gateway.verify().code == 0


def test_4_3_attempts_that_failed_count(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    failing = route("ill:free", target("sim-small?fault=500", ", retries = 1"))
    routes = [failing, route("sim:free", target("sim-small"))]
    settings = "[free]\nrequests_per_minute = 100000\nrequests_per_day = 5\n[routing]\nbackoff_ms = 1\n"
    gateway = gateway_at(at, configured(mock, at, *routes, settings=settings))
    tenant = broke(gateway)
    # Two attempts each; of the third call only one is left.
    for attempts in ("2", "2", "1"):
        answer = tenant.post("/chat/completions", ASK | {"model": "ill:free"})
        assert (answer.status_code, answer.headers["x-tollkeeper-attempts"]) == (502, attempts), answer.text
    assert refused(tenant.post("/chat/completions", ASK))["used"] == "5"
    assert gateway.verify().code == 0


def test_2_5_a_model_that_calls_itself_free_must_be(mock: Mock, gateway_at: MakeGatewayAt) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, configured(mock, at, route("sim:free", target("sim-small"))))
    paid = f'{{ provider = "mock", model = "sim-small", price = {PRICE.toml()} }}'
    dear = f'{{ provider = "gratis", model = "sim-small", price = {PRICE.toml()} }}'
    for name, line, mistake in [
        ("a:free", paid, "calls itself free"),
        ("b", dear, "its price is zero, and is said to be"),
    ]:
        path = gateway.folder / f"{name.replace(':', '-')}.toml"
        path.write_text(configured(mock, at, route(name, line)))
        outcome = gateway.cli("config", "check", "--config", str(path))
        assert outcome.code != 0 and mistake in outcome.stderr + outcome.stdout, outcome


def test_5_2_the_free_router_picks_what_fits_and_says_what_answered(
    gateway_at: MakeGatewayAt, mock: Mock
) -> None:
    at = "2026-12-30 12:00:00"
    routes = [
        route("a:free", target("sim-small", ', capabilities = ["tools"]')),
        route("b:free", target("sim-large", ', capabilities = ["images", "structured_output"]')),
        route("c:free", target("sim-nano", ", capabilities = []")),
    ]
    gateway = gateway_at(at, configured(mock, at, *routes, settings=MANY_A_MINUTE))
    tenant = broke(gateway)
    ask = ASK | {"model": "tollkeeper/free"}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    seen: set[str] = set()
    for _ in range(30):
        answer = tenant.post("/chat/completions", ask)
        assert answer.status_code == 200, answer.text
        seen.add(answer.headers["x-tollkeeper-model"])
    assert seen == {"a:free", "b:free", "c:free"}, "spread over all that fit"
    looking = ask | {"messages": [{"role": "user", "content": [image, {"type": "text", "text": "see"}]}]}
    for body, model in [(ask | {"tools": [tool]}, "a:free"), (looking, "b:free")]:
        for _ in range(4):
            answer = tenant.post("/chat/completions", body)
            assert (answer.status_code, answer.headers.get("x-tollkeeper-model")) == (200, model), answer.text
    answer = tenant.post("/chat/completions", looking | {"tools": [tool]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "no_free_model_fits"), error
    for part in ("gratis/sim-small`: no images", "gratis/sim-large`: no tools", "gratis/sim-nano`: no tools"):
        assert part in error["message"], error
    rows = tenant.settled(38)
    assert {row["model"] for row in rows} == {"tollkeeper/free"}
    assert {row["target"] for row in rows} == {"gratis/sim-small", "gratis/sim-large", "gratis/sim-nano"}
    listed = {model.id for model in tenant.client().models.list().data}
    assert "tollkeeper/free" in listed
    # Whoever may not call a model does not get at it by the router either.
    path = f"/admin/v1/projects/{tenant.project}"
    allowed: dict[str, Any] = {"mode": "allow_list", "models": ["tollkeeper/free", "b:free"]}
    changed = gateway.api("PATCH", path, {"models": allowed})
    assert changed.status_code == 200, changed.text
    assert {tenant.post("/chat/completions", ask).headers["x-tollkeeper-model"] for _ in range(12)} == {"b:free"}


PROGRAMME = """
[[programmes]]
name = "sharing"
starts = "2026-12-01"
ends = "2027-01-02"
time_zone = "America/New_York"
groups = [{ name = "large", models = ["sim-*"], tokens_per_day = 100 }]
"""


def sharing(mock: Mock, at: str) -> str:
    terms = Contract(training=True, verified_on=at[:10], more='class = "complimentary"\nprogramme = "sharing"')
    shared = Provider("shared", mock.base_url, contract=terms).toml()
    line = f'{{ provider = "shared", model = "sim-small?out=60", price = {PRICE.toml()} }}'
    return "\n\n".join([configured(mock, at), PROGRAMME, shared, route("gift", line)])


GIFT: Json = ASK | {"model": "gift", "max_tokens": 100}


def pool(gateway: Gateway, tenant: Tenant, name: str) -> Json:
    pools = gateway.get(f"/admin/v1/organizations/{tenant.org}/pools")["data"]
    found: Json = next(row for row in pools if row["pool"] == name)
    return found


def test_2_3_and_5_3_tokens_burn_before_money_and_the_straddling_call_is_split(
    gateway_at: MakeGatewayAt, mock: Mock
) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, sharing(mock, at))
    tenant = gateway.tenant(data_class="public")
    answer = tenant.post("/chat/completions", GIFT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "programme_not_joined")
    told = gateway.cli("pools", "join", "sharing", "--org", tenant.org)
    assert told.code == 0, told
    rows: list[Json] = []
    for count in range(1, 4):
        assert tenant.post("/chat/completions", GIFT).status_code == 200
        rows = tenant.settled(count)
    first, second, third = reversed(rows)
    tokens = first["input_tokens"] + first["output_tokens"]
    assert tokens < 100 < 2 * tokens
    assert (first["payer"], first["cost"], first["pool_units"]) == ("provider", "0.00", tokens)
    left = 100 - tokens
    # What is left covers the input first, and then of the output what it can.
    paid = PRICE.cost(0, tokens - left)
    assert left > second["input_tokens"]
    assert (second["payer"], Decimal(second["cost"]), second["pool_units"]) == (
        "provider+organization",
        paid,
        left,
    )
    whole = PRICE.cost(third["input_tokens"], third["output_tokens"])
    assert (third["payer"], Decimal(third["cost"]), third["pool_units"]) == ("organization", whole, 0)
    seen = pool(gateway, tenant, "sharing/large")
    assert (seen["used"], seen["remaining"], seen["joined"]) == (100, 0, True)
    assert Decimal(seen["paid"]) == paid + whole and Decimal(seen["estimated_overage"]) >= paid + whole
    assert seen["resets_at"].startswith("2026-12-31T05:00:00"), "midnight in New York"
    shown = gateway.cli("pools", "list", "--org", tenant.org)
    assert "sharing/large" in shown.stdout
    # The next day there has its own, and the day after the last one none.
    gateway.travel("2026-12-31 05:00:05")
    assert tenant.post("/chat/completions", GIFT).status_code == 200
    assert Decimal(tenant.settled(4)[0]["cost"]) == 0
    gateway.travel("2027-01-02 00:00:05")
    answer = tenant.post("/chat/completions", GIFT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "programme_over")
    told = gateway.api("PUT", f"/admin/v1/organizations/{tenant.org}/programmes/sharing", {})
    assert told.status_code == 409, told.text
    assert gateway.cli("pools", "leave", "sharing", "--org", tenant.org).code == 0
    audit = gateway.get(f"/admin/v1/organizations/{tenant.org}/audit")["data"]
    actions = [line["action"] for line in audit if "programme" in line["action"]]
    assert sorted(actions) == ["organization.programme_joined", "organization.programme_left"]
    assert gateway.verify().code == 0


def test_2_3_a_sensitive_project_of_an_organization_that_joined_is_never_served(
    gateway_at: MakeGatewayAt, mock: Mock
) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, sharing(mock, at))
    before = len(mock.truth())
    for data_class in ("internal", "sensitive"):
        tenant = gateway.tenant(data_class=data_class)
        assert gateway.cli("pools", "join", "sharing", "--org", tenant.org).code == 0
        answer = tenant.post("/chat/completions", GIFT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "route_contract_unfit"), answer.text
        assert pool(gateway, tenant, "sharing/large")["used"] == 0
    assert len(mock.truth()) == before, "nothing was sent"


def test_5_3_who_has_tokens_needs_no_money(gateway_at: MakeGatewayAt, mock: Mock) -> None:
    at = "2026-12-30 12:00:00"
    gateway = gateway_at(at, sharing(mock, at).replace("tokens_per_day = 100", "tokens_per_day = 400"))
    tenant = broke(gateway, data_class="public")
    assert gateway.cli("pools", "join", "sharing", "--org", tenant.org).code == 0
    assert tenant.post("/chat/completions", GIFT).status_code == 200
    assert tenant.settled_one()["cost"] == "0.00"
    assert refused(tenant.post("/chat/completions", GIFT | {"max_tokens": 4000}))["code"] == "insufficient_quota"
