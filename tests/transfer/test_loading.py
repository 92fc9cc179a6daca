"""Loading: what is refused, what is left, what a store cannot hold; and the command line of it."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import InvalidValue
from mailstore.passwords import hash_password
from mailstore.transfer import Loader, read_entries
from tests.test_cli_rig import PASSWORD, Cli
from tests.transfer.filled import fill, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stores import StoreRig

HEADER = '{"record": "header", "format": "mailstore-dump", "version": 1, "whole": false}'


def lines(*records: dict[str, Any]) -> list[str]:
    return [HEADER, *map(json.dumps, records)]


def account(local: str, **fields: Any) -> dict[str, Any]:
    return {
        "record": "account", "address": f"{local}@example.com", "password_hash": hash_password(PASSWORD, "SSHA512"), **fields
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("{}\n", "no dump"),
        (HEADER.replace("1,", "9,"), "version 9"),
        (HEADER.replace("false", "true"), "ends early"),
        (f'{HEADER}\n{{"record": "acc', "line 2: this is no JSON"),
        (f'{HEADER}\n{{"record": "account", "address": "a@b.example", "quota": "1G"}}', "line 2: quota"),
        (f'{HEADER}\n{{"record": "account", "address": "a@b.example", "colour": 1}}', "colour"),
        (f'{HEADER}\n{{"record": "account", "address": "a@b.example", "admin": true}}', "records 'admin'"),
        (f"{HEADER}\n[]", "line 2: an object"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidValue, match=why):
        list(read_entries(text.splitlines()))


def test_a_file_cut_short_is_told(emptied: Callable[[str], StoreRig]) -> None:
    rig = emptied("sqlite")
    fill(rig.shared)
    text = text_of(rig.shared).splitlines()
    for shorter in (text[:-1], [*text[:3], *text[4:]]):
        with pytest.raises(InvalidValue, match=r"ends early|other records"):
            list(read_entries(shorter))


def test_what_differs_is_refused_updated_or_skipped(emptied: Callable[[str], StoreRig]) -> None:
    store = emptied("sqlite").shared
    store.domains.create("example.com", name="Theirs")
    store.accounts.create("bob@example.com", password=PASSWORD, name="Theirs", aliases=["robert@example.com"])
    entries = lines({"record": "domain", "domain": "example.com", "name": "Ours"}, account("bob", name="Ours"))
    outcomes = list(Loader(store, go_on=True).load(read_entries(entries)))
    assert [(one.entry.kind, one.action) for one in outcomes] == [("domain", "refused"), ("account", "refused")]
    assert "with another name" in outcomes[0].reason
    outcomes = list(Loader(store, if_exists="skip").load(read_entries(entries)))
    assert {one.action for one in outcomes} == {"skipped"}
    assert (store.domains.get("example.com").name, store.accounts.get("bob@example.com").name) == ("Theirs", "Theirs")
    outcomes = list(Loader(store, if_exists="update").load(read_entries(entries)))
    assert {one.action for one in outcomes} == {"updated"}
    found = store.accounts.get("bob@example.com")
    assert (store.domains.get("example.com").name, found.name) == ("Ours", "Ours")
    assert found.aliases == ("robert@example.com",)  # of which the record says nothing


def test_a_disabled_account_is_not_loaded_where_it_would_be_switched_on(emptied: Callable[[str], StoreRig]) -> None:
    store = emptied("mailinabox").shared
    entries = lines(account("off", enabled=False), account("on", enabled=True, name="Anna"))
    outcomes = list(Loader(store, go_on=True).load(read_entries(entries)))
    assert [(one.action, one.lost) for one in outcomes] == [("refused", ()), ("created", ("name",))]
    assert [one.address for one in store.accounts.list()] == ["on@example.com"]


def test_without_go_on_a_run_ends_with_the_batch(emptied: Callable[[str], StoreRig]) -> None:
    store = emptied("sqlite").shared
    entries = lines(
        {"record": "domain", "domain": "example.com"}, account("a", quota=1), account("b"),
        {"record": "alias", "address": "c@example.com", "members": ["b@example.com"]},
    )  # fmt: skip
    outcomes = list(Loader(store).load(read_entries(entries)))
    assert [(one.entry.key, one.action) for one in outcomes] == [
        ("example.com", "created"), ("a@example.com", "refused"), ("b@example.com", "created")
    ]  # fmt: skip
    assert not store.aliases.exists("c@example.com")


def test_hashes_of_no_use_are_refused_or_replaced(emptied: Callable[[str], StoreRig]) -> None:
    store = emptied("afterlogic-sqlite").shared
    entries = lines({"record": "domain", "domain": "example.com"}, account("bob"))
    outcomes = list(Loader(store).load(read_entries(entries)))
    assert [one.action for one in outcomes] == ["created", "refused"]
    assert "the password itself" in outcomes[1].reason
    made: dict[str, str] = {}
    for _ in range(2):
        outcomes = list(Loader(store, generated=made.__setitem__).load(read_entries(entries)))
    assert [one.action for one in outcomes] == ["unchanged", "unchanged"]
    assert list(made) == ["bob@example.com"]
    assert store.accounts.verify_password("bob@example.com", made["bob@example.com"])


# --- the command line


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


def test_dump_and_load_from_the_command_line(cli: Cli, workdir: Path) -> None:
    cli("account", "create", "bob@example.com", "--password-stdin", "--name", "Bob", stdin=f"{PASSWORD}\n")
    file = workdir / "all.jsonl"
    cli("dump", "--output", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "password_hash" not in cli("dump", "--without-passwords")

    (workdir / "other").mkdir()
    cli = Cli.with_store(workdir / "other")
    rehearsed = cli.json("load", file, "--dry-run")
    assert [(row["record"], row["action"]) for row in rehearsed] == [("domain", "unchanged"), ("account", "created")]
    assert cli("account", "list") == ""
    rows = cli.json("load", file)
    assert [(row["name"], row["action"]) for row in rows] == [
        ("example.com", "unchanged"),
        ("bob@example.com", "created"),
    ]
    assert cli.verifies("bob@example.com", PASSWORD)
    assert {row["action"] for row in cli.json("load", file)} == {"unchanged"}


def test_refused_records_are_loaded_after_editing(cli: Cli, workdir: Path) -> None:
    file, refused = workdir / "some.jsonl", workdir / "refused.jsonl"
    rows = [account("a"), account("b", quota=1), account("c")]
    file.write_text("\n".join(lines(*rows)) + '\n{"record": "nonsense"}\n')
    assert "--continue" in cli("load", "--help")
    report = cli.json("load", file, "--continue", "--refused", refused, code=3)
    assert [(row["name"][0], row["action"], row["line"]) for row in report] == [
        ("a", "created", 2), ("b", "refused", 3), ("c", "created", 4)
    ]  # fmt: skip
    assert stat.S_IMODE(refused.stat().st_mode) == 0o600
    kept = refused.read_text().splitlines()
    assert len(kept) == 3
    refused.write_text("\n".join([kept[0], kept[2].replace('"quota": 1,', '"quota": 1048576,')]) + "\n")
    assert [row["action"] for row in cli.json("load", refused)] == ["created"]
    nothing = workdir / "nothing.jsonl"
    cli("load", refused, "--refused", nothing)
    assert not nothing.exists()


def test_a_table_shows_what_needs_somebody_and_sums(cli: Cli, workdir: Path) -> None:
    file = workdir / "some.jsonl"
    file.write_text("\n".join(lines(account("a", settings={"colour": "blue"}), account("b", quota=1))) + "\n")
    shown = cli("load", file, "--continue", form="table", code=3)
    assert "b@example.com" in shown
    assert "a@example.com" not in shown
    assert "created: account 1" in shown
    assert "not kept: settings of account 1" in shown
