"""What a person meets at the terminal: reports beside a progress bar, options in any place, tables, spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailstore.cli import tables
from mailstore.cli.output import Output
from mailstore.model import Account
from tests.test_cli_rig import PASSWORD, Cli, run

NAMES = ["=1+1", "+1", "-x", "@sum", "\tx", "'=1", "''-", "'quoted", "plain"]


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


@pytest.mark.parametrize("form", ["json", "lines", "csv", "table"])
def test_the_report_of_a_purge_reaches_a_file_beside_a_progress_bar(cli: Cli, form: str) -> None:
    cli.account("bob@example.com")
    cli("account", "delete", "bob@example.com", "--keep-days", "0")
    report = cli.directory / "report"
    ours, theirs = pty.openpty()
    with report.open("wb") as stream:
        command = cli.command("--format", form, "purge", "--yes")
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    os.close(ours)
    assert "bob@example.com" in report.read_text(encoding="utf-8")
    assert "purged" in report.read_text(encoding="utf-8")


class TestPlaces:
    @pytest.mark.parametrize(
        "line",
        [
            "account list --format json",
            "account --format=json list",
            "--format json account list",
            "account list --as {} --format json",
        ],
    )
    def test_options_of_mailstore_stand_anywhere(self, cli: Cli, line: str) -> None:
        cli.account("bob@example.com")
        cli("admin", "create", "boss@admin.org", "--domain", "example.com", "--password-stdin", stdin=PASSWORD)
        words = [word.format("boss@admin.org") for word in line.split()]
        (shown,) = json.loads(cli(*words, form=None))
        assert shown["address"] == "bob@example.com"

    def test_the_store_may_stand_behind_the_verb(self, cli: Cli) -> None:
        assert "example.com" in run("domain", "list", *cli.store, "--format", "lines").stdout

    def test_a_value_or_an_argument_that_looks_like_one_stays(self, cli: Cli) -> None:
        cli.account("bob@example.com", "--name", "--quiet")
        assert cli.json("account", "show", "bob@example.com")["name"] == "--quiet"
        assert "'--url' cannot be used" in cli.error("account", "show", "--", "--url", code=4)

    @pytest.mark.parametrize(
        ("line", "meant"),
        [
            ("acount list", "account"),
            ("account lst", "list"),
            ("account list --domian x", "--domain"),
            ("chek", "check"),
        ],
    )
    def test_what_was_meant_is_asked(self, cli: Cli, line: str, meant: str) -> None:
        assert f"{meant!r}" in cli.error(*line.split(), code=2).partition("Did you mean")[2]


def test_a_domain_that_is_not_there_is_an_error(cli: Cli) -> None:
    for line in ("account list", "account list --count", "alias list"):
        assert "typo.org" in cli.error(*line.split(), "--domain", "typo.org", code=5)
    assert cli("account", "list", "--domain", "example.com") == ""
    assert cli("deleted", "list", "--domain", "typo.org") == ""


class TestTables:
    ROWS = (
        (
            "christopher.longname@department.example.com",
            "Christopher von und zu",
            "a@other-domain.example.org, b@x.org",
        ),
        ("b@x.org", "", "somebody.with.a.longer.name@another.department.example.com"),
    )
    TITLES = ("address", "name", "forwarding")

    @pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
    def test_no_address_is_broken(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
    ) -> None:
        monkeypatch.setattr(tables, "_width", lambda: width)
        for sampled in (1, 100):  # a row that comes later may be wider than those that the widths follow
            monkeypatch.setattr(tables, "_SAMPLE_ROWS", sampled)
            tables.write(self.TITLES, self.ROWS)
            text = capsys.readouterr().out
            for cells in self.ROWS:
                for word in " ".join(cells).split():
                    assert word in text
            if width >= 80:
                assert max(map(len, text.splitlines())) <= width

    def test_rows_are_written_while_others_come(self, capsys: pytest.CaptureFixture[str]) -> None:
        seen: list[int] = []

        def accounts() -> Iterator[Account]:
            for number in range(500):
                if number == 300:
                    seen.append(capsys.readouterr().out.count("@x.org"))
                yield Account(address=f"u{number}@x.org")

        Output("table").many(Account, accounts())
        assert seen[0] >= 250


class TestSpreadsheets:
    def test_cells_that_would_be_calculated_are_text_and_come_back(self, cli: Cli) -> None:
        for number, name in enumerate(NAMES):
            cli.account(f"u{number}@example.com", "--name", name.replace("\t", "-t"))
        listed = cli("account", "list", form="csv")
        shown = {row["address"]: row["name"] for row in csv.DictReader(io.StringIO(listed))}
        assert not any(name.startswith(("=", "+", "-", "@", "\t", "\r")) for name in shown.values())
        file = cli.directory / "back.csv"
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["address", "name", "password"])
            writer.writerows([f"new.{address}", name, "'=Secret.1234"] for address, name in shown.items())
        cli("account", "import", file)
        for number, name in enumerate(NAMES):
            assert cli.json("account", "show", f"new.u{number}@example.com")["name"] == name.replace("\t", "-t")
        cli("account", "verify-password", "new.u0@example.com", "--password-stdin", stdin="'=Secret.1234")

    def test_the_raw_form_is_there_for_programs(self, cli: Cli) -> None:
        cli.account("bob@example.com", "--name", "=1+1")
        assert ",=1+1," in cli("account", "list", "--raw-csv", form="csv")
        assert ",'=1+1," in cli("account", "list", form="csv")


def test_a_file_without_a_header_shows_nobodys_password(cli: Cli) -> None:
    file = cli.directory / "rows.csv"
    file.write_text(f"bob@example.com,{PASSWORD},Bob\n")
    error = cli.error("account", "import", file, code=2)
    assert "header" in error
    assert PASSWORD not in error
