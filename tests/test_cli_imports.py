"""Imports of all nouns: updates, files as spreadsheets write them, refused rows reported by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailstore.passwords import hash_password
from tests.test_cli_rig import PASSWORD, Cli

READY = hash_password(PASSWORD, "SSHA512")


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


def file(cli: Cli, text: str | bytes, name: str = "a.csv") -> Path:
    path = cli.directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def actions(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["address"], row["action"]) for row in rows]


def test_accounts_with_aliases_and_forwarding(cli: Cli) -> None:
    path = file(
        cli,
        f"address,password_hash,aliases,forwarding,keep_copy,services\n"
        f'a@example.com,{READY},"a1@example.com, a2@example.com",far@else.where,no,imap smtp\n'
        f"b@example.com,{READY},,,,\n",
    )
    assert actions(cli.json("account", "import", path)) == [("a@example.com", "created"), ("b@example.com", "created")]
    shown = cli.json("account", "show", "a@example.com")
    assert (shown["aliases"], shown["forwarding"]) == (["a1@example.com", "a2@example.com"], ["far@else.where"])
    assert (shown["keep_copy"], shown["services"]) == (False, ["imap", "smtp"])


def test_a_row_whose_alias_is_taken_leaves_nothing(cli: Cli) -> None:
    cli("alias", "create", "taken@example.com", "--member", "x@else.where")
    text = f"address,password_hash,aliases\na@example.com,{READY},taken@example.com\nb@example.com,{READY},b1@example.com\n"
    done = cli.run("account", "import", file(cli, text), form="json")
    assert done.exit_code == 3
    assert actions(json.loads(done.stdout)) == [("a@example.com", "refused"), ("b@example.com", "not tried")]
    assert cli("account", "list", "--count") == "0\n"
    done = cli.run("account", "import", file(cli, text), "--continue", form="json")
    assert actions(json.loads(done.stdout)) == [("a@example.com", "refused"), ("b@example.com", "created")]
    assert cli.json("account", "show", "b@example.com")["aliases"] == ["b1@example.com"]


@pytest.mark.parametrize("option", [("--update",), ("--if-exists", "update")])
def test_what_is_there_is_updated(cli: Cli, option: tuple[str, ...]) -> None:
    cli.account("a@example.com", "--name", "Old", "--forwarding", "x@else.where")
    path = file(
        cli, f"address,name,password_hash,aliases\na@example.com,New,,a1@example.com\nb@example.com,B,{READY},\n"
    )
    rows = cli.json("account", "import", path, *option)
    assert actions(rows) == [("a@example.com", "updated"), ("b@example.com", "created")]
    shown = cli.json("account", "show", "a@example.com")
    assert (shown["name"], shown["aliases"], shown["forwarding"]) == ("New", ["a1@example.com"], ["x@else.where"])
    assert cli.verifies("a@example.com", PASSWORD)
    told = cli("account", "import", path, *option, form="table")
    assert told == "created 0, updated 2 of 2 accounts\n"


def test_a_new_row_without_password_is_refused_when_it_is_one(cli: Cli) -> None:
    cli.account("a@example.com")
    path = file(cli, "address,name\na@example.com,A\nb@example.com,B\n")
    done = cli.run("account", "import", path, "--update", "--continue", form="json")
    assert actions(json.loads(done.stdout)) == [("a@example.com", "updated"), ("b@example.com", "refused")]
    secrets = cli.directory / "secrets.csv"
    rows = cli.json("account", "import", path, "--update", "--generate-to", secrets)
    assert actions(rows) == [("a@example.com", "updated"), ("b@example.com", "created")]
    assert "a@example.com" not in secrets.read_text()
    assert cli.verifies("a@example.com", PASSWORD)


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffE-Mail;Name;Password Hash\r\na@example.com;Anna;{READY}\r\n;;\r\n\r\n;;\r\n",
        f"sep=;\r\nAddress;NAME;password-hash;;\r\na@example.com;Anna;{READY};;\r\n",
        f'"address"\t"name"\t"password_hash"\na@example.com\tAnna\t{READY}\n',
        f" address , name , password_hash \na@example.com,Anna,{READY}\n",
    ],
)
def test_files_are_as_spreadsheets_write_them(cli: Cli, text: str) -> None:
    assert actions(cli.json("account", "import", file(cli, text))) == [("a@example.com", "created")]
    assert cli.json("account", "show", "a@example.com")["name"] == "Anna"


def test_delimiters_and_encodings_are_named(cli: Cli) -> None:
    text = f"address|name|password_hash\na@example.com|Jos\xe9|{READY}\n"
    path = file(cli, text.encode("cp1252"))
    assert "UTF-8" in cli.error("account", "import", path, "--delimiter", "|", code=2)
    assert "no encoding" in cli.error("account", "import", path, "--encoding", "nonsense", code=2)
    assert "one character" in cli.error("account", "import", path, "--delimiter", "||", code=2)
    cli("account", "import", path, "--delimiter", "|", "--encoding", "cp1252")
    assert cli.json("account", "show", "a@example.com")["name"] == "Jos\xe9"
    other = file(cli, text.replace("a@", "b@").encode("utf-16"))
    cli("account", "import", other, "--delimiter", "|", "--encoding", "utf-16")


def test_refused_rows_are_reported_by_line(cli: Cli) -> None:
    text = (
        f'address,name,quota,password_hash\na@example.com,"two\nlines",,{READY}\n,,,\n'
        f"b@example.com,B,much,{READY}\nc@else.where,C,,{READY}\nd@example.com,D,,{READY}\n"
    )
    report = cli.directory / "refused.jsonl"
    done = cli.run("account", "import", file(cli, text), "--continue", "--report", report)
    told = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(one["line"], one["address"], one["error"], one["field"]) for one in told] == [
        (2, "a@example.com", "InvalidValue", "name"), (5, "b@example.com", "InvalidQuota", "quota"),
        (6, "c@else.where", "NotFound", ""),
    ]  # fmt: skip
    assert "is no quota" in told[1]["reason"]
    assert READY not in report.read_text()
    assert done.exit_code == 3
    assert [line.split("\t")[:4] for line in done.stdout.splitlines()][3] == ["d@example.com", "4", "7", "created"]


def test_alias_accounts_domains_and_admins(cli: Cli) -> None:
    domains = file(
        cli, "domain,name,max_accounts,alias_domains\nnew.org,New,5,also.org other.org\nexample.com,Ours,unlimited,\n"
    )
    rows = cli.json("domain", "import", domains, "--update")
    assert actions(rows) == [("new.org", "created"), ("example.com", "updated")]
    shown = cli.json("domain", "show", "new.org")
    assert (shown["max_accounts"], shown["alias_domains"]) == (5, ["also.org", "other.org"])
    aliases = file(cli, "address,members,access_policy\nall@new.org,x@else.where;y@else.where,domain\n")
    assert actions(cli.json("alias", "import", aliases)) == [("all@new.org", "created")]
    assert cli.json("alias", "show", "all@new.org")["members"] == ["x@else.where", "y@else.where"]
    cli("alias", "import", file(cli, "address,members\nall@new.org,z@else.where\n"), "--update")
    assert cli.json("alias", "show", "all@new.org")["members"] == ["z@else.where"]
    cli.account("bob@example.com")
    admins = file(
        cli,
        f"address,password_hash,domains,max_domains\nboss@admin.org,{READY},new.org,2\nbob@example.com,,example.com,\n",
    )
    assert actions(cli.json("admin", "import", admins)) == [
        ("boss@admin.org", "created"),
        ("bob@example.com", "created"),
    ]
    kinds = {row["address"]: (row["kind"], row["domains"]) for row in cli.json("admin", "list")}
    assert kinds == {"boss@admin.org": ("standalone", ["new.org"]), "bob@example.com": ("account", ["example.com"])}
    assert actions(cli.json("admin", "import", admins, "--if-exists", "skip"))[0] == ("boss@admin.org", "skipped")


def test_lists_where_there_are_none(cli: Cli) -> None:
    cli.error("list", "import", file(cli, "address,members\nall@example.com,x@else.where\n"), code=9)


def test_a_dry_run_tells_what_would_happen(cli: Cli) -> None:
    cli.account("a@example.com")
    path = file(cli, f"address,name,password_hash\na@example.com,New,\nb@example.com,B,{READY}\n")
    rows = cli.json("account", "import", path, "--update", "--dry-run")
    assert actions(rows) == [("a@example.com", "would update"), ("b@example.com", "would create")]
    assert cli.json("account", "show", "a@example.com")["name"] == ""
