"""Measure what moving a store costs, against creating the same rows in bulk and against reading both sides once.

    python -m bench.transfer [--accounts 100000] [--engine sqlite]

Memory is the most bytes that Python had allocated at once.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.sql import ENGINES, opened
from mailstore.passwords import hash_password
from mailstore.store import Store
from mailstore.transfer import Loader, dump, read_entries, write_entries
from tests.rigs import Rig
from tests.servers.process import make_directory

READY = hash_password("x")
FIELDS: dict[str, Any] = {"name": "Bob Example", "quota": 1 << 30, "language": "en_US", "department": "Sales"}
LATER = {"forwarding", "keep_copy", "aliases"}


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Iterate over new accounts."""
    for number in range(count):
        yield {"address": f"user{number:06}@example.com", "password_hash": READY, **FIELDS}


def same_rows(store: Store) -> list[dict[str, Any]]:
    """Return all accounts of a store as rows that make them again, with all that a dump says of them."""
    names = store.accounts.fields - LATER
    return [
        {
            "address": one.address,
            "home": one.home,
            "password_hash": READY,
            **{name: getattr(one, name) for name in names},
        }
        for one in store.accounts.list()
    ]


def timed(what: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Return the seconds that something takes."""
    start = clock()
    what()
    return clock() - start


def peak(what: Callable[[], Any]) -> float:
    """Return the megabytes that something needs at once."""
    tracemalloc.start()
    try:
        what()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def exhausted(some: Iterator[Any]) -> None:
    """Read something to its end."""
    for _ in some:
        pass


def emptied(rig: Rig) -> None:
    """Leave nothing but the domain."""
    rig.clear()
    rig.shared.domains.create("example.com")


def measure(rig: Rig, store: Store, count: int, scratch: Path) -> None:
    """Print a line for each of dump, load and the idle second run."""
    file = scratch / "dump.jsonl"

    def fill(number: int) -> None:
        emptied(rig)
        store.accounts.create_many(rows(number))

    def write() -> None:
        with file.open("w") as stream:
            write_entries(dump(store), stream.write, services=store.accounts.service_names)

    def load() -> None:
        with file.open() as stream:
            exhausted(Loader(store).load(read_entries(stream)))

    # What is done in a file is all done by this process, whoever else uses the machine.
    clock = time.process_time if rig.name == "sqlite" else time.perf_counter
    fill(count)
    again = same_rows(store)
    emptied(rig)
    filled = timed(lambda: store.accounts.create_many(again), clock)
    reading = timed(lambda: exhausted(store.accounts.list()), clock)
    dumped = timed(write, clock)
    rig.clear()
    loaded = timed(load, clock)
    idle = timed(lambda: exhausted(Loader(store).load(dump(store))), clock)
    compared = timed(lambda: exhausted(Loader(store).compare(dump(store))), clock)
    for name, seconds, floor in (
        ("dump, by a list of the accounts", dumped, reading), ("load, by create_many of the same rows", loaded, filled),
        ("idle second run, by two lists of the accounts", idle, 2 * reading),
        ("comparison, by two lists of the accounts", compared, 2 * reading),
    ):  # fmt: skip
        print(f"| {name}, {rig.name} | {seconds:.1f} s | {floor:.1f} s | {seconds / floor:.2f} |")
    memory(rig, store, count, file, fill, write, load)


def memory(rig: Rig, store: Store, count: int, file: Path, fill: Callable[[int], None], write: Any, load: Any) -> None:
    """Print the memory of each for some accounts and for three times as many: it must not grow."""
    largest = min(count, 30_000)
    for name, act in (
        ("dump", write), ("load", load), ("idle second run", lambda: exhausted(Loader(store).load(dump(store))))
    ):  # fmt: skip
        found: list[float] = []
        for number in (largest // 3, largest):
            fill(number)
            write()
            if name == "load":
                rig.clear()
            found.append(peak(act))
        print(f"| memory of {name}, {rig.name} | {found[0]:.1f} MB | {found[1]:.1f} MB |")
    file.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    options = parser.parse_args()
    scratch = make_directory(Path(tempfile.gettempdir()) / f"mailstorebench{secrets.token_hex(4)}")
    try:
        for name in options.engine or ["sqlite"]:
            with opened(name, scratch, quick=False) as bench:
                measure(bench.rig, bench.store, options.accounts, scratch)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
