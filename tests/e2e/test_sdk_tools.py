"""What an agent does with the official SDKs: several tools called at once and told back, answers of a shape, images.
Each at a provider of the caller's dialect, and at one of another."""

from __future__ import annotations

import json

import pytest

from claude import NodeClaude, PythonClaude
from harness import CLAUDE_PRICE, PRICE, Json, Mock, Price, Tenant
from other_clients import WHOLE, WORDS, check_paid, png
from sdk import Sdk

TALK: list[Json] = [{"role": "user", "content": "How much is the toll?"}]
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
NAMES = ["toll", "greet"]

chats = pytest.mark.parametrize(("model", "price"), [("sim", PRICE), ("claude", CLAUDE_PRICE)])
responses = pytest.mark.parametrize(("model", "price"), [("sim", PRICE), ("claude", CLAUDE_PRICE), ("old", PRICE)])
messages = pytest.mark.parametrize(("model", "price"), [("claude", CLAUDE_PRICE), ("old", PRICE)])


def check_calls(calls: list[Json]) -> None:
    """Both tools were called, with arguments of their own."""
    assert [call["name"] for call in calls] == NAMES
    first, second = [call["input"]["text"] for call in calls]
    assert first.startswith(WORDS) and first + second == WHOLE


@chats
@pytest.mark.parametrize("op", ["chat", "chat_helper"])
def test_chats_call_tools(sdk: Sdk, mock: Mock, tenant: Tenant, model: str, price: Price, op: str) -> None:
    functions = [{"name": name, "description": "Says it.", "strict": True, "parameters": SCHEMA} for name in NAMES]
    params: Json = {"model": model + "?calls=2", "messages": TALK, "parallel_tool_calls": True}
    params["tools"] = [{"type": "function", "function": function} for function in functions]
    called = sdk.call(tenant, op, params=params)
    assert called.error is None, called.error
    [choice] = called.answer["choices"]
    turn: Json = {name: choice["message"][name] for name in ("role", "content", "tool_calls")}
    assert choice["finish_reason"] == "tool_calls"
    for call in turn["tool_calls"]:
        call["function"] = {name: call["function"][name] for name in ("name", "arguments")}
        call.pop("index", None)
    functions = [call["function"] for call in turn["tool_calls"]]
    check_calls([{"name": each["name"], "input": json.loads(each["arguments"])} for each in functions])
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "3"} for call in turn["tool_calls"]]
    again = sdk.call(tenant, op, params=params | {"messages": [*TALK, turn, *results]})
    assert again.error is None and again.answer["choices"][0]["message"]["content"] == WHOLE, again
    check_paid(tenant, mock, price, 2)


@responses
@pytest.mark.parametrize("op", ["respond", "respond_stream"])
def test_responses_call_tools(sdk: Sdk, mock: Mock, tenant: Tenant, model: str, price: Price, op: str) -> None:
    params: Json = {"model": model + "?calls=2", "input": TALK, "store": False}
    params["tools"] = [{"type": "function", "name": name, "strict": True, "parameters": SCHEMA} for name in NAMES]
    called = sdk.call(tenant, op, params=params)
    assert called.error is None, called.error
    calls = [item for item in called.answer["output"] if item["type"] == "function_call"]
    check_calls([{"name": call["name"], "input": json.loads(call["arguments"])} for call in calls])
    results = [{"type": "function_call_output", "call_id": call["call_id"], "output": "3"} for call in calls]
    turn = [{name: call[name] for name in ("type", "call_id", "name", "arguments")} for call in calls]
    again = sdk.call(tenant, op, params=params | {"input": [*TALK, *turn, *results]})
    assert again.error is None and again.texts == [WHOLE], again
    check_paid(tenant, mock, price, 2)


@messages
@pytest.mark.parametrize("op", ["message", "stream"])
def test_messages_call_tools(
    claude: PythonClaude | NodeClaude, mock: Mock, tenant: Tenant, model: str, price: Price, op: str
) -> None:
    tools = [{"name": name, "description": "Says it.", "input_schema": SCHEMA} for name in NAMES]
    params: Json = {"model": model + "?calls=2", "max_tokens": 2_000, "messages": TALK, "tools": tools}
    called = claude.call(tenant, op, params=params)
    assert called.error is None and called.answer["stop_reason"] == "tool_use", called
    calls = [block for block in called.answer["content"] if block["type"] == "tool_use"]
    check_calls(calls)
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "3"} for call in calls]
    turn = [{name: call[name] for name in ("type", "id", "name", "input")} for call in calls]
    talk = [*TALK, {"role": "assistant", "content": turn}, {"role": "user", "content": results}]
    again = claude.call(tenant, op, params=params | {"messages": talk})
    assert again.error is None and again.answer["content"][-1]["text"] == WHOLE, again
    check_paid(tenant, mock, price, 2)


@chats
def test_chats_have_a_shape_and_see_images(sdk: Sdk, mock: Mock, tenant: Tenant, model: str, price: Price) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png()}"}}
    content = [{"type": "text", "text": "What is this?"}, image]
    called = sdk.call(tenant, "chat_parse", params={"model": model, "messages": [{"role": "user", "content": content}]})
    assert called.error is None and called.texts == [WHOLE], called
    check_paid(tenant, mock, price)


@responses
def test_responses_have_a_shape_and_see_images(sdk: Sdk, mock: Mock, tenant: Tenant, model: str, price: Price) -> None:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{png()}", "detail": "auto"}
    content = [{"type": "input_text", "text": "What is this?"}, image]
    params = {"model": model, "input": [{"role": "user", "content": content}]}
    called = sdk.call(tenant, "respond_parse", params=params)
    assert called.error is None and called.texts == [WHOLE], called
    check_paid(tenant, mock, price)


@messages
def test_messages_have_a_shape_and_see_images(
    claude: PythonClaude | NodeClaude, mock: Mock, tenant: Tenant, model: str, price: Price
) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png()}}
    talk = [{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}]
    format = {"type": "json_schema", "schema": SCHEMA}
    params = {"model": model, "max_tokens": 2_000, "messages": talk, "output_config": {"format": format}}
    called = claude.call(tenant, "message", params=params)
    assert called.error is None and json.loads(called.answer["content"][0]["text"]) == {"text": WHOLE}, called
    check_paid(tenant, mock, price)
