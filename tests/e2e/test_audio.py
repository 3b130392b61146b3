"""Speech, transcripts and changed images, by the unmodified SDK: what passes, what is held and what it costs."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from conftest import MakeGateway, stopping
from harness import SETTINGS, Gateway, Json, Mock, Provider, Tenant, config
from sdk import NodeSdk

#: A model for each unit that audio is charged by, and one whose price knows no such unit.
ROUTES = """
[[routes]]
model = "speak?*"
targets = [{ provider = "mock", model = "speak?*", price = { kind = "speech", per_character = "0.000015000001" } }]
[[routes]]
model = "voice?*"
targets = [{ provider = "mock", model = "voice?*", price = { kind = "speech", input = "0.600001", output = "10", audio_output = "12.000007" } }]
[[routes]]
model = "long?*"
targets = [{ provider = "mock", model = "long?*", price = { kind = "speech", per_audio_second = "0.00025" } }]
[[routes]]
model = "whisper?*"
targets = [{ provider = "mock", model = "whisper?*", price = { kind = "transcription", per_audio_second = "0.000100001" } }]
[[routes]]
model = "tokens-by-time?*"
targets = [{ provider = "mock", model = "listen?*", price = { kind = "transcription", per_audio_second = "0.000100001" } }]
[[routes]]
model = "listen?*"
targets = [{ provider = "mock", model = "listen?*", price = { kind = "transcription", input = "2.500001", output = "10.000003", audio_input = "6.000007" } }]
[[routes]]
model = "wrong-unit"
targets = [{ provider = "mock", model = "listen", price = { kind = "transcription", per_character = "0.1" } }]
[[routes]]
model = "unpriced"
targets = [{ provider = "mock", model = "listen" }]
[[routes]]
model = "turns"
targets = [
    { provider = "faulty", model = "down?fault=503", price = { kind = "transcription", per_audio_second = "0.0002" } },
    { provider = "mock", model = "whisper", price = { kind = "transcription", per_audio_second = "0.0001" } },
]
[[routes]]
model = "turns-voice"
targets = [
    { provider = "faulty", model = "down?fault=garbage", price = { kind = "speech", per_character = "0.00002" } },
    { provider = "faulty", model = "down?fault=empty", price = { kind = "speech", per_character = "0.00002" } },
    { provider = "mock", model = "speak", price = { kind = "speech", per_character = "0.00001" } },
]
[[routes]]
model = "paint?*"
targets = [{ provider = "mock", model = "paint?*", price = { kind = "image", input = "5.000003", image_input = "8.000001", output = "10", image_output = "40.000007" } }]
[[routes]]
model = "chat"
targets = [{ provider = "mock", model = "sim-small", price = { input = "1", output = "2" } }]
"""

TEXT = "The keeper at the gate counts each fare. Ça va?"


@pytest.fixture(scope="module")
def gateway(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    providers = [Provider("mock", mock.base_url), Provider("faulty", mock.base_url)]
    text = config(providers, [], SETTINGS) + ROUTES
    with stopping(Gateway(tmp_path_factory.mktemp("audio"), text)) as running:
        yield running.start()


@pytest.fixture
def tenant(gateway: Gateway) -> Tenant:
    return gateway.tenant()


def cost(*parts: tuple[int, str]) -> Decimal:
    """So many units at so much each, rounded up once to the nano-dollar."""
    exact = sum((count * Decimal(price) for count, price in parts), Decimal(0))
    return exact.quantize(Decimal("0.000000001"), "ROUND_CEILING")


def millionths(price: str) -> str:
    return str(Decimal(price) / 1_000_000)


def thousandths(price: str) -> str:
    return str(Decimal(price) / 1_000)


def recording(seconds: int) -> tuple[str, bytes, str]:
    """A WAV file of so many seconds."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(16_000 * seconds))
    return ("speech.wav", file.getvalue(), "audio/wav")


def spoken(truth: Json) -> Decimal:
    text, sound = truth["prompt_tokens"], truth["completion_tokens"]
    return cost((text, millionths("0.600001")), (sound, millionths("12.000007")))


def heard(truth: Json) -> Decimal:
    sound = truth["audio_prompt_tokens"]
    parts = [(truth["prompt_tokens"] - sound, "2.500001"), (sound, "6.000007"), (truth["completion_tokens"], "10.000003")]
    return cost(*((count, millionths(price)) for count, price in parts))


@pytest.mark.parametrize("form", ["mp3", "wav", "pcm"])
def test_speech_by_the_character(mock: Mock, tenant: Tenant, form: Any) -> None:
    """All of a speech is charged, whatever came of it, and nobody need tell how long the text was."""
    answer = tenant.client().audio.speech.create(model="speak?out=20", voice="alloy", input=TEXT, response_format=form)
    assert answer.response.headers["content-type"] == {"mp3": "audio/mpeg"}.get(form, f"audio/{form}")
    assert len(answer.content) == {"mp3": 20 * 384, "wav": 20 * 2_304 + 44, "pcm": 20 * 2_304}[form]
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["status"], row["characters"], row["estimated"], row["streamed"]) == ("succeeded", len(TEXT), False, False)
    assert truth["characters"] == len(TEXT) and row["input_tokens"] == row["output_tokens"] == row["audio_ms"] == 0
    assert Decimal(row["cost"]) == Decimal(row["held"]) == cost((truth["characters"], "0.000015000001"))


@pytest.mark.parametrize("form", ["mp3", "wav", "pcm"])
@pytest.mark.parametrize("model,price", [("voice", ""), ("long", "0.00025")])
def test_speech_that_tells_nothing_is_measured(mock: Mock, tenant: Tenant, form: Any, model: str, price: str) -> None:
    """What the provider counted is not in the sound: its length is, and the row says that it was reckoned."""
    with tenant.client().audio.speech.with_streaming_response.create(
        model=f"{model}?out=250", voice="alloy", input=TEXT, response_format=form
    ) as answer:
        assert sum(map(len, answer.iter_bytes())) > 250 * 384 - 1
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["status"], row["estimated"], truth["audio_ms"]) == ("succeeded", True, 250 * 48)
    expected = cost((truth["audio_ms"], thousandths(price))) if price else spoken(truth)
    # Of MP3 the beginning stands for all, and a frame that it cuts off counts as a whole one.
    assert 0 <= Decimal(row["cost"]) - expected <= (expected / 200 if form == "mp3" else 0)


def test_speech_in_events(mock: Mock, tenant: Tenant) -> None:
    with tenant.client().audio.speech.with_streaming_response.create(
        model="voice?out=20", voice="alloy", input=TEXT, instructions="Slowly.", stream_format="sse"
    ) as answer:
        events = [line for line in answer.iter_lines() if line]
    assert len(events) == 21 and all("speech.audio.delta" in event for event in events[:-1])
    assert "speech.audio.done" in events[-1] and '"output_tokens":20' in events[-1]
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["audio_output_tokens"], row["estimated"], row["streamed"]) == (20, False, True)
    assert Decimal(row["cost"]) == spoken(truth)
    assert Decimal(row["held"]) > Decimal(row["cost"])


@pytest.mark.parametrize("sse", [False, True])
@pytest.mark.parametrize("model", ["speak", "voice"])
def test_speech_that_is_left(mock: Mock, tenant: Tenant, model: str, sse: bool) -> None:
    """By the character all of it, by tokens what was spoken until then."""
    with tenant.client().audio.speech.with_streaming_response.create(
        model=f"{model}?out=40;tps=20", voice="alloy", input=TEXT, stream_format="sse" if sse else "audio"
    ) as answer:
        for _ in zip(range(3), answer.iter_bytes()):
            pass
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["status"], row["reason"], truth["finished"]) == ("cancelled", "client_closed", False)
    if model == "speak":
        assert (row["estimated"], Decimal(row["cost"])) == (False, cost((len(TEXT), "0.000015000001")))
    else:
        # One token more or less is on the wire.
        assert row["estimated"] and abs(row["audio_output_tokens"] - truth["completion_tokens"]) <= 2
        assert 1 <= row["audio_output_tokens"] < 40


@pytest.mark.parametrize("fault", ["500", "429", "garbage", "empty", "close"])
def test_speech_that_brings_nothing_costs_nothing(tenant: Tenant, fault: str) -> None:
    with pytest.raises(openai.APIError):
        tenant.client().audio.speech.create(model=f"speak?fault={fault}", voice="alloy", input=TEXT)
    row = tenant.settled_one()
    assert (row["status"], Decimal(row["cost"])) == ("failed", 0)


@pytest.mark.parametrize("fault", ["close_mid", "error_mid"])
def test_sound_that_breaks_off_does_not_end_as_if_whole(tenant: Tenant, fault: str) -> None:
    with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
        tenant.client().audio.speech.create(model=f"voice?out=20;after=5;fault={fault}", voice="alloy", input=TEXT)
    row = tenant.settled_one()
    assert (row["status"], row["estimated"]) == ("failed", True)
    assert row["audio_output_tokens"] in (5, 6, 7, 8) and Decimal(row["cost"]) > 0


def test_events_of_speech_that_break_off_say_so(tenant: Tenant) -> None:
    body = {"model": "voice?out=20;after=5;fault=close_mid", "voice": "alloy", "input": TEXT, "stream_format": "sse"}
    answer = tenant.post("/audio/speech", body)
    events = [line for line in answer.text.split("\n\n") if line]
    assert len(events) == 6 and '"error"' in events[-1]
    assert tenant.settled_one()["audio_output_tokens"] == 5


FORMATS = ["json", "verbose_json", "text", "srt", "vtt", "diarized_json"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("task", ["transcriptions", "translations"])
def test_transcripts_by_the_second(mock: Mock, tenant: Tenant, form: Any, task: str) -> None:
    client: Any = getattr(tenant.client().audio, task)
    answer = client.create(model="whisper?out=8", file=recording(7), response_format=form)
    said = answer if isinstance(answer, str) else answer.text
    assert "The keeper at the gate counts each token" in said
    assert ("-->" in said) == (form in ("srt", "vtt"))
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    # What is no JSON tells nothing, and the recording itself does.
    assert (row["audio_ms"], row["estimated"]) == (7_000, form in ("text", "srt", "vtt"))
    assert truth["audio_ms"] == 7_000 and row["input_tokens"] == row["output_tokens"] == 0
    assert Decimal(row["cost"]) == Decimal(row["held"]) == cost((7_000, thousandths("0.000100001")))


def test_transcripts_by_tokens(mock: Mock, tenant: Tenant) -> None:
    answer = tenant.client().audio.transcriptions.create(model="listen?out=9", file=recording(7), prompt="Gates.")
    assert answer.usage and answer.usage.type == "tokens"
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["audio_input_tokens"], row["output_tokens"], row["estimated"]) == (70, 9, False)
    assert Decimal(row["cost"]) == heard(truth) < Decimal(row["held"])


def test_transcripts_that_tell_nothing(mock: Mock, tenant: Tenant) -> None:
    """Ten tokens a second of sound, and the text by our count."""
    client = tenant.client()
    client.audio.transcriptions.create(model="listen?out=9;fault=no_usage", file=recording(7), prompt="Gates.")
    row = tenant.settled_one()
    assert row["estimated"] and Decimal(row["cost"]) == heard(mock.truth_of(row["request_id"]))
    # Tokens say nothing where time is charged: the recording does.
    client.audio.transcriptions.create(model="tokens-by-time?out=9", file=recording(3))
    row = tenant.settled(2)[0]
    assert (row["estimated"], row["audio_ms"]) == (True, 3_000)
    assert Decimal(row["cost"]) == cost((3_000, thousandths("0.000100001")))


def test_transcripts_stream(mock: Mock, tenant: Tenant) -> None:
    stream = tenant.client().audio.transcriptions.create(model="listen?out=9", file=recording(7), stream=True)
    events = list(stream)
    assert [event.type for event in events] == ["transcript.text.delta"] * 9 + ["transcript.text.done"]
    assert events[-1].type == "transcript.text.done" and events[-1].usage
    row = tenant.settled_one()
    assert (row["streamed"], row["estimated"]) == (True, False)
    assert Decimal(row["cost"]) == heard(mock.truth_of(row["request_id"]))


@pytest.mark.parametrize("events", range(1, 9))
def test_a_transcript_that_is_left_anywhere(mock: Mock, tenant: Tenant, events: int) -> None:
    """All of the recording was heard by then; of the text what came is charged."""
    model = f"listen?out=9;after={events};fault=hang_mid"
    stream = tenant.client().audio.transcriptions.create(model=model, file=recording(7), stream=True)
    for _ in zip(range(events), stream):
        pass
    stream.close()
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["status"], row["estimated"], truth["completion_tokens"]) == ("cancelled", True, events)
    assert Decimal(row["cost"]) == heard(truth)


@pytest.mark.parametrize("fault", ["500", "garbage", "empty", "close", "error_mid", "close_mid"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_transcript_that_fails_costs_nothing(tenant: Tenant, fault: str, form: Any) -> None:
    with pytest.raises(openai.APIError):
        tenant.client().audio.transcriptions.create(
            model=f"whisper?fault={fault}", file=recording(1), response_format=form
        )
    row = tenant.settled_one()
    assert (row["status"], Decimal(row["cost"])) == ("failed", 0)


def test_the_target_that_answers_is_charged(mock: Mock, tenant: Tenant) -> None:
    tenant.client().audio.transcriptions.create(model="turns", file=recording(2))
    made, failed = tenant.settled(2)
    assert (failed["status"], Decimal(failed["cost"])) == ("failed", 0)
    assert (made["target"], Decimal(made["cost"])) == ("mock/whisper", Decimal("0.0002"))
    assert Decimal(made["held"]) == Decimal("0.0004"), "enough for the dearest"
    tenant.client().audio.speech.create(model="turns-voice", voice="alloy", input=TEXT)
    assert [row["status"] for row in tenant.settled(5)[:3]] == ["succeeded", "failed", "failed"]


def test_recordings_are_held_for_by_their_length(gateway: Gateway) -> None:
    """Without the credit for all of it, nothing is sent; what says no length may be as long as its bytes allow."""
    tenant = gateway.tenant(granted="0.001")
    client = tenant.client()
    client.audio.transcriptions.create(model="whisper?out=3", file=recording(9))
    for file in (recording(2), ("film.webm", bytes(1_000), "audio/webm")):
        with pytest.raises(openai.RateLimitError) as refused:
            client.audio.transcriptions.create(model="whisper?out=3", file=file)
        assert refused.value.code == "insufficient_quota"
    assert len(tenant.settled(1)) == 1


def test_what_cannot_be_served_is_refused_by_name(gateway: Gateway, tenant: Tenant) -> None:
    client = tenant.client()
    table: list[tuple[Any, str]] = [
        (lambda: client.audio.transcriptions.create(model="unpriced", file=recording(1)), "has no price"),
        (lambda: client.audio.transcriptions.create(model="wrong-unit", file=recording(1)), "has no unit"),
        (lambda: client.audio.transcriptions.create(model="chat", file=recording(1)), "writes down what was spoken"),
        (lambda: client.audio.speech.create(model="whisper?out=3", voice="alloy", input="a"), "is not a model that speaks"),
        (lambda: client.chat.completions.create(model="speak?out=3", messages=[{"role": "user", "content": "a"}]), "Call POST /v1/audio/speech"),
        (lambda: client.audio.transcriptions.create(model="whisper?out=3", file=("a.wav", b"")), "not an empty file"),
        (lambda: client.audio.speech.create(model="speak?out=3", voice="alloy", input=""), "empty string"),
    ]
    for call, said in table:
        with pytest.raises(openai.APIStatusError) as refused:
            call()
        body: Any = refused.value.body
        assert said in f"{body['message']} {body.get('next_step')}", body
    answer = tenant.post("/audio/transcriptions", {"model": "whisper?out=3"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_content_type")
    assert "send multipart/form-data" in answer.text
    assert tenant.rows() == []


def test_forms_have_a_bound_of_their_own(mock: Mock, make_gateway: MakeGateway) -> None:
    settings = SETTINGS.replace("[server]", "[server]\nform_bytes_max = 40000")
    route = ROUTES[ROUTES.index('[[routes]]\nmodel = "whisper') : ROUTES.index('[[routes]]\nmodel = "tokens')]
    tenant = make_gateway(text=config([Provider("mock", mock.base_url)], [], settings) + route).tenant()
    client = tenant.client()
    client.audio.transcriptions.create(model="whisper?out=3", file=recording(2))
    with pytest.raises(openai.APIStatusError, match="server.form_bytes_max, is 40000 bytes") as refused:
        client.audio.transcriptions.create(model="whisper?out=3", file=recording(3))
    assert refused.value.status_code == 413
    assert len(tenant.settled(1)) == 1


def test_keys_are_bounded_to_audio(gateway: Gateway, tenant: Tenant) -> None:
    body: Json = {"name": "speakers", "project": tenant.project, "endpoints": ["audio"]}
    made = gateway.api("POST", "/admin/v1/keys", body)
    assert made.status_code == 201, made.text
    client = tenant.client().with_options(api_key=made.json()["secret"])
    client.audio.transcriptions.create(model="whisper?out=3", file=recording(1))
    with pytest.raises(openai.PermissionDeniedError):
        client.images.edit(model="paint?out=3", prompt="a", image=("a.png", b"p"))


PICTURES: Any = [("a.png", b"picture", "image/png"), ("b.png", b"picture", "image/png")]


def changed(truth: Json) -> Decimal:
    images = truth["image_prompt_tokens"]
    parts = [(truth["prompt_tokens"] - images, "5.000003"), (images, "8.000001"), (truth["completion_tokens"], "40.000007")]
    return cost(*((count, millionths(price)) for count, price in parts))


@pytest.mark.parametrize("images", [PICTURES, PICTURES[0]])
def test_images_are_changed(mock: Mock, tenant: Tenant, images: Any) -> None:
    answer = tenant.client().images.edit(
        model="paint?out=272", prompt="a cat", image=images, mask=PICTURES[0], size="1024x1024", quality="low"
    )
    assert answer.data and answer.usage
    brought = (len(images) if isinstance(images, list) else 1) + 1
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["image_input_tokens"], row["image_output_tokens"], row["estimated"]) == (323 * brought, 272, False)
    assert Decimal(row["cost"]) == changed(truth) < Decimal(row["held"])


def test_images_are_changed_without_files(mock: Mock, tenant: Tenant) -> None:
    body = {"model": "paint?out=272", "prompt": "a cat", "images": [{"image_url": "data:image/png;base64,AAAA"}]}
    assert tenant.post("/images/edits", body).status_code == 200
    row = tenant.settled_one()
    assert Decimal(row["cost"]) == changed(mock.truth_of(row["request_id"]))


def test_changes_of_images_stream(mock: Mock, tenant: Tenant) -> None:
    stream = tenant.client().images.edit(
        model="paint?out=272", prompt="a cat", image=PICTURES, quality="low", stream=True, partial_images=2
    )
    assert [event.type for event in stream] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    row = tenant.settled_one()
    assert row["streamed"] and not row["estimated"]
    assert Decimal(row["cost"]) == changed(mock.truth_of(row["request_id"]))


def sent(file: tuple[str, bytes, str]) -> Json:
    """A file for the other SDK."""
    name, content, kind = file
    return {"name": name, "type": kind, "base64": base64.b64encode(content).decode()}


def test_node_speaks_hears_and_paints(mock: Mock, tenant: Tenant, node: NodeSdk) -> None:
    """The same by OpenAI's SDK for Node, whose forms are written by the platform."""
    params: Json = {"model": "voice?out=20", "voice": "alloy", "input": TEXT}
    made = node.call(tenant, "speak", params=params)
    assert made.error is None and made.answer == {"type": "audio/mpeg", "bytes": 20 * 384}, made
    row = tenant.settled_one()
    assert row["estimated"] and Decimal(row["cost"]) == spoken(mock.truth_of(row["request_id"]))

    for task, form, rows in [("transcriptions", "json", 2), ("translations", "srt", 3)]:
        params = {"model": "whisper?out=8", "response_format": form, "file": sent(recording(7))}
        made = node.call(tenant, "hear", task=task, params=params)
        assert made.error is None and "The keeper at the gate" in made.texts[0], made
        assert Decimal(tenant.settled(rows)[0]["cost"]) == cost((7_000, thousandths("0.000100001")))

    params = {"model": "listen?out=9", "stream": True, "file": sent(recording(7))}
    made = node.call(tenant, "hear", task="transcriptions", params=params)
    assert made.events == ["transcript.text.delta"] * 9 + ["transcript.text.done"] and made.usage, made
    row = tenant.settled(4)[0]
    assert not row["estimated"] and Decimal(row["cost"]) == heard(mock.truth_of(row["request_id"]))

    params = {"model": "listen?out=9;after=3;fault=hang_mid", "stream": True, "file": sent(recording(7))}
    made = node.call(tenant, "hear", task="transcriptions", params=params, cancel_after=3)
    row = tenant.settled(5)[0]
    assert (row["reason"], row["estimated"]) == ("client_closed", True), made
    assert Decimal(row["cost"]) == heard(mock.truth_of(row["request_id"]))

    params = {"model": "paint?out=272", "prompt": "a cat", "quality": "low", "n": 2}
    made = node.call(tenant, "edit", params=params | {"image": [sent(picture) for picture in PICTURES]})
    assert made.error is None and made.answer == {"images": 2}, made
    row = tenant.settled(6)[0]
    assert Decimal(row["cost"]) == changed(mock.truth_of(row["request_id"]))
    refused = node.call(tenant, "hear", task="transcriptions", params={"model": "unpriced", "file": sent(recording(1))})
    assert refused.error and refused.error.code == "model_not_priced", refused
