"""Google's two SDKs behind one form, so that one table tests both. Neither is changed but for address and key."""

from __future__ import annotations

import functools
from typing import Any

from google import genai
from google.genai import errors, types

from harness import PATIENCE, Json, Tenant
from sdk import Called, Failed, NodeSdk


@functools.cache
def client_of(url: str, key: str, version: str | None, timeout: float) -> genai.Client:
    """The SDK with its defaults."""
    options = types.HttpOptions(base_url=url, api_version=version, timeout=int(timeout * 1000))
    return genai.Client(api_key=key, http_options=options)


def in_path(params: Json) -> Json:
    """The SDK writes a model's name into the path as it is, and refuses one with a question mark."""
    return params | {"model": params["model"].replace("?", "%3F")} if "model" in params else params


class PythonGemini:
    name = "python"

    def call(
        self, tenant: Tenant, op: str, timeout: float = PATIENCE, version: str | None = None, **call: Any
    ) -> Called:
        """Makes one call: `generate`, `stream`, `count`, `models` or `model`, with `params` as the SDK takes them."""
        outcome = Called()
        client = client_of(tenant.gateway.url, tenant.secret, version, timeout)
        call["params"] = in_path(call.get("params", {}))
        try:
            getattr(self, op)(client, outcome, **call)
        except errors.APIError as error:
            told = error.details.get("error", {}) if isinstance(error.details, dict) else {}
            outcome.error = failed(type(error).__name__, error.code, told, error.message or "")
        except (ValueError, OSError) as error:
            # What is no JSON, and a connection that breaks, the SDK leaves to whoever calls it.
            outcome.error = Failed(type(error).__name__, None, None, None, None, None, str(error))
        return outcome

    def generate(self, client: genai.Client, outcome: Called, params: Json) -> None:
        answer = client.models.generate_content(**params)
        assert answer.sdk_http_response and answer.sdk_http_response.headers
        outcome.request_id = answer.sdk_http_response.headers["x-request-id"]
        self.end(outcome, answer)
        outcome.texts = [answer.text or ""]

    def stream(self, client: genai.Client, outcome: Called, params: Json, cancel_after: int | None = None) -> None:
        outcome.texts = [""]
        chunks = client.models.generate_content_stream(**params)
        for chunk in chunks:
            assert chunk.sdk_http_response and chunk.sdk_http_response.headers
            outcome.request_id = chunk.sdk_http_response.headers["x-request-id"]
            outcome.chunks += 1
            outcome.texts[0] += chunk.text or ""
            self.end(outcome, chunk)
            if outcome.chunks == cancel_after:
                chunks.close()
                return

    def end(self, outcome: Called, answer: types.GenerateContentResponse) -> None:
        outcome.answer = answer.model_dump(mode="json", exclude_none=True, by_alias=True)
        outcome.usage = outcome.answer.get("usageMetadata")

    def count(self, client: genai.Client, outcome: Called, params: Json) -> None:
        outcome.answer = client.models.count_tokens(**params).total_tokens

    def models(self, client: genai.Client, outcome: Called, params: Json) -> None:
        outcome.answer = [model.name for model in client.models.list()]

    def model(self, client: genai.Client, outcome: Called, params: Json) -> None:
        outcome.answer = client.models.get(**params).model_dump(mode="json", exclude_none=True, by_alias=True)


def failed(name: str, status: int | None, told: Json, message: str) -> Failed:
    """An error in Google's shape."""
    info = next((detail for detail in told.get("details", []) if "reason" in detail), {})
    fields = [field["field"] for detail in told.get("details", []) for field in detail.get("fieldViolations", [])]
    request_id = info.get("metadata", {}).get("request_id")
    return Failed(name, status, info.get("reason"), told.get("status"), next(iter(fields), None), request_id, message)


class NodeGemini:
    """Google's SDK in the process that has OpenAI's."""

    name = "node"

    def __init__(self, node: NodeSdk) -> None:
        self.node = node

    def call(
        self, tenant: Tenant, op: str, timeout: float = PATIENCE, version: str | None = None, **call: Any
    ) -> Called:
        """As [`PythonGemini.call`]."""
        call["params"] = in_path(call.get("params", {}))
        return self.node.call(tenant, f"gemini_{op}", timeout, gemini=tenant.gateway.url, version=version, **call)
