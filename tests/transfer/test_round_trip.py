"""What is dumped and loaded into an empty store of the same kind is dumped equal, and loading it again changes nothing."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mailstore import PermissionDenied, open_store
from mailstore.config import StoreConfig
from mailstore.sql.iredmail.store import create_schema
from mailstore.transfer import Entry, Loader, dump, read_entries, schema
from tests.transfer.filled import fill, text_of, timeless

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailstore import Store
    from tests.stores import StoreRig


@pytest.mark.parametrize("name", ["sqlite", "mysql", "postgresql", "mailinabox", "ldap", "atmail"])
def test_dump_load_dump(name: str, emptied: Callable[[str], StoreRig]) -> None:
    rig = emptied(name)
    fill(rig.shared)
    text = text_of(rig.shared)
    kinds = Counter(json.loads(line)["record"] for line in text.splitlines())
    assert kinds["account"] == 4
    assert kinds["domain"] >= 2
    rig = emptied(name)
    outcomes = list(Loader(rig.shared).load(read_entries(text.splitlines())))
    # What other tools keep is not for us to write; in an empty store of the same kind it comes out the same.
    assert [outcome for outcome in outcomes if outcome.action == "refused" or {*outcome.lost} - {"settings"}] == []
    assert timeless(text_of(rig.shared)) == timeless(text)

    before = text_of(rig.shared)
    again = list(Loader(rig.shared).load(read_entries(text.splitlines())))
    assert [(one.entry.key, one.action, one.reason) for one in again if one.action != "unchanged"] == []
    assert text_of(rig.shared) == before  # times of change are in it
    assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []


@pytest.mark.parametrize("name", ["sqlite", "mailinabox", "ldap", "atmail", "afterlogic-sqlite"])
def test_many_accounts_are_read_as_one_is(name: str, emptied: Callable[[str], StoreRig]) -> None:
    accounts = emptied(name).shared.accounts
    fill(emptied(name).shared)
    names = [account.address for account in accounts.list()]
    asked = [*names, "nobody@example.com"]
    assert accounts.find(asked) == {address: accounts.get(address) for address in names}
    assert accounts.find([]) == {}
    hashes = accounts.password_hashes(asked)
    assert sorted(hashes) == names
    if not name.startswith("afterlogic"):  # which makes a new one each time
        assert hashes == {address: accounts.password_hash(address) for address in names}


def test_admins_read_no_hashes_at_once_either(emptied: Callable[[str], StoreRig]) -> None:
    store = emptied("sqlite").shared
    fill(store)
    accounts = store.acting_as("boss@other.org").accounts
    assert set(accounts.find(["bob@example.com", "user0@second.example"])) == {"bob@example.com"}
    with pytest.raises(PermissionDenied):
        accounts.password_hashes(["bob@example.com"])


def test_every_record_goes_to_text_and_back(emptied: Callable[[str], StoreRig]) -> None:
    rig = emptied("sqlite")
    fill(rig.shared)
    for entry in dump(rig.shared):
        back = Entry.from_dict(json.loads(json.dumps(entry.to_dict())))
        assert back.to_dict() == entry.to_dict()
        assert [name for name in entry.given if back.value(name) != entry.value(name)] == []


def test_every_line_is_as_the_schema_says(emptied: Callable[[str], StoreRig]) -> None:
    rig = emptied("sqlite")
    fill(rig.shared)
    kinds = schema()["$defs"]
    for line in map(json.loads, text_of(rig.shared).splitlines()):
        assert line.keys() <= kinds[line["record"]]["properties"].keys()
        assert line.keys() >= set(kinds[line["record"]]["required"])


def test_one_domain_alone(emptied: Callable[[str], StoreRig]) -> None:
    rig = emptied("sqlite")
    fill(rig.shared)
    entries = list(dump(rig.shared, domains=["example.com"]))
    assert [(entry.kind, entry.key) for entry in entries] == [
        ("domain", "example.com"),
        ("account", "bob@example.com"),
        ("alias", "sales@example.com"),
        ("admin", "boss@other.org"),
    ]


class _Killed(BaseException):
    pass


@pytest.fixture
def new_store(workdir: Path) -> Callable[[str], Store]:
    """A function that makes an empty iRedMail store in a file."""
    empty = workdir / "empty.db"
    create_schema(StoreConfig(url=f"iredmail+sqlite:///{empty}"), None)

    def make(name: str) -> Store:
        file = workdir / f"{name}.db"
        shutil.copyfile(empty, file)
        return open_store(f"iredmail+sqlite:///{file}", home_root=str(workdir))

    return make


def test_killed_anywhere_it_is_finished_by_the_next(
    new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load ends before a write, or between it and the end of its transaction; the next one does the rest."""
    with new_store("source") as source:
        fill(source)
        lines = text_of(source).splitlines()
    monkeypatch.setattr("mailstore.transfer.loading._WITH_HOMES", 2)
    finished, steps = False, 0  # each write is two steps
    while not finished:
        with new_store(f"target{steps}") as target:
            try:
                with _dying_after(target, steps, monkeypatch):
                    for _ in Loader(target).load(read_entries(lines)):
                        pass
                finished = True
            except _Killed:
                steps += 3
            again = list(Loader(target).load(read_entries(lines)))
            assert [outcome for outcome in again if outcome.action not in {"created", "updated", "unchanged"}] == []
            assert timeless(text_of(target)) == timeless("\n".join(lines) + "\n")
    assert steps > 20


class _dying_after:  # noqa: N801 a context manager
    """Lets a store die before its nth write, or between the write and the end of its transaction."""

    def __init__(self, store: Store, writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = store
        self._left = writes
        self._patch = monkeypatch

    def __enter__(self) -> None:
        for collection in (self._store.domains, self._store.accounts, self._store.aliases, self._store.admins):
            for name in ("create", "create_many", "update", "promote", "add_alias_domains"):
                write = getattr(collection, name, None)
                if write is not None:
                    self._patch.setattr(collection, name, self._counted(write))

    def _counted(self, write: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **values: object) -> object:
            self._step()
            result = write(*args, **values)
            self._step()
            return result

        return call

    def _step(self) -> None:
        if self._left == 0:
            raise _Killed
        self._left -= 1

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        self._patch.setattr("mailstore.transfer.loading._WITH_HOMES", 2)
