"""Anthropic's two SDKs behind one form, so that one table tests both. Neither is changed but for address and key."""

from __future__ import annotations

import functools
from typing import Any

import anthropic

from harness import PATIENCE, Json, Tenant
from sdk import Called, Failed, NodeSdk


@functools.cache
def any_client() -> anthropic.Anthropic:
    """The SDK with its defaults; clients of tenants are made from it, because making the first one takes long."""
    return anthropic.Anthropic(base_url="http://127.0.0.1:1", api_key="-")


class PythonClaude:
    name = "python"

    def call(self, tenant: Tenant, op: str, timeout: float = PATIENCE, max_retries: int = 0, **call: Any) -> Called:
        """Makes one call: `message`, `stream`, `count` or `models`, with `params` as the SDK takes them."""
        outcome = Called()
        client = any_client().with_options(
            base_url=tenant.gateway.url, api_key=tenant.secret, timeout=timeout, max_retries=max_retries
        )
        try:
            getattr(self, op)(client, outcome, **call)
        except anthropic.APIError as error:
            body = error.body if isinstance(error.body, dict) else {}
            told = body.get("error") or {}
            code = (told.get("details") or {}).get("error_code")
            status, request_id = getattr(error, "status_code", None), getattr(error, "request_id", None)
            message = told.get("message", error.message)
            outcome.error = Failed(
                type(error).__name__, status, code, told.get("type"), told.get("param"), request_id, message
            )
        return outcome

    def message(self, client: anthropic.Anthropic, outcome: Called, params: Json) -> None:
        answer = client.messages.create(**params)
        outcome.request_id, outcome.answer = answer._request_id, answer.model_dump()
        outcome.usage = outcome.answer["usage"]

    def stream(
        self, client: anthropic.Anthropic, outcome: Called, params: Json, cancel_after: int | None = None
    ) -> None:
        with client.messages.stream(**params) as stream:
            outcome.request_id = stream.response.headers["request-id"]
            for event in stream:
                outcome.chunks += event.type == "content_block_delta"
                if outcome.chunks == cancel_after:
                    return
            outcome.answer = stream.get_final_message().model_dump()
            outcome.usage = outcome.answer["usage"]

    def count(self, client: anthropic.Anthropic, outcome: Called, params: Json) -> None:
        outcome.answer = client.messages.count_tokens(**params).input_tokens

    def models(self, client: anthropic.Anthropic, outcome: Called) -> None:
        outcome.answer = [model.id for model in client.models.list()]


class NodeClaude:
    """Anthropic's SDK in the process that has OpenAI's."""

    name = "node"

    def __init__(self, node: NodeSdk) -> None:
        self.node = node

    def call(self, tenant: Tenant, op: str, timeout: float = PATIENCE, max_retries: int = 0, **call: Any) -> Called:
        """As [`PythonClaude.call`]."""
        return self.node.call(tenant, f"claude_{op}", timeout, max_retries, root=tenant.gateway.url, **call)
