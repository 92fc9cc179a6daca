"""``mailstore account import``: checked first, in blocks, reported row by row, resumable."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from mailstore.cli import imports
from mailstore.passwords import hash_password
from tests.test_cli_rig import PASSWORD, Cli


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


def write(cli: Cli, *rows: dict[str, Any]) -> Path:
    """Write a CSV file and return its path."""
    path = cli.directory / "accounts.csv"
    with path.open("w", newline="") as stream:
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(stream, list(names))
        writer.writeheader()
        writer.writerows(rows)
    return path


def named(*names: str) -> list[dict[str, Any]]:
    return [{"address": f"{name}@example.com", "password": PASSWORD} for name in names]


def actions(report: list[dict[str, Any]]) -> dict[str, str]:
    return {row["address"].partition("@")[0]: row["action"] for row in report}


def accounts(cli: Cli) -> list[str]:
    return [line.partition("@")[0] for line in cli("account", "list").splitlines()]


def test_a_csv_file(cli: Cli) -> None:
    rows = named("a", "b")
    rows[0] |= {"name": "Anna, B", "quota": "2G", "enabled": "no", "services": "imap smtp"}
    rows[1] = {
        "address": "b@example.com",
        "password_hash": hash_password("other", "SSHA512"),
        "allow_nets": "10.0.0.0/8",
    }
    report = cli.json("account", "import", write(cli, *rows))
    assert report == [
        {"address": "a@example.com", "row": 1, "line": 2, "action": "created", "reason": "", "error": "", "field": ""},
        {"address": "b@example.com", "row": 2, "line": 3, "action": "created", "reason": "", "error": "", "field": ""},
    ]
    shown = cli.json("account", "show", "a@example.com")
    assert (shown["name"], shown["quota"], shown["enabled"]) == ("Anna, B", 2 << 30, False)
    assert shown["services"] == ["imap", "smtp"]
    assert cli.json("account", "show", "b@example.com")["quota"] is None
    assert cli.verifies("a@example.com", PASSWORD)
    assert cli.verifies("b@example.com", "other")


def test_json_lines_from_standard_input(cli: Cli) -> None:
    rows = [
        {"address": "a@example.com", "password": PASSWORD, "quota": 1 << 30, "enabled": False, "allow_nets": ["::1"]},
        {"address": "b@example.com", "password": PASSWORD, "quota": "unlimited"},
    ]
    lines = "\n".join(map(json.dumps, rows)) + "\n\n"
    assert "a@example.com\t1\t1\tcreated" in cli("account", "import", "-", "--input", "jsonl", stdin=lines)
    shown = cli.json("account", "show", "a@example.com")
    assert (shown["quota"], shown["enabled"], shown["allow_nets"]) == (1 << 30, False, ["::1"])


def test_a_name_tells_the_format(cli: Cli) -> None:
    path = cli.directory / "accounts.jsonl"
    path.write_text(json.dumps({"address": "a@example.com", "password": PASSWORD}))
    cli("account", "import", path)
    assert accounts(cli) == ["a"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"address": "not an address"}, "cannot be used"),
        ({"address": ""}, "cannot be used"),
        ({"quota": "-1"}, "is no quota"),
        ({"enabled": "perhaps"}, "yes or no"),
        ({"password": ""}, "neither a password nor a hash"),
        ({"password_hash": "{SSHA256}x"}, "a password and a hash"),
        ({"password": "", "password_hash": "{PLAIN}secret"}, "never verified"),
        ({"address": "A@example.com"}, "row 1 has this address too"),
    ],
)
def test_a_row_that_is_bad_by_itself_stops_everything(cli: Cli, row: dict[str, str], reason: str) -> None:
    path = write(cli, *named("a"), {**named("b")[0], **row})
    result = cli.run("account", "import", path, form="json")
    assert result.exit_code == 3
    first, second = json.loads(result.stdout)
    assert (first["action"], second["action"]) == ("not tried", "refused")
    assert reason in second["reason"]
    assert reason in result.stderr
    assert "secret" not in result.output
    assert accounts(cli) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", "address,colour\n", "there is no column 'colour'"),
        ("a.csv", "name\nx\n", "needs a header with 'address'"),
        ("a.csv", "address,address\n", "no name twice"),
        ("a.csv", "", "needs a header"),
        ("a.csv", 'address,password\n"a@example.com,secret\n', "is not CSV"),
        ("a.csv", b"address,password\na@example.com,p\xe4ss\n", "is not UTF-8"),
        ("a.jsonl", '{"address": "secret', "line 1 is not JSON"),
        ("a.jsonl", "[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_a_file_that_cannot_be_read(cli: Cli, name: str, data: str | bytes, message: str) -> None:
    path = cli.directory / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    error = cli.error("account", "import", path, code=2)
    assert message in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1], "this is no object"),
        ({"address": "a@example.com", "colour": "red"}, "'colour' is unknown"),
        ({"address": "a@example.com", "name": 5}, "name: text is wanted"),
        ({"address": "a@example.com", "services": [5]}, "a list of texts"),
        ({"address": "a@example.com", "quota": 1.5}, "is no quota"),
    ],
)
def test_a_line_that_is_no_account(cli: Cli, row: Any, reason: str) -> None:
    path = cli.directory / "a.jsonl"
    path.write_text(json.dumps(row))
    assert reason in cli.error("account", "import", path, code=3)


def test_more_cells_than_columns(cli: Cli) -> None:
    path = cli.directory / "a.csv"
    path.write_text("address,password\na@example.com,x,y\n")
    assert "more cells than columns" in cli.error("account", "import", path, code=3)


class TestBlocks:
    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(imports, "_BLOCK", 2)

    def test_the_first_refused_block_ends_the_run(self, cli: Cli) -> None:
        cli.account("d@example.com")
        path = write(cli, *named("a", "b", "c", "d", "e"))
        result = cli.run("account", "import", path, form="json")
        assert result.exit_code == 3
        assert actions(json.loads(result.stdout)) == {
            "a": "created", "b": "created", "c": "not tried", "d": "refused", "e": "not tried",
        }  # fmt: skip
        assert "rows refused: 1, accounts created: 2; row 4, line 5: d@example.com is in use" in result.stderr
        assert accounts(cli) == ["a", "b", "d"]

    def test_the_same_command_goes_on(self, cli: Cli) -> None:
        cli.account("a@example.com")
        cli.account("c@example.com")
        report = cli.json("account", "import", write(cli, *named("a", "b", "c", "d")), "--skip-existing")
        assert actions(report) == {"a": "skipped", "b": "created", "c": "skipped", "d": "created"}
        assert accounts(cli) == ["a", "b", "c", "d"]

    def test_a_dry_run_finds_every_refused_row_and_changes_nothing(self, cli: Cli) -> None:
        cli("alias", "create", "b@example.com")
        path = write(cli, *named("a", "b", "c"), {"address": "x@unknown.org", "password": PASSWORD})
        result = cli.run("account", "import", path, "--dry-run", form="json")
        assert result.exit_code == 3
        assert actions(json.loads(result.stdout)) == {
            "a": "would create", "b": "refused", "c": "would create", "x": "refused",
        }  # fmt: skip
        assert accounts(cli) == []
        assert list(cli.homes.iterdir()) == []

    def test_refused_rows_need_not_stop_it(self, cli: Cli) -> None:
        cli.account("d@example.com")
        bad = [{"address": "x"}, {"address": "e@example.com", "password_hash": "{BCRYPT}$2b$"}]
        path = write(cli, *named("a"), *bad, *named("b", "c", "d", "f", "f"))
        result = cli.run("account", "import", path, "--skip-refused", form="json")
        assert result.exit_code == 3
        reported = [(row["row"], row["action"]) for row in json.loads(result.stdout)]
        wanted = ["created", "refused", "refused", "created", "created", "refused", "created", "refused"]
        assert reported == list(enumerate(wanted, 1))
        assert "rows refused: 4, accounts created: 4" in result.stderr
        assert accounts(cli) == ["a", "b", "c", "d", "f"]


class TestGeneratedPasswords:
    def test_they_are_written_to_a_file_of_ones_own(self, cli: Cli) -> None:
        path = write(cli, {"address": "a@example.com"}, {"address": "b@example.com", "password": PASSWORD})
        secrets = cli.directory / "secrets.csv"
        out = cli("account", "import", path, "--generate-to", secrets)
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
        with secrets.open(newline="") as stream:
            [row] = csv.DictReader(stream)
        assert row["address"] == "a@example.com"
        assert cli.verifies("a@example.com", row["password"])
        assert cli.verifies("b@example.com", PASSWORD)
        assert row["password"] not in out

    def test_an_existing_file_is_not_overwritten(self, cli: Cli) -> None:
        path = write(cli, {"address": "a@example.com"})
        secrets = cli.directory / "secrets.csv"
        secrets.write_text("old")
        assert "cannot make" in cli.error("account", "import", path, "--generate-to", secrets, code=2)
        assert secrets.read_text() == "old"
        assert accounts(cli) == []

    def test_a_dry_run_makes_no_file(self, cli: Cli) -> None:
        path = write(cli, {"address": "a@example.com"})
        secrets = cli.directory / "secrets.csv"
        assert "would create" in cli("account", "import", path, "--generate-to", secrets, "--dry-run")
        assert not secrets.exists()


def test_a_table_shows_only_what_was_not_created(cli: Cli) -> None:
    path = write(cli, *named("a", "b"))
    assert cli("account", "import", path, form="table") == "created 2 of 2 accounts\n"
    shown = cli("account", "import", write(cli, *named("a", "b", "c")), "--skip-existing", form="table")
    assert "skipped" in shown
    assert "c@example.com" not in shown
    assert shown.endswith("created 1 of 3 accounts\n")
    assert cli("-q", "account", "import", write(cli, *named("d")), form="table") == ""
