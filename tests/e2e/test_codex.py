"""Codex, unmodified, against the gateway: its turns are answered and booked, and it reads why one failed.

It takes 400 MB, so it is not installed with the other clients: `npm ci` in `tests/e2e/codex` makes these tests run.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from conftest import MakeGateway
from harness import HERE, PRICE, SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config

CODEX = HERE / "codex/node_modules/.bin/codex"
pytestmark = pytest.mark.skipif(not CODEX.exists(), reason="Codex is not installed: run `npm ci` in tests/e2e/codex")


@dataclass
class Turn:
    """What Codex did: its exit code and what it said, event by event."""

    code: int
    events: list[Json]

    def of(self, kind: str) -> list[Json]:
        return [event for event in self.events if event["type"] == kind]

    def said(self) -> list[str]:
        items = [event["item"] for event in self.of("item.completed")]
        return [item["text"] for item in items if item["type"] == "agent_message"]


class Codex:
    """Codex with a home of its own, which knows nothing but the gateway."""

    def __init__(self, folder: Path) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir()
        self.work.mkdir()

    def turn(self, tenant: Tenant, model: str, builtin: bool = False, search: str = "disabled") -> Turn:
        """One turn: through a provider of the configuration's own, or the one that is built in."""
        base = tenant.gateway.base_url
        own = ['model_provider="gw"', f'model_providers.gw={{name="gw",base_url="{base}",env_key="GATEWAY_KEY"}}']
        settings = [f'openai_base_url="{base}"'] if builtin else own
        settings += [f'model="{model}"', f'web_search="{search}"', "stream_max_retries=1"]
        options = [part for setting in settings for part in ("-c", setting)]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "CODEX_HOME": str(self.home)}
        env |= {"CODEX_API_KEY" if builtin else "GATEWAY_KEY": tenant.secret}
        done = subprocess.run(
            [CODEX, "exec", "--skip-git-repo-check", "--json", *options, "How much is the toll?"],
            cwd=self.work,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Turn(done.returncode, [json.loads(line) for line in done.stdout.splitlines()])


@pytest.fixture
def codex(tmp_path: Path) -> Codex:
    return Codex(tmp_path)


@pytest.fixture
def roomy(mock: Mock, make_gateway: MakeGateway) -> Gateway:
    """A gateway that takes Codex's instructions, which are longer than any body of the other tests."""
    routes = [Route("sim", "mock", "sim-small"), Route("sim?*", "mock", "sim-small?*")]
    settings = SETTINGS.replace("request_bytes_max = 65536", "request_bytes_max = 1048576")
    assert settings != SETTINGS
    return make_gateway(text=config([Provider("mock", mock.base_url)], routes, settings))


@pytest.mark.parametrize("builtin", [False, True])
def test_a_turn_is_answered_and_booked(codex: Codex, roomy: Gateway, mock: Mock, builtin: bool) -> None:
    tenant = roomy.tenant()
    turn = codex.turn(tenant, "sim", builtin)
    assert turn.code == 0, turn
    assert turn.said() == ["The keeper at the gate counts each token, takes the fare and lets it."]
    row = tenant.settled_one()
    truth = mock.truth_of(row["request_id"])
    assert (row["status"], row["estimated"], row["streamed"]) == ("succeeded", False, True)
    assert Decimal(row["cost"]) == PRICE.of_truth(truth) > 0
    [ended] = turn.of("turn.completed")
    assert ended["usage"]["input_tokens"] == truth["prompt_tokens"] == row["input_tokens"]
    assert ended["usage"]["output_tokens"] == 16 == row["output_tokens"]


def test_a_broken_stream_says_why(codex: Codex, roomy: Gateway) -> None:
    tenant = roomy.tenant()
    turn = codex.turn(tenant, "sim?fault=close_mid;after=5")
    assert turn.code == 1 and not turn.of("turn.completed")
    [failed] = turn.of("turn.failed")
    assert "The provider closed the connection early." in failed["error"]["message"], turn
    for row in tenant.settled(len(tenant.rows())):
        assert (row["status"], row["reason"], row["output_tokens"]) == ("failed", "upstream_closed", 5)


def test_what_has_no_price_is_named(codex: Codex, roomy: Gateway) -> None:
    tenant = roomy.tenant()
    turn = codex.turn(tenant, "sim", search="live")
    assert turn.code == 1
    [failed] = turn.of("turn.failed")
    assert "none for web searches" in failed["error"]["message"], turn
    assert tenant.rows() == []


def test_no_credit_stops_at_once(codex: Codex, roomy: Gateway) -> None:
    tenant = roomy.tenant("0")
    turn = codex.turn(tenant, "sim")
    assert turn.code == 1 and turn.of("turn.failed"), turn
    assert tenant.rows() == []
