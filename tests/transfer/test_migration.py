"""From one store into another: what is refused and why, and the command line; what arrives is in `test_pairs`."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from mailstore.transfer import Loader, dump
from tests.test_cli_rig import PASSWORD, Cli, run
from tests.transfer.filled import fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stores import StoreRig


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
