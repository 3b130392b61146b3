"""OpenAI's endpoints beside chats, by the unmodified SDK: what passes, what it costs, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

from conftest import MakeGateway, stopping
from harness import SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config

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
model = "paint?*"
targets = [{ provider = "mock", model = "paint?*", price = { kind = "image", input = "5.000003", output = "10.000001", image_output = "40.000007" } }]
[[routes]]
model = "picture?*"
targets = [
    { provider = "faulty", model = "down?fault=503", price = { kind = "image", per_image = "0.08" } },
    { provider = "mock", model = "picture?*", price = { kind = "image", per_image = "0.040001" } },
]
[[routes]]
model = "look"
targets = [{ provider = "mock", model = "painter" }]
[[routes]]
model = "chat"
targets = [{ provider = "mock", model = "sim-small", price = { input = "1", output = "2" } }]
"""

#: A model that is paid by the image.
PICTURE = """
[[routes]]
model = "picture"
targets = [{ provider = "mock", model = "picture", price = { kind = "image", per_image = "0.040001" } }]
"""

#: A model whose price depends on how its images look.
PRICES = """
provider = "mock"
source = "made up"
retrieved = "2026-11-12"
[[models]]
id = "painter"
kind = "image"
per_image = "0.04"
[[models]]
id = "hd/1024-x-1792/painter"
kind = "image"
per_image = "0.12"
"""


@pytest.fixture(scope="module")
def gateway(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with models that do not chat."""
    providers = [Provider("mock", mock.base_url), Provider("openai", mock.base_url), Provider("faulty", mock.base_url)]
    prices = tmp_path_factory.mktemp("prices") / "prices.toml"
    prices.write_text(PRICES)
    text = config(providers, [], SETTINGS) + f'\n[prices]\nfiles = ["{prices}"]\n' + ROUTES
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


INPUT, IMAGE = "0.000005000003", "0.000040000007"
#: The most tokens of an image of 1024x1024 at low quality: 24 parts a side, and room for text.
LOW = 439
TEXT = 1_024


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("fault", ["", ";fault=no_usage"])
def test_images_by_tokens(mock: Mock, tenant: Tenant, count: int, fault: str) -> None:
    model = f"paint?out=272{fault}"
    answer = tenant.client().images.generate(model=model, prompt="a cat", n=count, size="1024x1024", quality="low")
    assert answer.data and len(answer.data) == count and answer.data[0].b64_json
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (truth["images"], truth["completion_tokens"], row["status"]) == (count, 272 * count, "succeeded")
    each = LOW if fault else 272
    assert row["estimated"] == bool(fault) and row["image_output_tokens"] == each * count
    assert Decimal(row["cost"]) == cost((row["input_tokens"], INPUT), (each * count, IMAGE))
    # What was held covers any answer within the bound.
    assert Decimal(row["held"]) >= cost((truth["prompt_tokens"] * count, INPUT), ((LOW + TEXT) * count, IMAGE))


def test_images_by_the_image_at_the_target_that_answers(mock: Mock, tenant: Tenant) -> None:
    answer = tenant.client().images.generate(model="picture?out=1", prompt="a cat", n=2, response_format="url")
    assert answer.data and [image.url for image in answer.data] == ["https://images.example/1.png"] * 2
    rows = tenant.settled(2)
    made, failed = rows
    assert (failed["status"], Decimal(failed["cost"]), failed["target"]) == ("failed", 0, "faulty/down?fault=503")
    assert (made["images"], made["image_output_tokens"], made["estimated"]) == (2, 0, False)
    assert Decimal(made["cost"]) == cost((2, "0.040001"))
    truth = [line["images"] for line in mock.truth() if line["request_id"] == made["request_id"]]
    assert truth == [0, 2]
    assert Decimal(made["held"]) == cost((2, "0.08")), "enough for the dearest"


def test_images_stream(mock: Mock, tenant: Tenant) -> None:
    stream = tenant.client().images.generate(
        model="paint?out=272", prompt="a cat", size="1024x1024", quality="low", stream=True, partial_images=2
    )
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert events[-1].type == "image_generation.completed" and events[-1].usage.output_tokens == 472
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert row["streamed"] and not row["estimated"] and truth["completion_tokens"] == 472
    assert Decimal(row["cost"]) == cost((truth["prompt_tokens"], INPUT), (472, IMAGE))


@pytest.mark.parametrize("partial", [0, 3])
def test_a_stream_of_images_that_is_left_costs_what_was_made(mock: Mock, tenant: Tenant, partial: int) -> None:
    client = tenant.client(timeout=5.0 if partial else 0.3)
    pace = "tps=2" if partial else "ttft_ms=700"
    ask: Json = {"model": f"paint?out=272;{pace}", "prompt": "a cat", "size": "1024x1024", "quality": "low"}
    if partial:
        stream = client.images.generate(**ask, stream=True, partial_images=partial)
        assert next(iter(stream)).type == "image_generation.partial_image"
        stream.response.close()
    else:
        # Before it has begun to show anything.
        with pytest.raises(openai.APITimeoutError):
            list(client.images.generate(**ask, stream=True))
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    # An image is made whole, and billed whole.
    assert (row["status"], row["reason"], row["estimated"]) == ("cancelled", "client_closed", False)
    assert truth["images"] == 1 and truth["finished"] and truth["completion_tokens"] == 272 + 100 * partial
    assert Decimal(row["cost"]) == cost((truth["prompt_tokens"], INPUT), (truth["completion_tokens"], IMAGE))


@pytest.mark.parametrize("fault", ["500", "garbage", "close", "error_mid", "hang_mid"])
@pytest.mark.parametrize("stream", [False, True])
def test_faults_of_images(tenant: Tenant, fault: str, stream: bool) -> None:
    body: Json = {"model": f"paint?fault={fault};after=0", "prompt": "a cat", "stream": stream, "partial_images": 1}
    answer = tenant.post("/images/generations", body)
    row = tenant.settled_one()
    assert row["status"] == "failed" and Decimal(row["cost"]) == 0, row
    assert answer.status_code >= 500 or "error" in answer.text


def test_images_need_what_they_can_cost(gateway: Gateway) -> None:
    tenant = gateway.tenant(granted="0.10")
    client = tenant.client()
    with pytest.raises(openai.RateLimitError) as refused:
        client.images.generate(model="picture?out=1", prompt="a cat", n=2)
    assert refused.value.code == "insufficient_quota"
    client.images.generate(model="picture?out=1", prompt="a cat")
    assert Decimal(tenant.settled(2)[0]["cost"]) == cost((1, "0.040001"))


def test_images_per_minute(gateway: Gateway, tenant: Tenant) -> None:
    path = f"/admin/v1/organizations/{tenant.org}/limits"
    answer = gateway.api("PUT", path, {"subject": "organization", "images_per_minute": 5})
    assert answer.status_code == 200, answer.text
    client = tenant.client()
    make: Any = {"model": "paint?out=1", "prompt": "a cat", "quality": "low"}
    client.images.generate(**make, n=3)
    with pytest.raises(openai.RateLimitError) as refused:
        client.images.generate(**make, n=3)
    body: Any = refused.value.body
    assert "images per min (IPM): Limit 5, Used 3, Requested 3" in body["message"]
    assert body["reason"] == "images_per_minute_exceeded" or body["reason"] == "images_per_minute"
    # What failed has made none, and what makes none is not bounded.
    with pytest.raises(openai.InternalServerError):
        client.images.generate(**make | {"model": "paint?fault=500"}, n=2)
    client.images.generate(**make, n=2)
    client.moderations.create(input="a")
    with pytest.raises(openai.RateLimitError):
        client.images.generate(**make, n=1)


def test_images_are_priced_by_their_look(tenant: Tenant) -> None:
    client = tenant.client()
    client.images.generate(model="look", prompt="a cat", size="1024x1792", quality="hd")
    client.images.generate(model="look", prompt="a cat")
    with pytest.raises(openai.APIStatusError, match="of size `256x256` and quality `any` have no price"):
        client.images.generate(model="look", prompt="a cat", size="256x256")
    rows = tenant.settled(2)
    assert [Decimal(row["cost"]) for row in rows] == [Decimal("0.04"), Decimal("0.12")]
    assert [row["price_version"] for row in rows] == ["mock/painter@2026-11-12", "mock/hd/1024-x-1792/painter@2026-11-12"]


def test_other_models_make_no_images(tenant: Tenant) -> None:
    client = tenant.client()
    with pytest.raises(openai.NotFoundError, match="is not an image model; it answers in words"):
        client.images.generate(model="chat", prompt="a cat")
    with pytest.raises(openai.NotFoundError, match="it makes images"):
        client.chat.completions.create(model="paint?x", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model="paint?x", prompt="a cat", output_format="svg")
    assert refused.value.param == "output_format"
    assert tenant.rows() == []


def test_an_answer_too_long_to_pass_on_costs_what_was_made(mock: Mock, make_gateway: MakeGateway) -> None:
    settings = SETTINGS.replace("[server]", "[server]\nanswer_bytes_max = 1024")
    text = config([Provider("mock", mock.base_url)], [Route("sim?*", "mock", "sim-small?*")], settings) + PICTURE
    tenant = make_gateway(text=text).tenant()
    chat = {"model": "sim?out=2000", "messages": [{"role": "user", "content": "How much is the toll?"}]}
    pictures = {"model": "picture", "prompt": "A gate.", "n": 10}
    for path, call in [("/chat/completions", chat), ("/images/generations", pictures)]:
        answer = tenant.post(path, call)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_too_large"), answer.text
    pictured, chatted = tenant.settled(2)
    assert (chatted["status"], chatted["estimated"], chatted["output_tokens"]) == ("failed", True, 0), chatted
    assert chatted["input_tokens"] > 0 and Decimal(chatted["cost"]) > 0, chatted
    assert (pictured["images"], Decimal(pictured["cost"])) == (10, Decimal("0.400010")), pictured
