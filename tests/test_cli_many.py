"""Verbs for several names: from arguments and files, one report, the worst exit code."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli_rig import PASSWORD, Cli

A, B, C = (f"{name}@example.com" for name in "abc")


@pytest.fixture
def cli(workdir: Path) -> Cli:
    made = Cli.with_store(workdir)
    for address in (A, B):
        made.account(address)
    return made


def report(cli: Cli, *words: str | Path, code: int = 0, stdin: str | None = None) -> Mapping[str, dict[str, Any]]:
    """Run a command; return what became of each name."""
    rows = cli.json(*words, code=code, stdin=stdin)
    return {row["name"]: row for row in rows}


def actions(rows: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    return {name[0]: row["action"] for name, row in rows.items()}


def test_each_is_done_and_reported_with_its_record(cli: Cli) -> None:
    rows = report(cli, "account", "update", A, B, "--name", "Both")
    assert actions(rows) == {"a": "updated", "b": "updated"}
    assert [row["record"]["name"] for row in rows.values()] == ["Both", "Both"]


def test_a_refused_one_does_not_stop_the_others(cli: Cli) -> None:
    rows = report(cli, "account", "disable", C, "nonsense", A, B, code=3)
    assert actions(rows) == {"c": "refused", "n": "refused", "a": "disabled", "b": "disabled"}
    assert (rows[C]["error"], rows["nonsense"]["error"]) == ("NotFound", "InvalidAddress")
    assert cli.json("account", "show", B)["enabled"] is False


def test_refusals_of_one_kind_have_its_code(cli: Cli) -> None:
    report(cli, "account", "enable", C, A, "x@example.com", code=5)


def test_the_error_is_one_object_behind_the_report(cli: Cli) -> None:
    done = cli.run("account", "enable", C, A, form="json")
    error = json.loads(done.stderr)
    assert (error["class"], error["exit_code"], error["retryable"]) == ("Unfinished", 5, False)
    assert "1 of 2" in error["message"]


def test_what_is_missing_can_be_ignored(cli: Cli) -> None:
    assert actions(report(cli, "account", "delete", C, A, "--ignore-missing")) == {"c": "missing", "a": "deleted"}
    assert cli("account", "delete", C, "--ignore-missing", form="table") == f"missing: {C}\n"
    assert "no domain" in cli.error("account", "update", B, "--alias", "x@else.where", "--ignore-missing", code=5)


@pytest.mark.parametrize("noun", ["domain", "alias", "admin"])
def test_other_nouns_take_several_too(cli: Cli, noun: str) -> None:
    names, options = {
        "domain": (("one.org", "two.org"), ()),
        "alias": (("x@example.com", "y@example.com"), ("--member", A)),
        "admin": (("x@admin.org", "y@admin.org"), ("--generate",)),
    }[noun]
    rows = report(cli, noun, "create", *names, *options)
    assert {row["action"] for row in rows.values()} == {"created"}
    assert len(cli.json(noun, "show", *names)) == 2
    assert {row["action"] for row in report(cli, noun, "update", *names, "--name", "N").values()} == {"updated"}
    assert {row["action"] for row in report(cli, noun, "delete", *names, "--yes").values()} == {"deleted"}
    assert report(cli, noun, "create", *names[:1], names[0].upper(), *options, code=6)[names[0]]["action"] == "created"


def test_generated_passwords_differ_and_are_told(cli: Cli) -> None:
    rows = report(cli, "account", "create", C, "d@example.com", "--generate")
    passwords = {name: row["generated_password"] for name, row in rows.items()}
    assert len(set(passwords.values())) == 2
    assert all(cli.verifies(name, password) for name, password in passwords.items())
    assert passwords[C] not in cli("account", "show", C, "d@example.com", form="json")
    shown = cli("account", "passwd", A, B, "--generate", "--quiet")
    assert [len(line.split("\t")) for line in shown.splitlines()] == [4, 4]


@pytest.mark.parametrize(("choice", "action"), [("skip", "skipped"), ("update", "updated"), ("fail", "refused")])
def test_what_is_there_on_creation(cli: Cli, choice: str, action: str) -> None:
    words = ("account", "create", A, C, "--generate", "--name", "New", "--if-exists", choice)
    rows = report(cli, *words, code=6 if choice == "fail" else 0)
    assert actions(rows) == {"a": action, "c": "created"}
    assert (cli.json("account", "show", A)["name"] == "New") == (choice == "update")
    assert cli.verifies(A, PASSWORD)


def test_a_name_of_something_else_is_never_skipped(cli: Cli) -> None:
    cli("account", "alias-add", A, C)
    for choice in ("skip", "update"):
        cli.error("account", "create", C, "--generate", "--if-exists", choice, code=6)


def test_names_from_a_file_and_from_a_list(cli: Cli) -> None:
    path = cli.directory / "names"
    path.write_text(f"\ufeff# who left\r\n{A}\tAnna\tyes\r\n\r\n  {A}\n")
    assert actions(report(cli, "account", "disable", "--from-file", path, B)) == {"b": "disabled", "a": "disabled"}
    listed = cli("account", "list", "--disabled")
    assert actions(report(cli, "account", "delete", "--from-file", "-", stdin=listed)) == {
        "a": "deleted",
        "b": "deleted",
    }
    assert report(cli, "account", "delete", "--from-file", "-", stdin="") == {}


def test_names_and_password_cannot_share_standard_input(cli: Cli) -> None:
    words = ("account", "passwd", "--password-stdin", "--from-file", "-")
    assert "standard input" in cli.error(*words, stdin=f"{A}\n", code=2)
    assert "--from-file" in cli.error("account", "show", code=2)


def test_pairs_of_a_file_are_renamed(cli: Cli) -> None:
    pairs = f"{A} {C}\n{B}\td@example.com\nx@example.com y@example.com\n"
    rows = report(cli, "account", "rename", "--from-file", "-", stdin=pairs, code=5)
    assert actions(rows) == {"a": f"renamed to {C}", "b": "renamed to d@example.com", "x": "refused"}
    assert "two addresses" in cli.error("account", "rename", "--from-file", "-", stdin="one\n", code=2)


def test_members_come_from_a_file_too(cli: Cli) -> None:
    cli("alias", "create", "all@example.com")
    cli("alias", "member-add", "all@example.com", "--from-file", "-", stdin=f"{A}\n{B}\n")
    assert cli.json("alias", "show", "all@example.com")["members"] == [A, B]


def test_a_dry_run_tells_of_all_and_changes_nothing(cli: Cli) -> None:
    rows = report(cli, "account", "delete", A, C, B, "--dry-run", code=5)
    assert actions(rows) == {"a": "would have deleted", "c": "refused", "b": "would have deleted"}
    assert cli("account", "list", "--count") == "2\n"


def test_a_store_that_fails_ends_the_run(cli: Cli) -> None:
    with sqlite3.connect(cli.database) as connection:
        connection.execute("ALTER TABLE mailbox RENAME TO elsewhere")
    connection.close()
    done = cli.run("account", "disable", A, B, form="json")
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr


def test_show_tells_what_is_there_and_what_is_not(cli: Cli) -> None:
    done = cli.run("account", "show", A, C, B, form="json")
    assert [row["address"] for row in json.loads(done.stdout)] == [A, B]
    assert (json.loads(done.stderr)["subject"], done.exit_code) == (C, 5)
    assert [row["address"] for row in cli.json("account", "show", A, C, "--ignore-missing")] == [A]
