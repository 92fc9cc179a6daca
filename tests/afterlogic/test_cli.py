"""`mailstore afterlogic`, and how the commands of all stores behave on this one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mailstore.sql.afterlogic.settings import AccountSettings
from tests.afterlogic.conftest import only
from tests.afterlogic.rig import PASSWORD
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

BOB = "bob@example.com"


@pytest.fixture
def call(rig: Rig) -> Callable[..., Any]:
    """A function that runs a command on the rig and returns what it answers, as JSON."""

    def call(*arguments: str, stdin: str = "secret\n", code: int = 0) -> Any:
        done = run("--url", rig.url, "--homes", str(rig.root), "--format", "json", *arguments, stdin=stdin)
        assert done.exit_code == code, (done.stdout, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    return call


def test_accounts_and_domains(store: AfterLogicStore, call: Any, tmp_path: Path) -> None:
    made = call(
        "afterlogic", "domain-create", "Example.com", "--external", "--site-name", "Mail", "--no-allow-contacts"
    )
    assert (made["settings"]["site_name"], made["settings"]["allow_contacts"]) == ("Mail", "false")
    call("account", "create", BOB, "--password-stdin", "--name", "Bob")
    secret = tmp_path / "smtp"
    secret.write_text("out\n")
    call(
        "afterlogic", "account-create", "ann@elsewhere.org", "--password-stdin", "--default-domain", "--outgoing-auth", "1",
        "--outgoing-login", "ann", "--outgoing-password-file", str(secret),
    )  # fmt: skip
    assert store.accounts.get("ann@elsewhere.org").settings["outgoing_login"] == "ann"
    call("afterlogic", "account-create", "bob@gmail.com", "--password-stdin", "--parent", BOB)
    assert [account["address"] for account in call("afterlogic", "linked", BOB)] == ["bob@gmail.com"]
    assert [entry["email"] for entry in call("afterlogic", "accounts", "--domain", "example.com")] == [BOB]
    assert [entry["email"] for entry in call("afterlogic", "accounts")] == ["ann@elsewhere.org"]
    assert [entry["name"] for entry in call("afterlogic", "domains")] == ["example.com"]
    assert call("afterlogic", "account-update", BOB, "--signature-use", "2")["settings"]["signature_use"] == "2"
    assert "decided by the domain" in call(
        "afterlogic", "account-create", "x@example.com", "--password-stdin", "--incoming-port", "1", code=4
    )
    assert "delete these first" in call("afterlogic", "domain-delete", "example.com", code=4)
    assert call("afterlogic", "account-unlink", "bob@gmail.com", BOB, "--dry-run")["dry_run"]
    assert len(store.accounts.linked(BOB)) == 1
    call("afterlogic", "account-unlink", "bob@gmail.com", BOB)
    assert store.accounts.linked(BOB) == []
    call("account", "delete", BOB)
    assert call("afterlogic", "domain-delete", "example.com")["accounts"] == 0


def test_token(rig: Rig, store: AfterLogicStore) -> None:
    done = run("--url", rig.url, "afterlogic", "token", "mailadm", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert store.rest.check(done.stdout.strip()).login == "mailadm"
    assert PASSWORD not in done.stdout + done.stderr
    refused = run("--url", rig.url, "afterlogic", "token", "mailadm", "--password-stdin", stdin="wrong\n")
    assert refused.exit_code == 8
    assert "wrong" not in refused.stderr


@only("mysql")
def test_tenants(store: AfterLogicStore, call: Any) -> None:
    made = call("afterlogic", "tenant-create", "acme", "--password-stdin", "--login-enabled", "--max-accounts", "1")
    assert (made["login"], made["max_accounts"]) == ("acme", 1)
    assert store.tenants.login("acme", "secret") is not None
    call("afterlogic", "domain-create", "acme.com", "--tenant", "acme")
    call("account", "create", "bob@acme.com", "--password-stdin")
    assert "may have 1 accounts" in call("account", "create", "eve@acme.com", "--password-stdin", code=7)
    assert not call("afterlogic", "tenant-update", "acme", "--disabled")["enabled"]
    assert not store.domains.get("acme.com").enabled
    assert [tenant["login"] for tenant in call("afterlogic", "tenants")] == ["acme"]
    assert [entry["name"] for entry in call("afterlogic", "domains", "--tenant", "acme")] == ["acme.com"]
    assert "acme.com" in call("afterlogic", "tenant-delete", "acme", code=4)
    call("domain", "delete", "acme.com", "--keep-days", "0")
    call("afterlogic", "tenant-delete", "acme")
    assert call("afterlogic", "tenants") == []


@only("sqlite")
def test_what_this_store_lacks(store: AfterLogicStore, call: Any) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password="x")
    for arguments in (
        ("alias", "list"), ("admin", "list"), ("account", "rename", BOB, "x@example.com"), ("afterlogic", "tenants"),
        ("account", "update", BOB, "--language", "de_DE"), ("domain", "update", "example.com", "--max-accounts", "3"),
        ("lookups", "dovecot"), ("lookups", "postfix"), ("domain", "alias-add", "example.com", "x.com"),
    ):  # fmt: skip
        assert call(*arguments, code=9)
    assert "--as" not in call("--as", "x@example.com", "account", "list", code=9)


@only("sqlite")
def test_schema_report_names_what_is_absent(call: Any) -> None:
    assert call("schema", "check") == []
    assert call("schema", "add-retention-table")["state"] == "present"
    assert call("check") == []


@only("mysql")
def test_lookups_are_written(rig: Rig, tmp_path: Path) -> None:
    done = run("--url", rig.url, "lookups", "dovecot", "--directory", str(tmp_path / "conf"))
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "conf" / "mailstore.conf").exists()
    assert "FILL-IN-THE-PASSWORD" in (tmp_path / "conf" / "dovecot-sql.conf.ext").read_text()


def test_other_stores_have_no_such_commands(rigs: Callable[[str], Any]) -> None:
    done = run("--url", rigs("sqlite").url, "afterlogic", "accounts")
    assert done.exit_code == 9
    assert "no AfterLogic store" in done.stderr


def test_settings_hide_passwords() -> None:
    assert "hidden" not in repr(AccountSettings(outgoing_password="hidden"))
