"""The short form of the kill loop: a hundred kills in all."""

from __future__ import annotations

from pathlib import Path

import pytest

from kill_loop import kill_loop


@pytest.mark.parametrize(("durability", "seed"), [("power", 1), ("process", 2)])
def test_kills_break_no_promise(tmp_path: Path, durability: str, seed: int) -> None:
    summary = kill_loop(tmp_path, 50, seed, durability)
    assert summary["broken"] == []
    assert summary["ended"]["whole"] > 50 and summary["held_at_death"] > 0, summary
    assert summary["rows_by_outcome"]["gateway_restarted"] == summary["held_at_death"]
    # Kills met calls that a pool pays for, and calls went on where money does.
    assert summary["died_in_a_pool"] > 0 and summary["fell_back"] > 0, summary
