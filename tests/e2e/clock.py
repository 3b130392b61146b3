"""A wall clock that a test sets: for what begins anew with a day or a month, or ends on one.

libfaketime (Debian's package `faketime`) stands between the gateway and its system: the time of day that the process
asks for is moved, its monotonic time is not, so that waits last as long as ever. The clock runs on from where it was
set. What is no child of the test (the test itself, the mock) keeps the real time.
"""

from __future__ import annotations

import email.utils
import functools
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness import HTTP, Gateway, environment, eventually

#: Set where a missing library is a failure and no reason to skip: `cargo xtask test` installs it and sets this.
REQUIRED = "TOLLKEEPER_TESTS_REQUIRE_FAKETIME"
#: How far the gateway's clock may be from the one wanted: the header that tells it has whole seconds.
TOLERANCE = timedelta(seconds=5)


@functools.cache
def library() -> str | None:
    """What to preload, as the command `faketime` would; nothing where it is not installed."""
    command = shutil.which("faketime")
    if command is None:
        return None
    asked = [command, "-m", "2030-01-01", "printenv", "LD_PRELOAD"]
    told = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=20, check=False)
    return told.stdout.strip() or None


def needed_library() -> str:
    """What to preload; skips the test where it may be missing, fails it where it may not."""
    found = library()
    if found:
        return found
    missing = "the gateway's clock cannot be set: `faketime` is not installed (apt-get install faketime)"
    if os.environ.get(REQUIRED):
        pytest.fail(missing)
    pytest.skip(missing)


def moment(text: str) -> datetime:
    """`2026-12-31 23:59:58`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class GatewayAt(Gateway):
    """A gateway whose clock is set, and its operator's commands by the same clock."""

    #: How far its clock is ahead of the real one.
    ahead: timedelta = field(default=timedelta(0))

    def set_clock(self, to: datetime) -> None:
        """The process reads the file at every look at its clock, so it must never be half written."""
        self.ahead = to - datetime.now(UTC)
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._offset_file()
        written = file.with_suffix(".new")
        written.write_text(f"{self.ahead.total_seconds():+.6f}\n")
        written.replace(file)
        self.env |= {
            "LD_PRELOAD": needed_library(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def _offset_file(self) -> Path:
        return self.folder / "clock"

    def now(self) -> datetime:
        """What its clock shows."""
        return datetime.now(UTC) + self.ahead

    def start(self) -> GatewayAt:
        super().start()
        self._see_clock()
        return self

    def travel(self, to: str | timedelta) -> None:
        """Sets the clock ahead: to a moment (UTC), or by a span."""
        goal = moment(to) if isinstance(to, str) else self.now() + to
        assert goal > self.now(), f"{to} is past: it is {self.now()}"
        self.set_clock(goal)
        if self.child:
            self._see_clock()

    def _see_clock(self) -> None:
        """The gateway must show the time that was set, or all that follows would prove nothing."""

        def shown() -> bool:
            date = HTTP.get(self.url + "/livez").headers["date"]
            return abs(email.utils.parsedate_to_datetime(date) - self.now()) < TOLERANCE

        eventually(shown, f"a gateway that shows {self.now()}")
