"""Run the benchmarks: ratios against a hand-written floor, both measured in turns in this one run.

    python -m bench.run [--quick] [--engine sqlite] [--only create] [--write docs/performance.md]

Rows are printed as they are measured; a ratio is the median of several rounds, the spread that of their quartiles. The
times beside it say little about another machine. With --write the block between the two marks of a page is made anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import directory, disk, process, sql
from bench.measure import HEAD, Row, Rows
from tests.servers.process import make_directory

MARKS = ("<!-- measured by `make bench` -->", "<!-- end of what was measured -->")
_PACKAGES = ("sqlalchemy", "pymysql", "psycopg", "ldap3")
_REST: dict[str, Callable[[Path, bool], Rows]] = {
    "purge": lambda root, quick: disk.purging(root, quick=quick),
    "measure": lambda root, quick: disk.measuring(root, quick=quick),
    "start": lambda _root, _quick: process.starting(),
}


class Report:
    """Prints lines as they come, and keeps them for the page."""

    def __init__(self, minutes: float) -> None:
        self.lines: list[str] = []
        self._missed: list[str] = []
        self._end = time.monotonic() + minutes * 60

    def say(self, *lines: str) -> None:
        """Print lines."""
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def take(self, name: str, rows: Rows) -> None:
        """Measure some rows; those for which no time is left are named."""
        if time.monotonic() > self._end:
            self.say(f"| {name} | | | | | | not measured: the time was up |")
            return
        for row in rows:
            self.say(row.line())
            if not row.reached and row.why is not None:
                self._missed.append(f"- {_capital(row)}: {row.why()}.")

    def close(self) -> None:
        """Say of the rows that missed their target where the time goes."""
        if self._missed:
            self.say("", "Where the time goes in rows that miss their target (profiled):", "", *self._missed)


def _capital(row: Row) -> str:
    return row.name[0].upper() + row.name[1:]


def surroundings(quick: bool) -> str:
    """Return when, where and with what this was measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores ({_processor()}), "
        f"load {load:.1f} at the start, {packages}{'; small numbers only' if quick else ''}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory for servers and mail, and remove it at the end."""
    place = make_directory(Path(tempfile.gettempdir()) / f"mailstorebench{secrets.token_hex(4)}")
    try:
        yield place
    finally:
        shutil.rmtree(place)


def measure(report: Report, engines: list[str], only: str | None, quick: bool) -> None:
    """Measure what was asked for."""
    chosen = {name: run for name, run in sql.BENCHMARKS.items() if only in (None, name)}
    for engine in engines:
        if engine in sql.ENGINES and chosen:
            with scratch() as place, sql.opened(engine, place, quick=quick) as bench:
                for name, run in chosen.items():
                    report.take(f"{name}, {engine}", run(bench))
        elif engine == "ldap":
            report.take("ldap", directory.run(only, quick))
    for name, rest in _REST.items():
        if only in (None, name):
            with scratch() as place:
                report.take(name, rest(place, quick))


def write(page: Path, block: list[str]) -> None:
    """Replace what stands between the marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    page.write_text("\n".join([before + MARKS[0], *block, MARKS[1]]) + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs")
    parser.add_argument("--engine", choices=(*sql.ENGINES, "ldap"), action="append", help="only this engine")
    parser.add_argument("--only", choices=[*sql.BENCHMARKS, *directory.BENCHMARKS, *_REST], help="only this benchmark")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the block of this page anew")
    parser.add_argument("--minutes", type=float, default=13, help="begin nothing new after so many minutes")
    options = parser.parse_args()
    report = Report(options.minutes)
    report.say(surroundings(options.quick), "", *HEAD)
    measure(report, options.engine or [*sql.ENGINES, "ldap"], options.only, options.quick)
    report.close()
    if options.write:
        write(options.write, report.lines)


if __name__ == "__main__":
    main()
