"""The processes under test: the real binary, started on free ports in temporary folders and stopped by pid."""

from __future__ import annotations

import functools
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import openai

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARY = Path(os.environ.get("TOLLKEEPER_BIN", ROOT / "target/debug/tollkeeper")).resolve()

#: How long anything may take that should happen at once.
PATIENCE = 20.0
#: The smallest amount of money there is.
NANO = Decimal("0.000000001")

T = TypeVar("T")
Json = dict[str, Any]

#: One client for all plain calls. There is no TLS on the loopback, and reading authorities takes longer than a call.
HTTP = httpx.Client(verify=False, trust_env=False, timeout=PATIENCE)


@functools.cache
def any_client() -> openai.OpenAI:
    """The SDK with its defaults; clients of tenants are made from it, because making the first one takes long."""
    return openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key="-")


def eventually(look: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """The first true value that `look` returns; fails when none comes in time."""
    deadline = time.monotonic() + patience
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {patience} s in vain for {what}"
        time.sleep(0.01)
    return seen


def environment(**extra: str) -> dict[str, str]:
    """A process environment without providers' keys, addresses or proxies of the machine that runs the tests."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | extra


def unlike(text: str) -> str:
    """Another text of the same form: the last character is a different digit."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


@dataclass(frozen=True)
class Price:
    """Dollars per million tokens, as a route's target states them."""

    input: str
    output: str
    cached_input: str
    #: Where nothing is stated, the input's.
    cache_write: str | None = None
    #: Where nothing is stated, the same.
    cache_write_long: str | None = None

    def cost(self, prompt: int, completion: int, cached: int = 0, written: int = 0, kept: int = 0) -> Decimal:
        """What so many tokens cost: summed exactly, rounded up once to the nano-dollar."""
        exact = (prompt - cached - written - kept) * Decimal(self.input) + cached * Decimal(self.cached_input)
        exact += written * Decimal(self.cache_write or self.input)
        exact += kept * Decimal(self.cache_write_long or self.cache_write or self.input)
        exact += completion * Decimal(self.output)
        return (exact / 1_000_000).quantize(NANO, ROUND_CEILING)

    def of_truth(self, line: Json) -> Decimal:
        """What a line of the mock's truth log costs."""
        written = (line["cache_write_tokens"], line["cache_write_1h_tokens"])
        return self.cost(line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"], *written)

    def toml(self) -> str:
        names = ("input", "output", "cached_input", "cache_write", "cache_write_long")
        stated = [(name, getattr(self, name)) for name in names]
        return "{ " + ", ".join(f'{name} = "{price}"' for name, price in stated if price) + " }"


#: Odd amounts, so that rounding shows.
PRICE = Price(input="2.500001", output="10.000007", cached_input="0.250003")
CLAUDE_PRICE = Price("3.000001", "15.000007", "0.300003", cache_write="3.750011", cache_write_long="6.000013")
EMBEDDING_PRICE = Price(input="0.130003", output="0", cached_input="0.130003")
FREE = Price(input="0", output="0", cached_input="0")


def days_ago(days: int) -> str:
    """A day of the past, as a contract's `verified_on` states it."""
    return (datetime.now(UTC).date() - timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class Contract:
    """Who owns and pays a provider's account, and on which terms; verified today unless said otherwise."""

    training: bool = False
    verified_days_ago: int = 0
    #: A day instead, for gateways whose clock is set.
    verified_on: str = ""
    owner: str = "the tests"
    #: Further lines of TOML.
    more: str = ""

    def toml(self) -> str:
        return "\n".join(
            [
                "[providers.contract]",
                f'owner = "{self.owner}"',
                'payer = "the tests"',
                'limits = "none"',
                'support = "the tests"',
                f"terms = {{ training = {str(self.training).lower()}, retention_days = 0, region = \"here\" }}",
                f'verified_on = "{self.verified_on or days_ago(self.verified_days_ago)}"',
                self.more,
            ]
        )


@dataclass(frozen=True)
class Provider:
    """An upstream of a configuration."""

    name: str
    base_url: str
    http2: bool = False
    contract: Contract = Contract()
    kind: str = "openai"

    def toml(self) -> str:
        return "\n".join(
            [
                "[[providers]]",
                f'name = "{self.name}"',
                f'kind = "{self.kind}"',
                f'base_url = "{self.base_url}"',
                'api_key = "env:UPSTREAM_KEY"',
                f"http2 = {str(self.http2).lower()}",
                self.contract.toml(),
            ]
        )


@dataclass(frozen=True)
class Route:
    """A model, and the provider's model behind it."""

    model: str
    provider: str
    upstream: str
    price: Price | None = PRICE

    def toml(self) -> str:
        price = f", price = {self.price.toml()}" if self.price else ""
        target = f'{{ provider = "{self.provider}", model = "{self.upstream}"{price} }}'
        return f'[[routes]]\nmodel = "{self.model}"\ntargets = [{target}]'


#: Short waits, so that a test of one does not take long; a small body limit.
SETTINGS = """
[server]
request_bytes_max = 65536
[timeouts]
client_idle_ms = 1000
connect_ms = 400
first_byte_ms = 1500
idle_ms = 1000
[log]
level = "debug"
"""

#: The credential that the gateway has at the provider.
UPSTREAM_KEY = "sk-upstream-of-the-tests"


def config(providers: Iterable[Provider], routes: Iterable[Route], settings: str = SETTINGS) -> str:
    """A configuration file."""
    return "\n\n".join([settings, *(provider.toml() for provider in providers), *(route.toml() for route in routes)])


class Child:
    """A running command: it prints one line of JSON when it is ready and works until a signal."""

    def __init__(self, args: list[str], log: Path, env: dict[str, str]) -> None:
        assert BINARY.is_file(), f"{BINARY} is missing; build it, or name it in TOLLKEEPER_BIN"
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [BINARY, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=env, text=True
            )
        self.ready = self._first_line()

    def _first_line(self) -> Json:
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline() if selector.select(PATIENCE) else ""
        if not line:
            self.kill()
            raise AssertionError(f"{self.log.stem} did not become ready; it said:\n{self.log.read_text()}")
        ready: Json = json.loads(line)
        return ready

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Ends it as an operator does; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Ends it as a crash does."""
        self.process.kill()
        self.process.wait(PATIENCE)


class Mock(Child):
    """The simulated provider and its truth log."""

    def __init__(self, folder: Path) -> None:
        self.truth_log = folder / "truth.jsonl"
        super().__init__(
            ["mock", "--json", "--listen", "127.0.0.1:0", "--truth-log", str(self.truth_log)],
            folder / "mock.log",
            environment(),
        )
        self.base_url: str = self.ready["base_url"]
        # The first count of a prompt loads the tokenizer, which no test should wait for.
        self.direct().chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "warm up"}])

    def direct(self) -> openai.OpenAI:
        """A client of the provider itself."""
        return any_client().with_options(base_url=self.base_url, api_key="sk-direct", timeout=PATIENCE)

    def truth(self) -> list[Json]:
        """Every line so far. The last may be under way."""
        lines = self.truth_log.read_text().splitlines(keepends=True) if self.truth_log.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def truth_of(self, request_id: str) -> Json:
        """The line of one request of the gateway, which is there at the latest when its caller has gone."""
        found = eventually(
            lambda: [line for line in self.truth() if line["request_id"] == request_id], f"the truth of {request_id}"
        )
        assert len(found) == 1, found
        return found[0]


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Json:
        """Its data: one object on one line."""
        assert self.stdout.count("\n") == 1 and self.stdout.endswith("\n"), f"{self.stdout!r}, {self.stderr!r}"
        data: Json = json.loads(self.stdout)
        return data


def run(*args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Outcome:
    """Runs a command that ends by itself."""
    done = subprocess.run(
        [BINARY, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment() if env is None else env,
        cwd=cwd,
        timeout=PATIENCE,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@dataclass
class Gateway:
    """A gateway on a data folder of its own, which outlives its processes."""

    folder: Path
    config: str
    env: dict[str, str] = field(default_factory=dict)
    child: Child | None = None
    operator_key: str = ""
    base_url: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return self.base_url.removesuffix("/v1")

    def start(self) -> Gateway:
        """Starts it, the first time on a free port, then on the same again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "tollkeeper.toml"
        file.write_text(self.config)
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        args = ["serve", "--json", "--data", str(self.data), "--config", str(file), "--listen", listen]
        self.child = Child(args, self.folder / "gateway.log", environment(UPSTREAM_KEY=UPSTREAM_KEY, **self.env))
        self.base_url = self.child.ready["base_url"]
        self.operator_key = self.child.ready.get("operator_key", self.operator_key)
        return self

    def stop(self) -> int:
        """Stops it as an operator does; the exit code, 0 when it was not running."""
        child, self.child = self.child, None
        return child.stop() if child else 0

    def kill(self) -> None:
        """Kills it as `kill -9` does."""
        assert self.child
        self.child.kill()
        self.child = None

    def verify(self) -> Outcome:
        return run("verify", "--json", "--data", str(self.data), env=environment(**self.env))

    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def cli(self, *args: str) -> Outcome:
        """A client command of the operator."""
        own = {"TOLLKEEPER_URL": self.url, "TOLLKEEPER_OPERATOR_KEY": self.operator_key}
        return run(*args, env=environment(**(self.env | own)))

    def api(self, method: str, path: str, body: Json | None = None, **headers: str) -> httpx.Response:
        """A call of the operator API."""
        headers = {"authorization": f"Bearer {self.operator_key}"} | headers
        return HTTP.request(method, self.url + path, json=body, headers=headers)

    def get(self, path: str) -> Json:
        answer = self.api("GET", path)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def make(self, path: str, **body: str) -> Json:
        answer = self.api("POST", path, body)
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    def metric(self, name: str, **labels: str) -> Decimal:
        """The sum of a metric's samples with these labels."""
        page = HTTP.get(self.url + "/metrics").text
        samples = (line.rpartition(" ") for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum((Decimal(value) for key, _, value in samples if all(pair in key for pair in wanted)), Decimal(0))

    def tenant(self, granted: str = "5.00", environment: str = "dev", data_class: str = "internal") -> Tenant:
        """A new organization with a project, a key and this much credit."""
        org = self.make("/admin/v1/organizations", name="Tests")["id"]
        about = {"environment": environment, "data_class": data_class}
        project = self.make("/admin/v1/projects", name="tests", organization=org, **about)["id"]
        key = self.make("/admin/v1/keys", name="tests", project=project)
        tenant = Tenant(self, org, project, key["id"], key["secret"])
        if Decimal(granted):
            tenant.grant(granted)
        return tenant


@dataclass
class Tenant:
    """An organization that calls, and what its books must say."""

    gateway: Gateway
    org: str
    project: str
    key_id: str
    secret: str
    granted: Decimal = Decimal(0)

    def grant(self, amount: str, kind: str = "prepaid") -> None:
        self.gateway.make("/admin/v1/credits/grants", organization=self.org, amount=amount, kind=kind)
        self.granted += Decimal(amount)

    def client(self, **options: Any) -> openai.OpenAI:
        """The SDK, changed in nothing but its address and key; it does not try again unless told to."""
        options = {"max_retries": 0, "timeout": PATIENCE} | options
        return any_client().with_options(base_url=self.gateway.base_url, api_key=self.secret, **options)

    def post(self, path: str, body: Json | bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        """A call without an SDK."""
        headers = {"authorization": f"Bearer {self.secret}"} | (headers or {})
        content: Json = {"content": body} if isinstance(body, bytes) else {"json": body}
        return HTTP.post(self.gateway.base_url + path, headers=headers, **content)

    def rows(self) -> list[Json]:
        """All cost rows, newest first."""
        page = self.gateway.get(f"/admin/v1/usage?organization={self.org}&limit=1000")
        assert not page["has_more"]
        rows: list[Json] = page["data"]
        return rows

    def balance(self) -> Json:
        return self.gateway.get(f"/admin/v1/organizations/{self.org}/balance")

    def settled(self, count: int) -> list[Json]:
        """Waits until so many rows are there and nothing is held, checks that the books add up, returns the rows."""
        eventually(lambda: len(self.rows()) >= count, f"{count} cost rows")
        eventually(lambda: Decimal(self.balance()["held"]) == 0, "the end of all holds")
        rows, balance = self.rows(), self.balance()
        assert len(rows) == count, rows
        spent = sum((Decimal(row["cost"]) for row in rows), Decimal(0))
        assert Decimal(balance["posted"]) + spent == self.granted, (balance, rows)
        assert balance["available"] == balance["posted"] and Decimal(balance["debt"]) == 0, balance
        return rows

    def settled_one(self) -> Json:
        """The one row of a tenant that made one call."""
        return self.settled(1)[0]
