"""Tables that a driver knows and does not make, held against facts that were written down without looking at the driver."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Table, create_engine
from sqlalchemy.types import NullType

from mailstore.config import AtmailConfig
from mailstore.errors import SchemaMismatch
from mailstore.sql.amavisd.policy_columns import SCORES, TEXTS
from mailstore.sql.amavisd.tables import Tables as AmavisdTables
from mailstore.sql.atmail.schema.tables import API_SPECS, SPECS, TableNames, define
from mailstore.sql.iredapd.tables import Tables as IRedAPDTables
from mailstore.sql.live import LiveColumn
from mailstore.sql.mailinabox.schema import detection as box
from mailstore.sql.moments import Moment
from tests.mailinabox.rig import STAGES, make_box
from tests.policies.schema import TABLES

if TYPE_CHECKING:
    from pathlib import Path

KEYWORDS = ("PRIMARY", "UNIQUE", "FOREIGN")
DATABASES: dict[str, Any] = {"amavisd": AmavisdTables, "iredapd": IRedAPDTables}


def columns_of(database: str) -> dict[str, set[str]]:
    """Return the columns of the daemons' own tables."""
    return {
        table: {part.split()[0] for part in parts if not part.startswith(KEYWORDS)}
        for table, parts in TABLES[database].items()
    }


@pytest.mark.parametrize("database", list(DATABASES))
def test_policies_know_only_columns_that_there_are_and_miss_none(database: str) -> None:
    """All tables with all columns: then nothing may be left out, and nothing known be missing."""
    facts = columns_of(database)
    live = {table: {name: LiveColumn("text", required=False) for name in names} for table, names in facts.items()}
    tables = DATABASES[database](live)
    found = [value for value in vars(tables).values() if isinstance(value, Table)]
    assert {table.name for table in found} == set(facts)
    assert {key: value for key, value in vars(tables).items() if value is None} == {}
    for table in found:
        assert {column.name for column in table.columns} == facts[table.name]


@pytest.mark.parametrize("database", list(DATABASES))
def test_a_known_column_that_is_missing_is_an_error(database: str) -> None:
    """So that what a driver names and no server has cannot be left out without a word."""
    facts = columns_of(database)
    live = {table: {name: LiveColumn("text", required=False) for name in names} for table, names in facts.items()}
    tables = DATABASES[database](live)
    optional = {("throttle", "max_rcpts")}
    for table in (value for value in vars(tables).values() if isinstance(value, Table)):
        for column in table.columns:
            if isinstance(column.type, NullType) or (table.name, column.name) in optional:
                continue
            lacking = {
                name: {key: value for key, value in columns.items() if (name, key) != (table.name, column.name)}
                for name, columns in live.items()
            }
            with pytest.raises(SchemaMismatch):
                DATABASES[database](lacking)


def test_spam_policies_have_a_column_for_each_parameter() -> None:
    assert {*TEXTS, *SCORES} <= columns_of("amavisd")["policy"]


BOX: dict[str, dict[str, tuple[int, str, bool, str | None]]] = {
    "users": {
        "id": (0, "INTEGER", False, None), "email": (0, "TEXT", True, None), "password": (0, "TEXT", True, None),
        "extra": (0, "", False, None), "privileges": (4, "TEXT", True, "''"), "quota": (15, "TEXT", True, "'0'"),
    },
    "aliases": {
        "id": (0, "INTEGER", False, None), "source": (0, "TEXT", True, None), "destination": (0, "TEXT", True, None),
        "permitted_senders": (9, "TEXT", False, None),
    },
    "mfa": {
        "id": (13, "INTEGER", False, None), "user_id": (13, "INTEGER", True, None), "type": (13, "TEXT", True, None),
        "secret": (13, "TEXT", True, None), "mru_token": (13, "TEXT", False, None), "label": (13, "TEXT", False, None),
    },
    "auto_aliases": {
        "id": (14, "INTEGER", False, None), "source": (14, "TEXT", True, None), "destination": (14, "TEXT", True, None),
        "permitted_senders": (14, "TEXT", False, None),
    },
}  # fmt: skip
"""A box's columns: the migration that brought each, its declared type, whether it may not be NULL, and its default."""
BOX_UNIQUE = {"users": {("email",)}, "aliases": {("source",)}, "mfa": set(), "auto_aliases": {("source",)}}


@pytest.mark.parametrize("stage", STAGES)
def test_a_box_has_what_the_driver_knows_at_each_stage(tmp_path: Path, stage: int) -> None:
    file = make_box(tmp_path / "home", (0, 0), stage=stage)
    facts = {
        table: {name: fact for name, fact in columns.items() if fact[0] <= stage} for table, columns in BOX.items()
    }
    with closing(sqlite3.connect(file)) as connection:
        for table, columns in facts.items():
            rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
            seen = {name: (type_, bool(needed), default) for _, name, type_, needed, default, _ in rows}
            assert seen == {name: fact[1:] for name, fact in columns.items()}, table
            assert [row[1] for row in rows if row[5]] == (["id"] if columns else [])
            indexes = connection.execute(f"PRAGMA index_list({table})").fetchall()
            unique = {
                tuple(row[2] for row in connection.execute(f"PRAGMA index_info({index[1]})"))
                for index in indexes
                if index[2]
            }
            assert unique == (BOX_UNIQUE[table] if columns else set()), table
        counting = connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'").fetchall()
        assert {name for (name,) in counting} == {table for table, columns in facts.items() if columns}
        links = [tuple(row[2:5]) for row in connection.execute("PRAGMA foreign_key_list(mfa)")]
        assert links == ([("users", "user_id", "id")] if facts["mfa"] else [])


def test_the_driver_knows_which_migration_brought_a_column() -> None:
    known = {(table, column): 0 for table, columns in box._NEEDED.items() for column in columns}
    known |= {(table, column): number for number, (table, columns) in box._ADDED.items() for column in columns}
    facts = {(table, name): fact[0] for table, columns in BOX.items() for name, fact in columns.items()}
    del facts["users", "extra"]  # never read or written by the box itself
    assert known == facts


@pytest.mark.parametrize("table", BOX)
def test_the_types_that_are_bound_for_a_box(table: str) -> None:
    """Numbers are told from texts by their names alone."""
    defined = box._tables({table: list(BOX[table])}, with_own=False).tables[table]
    for name, (_, type_, _, _) in BOX[table].items():
        assert str(defined.c[name].type) == (type_ or "TEXT")
    assert [column.name for column in defined.primary_key] == ["id"]


def test_what_no_box_has_cannot_be_asked_for(tmp_path: Path) -> None:
    """A statement that would leave out a column which it expects is an error."""
    with create_engine(f"sqlite:///{make_box(tmp_path / 'home', (0, 0))}").connect() as connection:
        found = box.detect(connection)
    assert found.has("users", "quota")
    with pytest.raises(LookupError):
        found.has("users", "qouta")


ATMAIL = {
    "accounts": "accountId createdByUserId username password domainId dateModified dateCreate userStatus homeDir forward "
    "autoReply quota lastLogin autoReplyEnabled autoReplySubject autoReplyStart autoReplyEnd mboxServer mboxType groupId "
    "firstName lastName",
    "domains": "domainId domainName",
    "aliases": "id AliasName AliasTo Domain DateCreate aliasType DomainPart",
    "users": "userId leftEdge rightEdge createdByUserId username password company fullname emailAddress numUsers quota "
    "dateCreate lastLogin modified ipAddress language cssColorTheme welcomeDisplayed",
    "roles": "roleId roleName roleDescription roleHierarchy roleEnabled createdByUserId",
    "permissions": "permissionId permissionName permissionDescription",
    "apiserver.Accounts": "idAccount idUsers Name IsPrimary Active idMailAccount idContactAccount idCalendarAccount",
}
"""What the vendor's documentation prints of rows and names as columns."""
OLDER = {"autoReplySubject", "firstName", "lastName"}
"""Not in the older of the two documented rows."""


ATMAIL_TYPES = {
    "accounts.accountId": "key", "accounts.username": "text unique", "accounts.password": "text",
    "accounts.domainId": "number",
    "accounts.dateModified": "moment NULL", "accounts.dateCreate": "moment NULL", "accounts.userStatus": "number =0",
    "accounts.homeDir": "text", "accounts.forward": "text NULL", "accounts.autoReply": "text NULL",
    "accounts.quota": "number", "accounts.lastLogin": "moment NULL", "accounts.autoReplyEnabled": "number =0",
    "accounts.autoReplyStart": "moment NULL", "accounts.autoReplyEnd": "moment NULL", "accounts.mboxServer": "number =1",
    "accounts.mboxType": "text =Maildir", "accounts.groupId": "number =1", "domains.domainId": "key",
    "domains.domainName": "text unique", "aliases.id": "key", "aliases.AliasName": "text", "aliases.AliasTo": "text",
    "aliases.DateCreate": "moment NULL", "aliases.aliasType": "text =Local", "users.userId": "key",
    "users.leftEdge": "number", "users.rightEdge": "number", "users.createdByUserId": "number NULL",
    "users.username": "text unique", "users.numUsers": "number NULL", "users.quota": "number NULL",
    "users.dateCreate": "moment NULL", "users.lastLogin": "number NULL", "users.modified": "moment NULL",
    "roles.roleId": "key", "roles.createdByUserId": "number NULL", "permissions.permissionId": "key",
}  # fmt: skip
"""What the documented values say about columns: an admin's last login is a number of seconds, an account's a moment."""
_WORDS: dict[type, str] = {int: "number", str: "text"}


def test_atmail_columns_hold_what_is_documented() -> None:
    tables = define(TableNames(AtmailConfig()))
    wrong = []
    for name, wanted in ATMAIL_TYPES.items():
        table, _, column = name.partition(".")
        made = tables[table].c[column]
        word, *rest = wanted.split()
        default: Any = made.server_default
        shown = str(default.arg) if default is not None else None
        held = "moment" if isinstance(made.type, Moment) else _WORDS[made.type.python_type]
        seen = "key" if made.primary_key else held
        right = seen == word and bool(made.unique) == ("unique" in rest) and (made.nullable or "NULL" not in rest)
        if not right or any(one[0] == "=" and one[1:] != shown for one in rest):
            wrong.append((name, wanted, seen, made.unique, made.nullable, shown))
    assert wrong == []
    # The documented hash has 97 characters.
    assert tables["accounts"].c.password.type.length >= 97  # type: ignore[attr-defined]


def test_atmail_is_as_far_as_documented() -> None:
    specs = {**SPECS, **API_SPECS}
    tables = {**define(TableNames(AtmailConfig())), **define(TableNames(AtmailConfig()), specs=API_SPECS)}
    for name, columns in ATMAIL.items():
        assert {column.name for column in specs[name].columns} == set(columns.split())
        assert {column.name for column in tables[name].columns} == set(columns.split())
    assert {spec.name for spec in specs.values() if spec.documented} <= set(ATMAIL)
    optional = {column.name for column in SPECS["accounts"].columns if column.optional}
    assert optional >= OLDER
    defaults = {column.name: column.default for column in SPECS["accounts"].columns}
    assert (defaults["mboxServer"], defaults["mboxType"], defaults["groupId"]) == (1, "Maildir", 1)
    assert (defaults["userStatus"], defaults["autoReplyEnabled"]) == (0, 0)
