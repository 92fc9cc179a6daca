"""The tables "Documented calls" of the pages about stores: read, and run line by line on a real store."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mailstore
from mailstore import Capability
from mailstore.ldap.iredmail.export.exporter import exporter
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from mailstore import Store
    from tests.stores import StoreRig

__all__ = ["PAGES", "PASSWORD", "Call", "Page", "calls_of", "content", "run_commands", "run_expressions"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
PASSWORD = "correct horse battery"
"""What `password` stands for in expressions; commands get it on their standard input."""

_SECTION = "## Documented calls\n"
_ROW = re.compile(r"\| ([A-Z][0-9]{2}) \| ([^|]+) \| `([^`]+)` \| `mailstore ([^`]+)` \|")
_BY_CHANCE = frozenset({"created", "modified", "password_changed", "deleted", "home", "last_login"})


@dataclass(frozen=True)
class Page:
    """A page with such a table: its name, the ids of the calls that it must have, and the rigs that they run on."""

    name: str
    ids: frozenset[str]
    rigs: tuple[str, ...]

    @property
    def path(self) -> Path:
        return DOCS / self.name


def _ids(letter: str, *numbers: int) -> frozenset[str]:
    return frozenset(f"{letter}{number:02}" for number in numbers)


PAGES = (
    # A21-A24 (mailing lists) and A51-A56 (LDIF) exist for LDAP only; A30-A50 concern other databases.
    Page("iredmail.md", _ids("A", *range(1, 21), *range(25, 30)), ("sqlite", "mysql", "postgresql")),
    Page("iredmail-ldap.md", _ids("A", *range(1, 30), *range(51, 57)), ("ldap",)),
    Page("afterlogic.md", _ids("D", *range(1, 17)), ("afterlogic-sqlite", "afterlogic-mysql")),
    Page("atmail.md", _ids("B", *range(1, 21)) | _ids("C", 1, 2), ("atmail",)),
    Page("mailinabox.md", _ids("E", *range(1, 8)), ("mailinabox",)),
)


@dataclass(frozen=True)
class Call:
    """A line of a table."""

    id: str
    call: str
    python: str
    command: str


def calls_of(page: Page) -> list[Call]:
    """Return the lines of a page's table. Every line must have the form that the others have."""
    section = page.path.read_text(encoding="utf-8").partition(_SECTION)[2].partition("\n## ")[0]
    lines = section[section.index("\n|") :].strip().partition("\n\n")[0].splitlines()[2:]
    matches = [(line, _ROW.fullmatch(line)) for line in lines]
    malformed = [line for line, match in matches if match is None]
    assert malformed == [], f"{page.name}: lines of another form: {malformed}"
    return [Call(*match.groups()) for _, match in matches if match is not None]


def run_expressions(calls: list[Call], store: Store) -> None:
    """Run the Python column from top to bottom."""
    scope = {name: getattr(mailstore, name) for name in mailstore.__all__} | {"exporter": exporter}
    for call in calls:
        try:
            result = eval(call.python, {**scope, "store": store, "password": PASSWORD})  # noqa: S307 our own pages
            if isinstance(result, Iterator):
                list(result)
        except Exception as error:
            error.add_note(f"{call.id}: {call.python}")
            raise


def run_commands(calls: list[Call], rig: StoreRig) -> None:
    """Run the commands from top to bottom; none may fail."""
    url: str = getattr(rig, "cli_url", None) or rig.url  # type: ignore[attr-defined]
    for call in calls:
        done = run("--url", url, "--homes", str(rig.root), *shlex.split(call.command), stdin=f"{PASSWORD}\n")
        assert done.exit_code == 0, (call.id, call.command, done.stdout, done.stderr)


def content(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return everything in a store but what differs from run to run."""
    collections: dict[str, Any] = {"domains": store.domains, "accounts": store.accounts}
    if Capability.ALIASES in store.capabilities:
        collections["aliases"] = store.aliases
    if Capability.ADMINS in store.capabilities:
        collections["admins"] = store.admins
    if Capability.RETENTION in store.capabilities:
        collections["deleted"] = store.deleted
    return {name: [_told(record) for record in collection.list()] for name, collection in collections.items()}


def _told(record: Any) -> dict[str, Any]:
    skipped = _BY_CHANCE | ({"id"} if isinstance(record, mailstore.DeletedMailbox) else set())
    return {one.name: getattr(record, one.name) for one in fields(record) if one.name not in skipped}
