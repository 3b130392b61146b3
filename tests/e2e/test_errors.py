"""Refusals in the exact shape that OpenAI's clients know, each costing nothing."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import pytest

from harness import HTTP, PATIENCE, Gateway, Json, Tenant, unlike
from sdk import Sdk

ASK: Json = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
FOUR_KEYS = {"message", "type", "param", "code"}


def check_shape(answer: httpx.Response) -> Json:
    """The error object, which has OpenAI's four keys and comes with the request's id."""
    error: Json = answer.json()["error"]
    assert FOUR_KEYS <= set(error), error
    assert error["message"] and error["type"], error
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-request-id"].startswith("req_")
    return error


@dataclass
class Case:
    """A request that is refused, and how."""

    name: str
    status: int
    code: str | None
    param: str | None = None
    body: Any = field(default_factory=lambda: ASK)
    path: str = "/v1/chat/completions"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    says: str = ""


MESSAGES = ASK["messages"]
WRONG_KEY = "tk-" + "0123456789" * 4 + "abcdef"
CASES = [
    Case("no key", 401, "invalid_api_key", headers={"authorization": ""}),
    Case("wrong key", 401, "invalid_api_key", headers={"authorization": f"Bearer {WRONG_KEY}"}, says="tk-"),
    Case("part of a key", 401, "invalid_api_key", headers={"authorization": f"Bearer {WRONG_KEY[:20]}"}, says="whole"),
    Case("a key of OpenAI", 401, "invalid_api_key", headers={"authorization": "Bearer sk-proj-abcdefghijkl"}),
    Case("another scheme", 401, "invalid_api_key", headers={"authorization": "Basic dGs6dGs="}),
    Case("unknown model", 404, "model_not_found", body=ASK | {"model": "gpt-none"}, says="gpt-none"),
    Case("unpriced model", 403, "model_not_priced", "model", body=ASK | {"model": "unpriced"}, says="price"),
    Case("malformed", 400, None, body=b'{"model": "sim", "messages": [}'),
    Case("not an object", 400, None, body=b"[1, 2]"),
    Case("empty", 400, None, body=b""),
    Case("not UTF-8", 400, None, body=b'{"model":"\xff"}'),
    Case("two values", 400, None, body=b"{} {}"),
    Case("no model", 400, "missing_required_parameter", "model", body={"messages": MESSAGES}),
    Case("model is a number", 400, "invalid_type", "model", body=ASK | {"model": 4}),
    Case("no messages", 400, "missing_required_parameter", "messages", body={"model": "sim"}),
    Case("messages is a text", 400, "invalid_type", "messages", body=ASK | {"messages": "hi"}),
    Case("messages is empty", 400, "empty_array", "messages", body=ASK | {"messages": []}),
    Case("stream is a text", 400, "invalid_type", "stream", body=ASK | {"stream": "yes"}),
    Case("max_tokens is a text", 400, "invalid_type", "max_tokens", body=ASK | {"max_tokens": "7"}),
    Case("max_tokens is a fraction", 400, "invalid_type", "max_tokens", body=ASK | {"max_tokens": 7.5}),
    Case("max_tokens below 1", 400, "integer_below_min_value", "max_tokens", body=ASK | {"max_tokens": -1}),
    Case("too many choices", 400, "integer_above_max_value", "n", body=ASK | {"n": 129}),
    Case("options without stream", 400, None, "stream_options", body=ASK | {"stream_options": {"include_usage": True}}),
    Case("a member twice", 400, "duplicate_parameter", "n", body=b'{"model":"sim","n":1,"n":128,"messages":[]}'),
    Case("no input", 400, "missing_required_parameter", "input", body={"model": "embed"}, path="/v1/embeddings"),
    Case("input is a number", 400, "invalid_type", "input", body={"model": "embed", "input": 1}, path="/v1/embeddings"),
    Case("too large", 413, None, body=ASK | {"x": "x" * 66_000}, says="65536"),
    Case("a form", 415, None, "content-type", headers={"content-type": "text/plain"}, says="application/json"),
    Case("compressed", 415, None, "content-encoding", headers={"content-encoding": "gzip"}, says="gzip"),
    Case("unknown path", 404, None, path="/v1/chat/completion", says="/v1/chat/completion"),
    Case("forgotten /v1", 404, "unknown_url", path="/chat/completions", says="/v1/chat/completions"),
    Case("wrong method", 405, None, method="PUT", says="PUT"),
    Case("models with POST", 405, None, path="/v1/models", says="POST"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refusals(tenant: Tenant, case: Case) -> None:
    headers = {"authorization": f"Bearer {tenant.secret}", "content-type": "application/json"} | case.headers
    headers = {name: value for name, value in headers.items() if value}
    content = {"content": case.body} if isinstance(case.body, bytes) else {"json": case.body}
    url = tenant.gateway.url + case.path
    answer = HTTP.request(case.method, url, headers=headers, **content)
    error = check_shape(answer)
    assert answer.status_code == case.status, error
    assert error["param"] == case.param and case.says in error["message"] + str(error.get("next_step")), error
    # Where OpenAI names no code, ours is free.
    assert case.code is None or error["code"] == case.code, error
    assert WRONG_KEY[:20] not in answer.text, "a key is masked"
    assert tenant.rows() == [], "refused before anything was sent"


@pytest.mark.parametrize(
    ("op", "model", "name", "status", "code"),
    [
        ("chat", "gpt-none", "NotFoundError", 404, "model_not_found"),
        ("stream", "gpt-none", "NotFoundError", 404, "model_not_found"),
        ("chat", "unpriced", "PermissionDeniedError", 403, "model_not_priced"),
    ],
)
def test_sdks_raise_their_own_class(
    sdk: Sdk, tenant: Tenant, op: str, model: str, name: str, status: int, code: str
) -> None:
    error = sdk.call(tenant, op, params=ASK | {"model": model}, max_retries=2).error
    assert error and (error.name, error.status, error.code) == (name, status, code)
    assert error.request_id and error.request_id.startswith("req_")


def test_a_wrong_key_raises_an_authentication_error(sdk: Sdk, tenant: Tenant) -> None:
    stranger = Tenant(tenant.gateway, tenant.org, tenant.project, tenant.key_id, unlike(tenant.secret))
    error = sdk.call(stranger, "chat", params=ASK).error
    assert error and (error.name, error.code) == ("AuthenticationError", "invalid_api_key")
    assert error.request_id and stranger.secret not in error.message


@pytest.mark.parametrize("op", ["chat", "stream"])
def test_no_credit_is_said_once(sdk: Sdk, gateway: Gateway, op: str) -> None:
    tenant = gateway.tenant(granted="0")
    before = gateway.metric("tollkeeper_requests_total", outcome="billing")
    error = sdk.call(tenant, op, params=ASK, max_retries=2).error
    assert error and (error.name, error.status) == ("RateLimitError", 429)
    assert (error.code, error.type) == ("insufficient_quota", "insufficient_quota")
    seen = gateway.metric("tollkeeper_requests_total", outcome="billing") - before
    assert seen == 1, "x-should-retry: false keeps the SDK from trying again"
    assert tenant.rows() == []


def test_no_credit_says_what_to_do(gateway: Gateway) -> None:
    tenant = gateway.tenant(granted="0.000001")
    answer = tenant.post("/chat/completions", ASK)
    error = check_shape(answer)
    assert (answer.status_code, error["reason"], error["owner"]) == (429, "credit_balance_exhausted", "billing")
    assert answer.headers["x-should-retry"] == "false" and "retry-after" not in answer.headers
    assert "0.000001" in error["message"] and tenant.org in error["next_step"]
    tenant.grant("1.00")
    assert tenant.post("/chat/completions", ASK).status_code == 200
    tenant.settled_one()


def test_a_body_that_stands_still_is_given_up(tenant: Tenant) -> None:
    host, port = tenant.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.secret}\r\n"
        connection.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert tenant.rows() == []


@pytest.mark.parametrize(
    ("key", "name", "status", "code"),
    [(None, "APIStatusError", 413, "request_too_large"), (WRONG_KEY, "AuthenticationError", 401, "invalid_api_key")],
)
def test_a_refusal_reaches_a_client_that_is_still_sending(
    sdk: Sdk, tenant: Tenant, key: str | None, name: str, status: int, code: str
) -> None:
    caller = Tenant(tenant.gateway, tenant.org, tenant.project, tenant.key_id, key or tenant.secret)
    big = ASK | {"messages": [{"role": "user", "content": "x" * 30_000_000}]}
    error = sdk.call(caller, "chat", params=big).error
    assert error and (error.status, error.code) == (status, code), error
    # Node has no class of its own for a status without one.
    assert error.name in (name, "APIError")
    assert tenant.rows() == []


@pytest.mark.parametrize("header", [f"authorization: Bearer {WRONG_KEY}", "content-type: text/plain"])
def test_a_refusal_before_the_body_keeps_its_word_on_the_connection(tenant: Tenant, header: str) -> None:
    """Clients send head and body apart, and use a connection again unless they are told that it closes."""
    host, port = tenant.gateway.url.removeprefix("http://").split(":")
    body = json.dumps(ASK).encode()
    rest = f"host: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    key = b"" if "authorization" in header else f"authorization: Bearer {tenant.secret}\r\n".encode()
    line = b"POST /v1/chat/completions HTTP/1.1\r\n"
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(line + key + header.encode() + b"\r\n" + rest)
        refusal = connection.recv(65536)
        assert refusal.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 415 "))
        if b"connection: close" not in refusal:
            connection.sendall(body)
            connection.sendall(line + f"authorization: Bearer {tenant.secret}\r\n".encode() + rest + body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 "), "the connection closed without a word"
            tenant.settled_one()


@pytest.mark.parametrize(("pieces", "status"), [(1, 200), (3000, 413)])
def test_a_body_of_unknown_length(tenant: Tenant, pieces: int, status: int) -> None:
    def body() -> Iterator[bytes]:
        yield b'{"model":"sim","messages":[{"role":"user","content":"'
        yield from [b"thirty bytes, again and again "] * pieces
        yield b'"}]}'

    headers = {"authorization": f"Bearer {tenant.secret}", "content-type": "application/json"}
    answer = HTTP.post(tenant.gateway.base_url + "/chat/completions", headers=headers, content=body())
    assert answer.status_code == status, answer.text
    tenant.settled(1 if status == 200 else 0)


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/metrics", "/v1/models", "/admin/v1/status", "/none", "/v1/none"]
)
def test_every_answer_has_a_request_id(tenant: Tenant, path: str) -> None:
    answers = [HTTP.get(tenant.gateway.url + path) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert ids[0] != ids[1] and all(re.fullmatch("req_[0-9a-f]{32}", text) for text in ids)
