"""Kills a gateway under load again and again, then holds its books against the provider's truth.

    python tests/e2e/kill_loop.py --kills 200 --seed 1 --durability both

Prints one line of JSON for each durability; ends with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import httpx2 as httpx

from harness import FREE, NANO, PRICE, SETTINGS, Contract, Gateway, Json, Mock, Provider, Route, Tenant, config, eventually

GRANTED = "1000.00"
CALLERS = 6
#: What callers ask for: short and long answers, with and without usage, with failures among them.
MODELS = [
    "sim?out=5",
    "sim?out=40;tps=400",
    "sim?out=200;tps=2000;chunk=3",
    "sim?out=30;latency_ms=30;cached=50",
    "sim?out=30;fault=500;fail=20",
    "sim?out=30;fault=close_mid;fail=20;after=10",
    "gift?out=20",
    "gift?out=60;tps=600",
    "gift?out=30;fault=close_mid;fail=20;after=10",
    "falling-gift",
    "falling-free",
]
#: Those of them that have a second target, which money pays for.
FALLING = ("falling-gift", "falling-free")
#: Units of each pool for each kill: so few that they run out on the way.
TOKENS_PER_KILL, REQUESTS_PER_KILL = 60, 1


@dataclasses.dataclass
class Load:
    """Callers that call until they are told to stop, and what reached them whole."""

    #: One whose running calls complete, and one whose calls stop when nothing more can be held.
    tenants: tuple[Tenant, Tenant]
    seed: int
    stopping: threading.Event = dataclasses.field(default_factory=threading.Event)
    #: Requests whose answer came to its end, by id.
    whole: set[str] = dataclasses.field(default_factory=set)
    ended: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def caller(self, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}")
        tenant = self.tenants[number % 2]
        headers = {"authorization": f"Bearer {tenant.secret}"}
        with httpx.Client(verify=False, trust_env=False, timeout=20, headers=headers) as client:
            while not self.stopping.is_set():
                self.call(client, tenant.gateway.base_url, chance)

    def call(self, client: httpx.Client, base_url: str, chance: random.Random) -> None:
        stream = chance.random() < 0.5
        messages = [{"role": "user", "content": "toll " * chance.randint(1, 50)}]
        body = {"model": chance.choice(MODELS), "messages": messages, "stream": stream, "max_tokens": 250}
        try:
            with client.stream("POST", base_url + "/chat/completions", json=body) as answer:
                text = answer.read().decode()
        except httpx.TransportError:
            self.ended["broken"] += 1
            # Nobody listens until the gateway has started again.
            self.stopping.wait(0.01)
            return
        done = text.endswith("data: [DONE]\n\n") if stream else answer.status_code == 200
        self.ended["whole" if done else "error in the stream" if stream else str(answer.status_code)] += 1
        if done:
            self.whole.add(answer.headers["x-request-id"])


@contextlib.contextmanager
def under_load(tenants: tuple[Tenant, Tenant], seed: int) -> Iterator[Load]:
    """Callers for as long as this lasts."""
    load = Load(tenants, seed)
    threads = [threading.Thread(target=load.caller, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join()


@dataclasses.dataclass(frozen=True)
class Row:
    """A cost row, read from the database by another program than the one that wrote it."""

    status: str
    reason: str
    estimated: bool
    cost: Decimal
    model: str
    provider: str
    #: The pool that it drew on, with its owner and its period, and what that paid for.
    pool: tuple[bytes, str, int] | None
    units: int

    def owed(self, line: Json) -> Decimal:
        """What is to be paid of what the provider says, beyond what a pool paid for: input before output."""
        if self.provider == "gratis":
            return Decimal(0)
        if self.provider == "mock":
            return PRICE.of_truth(line)
        left, exact = self.units, Decimal(0)
        for tokens, price in ((line["prompt_tokens"], PRICE.input), (line["completion_tokens"], PRICE.output)):
            covered = min(tokens, left)
            left -= covered
            exact += (tokens - covered) * Decimal(price)
        return (exact / 1_000_000).quantize(NANO, ROUND_CEILING)


@dataclasses.dataclass(frozen=True)
class Books:
    """What is in the database at the end."""

    #: The cost rows of each request, in the order of its attempts.
    rows: dict[str, list[Row]]
    #: What was used of each period of each pool, and what is held.
    pools: dict[tuple[bytes, str, int], tuple[int, int]]
    #: What remains in all lots.
    remaining: Decimal
    #: Holds that are left.
    holds: int
    #: Requests of the organization whose calls stop that were charged more than was held for them.
    overcharged: list[str]


def read_books(database: Path) -> Books:
    """Reads the books as they are on the disk."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as books:
        rows: dict[str, list[Row]] = collections.defaultdict(list)
        for request, status, reason, estimated, cost, model, provider, organization, pool, start, units in books.execute(
            "SELECT lower(hex(request)), status, reason, estimated, cost, model, provider, organization, pool, pool_start,"
            " pool_units FROM cost_row ORDER BY request, attempt"
        ):
            key = (organization, pool, start) if pool else None
            row = Row(status, reason, bool(estimated), cost * NANO, model, provider, key, units or 0)
            rows[f"req_{request}"].append(row)
        pools = {
            (organization, pool, start): (used, held)
            for organization, pool, start, used, held in books.execute(
                "SELECT organization, pool, start, used, held FROM pool_use"
            )
        }
        (remaining,) = books.execute("SELECT sum(remaining) FROM lot").fetchone()
        (holds,) = books.execute("SELECT count(*) FROM hold").fetchone()
        overcharged = books.execute(
            "SELECT lower(hex(request)) FROM cost_row JOIN organization ON organization.id = cost_row.organization "
            "WHERE in_flight = 'stops' AND cost > held"
        ).fetchall()
    return Books(rows, pools, remaining * NANO, holds, [f"req_{request}" for (request,) in overcharged])


def broken_pools(books: Books, caps: dict[str, int]) -> Iterator[str]:
    """Pools whose figures are not those of their rows, that gave more than they have, or were not used before money."""
    drawn: collections.Counter[tuple[bytes, str, int]] = collections.Counter()
    paid: set[tuple[bytes, str, int]] = set()
    for row in (row for attempts in books.rows.values() for row in attempts if row.pool):
        drawn[row.pool] += row.units
        if row.cost:
            paid.add(row.pool)
    for key in books.pools.keys() | drawn.keys():
        used, held = books.pools.get(key, (0, 0))
        if (used, held) != (drawn[key], 0):
            yield f"of {key} {used} are used and {held} held, where its rows say {drawn[key]}"
        if used > caps[key[1]]:
            yield f"of {key} {used} are used, where there are {caps[key[1]]}"
        if key in paid and used != caps[key[1]]:
            yield f"money was paid, and of {key} only {used} of {caps[key[1]]} are used"


def broken_promises(gateway: Gateway, load: Load, truth: list[Json], caps: dict[str, int]) -> Iterator[str]:
    """Every difference between what was promised, what the provider says, and what is on the books."""
    verified = gateway.verify()
    if verified.code != 0:
        yield f"verify ended with {verified.code}: {verified.stdout}"
    books = read_books(gateway.data / "tollkeeper.db")
    rows = books.rows
    if books.holds:
        yield f"{books.holds} holds are left"
    spent = sum((row.cost for attempts in rows.values() for row in attempts), Decimal(0))
    if books.remaining + spent != 2 * Decimal(GRANTED):
        yield f"{books.remaining} remain and {spent} are spent of twice {GRANTED}"
    for request in books.overcharged:
        yield f"{request} was charged more than was held for it"
    yield from broken_pools(books, caps)
    for request, attempts in rows.items():
        if len(attempts) > (2 if attempts[0].model in FALLING else 1):
            yield f"{request} has {len(attempts)} rows"
    by_request: dict[str, list[Json]] = collections.defaultdict(list)
    for line in truth:
        by_request[line["request_id"]].append(line)
    for request, lines in by_request.items():
        if len(lines) > len(rows[request]):
            yield f"{request} was sent to the provider {len(lines)} times and has {len(rows[request])} rows"
    for request in load.whole:
        attempts, lines = rows[request], by_request[request]
        whole = attempts and lines and (*dataclasses.astuple(attempts[-1])[:3], attempts[-1].owed(lines[-1]))
        if not whole or whole != ("succeeded", "complete", False, attempts[-1].cost):
            yield f"{request} was answered; truth {lines}, rows {attempts}"


def configured(mock: Mock, settings: str, kills: int) -> str:
    """Targets that money pays for, that a programme's tokens pay for first, and that free requests pay for."""
    shared = Contract(training=True, more='class = "complimentary"\nprogramme = "sharing"')
    providers = [
        Provider("mock", mock.base_url),
        Provider("shared", mock.base_url, contract=shared),
        Provider("gratis", mock.base_url, contract=Contract(more='class = "free"')),
    ]
    routes = [Route("sim?*", "mock", "sim-small?*"), Route("gift?*", "shared", "sim-small?*")]
    failing = "sim-small?out=20;fault=500;fail=50"
    paid = f'{{ provider = "mock", model = "sim-small?out=20", price = {PRICE.toml()} }}'
    firsts = [
        f'{{ provider = "shared", model = "{failing}", price = {PRICE.toml()} }}',
        f'{{ provider = "gratis", model = "{failing}", price = {FREE.toml()}, list = {PRICE.toml()} }}',
    ]
    falling = [
        f'[[routes]]\nmodel = "{model}"\ntargets = [{first}, {paid}]'
        for model, first in zip(FALLING, firsts, strict=True)
    ]
    group = f'{{ name = "large", models = ["sim-*"], tokens_per_day = {TOKENS_PER_KILL * kills} }}'
    per_day = [f"{name} = {REQUESTS_PER_KILL * kills}" for name in ("requests_per_day", "requests_per_day_purchased")]
    requests = "\n".join(["requests_per_minute = 100000", *per_day])
    programme = f'[[programmes]]\nname = "sharing"\ntime_zone = "UTC"\ngroups = [{group}]'
    return "\n\n".join([config(providers, routes, settings), *falling, f"[free]\n{requests}", programme])


def kill_loop(folder: Path, kills: int, seed: int, durability: str) -> Json:
    """Runs the loop; a summary with the promises that were broken."""
    chance, began = random.Random(seed), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    mock = Mock(folder)
    # Slices so small that streams hold more as they go.
    ledger = f'ledger.durability = "{durability}"\nledger.first_slice_tokens = 64\n'
    settings = f"{ledger}{SETTINGS}".replace('level = "debug"', 'level = "info"')
    gateway = Gateway(folder / "gateway", configured(mock, settings, kills)).start()
    caps = {"sharing/large": TOKENS_PER_KILL * kills, "free": REQUESTS_PER_KILL * kills}
    held_at_death = 0
    try:
        tenants = tuple(gateway.tenant(granted=GRANTED, data_class="public") for _ in range(2))
        for tenant in tenants:
            joined = gateway.cli("pools", "join", "sharing", "--org", tenant.org)
            assert joined.code == 0, joined
        change = f"/admin/v1/organizations/{tenants[1].org}"
        gateway.api("PATCH", change, {"in_flight": "stops"}).raise_for_status()
        with under_load(tenants, seed) as load:
            for _ in range(kills):
                # The moment of death is drawn, not waited for: any moment must do.
                time.sleep(chance.uniform(0.02, 0.4))
                gateway.kill()
                held_at_death += gateway.verify().json["holds"]
                gateway.start()
        for tenant in tenants:
            eventually(lambda tenant=tenant: Decimal(tenant.balance()["held"]) == 0, "the end of all holds")
        clean_end = gateway.stop() == 0
    finally:
        if gateway.child:
            gateway.kill()
        mock.stop()
    # The call that warmed the mock up came without a gateway.
    truth = [line for line in mock.truth() if line["request_id"]]
    broken = list(broken_promises(gateway, load, truth, caps))
    books = read_books(gateway.data / "tollkeeper.db")
    rows = books.rows
    all_rows = [row for attempts in rows.values() for row in attempts]
    return {
        "durability": durability,
        "kills": kills,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "held_at_death": held_at_death,
        "reached_the_provider": len(truth),
        "rows": len(rows),
        "rows_by_outcome": collections.Counter(row.reason for row in all_rows),
        "fell_back": sum(len(attempts) > 1 for attempts in rows.values()),
        "died_in_a_pool": sum(row.reason == "gateway_restarted" and row.pool is not None for row in all_rows),
        "straddled": sum(row.units > 0 and row.cost > 0 for row in all_rows),
        "used": sorted((pool, used) for (_, pool, _), (used, _) in books.pools.items()),
        "ended": load.ended,
        "broken": broken if clean_end else ["the gateway did not end in peace", *broken],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", choices=["power", "process", "both"], default="both")
    asked = parser.parse_args()
    durabilities = ["power", "process"] if asked.durability == "both" else [asked.durability]
    with tempfile.TemporaryDirectory() as folder:
        summaries = [kill_loop(Path(folder) / name, asked.kills, asked.seed, name) for name in durabilities]
    for summary in summaries:
        print(json.dumps(summary))
    return 1 if any(summary["broken"] for summary in summaries) else 0


if __name__ == "__main__":
    sys.exit(main())
