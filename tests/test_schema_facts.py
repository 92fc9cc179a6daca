"""Tables that a driver knows and does not make, held against facts that were written down without looking at the driver."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Table
from sqlalchemy.types import NullType

from mailstore.config import AtmailConfig
from mailstore.errors import SchemaMismatch
from mailstore.sql.amavisd.policy_columns import SCORES, TEXTS
from mailstore.sql.amavisd.tables import Tables as AmavisdTables
from mailstore.sql.atmail.schema.tables import API_SPECS, SPECS, TableNames, define
from mailstore.sql.iredapd.tables import Tables as IRedAPDTables
from mailstore.sql.live import LiveColumn
from mailstore.sql.mailinabox.schema import detection as box
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


@pytest.mark.parametrize("stage", STAGES)
def test_a_box_has_what_the_driver_knows_at_each_stage(tmp_path: Path, stage: int) -> None:
    file = make_box(tmp_path / "home", (0, 0), stage=stage)
    with closing(sqlite3.connect(file)) as connection:
        found = {
            table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in ("users", "aliases", "mfa", "auto_aliases")
        }
    known: dict[str, set[str]] = {"users": set(), "aliases": set(), "mfa": set(), "auto_aliases": set()}
    for table, columns in box._NEEDED.items():
        known[table].update(columns)
    for number, (table, columns) in box._ADDED.items():
        if number <= stage:
            known[table].update(columns)
    found["users"].discard("extra")  # never used
    assert found == known


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
