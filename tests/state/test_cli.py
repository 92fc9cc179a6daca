"""``mailstore apply`` from its command line: what differs is shown, done, and nothing is left to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailstore.passwords import hash_password
from tests.test_cli_rig import PASSWORD, Cli

A, B, C = (f"{name}@example.com" for name in "abc")


@pytest.fixture
def cli(workdir: Path) -> Cli:
    made = Cli.with_store(workdir)
    for address in (A, B):
        made.account(address)
    return made


def state(cli: Cli, text: str, name: str = "state.toml") -> Path:
    path = cli.directory / name
    path.write_text(text)
    return path


OWNED = """
manage = "domain"
domains = ["example.com"]
absent = "delete"
keep_days = 30
max_deletions = "50%"
"""


def rows(cli: Cli, *words: str | Path, code: int = 0) -> list[tuple[str, str]]:
    return [(row["name"], row["action"]) for row in cli.json("apply", *words, code=code)]


def test_only_what_is_named_and_said_is_changed(cli: Cli) -> None:
    path = state(
        cli, f'[[account]]\naddress = "{A.upper()}"\nname = "Anna"\nquota = "2G"\nforwarding = ["X@Other.org"]\n'
    )
    assert rows(cli, path) == [(A, "updated")]
    assert rows(cli, path) == []
    assert cli("apply", path, form="table") == "nothing to do: 1 as declared\n"
    shown = cli.json("account", "show", A)
    assert (shown["name"], shown["quota"], shown["forwarding"]) == ("Anna", 2 << 30, ["x@other.org"])
    assert cli.json("account", "show", B)["name"] == ""


def test_the_difference_is_shown_like_a_patch(cli: Cli) -> None:
    text = f'{OWNED}[[account]]\naddress = "{A}"\nname = "Anna"\n[[account]]\naddress = "{C}"\nquota = "1G"\n[end]\n'
    path = state(cli, text)
    assert cli("apply", path, "--diff", form="table") == (
        "--- the store\n+++ the state\n"
        f" account {A}\n-  name = none\n+  name = Anna\n"
        f"-account {B}\n"
        f"+account {C}\n+  quota = 1073741824\n"
    )
    planned = cli.json("apply", path, "--diff")
    assert planned[0]["present"] == {"name": ""}
    assert planned[0]["wanted"] == {"name": "Anna"}
    assert cli("account", "list", "--count") == "2\n"


def test_absent_accounts_go_with_retention(cli: Cli) -> None:
    path = state(cli, f'{OWNED}[[account]]\naddress = "{A}"\n[end]\n')
    assert rows(cli, path, "--dry-run") == [(B, "would be deleted")]
    assert rows(cli, path, "--yes") == [(B, "deleted")]
    (record,) = cli.json("deleted", "list")
    assert (record["address"], record["restorable"]) == (B, True)
    assert rows(cli, path) == []


def test_absent_accounts_are_switched_off(cli: Cli) -> None:
    path = state(cli, f'{OWNED.replace("delete", "disable", 1)}[[account]]\naddress = "{A}"\n[end]\n')
    cli("alias", "create", "sales@example.com", "--member", A)
    assert rows(cli, path) == [(B, "disabled")]  # of aliases the state says nothing
    assert cli.json("account", "show", B)["enabled"] is False
    assert rows(cli, path) == []


def test_an_account_with_a_hash_or_a_generated_password(cli: Cli) -> None:
    ready = hash_password(PASSWORD, "SSHA512")
    path = state(
        cli, f'[[account]]\naddress = "{C}"\npassword_hash = "{ready}"\n[[account]]\naddress = "d@example.com"\n'
    )
    assert rows(cli, path, code=3) == [(C, "created"), ("d@example.com", "refused")]
    assert cli.verifies(C, PASSWORD)
    secrets = cli.directory / "secrets.csv"
    assert rows(cli, path, "--generate-to", secrets) == [("d@example.com", "created")]
    _, line = secrets.read_text().splitlines()
    assert cli.verifies(*line.split(","))
    assert ready not in cli("apply", path, "--diff")
    changed = path.read_text().replace(ready, hash_password("another one", "SSHA512"))
    assert rows(cli, state(cli, changed)) == [(C, "updated")]
    assert cli.verifies(C, "another one")


def test_names_and_limits_are_given_free_first(cli: Cli) -> None:
    cli("account", "alias-add", A, "x@example.com")
    cli("alias", "create", "y@example.com", "--member", A)
    cli("domain", "update", "example.com", "--max-accounts", "2")
    text = f"""{OWNED}
    [[domain]]
    domain = "example.com"
    max_accounts = 4
    [[account]]
    address = "{A}"
    aliases = []
    [[account]]
    address = "{B}"
    [[account]]
    address = "y@example.com"
    [[alias]]
    address = "x@example.com"
    members = ["{A}"]
    [end]
    """
    path = state(cli, text)
    done = rows(cli, path, "--max-deletions", "1", "--generate-to", cli.directory / "secrets")
    assert sorted(done) == [
        (A, "updated"), ("example.com", "updated"), ("x@example.com", "created"), ("y@example.com", "created"),
        ("y@example.com", "deleted"),
    ]  # fmt: skip
    assert rows(cli, path) == []


def test_alias_domains_are_part_of_their_domain(cli: Cli) -> None:
    cli("domain", "alias-add", "example.com", "one.org", "two.org")
    path = state(cli, '[[domain]]\ndomain = "example.com"\nalias_domains = ["two.org", "three.org"]\n')
    assert "alias domain" in cli.error("apply", path, code=7)
    assert rows(cli, path, "--max-deletions", "1") == [("example.com", "updated"), ("example.com", "updated")]
    assert cli.json("domain", "show", "example.com")["alias_domains"] == ["three.org", "two.org"]
    assert rows(cli, path) == []


def test_a_dump_as_state_is_as_declared_and_says_what_to_change(cli: Cli) -> None:
    cli("account", "forward", A, "far@else.where")
    cli("alias", "create", "sales@example.com", "--member", A)
    cli("domain", "alias-add", "example.com", "one.org")
    cli("admin", "promote", A)
    for options in ((), ("--domain", "example.com"), ("--without-passwords",)):
        path = state(cli, cli("dump", "--as-state", *options), "state.jsonl")
        assert rows(cli, path) == []
        assert "created" not in path.read_text()
    path.write_text(path.read_text().replace("far@else.where", "near@else.where").replace('"keep"', '"delete"'))
    assert rows(cli, path) == [(A, "updated")]


class TestLimits:
    @pytest.fixture
    def many(self, cli: Cli) -> Cli:
        for number in range(18):
            cli("account", "create", f"n{number}@example.com", "--password-hash-stdin", stdin=_HASH)
        return cli

    def listed(self, *leaving: str, **options: str) -> str:
        names = [A, B, *(f"n{number}@example.com" for number in range(18))]
        tables = "".join(f'[[account]]\naddress = "{name}"\n' for name in names if name not in leaving)
        said = "".join(f"{name} = {value}\n" for name, value in options.items())
        return f'manage = "domain"\ndomains = ["example.com"]\nabsent = "delete"\n{said}{tables}[end]\n'

    def test_more_than_allowed_stop_the_run_before_anything(self, many: Cli) -> None:
        path = state(many, self.listed(A, B))
        error = many.run("apply", path, form="json")
        told = json.loads(error.stderr)
        assert (told["class"], told["field"], error.exit_code) == ("LimitExceeded", "max_deletions", 7)
        assert "2 of 20" in told["message"]
        assert many("account", "list", "--count") == "20\n"
        assert rows(many, path, "--max-deletions", "10%") == [(A, "deleted"), (B, "deleted")]

    def test_as_many_as_allowed_go(self, many: Cli) -> None:
        assert rows(many, state(many, self.listed(A))) == [(A, "deleted")]

    def test_an_absolute_number(self, many: Cli) -> None:
        path = state(many, self.listed(A, B, max_deletions="1"))
        many.error("apply", path, code=7)
        assert rows(many, path, "--max-deletions", "2") == [(A, "deleted"), (B, "deleted")]

    def test_switching_off_counts_too(self, many: Cli) -> None:
        off = "".join(f'[[account]]\naddress = "{name}"\nenabled = false\n' for name in (A, B))
        many.error("apply", state(many, off, "off.toml"), code=7)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda _: "",
            lambda text: text[: len(text) // 2],
            lambda text: text.replace("[end]\n", ""),
            lambda text: text[: text.index("[[account]]")] + "[end]\n",
            lambda text: text.replace("[end]\n", "[end]\ncounts = {account = 20}\n"),
            lambda text: text.replace('"delete"', '"remove"'),
            lambda text: text + "x",
        ],
    )
    def test_a_spoilt_file_removes_nobody(self, many: Cli, spoil: Any) -> None:
        path = state(many, spoil(self.listed(A, max_deletions="100")))
        done = many.run("apply", path, "--max-deletions", "100%")
        assert done.exit_code in {0, 4}
        assert many("account", "list", "--count") == "20\n"

    def test_a_file_cut_anywhere_removes_nobody_else(self, many: Cli) -> None:
        from mailstore import open_store
        from mailstore.errors import InvalidValue
        from mailstore.state import plan, read_state

        whole = self.listed(A, max_deletions="100")
        with open_store(f"iredmail+sqlite:///{many.database}", home_root=str(many.homes)) as store:
            for length in range(0, len(whole) - 1, 7):
                path = state(many, whole[:length])
                try:
                    removed = plan(store, read_state(path)).removed()
                except InvalidValue:
                    continue
                assert not removed or whole[:length].rstrip().endswith("[end]")


_HASH = hash_password(PASSWORD, "SSHA512")
