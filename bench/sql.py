"""iRedMail's schema on each SQL engine: accounts one by one, in bulk, in lists, and with their whole domain."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from bench.floor import Floor
from bench.measure import Row, Rows, Times, alternate, peak_memory, where
from bench.process import listings, showing
from mailstore import Store
from mailstore.passwords import hash_password
from tests.rigs import Rig
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import make_directory

__all__ = ["BENCHMARKS", "ENGINES", "Bench", "opened"]

ENGINES = ("sqlite", "mysql", "postgresql")
_DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}
_DOMAIN = "example.com"
_READY = hash_password("x")


@dataclass(frozen=True)
class Bench:
    """One engine with a domain in its store. ``quick`` asks for small numbers."""

    rig: Rig
    store: Store
    floor: Floor
    quick: bool

    @property
    def engine(self) -> str:
        """The name of the engine."""
        return self.rig.name

    @property
    def rounds(self) -> int:
        """How often something small is done."""
        return 50 if self.quick else 500

    def create(self, name: str) -> None:
        """Create an account with a ready hash."""
        self.store.accounts.create(f"{name}@{_DOMAIN}", password_hash=_READY)


@contextlib.contextmanager
def opened(engine: str, scratch: Path, *, quick: bool) -> Iterator[Bench]:
    """Start what an engine needs in a directory, and open a store and the floor on it."""
    with (
        _rig(engine, scratch) as rig,
        contextlib.closing(rig),
        rig.open_without_disk() as store,
        contextlib.closing(Floor(rig.name, rig.native)) as floor,
    ):
        store.domains.create(_DOMAIN)
        yield Bench(rig, store, floor, quick)


@contextlib.contextmanager
def _rig(engine: str, scratch: Path) -> Iterator[Rig]:
    root, owner = make_directory(scratch / f"homes-{engine}"), (os.getuid(), os.getgid())
    if engine == "sqlite":
        file = scratch / "vmail.db"
        yield Rig(engine, f"iredmail+sqlite:///{file}", f"sqlite+pysqlite:///{file}", root, owner)
        return
    # Durable servers: the speed options of the tests would flatter neither side, but change the proportion.
    with {"mysql": MariaDB, "postgresql": PostgreSQL}[engine](scratch / engine) as server:
        server.create_database("vmail")
        url = server.url("vmail")
        yield Rig(engine, url, _DRIVERS[engine] + url[url.index(":") :], root, owner)


def creating(bench: Bench) -> Rows:
    def ours(number: int) -> None:
        bench.create(f"user{number}")

    def hundred() -> None:
        for number in range(100):
            bench.create(f"profiled{number}")

    times = alternate(ours, lambda number: bench.floor.create(number, _READY), bench.rounds)
    target = 1.3 if bench.engine == "sqlite" else 1.8
    yield Row(f"create one account, {bench.engine}", times, target, why=lambda: where(hundred))
    replay = bench.floor.replayed(recorded(lambda: bench.create("recorded")), "recorded")
    times = alternate(lambda number: bench.create(f"again{number}"), replay, bench.rounds)
    yield Row(f"- the same statements by hand, {bench.engine}", times, 1.25)


def recorded(run: Callable[[], object]) -> list[tuple[str, Any]]:
    """Return the statements that something takes, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        run()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return statements


def renaming(bench: Bench) -> Rows:
    accounts = bench.store.accounts

    def ours(number: int) -> None:
        accounts.rename(f"travelling{number}@{_DOMAIN}", f"travelling{number + 1}@{_DOMAIN}")

    last = bench.rounds
    # The second of its creation is over when it is profiled: until then a renamed account keeps its caller waiting.
    bench.create(f"travelling{last}")
    bench.create("travelling0")
    times = alternate(ours, lambda number: bench.create(f"meanwhile{number}"), last // 2)
    yield Row(
        f"rename one account (floor: a create), {bench.engine}", times, 3.0, why=lambda: where(lambda: ours(last))
    )


def deleting(bench: Bench) -> Rows:
    accounts = bench.store.accounts

    def ours(number: int) -> None:
        accounts.delete(f"leaving{number}@{_DOMAIN}")

    bench.create("leaving0")
    times = alternate(ours, lambda number: bench.create(f"leaving{number + 1}"), bench.rounds // 2)
    last = bench.rounds
    bench.create(f"leaving{last}")
    yield Row(
        f"delete one account (floor: a create), {bench.engine}", times, 3.0, why=lambda: where(lambda: ours(last))
    )


def _accounts(prefix: str, count: int, domain: str = _DOMAIN) -> Iterator[Mapping[str, Any]]:
    return ({"address": f"{prefix}{number}@{domain}", "password_hash": _READY} for number in range(count))


def bulk(bench: Bench) -> Rows:
    count = 1_000 if bench.quick else 10_000

    def ours(number: int) -> None:
        bench.store.accounts.create_many(_accounts(f"ours{number}x", count))

    times = alternate(ours, lambda number: bench.floor.create_many(f"hand{number}x", count, _READY), 3)
    yield Row(
        f"{count:,} accounts in bulk, each, {bench.engine}",
        times.each(count),
        1.5,
        why=lambda: where(lambda: ours(9)),
    )


def listing(bench: Bench) -> Rows:
    accounts = bench.store.accounts
    count = 5_000 if bench.quick else 100_000
    bench.floor.create_many("list", max(count - accounts.count(), 0), _READY)
    total = accounts.count()
    analyse(bench.rig)

    def ours(_: int) -> None:
        assert sum(1 for _ in accounts.list()) == total

    times = alternate(ours, lambda _: bench.floor.fetch(RAW), 3, warm_up=bench.quick)
    yield Row(
        f"list {total:,} accounts, each, {bench.engine}", times.each(total), 2.0, why=lambda: where(lambda: ours(0))
    )
    times = alternate(lambda _: accounts.count(), lambda _: bench.floor.fetch([COUNT]), 10)
    yield Row(f"count {total:,} accounts, {bench.engine}", times, 1.5)
    small, large = (peak_memory(bench.store, number) / 1e6 for number in (2_000, min(total, 20_000)))
    print(f"Peak memory while listing, {bench.engine}: {small:.1f} MB for 2,000, {large:.1f} MB for more.", flush=True)
    yield from listings(bench.rig.url, bench.engine, ours, total)


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
COUNT = "SELECT COUNT(*) FROM mailbox"


def analyse(rig: Rig) -> None:
    """Give the planner its statistics, which any server that runs for a while has."""
    rig.execute("ANALYZE TABLE mailbox, forwardings" if rig.name == "mysql" else "ANALYZE")


def whole_domain(bench: Bench) -> Rows:
    """Check, and delete with records of everybody, a domain of its own among all the other accounts."""
    count, domain = 1_000 if bench.quick else 20_000, "leaving.example"
    bench.store.domains.create(domain)
    bench.store.accounts.create_many(_accounts("u", count, domain))
    analyse(bench.rig)
    start = time.perf_counter()
    assert not [finding for finding in bench.store.check() if finding.severity == "error"]
    checked = (time.perf_counter() - start) / bench.store.accounts.count()
    yield Row(f"check, each account, {bench.engine}", Times([checked], []), 0.1, limit=True)
    gone = 0

    def delete() -> None:
        nonlocal gone
        gone = bench.store.domains.delete(domain)

    start = time.perf_counter()
    why = where(delete) if bench.quick else ""
    if not why:
        delete()
    each = (time.perf_counter() - start) / count
    assert gone == count
    yield Row(
        f"delete a domain of {count:,} accounts, each, {bench.engine}",
        Times([each], []),
        0.1,
        limit=True,
        why=lambda: why or "see `make bench QUICK=1`",
    )


def command_line(bench: Bench) -> Rows:
    bench.create("shown")
    yield from showing(bench.rig.url, bench.engine, f"shown@{_DOMAIN}")


BENCHMARKS: Mapping[str, Callable[[Bench], Rows]] = {
    "create": creating,
    "rename": renaming,
    "delete": deleting,
    "show": command_line,
    "bulk": bulk,
    "list": listing,
    "domain": whole_domain,
}
