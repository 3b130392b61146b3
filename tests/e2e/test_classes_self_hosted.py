"""Access class 2.9: open weights on one's own hardware, what they cost, which models are there, how long a prompt may be."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import httpx
import openai
import pytest
from conftest import MakeGateway
from harness import NANO, Contract, Json, Mock, Provider, Route, config

MESSAGES: Json = [{"role": "user", "content": "hi"}]
OWN = Contract(more='class = "self_hosted"\ndata = "sensitive"')


def by_time(model: str, upstream: str, price: str, provider: str = "own") -> str:
    target = f'{{ provider = "{provider}", model = "{upstream}", price = {price} }}'
    return f'[[routes]]\nmodel = "{model}"\ntargets = [{target}]'


def cost(row: Json, second: str, tokens: str = "0") -> Decimal:
    exact = row["gpu_ms"] * Decimal(second) / 1000
    exact += (row["input_tokens"] + row["output_tokens"]) * Decimal(tokens) / 1_000_000
    return exact.quantize(NANO, ROUND_CEILING)


def test_2_9_time_on_ones_own_hardware_is_charged_to_the_millisecond(mock: Mock, make_gateway: MakeGateway) -> None:
    routes = [
        by_time("timed?*", "sim-small?*", '{ per_gpu_second = "0.0008" }'),
        by_time("both?*", "sim-small?*", '{ per_gpu_second = "0.0008", input = "1", output = "1" }'),
    ]
    text = "\n\n".join([config([Provider("own", mock.base_url, contract=OWN, kind="simulated")], []), *routes])
    gateway = make_gateway(text=text)
    for model, tokens in [("timed", "0"), ("both", "1")]:
        for streamed in [False, True]:
            tenant = gateway.tenant(data_class="sensitive")
            body = {"model": f"{model}?latency_ms=300", "messages": MESSAGES, "stream": streamed}
            assert tenant.post("/chat/completions", body).status_code == 200
            row = tenant.settled_one()
            assert 300 <= row["gpu_ms"] <= 5_000 and row["input_tokens"] > 0 and row["output_tokens"] > 0, row
            # Held was the time that an answer may take to begin, 1.5 seconds here.
            assert Decimal(row["cost"]) == cost(row, "0.0008", tokens) and Decimal(row["held"]) >= Decimal("0.0012"), row

    # What brought nothing costs nothing.
    tenant = gateway.tenant()
    body = {"model": "timed?latency_ms=200;fault=500", "messages": MESSAGES}
    assert tenant.post("/chat/completions", body).status_code == 502
    row = tenant.settled_one()
    assert (row["gpu_ms"], Decimal(row["cost"])) == (0, 0), row


def test_2_9_a_client_that_leaves_pays_for_the_time_until_then(mock: Mock, make_gateway: MakeGateway) -> None:
    text = "\n\n".join(
        [
            config([Provider("own", mock.base_url, contract=OWN, kind="simulated")], []),
            by_time("timed?*", "sim-small?*", '{ per_gpu_second = "0.01" }'),
        ]
    )
    tenant = make_gateway(text=text).tenant()
    stream = tenant.client().chat.completions.create(
        model="timed?out=4000;tps=20", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    for _ in range(10):
        next(stream)
    stream.close()
    row = tenant.settled_one()
    assert row["status"] == "cancelled" and 300 <= row["gpu_ms"] <= 20_000, row
    assert Decimal(row["cost"]) == cost(row, "0.01"), row


def test_2_9_a_price_of_nothing_is_stated(mock: Mock, make_gateway: MakeGateway) -> None:
    provider = Provider("own", mock.base_url, contract=OWN, kind="simulated")
    free = by_time("free", "sim-small", '{ input = "0", output = "0" }')
    text = "\n\n".join([config([provider], [Route("unstated", "own", "nothing-known", price=None)]), free])
    tenant = make_gateway(text=text).tenant(granted="0")
    assert tenant.post("/chat/completions", {"model": "free", "messages": MESSAGES}).status_code == 200
    assert Decimal(tenant.settled_one()["cost"]) == 0
    refused = tenant.post("/chat/completions", {"model": "unstated", "messages": MESSAGES})
    assert refused.json()["error"]["code"] == "model_not_priced", refused.text


def test_2_9_a_prompt_that_is_too_long_is_refused_before_it_is_sent(mock: Mock, make_gateway: MakeGateway) -> None:
    free = '{ input = "0", output = "0" }'
    small = f'{{ provider = "own", model = "sim-small", price = {free}, context = 100 }}'
    large = f'{{ provider = "own", model = "sim-large", price = {free}, context = 2000 }}'
    routes = [
        f'[[routes]]\nmodel = "small"\ntargets = [{small}]',
        f'[[routes]]\nmodel = "both"\ntargets = [{small}, {large}]',
    ]
    text = "\n\n".join([config([Provider("own", mock.base_url, contract=OWN, kind="simulated")], []), *routes])
    tenant = make_gateway(text=text).tenant()

    def ask(model: str, words: int) -> httpx.Response:
        messages = [{"role": "user", "content": "word " * words}]
        return tenant.post("/chat/completions", {"model": model, "messages": messages, "max_tokens": 5})

    sent = len(mock.truth())
    # More bytes than the context has tokens, and fewer tokens.
    assert ask("small", 60).status_code == 200
    refused = ask("small", 150)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages"), error
    assert "maximum context length is 100 tokens" in error["message"]
    moved = ask("both", 150)
    assert (moved.status_code, moved.headers["x-tollkeeper-target"]) == (200, "own/sim-large"), moved.text
    assert ask("both", 3000).json()["error"]["code"] == "context_length_exceeded"
    assert len(mock.truth()) == sent + 2, "nothing else was sent"
    # The SDK raises what agents look for.
    with pytest.raises(openai.BadRequestError) as raised:
        tenant.client().chat.completions.create(model="small", messages=[{"role": "user", "content": "word " * 150}])
    assert raised.value.code == "context_length_exceeded"
