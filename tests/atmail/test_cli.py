"""The command line on an atmail store: what only it has, and that the nouns of all stores work on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.test_cli_rig import run
from tests.test_daemon_rig import once

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig

PASSWORD = "correct horse"


class Cli:
    """The command line on the rig."""

    def __init__(self, rig: AtmailRig) -> None:
        self._options = ("--url", rig.cli_url, "--homes", str(rig.root))

    def run(self, *args: str, form: str = "json", stdin: str | None = None) -> Result:
        return run(*self._options, "--format", form, *args, stdin=stdin)

    def __call__(self, *args: str, stdin: str | None = None) -> Any:
        done = self.run(*args, stdin=stdin)
        assert done.exit_code == 0, (args, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def error(self, *args: str, code: int) -> str:
        done = self.run(*args)
        assert done.exit_code == code, (args, done.stdout, done.stderr)
        assert done.stdout == ""
        return done.stderr


@pytest.fixture
def cli(rig: AtmailRig, store: AtmailStore) -> Cli:
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password=PASSWORD)
    return Cli(rig)


def test_roles_and_permissions(cli: Cli) -> None:
    assert [role["name"] for role in cli("atmail", "roles")] == ["god", "subadmin"]
    made = cli("atmail", "role-create", "help", "--permission", "account.view", "--parent", "god", "--description", "x")
    assert (made["permissions"], made["ancestors"]) == (["account.view"], [1])
    assert not cli("atmail", "role-update", "help", "--disabled", "--permission", "account.list")["enabled"]
    found = {permission["name"]: permission["roles"] for permission in cli("atmail", "permissions")}
    assert (found["account.list"], found["account.view"]) == (["help"], [])
    assert "nothing to change" in cli.error("atmail", "role-update", "help", code=2)
    assert cli("atmail", "role-delete", "help", "--dry-run")["dry_run"]
    assert not cli("atmail", "role-delete", "help", "--yes")["dry_run"]
    assert "no role help" in cli.error("atmail", "role-delete", "help", "--yes", code=5)


def test_admins(cli: Cli, store: AtmailStore) -> None:
    cli("atmail", "admin-create", "root", "--password-stdin", "--role", "1", stdin=f"{PASSWORD}\n")
    made = cli(
        "atmail", "admin-create", "sub", "--generate", "--domain", "example.com", "--max-accounts", "5", "--max-quota", "1G",
        "--permission", "account.add", "--permission", "account.view", "--company", "Sons", "--email-address",
        "a@b.org", "--parent", "root",
    )  # fmt: skip
    assert store.admins.login("sub", made["generated_password"]) is not None
    assert (made["max_accounts"], made["max_quota"], made["settings"]["company"]) == (5, 1 << 30, "Sons")
    rights = cli("atmail", "admin-rights", "sub")
    assert rights["effective"] == ["account.add", "account.view"]
    cli("atmail", "admin-update", "sub", "--name", "Sub", "--role", "subadmin")
    assert cli("admin", "show", "sub")["name"] == "Sub"
    assert cli("atmail", "admin-rights", "sub")["roles"] == ["subadmin"]
    cli("atmail", "admin-update", "sub", "--role", "0")
    assert cli("atmail", "admin-rights", "sub")["roles"] == []
    assert "nothing to change" in cli.error("atmail", "admin-update", "sub", code=2)
    assert cli("admin", "login", "sub", "--password-stdin", stdin=f"{made['generated_password']}\n")["address"] == "sub"
    assert "lacks the permission" in cli.error("--as", "sub", "domain", "create", "new.com", code=8)
    assert cli("admin", "delete", "sub", "--yes")["address"] == "sub"


def test_aliases(cli: Cli) -> None:
    row = cli("atmail", "alias-create", "sales@example.com", "bob@example.com")
    assert (row["name"], row["target"], row["type"]) == ("sales@example.com", "bob@example.com", "Local")
    cli("atmail", "alias-create", "bob@example.com", "x@else.org", "--type", "deliver")
    assert [found["type"] for found in cli("atmail", "alias-list", "--filter", "BOB")] == ["Local", "Deliver"]
    assert cli("account", "show", "bob@example.com")["forwarding"] == ["x@else.org"]
    assert cli("atmail", "alias-delete", "--id", str(row["id"]), "--dry-run")["rows"] == 1
    assert cli("atmail", "alias-delete", "--name", "sales@example.com", "--yes")["rows"] == 1
    assert "say which" in cli.error("atmail", "alias-delete", "--yes", code=4)
    assert len(cli("atmail", "alias-list")) == 1


def test_accounts_and_provisioning(cli: Cli) -> None:
    made = cli("account", "create", "eve@example.com", "--generate", "--first-name", "Eve", "--quota", "2G")
    assert cli(
        "account", "verify-password", "eve@example.com", "--password-stdin", stdin=f"{made['generated_password']}\n"
    )
    assert cli("atmail", "account-show", "eve@example.com")["usage"] == {"bytes": 0, "messages": 0}
    done = cli("atmail", "provision", "eve@example.com", "--services", "3")
    assert done["contact_account_id"] is None
    assert cli("atmail", "provisioned", "eve@example.com") == done
    assert "is an account" in cli.error("atmail", "provision-remove", "eve@example.com", "--yes", code=4)
    cli("account", "delete", "eve@example.com", "--keep-days", "0", "--yes")
    assert cli("atmail", "provision-remove", "eve@example.com", "--yes") == {
        "address": "eve@example.com",
        "dry_run": False,
    }
    assert [outcome["action"] for outcome in cli("purge", "--yes")] == ["purged"]


def test_a_dry_run_changes_nothing(cli: Cli, rig: AtmailRig) -> None:
    before = rig.everything()
    cli("account", "delete", "bob@example.com", "--dry-run")
    cli("domain", "delete", "example.com", "--dry-run")
    assert rig.everything() == before


def test_what_the_store_lacks(cli: Cli) -> None:
    assert "language" in cli.error("account", "update", "bob@example.com", "--language", "de_DE", code=9)
    assert "never admins" in cli.error("admin", "promote", "bob@example.com", code=9)
    assert "Exim" in cli.error("lookups", "postfix", code=9)
    assert "userStatus" in cli.run("lookups", "dovecot", form="table").stdout
    assert cli("schema", "check") == []


def test_another_kind_of_store_is_refused(workdir: Path) -> None:
    url = f"iredmail+sqlite:///{workdir}/vmail.db"
    assert run("--url", url, "schema", "create").exit_code == 0
    done = run("--url", url, "atmail", "roles")
    assert (done.exit_code, "no atmail store" in done.stderr) == (9, True)


def test_the_daemon_purges_and_checks(rig: AtmailRig, store: AtmailStore, workdir: Path) -> None:
    store.domains.create("example.com")
    store.accounts.create("bob@example.com", password=PASSWORD)
    record = store.accounts.delete("bob@example.com", keep_mailbox_days=0)
    assert record is not None
    owner = f"{rig.owner[0]}:{rig.owner[1]}"
    config = (
        f'[stores.main]\nurl = "{rig.url}"\nhomes = ["{rig.root}"]\nhome_owner = "{owner}"\n'
        f'apiserver = "{rig.apiserver}"\n[stores.main.atmail]\nhome_rule = "md5"\n'
        '[stores.main.atmail.tables]\nusers = "users"\n'
    )
    code, daemon = once(workdir, config)
    assert code == 0, daemon.lines
    assert store.deleted.count() == 0
    assert list(rig.root.rglob("Maildir")) == []


def test_the_schema_command_makes_both_databases(rig: AtmailRig) -> None:
    done = run("--url", rig.cli_url, "schema", "create")
    assert done.exit_code == 1
    assert "already" in done.stderr
    done = run("--url", rig.url, "schema", "add-retention-table")
    assert (done.exit_code, "present" in done.stdout) == (0, True)
