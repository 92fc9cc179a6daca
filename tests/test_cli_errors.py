"""Errors for machines: one object on standard error, and an exit code for each class of refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailstore import errors
from mailstore.cli.exits import MEANINGS, ExitCode, code_of, worst
from mailstore.cli.failures import as_object
from mailstore.errors import (
    BulkRefused,
    InvalidValue,
    LimitExceeded,
    MailstoreError,
    NotFound,
    Refused,
    StoreUnavailable,
)
from mailstore.passwords import hash_password
from tests.test_cli_rig import Cli, run


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


def refused(cli: Cli, *words: str, stdin: str | None = None) -> dict[str, Any]:
    """Run a command that fails; return the only object on standard error, whose code is that of the run."""
    done = cli.run(*words, form="json", stdin=stdin)
    found: dict[str, Any] = json.loads(done.stderr)
    assert (done.exit_code, done.stdout) == (found["exit_code"], "")
    return found


@pytest.mark.parametrize(
    ("line", "code", "class_", "subject", "field"),
    [
        ("account show x@example.com", 5, "NotFound", "x@example.com", None),
        ("account show nonsense", 4, "InvalidAddress", "nonsense", None),
        ("domain create example.com", 6, "AlreadyExists", "example.com", None),
        ("domain update example.com --transport a\tb", 4, "InvalidValue", None, "transport"),
        ("domain update example.com --primary-mx x --name n\n", 4, "InvalidValue", "example.com", None),
        ("account create b@example.com --generate --language german", 4, "InvalidValue", None, "language"),
        ("account create b@example.com --generate --forwarding x", 4, "InvalidAddress", "x", "forwarding"),
        ("account create b@example.com --generate --alias x", 4, "InvalidAddress", "x", "aliases"),
        ("account create b@example.com --password-stdin", 4, "InvalidPassword", None, "password"),
        ("list list", 9, "NotSupported", None, None),
        ("--as x@admin.org domain list", 5, "NotFound", "x@admin.org", None),
        ("account list --nonsense", 2, "UsageError", None, None),
        ("account create b@example.com --quota much", 2, "UsageError", None, "quota"),
        ("account", 2, "UsageError", None, None),
    ],
)  # fmt: skip
def test_an_error_is_one_object(
    cli: Cli, line: str, code: int, class_: str, subject: str | None, field: str | None
) -> None:
    words = [word.replace("\n", "") for word in line.split(" ")]
    found = refused(cli, *words, stdin="" if "stdin" in line else None)
    assert (found["exit_code"], found["class"], found["retryable"]) == (code, class_, False), found
    assert found["field"] == field
    assert subject is None or found["subject"] == subject
    assert found["message"]


def test_a_limit_names_the_field(cli: Cli) -> None:
    cli("domain", "update", "example.com", "--max-account-quota", "1G")
    found = refused(cli, "account", "create", "b@example.com", "--generate", "--quota", "2G")
    assert (found["exit_code"], found["class"], found["field"]) == (7, "LimitExceeded", "quota")
    assert found["subject"] == "b@example.com"


def test_an_admin_without_the_right(cli: Cli) -> None:
    cli("admin", "create", "boss@admin.org", "--generate", "--domain", "example.com")
    found = refused(cli, "--as", "boss@admin.org", "lookups", "dovecot")
    assert (found["exit_code"], found["class"]) == (8, "PermissionDenied")


@pytest.mark.parametrize("words", [("--format", "json"), ("--format=json",)])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_the_format_counts_wherever_it_stands(cli: Cli, words: tuple[str, ...], place: int) -> None:
    line = [*("account", "show", "x@example.com")]
    done = run(*cli.store, *line[:place], *words, *line[place:])
    assert json.loads(done.stderr)["class"] == "NotFound"


def test_the_format_counts_where_the_line_makes_no_sense() -> None:
    assert json.loads(run("--format", "json", "nonsense").stderr)["class"] == "UsageError"
    assert json.loads(run("--url", "x", "--store", "y", "domain", "list", "--format=json").stderr)["exit_code"] == 2
    assert run("--", "--format=json").stderr.startswith("mailstore: ")


def test_every_class_has_a_code_that_is_explained() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, MailstoreError)]
    assert {type(code_of(one([(0, NotFound("x"))]) if one is BulkRefused else one("x"))) for one in classes} == {
        ExitCode
    }
    assert set(MEANINGS) == set(ExitCode)
    direct = [one for one in classes if one.__base__ is Refused and one is not BulkRefused]
    assert len({code_of(one("x")) for one in direct}) == len(direct)


def test_refused_rows_are_objects_too() -> None:
    inner = InvalidValue("too long", subject="b@example.com", field="name")
    found = as_object(BulkRefused([(1, inner)]))
    assert found["rows"] == [{"row": 2, **as_object(inner)}]
    assert (found["class"], found["exit_code"], found["rows"][0]["exit_code"]) == ("BulkRefused", 3, 4)


def test_what_may_pass_is_retryable() -> None:
    found = as_object(StoreUnavailable("down", state="half of it"))
    assert (found["retryable"], found["exit_code"], found["state"]) == (True, 75, "half of it")


def test_the_worst_code_wins() -> None:
    of = [code_of(one) for one in (NotFound("x"), NotFound("y"))]
    assert worst([]) is ExitCode.DONE
    assert worst(of) is ExitCode.NOT_FOUND
    assert worst([*of, code_of(LimitExceeded("x"))]) is ExitCode.REFUSED
    assert worst([*of, ExitCode.TEMPORARY]) is ExitCode.TEMPORARY
    assert worst([*of, ExitCode.FAULT, ExitCode.TEMPORARY]) is ExitCode.FAULT


def test_a_notice_is_an_object_too(cli: Cli) -> None:
    cli("account", "create", "b@example.com", "--generate")
    ready = hash_password("correct horse", "SHA512-CRYPT:1000")
    done = cli.run("admin", "promote", "b@example.com", "--password-hash-stdin", form="json", stdin=ready)
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["notice"]["code"] == "panel-password"
