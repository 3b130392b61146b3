"""`llm`, Simon Willison's command line, unmodified, against the gateway: its chats and its responses, with the models of
an `extra-openai-models.yaml`."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import CLAUDE_PRICE, PRICE, Gateway, Json, Mock, Price, Tenant, environment, unlike
from other_clients import WHOLE, WORDS, check_paid, png

LLM = Path(sys.executable).parent / "llm"

#: What the file says of a model, the option, and the price: chats at a provider that has them and at one that is
#: converted for, and responses. Each run loads all of `llm`, which takes long, so there are few.
CALLS = [("sim", False, [], PRICE), ("claude", False, ["--no-stream"], CLAUDE_PRICE), ("old", True, [], PRICE)]
every_call = pytest.mark.parametrize(
    ("model", "responses", "option", "price"), CALLS, ids=["chat-sim", "chat-claude-whole", "responses-old"]
)


@dataclass
class Said:
    code: int
    stdout: str
    stderr: str


class Llm:
    """`llm` with a folder of its own, which knows nothing but the gateway."""

    def __init__(self, folder: Path, tenant: Tenant, model: str, responses: bool = False) -> None:
        self.folder = folder
        entry = {"model_id": "gate", "model_name": model, "api_base": tenant.gateway.base_url}
        entry |= {"api_key_name": "tollkeeper", "vision": True, "supports_tools": True, "supports_schema": True}
        # JSON is YAML.
        (folder / "extra-openai-models.yaml").write_text(json.dumps([entry | {"responses": responses}]))
        # As `llm keys set tollkeeper` writes it.
        (folder / "keys.json").write_text(json.dumps({"tollkeeper": tenant.secret}))

    def run(self, *args: str) -> Said:
        done = subprocess.run(
            [LLM, *args],
            env=environment(LLM_USER_PATH=str(self.folder), LLM_LOAD_PLUGINS=""),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ask(self, *options: str) -> Said:
        return self.run("-m", "gate", *options, "How much is the toll?")


@every_call
def test_a_question_is_answered(
    tmp_path: Path, tenant: Tenant, mock: Mock, model: str, responses: bool, price: Price, option: list[str]
) -> None:
    said = Llm(tmp_path, tenant, model, responses).ask("--usage", "-s", "Be brief.", *option)
    assert (said.code, said.stdout) == (0, WHOLE + "\n"), said
    [row] = check_paid(tenant, mock, price)
    assert row["streamed"] == (option == [])
    told = re.search(r"Token usage: ([\d,]+) input, ([\d,]+) output", said.stderr)
    assert told and [int(told[1]), int(told[2])] == [row["input_tokens"], row["output_tokens"]], said


@every_call
def test_tools_are_called_at_once_and_told_back(
    tmp_path: Path, tenant: Tenant, mock: Mock, model: str, responses: bool, price: Price, option: list[str]
) -> None:
    functions = "def toll(text: str) -> str:\n    return '3'\n\ndef greet(text: str) -> str:\n    return 'hello'\n"
    llm = Llm(tmp_path, tenant, model + "?calls=2", responses)
    said = llm.ask("--functions", functions, "--tools-debug", *option)
    assert said.code == 0 and said.stdout.strip().endswith(WHOLE), said
    assert f"toll({{'text': '{WORDS}" in said.stderr and "greet({'text': '" in said.stderr, said
    check_paid(tenant, mock, price, 2)


@every_call
def test_shapes_and_images(
    tmp_path: Path, tenant: Tenant, mock: Mock, model: str, responses: bool, price: Price, option: list[str]
) -> None:
    llm = Llm(tmp_path, tenant, model, responses)
    image = tmp_path / "pixel.png"
    image.write_bytes(base64.b64decode(png()))
    said = llm.ask("--schema", "text: what is said", "-a", str(image), *option)
    assert said.code == 0, said
    shaped: Json = json.loads(said.stdout)
    assert shaped == {"text": WHOLE}
    check_paid(tenant, mock, price)


def test_what_fails_is_told(tmp_path: Path, gateway: Gateway, tenant: Tenant) -> None:
    poor = gateway.tenant(granted="0")
    stranger = Tenant(gateway, poor.org, poor.project, poor.key_id, unlike(poor.secret))
    table = [
        (tenant, "nobody", "Error code: 404"),
        (tenant, "sim?fault=429;retry_after=0", "Error code: 429"),
        (poor, "sim", "has 0.00 available"),
        (stranger, "sim", "Incorrect API key"),
    ]
    for caller, model, told in table:
        said = Llm(tmp_path, caller, model).ask()
        assert said.code == 1 and said.stderr.startswith("Error: ") and told in said.stderr, said
    assert poor.rows() == []
