"""Claude Code, unmodified, against the gateway: its turns are answered and booked at providers of both dialects, its
tools are called and told back, and it reads why a turn failed.

It takes 400 MB, so it is not installed with the other clients: `npm ci` in `tests/e2e/claude-code` makes these tests run.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import MakeGateway
from harness import CLAUDE_PRICE, HERE, PRICE, SETTINGS, Gateway, Json, Mock, Price, Provider, Route, Tenant, config, unlike
from other_clients import WHOLE, check_paid

CLAUDE = HERE / "claude-code/node_modules/.bin/claude"
pytestmark = pytest.mark.skipif(
    not CLAUDE.exists(), reason="Claude Code is not installed: run `npm ci` in tests/e2e/claude-code"
)

#: What it would otherwise fetch or send to others: updates, telemetry, reports of errors.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
}


@dataclass
class Turn:
    """What Claude Code did: its exit code and what it said, event by event."""

    code: int
    events: list[Json]

    @property
    def result(self) -> Json:
        [result] = [event for event in self.events if event["type"] == "result"]
        return result


class ClaudeCode:
    """Claude Code with a home of its own, which knows nothing but the gateway."""

    def __init__(self, folder: Path) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir()
        self.work.mkdir()

    def turn(self, tenant: Tenant, model: str) -> Turn:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "CLAUDE_CONFIG_DIR": str(self.home)} | QUIET
        env |= {"ANTHROPIC_BASE_URL": tenant.gateway.url, "ANTHROPIC_AUTH_TOKEN": tenant.secret}
        env |= {"ANTHROPIC_MODEL": model, "ANTHROPIC_DEFAULT_HAIKU_MODEL": model}
        done = subprocess.run(
            [CLAUDE, "-p", "How much is the toll?", "--output-format", "stream-json", "--verbose"],
            cwd=self.work,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.stdout, done.stderr
        return Turn(done.returncode, [json.loads(line) for line in done.stdout.splitlines()])


@pytest.fixture
def claude_code(tmp_path: Path) -> ClaudeCode:
    return ClaudeCode(tmp_path)


@pytest.fixture
def roomy(mock: Mock, make_gateway: MakeGateway) -> Gateway:
    """A gateway that takes Claude Code's instructions, which are longer than any body of the other tests."""
    providers = [Provider("claudes", mock.base_url, kind="anthropic"), Provider("olds", mock.base_url, kind="deepseek")]
    routes = [
        Route("claude", "claudes", "sim-small", CLAUDE_PRICE),
        Route("claude?*", "claudes", "sim-small?*", CLAUDE_PRICE),
        Route("old", "olds", "sim-small"),
        Route("old?*", "olds", "sim-small?*"),
    ]
    settings = SETTINGS.replace("request_bytes_max = 65536", "request_bytes_max = 4194304")
    assert settings != SETTINGS
    return make_gateway(text=config(providers, routes, settings))


MODELS = [("claude", CLAUDE_PRICE), ("old", PRICE)]


@pytest.mark.parametrize(("model", "price"), MODELS)
def test_a_turn_is_answered_and_booked(
    claude_code: ClaudeCode, roomy: Gateway, mock: Mock, model: str, price: Price
) -> None:
    tenant = roomy.tenant("50.00")
    turn = claude_code.turn(tenant, model)
    assert turn.code == 0 and turn.result["result"] == WHOLE, turn
    rows = check_paid(tenant, mock, price, len(tenant.rows()))
    usage = turn.result["usage"]
    assert any(row["input_tokens"] == usage["input_tokens"] for row in rows), (usage, rows)
    # A session is a run: what it cost is one question to the books.
    assert {row["run"] for row in rows} == {turn.result["session_id"]}


@pytest.mark.parametrize(("model", "price"), MODELS)
def test_tools_are_called_at_once_and_told_back(
    claude_code: ClaudeCode, roomy: Gateway, mock: Mock, model: str, price: Price
) -> None:
    tenant = roomy.tenant("50.00")
    turn = claude_code.turn(tenant, f"{model}?calls=2")
    assert turn.code == 0 and turn.result["result"] == WHOLE, turn
    blocks = [block for event in turn.events if event["type"] == "assistant" for block in event["message"]["content"]]
    assert len([block for block in blocks if block["type"] == "tool_use"]) == 2
    rows = check_paid(tenant, mock, price, len(tenant.rows()))
    assert len(rows) >= 2


#: The route, the credit, and what Claude Code says of it.
FAILURES = [
    ("claude?fault=400", "50.00", 400),
    ("claude?fault=429;retry_after=1", "50.00", 429),
    ("claude", "0", 402),
    ("nobody", "50.00", 404),
]


@pytest.mark.parametrize(("model", "granted", "status"), FAILURES)
def test_a_failure_is_told(claude_code: ClaudeCode, roomy: Gateway, model: str, granted: str, status: int) -> None:
    tenant = roomy.tenant(granted)
    turn = claude_code.turn(tenant, model)
    assert turn.code == 1 and turn.result["is_error"], turn
    assert turn.result.get("api_error_status", status) == status, turn.result
    assert all(row["status"] == "failed" for row in tenant.rows())


def test_a_wrong_key_is_told(claude_code: ClaudeCode, roomy: Gateway) -> None:
    tenant = roomy.tenant()
    stranger = Tenant(roomy, tenant.org, tenant.project, tenant.key_id, unlike(tenant.secret))
    turn = claude_code.turn(stranger, "claude")
    assert turn.code == 1 and turn.result["is_error"] and "401" in turn.result["result"], turn
    assert tenant.rows() == []
