"""The command line: every command, on a real SQLite store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mailstore.cli.root import NOUNS, root
from mailstore.config import StoreConfig
from mailstore.driver.lookups import Reader
from mailstore.passwords import hash_password, verify_password
from mailstore.registry import with_query_options
from tests.test_cli_rig import PASSWORD, Cli, run


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Iterate over all commands that do something."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, *path, name)


COMMANDS = dict(commands(root))

CALLS = (
    # The documented API calls A01-A20 and A25-A29, in an order in which each one succeeds.
    "A09 admin create boss@admin.org --password-stdin --name Boss --enabled --language en_US --no-global-admin "
    "--max-domains 5 --max-quota 100G --max-accounts 50 --max-aliases 20 --max-lists unlimited",
    "A01 admin login boss@admin.org --password-stdin",
    "A12 admin verify-password boss@admin.org --password-stdin",
    "A11 admin update boss@admin.org --name Chief --max-accounts 60 --password-stdin",
    "A08 admin show boss@admin.org",
    "A03 domain create d.org --name D --quota 100G --default-language en_US --transport dovecot "
    "--default-account-quota 1G --max-account-quota 2G --max-accounts 9 --max-aliases 0 --max-lists unlimited "
    "--sender-bcc s@example.com --recipient-bcc r@example.com",
    "A02 domain show d.org",
    "A06 domain update d.org --name E --disabled --quota 50G --default-language de_DE --transport virtual "
    "--min-password-length 5 --max-password-length 90 --default-account-quota 2G --max-account-quota 3G "
    "--max-accounts 10 --max-aliases 5 --sender-bcc= --recipient-bcc= --catch-all c@example.com "
    "--outbound-relay [relay.org]:25 --add-service self-service --remove-service self-service "
    "--add-disabled-domain-profile bcc --remove-disabled-domain-profile bcc --add-disabled-user-profile bcc "
    "--remove-disabled-user-profile bcc --add-disabled-user-preference password --remove-disabled-user-preference "
    "password --add-disabled-service imap",
    "A06 domain update d.org --backup-mx --primary-mx mx.org --no-services --no-catch-all",
    "A06 domain update d.org --no-backup-mx --enabled",
    "A07 admin add-to-domain d.org boss@admin.org",
    "A07 admin remove-from-domain d.org boss@admin.org",
    "A07 admin remove-from-domain d.org --all",
    "A14 account create u@d.org --password-stdin --name U --language en_US --quota 1G",
    "A13 account show u@d.org",
    "A17 account update u@d.org --name V --password-stdin --quota 2G --disabled --language de_DE --employee-id 7 "
    "--transport virtual --forwarding f@other.org --alias w@d.org",
    "A17 account update u@d.org --add-alias x@d.org --remove-alias w@d.org --enabled",
    "A20 account verify-password u@d.org --password-stdin",
    "A19 account update-all d.org --enabled --password-stdin --language en_US --transport dovecot",
    "A18 account rename u@d.org z@d.org",
    "A16 account delete z@d.org --keep-days 30",
    "A14 account create u@d.org --password-stdin",
    "A15 account delete u@d.org",
    "A26 alias create a@d.org --name A --access-policy domain --member m@d.org",
    "A25 alias show a@d.org",
    "A28 alias update a@d.org --name B --access-policy public --member m@d.org --member n@d.org",
    "A28 alias update a@d.org --add-member o@d.org --remove-member n@d.org",
    "A29 alias rename a@d.org b@d.org",
    "A27 alias delete b@d.org",
    "A05 domain delete d.org --keep-days 30",
    "- deleted domains --domain d.org",
    "- deleted restore --domain d.org",
    "A05 domain delete d.org --keep-days 30",
    "A03 domain create d.org",
    "A04 domain delete d.org",
    "A10 admin delete boss@admin.org",
)


def test_every_documented_call_is_one_command(cli: Cli) -> None:
    for call in CALLS:
        _, *line = call.split()
        cli(*line, stdin=PASSWORD)


def test_no_command_takes_a_password_or_hash_as_an_argument() -> None:
    for path, command in COMMANDS.items():
        for parameter in command.params:
            if "password" in parameter.name and not parameter.name.endswith("_length"):
                assert getattr(parameter, "is_flag", False) or isinstance(parameter.type, click.Path), path


def test_every_command_and_option_explains_itself() -> None:
    for path, command in COMMANDS.items():
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)
    assert {path[0] for path in COMMANDS} == set(NOUNS)


class TestDomain:
    def test_create_show_update(self, cli: Cli) -> None:
        made = cli.json("domain", "create", "B.example.NET", "--quota", "10G", "--max-aliases", "0", "--disabled")
        assert (made["domain"], made["quota"], made["max_aliases"]) == ("b.example.net", 10 << 30, 0)
        assert made["enabled"] is False
        assert made["max_accounts"] is None
        cli("domain", "update", "b.example.net", "--max-aliases", "unlimited", "--catch-all", "x@b.example.net")
        cli("domain", "enable", "b.example.net")
        shown = cli.json("domain", "show", "b.example.net")
        assert shown["max_aliases"] is None
        assert shown["catch_all"] == ["x@b.example.net"]
        assert shown["enabled"] is True

    def test_disable_and_list(self, cli: Cli) -> None:
        cli("domain", "create", "a.org", "--name", "Second")
        cli("domain", "disable", "a.org")
        assert cli("domain", "list") == "a.org\tSecond\tno\tunlimited\tunlimited\t\n" + (
            "example.com\tExample\tyes\tunlimited\tunlimited\t\n"
        )
        assert cli("domain", "list", "--enabled").startswith("example.com\t")
        assert cli("domain", "list", "--search", "second", "--count") == "1\n"

    def test_alias_domains(self, cli: Cli) -> None:
        assert cli.json("domain", "alias-add", "example.com", "a.net", "b.net")["alias_domains"] == ["a.net", "b.net"]
        cli("domain", "alias-remove", "example.com", "a.net", "--dry-run")
        assert cli.json("domain", "show", "example.com")["alias_domains"] == ["a.net", "b.net"]
        assert cli.json("domain", "alias-remove", "example.com", "a.net")["alias_domains"] == ["b.net"]

    def test_delete_tells_how_many_accounts_went(self, cli: Cli) -> None:
        cli.account("a@example.com")
        cli.account("b@example.com")
        expected = {"domain": "example.com", "dry_run": True, "accounts": 2}
        assert cli.json("domain", "delete", "example.com", "--dry-run") == expected
        assert cli("account", "list", "--count") == "2\n"
        assert cli.json("domain", "delete", "example.com") == {**expected, "dry_run": False}
        assert cli("domain", "list") == ""


class TestAccount:
    def test_a_password_from_standard_input(self, cli: Cli) -> None:
        made = cli.account("bob@example.com", "--quota", "500M", "--service", "imap")
        assert (made["address"], made["quota"], made["services"]) == ("bob@example.com", 500 << 20, ["imap"])
        assert Path(made["home"]).is_dir()
        assert cli.verifies("bob@example.com", PASSWORD)
        assert not cli.verifies("bob@example.com", "another")

    def test_a_generated_password_is_shown_once(self, cli: Cli) -> None:
        made = cli.json("account", "create", "bob@example.com", "--generate")
        assert cli.verifies("bob@example.com", made["generated_password"])
        new = cli("-q", "account", "passwd", "bob@example.com", "--generate", form="table")
        assert cli.verifies(
            "bob@example.com", new.removeprefix("changed the password of bob@example.com\npassword: ")[:-1]
        )
        assert "generated_password" not in cli.json("account", "show", "bob@example.com")

    def test_a_ready_hash_from_standard_input_or_a_file(self, cli: Cli) -> None:
        hashed = hash_password(PASSWORD, "SSHA512")
        cli("account", "create", "bob@example.com", "--password-hash-stdin", stdin=hashed)
        assert cli.verifies("bob@example.com", PASSWORD)
        (cli.directory / "hash").write_text(hash_password("new one") + "\n")
        cli("account", "update", "bob@example.com", "--password-hash-file", cli.directory / "hash")
        assert cli.verifies("bob@example.com", "new one")

    def test_ways_to_a_password_exclude_one_another(self, cli: Cli) -> None:
        line = ("account", "create", "bob@example.com")
        error = cli.error(*line, "--generate", "--password-stdin", code=2)
        assert "--generate and --password-stdin do not go together" in error

    def test_without_a_terminal_there_is_nobody_to_ask(self, cli: Cli) -> None:
        assert "--password-stdin" in cli.error("account", "create", "bob@example.com", code=2)

    def test_a_password_that_is_not_utf8_is_refused_and_not_shown(self, cli: Cli) -> None:
        line = ("account", "create", "bob@example.com", "--password-stdin")
        assert cli.error(*line, stdin=b"p\xe4ss\n", code=2).startswith("mailstore: standard input is not UTF-8\n")

    def test_update_sets_edits_and_clears(self, cli: Cli) -> None:
        cli.account("bob@example.com", "--name", "Bob", "--alias", "r@example.com", "--allow-net", "10.0.0.0/8")
        line = ("account", "update", "bob@example.com")
        changed = cli.json(*line, "--name", "", "--add-alias", "s@example.com", "--remove-alias", "r@example.com")
        assert (changed["name"], changed["aliases"]) == ("", ["s@example.com"])
        changed = cli.json(*line, "--alias", "t@example.com", "--no-allow-nets", "--quota", "unlimited")
        assert (changed["aliases"], changed["allow_nets"], changed["quota"]) == (["t@example.com"], [], None)
        assert cli.json(*line, "--no-aliases")["aliases"] == []
        assert "nothing to change" in cli.error(*line, code=2)
        assert "--no-aliases" in cli.error(*line, "--no-aliases", "--add-alias", "u@example.com", code=2)

    def test_enable_disable_list(self, cli: Cli) -> None:
        cli.account("bob@example.com", "--name", "Bob")
        cli.account("eve@example.com")
        cli("account", "disable", "bob@example.com")
        assert cli("account", "list", "--disabled") == "bob@example.com\tBob\tno\tunlimited\t\t\t\n"
        cli("account", "enable", "bob@example.com")
        assert cli("account", "list", "--disabled", "--count") == "0\n"
        assert cli("account", "list", "--domain", "example.com", "--search", "EVE", "--no-admins", "--count") == "1\n"

    def test_rename_aliases_forward(self, cli: Cli) -> None:
        cli.account("bob@example.com")
        assert cli.json("account", "rename", "bob@example.com", "rob@example.com")["address"] == "rob@example.com"
        added = cli.json("account", "alias-add", "rob@example.com", "b@example.com", "c@example.com")
        assert added["aliases"] == ["b@example.com", "c@example.com"]
        removed = cli.json("account", "alias-remove", "rob@example.com", "b@example.com")
        assert removed["aliases"] == ["c@example.com"]
        sent = cli.json("account", "forward", "rob@example.com", "x@other.org", "--no-keep-copy")
        assert (sent["forwarding"], sent["keep_copy"]) == (["x@other.org"], False)
        back = cli.json("account", "forward", "rob@example.com", "--off")
        assert (back["forwarding"], back["keep_copy"]) == ([], True)
        cli.error("account", "forward", "rob@example.com", code=2)

    def test_delete(self, cli: Cli) -> None:
        home = cli.account("bob@example.com")["home"]
        line = ("account", "delete", "bob@example.com", "--keep-days", "5")
        rehearsed = cli.json(*line, "--dry-run")
        assert (rehearsed["dry_run"], rehearsed["id"]) == (True, None)
        assert cli("deleted", "list", "--count") == "0\n"
        gone = cli.json(*line)
        assert gone == {**rehearsed, "dry_run": False, "id": 1}
        assert (gone["home"], gone["due"]) == (home, rehearsed["due"])
        assert Path(home).is_dir()
        assert cli.error(*line, code=5) == "mailstore: there is no account bob@example.com\n"

    def test_verify_password_answers_with_its_exit_code(self, cli: Cli) -> None:
        cli("account", "create", "bob@example.com", "--password-hash-stdin", stdin=hash_password(PASSWORD, "SSHA512"))
        line = ("account", "verify-password", "bob@example.com", "--password-stdin")
        assert cli.json(*line, stdin="wrong", code=1) == {"address": "bob@example.com", "verified": False}
        assert cli(*line, "--rehash", stdin=PASSWORD, form="table") == "the password is right\n"
        cli.error("account", "verify-password", "eve@example.com", "--password-stdin", stdin="x", code=5)

    def test_update_all(self, cli: Cli) -> None:
        cli.account("a@example.com")
        cli.account("b@example.com")
        line = ("account", "update-all", "example.com", "--password-stdin", "--disabled")
        assert cli.json(*line, "--dry-run", stdin="another one")["accounts"] == 2
        assert not cli.verifies("a@example.com", "another one")
        assert cli.json(*line, stdin="another one") == {"domain": "example.com", "dry_run": False, "accounts": 2}
        assert cli.verifies("b@example.com", "another one")
        assert cli("account", "list", "--enabled") == ""
        assert (
            cli("account", "update-all", "example.com", "--enabled", form="table")
            == "updated example.com (accounts: 2)\n"
        )


class TestAlias:
    def test_life_of_an_alias(self, cli: Cli) -> None:
        made = cli.json("alias", "create", "sales@example.com", "--member", "a@x.org", "--moderator", "*@example.com")
        assert (made["members"], made["moderators"]) == (["a@x.org"], ["*@example.com"])
        line = ("alias", "member-add", "sales@example.com", "b@x.org", "c@x.org")
        assert cli.json(*line)["members"] == ["a@x.org", "b@x.org", "c@x.org"]
        assert cli("alias", "member-remove", "sales@example.com", "a@x.org", form="table") == (
            "members of sales@example.com: b@x.org, c@x.org\n"
        )
        cli("alias", "update", "sales@example.com", "--name", "Sales", "--access-policy", "domain")
        cli("alias", "rename", "sales@example.com", "shop@example.com")
        assert cli("alias", "list") == "shop@example.com\tSales\tyes\tdomain\tb@x.org c@x.org\n"
        assert cli.json("alias", "delete", "shop@example.com", "--dry-run")["dry_run"] is True
        assert cli.json("alias", "show", "shop@example.com")["name"] == "Sales"
        cli("alias", "delete", "shop@example.com")
        assert cli("alias", "list", "--domain", "example.com", "--count") == "0\n"


class TestAdmin:
    def test_standalone(self, cli: Cli) -> None:
        line = ("admin", "create", "boss@admin.org", "--password-stdin", "--max-accounts", "10")
        made = cli.json(*line, "--domain", "example.com", stdin=PASSWORD)
        assert (made["kind"], made["domains"], made["max_accounts"]) == ("standalone", ["example.com"], 10)
        login = ("admin", "login", "boss@admin.org", "--password-stdin")
        assert cli.json(*login, stdin=PASSWORD)["address"] == "boss@admin.org"
        assert cli.error(*login, stdin="wrong", code=1) == "mailstore: the login was refused\n"
        assert cli.json("admin", "verify-password", *login[2:], stdin="wrong", code=1)["verified"] is False
        assert cli.json("admin", "update", "boss@admin.org", "--max-accounts", "none")["max_accounts"] is None
        assert cli.json("admin", "show", "boss@admin.org")["enabled"] is True
        assert cli("admin", "list", "--domain", "example.com").startswith("boss@admin.org\t")
        cli("admin", "delete", "boss@admin.org", "--dry-run")
        cli("admin", "delete", "boss@admin.org")
        assert cli("admin", "list", "--count") == "0\n"

    def test_accounts_with_rights(self, cli: Cli) -> None:
        cli.account("bob@example.com")
        made = cli.json("admin", "promote", "bob@example.com", "--max-quota", "5G")
        assert (made["kind"], made["domains"], made["max_quota"]) == ("account", ["example.com"], 5 << 30)
        cli("domain", "create", "b.org")
        assert cli.json("admin", "add-to-domain", "b.org", "bob@example.com")["admins"] == ["bob@example.com"]
        assert cli.json("admin", "remove-from-domain", "b.org", "bob@example.com")["admins"] == []
        cli.error("admin", "remove-from-domain", "example.com", code=2)
        assert cli.json("admin", "demote", "bob@example.com")["admin"] is False

    def test_who_is_promoted_needs_a_password_that_the_panel_verifies(self, cli: Cli) -> None:
        cli.account("bob@example.com")
        done = cli.run("admin", "promote", "bob@example.com")
        assert "iRedAdmin cannot verify" in done.stderr
        assert "mailstore admin update bob@example.com --ask-password" in done.stderr
        done = cli.run("admin", "promote", "bob@example.com", "--password-stdin", stdin="another one")
        assert done.stderr == ""
        assert cli.verifies("bob@example.com", "another one")

    def test_acting_as_an_admin_shows_only_its_domains(self, cli: Cli) -> None:
        cli("domain", "create", "b.org")
        cli("admin", "create", "boss@admin.org", "--generate", "--domain", "b.org")
        assert cli("--as", "boss@admin.org", "domain", "list").startswith("b.org\t")
        cli.error("--as", "boss@admin.org", "domain", "show", "example.com", code=5)
        cli.error("--as", "nobody@admin.org", "domain", "list", code=5)

    @pytest.mark.parametrize("words", [("lookups", "dovecot"), ("schema", "check"), ("schema", "add-retention-table")])
    def test_an_acting_admin_runs_no_server(self, cli: Cli, words: tuple[str, ...]) -> None:
        cli("admin", "create", "boss@admin.org", "--generate", "--global-admin")
        assert "leave out --as" in cli.error("--as", "boss@admin.org", *words, code=8)


class TestDeleted:
    @pytest.fixture
    def gone(self, cli: Cli) -> Cli:
        cli.account("bob@example.com", "--name", "Bob")
        cli("account", "delete", "bob@example.com", "--keep-days", "0")
        return cli

    def test_list_show_reschedule(self, gone: Cli) -> None:
        assert gone("deleted", "list", "--due").startswith("bob@example.com\t1\t")
        assert gone.json("deleted", "show", "1")["address"] == "bob@example.com"
        assert gone.json("deleted", "reschedule", "1", "--never")["due"] is None
        assert gone("deleted", "list", "--due") == ""
        gone("deleted", "reschedule", "1", "--keep-days", "7")
        assert gone("deleted", "list", "--address", "bob@example.com", "--domain", "example.com", "--count") == "1\n"
        gone.error("deleted", "reschedule", "1", code=2)
        gone.error("deleted", "show", "99", code=5)

    def test_restore(self, gone: Cli) -> None:
        back = gone.json("deleted", "restore", "1", "--quota", "3G")
        assert (back["name"], back["quota"]) == ("Bob", 3 << 30)
        assert gone.verifies("bob@example.com", PASSWORD)

    def test_restore_with_another_password(self, gone: Cli) -> None:
        gone("deleted", "restore", "1", "--password-stdin", stdin="new one")
        assert gone.verifies("bob@example.com", "new one")

    def test_purge(self, gone: Cli) -> None:
        home = Path(gone.json("deleted", "show", "1")["home"])
        assert [found["action"] for found in gone.json("purge", "--dry-run")] == ["would purge"]
        assert home.is_dir()
        [purged] = gone.json("purge")
        assert (purged["address"], purged["action"], purged["home"]) == ("bob@example.com", "purged", str(home))
        assert not home.exists()
        assert gone.json("purge") == []

    def test_purge_fails_for_what_it_had_to_keep(self, gone: Cli) -> None:
        (gone.directory / "home").mkdir()
        (gone.homes / "link").symlink_to(gone.directory)
        gone.sql("UPDATE deleted_mailboxes SET maildir = ?", f"{gone.homes}/link/home")
        [kept] = gone.json("purge", "--yes", code=1)
        assert (kept["action"], bool(kept["reason"])) == ("kept", True)
        assert (gone.directory / "home").is_dir()


class TestStoreAsAWhole:
    def test_check(self, cli: Cli) -> None:
        assert cli.json("check") == []
        cli.account("bob@example.com")
        cli.sql("UPDATE mailbox SET domain = 'gone.org'")
        found = cli.json("check", code=1)
        assert {"code", "subject", "message", "severity"} == set(found[0])

    def test_schema(self, cli: Cli) -> None:
        assert cli.json("schema", "check") == []
        assert "already" in cli.error("schema", "create", code=1)
        assert cli.json("schema", "add-retention-table")["state"] == "present"
        cli.sql("ALTER TABLE domain ADD COLUMN extra INTEGER NOT NULL DEFAULT 0")
        assert cli("schema", "check") == "domain.extra\tforeign\n"

    def test_lookups_are_shown_or_written(self, cli: Cli) -> None:
        shown = cli("lookups", "postfix")
        assert shown.startswith("### virtual_mailbox_domains.cf\n")
        assert f"dbpath = {cli.database}\n" in shown
        place = cli.directory / "postfix"
        written = cli("lookups", "postfix", "--directory", place).splitlines()
        assert str(place / "main.cf.snippet") in written
        assert str(place) in (place / "main.cf.snippet").read_text()
        cli.error("lookups", "postfix", "--directory", place, code=2)
        cli("lookups", "postfix", "--directory", place, "--force")

    @pytest.mark.parametrize("version", ["2.3", "2.4"])
    def test_lookups_for_dovecot(self, cli: Cli, version: str) -> None:
        shown = cli("lookups", "dovecot", "--version", version, "--uid", "5000", "--gid", "vmail", "--writer-user", "w")
        assert "### mailstore.conf\n" in shown
        assert "mail_uid = 5000\n" in shown

    @pytest.mark.parametrize(
        ("place", "host", "socket"),
        [("db.org:5433/vmail", "db.org", None), ("/vmail?socket=/run/postgresql", None, "/run/postgresql")],
    )
    def test_the_reader_of_a_database_server(self, place: str, host: str | None, socket: str | None) -> None:
        url = f"iredmail+postgresql://vmailadmin:secret@{place}"
        reader = Reader.from_config(with_query_options(StoreConfig(url=url)), "vmail", None)
        assert (reader.host, reader.socket, reader.database) == (host, socket, "vmail")
        assert (reader.user, reader.password) == ("vmail", None)

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion(self, cli: Cli, shell: str) -> None:
        assert f"_MAILSTORE_COMPLETE={shell}_complete" in cli("completion", shell)


class TestPassword:
    def test_hash_and_verify(self, cli: Cli, workdir: Path) -> None:
        hashed = cli("password", "hash", "--scheme", "ssha512", "--password-stdin", stdin=PASSWORD).strip()
        assert verify_password(PASSWORD, hashed)
        assert cli("password", "verify", "--password-stdin", "--password-hash-stdin", stdin=f"{PASSWORD}\n{hashed}\n")
        (workdir / "hash").write_text(hashed)
        line = ("password", "verify", "--password-stdin", "--password-hash-file", workdir / "hash")
        assert cli.json(*line, stdin="wrong", code=1)["verified"] is False
        cli.error("password", "verify", "--password-stdin", stdin=PASSWORD, code=2)

    def test_it_needs_no_store(self, workdir: Path) -> None:
        assert Cli(workdir)("password", "hash", "--password-stdin", stdin=PASSWORD).startswith("{SSHA256}")


class TestWhichStore:
    def test_a_store_of_the_configuration_file(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        file = cli.directory / "mailstore.toml"
        file.write_text(f'[stores.main]\nurl = "iredmail+sqlite:///{cli.database}"\nhomes = ["{cli.homes}"]\n')
        assert run("--config", str(file), "domain", "list").stdout.startswith("example.com\t")
        assert run("--config", str(file), "--store", "main", "domain", "list", "--count").stdout == "1\n"
        wrong = run("--config", str(file), "--store", "x", "domain", "list")
        assert (wrong.exit_code, "known: main" in wrong.stderr) == (2, True)
        monkeypatch.setenv("MAILSTORE_CONFIG", str(file))
        assert run("domain", "list").exit_code == 0

    def test_options_in_the_url(self, cli: Cli) -> None:
        store = ("--url", f"iredmail+sqlite:///{cli.directory}/other.db?password_scheme=SSHA512&homes={cli.homes}")
        assert run(*store, "schema", "create").exit_code == 0
        assert run(*store, "domain", "create", "a.org").exit_code == 0
        for dry_run, homes in ((["--dry-run"], 0), ([], 1)):
            made = run(*store, "account", "import", "-", *dry_run, stdin="address,password\nb@a.org,secret\n")
            assert made.exit_code == 0, made.output
            assert len(list(cli.homes.glob("*/*"))) == homes

    def test_options_that_contradict_each_other(self, cli: Cli) -> None:
        assert "--url" in cli.error("--store", "main", "domain", "list", code=2)
        assert run("--homes", "/srv", "domain", "list").exit_code == 2

    def test_an_unknown_kind_of_store(self) -> None:
        for line in (("domain", "list"), ("schema", "create")):
            result = run("--url", "qmail://x/y", *line)
            assert (result.exit_code, "unknown kind" in result.stderr) == (2, True)
