"""Lists as people want them: columns, order, number and conditions, in every format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from mailstore.cli.root import root
from mailstore.testing import temporary_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with accounts that differ, and the configuration file that names it."""
    place = tmp_path_factory.mktemp("views")
    with temporary_store(place) as store:
        store.domains.create("example.com")
        for name, quota in (("ann", "3G"), ("bob", "1G"), ("cid", "2G"), ("dan", "unlimited")):
            store.accounts.create(f"{name}@example.com", password="correct horse", quota=quota, name=name.title())
        store.accounts.update("cid@example.com", enabled=False, forwarding=["eve@example.org"])
    engine = create_engine(f"sqlite:///{place}/vmail.db")
    with engine.begin() as connection:  # what Dovecot notes
        connection.execute(
            text("INSERT INTO used_quota (username, bytes, messages) VALUES ('bob@example.com', 1073741824, 7)")
        )
        connection.execute(
            text(
                "INSERT INTO last_login (username, domain, imap) VALUES ('ann@example.com', 'example.com', 1790000000)"
            )
        )
    engine.dispose()
    path = place / "mailstore.toml"
    homes = place / "homes"
    path.write_text(
        f'[stores.main]\nurl = "iredmail+sqlite:///{place}/vmail.db"\nhomes = ["{homes}"]\n', encoding="utf-8"
    )
    return path


def _run(config: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(root, ["--config", str(config), "account", "list", *words])
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--sort", "quota"], "bob cid ann dan"),
        (["--sort", "-quota", "--limit", "2"], "dan ann"),
        (["--sort", "-usage.bytes", "--limit", "1"], "bob"),
        (["--limit", "2"], "ann bob"),
        (["--limit", "0"], ""),
        (["--where", "over-quota"], "bob"),
        (["--where", "never-logged-in"], "bob cid dan"),
        (["--where", "disabled"], "cid"),
        (["--where", "without-home"], ""),
        (["--where", "quota>=2G"], "ann cid dan"),
        (["--where", "quota < 2G"], "bob"),
        (["--where", "quota=unlimited"], "dan"),
        (["--where", "usage.bytes>0"], "bob"),
        (["--where", "forwarding~EXAMPLE.org"], "cid"),
        (["--where", "forwarding="], "ann bob dan"),
        (["--where", "forwarding!="], "cid"),
        (["--where", "enabled=no"], "cid"),
        (["--where", "name=bob"], "bob"),
        (["--where", "name!=bob", "--where", "enabled=yes"], "ann dan"),
        (["--where", "last_login.imap>=2026"], "ann"),
        (["--where", "created<2020-01-01"], ""),
    ],
)
def test_conditions_and_order(config: Path, words: list[str], names: str) -> None:
    shown = _run(config, "--columns", "address", *words).splitlines()
    assert [line.partition("@")[0] for line in shown] == names.split()


def test_columns_in_every_format(config: Path) -> None:
    words = ["--columns", "quota,address,usage.bytes", "--where", "address~bob"]
    assert _run(config, *words) == "1G\tbob@example.com\t1073741824\n"
    assert _run(config, "--format", "csv", *words).splitlines() == [
        "quota,address,usage.bytes",
        "1G,bob@example.com,1073741824",
    ]
    (row,) = json.loads(_run(config, "--format", "json", *words))
    assert list(row.items()) == [("quota", 1 << 30), ("address", "bob@example.com"), ("usage.bytes", 1 << 30)]
    table = _run(config, "--format", "table", *words).split("\n")
    assert [line.split() for line in table if "@" in line] == [["1G", "bob@example.com", "1.0", "GiB"]]


def test_a_count_counts_what_is_wanted(config: Path) -> None:
    assert _run(config, "--count") == "4\n"
    assert _run(config, "--count", "--where", "disabled") == "1\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--columns", "nothing"], "'nothing' is no column; there are address"),
        (["--sort", "nothing"], "'nothing' is no column"),
        (["--where", "nothing"], "'nothing' is no condition; there are disabled, over-quota"),
        (["--where", "quota>many"], "quota is not to be compared with 'many'"),
        (["--where", "enabled=perhaps"], "enabled is not to be compared with 'perhaps'"),
        (["--where", "forwarding>eve@example.org"], "forwarding is not to be compared with 'eve@example.org'"),
    ],
)
def test_what_is_not_understood_is_named(config: Path, words: list[str], said: str) -> None:
    assert said in " ".join(_run(config, *words, code=2).split())


def test_the_environment_names_the_store(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAILSTORE_CONFIG", "MAILSTORE_URL", "MAILSTORE_STORE"):
        monkeypatch.delenv(name, raising=False)
    mine = tmp_path / "mailstore" / "mailstore.toml"
    mine.parent.mkdir()
    mine.write_text(config.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    count = ["account", "list", "--count"]

    def answer(*words: str) -> str:
        return CliRunner().invoke(root, list(words)).output.strip()

    assert answer(*count) == "4"
    monkeypatch.setenv("MAILSTORE_STORE", "other")
    assert "other" in answer(*count)
    assert answer("--store", "main", *count) == "4"
    monkeypatch.delenv("MAILSTORE_STORE")
    monkeypatch.setenv("MAILSTORE_URL", f"iredmail+sqlite:///{tmp_path}/absent.db")
    assert "absent.db" in answer(*count)
    assert answer("--store", "main", *count) == "4"
    monkeypatch.setenv("MAILSTORE_STORE", "main")
    assert "does not go with $MAILSTORE_STORE" in answer(*count)
