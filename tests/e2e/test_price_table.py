"""The table of costs that `crates/pricing` is held to is the one that an independent computation makes."""

from pathlib import Path

from price_table import table

TABLE = Path(__file__).resolve().parents[2] / "crates/pricing/tests/price_table.tsv"


def test_the_table_is_what_is_worked_out() -> None:
    worked_out = table()
    assert worked_out.count("\n") > 1_000
    assert TABLE.read_text() == worked_out, "run: python3 tests/e2e/price_table.py > crates/pricing/tests/price_table.tsv"
