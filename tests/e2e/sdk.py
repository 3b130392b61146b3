"""The two official SDKs behind one form, so that one table tests both. Neither is changed but for address and key."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import Any, Protocol

import openai
from pydantic import BaseModel

from harness import HERE, PATIENCE, Json, Tenant

NODE = HERE / "node/node_modules/.bin/node"


@dataclass
class Failed:
    """An exception as an application sees it."""

    name: str
    status: int | None
    code: str | None
    type: str | None
    param: str | None
    request_id: str | None
    message: str


@dataclass
class Called:
    """How a call ended: what came, and the exception if there was one."""

    request_id: str | None = None
    texts: list[str] = field(default_factory=list)
    usage: Json | None = None
    answer: Any = None
    chunks: int = 0
    empty_choices: int = 0
    #: The types of a response's events.
    events: list[str] = field(default_factory=list)
    error: Failed | None = None


class Sdk(Protocol):
    """One SDK."""

    name: str

    def call(self, tenant: Tenant, op: str, timeout: float = PATIENCE, max_retries: int = 0, **call: Any) -> Called:
        """Makes one call, an operation that both SDKs have below, with `params` as the SDK takes them."""


class Said(BaseModel):
    """What the mock says where JSON is asked for."""

    text: str


class PythonSdk:
    name = "python"

    def call(self, tenant: Tenant, op: str, timeout: float = PATIENCE, max_retries: int = 0, **call: Any) -> Called:
        outcome = Called()
        try:
            getattr(self, op)(tenant.client(timeout=timeout, max_retries=max_retries), outcome, **call)
        except openai.APIError as error:
            status, request_id = getattr(error, "status_code", None), getattr(error, "request_id", None)
            outcome.error = Failed(
                type(error).__name__, status, error.code, error.type, error.param, request_id, error.message
            )
        return outcome

    def chat(self, client: openai.OpenAI, outcome: Called, params: Json, headers: Json | None = None) -> None:
        answer = client.chat.completions.create(**params, extra_headers=headers)
        outcome.request_id, outcome.answer = answer._request_id, answer.model_dump()
        outcome.texts = [choice.message.content or "" for choice in answer.choices]
        outcome.usage = answer.usage.model_dump() if answer.usage else None

    def stream(
        self,
        client: openai.OpenAI,
        outcome: Called,
        params: Json,
        headers: Json | None = None,
        cancel_after: int | None = None,
    ) -> None:
        with client.chat.completions.create(**params, stream=True, extra_headers=headers) as stream:
            outcome.request_id = stream.response.headers["x-request-id"]
            for chunk in stream:
                outcome.chunks += 1
                outcome.empty_choices += not chunk.choices
                outcome.usage = chunk.usage.model_dump() if chunk.usage else outcome.usage
                for choice in chunk.choices:
                    outcome.texts += [""] * (choice.index + 1 - len(outcome.texts))
                    outcome.texts[choice.index] += choice.delta.content or ""
                if outcome.chunks == cancel_after:
                    break

    def chat_helper(self, client: openai.OpenAI, outcome: Called, params: Json) -> None:
        with client.chat.completions.stream(**params) as stream:
            for _ in stream:
                outcome.chunks += 1
            outcome.answer = stream.get_final_completion().model_dump(mode="json", warnings=False)

    def chat_parse(self, client: openai.OpenAI, outcome: Called, params: Json) -> None:
        answer = client.chat.completions.parse(**params, response_format=Said)
        parsed = answer.choices[0].message.parsed
        outcome.texts = [parsed.text] if parsed else []

    def respond(self, client: openai.OpenAI, outcome: Called, params: Json, headers: Json | None = None) -> None:
        answer = client.responses.create(**params, extra_headers=headers)
        outcome.request_id, outcome.texts = answer._request_id, [answer.output_text]
        self._end_of_response(outcome, answer)

    def respond_stream(
        self, client: openai.OpenAI, outcome: Called, params: Json, cancel_after: int | None = None
    ) -> None:
        with client.responses.create(**params, stream=True) as stream:
            outcome.request_id, outcome.texts = stream.response.headers["x-request-id"], [""]
            for event in stream:
                outcome.chunks += 1
                outcome.events.append(event.type)
                if event.type == "response.output_text.delta":
                    outcome.texts[0] += event.delta
                if event.type in ("response.completed", "response.incomplete", "response.failed"):
                    self._end_of_response(outcome, event.response)
                if outcome.chunks == cancel_after:
                    break

    def respond_helper(self, client: openai.OpenAI, outcome: Called, params: Json) -> None:
        with client.responses.stream(**params) as stream:
            outcome.events = [event.type for event in stream]
            answer = stream.get_final_response()
        outcome.texts = [answer.output_text]
        self._end_of_response(outcome, answer)

    def _end_of_response(self, outcome: Called, answer: openai.types.responses.Response) -> None:
        outcome.answer = answer.model_dump(mode="json", warnings=False)
        outcome.usage = answer.usage.model_dump() if answer.usage else None

    def respond_parse(self, client: openai.OpenAI, outcome: Called, params: Json) -> None:
        answer = client.responses.parse(**params, text_format=Said)
        outcome.request_id = answer._request_id
        outcome.texts = [answer.output_parsed.text] if answer.output_parsed else []

    def kept_response(self, client: openai.OpenAI, outcome: Called, params: Json) -> None:
        id = params["id"]
        calls = {
            "retrieve": client.responses.retrieve,
            "delete": client.responses.delete,
            "cancel": client.responses.cancel,
            "input_items": client.responses.input_items.list,
        }
        calls[params["call"]](id)

    def embed(self, client: openai.OpenAI, outcome: Called, params: Json) -> None:
        answer = client.embeddings.create(**params)
        outcome.request_id, outcome.answer = answer._request_id, answer.model_dump(warnings=False)
        outcome.usage = answer.usage.model_dump()

    def models(self, client: openai.OpenAI, outcome: Called) -> None:
        outcome.answer = [model.id for model in client.models.list()]

    def model(self, client: openai.OpenAI, outcome: Called, params: Json) -> None:
        outcome.answer = client.models.retrieve(params["id"]).model_dump()


class NodeSdk:
    """One Node process that performs operations line by line."""

    name = "node"

    def __init__(self) -> None:
        assert NODE.exists(), f"{NODE} is missing; run `npm ci` in {HERE / 'node'}"
        self.process = subprocess.Popen(
            [NODE, "client.mjs"],
            cwd=HERE / "node",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> NodeSdk:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(PATIENCE)

    def call(self, tenant: Tenant, op: str, timeout: float = PATIENCE, max_retries: int = 0, **call: Any) -> Called:
        assert self.process.stdin and self.process.stdout
        call |= {"op": op, "base_url": tenant.gateway.base_url, "key": tenant.secret}
        call |= {"timeout_ms": int(timeout * 1000), "max_retries": max_retries}
        self.process.stdin.write(json.dumps(call) + "\n")
        outcome = json.loads(self.process.stdout.readline())
        error = outcome.pop("error")
        return Called(**outcome, error=Failed(**error) if error else None)
