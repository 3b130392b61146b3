"""OpenAI's endpoints beside chats, by the unmodified SDK: what passes, what it costs, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

from conftest import stopping
from harness import SETTINGS, Contract, Gateway, Json, Mock, Provider, Tenant, config

#: A route for each sort of model, priced by its own unit.
ROUTES = """
[[routes]]
model = "omni-moderation-latest"
targets = [{ provider = "openai", model = "omni-moderation-latest" }]
[[routes]]
model = "judge?*"
targets = [{ provider = "mock", model = "judge?*", price = { kind = "moderation", input = "0.100003" } }]
[[routes]]
model = "judge-unpriced"
targets = [{ provider = "mock", model = "judge" }]
[[routes]]
model = "chat"
targets = [{ provider = "mock", model = "sim-small", price = { input = "1", output = "2" } }]
"""


@pytest.fixture(scope="module")
def gateway(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with models that do not chat."""
    providers = [Provider("mock", mock.base_url), Provider("openai", mock.base_url, contract=Contract())]
    text = config(providers, [], SETTINGS) + ROUTES
    with stopping(Gateway(tmp_path_factory.mktemp("media"), text)) as running:
        yield running.start()


@pytest.fixture
def tenant(gateway: Gateway) -> Tenant:
    return gateway.tenant()


def cost(*parts: tuple[int, str]) -> Decimal:
    """So many units at so much each, rounded up once to the nano-dollar."""
    exact = sum((count * Decimal(price) for count, price in parts), Decimal(0))
    return exact.quantize(Decimal("0.000000001"), "ROUND_CEILING")


PARTS: list[Any] = [
    {"type": "text", "text": "some harm"},
    {"type": "image_url", "image_url": {"url": "https://example.com/i.png"}},
]


@pytest.mark.parametrize("given", ["a text", ["harm", "peace"], PARTS])
def test_free_moderations_are_booked_at_nothing(gateway: Gateway, given: Any) -> None:
    """Without a cent of credit, and without naming a model, as the SDK allows."""
    tenant = gateway.tenant(granted="0")
    answer = tenant.client().moderations.create(input=given)
    assert [result.flagged for result in answer.results] == {str: [False], list: [True, False]}[type(given)][
        : 1 if given is PARTS else None
    ]
    row = tenant.settled_one()
    assert (row["model"], row["status"]) == ("omni-moderation-latest", "succeeded")
    assert Decimal(row["cost"]) == 0 and row["input_tokens"] > 0


def test_a_moderation_with_a_price_costs_what_was_judged(mock: Mock, tenant: Tenant) -> None:
    tenant.client().moderations.create(model="judge?in=1000", input="a text")
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    # The answer counts nothing, so what is charged is our own count, as of chats.
    assert row["estimated"] and row["input_tokens"] == 2 and truth["prompt_tokens"] == 1000
    assert Decimal(row["cost"]) == cost((2, "0.000000100003"))


def test_a_moderation_that_fails_costs_nothing(tenant: Tenant) -> None:
    with pytest.raises(openai.InternalServerError):
        tenant.client().moderations.create(model="judge?fault=500", input="a text")
    row = tenant.settled_one()
    assert (row["status"], Decimal(row["cost"])) == ("failed", 0)


def test_what_a_model_is_not_for_is_refused_by_name(tenant: Tenant) -> None:
    client = tenant.client()
    table: list[tuple[Any, str]] = [
        (lambda: client.moderations.create(model="judge-unpriced", input="a"), "has no price"),
        (lambda: client.moderations.create(model="chat", input="a"), "is not a moderation model; it answers in words"),
        (lambda: client.embeddings.create(model="judge?x", input="a"), "Call POST /v1/moderations"),
    ]
    for call, said in table:
        with pytest.raises(openai.APIStatusError) as refused:
            call()
        body: Any = refused.value.body
        assert said in f"{body['message']} {body.get('next_step')}", body
    assert tenant.rows() == []


def test_keys_are_bounded_to_endpoints(gateway: Gateway, tenant: Tenant) -> None:
    body: Json = {"name": "judges", "project": tenant.project, "endpoints": ["moderations"]}
    made = gateway.api("POST", "/admin/v1/keys", body)
    assert made.status_code == 201, made.text
    client = tenant.client().with_options(api_key=made.json()["secret"])
    client.moderations.create(input="a")
    with pytest.raises(openai.PermissionDeniedError):
        client.embeddings.create(model="chat", input="a")
