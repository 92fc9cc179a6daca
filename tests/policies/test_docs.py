"""docs/policies.md says what is true: the rights are enough, and every call of its table does the same in both ways."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from mailstore import Edit
from tests.policies.rig import NAMES, PolicyRig
from tests.policies.test_cli import store_url
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from mailstore import Store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"
_ROW = re.compile(r"^\| (A\d\d) \| [^|]+ \| `([^`]+)` \| `mailstore ([^`]+)` \|$", re.MULTILINE)


def calls() -> list[tuple[str, str, str]]:
    return _ROW.findall(PAGE.read_text(encoding="utf-8"))


def content(rig: PolicyRig) -> dict[str, list[dict[str, Any]]]:
    """Return what is stored but for the numbers of rows."""
    return {
        table: [{key: value for key, value in row.items() if not key.endswith("id")} for row in rows]
        for table, rows in rig.everything().items()
    }


def test_every_call_of_the_api_is_there() -> None:
    assert {name for name, _, _ in calls()} == {"A03", "A14", *(f"A{number}" for number in range(30, 51))}


def test_every_call_does_the_same_in_python_and_on_the_command_line(prig: PolicyRig) -> None:
    def evaluated() -> Iterator[dict[str, Any]]:
        for _, expression, _ in calls():
            eval(expression, {"store": prig.shared, "Edit": Edit})  # noqa: S307 our own documentation
            yield content(prig)

    by_python = list(evaluated())
    prig.clear()
    for (name, _, line), expected in zip(calls(), by_python, strict=True):
        done = run("--url", store_url(prig), *shlex.split(line))
        assert done.exit_code == 0, (line, done.output)
        assert content(prig) == expected, name
    assert len(prig.rows("throttle")) == 6


@pytest.fixture
def limited(prig: PolicyRig) -> Iterator[dict[str, str]]:
    """URLs of the databases for an account with the documented rights."""
    text = PAGE.read_text(encoding="utf-8")
    urls = {}
    for option, database in NAMES.items():
        marker = re.escape(f"<!-- grants: {prig.name} {option} -->")
        found = re.search(rf"{marker}\n```sql\n(.*?)```", text, re.DOTALL)
        assert found is not None
        statements = found[1].replace(f" {option}.", f" {database}.").replace("'localhost'", "'%'")
        prig.server.execute(statements, database)
        url = make_url(prig.url(option)).set(username="mailstore", password="change-me")
        urls[option] = url.render_as_string(hide_password=False)
    yield urls
    if prig.name == "mysql":
        prig.server.execute("DROP USER mailstore@'%'")
    else:
        for database in NAMES.values():
            prig.server.execute("DROP OWNED BY mailstore", database)
        prig.server.execute("DROP ROLE mailstore")


def test_the_documented_rights_are_enough(prig: PolicyRig, limited: dict[str, str]) -> None:
    with prig.open(**limited) as store:
        for _, expression, _ in calls():
            eval(expression, {"store": store, "Edit": Edit})  # noqa: S307 our own documentation
        everything_else(store, prig)
        assert [finding for finding in store.check() if finding.severity == "error"] == []


def everything_else(store: Store, rig: PolicyRig) -> None:
    """Do what the table does not show."""
    for level in ("global", "example.com", "bob@example.com"):
        store.spam_policies.set(level, spam_score=4)
        store.greylisting.set(level, enabled=True, whitelist=["@b.org"])
        store.greylisting.set(level, whitelist=Edit(remove=["@b.org"], add=["a@b.org"]))
        store.access_lists.set(level, "inbound", whitelist=["@b.org"], blacklist=["c@d.org"])
        store.access_lists.set(level, "outbound", blacklist=["@b.org"])
        store.access_lists.set(level, "outbound", whitelist=["@b.org"])
    store.greylisting.set_spf_domains(["b.org"])
    store.greylisting.set_spf_domains([])
    rule = rig.rows("throttle", account="bob@example.com")[0]["id"]
    rig.insert("throttle_tracking", tid=rule, account="bob@example.com", period=60)
    store.throttles.effective("bob@example.com", "inbound")
    store.accounts.rename("bob@example.com", "rob@example.com")
    store.throttles.reset("rob@example.com")
    store.throttles.delete("rob@example.com", "inbound")
    store.access_lists.delete("rob@example.com", "inbound")
    store.greylisting.delete("rob@example.com")
    store.domains.delete("example.com")
