"""What the README tells people to type is typed, in the README's order."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path

import pytest

from harness import BINARY, ROOT, environment, run

README = (ROOT / "README.md").read_text()
#: The port that the README's commands use; here they use a free one.
PORT = "4400"


def blocks(kind: str) -> list[str]:
    """The fenced blocks of a kind. What is marked `sh` is meant to be run, one block after the other."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def test_the_commands_work_in_one_shell(tmp_path: Path) -> None:
    commands = "\n".join(blocks("sh")).replace(PORT, free_port())
    # The gateway that the commands start in the background is stopped at the end, whatever happens.
    script = f"set -euo pipefail\ntrap 'kill $!; wait $!' EXIT\n{commands}\nkill $!; wait $!; trap - EXIT"
    env = environment()
    env["PATH"] = f"{BINARY.parent}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    # The answer to the call has no line break at its end.
    lines = done.stdout.replace("}{", "}\n{").splitlines()
    data = [json.loads(line) for line in lines if line.startswith("{")]
    # Anthropic's answers name no object.
    usage = next(shown["data"] for shown in data if shown.get("object") == "list")
    assert [(row["model"], row["status"]) for row in usage] == [("sim-small", "succeeded")] * 2
    assert usage[-1]["feature"] == "readme", "the newest row comes first"
    balance, verified = (
        next(shown for shown in data if shown.get("object") == kind) for kind in ("balance", "verification")
    )
    assert balance["held"] == "0.00" and verified["ok"]


@pytest.mark.parametrize("block", blocks("toml"))
def test_the_configuration_is_valid(tmp_path: Path, block: str) -> None:
    file = tmp_path / "tollkeeper.toml"
    file.write_text(block)
    done = run("config", "check", "--config", str(file), env=environment(OPENAI_API_KEY="sk-test"))
    assert done.code == 0, done


def test_the_two_commands_come_first() -> None:
    assert re.findall(r"^cargo xtask \w+$", README, re.MULTILINE)[:2] == ["cargo xtask demo", "cargo xtask test"]
