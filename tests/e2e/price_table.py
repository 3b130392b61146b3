"""Works out what calls cost, in exact fractions and by its own reading of `prices/*.toml`, and writes it down.

Nothing here knows how the gateway computes: prices are read as decimals from their texts, steps, tiers, regions and
fallbacks follow from the words at the head of the price files, and sums are fractions. `crates/pricing` compares its own
costs with the table; `test_price_table.py` sees to it that the table is what this file makes.

    python3 tests/e2e/price_table.py > crates/pricing/tests/price_table.tsv
"""

import tomllib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

PRICES = Path(__file__).resolve().parents[2] / "prices"
MILLION = 1_000_000

# The buckets of a usage: whose price a bucket has, where its own is not written, and of how much a price is.
TOKENS = {
    "input": None,
    "cached": "input",
    "cache_write": "input",
    "cache_write_long": "cache_write",
    "audio_input": "input",
    "image_input": "input",
    "output": "input",
    "audio_output": "output",
    "image_output": "output",
}
UNITS = {
    "images": ("per_image", 1),
    "audio_ms": ("per_audio_second", 1_000),
    "characters": ("per_character", 1),
    "searches": ("per_search", 1),
    "gpu_ms": ("per_gpu_second", 1_000),
}
BUCKETS = [*list(TOKENS), "reasoning", *list(UNITS)]
INPUT = ["input", "cached", "cache_write", "cache_write_long", "audio_input", "image_input"]
TIERS = ("flex", "batch", "priority", "ultrafast")


def field(bucket: str) -> str:
    """The name of a bucket's price in the files."""
    return "cached_input" if bucket == "cached" else bucket


def token_prices(table: dict) -> dict[str, Fraction]:
    """The price of one token of each sort."""
    prices: dict[str, Fraction] = {}
    for bucket, fallback in TOKENS.items():
        if field(bucket) in table:
            prices[bucket] = Fraction(table[field(bucket)]) / MILLION
        elif fallback in prices:
            prices[bucket] = prices[fallback]
    return prices


def unit_prices(table: dict) -> dict[str, Fraction]:
    """The price of one of what is no token."""
    return {bucket: Fraction(table[name]) / of for bucket, (name, of) in UNITS.items() if name in table}


def sheet(entry: dict, tier: str, region: str, input_tokens: int) -> dict[str, Fraction]:
    """What one of each bucket costs, for a request of this length."""
    own = entry.get("tiers", {}).get(tier, {}) if tier != "standard" else {}
    factor = Fraction(own) if isinstance(own, str) else Fraction(1)
    table = own if isinstance(own, dict) and own else entry
    steps = table["above"] if "above" in table else entry.get("above", [])
    for step in steps:
        if input_tokens > step["input_tokens"]:
            table = step
    surcharge = Fraction(entry["regions"][region]) if region != "-" else Fraction(1)
    tokens = {bucket: price * factor * surcharge for bucket, price in token_prices(table).items()}
    return tokens | unit_prices(entry)


class Numbers:
    """Numbers that look like chance and are the same everywhere and always."""

    def __init__(self) -> None:
        self.state = 20_261_121

    def below(self, bound: int) -> int:
        self.state = (self.state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (self.state >> 33) % bound


def usages(entry: dict, numbers: Numbers) -> Iterator[dict[str, int]]:
    """Usages of every shape that the entry has prices for, some at the edges of its steps."""
    sold = [bucket for bucket in BUCKETS if bucket in token_prices(entry) | unit_prices(entry)]
    yield {bucket: numbers.below(5_000) for bucket in sold}
    yield {bucket: numbers.below(2_000_000) for bucket in sold if numbers.below(2)}
    small = {"input": 1 + numbers.below(9), "output": numbers.below(3)}
    if "input" in sold:
        yield small
    for step in entry.get("above", []):
        edge = step["input_tokens"]
        cached = numbers.below(edge)
        yield {"input": edge - cached, "cached": cached, "output": numbers.below(100_000)}
        yield {"input": edge - cached, "cached": cached + 1, "output": numbers.below(100_000)}


def moments(entries: list[dict]) -> Iterator[tuple[str, dict]]:
    """When each entry of a model holds, and which it is."""
    for entry in entries:
        yield entry.get("valid_from", "2026-11-21"), entry


def cases() -> Iterator[list[str]]:
    numbers = Numbers()
    for path in sorted(PRICES.glob("*.toml")):
        file = tomllib.loads(path.read_text())
        for model in sorted({entry["id"] for entry in file["models"]}):
            entries = [entry for entry in file["models"] if entry["id"] == model]
            for at, entry in moments(entries):
                tiers = ["standard", *(tier for tier in TIERS if tier in entry.get("tiers", {}))]
                for tier in tiers:
                    for region in ["-", *sorted(entry.get("regions", {}))]:
                        for usage in usages(entry, numbers):
                            counts = usage | {"reasoning": usage.get("output", 0) // 2}
                            length = sum(usage.get(bucket, 0) for bucket in INPUT)
                            prices = sheet(entry, tier, region, length)
                            exact = sum((prices[name] * count for name, count in usage.items()), Fraction(0))
                            pico = exact * 10**12
                            assert pico.denominator == 1, (path, model, tier, region)
                            row = [str(counts.get(bucket, 0)) for bucket in BUCKETS]
                            yield [file["provider"], model, at, tier, region, *row, str(pico.numerator)]


def table() -> str:
    head = "\t".join(["provider", "model", "at", "tier", "region", *BUCKETS, "pico"])
    return "\n".join([head, *("\t".join(case) for case in cases())]) + "\n"


if __name__ == "__main__":
    print(table(), end="")
