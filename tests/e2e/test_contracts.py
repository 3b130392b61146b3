"""Route contracts: required in the configuration, and held against every call before anything is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import MakeGateway
from harness import UPSTREAM_KEY, Contract, Gateway, Json, Mock, Provider, Route, config, days_ago, environment, run

MESSAGES: Json = [{"role": "user", "content": "hi"}]
#: A provider, but for its contract.
BARE = '[[providers]]\nname = "p"\nkind = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n'

#: The routes of these tests, by name: what each one's contract says.
CONTRACTS = {
    "fresh": Contract(),
    "trains": Contract(training=True),
    "stale": Contract(verified_days_ago=181),
    "last-day": Contract(verified_days_ago=179),
    "sensitive": Contract(more='data = "sensitive"'),
    "dev": Contract(more='environments = ["dev"]'),
    "abroad": Contract(training=True, verified_days_ago=999, more='countries = ["DE"]'),
}


def mistakes(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "tollkeeper.toml"
    file.write_text(text)
    done = run("config", "check", "--config", str(file), env=environment(UPSTREAM_KEY=UPSTREAM_KEY))
    assert done.code == 6 and not done.json["ok"], done
    errors: list[str] = done.json["errors"]
    return errors


def test_a_provider_without_a_contract_is_a_mistake_that_names_every_field(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, BARE)
    assert mistake.startswith("providers[0].contract: is missing")
    for field in "owner payer limits support terms training retention_days region verified_on".split():
        assert field in mistake, mistake


def test_every_mistake_in_a_contract_is_told_at_once(tmp_path: Path) -> None:
    lines = [
        "[providers.contract]",
        'class = "shared"',
        'owner = ""',
        "terms = { training = true, retention_days = 30 }",
        f'verified_on = "{days_ago(-3)}"',
        'countries = ["XX"]',
        'data = "sensitive"',
    ]
    found = mistakes(tmp_path, BARE + "\n".join(lines))
    told = [mistake.removeprefix("providers[0].contract.").split(":")[0] for mistake in found]
    expected = ["owner", "payer", "limits", "support", "terms.region", "verified_on", "class", "countries[0]"]
    assert sorted(told) == sorted(expected), found
    assert any("class 2.10" in mistake for mistake in found) and any("in the future" in mistake for mistake in found)


@pytest.fixture(scope="module")
def text(mock: Mock) -> str:
    providers = [Provider(name, mock.base_url, contract=contract) for name, contract in CONTRACTS.items()]
    return config(providers, [Route(name, name, "sim-small") for name in CONTRACTS])


@pytest.fixture
def contracts(make_gateway: MakeGateway, text: str) -> Gateway:
    return make_gateway(text=text)


#: The project's environment and data class, the route, and the code of the refusal.
CALLS = [
    ("dev", "internal", "fresh", None),
    ("prod", "internal", "fresh", None),
    ("dev", "sensitive", "fresh", "route_contract_unfit"),
    ("prod", "sensitive", "sensitive", None),
    ("dev", "public", "trains", None),
    ("dev", "internal", "trains", "route_contract_unfit"),
    ("dev", "sensitive", "trains", "route_contract_unfit"),
    ("dev", "public", "stale", None),
    ("staging", "public", "stale", None),
    ("prod", "public", "stale", "route_contract_stale"),
    ("dev", "internal", "stale", "route_contract_stale"),
    ("prod", "internal", "last-day", None),
    ("dev", "internal", "dev", None),
    ("prod", "public", "dev", "route_contract_unfit"),
    ("prod", "sensitive", "abroad", "unsupported_country_region_territory"),
]


def test_calls_are_held_against_the_contract(contracts: Gateway, mock: Mock) -> None:
    for stage, data_class, model, code in CALLS:
        tenant = contracts.tenant(environment=stage, data_class=data_class)
        before = len(mock.truth())
        answer = tenant.post("/chat/completions", {"model": model, "messages": MESSAGES})
        if code is None:
            assert answer.status_code == 200, (stage, data_class, model, answer.text)
            tenant.settled_one()
            continue
        error = answer.json()["error"]
        owner = "region" if code.startswith("unsupported_country") else "route"
        assert (answer.status_code, error["code"], error["owner"]) == (403, code, owner), (stage, data_class, model)
        assert error["next_step"] and error["limit"] and error["used"] and f"`{model}/sim-small`" in error["message"]
        assert answer.headers["x-should-retry"] == "false" and "retry-after" not in answer.headers
        tenant.settled(0)
        assert len(mock.truth()) == before, "nothing was sent"


def test_a_stale_refusal_says_how_old_and_how_old_at_most(contracts: Gateway) -> None:
    tenant = contracts.tenant(environment="prod")
    error = tenant.post("/chat/completions", {"model": "stale", "messages": MESSAGES}).json()["error"]
    for part in [days_ago(181), "181 days ago", "180 days"]:
        assert part in error["message"], error
    assert "verified_on" in error["next_step"]


def test_the_refusal_names_the_first_owner(contracts: Gateway) -> None:
    # No credit, an unfit route, and a stale contract besides: the country comes first of them, an unknown model before.
    tenant = contracts.tenant(granted="0", environment="prod", data_class="sensitive")
    for model, code in [
        ("nobody", "model_not_found"),
        ("abroad", "unsupported_country_region_territory"),
        ("trains", "route_contract_unfit"),
        ("sensitive", "insufficient_quota"),
    ]:
        answer = tenant.post("/chat/completions", {"model": model, "messages": MESSAGES})
        assert answer.json()["error"]["code"] == code, answer.text


def test_the_operator_sees_what_is_stale(contracts: Gateway, text: str, tmp_path: Path) -> None:
    shown = {entry["model"]: entry for entry in contracts.get("/admin/v1/status")["contracts"]}
    assert {model for model, entry in shown.items() if entry["stale"]} == {"stale", "abroad"}
    fresh = shown["fresh"]
    assert (fresh["target"], fresh["class"], fresh["owner"]) == ("fresh/sim-small", "direct", "the tests")
    assert fresh["verified_on"] == days_ago(0) and fresh["terms"]["training"] is False
    assert shown["trains"]["data"] == "public" and shown["abroad"]["countries"] == ["DE"]

    warned = [line for line in contracts.log().splitlines() if "is stale" in line]
    assert len(warned) == 2 and all('"WARN"' in line for line in warned), warned

    file = tmp_path / "doctor.toml"
    file.write_text(text)
    args = ["doctor", "--json", "--data", str(contracts.data), "--config", str(file)]
    done = run(*args, env=environment(UPSTREAM_KEY=UPSTREAM_KEY))
    found = [check for check in done.json["checks"] if check["check"] == "contracts"]
    assert done.code == 6 and len(found) == 2 and not any(check["ok"] for check in found)
    assert all("verified_on" in check["next_step"] for check in found)


def test_another_maximum_is_kept_to(make_gateway: MakeGateway, mock: Mock) -> None:
    provider = Provider("mock", mock.base_url, contract=Contract(verified_days_ago=8))
    settings = "[contracts]\nstale_after_days = 7"
    gateway = make_gateway(text=config([provider], [Route("sim", "mock", "sim-small")], settings))
    answer = gateway.tenant().post("/chat/completions", {"model": "sim", "messages": MESSAGES})
    assert answer.json()["error"]["code"] == "route_contract_stale", answer.text
