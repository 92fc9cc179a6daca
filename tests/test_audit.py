"""Every change leaves an entry in the audit log, whichever program makes it, and no secret does."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import BulkRefused, Capability, ConfigurationError, NotFound, Quota, Store
from mailstore.around import READING, Call, Passing, around
from mailstore.audit import Trail, Who, watched
from mailstore.audit.sinks import JournalSink, SyslogSink
from mailstore.audit.trail import Change
from mailstore.passwords import hash_password
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.rigs import Rig
    from tests.stores import StoreRig

BOB, SECRET = "bob@example.com", "nobody may read this"
READY = hash_password(SECRET)
WHO = Who("test", "operator", "192.0.2.1", "r1")


class Noted:
    """A place for entries in memory."""

    def __init__(self) -> None:
        self.entries: list[Mapping[str, Any]] = []

    def write(self, entry: Mapping[str, Any]) -> None:
        assert SECRET not in json.dumps(entry)
        assert READY not in json.dumps(entry)
        self.entries.append(entry)

    def told(self) -> list[tuple[str, str, str]]:
        """Return and forget operation, subject and result of each."""
        told = [(entry["operation"], entry["subject"], entry["result"]) for entry in self.entries]
        self.entries.clear()
        return told


@pytest.fixture(params=["sqlite", "mailinabox", "ldap"])
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> StoreRig:
    found = rigs(request.param)
    found.clear()
    empty_homes(found)
    return found


@pytest.fixture
def sqlite(rigs: Callable[[str], StoreRig]) -> StoreRig:
    found = rigs("sqlite")
    found.clear()
    empty_homes(found)
    return found


def test_each_change_is_told_once(rig: StoreRig) -> None:
    noted = Noted()
    store = watched(rig.shared, Trail([], [noted]), WHO)
    if Capability.DOMAINS in store.capabilities:
        store.domains.create("example.com")
        assert noted.told() == [("domains.create", "example.com", "done")]
    store.accounts.create(BOB, password=SECRET)
    store.accounts.create_many([{"address": f"u{n}@example.com", "password_hash": READY} for n in range(2)])
    store.accounts.update(BOB, quota="1G")
    assert noted.entries[-1]["parameters"] == {"quota": "1G"}
    store.accounts.get(BOB)
    assert store.accounts.verify_password(BOB, SECRET)
    assert len(list(store.accounts.list())) == 3
    with suppress(NotFound):
        store.accounts.delete("nobody@example.com")
    assert noted.entries[-1]["error"].startswith("NotFound: ")
    store.accounts.delete(BOB)
    assert noted.told() == [
        ("accounts.create", BOB, "done"),
        ("accounts.create", "u0@example.com", "done"),
        ("accounts.create", "u1@example.com", "done"),
        ("accounts.update", BOB, "done"),
        ("accounts.delete", "nobody@example.com", "refused"),
        ("accounts.delete", BOB, "done"),
    ]


def test_of_many_each_is_told(sqlite: StoreRig) -> None:
    noted = Noted()
    store = watched(sqlite.shared, Trail([], [noted]), WHO)
    store.domains.create("example.com")
    store.accounts.create(BOB, password_hash=READY)
    noted.told()
    with pytest.raises(BulkRefused):
        store.accounts.update_many([{"address": BOB, "name": "Bob"}, {"address": "nobody@example.com", "name": "x"}])
    assert noted.told() == [
        ("accounts.update", BOB, "rolled back"),
        ("accounts.update", "nobody@example.com", "refused"),
    ]
    store.accounts.delete_many([BOB])
    assert noted.told() == [("accounts.delete", BOB, "done")]


def test_an_entry_says_who_and_when_and_nothing_secret(sqlite: StoreRig) -> None:
    noted = Noted()
    store = watched(sqlite.shared, Trail([], [noted]), WHO)
    store.domains.create("example.com", disclaimer="x" * 5000)
    store.accounts.create(BOB, password=SECRET)
    store.admins.promote(BOB, domains=["example.com"])
    store.acting_as(BOB).accounts.update(BOB, password_hash=READY, name="Bob")
    entry = noted.entries[-1]
    assert set(entry) == {
        "time", "via", "caller", "client", "request", "admin", "store", "operation", "subject", "parameters", "result",
        "error",
    }  # fmt: skip
    assert (entry["via"], entry["caller"], entry["client"], entry["request"], entry["admin"]) == (
        "test", "operator", "192.0.2.1", "r1", BOB,
    )  # fmt: skip
    assert entry["parameters"] == {"password_hash": "(set)", "name": "Bob"}
    assert abs((datetime.now(UTC) - datetime.fromisoformat(entry["time"])).total_seconds()) < 60
    assert len(json.dumps(noted.entries[0])) < 2000


def test_transactions_and_rehearsals(sqlite: StoreRig) -> None:
    noted = Noted()
    store = watched(sqlite.shared, Trail([], [noted]), WHO)
    with store.transaction():
        store.domains.create("example.com")
        assert noted.entries == []
        with suppress(ZeroDivisionError), store.transaction():
            store.domains.create("other.example")
            raise ZeroDivisionError
    assert noted.told() == [
        ("domains.create", "example.com", "done"),
        ("domains.create", "other.example", "rolled back"),
    ]
    with suppress(ZeroDivisionError), store.transaction():
        store.domains.create("third.example")
        raise ZeroDivisionError
    assert noted.told() == [("domains.create", "third.example", "rolled back")]
    with sqlite.open(homes=None) as without_disk, watched(without_disk, Trail([], [noted]), WHO).rehearsal() as tried:
        tried.domains.create("third.example")
    assert noted.told() == []
    assert [domain.domain for domain in store.domains.list()] == ["example.com"]


def test_what_stands_around_is_the_store(sqlite: Rig) -> None:
    class Nothing:
        def call(self, call: Call) -> Any:
            return call.proceed()

        def transaction(self) -> Any:
            return nullcontext()

        def rehearsal(self) -> Passing:
            return self

        def acting_as(self, admin: str) -> Passing:  # noqa: ARG002
            return self

    store = around(sqlite.shared, Nothing())
    assert isinstance(store, type(sqlite.shared))
    assert isinstance(store, Store)
    assert isinstance(store.accounts, type(sqlite.shared.accounts))
    assert store.schema_report() is sqlite.shared.schema_report()
    assert repr(store) == repr(sqlite.shared)


def test_what_reads_is_told_from_what_writes() -> None:
    """A method that is new in the contract is a change until somebody says otherwise; none of these is one."""
    from mailstore import store as contract

    names = {
        name
        for kind in vars(contract).values()
        if isinstance(kind, type) and kind.__module__.startswith("mailstore.store")
        for name, member in vars(kind).items()
        if callable(member) and not name.startswith("_")
    }
    assert names - READING == {
        "acting_as", "add_alias_domains", "add_aliases", "add_members", "add_to_domain", "create", "create_many",
        "delete", "delete_many", "demote", "forget", "on_failure", "promote", "rehearsal", "remove_alias_domains",
        "remove_aliases", "remove_from_domain", "remove_members", "rename", "repair_counters", "reschedule", "reset",
        "restore", "restore_domain", "set", "set_spf_domains", "take", "transaction", "unrestricted", "update",
        "update_all", "update_many",
    }  # fmt: skip


def test_a_file_a_socket_and_the_journal(workdir: Path) -> None:
    file = workdir / "audit.log"
    trail = Trail([str(file)])
    trail.write(WHO, "s", Change("accounts.create", "a\nb\u2028@x", {"names": ["x"]}, "done"))
    file.rename(workdir / "audit.log.1")
    trail.write(WHO, "s", Change("accounts.delete", BOB, {}, "done"))
    [line] = (workdir / "audit.log.1").read_text().splitlines()
    assert json.loads(line)["subject"] == "a\nb\u2028@x"
    assert json.loads(file.read_text())["operation"] == "accounts.delete"
    assert stat.S_IMODE(file.stat().st_mode) & 0o007 == 0
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.settimeout(10)
    with receiver:
        receiver.bind(str(workdir / "log"))
        SyslogSink(str(workdir / "log")).write({"subject": BOB})
        assert receiver.recv(4096).startswith(b"<85>mailstore-audit[")
        JournalSink(str(workdir / "log")).write({"subject": "a\nb", "parameters": {}})
        assert b"MAILSTORE_SUBJECT\n\x03\0\0\0\0\0\0\0a\nb\n" in receiver.recv(4096)
    for place in (str(workdir / "absent" / "audit.log"), "elsewhere"):
        with pytest.raises(ConfigurationError, match=r"audit\.to"):
            Trail([place])


def test_whatever_is_given_can_be_written() -> None:
    @dataclass(frozen=True)
    class Settings:
        permissions: frozenset[str]
        smtp_password: str
        size: Quota

    noted = Noted()
    given = {"settings": Settings(frozenset({"all"}), SECRET, Quota(1024)), "names": iter(["x"]), "more": {"a": {1, 2}}}
    Trail([], [noted]).write(WHO, "s", Change("admins.create", BOB, given, "done"))
    [entry] = noted.entries
    assert entry["parameters"]["settings"] == {"permissions": ["all"], "smtp_password": "(set)", "size": 1024}
    assert entry["parameters"]["more"] == {"a": [1, 2]}


def test_a_full_disk_is_told_and_stops_nothing(sqlite: StoreRig) -> None:
    told: list[str] = []
    trail = Trail(["/dev/full"], report=told.append)
    watched(sqlite.shared, trail, WHO).domains.create("example.com")
    assert sqlite.shared.domains.exists("example.com")
    [line] = told
    assert "No space left" in line
    assert "example.com" in line


@pytest.fixture
def configured(sqlite: Rig, workdir: Path) -> Path:
    """A configuration with an audit log, of a store with a domain and an account that can be purged."""
    file = workdir / "mailstore.toml"
    homes = f'homes = ["{sqlite.root}"]\n'
    file.write_text(
        f'[stores.main]\nurl = "{sqlite.url}"\n{homes}[audit]\nto = ["{workdir / "audit.log"}"]\n[daemon]\ncheck = ""\n'
    )
    sqlite.shared.domains.create("example.com")
    return file


def _entries(workdir: Path) -> list[tuple[str, str, str, str]]:
    entries = [json.loads(line) for line in (workdir / "audit.log").read_text().splitlines()]
    return [(entry["via"], entry["operation"], entry["subject"], entry["result"]) for entry in entries]


def test_the_command_line_and_the_daemon_write_it(configured: Path, workdir: Path) -> None:
    def run(*words: str, given: str = "") -> None:
        command = [sys.executable, "-m", words[0], "--config", str(configured), *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, input=given)
        assert done.returncode == 0, done

    run("mailstore", "account", "create", BOB, "--password-stdin", given=f"{SECRET}\n")
    run("mailstore", "account", "show", BOB)
    run("mailstore", "account", "delete", BOB, "--keep-days", "0", "--yes", "--dry-run")
    run("mailstore", "account", "delete", BOB, "--keep-days", "0", "--yes")
    run("mailstored", "--once")
    assert _entries(workdir) == [
        ("mailstore", "accounts.create", BOB, "done"),
        ("mailstore", "accounts.delete", BOB, "done"),
        ("mailstored", "deleted.purge", BOB, "done"),
    ]
    assert SECRET not in (workdir / "audit.log").read_text()


def test_a_log_that_cannot_be_written_is_found_at_the_start(configured: Path, workdir: Path) -> None:
    configured.write_text(configured.read_text().replace("audit.log", "absent/audit.log"))
    for words in (["mailstore", "domain", "create", "new.example"], ["mailstored", "--once"]):
        command = [sys.executable, "-m", words[0], "--config", str(configured), *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, "audit.to" in done.stderr) == (2, True), done
