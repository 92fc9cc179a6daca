"""Measure what the tests cost: CPU seconds of their processes and of the servers that they start, by folder.

    python -m bench.suite                     # the whole suite, as `make pytest` runs it
    python -m bench.suite tests/policies -n 2 # a part of it; arguments are pytest's
    python -m bench.suite --top 20 tests/ldap # and the most costly tests

Seconds on the clock say how busy a machine was; CPU seconds (user and system) stay about the same. What a test costs is
what its own process, children that ended and all living descendants (the private servers) used while it ran, with its
fixtures. So the first test that needs a server pays for its start. The rest is collecting and stopping.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PLACE = "MAILSTORE_SUITE_COSTS"
"""Names the directory where each process of pytest writes what its tests cost; children inherit it."""
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note what a test costs, while this module is a plugin of pytest."""
    before = _used()
    try:
        return (yield)
    finally:
        cost = {"test": item.nodeid, "seconds": round(_used() - before, 3)}
        with (Path(os.environ[PLACE]) / str(os.getpid())).open("a", encoding="utf-8") as file:
            file.write(json.dumps(cost) + "\n")


def _used() -> float:
    """Return the CPU seconds of this process, of its children that ended, and of all that descend from it and live."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(map(_used_by, _descendants(os.getpid())))


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:  # it ended meanwhile
            continue
    return found


def _used_by(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    # utime, stime, and both of the children it has waited for; the name in parentheses may hold spaces.
    return sum(map(int, stat.rpartition(")")[2].split()[11:15])) * _TICK


def main() -> int:
    """Run the tests, print the table as Markdown, and return what pytest returned."""
    parser = argparse.ArgumentParser(description="CPU seconds of the tests by folder; other arguments are pytest's")
    parser.add_argument("--top", type=int, default=0, metavar="N", help="print the N most costly tests and files, too")
    options, arguments = parser.parse_known_args()
    if not any(word.startswith("-n") for word in arguments):
        arguments += ["-n", "auto", "--dist", "worksteal"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "bench.suite", *arguments]
        done = subprocess.run(command, cwd=PROJECT, env={**os.environ, PLACE: folder}, check=False)
        costs = _read(Path(folder))
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    _print(costs, usage.ru_utime + usage.ru_stime, options.top)
    return done.returncode


def _read(folder: Path) -> dict[str, float]:
    lines = [line for file in folder.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    return {cost["test"]: cost["seconds"] for cost in map(json.loads, lines)}


def _print(costs: dict[str, float], whole: float, top: int) -> None:
    folders: dict[str, list[float]] = defaultdict(list)
    files: dict[str, float] = defaultdict(float)
    for test, seconds in costs.items():
        file = test.partition("::")[0]
        folders[str(Path(file).parent)].append(seconds)
        files[file] += seconds
    print("\n| folder | tests | CPU seconds |\n|---|---|---|")
    for folder, those in sorted(folders.items(), key=lambda entry: -sum(entry[1])):
        print(f"| `{folder}` | {len(those)} | {sum(those):.0f} |")
    print(f"| collecting, stopping | | {whole - sum(costs.values()):.0f} |")
    print(f"| all | {len(costs)} | {whole:.0f} |")
    for table in (files, costs) if top else ():
        print()
        for name, seconds in sorted(table.items(), key=lambda entry: -entry[1])[:top]:
            print(f"{seconds:7.2f}  {name}")


if __name__ == "__main__":
    sys.exit(main())
