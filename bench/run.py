"""Run the benchmarks: ratios against a hand-written floor, both measured in this one run.

    python -m bench.run [--quick] [--engine sqlite] [--only create]

A ratio is the median of several alternating measurements; the times beside it say little about another machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event

from bench import directory
from bench.floor import Floor
from bench.measure import Result, alternate, peak_memory
from mailstore.maildir import Homes
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import IRedMailStore
from tests.rigs import Rig
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import make_directory

READY = hash_password("x")
ENGINES = ("sqlite", "mysql", "postgresql")
DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}


def create(rig: Rig, store: IRedMailStore, floor: Floor, quick: bool) -> Iterator[Result]:
    def ours(number: int) -> None:
        store.accounts.create(f"user{number}@example.com", password_hash=READY)

    rounds = 100 if quick else 500
    times = alternate(ours, lambda number: floor.create(number, READY), rounds)
    yield Result(f"create one account, {rig.name}", *times, target=1.5)
    replay = floor.replayed(recorded(store, "recorded@example.com"), "recorded")
    times = alternate(lambda number: ours(number + 2 * rounds), replay, rounds)
    yield Result(f"- the same statements by hand, {rig.name}", *times, target=1.5)


def recorded(store: IRedMailStore, address: str) -> list[tuple[str, Any]]:
    """Create an account; return the statements that this took, with their parameters."""
    engine, statements = store._context.db.engine, []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    store.accounts.create(address, password_hash=READY)
    event.remove(engine, "before_cursor_execute", note)
    return statements


def bulk(rig: Rig, store: IRedMailStore, floor: Floor, quick: bool) -> Iterator[Result]:
    count = 2_000 if quick else 10_000

    def ours(number: int) -> None:
        store.accounts.create_many(
            {"address": f"ours{number}x{n}@example.com", "password_hash": READY} for n in range(count)
        )

    times = alternate(ours, lambda number: floor.create_many(f"hand{number}x", count, READY), 3)
    yield Result(f"create {count:,} accounts in bulk, {rig.name}", *times, target=1.3)


def listing(rig: Rig, store: IRedMailStore, floor: Floor, quick: bool) -> Iterator[Result]:
    count = 10_000 if quick else 100_000
    present = store.accounts.count()
    floor.create_many("list", max(count - present, 0), READY)
    total = store.accounts.count()
    analyse(rig)

    def ours(_: int) -> None:
        assert sum(1 for _ in store.accounts.list()) == total

    times = alternate(ours, lambda _: floor.fetch(RAW), 3)
    yield Result(f"list {total:,} accounts, {rig.name}", *times, target=2.5)
    small, large = peak_memory(store, 2_000), peak_memory(store, total)
    print(f"peak memory while listing, {rig.name}: {small / 1e6:.1f} MB for 2,000, {large / 1e6:.1f} MB for {total:,}")


RAW = (
    """SELECT m.*, s.bcc_address, r.bcc_address, h.relayhost, q.bytes, q.messages, l.imap, l.pop3, l.lda
       FROM mailbox AS m LEFT JOIN sender_bcc_user AS s ON s.username = m.username
       LEFT JOIN recipient_bcc_user AS r ON r.username = m.username
       LEFT JOIN sender_relayhost AS h ON h.account = m.username
       LEFT JOIN used_quota AS q ON q.username = m.username
       LEFT JOIN last_login AS l ON l.username = m.username ORDER BY m.username""",
    "SELECT address, forwarding, is_alias FROM forwardings WHERE is_forwarding = 1 OR is_alias = 1",
)
"""What somebody would write who wants all that a listing shows."""


def analyse(rig: Rig) -> None:
    """Give the planner its statistics, which any server that runs for a while has."""
    tables = "mailbox, forwardings"
    rig.execute({"mysql": f"ANALYZE TABLE {tables}", "postgresql": "ANALYZE"}.get(rig.name, "ANALYZE"))


def purging(root: Path, quick: bool) -> Iterator[Result]:
    """Unlink a mailbox of 20,000 messages, against `rm -rf` of the same tree on the same file system."""
    files = 2_000 if quick else 20_000
    homes = Homes([str(root)])

    def make(name: str) -> Path:
        home = root / "example.com" / name
        for folder in ("cur", "new", "tmp"):
            (home / "Maildir" / folder).mkdir(parents=True)
        for number in range(files):
            (home / "Maildir/cur" / f"{number}.message:2,S").touch()
        os.sync()
        return home

    ours, floor = [], []
    for number in range(4):
        home = make(f"ours{number}")
        start = time.perf_counter()
        trashed = homes.set_aside(str(home), f"bench-{number}")
        assert trashed is not None
        homes.unlink(trashed)
        ours.append(time.perf_counter() - start)
        home = make(f"hand{number}")
        start = time.perf_counter()
        subprocess.run(["rm", "-rf", str(home)], check=True)
        floor.append(time.perf_counter() - start)
    yield Result(f"purge {files:,} files", statistics.median(ours), statistics.median(floor), target=1.2)


def starting() -> Iterator[Result]:
    """Return the process time of `mailstore --version` and of bare Python."""

    def cpu(command: list[str]) -> float:
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    command = shutil.which("mailstore", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    assert command is not None
    ours = statistics.median(cpu([command, "--version"]) for _ in range(15))
    bare = statistics.median(cpu([sys.executable, "-c", "pass"]) for _ in range(15))
    over = (ours - bare) * 1000
    print(f"mailstore --version: {over:.0f} ms of process time over bare Python (target: 150 ms)")
    return iter(())


@contextmanager
def rigs(names: list[str]) -> Iterator[Iterator[tuple[Rig, Path]]]:
    """Start what the engines need in a directory of its own, and remove it at the end."""
    scratch = make_directory(Path(tempfile.gettempdir()) / f"mailstorebench{secrets.token_hex(4)}")
    try:
        yield ((rig, scratch) for name in names for rig in one_rig(name, scratch))
    finally:
        shutil.rmtree(scratch)


def one_rig(name: str, scratch: Path) -> Iterator[Rig]:
    root = make_directory(scratch / f"homes-{name}")
    if name == "sqlite":
        file = scratch / "vmail.db"
        yield Rig(name, f"iredmail+sqlite:///{file}", f"sqlite+pysqlite:///{file}", root, (os.getuid(), os.getgid()))
        return
    # Durable servers: the speed options of the tests would flatter neither side, but change the proportion.
    with {"mysql": MariaDB, "postgresql": PostgreSQL}[name](scratch / name) as server:
        server.create_database("vmail")
        url = server.url("vmail")
        yield Rig(name, url, DRIVERS[name] + url[url.index(":") :], root, (os.getuid(), os.getgid()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs")
    parser.add_argument("--engine", choices=(*ENGINES, "ldap"), action="append", help="only this engine")
    parser.add_argument(
        "--only", choices=["create", "modify", "rename", "bulk", "list", "purge", "start"], help="only this benchmark"
    )
    options = parser.parse_args()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n"
    )
    results: list[Result] = []
    benchmarks = {"create": create, "bulk": bulk, "list": listing}
    chosen = [benchmarks[name] for name in benchmarks if options.only in (None, name)]
    engines = [name for name in options.engine or ENGINES if name in ENGINES]
    with rigs(engines if chosen else []) as found:
        for rig, _ in found:
            with rig.open_without_disk() as store:
                store.domains.create("example.com")
                floor = Floor(rig.name, rig.native)
                for benchmark in chosen:
                    results += benchmark(rig, store, floor, options.quick)
                floor.close()
            rig.close()
    if "ldap" in (options.engine or ("ldap",)):
        results += directory.run(options.only, options.quick)
    if options.only in (None, "purge"):
        scratch = make_directory(Path(tempfile.gettempdir()) / f"mailstorebench{secrets.token_hex(4)}")
        try:
            results += purging(scratch, options.quick)
        finally:
            shutil.rmtree(scratch)
    if options.only in (None, "start"):
        results += starting()
    print("\n| what | mailstore ms | floor ms | ratio | target | reached |\n|---|---|---|---|---|---|")
    for result in results:
        print(result.line())


if __name__ == "__main__":
    main()
