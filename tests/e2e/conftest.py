"""What all tests share: one mock and one gateway for each worker, a fresh tenant for each test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import (
    CLAUDE_PRICE,
    EMBEDDING_PRICE,
    FREE,
    SETTINGS,
    Contract,
    Gateway,
    Mock,
    Provider,
    Route,
    Tenant,
    config,
)
from claude import NodeClaude, PythonClaude
from clock import GatewayAt, moment
from gemini import NodeGemini, PythonGemini
from sdk import NodeSdk, PythonSdk, Sdk
from upstreams import Recorder, black_hole, closed_port, recorder

# The SDKs read these, and a proxy has no business on the loopback.
for name in [name for name in os.environ if name.startswith(("OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_")) or name.lower().endswith("_proxy")]:
    del os.environ[name]

#: Starts another gateway with this configuration, in a folder of this name.
MakeGateway = Callable[..., Gateway]
#: Starts one whose clock shows this moment.
MakeGatewayAt = Callable[..., GatewayAt]


@contextlib.contextmanager
def stopping(gateway: Gateway) -> Iterator[Gateway]:
    """Stops the gateway at the end; it must go in peace and leave books that verify."""
    try:
        yield gateway
        assert gateway.stop() == 0, gateway.log()
        verified = gateway.verify()
        assert verified.code == 0 and verified.json["holds"] == 0, verified
    finally:
        if gateway.child:
            gateway.kill()


@pytest.fixture(scope="session")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    provider = Mock(tmp_path_factory.mktemp("mock"))
    yield provider
    assert provider.stop() == 0


@pytest.fixture(scope="session")
def upstream() -> Iterator[Recorder]:
    with recorder() as running:
        yield running


@pytest.fixture(scope="session")
def gateway(mock: Mock, upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway that most tests call."""
    with closed_port() as refused, black_hole() as hole:
        providers = [
            Provider("mock", mock.base_url),
            Provider("h2", mock.base_url, http2=True),
            Provider("recorder", upstream.base_url),
            Provider("claudes", mock.base_url, kind="anthropic"),
            Provider("claudes-recorder", upstream.base_url, kind="anthropic"),
            Provider("olds", mock.base_url, kind="deepseek"),
            Provider("uncounted", mock.base_url, kind="ollama"),
            Provider("refused", refused),
            Provider("hole", hole),
        ]
        routes = [
            Route("sim", "mock", "sim-small"),
            Route("sim?*", "mock", "sim-small?*"),
            Route("vendor/sim", "mock", "sim-small"),
            Route("h2?*", "h2", "sim-small?*"),
            Route("embed", "mock", "sim-embedding", EMBEDDING_PRICE),
            Route("embed?*", "mock", "sim-embedding?*", EMBEDDING_PRICE),
            Route("claude", "claudes", "sim-small", CLAUDE_PRICE),
            Route("claude?*", "claudes", "sim-small?*", CLAUDE_PRICE),
            # A provider that has chats alone, so that messages and responses are converted.
            Route("old", "olds", "sim-small"),
            Route("old?*", "olds", "sim-small?*"),
            Route("recorded-claude", "claudes-recorder", "upstream/claude-1", CLAUDE_PRICE),
            Route("uncounted", "uncounted", "sim-small", CLAUDE_PRICE),
            Route("free", "mock", "sim-small", FREE),
            Route("unpriced", "mock", "sim-small", price=None),
            Route("recorded", "recorder", "upstream/model-1"),
            Route("refused", "refused", "any"),
            Route("hole", "hole", "any"),
        ]
        with stopping(Gateway(tmp_path_factory.mktemp("gateway"), config(providers, routes))) as running:
            yield running.start()


@pytest.fixture
def tenant(gateway: Gateway) -> Tenant:
    return gateway.tenant()


@pytest.fixture
def make_gateway(mock: Mock, tmp_path: Path) -> Iterator[MakeGateway]:
    """Gateways of a test's own, with the routes of the mock unless it brings others."""
    with contextlib.ExitStack() as stack:

        def make(name: str = "gateway", text: str | None = None, **env: str) -> Gateway:
            routes = [Route("sim", "mock", "sim-small"), Route("sim?*", "mock", "sim-small?*")]
            text = text or config([Provider("mock", mock.base_url)], routes, SETTINGS)
            return stack.enter_context(stopping(Gateway(tmp_path / name, text, env))).start()

        yield make


@pytest.fixture
def gateway_at(mock: Mock, tmp_path: Path) -> Iterator[MakeGatewayAt]:
    """Gateways of a test's own whose clock it sets: `gateway_at("2026-12-31 12:00:00")`, then `.travel(to)`."""
    with contextlib.ExitStack() as stack:

        def make(at: str, text: str | None = None, name: str = "gateway", **env: str) -> GatewayAt:
            # By this clock, the contract must not be of a day to come.
            contract = Contract(verified_on=at[:10])
            routes = [Route("sim", "mock", "sim-small"), Route("sim?*", "mock", "sim-small?*")]
            text = text or config([Provider("mock", mock.base_url, contract=contract)], routes, SETTINGS)
            gateway = GatewayAt(tmp_path / name, text, env)
            gateway.set_clock(moment(at))
            stack.enter_context(stopping(gateway))
            return gateway.start()

        yield make


@pytest.fixture(scope="session")
def node() -> Iterator[NodeSdk]:
    with NodeSdk() as running:
        yield running


@pytest.fixture(params=["python", "node"])
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """Both official SDKs in turn."""
    return PythonSdk() if request.param == "python" else request.getfixturevalue("node")


@pytest.fixture(params=["python", "node"])
def claude(request: pytest.FixtureRequest) -> PythonClaude | NodeClaude:
    """Both of Anthropic's SDKs in turn."""
    return PythonClaude() if request.param == "python" else NodeClaude(request.getfixturevalue("node"))


@pytest.fixture(params=["python", "node"])
def gemini(request: pytest.FixtureRequest) -> PythonGemini | NodeGemini:
    """Both of Google's SDKs in turn."""
    return PythonGemini() if request.param == "python" else NodeGemini(request.getfixturevalue("node"))
