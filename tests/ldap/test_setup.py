"""Setting up a directory: its first entries over LDAP, the files for a new server, and what a schema lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import pytest

from mailstore import open_store
from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, SchemaMismatch, StoreDenied
from mailstore.ldap import ldif
from mailstore.ldap.iredmail.schema.tree import empty_tree, schema_files
from mailstore.ldap.iredmail.store import (
    SERVICE_ACCOUNTS,
    IRedMailDirectory,
    create_own_table,
    create_schema,
    server_files,
)
from mailstore.ldap.names import DN
from tests.ldap.rig import make_iredadmin
from tests.servers.process import make_directory, program, run_tool
from tests.servers.slapd import MANAGER_PASSWORD, SUFFIX, Login, Slapd
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDB

PASSWORDS = {"cn=vmail": "reading", "cn=vmailadmin": "writing"}
TOPS = [f"o=domainAdmins,{SUFFIX}", f"o=domains,{SUFFIX}"]


class Bare(Slapd):
    """A slapd as it is before the first entry, with an older schema if `without` names attributes of accounts."""

    def __init__(self, directory: Path, *, without: tuple[str, ...] = ()) -> None:
        super().__init__(directory)
        self._without = without

    def empty_tree(self) -> str:
        return ""

    def _configuration(self) -> str:
        file = self.directory / "iredmail.schema"
        for name in self._without:
            old = file.read_text()
            file.write_text(re.sub(rf"\s\$ {name}\b", "", old))
            assert file.read_text() != old
        return super()._configuration()

    def config_of(self, login: Login | None = None, *, suffix: str | None = None) -> StoreConfig:
        """Options for a directory in this server."""
        dn, password = login or self.bind("manager")
        host = self.url.partition("://")[2]
        return StoreConfig(url=f"iredmail+ldap://{quote(dn)}:{quote(password)}@{host}/{quote(suffix or self.suffix)}")

    def names(self) -> list[str]:
        return [dn for dn, _ in ldif.parse(self.dump().splitlines())]


@pytest.fixture(scope="module")
def server(scratch_root: Path) -> Iterator[Bare]:
    with Bare(scratch_root / "setup") as running:
        yield running


@pytest.fixture
def bare(server: Bare) -> Bare:
    """A directory without any entry."""
    server.load("", whole=True)
    return server


def test_the_first_entries_are_made(bare: Bare, workdir: Path) -> None:
    made = create_schema(bare.config_of(), None, passwords=PASSWORDS)
    expected = dict(ldif.parse(empty_tree(SUFFIX, reader_hash="x", writer_hash="y").splitlines()))
    assert sorted(made) == sorted(expected)
    found = dict(ldif.parse(bare.dump().splitlines()))
    assert found.keys() == expected.keys()
    for dn, attributes in expected.items():
        for name in attributes.keys() - {"userPassword"}:
            assert found[dn][name] == attributes[name]
    writer = Login(f"cn=vmailadmin,{SUFFIX}", "writing")
    url, records = bare.config_of(writer).url, f"sqlite:///{workdir}/deleted.db"
    with cast("IRedMailDirectory", open_store(url, retention=records)) as store:
        store.domains.create("example.com")
        assert store.context.directory.verify(DN(f"cn=vmail,{SUFFIX}"), "reading")


def test_an_existing_tree_is_left_alone(bare: Bare) -> None:
    create_schema(bare.config_of(), None, passwords=PASSWORDS)
    before = bare.dump()
    with pytest.raises(SchemaMismatch, match="already"):
        create_schema(bare.config_of(), None, passwords=dict.fromkeys(PASSWORDS, "other"))
    assert bare.dump() == before


def test_what_was_interrupted_is_finished(bare: Bare) -> None:
    create_schema(bare.config_of(), None, passwords=PASSWORDS)
    with bare.connect() as connection:
        for dn in (*TOPS, f"cn=vmailadmin,{SUFFIX}"):
            assert connection.delete(dn)
    made = create_schema(bare.config_of(), None, passwords=dict.fromkeys(PASSWORDS, "second"))
    assert sorted(made) == sorted([*TOPS, f"cn=vmailadmin,{SUFFIX}"])
    for name, password in {"cn=vmail": "reading", "cn=vmailadmin": "second"}.items():
        with bare.connect(Login(f"{name},{SUFFIX}", password)):
            pass


def test_accounts_without_a_password_are_not_made(bare: Bare) -> None:
    assert create_schema(bare.config_of(), None) == [SUFFIX, *TOPS]


def test_who_may_not_write_is_told_who_may(bare: Bare) -> None:
    create_schema(bare.config_of(), None, passwords=PASSWORDS)
    with bare.connect() as connection:
        for dn in TOPS:
            assert connection.delete(dn)
    before = bare.names()
    with pytest.raises(StoreDenied, match="manager"):
        create_schema(bare.config_of(Login(f"cn=vmailadmin,{SUFFIX}", "writing")), None)
    assert bare.names() == before


def test_another_suffix_than_the_servers(bare: Bare) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(SUFFIX)):
        create_schema(bare.config_of(suffix="dc=other"), None, passwords=PASSWORDS)


class Stock(Bare):
    """A slapd that knows nothing of mail accounts."""

    def _configuration(self) -> str:
        lines = super()._configuration().partition("\naccess to")[0].splitlines()
        return "\n".join(line for line in lines if not re.match(r"index |include \S*(amavis|iredmail)\.schema", line))


def test_a_server_without_the_schema_is_told_what_to_load(scratch_root: Path) -> None:
    with Stock(scratch_root / "stock") as stock, pytest.raises(SchemaMismatch, match=r"mailUser.*--print"):
        create_schema(stock.config_of(), None, passwords=PASSWORDS)


# --- What a schema lacks ----------------------------------------------------------------------------------------------


def test_the_published_schema_is_complete(bare: Bare) -> None:
    create_schema(bare.config_of(), None, passwords=PASSWORDS)
    with cast("IRedMailDirectory", open_store(bare.config_of().url)) as store:
        report = store.schema_report()
    assert (report.missing, report.absent, report.foreign) == ((), (), ())
    assert report.unknown == ("indexes",)


def test_an_old_schema_is_described(scratch_root: Path) -> None:
    with Bare(scratch_root / "oldschema", without=("birthday", "recoveryEmail")) as old:
        create_schema(old.config_of(), None, passwords=PASSWORDS)
        with cast("IRedMailDirectory", open_store(old.config_of().url)) as store:
            report = store.schema_report()
        assert report.absent == ("mailUser.birthday", "mailUser.recoveryEmail")
        shown = run("--url", old.config_of().url, "--format", "lines", "schema", "check").stdout
        assert shown.splitlines() == [
            "mailUser.birthday\tabsent",
            "mailUser.recoveryEmail\tabsent",
            "indexes\tunknown",
        ]


# --- Files for a new server -------------------------------------------------------------------------------------------


def test_slapd_takes_the_files(bare: Bare, workdir: Path) -> None:
    directory = make_directory(workdir / "files")
    result = run("--url", bare.config_of().url, "schema", "create", "--directory", str(directory))
    assert result.exit_code == 0, result.stderr
    names = ["slapd.conf", *sorted(schema_files()), "tree.ldif"]
    assert sorted(path.name for path in directory.iterdir()) == sorted(names)
    modes = {name: (directory / name).stat().st_mode & 0o777 for name in ("slapd.conf", "tree.ldif")}
    assert modes == {"slapd.conf": 0o640, "tree.ldif": 0o600}  # slapd itself has to read the one
    run_tool([program("slaptest"), "-u", "-f", str(directory / "slapd.conf")], directory)
    bare.load((directory / "tree.ldif").read_text(), whole=True)
    for name in SERVICE_ACCOUNTS:
        with bare.connect(Login(f"{name},{SUFFIX}", _told(result.stderr)[name])):
            pass


def test_the_manager_gets_the_password_of_the_url(bare: Bare) -> None:
    (configuration, *_) = server_files(bare.config_of(), None, passwords=PASSWORDS)
    assert 'rootpw "{SSHA}' in configuration.text
    assert MANAGER_PASSWORD not in configuration.text
    (other, *_) = server_files(bare.config_of(Login(f"cn=vmailadmin,{SUFFIX}", "x")), None, passwords=PASSWORDS)
    assert "No rootpw" in other.text


def test_the_files_are_shown(bare: Bare) -> None:
    before = bare.dump()
    result = run("--url", bare.config_of().url, "schema", "create", "--print")
    assert result.exit_code == 0
    for name in ("slapd.conf", *schema_files(), "tree.ldif"):
        assert f"### {name}\n" in result.stdout
    assert _told(result.stderr).keys() == set(SERVICE_ACCOUNTS)
    assert not any(password in result.stdout for password in _told(result.stderr).values())
    assert bare.dump() == before


def _told(shown: str) -> dict[str, str]:
    return dict(re.findall(r"password of (\S+): (\S+)", shown))


# --- The command ------------------------------------------------------------------------------------------------------


def test_the_command_makes_the_tree_and_tells_passwords_once(bare: Bare, workdir: Path) -> None:
    file = workdir / "password"
    file.write_text("reading\n")
    command = ("--url", bare.config_of().url, "--format", "lines", "schema", "create")
    result = run(*command, "--reader-password-file", str(file))
    assert result.exit_code == 0, result.stderr
    assert f"o=domains,{SUFFIX}\tcreated" in result.stdout.splitlines()
    assert _told(result.stderr).keys() == {"cn=vmailadmin"}
    with bare.connect(Login(f"cn=vmail,{SUFFIX}", "reading")):
        pass
    with bare.connect(Login(f"cn=vmailadmin,{SUFFIX}", _told(result.stderr)["cn=vmailadmin"])):
        pass
    again = run(*command)
    assert again.exit_code == 1
    assert not _told(again.stderr)


def test_the_options_are_for_directories(workdir: Path) -> None:
    result = run("--url", f"iredmail+sqlite:///{workdir}/vmail.db", "schema", "create", "--print")
    assert result.exit_code == 2
    assert not (workdir / "vmail.db").exists()


# --- Records of deleted mailboxes -------------------------------------------------------------------------------------


def test_the_table_beside_iredmails_own_is_made_once(mariadb: MariaDB) -> None:
    mariadb.create_database("vmail_setup")
    retention = mariadb.url("vmail_setup").removeprefix("iredmail+")
    config = StoreConfig(url=f"iredmail+ldap://cn=x:y@127.0.0.1/{SUFFIX}", retention=retention)
    assert create_own_table(config, None)
    assert not create_own_table(config, None)
    make_iredadmin(retention)
