"""From one kind of store into another: nothing is lost that is not listed, and old passwords go on."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from mailstore import Capability
from mailstore.transfer import Loader, dump
from tests.readers import PASSWORD as SECRET
from tests.test_cli_rig import PASSWORD, Cli, run
from tests.transfer.filled import fill, text_of, timeless

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stores import StoreRig

PAIRS = [
    ("sqlite", "mailinabox"), ("sqlite", "ldap"), ("sqlite", "afterlogic-sqlite"), ("mailinabox", "sqlite"),
    ("ldap", "sqlite"), ("ldap", "mailinabox"), ("afterlogic-sqlite", "sqlite"), ("atmail", "ldap"),
]  # fmt: skip


_TOLD_ONLY = {"created", "modified", "password_changed", "usage", "last_login", "problems", "home", "kind"}


def _alike(one: object, other: object) -> bool:
    return sorted(one) == sorted(other) if isinstance(one, tuple) and isinstance(other, tuple) else one == other


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_what_arrives_is_what_is_not_listed_as_lost(
    source: str, target: str, emptied: Callable[[str], StoreRig]
) -> None:
    theirs, ours = emptied(source).shared, emptied(target).shared
    fill(theirs)
    generated: dict[str, str] = {}
    before = text_of(theirs)

    def loader() -> Loader:
        return Loader(ours, go_on=True, keep_homes=False, generated=generated.__setitem__)

    outcomes = list(loader().load(dump(theirs)))
    told = {(one.entry.kind, one.entry.key): one for one in outcomes}
    for entry, present, _ in loader().compare(dump(theirs)):
        outcome = told[entry.kind, entry.key]
        lost = {
            name for one in outcomes if one.entry.key == entry.key and one.entry.kind == entry.kind for name in one.lost
        }
        if outcome.action == "refused":
            assert outcome.reason
        elif present is not None:
            said = {name for name in entry.given - _TOLD_ONLY if entry.says(name)}
            otherwise = {name for name in said if not _alike(entry.value(name), getattr(present, name, None))}
            assert otherwise <= lost, (entry.kind, entry.key)
    different = [
        (entry.kind, entry.key, found.action, found.lost)
        for entry, _, found in loader().compare(dump(theirs))
        if found is not None
        and told[entry.kind, entry.key].action != "refused"
        and not (found.lost and {*told[entry.kind, entry.key].lost}.issuperset(found.lost))
    ]
    # A store that keeps passwords makes another hash of one each time.
    if Capability.READY_HASHES not in theirs.capabilities:
        different = [one for one in different if one[3] != ("password",)]
    assert different == []
    assert [one.entry.key for one in outcomes if one.entry.kind == "account" and one.action == "created"] != []
    for account in theirs.accounts.list():
        if ours.accounts.exists(account.address) and account.enabled:
            password = generated.get(account.address, "correct horse" if source.startswith("afterlogic") else SECRET)
            assert ours.accounts.verify_password(account.address, password)
    assert source.startswith("afterlogic") or text_of(theirs) == before  # else hashes are new each time

    there = text_of(ours)
    if not source.startswith("afterlogic"):
        again = list(loader().load(dump(theirs)))
        assert {one.action for one in again} <= {"unchanged", "refused"}
        # A directory's locks show in the times of entries, where something is refused once more.
        assert target.startswith("afterlogic") or timeless(text_of(ours)) == timeless(there)


def test_a_disabled_domain_takes_its_accounts_with_it(emptied: Callable[[str], StoreRig]) -> None:
    theirs, ours = emptied("sqlite").shared, emptied("mailinabox").shared
    fill(theirs)  # second.example is switched off, and a box cannot switch a domain off
    outcomes = list(Loader(ours, go_on=True).load(dump(theirs)))
    refused = {one.entry.key for one in outcomes if one.action == "refused"}
    assert {"second.example", "user0@second.example"} <= refused
    assert [one.address for one in ours.accounts.list()] == ["bob@example.com"]


# --- the command line


@pytest.fixture
def sides(workdir: Path) -> tuple[Cli, Cli]:
    """Two stores, the first of which has accounts."""
    made = []
    for name in ("one", "two"):
        (workdir / name).mkdir()
        made.append(Cli.with_store(workdir / name))
    source, target = made
    for name in ("anna", "bob"):
        source("account", "create", f"{name}@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    return source, target


def url(cli: Cli) -> str:
    return f"iredmail+sqlite:///{cli.database}?home_root={cli.homes}"


def test_a_plan_changes_nothing_and_the_migration_does(sides: tuple[Cli, Cli]) -> None:
    source, target = sides
    before = target.database.read_bytes()
    where = ("migrate", "--from", url(source), "--to", url(target), "--format", "json")
    for script in ((), ("--homes", "script", "--script", str(target.directory / "unused.sh"))):
        planned = run(*where, *script, "--plan")
        assert planned.exit_code == 0, planned.stderr
        assert [(row["record"], row["action"]) for row in json.loads(planned.stdout)] == [
            ("domain", "unchanged"), ("account", "created"), ("account", "created")
        ]  # fmt: skip
    assert target.database.read_bytes() == before
    script = target.directory / "copy.sh"
    done = run(*where, "--homes", "script", "--script", str(script), "--yes")
    assert done.exit_code == 0, done.stderr
    assert [row["action"] for row in json.loads(done.stdout)] == ["unchanged", "created", "created"]
    assert target.verifies("bob@example.com", PASSWORD)
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    homes = [cli.json("account", "show", "bob@example.com")["home"] for cli in sides]
    assert homes[0].startswith(str(source.homes))
    assert f"rsync -aH --numeric-ids -- {homes[0]}/ {homes[1]}/" in script.read_text().splitlines()
    again = run(*where, "--yes")
    assert {row["action"] for row in json.loads(again.stdout)} == {"unchanged"}


def test_what_is_there_and_differs_is_refused_and_not_told_twice(sides: tuple[Cli, Cli]) -> None:
    source, target = sides
    target("account", "create", "anna@example.com", "--password-stdin", "--name", "Theirs", stdin="another one\n")
    where = ("migrate", "--from", url(source), "--to", url(target), "--format", "json", "--yes")
    done = run(*where, "--continue")
    assert done.exit_code == 3
    assert [(row["name"][:4], row["action"]) for row in json.loads(done.stdout)] == [
        ("exam", "unchanged"), ("anna", "refused"), ("bob@", "created")
    ]  # fmt: skip
    assert target.json("account", "show", "anna@example.com")["name"] == "Theirs"
    assert run(*where, "--if-exists", "update").exit_code == 0
    assert target.verifies("anna@example.com", PASSWORD)


@pytest.mark.parametrize("options", [["--homes", "script"], ["--script", "x.sh"], ["--store", "main"]])
def test_options_that_do_not_go_together(sides: tuple[Cli, Cli], options: list[str]) -> None:
    assert run("migrate", "--from", url(sides[0]), "--to", url(sides[1]), *options).exit_code == 2
