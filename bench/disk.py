"""Mail on disk: removing it, and measuring it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from bench.measure import Row, Rows, Times, alternate, where
from mailstore.maildir import Homes

__all__ = ["measuring", "purging"]


def _make(home: Path, files: int) -> None:
    for folder in ("cur", "new", "tmp"):
        (home / "Maildir" / folder).mkdir(parents=True)
    for number in range(files):
        (home / "Maildir/cur" / f"{number}.message:2,S").write_bytes(b"x")


def purging(root: Path, *, quick: bool) -> Rows:
    """Unlink a mailbox, against `rm -rf` of the same tree on the same file system."""
    files, homes = 2_000 if quick else 20_000, Homes([str(root)])
    ours, floor = [], []
    for number in range(4):
        home = root / f"example.com/ours{number}"
        _make(home, files)
        os.sync()
        start = time.perf_counter()
        trashed = homes.set_aside(str(home), f"bench-{number}")
        assert trashed is not None
        homes.unlink(trashed)
        ours.append(time.perf_counter() - start)
        home = root / f"example.com/hand{number}"
        _make(home, files)
        os.sync()
        start = time.perf_counter()
        subprocess.run(["rm", "-rf", str(home)], check=True)
        floor.append(time.perf_counter() - start)
    yield Row(f"purge {files:,} files", Times(ours, floor), 1.0)


def measuring(root: Path, *, quick: bool) -> Rows:
    """Measure the usage of many homes, against `du` over all of them at once."""
    count, homes = 200 if quick else 2_000, Homes([str(root)])
    places = [root / f"measured.example/{number % 100}/user{number}" for number in range(count)]
    for place in places:
        _make(place, 3)

    def ours(_: int) -> None:
        for place in places:
            assert homes.measure(str(place)).messages == 3

    def du(_: int) -> None:
        subprocess.run(["du", "-sb", str(root / "measured.example")], check=True, stdout=subprocess.DEVNULL)

    yield Row(
        f"measure {count:,} homes, each",
        alternate(ours, du, 5).each(count),
        1.2,
        why=lambda: where(lambda: ours(0)),
    )
