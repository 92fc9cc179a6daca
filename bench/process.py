"""The command line, in seconds of process time, which a busy machine changes least."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench.measure import Row, Rows, Times, cpu_seconds

__all__ = ["listings", "showing", "starting"]

_TIMES = 7


@cache
def _command() -> str:
    found = shutil.which("mailstore", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    assert found is not None
    return found


def _over(bare: list[str], *arguments: str) -> Times:
    """Return the process time of a command over that of another one."""
    runs = [(cpu_seconds([_command(), *arguments]), cpu_seconds(bare)) for _ in range(_TIMES)]
    return Times([ours - theirs for ours, theirs in runs], [])


def starting() -> Rows:
    """Ask for the version: what every command pays."""
    yield Row("`mailstore --version` over bare Python", _over([sys.executable, "-c", ""], "--version"), 150, limit=True)


def showing(url: str, engine: str, address: str) -> Rows:
    """Show one account."""
    times = _over([sys.executable, "-c", ""], "--url", url, "account", "show", address)
    yield Row(f"`account show` over bare Python, {engine}", times, 250, limit=True)


def listings(url: str, engine: str, library: Callable[[int], object], count: int) -> Rows:
    """List all accounts in each form, beyond what a command costs anyway, against the listing of the library."""
    start = time.process_time()
    library(0)
    floor = time.process_time() - start
    common = [_command(), "--url", url]
    base = statistics.median(cpu_seconds([*common, "account", "list", "--count"]) for _ in range(3))
    for form in ("json", "csv", "lines"):
        ours = cpu_seconds([*common, "--format", form, "account", "list"]) - base
        yield Row(f"`account list --format {form}`, each, {engine}", Times([ours], [floor]).each(count), 1.5)
