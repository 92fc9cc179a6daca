"""docs/atmail.md says what is true: every call is in its table, both columns run, and the documented rights are enough."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

import mailstore
from mailstore import open_store, purge_due
from tests.stores import empty_homes
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig
    from tests.servers.mariadb import MariaDB

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "atmail.md").read_text(encoding="utf-8")
PASSWORD = "correct horse battery"
IDS = {*(f"B{number:02}" for number in range(1, 21)), "C01", "C02"}
_ROW = re.compile(r"\| ([A-Z][0-9]{2}) \| ([^|]+) \| `([^`]+)` \| `mailstore ([^`]+)` \|")
_BY_CHANCE = {
    "password",
    "dateCreate",
    "dateModified",
    "DateCreate",
    "modified",
    "timestamp",
    "snapshot",
    "id",
    "record_id",
}


def calls() -> list[tuple[str, str, str]]:
    """Return id, expression and command of each line of the table."""
    section = PAGE.partition("## Documented calls\n")[2]
    lines = section[section.index("\n|") :].strip().partition("\n\n")[0].splitlines()[2:]
    found = [_ROW.fullmatch(line) for line in lines]
    assert None not in found
    return [(match[1], match[3], match[4]) for match in found if match]


def evaluate(store: AtmailStore) -> None:
    """Run the Python column from top to bottom."""
    scope = {name: getattr(mailstore, name) for name in mailstore.__all__}
    for _, expression, _ in calls():
        result = eval(expression, {**scope, "store": store, "password": PASSWORD})  # noqa: S307 our own page
        if isinstance(result, Iterator):
            list(result)


def content(rig: AtmailRig) -> Any:
    return {
        name: [{key: value for key, value in row.items() if key not in _BY_CHANCE} for row in rig.rows(name)]
        for name in rig.tables
    }


def test_all_calls_are_in_the_page() -> None:
    assert {name for name, _, _ in calls()} == IDS


def test_both_columns_run_and_leave_the_same(rig: AtmailRig, store: AtmailStore) -> None:
    evaluate(store)
    by_python, services = content(rig), len(rig.api_rows("ServiceAccounts"))
    rig.clear()
    empty_homes(rig)
    for name, _, command in calls():
        options = ("--url", rig.cli_url, "--homes", str(rig.root))
        done = run(*options, *shlex.split(command), stdin=f"{PASSWORD}\n")
        assert done.exit_code == 0, (name, command, done.stdout, done.stderr)
    assert content(rig) == by_python
    assert (services, len(rig.api_rows("ServiceAccounts"))) == (3, 3)
    assert by_python["mailstore_deleted_mailboxes"]


@pytest.fixture
def limited(rig: AtmailRig, mariadb: MariaDB) -> Iterator[dict[str, str]]:
    """URLs for the database accounts of the page, made as it says."""
    found = re.search(r"<!-- grants: mysql -->\n```sql\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    statements = found[1].replace("mailserver.", "vmail_atmail.").replace("apiserver.", "vmail_apiserver.")
    mariadb.execute(statements.replace("'localhost'", "'%'"))
    words = {"mailstore": "change-me", "mailstore_purge": "change-me-too"}
    yield {
        f"{kind}:{user}": make_url(url).set(username=user, password=word).render_as_string(hide_password=False)
        for user, word in words.items()
        for kind, url in (("mail", rig.url), ("api", rig.apiserver))
    }
    for user in words:
        mariadb.execute(f"DROP USER {user}@'%'")


def test_the_documented_rights_are_enough(rig: AtmailRig, limited: dict[str, str]) -> None:
    owner = f"{rig.owner[0]}:{rig.owner[1]}"
    options: Any = {"homes": str(rig.root), "home_owner": owner}
    with open_store(limited["mail:mailstore"], apiserver=limited["api:mailstore"], **options) as opened:
        store: Any = opened
        evaluate(store)
        store.domains.create("example.com")
        store.roles.create("help", permissions=["account.view"])
        store.roles.update("help", enabled=False)
        store.roles.delete("help")
        store.accounts.create_many([{"address": f"u{n}@example.com", "password": PASSWORD} for n in range(3)])
        store.accounts.update("u0@example.com", forwarding=["x@y.org"], aliases=["a@example.com"])
        store.accounts.rename("u0@example.com", "v0@example.com")
        record = store.accounts.delete("v0@example.com", keep_mailbox_days=30)
        assert store.deleted.restore(record.id).aliases == ("a@example.com",)
        store.provisioning.provision("v0@example.com")
        store.accounts.delete("v0@example.com", keep_mailbox_days=0)
        store.provisioning.remove("v0@example.com")
        store.admins.create("sub", password=PASSWORD, domains=["example.com"])
        store.acting_as("sub").accounts.update("u1@example.com", quota="1M")
        store.admins.remove_from_domain("example.com")
        assert [finding for finding in store.check() if finding.severity == "error"] == []
    with open_store(limited["mail:mailstore_purge"], **options) as purger:
        assert [outcome.action for outcome in purge_due(purger)] == ["purged"]
        assert [finding for finding in purger.check() if finding.severity == "error"] == []
