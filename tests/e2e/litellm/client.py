"""Calls a gateway by LiteLLM, in its own environment. Reads one call a line from standard input, writes one outcome a
line: what was said, the calls of tools, the counts, or the exception."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

# Its prices are shipped with it; otherwise it would fetch newer ones.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

litellm.telemetry = False
litellm.suppress_debug_info = True
LOOP = asyncio.new_event_loop()


def ended(answer: Any) -> dict[str, Any]:
    """What an answer, whole or put together, says."""
    message = answer.choices[0].message
    calls = [
        {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
        for call in message.tool_calls or []
    ]
    # Only what a next request needs: the turn as LiteLLM itself would send it back.
    turn = message.model_dump(exclude_none=True)
    return {"text": message.content, "calls": calls, "turn": turn, "usage": answer.usage.model_dump()}


def complete(params: dict[str, Any]) -> dict[str, Any]:
    if not params.get("stream"):
        return ended(litellm.completion(**params))
    chunks = list(litellm.completion(**params))
    return ended(litellm.stream_chunk_builder(chunks, params["messages"])) | {"chunks": len(chunks)}


def complete_async(params: dict[str, Any]) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        if not params.get("stream"):
            return ended(await litellm.acompletion(**params))
        chunks = [chunk async for chunk in await litellm.acompletion(**params)]
        return ended(litellm.stream_chunk_builder(chunks, params["messages"])) | {"chunks": len(chunks)}

    return LOOP.run_until_complete(run())


def respond(params: dict[str, Any]) -> dict[str, Any]:
    answer = litellm.responses(**params)
    return {"text": answer.output[0].content[0].text, "usage": answer.usage.model_dump()}


def embed(params: dict[str, Any]) -> dict[str, Any]:
    answer = litellm.embedding(**params)
    return {"vectors": [row["embedding"] for row in answer.data], "usage": answer.usage.model_dump()}


CALLS = {"complete": complete, "complete_async": complete_async, "respond": respond, "embed": embed}


def perform(line: str) -> dict[str, Any]:
    asked = json.loads(line)
    try:
        return CALLS[asked["op"]](asked["params"])
    except Exception as error:
        response = getattr(error, "response", None)
        retry_after = response.headers.get("retry-after") if response is not None else None
        told = {"name": type(error).__name__, "status": getattr(error, "status_code", None)}
        return {"error": told | {"message": str(error), "retry_after": retry_after}}


out = sys.stdout
# Whatever LiteLLM prints is no outcome.
sys.stdout = sys.stderr
for line in sys.stdin:
    print(json.dumps(perform(line)), file=out, flush=True)
