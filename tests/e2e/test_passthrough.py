"""Bytes in are bytes out, but for the model's name, the request for usage, and what would break a client's parser."""

from __future__ import annotations

import json

import pytest

from harness import UPSTREAM_KEY, Json, Tenant
from sdk import Sdk
from upstreams import Recorder

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "upstream/model-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
}

#: Bodies that a parser which builds and writes anew would change: order, spaces, escapes, numbers, unknown members.
BODIES = [
    b'{"model":"recorded","messages":[{"role":"user","content":"hi"}]}',
    b'  {"messages" : [ { "content":"\\u00e9\\n\xc3\xa9 \\ud83d\\ude00","role":"user"} ] ,\n\t"model":"recorded" } \n',
    b'{"temperature":1.50,"seed":12345678901234567890123,"x":1e-7,"x_new":{"b":[1,2.0,{}],"a":null},'
    b'"model" : "recorded","messages":[{"role":"user","content":[{"type":"text","text":"hi","x":"/\\/"}]}]}',
    b'{"model":"\\u0072ecorded","messages":[{"role":"user","content":"model recorded \\"model\\":\\"recorded\\""}],'
    b'"logit_bias":{"50256":-100},"metadata":{"feature":"f"},"user":"u"}',
]


def upstream_body(sent: bytes) -> bytes:
    name = b'"\\u0072ecorded"' if b"\\u0072" in sent else b'"recorded"'
    return sent.replace(name, b'"upstream/model-1"', 1)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("answer", [json.dumps(ANSWER).encode(), json.dumps(ANSWER, indent=3).encode() + b"\n"])
def test_bodies_pass_byte_for_byte(tenant: Tenant, upstream: Recorder, body: bytes, answer: bytes) -> None:
    upstream.says(answer, "application/json; charset=utf-8")
    got = tenant.post("/chat/completions", body, headers={"content-type": "application/json"})
    assert (got.status_code, got.content) == (200, answer)
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    assert upstream.seen[-1].body == upstream_body(body)
    row = tenant.settled_one()
    assert (row["target"], row["input_tokens"], row["output_tokens"]) == ("recorder/upstream/model-1", 9, 1)


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (b'{"stream":true,', b'{"stream_options":{"include_usage":true},"stream":true,'),
        (b'{"stream":true,"stream_options":null,', b'{"stream":true,"stream_options":{"include_usage":true},'),
        (b'{"stream":true,"stream_options":{ },', b'{"stream":true,"stream_options":{"include_usage":true },'),
        (
            b'{"stream":true,"stream_options":{"x":[1],"include_usage":false},',
            b'{"stream":true,"stream_options":{"x":[1],"include_usage":true},',
        ),
        (
            b'{ "stream":true,"stream_options":{"include_usage":true ,"x":1},',
            b'{ "stream":true,"stream_options":{"include_usage":true ,"x":1},',
        ),
    ],
)
def test_a_stream_asks_for_its_usage_and_changes_nothing_else(
    tenant: Tenant, upstream: Recorder, sent: bytes, arrives: bytes
) -> None:
    upstream.says(events(), "text/event-stream")
    rest = b'"model":"recorded","messages":[{"role":"user","content":"hi"}], "x_new":1.0}'
    assert tenant.post("/chat/completions", sent + rest).status_code == 200
    assert upstream.seen[-1].body == arrives + upstream_body(rest)
    tenant.settled_one()


def test_only_what_the_provider_needs_reaches_it(tenant: Tenant, upstream: Recorder) -> None:
    upstream.says(ANSWER)
    headers = {"x-tollkeeper-feature": "secret-project", "openai-organization": "org-of-the-client", "cookie": "a=b"}
    answer = tenant.post("/chat/completions", BODIES[0], headers=headers)
    seen = upstream.seen[-1]
    assert seen.line == "POST /v1/chat/completions HTTP/1.1"
    assert seen.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert seen.headers["x-client-request-id"] == answer.headers["x-request-id"]
    told = {"host", "content-type", "content-length", "accept", "user-agent", "authorization", "x-client-request-id"}
    assert set(seen.headers) == told
    tenant.settled_one()


def test_tools_and_unknown_members_survive_in_both_directions(sdk: Sdk, tenant: Tenant, upstream: Recorder) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "toll", "arguments": '{"axles": 2}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call], "x_thoughts": ["deep"]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    upstream.says(ANSWER | {"choices": [choice], "x_region": {"name": "north"}})
    schema = {"type": "object", "properties": {"axles": {"type": "integer"}}, "x-order": 1}
    params: Json = {
        "model": "recorded",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "3.50"},
        ],
        "tools": [{"type": "function", "function": {"name": "toll", "parameters": schema, "strict": True}}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
    }
    # Python takes what its types do not know apart, Node takes it as it is.
    unknown = {"x_unknown": {"a": [1, 2.5, None]}}
    extra = {"extra_body": unknown} if sdk.name == "python" else unknown
    called = sdk.call(tenant, "chat", params=params | extra)
    assert json.loads(upstream.seen[-1].body) == params | unknown | {"model": "upstream/model-1"}
    assert called.error is None and called.answer["x_region"] == {"name": "north"}
    got = called.answer["choices"][0]["message"]
    assert (got["tool_calls"][0]["function"], got["x_thoughts"]) == (call["function"], ["deep"])
    tenant.settled_one()


def chunk(content: str, **more: object) -> Json:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }


USAGE = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":' + (
    b'{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\n'
)
DONE = b"data: [DONE]\n\n"


def event(content: str) -> bytes:
    return b"data: " + json.dumps(chunk(content)).encode() + b"\n\n"


def events(*blocks: bytes) -> bytes:
    return b"".join([*(blocks or [event("a"), event("b")]), USAGE, DONE])


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ([event("a"), event("b")], None),
        ([b": hello\n\n", event("a"), b": still here\n\n\n", event("b")], None),
        ([event("a").replace(b"\n", b"\r\n"), b"data:" + event("b")[6:]], None),
        ([b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"a"}}]}\n\n', event("b")], None),
        ([event("a"), b"event: message\n" + event("b")], None),
        ([event("a" * 300_000), event("\U0001f600é")], None),
        # These crash a client's parser, so they do not pass.
        ([b"id: 1\n" + event("a"), b": comment\n\n", event("b")], [event("a"), b": comment\n\n", event("b")]),
        ([b"retry: 100\n\n", event("a"), event("b")], [event("a"), event("b")]),
        ([event("a"), b"event: ping\n\n", event("b")], [event("a"), event("b")]),
        ([event("a"), b"event: ping\ndata: {}\n\n", event("b")], [event("a"), event("b")]),
        ([b"\xef\xbb\xbf" + event("a"), event("b")], [event("a"), event("b")]),
    ],
)
def test_streams_pass_byte_for_byte(
    sdk: Sdk, tenant: Tenant, upstream: Recorder, stream: list[bytes], expected: list[bytes] | None, asked: bool
) -> None:
    upstream.says(events(*stream), "text/event-stream")
    options = {"stream_options": {"include_usage": True}} if asked else {}
    params = {"model": "recorded", "messages": [{"role": "user", "content": "hi"}], **options}
    got = tenant.post("/chat/completions", params | {"stream": True})
    assert got.content == b"".join([*(expected or stream), USAGE if asked else b"", DONE])
    called = sdk.call(tenant, "stream", params=params)
    assert called.error is None and called.texts[0][0] == "a" and (called.usage is not None) == asked
    assert [(row["input_tokens"], row["output_tokens"]) for row in tenant.settled(2)] == [(9, 2)] * 2
