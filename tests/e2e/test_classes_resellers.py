"""Access class 2.4: resellers, whose unit, markup, models and data terms are their own word."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from conftest import MakeGateway
from harness import UPSTREAM_KEY, Contract, Gateway, Json, Mock, Price, Provider, Route, config, environment, run

MESSAGES: Json = [{"role": "user", "content": "hi"}]
CREDITS = 'resale = { price_unit = "credit", unit_value = "0.001", per_tokens = 1000, markup_percent = "5.5" }'
#: Credits for a thousand tokens.
IN_CREDITS = Price("2.5", "10", "0.25")
#: What they come to in dollars for a million.
PAID = Price("2.6375", "10.55", "0.26375")
LISTED = Price("2.5", "15", "0.25")


def reseller(more: str = "", resale: str = CREDITS) -> Contract:
    # What follows the contract's table is inside of it, so the provider's own member goes first.
    return Contract(more=f'class = "reseller"\n{more}\n[providers.resale]\n' + "\n".join(inside(resale)))


def inside(table: str) -> list[str]:
    return table.partition("{")[2].rstrip(" }").split(", ")


@pytest.fixture
def text(mock: Mock) -> str:
    providers = [
        Provider("shop", mock.base_url, contract=reseller()),
        Provider("written", mock.base_url, contract=reseller('data = "internal"')),
    ]
    strict = Route("strict?*", "shop", "sim-small?*", IN_CREDITS).toml()
    strict = strict.removesuffix(" }]") + ', aliases = ["sim-small"] }]'
    alert = strict.replace("strict?*", "alert?*") + '\nsubstitution = "alert"'
    listed = Route("listed", "shop", "sim-small", IN_CREDITS).toml().removesuffix(" }]") + ', list = "openai/gpt-5.4" }]'
    routes = [Route("public", "shop", "sim-small", IN_CREDITS), Route("internal", "written", "sim-small", IN_CREDITS)]
    return "\n\n".join([config(providers, routes), strict, alert, listed])


@pytest.fixture
def house(make_gateway: MakeGateway, text: str) -> Gateway:
    return make_gateway(text=text)


def test_2_4_the_resellers_unit_and_markup_are_charged_exactly(house: Gateway, mock: Mock) -> None:
    tenant = house.tenant(data_class="public")
    answer = tenant.post("/chat/completions", {"model": "public", "messages": MESSAGES})
    assert answer.status_code == 200, answer.text
    row = tenant.settled_one()
    assert Decimal(row["cost"]) == PAID.of_truth(mock.truth_of(answer.headers["x-request-id"])) > 0, row
    assert row["price_version"].endswith(";credit=0.001,per=1000,+5.5%"), row

    shown = house.get("/admin/v1/routes/explain?model=listed")["targets"][0]
    for direction, paid, listed in [("input", PAID.input, LISTED.input), ("output", PAID.output, LISTED.output)]:
        assert Decimal(shown[f"thousand_{direction}"]) == Decimal(paid) / 1000, shown
        assert Decimal(shown[f"thousand_{direction}_at_list"]) == Decimal(listed) / 1000, shown
    assert shown["list_version"].startswith("openai/gpt-5.4@"), shown


def test_2_4_data_goes_there_only_where_the_contract_says_so(house: Gateway) -> None:
    for data_class, model, code in [
        ("public", "public", None),
        ("internal", "public", "route_contract_unfit"),
        ("internal", "internal", None),
        ("sensitive", "internal", "route_contract_unfit"),
    ]:
        tenant = house.tenant(data_class=data_class)
        answer = tenant.post("/chat/completions", {"model": model, "messages": MESSAGES})
        found = answer.json().get("error", {}).get("code")
        assert found == code, (data_class, model, answer.text)


def test_2_4_another_models_answer_is_withheld_unless_the_route_says_alert(house: Gateway) -> None:
    tenant = house.tenant(data_class="public")
    for streamed in [False, True]:
        body = {"messages": MESSAGES, "stream": streamed}
        refused = tenant.post("/chat/completions", body | {"model": "strict?fault=wrong_model"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "model_substituted"), refused.text
        assert tenant.post("/chat/completions", body | {"model": "strict?tps=5000"}).status_code == 200
        assert tenant.post("/chat/completions", body | {"model": "alert?fault=wrong_model"}).status_code == 200


def test_2_4_a_resellers_route_cannot_only_log(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tollkeeper.toml"
    file.write_text(text.replace('substitution = "alert"', 'substitution = "log"'))
    done = run("config", "check", "--config", str(file), env=environment(UPSTREAM_KEY=UPSTREAM_KEY))
    (mistake,) = done.json["errors"]
    assert mistake.startswith('routes[3].substitution: must be "refuse" or "alert" here'), mistake
