"""Access class 2.9: open weights on one's own hardware, what they cost, which models are there, how long a prompt may be."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import httpx
import openai
import pytest
from conftest import MakeGateway
from harness import NANO, SETTINGS, UPSTREAM_KEY, Contract, Gateway, Json, Mock, Provider, Route, Tenant, config, environment, eventually, run
from upstreams import JsonHandler, listening

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


@dataclass
class Server:
    """A server that has the models that it is given, and answers as whichever it was called by, as some do."""

    base_url: str = ""
    #: What it says at /v1/models: a status and a body.
    said: tuple[int, Json] = (200, {"object": "list", "data": []})
    #: The models that it was called by, and how often its list was asked for.
    called: list[str] = field(default_factory=list)
    asked: int = 0

    def has(self, *models: str | Json) -> None:
        cards = [model if isinstance(model, dict) else {"id": model, "object": "model"} for model in models]
        self.said = (200, {"object": "list", "data": cards})


@contextlib.contextmanager
def server() -> Iterator[Server]:
    own = Server()

    class Handler(JsonHandler):
        def do_GET(self) -> None:
            assert self.path == "/v1/models", self.path
            self.answer(*own.said)
            own.asked += 1

        def do_POST(self) -> None:
            model = self.asked()["model"]
            own.called.append(model)
            self.answer_chat(model)

    with listening(Handler) as own.base_url:
        yield own


FREE = '{ input = "0", output = "0" }'


def house_of(own: Server, mock: Mock, more: str = "") -> str:
    """A gateway before a server of one's own, with a second target for one model, and a pattern."""
    providers = [
        Provider("own", own.base_url, contract=OWN, kind="vllm"),
        Provider("other", mock.base_url, contract=OWN, kind="simulated"),
    ]
    llama = f'{{ provider = "own", model = "llama-3", price = {FREE}{more} }}'
    other = f'{{ provider = "other", model = "sim-small", price = {FREE} }}'
    routes = [
        f'[[routes]]\nmodel = "llama"\ntargets = [{llama}]',
        f'[[routes]]\nmodel = "both"\ntargets = [{llama}, {other}]',
        f'[[routes]]\nmodel = "any/*"\ntargets = [{{ provider = "own", model = "*", price = {FREE} }}]',
    ]
    return "\n\n".join([config(providers, [], SETTINGS + "[routing]\nmodel_lists_seconds = 1\n"), *routes])


def until_asked_anew(own: Server) -> None:
    """Until what the server says now is known: the first answer may have been under way."""
    before = own.asked
    eventually(lambda: own.asked >= before + 3, "three looks at the list")


def ask(tenant: Tenant, model: str, words: int = 1) -> httpx.Response:
    messages = [{"role": "user", "content": "word " * words}]
    return tenant.post("/chat/completions", {"model": model, "messages": messages, "max_tokens": 5})


def explained(gateway: Gateway, model: str) -> Json:
    return gateway.get(f"/admin/v1/routes/explain?model={model}")["targets"][0]


def test_2_9_a_model_that_the_server_does_not_have_gets_no_call(mock: Mock, make_gateway: MakeGateway) -> None:
    with server() as own:
        own.has("llama-3", "bge-m3")
        gateway = make_gateway(text=house_of(own, mock))
        tenant = gateway.tenant()
        until_asked_anew(own)
        assert ask(tenant, "llama").status_code == 200 and explained(gateway, "llama")["is_served"] is True
        assert ask(tenant, "any/bge-m3").status_code == 200

        # Somebody starts it with another model.
        own.has("qwen-2", "bge-m3")
        until_asked_anew(own)
        own.called.clear()
        refused = ask(tenant, "llama")
        error = refused.json()["error"]
        expected = (404, "model_not_found", "model_not_served", "route", "model")
        told = (refused.status_code, error["code"], error["reason"], error["owner"], error["param"])
        assert told == expected, refused.text
        assert "`own` does not have `llama-3`." in error["message"] and "qwen-2" not in refused.text, error
        assert ask(tenant, "any/made-up").status_code == 404
        moved = ask(tenant, "both")
        assert (moved.status_code, moved.headers["x-tollkeeper-target"]) == (200, "other/sim-small"), moved.text
        target = explained(gateway, "llama")
        assert (target["place"], target["is_served"]) == (None, False) and "does not have" in target["why"], target
        shown = gateway.cli("route", "explain", "llama")
        assert "does not have `llama-3`" in shown.stdout, shown.stdout
        request = refused.headers["x-request-id"]
        assert "model_not_served" in gateway.cli("explain", request).stdout

        # What the server said last counts while it says nothing; it is asked each second then.
        own.said = (503, {"error": {"message": "loading"}})
        until_asked_anew(own)
        assert ask(tenant, "llama").status_code == 404 and own.called == []
        own.has("llama-3")
        until_asked_anew(own)
        assert ask(tenant, "llama").status_code == 200
        # One that tells no list is one of which nobody knows.
        own.said = (404, {"error": {"message": "no such path"}})
        until_asked_anew(own)
        assert ask(tenant, "any/made-up").status_code == 200
        assert explained(gateway, "llama")["is_served"] is None


def test_2_9_what_the_server_says_of_its_context_counts(mock: Mock, make_gateway: MakeGateway) -> None:
    with server() as own:
        own.has({"id": "llama-3", "max_model_len": 100}, {"id": "q", "meta": {"n_ctx": 50, "n_ctx_train": 4096}})
        gateway = make_gateway(text=house_of(own, mock, ", context = 1000"))
        tenant = gateway.tenant()
        until_asked_anew(own)
        own.called.clear()
        for model, context in [("llama", 100), ("any/q", 50)]:
            refused = ask(tenant, model, 150)
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (400, "context_length_exceeded"), refused.text
            assert f"maximum context length is {context} tokens" in error["message"], error
            assert explained(gateway, model)["context"] == context
        assert own.called == [] and ask(tenant, "llama", 60).status_code == 200
        # It was started anew with a longer one; what is written is the most all the same.
        own.has({"id": "llama-3", "max_model_len": 4096})
        until_asked_anew(own)
        assert ask(tenant, "llama", 150).status_code == 200
        assert "maximum context length is 1000 tokens" in ask(tenant, "llama", 1500).json()["error"]["message"]


def test_2_9_no_call_waits_for_a_server_that_does_not_answer(mock: Mock, make_gateway: MakeGateway) -> None:
    # It takes connections, and says nothing on any.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        own = Server(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        providers = [
            Provider("own", own.base_url, contract=OWN, kind="vllm"),
            Provider("other", mock.base_url, contract=OWN, kind="simulated"),
        ]
        routes = [
            f'[[routes]]\nmodel = "{name}"\ntargets = [{{ provider = "{name}", model = "sim-small", price = {FREE} }}]'
            for name in ("own", "other")
        ]
        tenant = make_gateway(text="\n\n".join([config(providers, []), *routes])).tenant()
        # The list may take five seconds.
        began = time.monotonic()
        assert ask(tenant, "other").status_code == 200
        assert time.monotonic() - began < 3
        # Nobody knows what it has, so a call is tried: the first byte may take 1.5 seconds here.
        assert ask(tenant, "own").status_code == 504
        assert time.monotonic() - began < 4.5


def test_2_9_a_server_whose_list_is_not_whole_is_called_all_the_same(mock: Mock, make_gateway: MakeGateway) -> None:
    with server() as own:
        own.has("listed")
        text = house_of(own, mock).replace('kind = "vllm"', 'kind = "vllm"\nlists_all_models = false')
        assert "lists_all_models" in text
        gateway = make_gateway(text=text)
        assert ask(gateway.tenant(), "llama").status_code == 200 and own.called == ["llama-3"]
        assert own.asked == 0 and explained(gateway, "llama")["is_served"] is None


def test_2_9_the_doctor_compares_what_is_written_with_what_is_there(
    mock: Mock, make_gateway: MakeGateway, tmp_path: Path
) -> None:
    with server() as own:
        own.has({"id": "llama-3", "max_model_len": 100})
        gateway = make_gateway(text=house_of(own, mock, ", context = 1000"))
        file = tmp_path / "doctor.toml"
        args = ["doctor", "--json", "--data", str(gateway.data), "--config", str(file)]

        def found() -> dict[str, Json]:
            file.write_text(house_of(own, mock, ", context = 1000"))
            done = run(*args, env=environment(UPSTREAM_KEY=UPSTREAM_KEY))
            return {one["check"]: one for one in done.json["checks"]}

        checks = found()
        assert checks["models of own"]["message"] == "it has `llama-3`"
        assert "context is 100 tokens there, and 1000" in checks["model of own/llama-3"]["message"]
        own.has("qwen-2")
        missing = found()["model of own/llama-3"]
        assert missing["ok"] is False and "is not there" in missing["message"], missing
        assert "next_step" in missing
