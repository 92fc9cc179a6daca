"""A directory that may be broken: its server is killed, or its client dies, before any write of an operation.

What stands in it, and in the database beside it, is compared and put back.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event

from mailstore.ldap.iredmail.schema.tree import ADMINS, DOMAINS
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.ldap.names import comparable
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.schema.tables import define
from tests.ldap.rig import LdapRig, store_url
from tests.servers.process import make_directory
from tests.servers.slapd import Slapd

__all__ = [
    "HASH", "Image", "State", "die_before", "differences", "make_rig", "problems", "state_of", "watching", "without_locks",
    "writes_of",
]  # fmt: skip

HASH = hash_password("secret")
WRITES = {"add", "modify", "rename", "delete"}
_STAMP = re.compile(r"-\d{4}(\.\d\d){5}")
_LOCK = re.compile(r"mailstoreLock:\d+:[0-9a-f]+")
Tree = dict[str, dict[str, list[bytes]]]
State = dict[str, set[str]]
"""What stands where: lines by the name of an entry or table."""


def make_rig(server: Slapd, scratch: Path, owner: tuple[int, int]) -> LdapRig:
    """Return a rig on a server, with a database beside it that has iRedMail's tables, in a file."""
    file = make_directory(scratch / "beside") / "iredadmin.db"
    rig = LdapRig("faults", server, make_directory(scratch / "homes"), owner, store_url(server))
    rig.options = {"retention": f"sqlite:///{file}", "home_root": str(rig.root)}
    os.chown(rig.root, *owner)
    rig.shared = rig.open_without_disk()
    metadata = define("sqlite")
    names = ("deleted_mailboxes", "mailstore_deleted", "used_quota", "last_login", "share_folder", "anyone_shares")
    metadata.create_all(rig.shared._context.companion.db.engine, tables=[metadata.tables[name] for name in names])
    return rig


def problems(store: IRedMailDirectory) -> list[Any]:
    """Return what the store's own checker finds to be wrong."""
    return [finding for finding in store.check() if finding.severity == "error"]


@dataclass(frozen=True)
class Image:
    """All entries and all rows of a rig at one moment."""

    rig: LdapRig
    tree: dict[str, dict[str, list[bytes]]]
    rows: dict[str, list[dict[str, Any]]]

    @classmethod
    def take(cls, rig: LdapRig) -> Image:
        """Read everything."""
        companion = rig.shared._context.companion
        with companion.db.reading() as connection:
            rows = {
                name: [dict(row._mapping) for row in connection.execute(table.select())]
                for name, table in companion.tables.items()
            }
        return cls(rig, _entries(rig.server), rows)

    def put_back(self) -> None:
        """Make everything as it was; what is so already is left alone."""
        found = _entries(self.rig.server)
        with self.rig.server.connect() as connection:
            for dn in sorted(found.keys() - self.tree.keys(), key=len, reverse=True):
                _require(connection, connection.delete(dn))
            for dn in sorted(self.tree, key=len):
                if dn not in found:
                    _require(connection, connection.add(dn, attributes=self.tree[dn]))
                elif found[dn] != self.tree[dn]:
                    names = {
                        name for name in (*found[dn], *self.tree[dn]) if found[dn].get(name) != self.tree[dn].get(name)
                    }
                    changes = {name: [("MODIFY_REPLACE", self.tree[dn].get(name, []))] for name in names}
                    _require(connection, connection.modify(dn, changes))
        self._put_back_rows()

    def _put_back_rows(self) -> None:
        companion = self.rig.shared._context.companion
        with companion.db.writing() as tx:
            for name, table in companion.tables.items():
                tx.execute(table.delete())
                if self.rows[name]:
                    tx.execute(table.insert(), self.rows[name])


def _require(connection: Any, done: bool) -> None:
    assert done, connection.result


def _entries(server: Slapd) -> Tree:
    found: Tree = {}
    with server.connect() as connection:
        for top in (DOMAINS, ADMINS):
            connection.search(f"{top},{server.suffix}", "(objectClass=*)", attributes=["*"])
            found |= {entry["dn"]: dict(entry["raw_attributes"]) for entry in connection.response if "dn" in entry}
    return found


def state_of(rig: LdapRig) -> State:
    """Return all entries and rows without what differs between two runs of an operation: times, numbers, salts, locks.

    The panel's counters are left out: they are caches, and nobody counts for a process that has died.
    """
    state: State = {}
    for dn, attributes in _entries(rig.server).items():
        counted = {name: values for name, values in attributes.items() if not name.startswith("domainCurrent")}
        lines = (f"{name}: {value.decode()}" for name, values in counted.items() for value in values)
        state[comparable(dn)] = {_LOCK.sub("mailstoreLock:VALUE", _STAMP.sub("-STAMP", line)) for line in lines}
    companion = rig.shared._context.companion
    with companion.db.reading() as connection:
        for name, table in companion.tables.items():
            rows = connection.execute(table.select()).mappings()
            state[f"table {name}"] = {_STAMP.sub("-STAMP", _lasting(dict(row))) for row in rows}
    return state


def _lasting(row: dict[str, Any]) -> str:
    if "snapshot" in row:
        return str(sorted(json.loads(row["snapshot"])["references"]))
    return str({name: value for name, value in row.items() if name not in {"id", "timestamp"}})


def without_locks(state: State) -> State:
    """Return a state without the locks of the dead."""
    return {name: {line for line in lines if ": mailstoreLock:" not in line} for name, lines in state.items()}


def differences(found: State, wanted: State) -> list[str]:
    """Return what is there but not wanted (+), and what is wanted but not there (-)."""
    lines: list[str] = []
    for name in sorted({*found, *wanted}):
        here, there = found.get(name, set()), wanted.get(name, set())
        lines += [f"+ {name}: {line}" for line in sorted(here - there)]
        lines += [f"- {name}: {line}" for line in sorted(there - here)]
    return lines


@contextmanager
def watching(store: IRedMailDirectory, action: Callable[[int, str, str], None]) -> Iterator[None]:
    """Call `action` with number (from 1), kind and name before every write that is sent to the directory."""
    sent = 0

    def observe(kind: str, dn: str) -> None:
        nonlocal sent
        if kind in WRITES:
            sent += 1
            action(sent, kind, dn)

    observers = store._context.directory.observers
    observers.append(observe)
    try:
        yield
    finally:
        observers.remove(observe)


def writes_of(store: IRedMailDirectory, run: Callable[[IRedMailDirectory], object]) -> list[tuple[str, str]]:
    """Do something and return what it wrote: kinds and names."""
    seen: list[tuple[str, str]] = []
    with watching(store, lambda _number, kind, dn: seen.append((kind, dn))):
        run(store)
    return seen


def die_before(store: IRedMailDirectory, number: int) -> None:
    """Make this process kill itself before its write `number`. For child processes: nothing is taken back.

    A write is one to the directory, or a statement or a commit in the database beside it.
    """
    taken = 0

    def step(*_arguments: object) -> None:
        nonlocal taken
        taken += 1
        if taken == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if not text.startswith(("SELECT", "PRAGMA", "BEGIN")):
            step()

    engine = store._context.companion.db.engine
    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", step)
    store._context.directory.observers.append(lambda kind, _dn: step() if kind in WRITES else None)
