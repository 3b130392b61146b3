"""Free tiers of providers (2.6) and their caps (5.4): counted for each credential, left before the provider refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from conftest import MakeGateway
from harness import PRICE, UPSTREAM_KEY, Contract, Gateway, Json, Mock, Provider, Route, config, environment, run

MESSAGES: Json = [{"role": "user", "content": "hi"}]
FREE_TIER = 'class = "free_tier"'
FREE = '{ input = "0", output = "0" }'


@dataclass(frozen=True)
class Capped(Provider):
    """A provider whose credential has caps."""

    caps: str = ""

    def toml(self) -> str:
        # What is the provider's own stands before its contract's table.
        return super().toml().replace("[providers.contract]", f"caps = {self.caps}\n[providers.contract]")


def route(model: str, *targets: tuple[str, str]) -> str:
    """A route to the simulated model at these providers, each with what its target says beside."""
    listed = ", ".join(f'{{ provider = "{provider}", {more} }}' for provider, more in targets)
    return f'[[routes]]\nmodel = "{model}"\ntargets = [{listed}]'


def free(model: str = "sim-small") -> str:
    return f'model = "{model}", price = {FREE}'


def house(make_gateway: MakeGateway, mock: Mock, caps: str, *routes: str, name: str = "gateway") -> Gateway:
    tier = Capped("tier", mock.base_url, kind="simulated", contract=Contract(more=FREE_TIER), caps=caps)
    providers = [tier, Provider("paid", mock.base_url)]
    return make_gateway(name, text="\n\n".join([config(providers, []), *routes]))


def chat(model: str) -> Json:
    return {"model": model, "messages": MESSAGES}


def test_2_6_a_free_tier_costs_nothing_and_says_so(mock: Mock, make_gateway: MakeGateway, tmp_path: Path) -> None:
    gateway = house(make_gateway, mock, "{ rpm = 30, rpd = 1000 }", route("m", ("tier", free())))
    tenant = gateway.tenant(granted="0")
    assert tenant.post("/chat/completions", chat("m")).status_code == 200
    assert Decimal(tenant.settled_one()["cost"]) == 0

    # A zero is never assumed: the catalogue's price is that of the paid account.
    file = tmp_path / "tollkeeper.toml"
    file.write_text(gateway.config.replace(f", price = {FREE}", ""))
    done = run("config", "check", "--config", str(file), env=environment(UPSTREAM_KEY=UPSTREAM_KEY))
    (mistake,) = done.json["errors"]
    assert mistake.startswith("routes[0].targets[0].price: is missing; the catalogue's price is not that of a free tier")


def test_5_4_the_next_target_is_taken_before_the_provider_refuses(mock: Mock, make_gateway: MakeGateway) -> None:
    both = route("m", ("tier", free()), ("paid", f'model = "sim-small", price = {PRICE.toml()}'))
    gateway = house(make_gateway, mock, "{ rpd = 3 }", both)
    # Whose organization calls makes no difference: the cap is the credential's.
    targets = []
    for _ in range(2):
        tenant = gateway.tenant()
        targets += [tenant.post("/chat/completions", chat("m")).headers["x-tollkeeper-target"] for _ in range(2)]
    assert targets == ["tier/sim-small"] * 3 + ["paid/sim-small"]
    shown = gateway.get("/admin/v1/routes/explain?model=m")["targets"]
    assert [(target["provider"], target["place"]) for target in shown] == [("paid", 1), ("tier", None)]
    (cap,) = shown[1]["caps"]
    assert (cap["of"], cap["measure"], cap["limit"], cap["left"]) == ("tier", "requests_per_day", 3, 0)
    assert cap["resets_at"].endswith("T00:00:00.000000Z") and "3 of 3 requests per day" in shown[1]["why"]


def test_5_4_the_refusal_names_the_cap_its_reset_and_what_raises_it(mock: Mock, make_gateway: MakeGateway) -> None:
    caps = '{ rpd = 2, reset = "00:00", zone = "America/Los_Angeles" }'
    gateway = house(make_gateway, mock, caps, route("m", ("tier", free())), route("failing", ("tier", free("sim-small?fault=500"))))
    tenant = gateway.tenant()
    # A failed attempt counts.
    assert tenant.post("/chat/completions", chat("failing")).status_code == 502
    assert tenant.post("/chat/completions", chat("m")).status_code == 200
    before = len(mock.truth())
    answer = tenant.post("/chat/completions", chat("m"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["owner"]) == (429, "provider_cap_reached", "provider"), error
    assert (error["limit"], error["used"]) == ("2 requests per day", "2") and error["resets_at"]
    for part in ["`tier`", "2 of 2 requests per day", "resets at", "America/Los_Angeles"]:
        assert part in error["message"], error
    assert "larger plan" in error["next_step"] and answer.headers["x-should-retry"] == "false"
    assert len(mock.truth()) == before, "nothing was sent"
    tenant.settled(2)


def test_5_4_the_day_goes_on_after_a_restart(mock: Mock, make_gateway: MakeGateway) -> None:
    gateway = house(make_gateway, mock, "{ rpd = 3, tpd = 100000 }", route("m", ("tier", free())))
    tenant = gateway.tenant()
    for _ in range(2):
        assert tenant.post("/chat/completions", chat("m")).status_code == 200
    rows = tenant.settled(2)
    assert gateway.stop() == 0
    gateway.start()
    caps = gateway.get("/admin/v1/routes/explain?model=m")["targets"][0]["caps"]
    used = sum(row["input_tokens"] + row["output_tokens"] for row in rows)
    assert {cap["measure"]: cap["left"] for cap in caps} == {"requests_per_day": 1, "tokens_per_day": 100_000 - used}
    assert [tenant.post("/chat/completions", chat("m")).status_code for _ in range(2)] == [200, 429]


def test_5_4_minutes_of_tokens_and_of_one_model_are_capped(mock: Mock, make_gateway: MakeGateway) -> None:
    single = route("one", ("tier", f"{free()}, caps = {{ rpm = 1 }}"))
    gateway = house(make_gateway, mock, "{ rpm = 3, tpm = 100000 }", single, route("other", ("tier", free("sim-large"))))
    tenant = gateway.tenant()
    assert [tenant.post("/chat/completions", chat("one")).status_code for _ in range(2)] == [200, 429]
    # What one model may not is no other's matter; what the credential may not is everybody's.
    answers = [tenant.post("/chat/completions", chat("other")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    error = answers[2].json()["error"]
    assert "`tier`" in error["message"] and "3 of 3 requests per minute" in error["message"], error
    assert error["retryable"] and 0 < int(answers[2].headers["retry-after"]) <= 60

    small = house(make_gateway, mock, "{ tpm = 80 }", route("m", ("tier", free("sim-small?out=30"))), name="tokens")
    tenant = small.tenant()
    body = chat("m") | {"max_tokens": 30}
    assert [tenant.post("/chat/completions", body).status_code for _ in range(2)] == [200, 429]


def test_5_4_a_crowd_has_the_last_calls_of_the_day_and_no_more(mock: Mock, make_gateway: MakeGateway) -> None:
    gateway = house(make_gateway, mock, "{ rpd = 10 }", route("m", ("tier", free())))
    tenant = gateway.tenant()
    before = len(mock.truth())
    with ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(lambda _: tenant.post("/chat/completions", chat("m")).status_code, range(64)))
    assert (statuses.count(200), statuses.count(429)) == (10, 54)
    assert len(mock.truth()) - before == 10


def test_5_4_a_call_that_was_not_paid_for_has_used_nothing(mock: Mock, make_gateway: MakeGateway) -> None:
    gateway = house(make_gateway, mock, "{ rpd = 1 }", route("dear", ("tier", f'model = "sim-small", price = {PRICE.toml()}')))
    poor, rich = gateway.tenant(granted="0"), gateway.tenant()
    assert poor.post("/chat/completions", chat("dear")).json()["error"]["code"] == "insufficient_quota"
    assert [rich.post("/chat/completions", chat("dear")).status_code for _ in range(2)] == [200, 429]
