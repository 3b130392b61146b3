"""Several models in one call, as OpenRouter takes them: who answers, who is charged for what, and what a crash leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import openai
import pytest

from conftest import MakeGateway, stopping
from harness import PRICE, SETTINGS, Gateway, Json, Mock, Price, Provider, Route, config, eventually
from upstreams import Recorder

DEAR = Price(input="5.000003", output="30.000001", cached_input="0.500009")
PROMPT = [{"role": "user", "content": "hi"}]
ROUTING = SETTINGS + "[routing]\nbreaker_failures = 1000000\nretries_per_second = 1000\n"


@pytest.fixture(scope="module")
def house(mock: Mock, upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    providers = [
        Provider("mock", mock.base_url),
        Provider("other", mock.base_url),
        Provider("recorder", upstream.base_url),
    ]
    routes = [
        Route("cheap?*", "mock", "sim-small?*"),
        Route("dear", "other", "sim-small", DEAR),
        Route("recorded", "recorder", "upstream/model-1"),
    ]
    text = config(providers, routes, ROUTING)
    with stopping(Gateway(tmp_path_factory.mktemp("models"), text)) as running:
        yield running.start()


def asked(rows: list[Json]) -> list[tuple[str, str, str]]:
    rows = sorted(rows, key=lambda row: row["attempt"])
    return [(row["model"], row["target"], row["reason"]) for row in rows]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", ["500", "400", "429", "close"])
def test_the_next_model_answers_and_is_charged(house: Gateway, mock: Mock, fault: str, streamed: bool) -> None:
    tenant = house.tenant()
    first = f"cheap?fault={fault};retry_after=0"
    with tenant.client().chat.completions.with_streaming_response.create(
        model=first, messages=PROMPT, stream=streamed, extra_body={"models": [first, "dear"]}
    ) as answer:
        answer.read()
    assert answer.headers["x-tollkeeper-model"] == "dear"
    assert (answer.headers["x-tollkeeper-target"], answer.headers["x-tollkeeper-attempts"]) == ("other/sim-small", "2")
    rows = tenant.settled(2)
    assert [row[:2] for row in asked(rows)] == [(first, f"mock/{first.replace('cheap', 'sim-small')}"), ("dear", "other/sim-small")]
    request = answer.headers["x-request-id"]
    truth = [line for line in mock.truth() if line["request_id"] == request and line["status"] == 200]
    cost = {row["attempt"]: Decimal(row["cost"]) for row in rows}
    assert cost == {1: 0, 2: sum((DEAR.of_truth(line) for line in truth), Decimal(0))}
    balance = tenant.balance()
    assert (Decimal(balance["held"]), Decimal("5.00") - Decimal(balance["available"])) == (0, cost[2])
    explained = house.get(f"/admin/v1/requests/{request}/explain")
    assert explained["route"]["models"] == [first, "dear"]


def test_responses_take_models_too(house: Gateway) -> None:
    tenant = house.tenant()
    answer = tenant.client().responses.create(
        model="cheap?fault=503", input="hi", extra_body={"models": ["dear"]}
    )
    assert answer.output_text
    assert [row[0] for row in asked(tenant.settled(2))] == ["cheap?fault=503", "dear"]


def test_no_provider_sees_the_list(house: Gateway, upstream: Recorder) -> None:
    said = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream/model-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
    upstream.says(json.dumps(said).encode(), "application/json")
    body = {"models": ["recorded", "dear"], "messages": PROMPT}
    answer = house.tenant().post("/chat/completions", body)
    assert (answer.status_code, answer.headers["x-tollkeeper-model"]) == (200, "recorded")
    assert json.loads(upstream.seen[-1].body) == {"model": "upstream/model-1", "messages": PROMPT}


@pytest.mark.parametrize(
    ("models", "status", "code", "param"),
    [
        (["dear", 7], 400, "invalid_type", "models[1]"),
        (["dear", ""], 400, "empty_string", "models[1]"),
        ("dear", 400, "invalid_type", "models"),
        (["dear"] * 9, 400, "array_above_max_length", "models"),
        (["dear", "no-such"], 404, "model_not_found", None),
    ],
)
def test_mistakes_are_named(house: Gateway, models: object, status: int, code: str, param: str | None) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        house.tenant().client(max_retries=0).chat.completions.create(
            model="cheap?out=1", messages=PROMPT, extra_body={"models": models}
        )
    error = caught.value
    assert (error.status_code, error.code) == (status, code), error
    if param:
        assert error.param == param
    else:
        assert "models[1]" in str(error)


def test_a_killed_gateway_books_every_attempt_that_was_sent(make_gateway: MakeGateway, mock: Mock) -> None:
    providers = [Provider("mock", mock.base_url), Provider("other", mock.base_url)]
    routes = [Route("first", "mock", "sim-small?fault=500"), Route("second", "other", "sim-small?fault=hang", PRICE)]
    patient = ROUTING.replace("first_byte_ms = 1500", "first_byte_ms = 60000")
    house = make_gateway("killed", config(providers, routes, patient))
    tenant = house.tenant()
    with pytest.raises(openai.APITimeoutError):
        tenant.client(max_retries=0, timeout=1.5).chat.completions.create(
            model="first", messages=PROMPT, extra_body={"models": ["second"]}
        )
    eventually(lambda: Decimal(tenant.balance()["held"]) > 0, "the hold")
    house.kill()
    house.start()
    rows = tenant.settled(2)
    assert asked(rows) == [
        ("first", "mock/sim-small?fault=500", "upstream_error"),
        ("second", "other/sim-small?fault=hang", "gateway_restarted"),
    ]
    charged = sum(Decimal(row["cost"]) for row in rows)
    assert charged > 0 and Decimal("5.00") - Decimal(tenant.balance()["available"]) == charged
