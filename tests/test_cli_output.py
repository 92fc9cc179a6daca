"""What the command line writes: formats, errors, questions, and nothing that a terminal would obey."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import rich.console

from mailstore.cli import failures, terminal, values
from mailstore.cli.output import Output
from mailstore.errors import (
    BulkRefused,
    ConfigurationError,
    Conflict,
    HomeError,
    MailstoreError,
    NotFound,
    SchemaMismatch,
    StoreUnavailable,
)
from mailstore.model import Account, Admin, Alias, DeletedMailbox, Domain, Finding, LastLogin, Usage
from mailstore.quota import Quota
from tests.test_cli_rig import Cli, run

ACCOUNT = Account(
    address="bob@example.com",
    name="Bob\x1b[31m\n\u202eTab\t",
    quota=Quota(1 << 30),
    forwarding=("a@x.org", "b@x.org"),
    usage=Usage(1536, 3),
    last_login=LastLogin(imap=datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 naive UTC, as the model has it
    created=datetime(2026, 1, 1),  # noqa: DTZ001
    settings={"timezone": "Europe/Rome"},
)
RECORD = DeletedMailbox(id=7, address="bob@example.com", domain="example.com", home="/srv/bob", due=date(2026, 5, 6))


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


def written(capsys: pytest.CaptureFixture[str], form: str, write: Callable[[Output], None]) -> str:
    write(Output(form))
    return capsys.readouterr().out


class TestJson:
    def test_the_fields_are_those_of_the_library(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = json.loads(written(capsys, "json", lambda output: output.one(ACCOUNT)))
        assert list(shown) == [one.name for one in fields(Account)]

    def test_values_have_one_stable_form(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = json.loads(written(capsys, "json", lambda output: output.one(ACCOUNT)))
        assert shown["quota"] == 1 << 30
        assert shown["created"] == "2026-01-01T00:00:00Z"
        assert shown["usage"] == {"bytes": 1536, "messages": 3}
        assert shown["last_login"] == {"imap": "2026-01-02T03:04:05Z", "pop3": None, "delivery": None}
        assert shown["forwarding"] == ["a@x.org", "b@x.org"]
        assert shown["settings"] == {"timezone": "Europe/Rome"}
        assert shown["name"] == ACCOUNT.name
        assert shown["modified"] is None
        deleted = json.loads(written(capsys, "json", lambda output: output.one(RECORD)))
        assert deleted["due"] == "2026-05-06"

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_a_list_is_one_array(self, capsys: pytest.CaptureFixture[str], count: int) -> None:
        text = written(capsys, "json", lambda output: output.many(Account, iter([ACCOUNT] * count)))
        assert len(json.loads(text)) == count

    def test_it_is_plain_ascii(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = written(capsys, "json", lambda output: output.one(ACCOUNT))
        assert text.isascii()
        assert text.strip().isprintable()


class TestCsv:
    def test_it_holds_everything_under_a_header(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = written(capsys, "csv", lambda output: output.many(Account, [ACCOUNT]))
        [row] = csv.DictReader(io.StringIO(text))
        assert tuple(row) == values.names(Account)
        assert row["name"] == ACCOUNT.name
        assert (row["usage.bytes"], row["last_login.pop3"], row["enabled"]) == ("1536", "", "yes")

    def test_an_empty_list_has_a_header_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = written(capsys, "csv", lambda output: output.many(Finding, []))
        assert text == "code,subject,message,severity\n"


class TestLines:
    def test_one_record_is_one_line_with_the_address_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = written(capsys, "lines", lambda output: output.many(Account, [ACCOUNT, ACCOUNT]))
        assert len(text.splitlines()) == 2
        assert text.startswith("bob@example.com\tBob\\x1b[31m\\n\\u202eTab\\t\tyes\t1G\t1536\ta@x.org b@x.org\t\n")

    def test_show_gives_a_line_for_each_field(self, capsys: pytest.CaptureFixture[str]) -> None:
        lines = written(capsys, "lines", lambda output: output.one(RECORD)).splitlines()
        assert "due\t2026-05-06" in lines
        assert len(lines) == len(values.names(DeletedMailbox))

    @pytest.mark.parametrize("kind", [Domain, Account, Alias, Admin, DeletedMailbox])
    def test_listed_columns_exist(self, kind: type) -> None:
        assert set(values.listed(kind)) <= set(values.names(kind))
        assert values.listed(kind)[0] in {"address", "domain"}


class TestTable:
    def test_it_is_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = written(capsys, "table", lambda output: output.many(Account, [ACCOUNT]))
        assert "1.5 KiB" in text
        assert "a@x.org, b@x.org" in text
        assert "usage bytes" in text

    @pytest.mark.parametrize("form", ["table", "lines"])
    def test_nothing_stored_reaches_the_terminal_raw(self, capsys: pytest.CaptureFixture[str], form: str) -> None:
        for write in (lambda output: output.one(ACCOUNT), lambda output: output.many(Account, [ACCOUNT])):
            text = written(capsys, form, write)
            assert "\x1b[31m" not in text
            assert "\u202e" not in text

    def test_markup_of_rich_is_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        finding = Finding("code", "[red]x[/red]", "[link=http://x]y")
        assert "[red]x[/red]" in written(capsys, "table", lambda output: output.many(Finding, [finding]))

    def test_csv_is_made_safe_only_on_a_terminal(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert "\x1b" not in written(capsys, "csv", lambda output: output.one(ACCOUNT))


class TestDone:
    @pytest.mark.parametrize(
        ("form", "expected"),
        [("table", "created\n"), ("lines", "bob\tno\n"), ("csv", "address,dry_run\nbob,no\n")],
    )
    def test_what_was_done(self, capsys: pytest.CaptureFixture[str], form: str, expected: str) -> None:
        from mailstore.cli.results import Deleted

        assert written(capsys, form, lambda output: output.done("created", Deleted("bob"))) == expected

    def test_quiet_says_nothing_but_a_generated_password(self, capsys: pytest.CaptureFixture[str]) -> None:
        Output("table", quiet=True).done("created", RECORD)
        assert capsys.readouterr().out == ""
        Output("table", quiet=True).done("created", RECORD, password="generated")
        assert capsys.readouterr().out.endswith("password: generated\n")

    @pytest.mark.parametrize("form", ["lines", "csv", "json"])
    def test_a_generated_password_has_a_field(self, capsys: pytest.CaptureFixture[str], form: str) -> None:
        text = written(capsys, form, lambda output: output.done("created", RECORD, password="generated"))
        assert ("generated_password" in text) == (form != "lines")
        assert "generated" in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NotFound("there is no x"), 5, "mailstore: there is no x\n"),
        (BulkRefused([(0, NotFound("no x"))]), 3, "mailstore: nothing was written: row 1: no x\n"),
        (ConfigurationError("bad"), 2, "mailstore: bad\n"),
        (SchemaMismatch("bad"), 1, "mailstore: bad\n"),
        (HomeError("bad", state="half of it is left"), 1, "mailstore: bad (half of it is left)\n"),
        (StoreUnavailable("down"), 75, "mailstore: down\nThis is temporary"),
        (Conflict("race"), 75, "mailstore: race\nThis is temporary"),
        (click.UsageError("what?"), 2, "mailstore: what?\n"),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device"), 1, "mailstore: [Errno 28] No space left on device\n"),
        (ZeroDivisionError("secret"), 1, "mailstore: internal error: ZeroDivisionError\n"),
        (MailstoreError("\x1b[31mred"), 1, "mailstore: \\x1b[31mred\n"),
    ],
)
def test_errors(capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str) -> None:
    def fail() -> None:
        raise error

    assert failures.exit_code(fail) == code
    told = capsys.readouterr().err
    assert told.startswith(text)
    assert "Traceback" not in told
    assert "secret" not in told


def test_a_traceback_only_for_debugging(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise NotFound("x")

    monkeypatch.setenv("MAILSTORE_DEBUG", "1")
    assert failures.exit_code(fail) == 5
    assert "Traceback" in capsys.readouterr().err


def test_usage_errors_point_to_the_help(cli: Cli) -> None:
    assert cli.error("account", "list", "--nonsense", code=2).endswith("See 'mailstore account list --help'.\n")
    assert "known" not in cli.error("nonsense", code=2)
    cli.error("account", "create", "bob@example.com", "--quota", "many", code=2)
    cli.error("domain", "update", "example.com", "--max-accounts", "many", code=2)
    result = run("account")
    assert (result.exit_code, "Usage:" in result.output) == (2, True)


class TestQuestions:
    @pytest.fixture
    def asked(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
        """The command line with somebody at the terminal."""
        monkeypatch.setattr(terminal, "can_ask", lambda: True)
        cli.account("bob@example.com")
        return cli

    def test_no_keeps_everything(self, asked: Cli) -> None:
        result = asked.run("account", "delete", "bob@example.com", stdin="n\n")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Delete the account bob@example.com? [y/N]: n\nmailstore: nothing was done\n"
        assert asked("account", "list", "--count") == "1\n"

    def test_yes_deletes(self, asked: Cli) -> None:
        asked("account", "delete", "bob@example.com", stdin="y\n")
        assert asked("account", "list", "--count") == "0\n"

    def test_the_option_and_a_dry_run_do_not_ask(self, asked: Cli) -> None:
        asked("account", "delete", "bob@example.com", "--dry-run")
        asked("account", "delete", "bob@example.com", "--yes")

    @pytest.mark.parametrize(
        "line",
        [
            "domain delete example.com",
            "domain alias-remove example.com a.org",
            "account delete bob@example.com",
            "account update-all example.com --disabled",
            "alias delete a@example.com",
            "admin delete a@admin.org",
        ],
    )
    def test_every_destructive_command_asks(self, asked: Cli, line: str) -> None:
        assert "nothing was done" in asked.run(*line.split(), stdin="n\n").stderr

    def test_purge_asks_when_something_is_due(self, asked: Cli) -> None:
        asked("purge")
        asked("account", "delete", "bob@example.com", "--yes", "--keep-days", "0")
        assert "(mailboxes: 1)?" in asked.run("purge", stdin="n\n").stderr
        assert asked("deleted", "list", "--count") == "1\n"


class TestProgress:
    def test_it_is_shown_on_a_terminal_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        consoles: list[Any] = []
        made = rich.console.Console
        monkeypatch.setattr(rich.console, "Console", lambda **given: consoles.append(given) or made(**given))
        with terminal.progress("working", 2) as advance:
            advance(1)
        assert consoles == []
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stderr", screen)
        with terminal.progress("working", 2) as advance:
            advance(2)
        assert "working" in screen.getvalue()

    def test_it_does_not_mix_with_lines_on_the_same_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert Output("lines").progress
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert Output("table").progress
        assert not Output("lines").progress
        assert not Output("table", quiet=True).progress


def test_the_format_depends_on_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Output.choose(None, quiet=False).form == "lines"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert Output.choose(None, quiet=False).form == "table"
    assert Output.choose("json", quiet=False).form == "json"
