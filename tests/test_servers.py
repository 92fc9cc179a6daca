"""The private servers do what the other tests rely on."""

from __future__ import annotations

import base64
import hashlib
import imaplib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pymysql
import pytest

from mailstore.ldap import ldif
from tests.servers.database import PASSWORDS
from tests.servers.dovecot import Dovecot
from tests.servers.mariadb import MariaDB
from tests.servers.postfix import PostfixLookup
from tests.servers.process import ENVIRONMENT, LOOPBACK, MissingCapabilityError, Process, ServerError, program
from tests.servers.slapd import STOCK_LIMIT, Login, Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.servers.database import DatabaseServer
    from tests.servers.postgresql import PostgreSQL

REFUSED = (pymysql.err.OperationalError, psycopg.errors.InsufficientPrivilege)
PASSWORD = "pässwörd"
SHORT, LONG = "short@example.org", "long@example.org"
MESSAGE = b"From: a@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
SQL_CONFIG = """\
driver = sqlite
connect = {confdir}/../users.db
password_query = SELECT email AS user, password FROM users WHERE email = '%u'
user_query = SELECT home, {uid} AS uid, {gid} AS gid, '*:bytes=1048576' AS quota_rule \
  FROM users WHERE email = '%u'
"""
INCLUDE = """\
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
}
passdb {
  driver = sql
  args = {confdir}/dovecot-sql.conf.ext
}
userdb {
  driver = sql
  args = {confdir}/dovecot-sql.conf.ext
}
"""
HOME_QUERY = "SELECT home FROM users WHERE email = '%s'"


def salted(salt: bytes) -> str:
    digest = hashlib.sha256(PASSWORD.encode() + salt).digest()
    return "{SSHA256}" + base64.b64encode(digest + salt).decode()


@pytest.fixture
def users_db(workdir: Path) -> Path:
    path = workdir / "users.db"
    mail = workdir / "mail"
    rows = [(SHORT, salted(b"s" * 8), f"{mail}/short"), (LONG, salted(b"l" * 32), f"{mail}/long")]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE users (email TEXT PRIMARY KEY, password TEXT, home TEXT)")
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", rows)
    return path


@pytest.fixture
def dovecot(workdir: Path, users_db: Path, vmail_owner: tuple[int, int]) -> Iterator[Dovecot]:
    uid, gid = vmail_owner
    config = SQL_CONFIG.replace("{uid}", str(uid)).replace("{gid}", str(gid))
    files = {"dovecot-sql.conf.ext": config}
    with Dovecot(workdir, include=INCLUDE, files=files, vmail_uid=uid, vmail_gid=gid) as server:
        yield server


def connect_mariadb(server: DatabaseServer, database: str, user: str) -> pymysql.Connection:
    return pymysql.connect(host=LOOPBACK, port=server.port, user=user, password=PASSWORDS[user], database=database)


def connect_postgresql(server: DatabaseServer, database: str, user: str) -> psycopg.Connection:
    return psycopg.connect(host=LOOPBACK, port=server.port, user=user, password=PASSWORDS[user], dbname=database)


def survives_kill(server: DatabaseServer, database: str) -> None:
    """A commit just before SIGKILL must be there after the restart, on the same port."""
    connect = connect_mariadb if isinstance(server, MariaDB) else connect_postgresql
    with closing(connect(server, database, "vmailadmin")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a VARCHAR(9))")
        cursor.execute("INSERT INTO t VALUES ('é')")
        connection.commit()
        server.kill()
    assert not server.running
    server.restart()
    with closing(connect(server, database, "vmail")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT a FROM t")
        assert list(cursor.fetchall()) == [("é",)]


def test_mariadb_survives_kill(mariadb: MariaDB) -> None:
    mariadb.create_database("vmail_kill")
    survives_kill(mariadb, "vmail_kill")
    mariadb.drop_database("vmail_kill")


def test_postgresql_survives_kill(postgresql: PostgreSQL) -> None:
    postgresql.create_database("vmail_kill")
    survives_kill(postgresql, "vmail_kill")
    postgresql.drop_database("vmail_kill")


def test_mariadb_disconnect(mariadb: MariaDB) -> None:
    mariadb.create_database("vmail_cut")
    with closing(connect_mariadb(mariadb, "vmail_cut", "vmailadmin")) as connection:
        assert mariadb.disconnect() == 1
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)
    mariadb.drop_database("vmail_cut")


def test_postgresql_disconnect(postgresql: PostgreSQL) -> None:
    postgresql.create_database("vmail_cut")
    with closing(connect_postgresql(postgresql, "vmail_cut", "vmailadmin")) as connection:
        assert postgresql.disconnect() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgresql.drop_database("vmail_cut")


def test_reader_reads_only(mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    for server, connect in ((mariadb, connect_mariadb), (postgresql, connect_postgresql)):
        server.create_database("vmail_ro")
        server.execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)", "vmail_ro")
        with closing(connect(server, "vmail_ro", "vmail")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT a FROM t")
            assert list(cursor.fetchall()) == [(1,)]
            with pytest.raises(REFUSED, match="denied"):
                cursor.execute("DELETE FROM t")
        server.drop_database("vmail_ro")


def test_postgresql_copies_a_template(postgresql: PostgreSQL) -> None:
    postgresql.create_database("vmail_master")
    postgresql.execute("CREATE TABLE t (a INT)", "vmail_master")
    postgresql.create_database("vmail_copy", template="vmail_master")
    assert postgresql.execute("SELECT * FROM t", "vmail_copy") == []
    postgresql.drop_database("vmail_copy")
    postgresql.drop_database("vmail_master")


def test_urls(mariadb: MariaDB, postgresql: PostgreSQL) -> None:
    assert mariadb.url("vmail") == f"iredmail+mysql://vmailadmin:adminpass@127.0.0.1:{mariadb.port}/vmail"
    assert postgresql.url("v", "vmail") == f"iredmail+postgresql://vmail:readerpass@127.0.0.1:{postgresql.port}/v"


def test_dovecot_auth(dovecot: Dovecot) -> None:
    assert dovecot.auth(SHORT, PASSWORD)
    assert dovecot.auth(LONG, PASSWORD, service="pop3")
    assert not dovecot.auth(LONG, "wrong")


def test_dovecot_auth_raises_when_the_lookup_breaks(dovecot: Dovecot, users_db: Path) -> None:
    with closing(sqlite3.connect(users_db)) as connection:
        connection.execute("DROP TABLE users")
    with pytest.raises(ServerError, match="no such table"):
        dovecot.auth(SHORT, PASSWORD)
    with pytest.raises(ServerError, match="no such table"):
        dovecot.user(SHORT)


def test_dovecot_delivers(dovecot: Dovecot, vmail_owner: tuple[int, int]) -> None:
    fields = dovecot.user(SHORT)
    assert fields is not None
    assert fields["uid"] == str(vmail_owner[0])
    assert fields["home"] == str(dovecot.mail_root / "short")
    assert dovecot.user("nobody@example.org") is None
    assert dovecot.deliver(SHORT, MESSAGE)[0] == 250
    assert dovecot.deliver("nobody@example.org", MESSAGE)[0] == 550
    with dovecot.imap(SHORT, PASSWORD) as client:
        assert client.select() == ("OK", [b"1"])
        assert "Subject: hello" in str(client.fetch("1", "(RFC822)")[1])
    used, limit = dovecot.quota(SHORT)["MESSAGE"]
    assert (used, limit) == (1, None)
    assert dovecot.quota(SHORT)["STORAGE"][1] == 1024


def test_dovecot_restarts(dovecot: Dovecot) -> None:
    dovecot.stop()
    dovecot.start()
    with pytest.raises(imaplib.IMAP4.error), dovecot.imap(SHORT, "wrong"):
        pass
    assert dovecot.auth(SHORT, PASSWORD)


def test_postfix_lookups(workdir: Path, users_db: Path) -> None:
    postfix = PostfixLookup(workdir / "postfix")
    config = f"dbpath = {users_db}\nquery = {HOME_QUERY}\n"
    home = f"{workdir}/mail/short"
    assert postfix.query("sqlite", config, SHORT) == home
    assert postfix.query("sqlite", config, "nobody@example.org") is None
    keys = [SHORT, "Nobody@example.org", SHORT.upper()]
    assert list(postfix.query_many("sqlite", config, keys).values()) == [home, None, home]
    with pytest.raises(ServerError, match="no such table"):
        postfix.query("sqlite", config.replace("FROM users", "FROM absent"), SHORT)


def test_postfix_databases(mariadb: MariaDB, postgresql: PostgreSQL, workdir: Path) -> None:
    postfix = PostfixLookup(workdir / "postfix")
    login = f"user = vmail\npassword = {PASSWORDS['vmail']}\ndbname = vmail_map\n"
    for map_type, server in (("mysql", mariadb), ("pgsql", postgresql)):
        server.create_database("vmail_map")
        config = f"{login}hosts = {LOOPBACK}:{server.port}\nquery = SELECT '%u'\n"
        assert postfix.query(map_type, config, SHORT) == "short"
        server.drop_database("vmail_map")


def test_a_failed_start_shows_the_log(workdir: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('broken')"], workdir / "log")
    with pytest.raises(ServerError, match="broken"):
        process.start(lambda: False)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(MissingCapabilityError, match="no-such-program is not installed"):
        program("no-such-program")


def domain_dn(domain: str) -> str:
    return f"domainName={domain},o=domains,dc=mailstore,dc=test"


def user_dn(address: str) -> str:
    return f"mail={address},ou=Users,{domain_dn(address.partition('@')[2])}"


def admin_dn(address: str) -> str:
    return f"mail={address},o=domainAdmins,dc=mailstore,dc=test"


HERE, DASHED = "a.example.org", "a-example.org"  # the second looks like the first to a pattern that does not escape
ME, MATE, STRANGER = user_dn(f"me@{HERE}"), user_dn(f"mate@{HERE}"), user_dn(f"me@{DASHED}")
BOSS, OTHER_BOSS = admin_dn(f"boss@{HERE}"), admin_dn(f"boss@{DASHED}")
DOMAIN, LIST = domain_dn(HERE), f"mail=list@{HERE},ou=Groups,{domain_dn(HERE)}"
TOP = "dc=mailstore,dc=test"
READER, WRITER = f"cn=vmail,{TOP}", f"cn=vmailadmin,{TOP}"
DOMAINS, ADMINS = f"o=domains,{TOP}", f"o=domainAdmins,{TOP}"
LOGIN = "userpass"
DENIED, NOT_THERE = 50, 32

OWN = {
    "userPassword": "new",
    "cn": "new",
    "sn": "new",
    "givenName": "new",
    "telephoneNumber": "+1 2",
    "shadowLastChange": "1",
}
"""What users may change of their own entry, with a value for it."""
FIXED = {
    "mail": f"boss@{HERE}",
    "uid": "boss",
    "objectClass": "top",
    "accountStatus": "active",
    "domainStatus": "disabled",
    "enabledService": "domainadmin",
    "domainGlobalAdmin": "yes",
    "mailQuota": "0",
    "homeDirectory": "/",
    "mtaTransport": "x:y",
    "memberOfGroup": f"list@{HERE}",
    "shadowAddress": f"boss@{HERE}",
    "userSenderBccAddress": "x@example.net",
    "userRecipientBccAddress": "x@example.net",
    "userManager": "x@example.net",
    "title": "new",
    "mailForwardingAddress": "x@example.net",
    "employeeNumber": "8",
    "accountSetting": "timezone:UTC",
    "allowNets": "192.0.2.0/24",
    "senderRelayHost": "[192.0.2.1]:25",
    "mailboxFormat": "mdbox",
    "mailboxFolder": "Mail",
    "disabledService": "x",
    "expiredDate": "20300101000000Z",
    "preferredLanguage": "de_DE",
    "maxMessageSize": "1",
    "recoveryEmail": "x@example.net",
    "mailHost": "h",
    "storageBaseDirectory": "/",
    "mailMessageStore": "x",
}
"""What they may not: mail servers and panels believe it."""
OWN_TO_READ = ["mailForwardingAddress", "employeeNumber", "domainGlobalAdmin", "accountSetting"]
PATHS = ["homeDirectory", "mailboxFormat", "mailboxFolder"]
PUBLIC = ["mail", "cn", "accountStatus"]


def user_entry(address: str) -> str:
    facts = {
        "objectClass": ["inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"],
        "mail": [address],
        "uid": ["u"],
        "cn": ["c"],
        "sn": ["s"],
        "userPassword": [LOGIN],
        "mailForwardingAddress": ["f@example.net"],
        "employeeNumber": ["7"],
        "domainGlobalAdmin": ["yes"],
        "homeDirectory": ["/home"],
        "mailboxFormat": ["maildir"],
        "mailboxFolder": ["Maildir"],
        "accountStatus": ["active"],
        "accountSetting": ["a:b"],
        "amavisLocal": ["TRUE"],
    }
    return ldif.record(user_dn(address), facts)


def domain_entries(domain: str) -> Iterator[str]:
    facts = {"objectClass": ["mailDomain"], "domainName": [domain], "domainAdmin": ["x@example.net"], "cn": ["d"]}
    yield ldif.record(domain_dn(domain), facts)
    for unit in ("Users", "Groups"):
        facts = {"objectClass": ["organizationalUnit"], "ou": [unit]}
        yield ldif.record(f"ou={unit},{domain_dn(domain)}", facts)
    yield ldif.record(
        f"mail=list@{domain},ou=Groups,{domain_dn(domain)}",
        {"objectClass": ["mailList"], "mail": [f"list@{domain}"], "cn": ["l"], "accountStatus": ["active"]},
    )


def admin_entry(address: str) -> str:
    facts = {"objectClass": ["mailAdmin"], "mail": [address], "userPassword": [LOGIN], "cn": ["a"]}
    return ldif.record(admin_dn(address), facts)


def sample_entries() -> str:
    domains = [entry for domain in (HERE, DASHED) for entry in domain_entries(domain)]
    users = [user_entry(f"{name}@{domain}") for domain in (HERE, DASHED) for name in ("me", "mate")]
    admins = [admin_entry(f"boss@{domain}") for domain in (HERE, DASHED)]
    return "".join(ldif.document([*domains, *users, *admins], version=False))


@pytest.fixture(scope="session")
def slapd(scratch_root: Path) -> Iterator[Slapd]:
    """A server with two domains, for tests that leave them as they are."""
    with Slapd(scratch_root / "slapd-rights") as server:
        server.load(sample_entries())
        yield server


def login(server: Slapd, dn: str) -> Login:
    name = dn.partition(",")[0].removeprefix("cn=")
    return server.bind(name) if dn in (READER, WRITER) else Login(dn, LOGIN)


def sees(server: Slapd, who: str, dn: str, attribute: str) -> bool:
    with server.connect(login(server, who)) as client:
        client.search(dn, "(objectClass=*)", "BASE", attributes=[attribute])
        return any(entry["raw_attributes"].get(attribute) for entry in client.response)


def result_of(server: Slapd, who: str, method: str, *arguments: object) -> int:
    """Run an operation; return its result code."""
    with server.connect(login(server, who)) as client:
        getattr(client, method)(*arguments)
        code: int = client.result["result"]
        return code


def modify(server: Slapd, who: str, dn: str, values: Mapping[str, str]) -> int:
    return result_of(server, who, "modify", dn, {name: [("MODIFY_REPLACE", [value])] for name, value in values.items()})


def add_user(server: Slapd, who: str, dn: str) -> int:
    facts = {"uid": "n", "cn": "n", "sn": "n"}
    return result_of(server, who, "add", dn, ["inetOrgPerson", "mailUser", "shadowAccount"], facts)


def whoami(server: Slapd, url: str, *options: str, ca: Path | None = None) -> subprocess.CompletedProcess[str]:
    who = server.bind("vmail")
    command = [program("ldapwhoami"), "-x", "-H", url, "-D", who.dn, "-w", who.password, *options]
    environment = ENVIRONMENT | {"LDAPTLS_CACERT": str(ca)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)


def test_slapd_answers_everywhere(slapd: Slapd) -> None:
    for url in (slapd.url, slapd.ldapi_url):
        assert whoami(slapd, url).stdout == f"dn:{READER}\n"


def test_slapd_takes_the_configuration(slapd: Slapd) -> None:
    command = [program("slaptest"), "-u", "-f", str(slapd.config)]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert (result.returncode, result.stderr) == (0, "config file testing succeeded\n")


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
def test_slapd_proves_who_it_is(slapd: Slapd, host: str) -> None:
    for arguments in ([f"ldap://{host}:{slapd.port}", "-ZZ"], [f"ldaps://{host}:{slapd.tls_port}"]):
        assert whoami(slapd, *arguments, ca=slapd.ca).returncode == 0
        assert whoami(slapd, *arguments, ca=slapd.wrong_ca).returncode != 0


def test_slapd_survives_kill(slapd: Slapd) -> None:
    new = user_dn(f"new@{HERE}")
    assert add_user(slapd, WRITER, new) == 0
    slapd.kill()
    assert not slapd.running
    slapd.restart()
    assert sees(slapd, READER, new, "mail")
    slapd.load(sample_entries())


def entries(server: Slapd) -> set[str]:
    return {dn for dn, _ in ldif.parse(server.dump().splitlines())}


def test_slapd_clears_and_loads(slapd: Slapd) -> None:
    dump, before = slapd.dump(), entries(slapd)
    assert {ME, BOSS, LIST} < before
    slapd.clear()
    assert entries(slapd) == {TOP, READER, WRITER, DOMAINS, ADMINS}
    slapd.load(dump, whole=True)
    assert entries(slapd) == before
    slapd.load(f"version: 1\n{many_aliases()}")
    slapd.clear()
    assert len(entries(slapd)) == 5
    slapd.load(sample_entries(), quick=False)
    assert entries(slapd) == before


def many_aliases() -> str:
    base = ldif.record(domain_dn(HERE), {"objectClass": ["mailDomain"], "domainName": [HERE]})
    names = [f"{number}@{HERE}" for number in range(STOCK_LIMIT)]
    aliases = [ldif.record(f"mail={name},{DOMAIN}", {"objectClass": ["mailAlias"], "mail": [name]}) for name in names]
    return "".join(ldif.document([base, *aliases], version=False))


@pytest.mark.parametrize(("limit", "code"), [(None, 0), (STOCK_LIMIT, 4)])
def test_slapd_limits_searches(workdir: Path, limit: int | None, code: int) -> None:
    with Slapd(workdir / "slapd", size_limit=limit) as server:
        server.load(many_aliases())
        assert result_of(server, READER, "search", DOMAIN, "(objectClass=*)") == code


SERVICE_READS = [
    (target, attribute)
    for target, attributes in {
        DOMAINS: ["o"],
        ADMINS: ["o"],
        DOMAIN: ["domainName", "domainAdmin"],
        ME: ["mail", "userPassword", "mailForwardingAddress", "employeeNumber", "domainGlobalAdmin", "homeDirectory"],
        LIST: ["mail"],
        BOSS: ["mail", "userPassword"],
    }.items()
    for attribute in attributes
]


@pytest.mark.parametrize("who", [READER, WRITER])
def test_service_accounts_read_all_accounts(slapd: Slapd, who: str) -> None:
    assert [read for read in SERVICE_READS if not sees(slapd, who, *read)] == []


@pytest.mark.parametrize("who", [READER, WRITER, ME, BOSS])
@pytest.mark.parametrize("account", [READER, WRITER])
def test_nobody_reads_the_service_accounts(slapd: Slapd, who: str, account: str) -> None:
    assert not sees(slapd, who, account, "userPassword")
    assert not sees(slapd, who, account, "cn")


def test_nobody_reads_without_login(slapd: Slapd) -> None:
    search = [program("ldapsearch"), "-x", "-LLL", "-H", slapd.url, "-b"]
    for base in (TOP, DOMAINS, ME, READER):
        result = subprocess.run([*search, base], capture_output=True, text=True, env=ENVIRONMENT)
        assert result.stdout == ""
        assert result.returncode in (NOT_THERE, 48)  # ldapsearch itself tries an anonymous bind


@pytest.mark.parametrize("options", [[], ["-P", "2", "-D", READER, "-w", PASSWORDS["vmail"]]])
def test_anonymous_and_old_binds_are_refused(slapd: Slapd, options: list[str]) -> None:
    command = [program("ldapsearch"), "-x", "-H", slapd.url, *options]
    assert subprocess.run(command, capture_output=True, env=ENVIRONMENT).returncode in (2, 48)


@pytest.mark.parametrize("dn", [TOP, READER, WRITER, DOMAINS, DOMAIN, ME, BOSS])
def test_the_reader_writes_nothing(slapd: Slapd, dn: str) -> None:
    attribute = "userPassword" if dn in (READER, WRITER) else "description"
    assert modify(slapd, READER, dn, {attribute: "x"}) == DENIED
    assert result_of(slapd, READER, "delete", dn) == DENIED


def test_the_writer_writes_all_accounts(slapd: Slapd) -> None:
    new, renamed = user_dn(f"new@{HERE}"), f"mail=renamed@{HERE}"
    assert add_user(slapd, WRITER, new) == 0
    everything = {name: value for name, value in FIXED.items() if name not in ("mail", "objectClass")}
    assert modify(slapd, WRITER, new, {**OWN, **everything, "accountStatus": "disabled"}) == 0
    assert result_of(slapd, WRITER, "modify_dn", new, renamed) == 0
    assert result_of(slapd, WRITER, "delete", user_dn(f"renamed@{HERE}")) == 0
    for dn, kind in ((domain_dn("new.example"), "mailDomain"), (admin_dn("new@new.example"), "mailAdmin")):
        assert result_of(slapd, WRITER, "add", dn, [kind]) == 0
        assert result_of(slapd, WRITER, "delete", dn) == 0


def test_the_writer_writes_nothing_else(slapd: Slapd) -> None:
    assert result_of(slapd, WRITER, "add", f"o=new,{TOP}", ["organization"]) == DENIED
    assert result_of(slapd, WRITER, "delete", READER) == DENIED
    for dn in (READER, WRITER):
        assert modify(slapd, WRITER, dn, {"userPassword": "x"}) == DENIED


def test_users_read_their_own_domain(slapd: Slapd) -> None:
    assert [name for name in [*PUBLIC, *OWN_TO_READ, "userPassword"] if not sees(slapd, ME, ME, name)] == []
    assert [name for name in PUBLIC if not sees(slapd, ME, MATE, name)] == []
    assert [name for name in [*OWN_TO_READ, *PATHS, "userPassword"] if sees(slapd, ME, MATE, name)] == []
    assert [name for name in PATHS if sees(slapd, ME, ME, name)] == []
    assert sees(slapd, ME, DOMAIN, "domainName")
    assert sees(slapd, ME, LIST, "mail")
    assert not sees(slapd, ME, DOMAIN, "domainAdmin")


@pytest.mark.parametrize("dn", [STRANGER, domain_dn(DASHED), BOSS, ADMINS, DOMAINS, TOP])
def test_users_read_nothing_else(slapd: Slapd, dn: str) -> None:
    assert not sees(slapd, ME, dn, "objectClass")
    assert modify(slapd, ME, dn, {"description": "x"}) in (DENIED, NOT_THERE)


def test_users_of_another_domain_read_nothing(slapd: Slapd) -> None:
    """Among them those of a domain whose name the pattern of this one would match."""
    for dn in (DOMAIN, f"ou=Users,{DOMAIN}", ME, LIST):
        assert not sees(slapd, STRANGER, dn, "objectClass")


def test_users_change_what_is_theirs(slapd: Slapd) -> None:
    assert modify(slapd, ME, ME, OWN) == 0
    slapd.load(sample_entries())


@pytest.mark.parametrize("name", sorted(FIXED))
def test_users_do_not_change_what_is_given_to_them(slapd: Slapd, name: str) -> None:
    assert modify(slapd, ME, ME, {name: FIXED[name]}) == DENIED


def test_users_do_not_change_others(slapd: Slapd) -> None:
    for name, value in (OWN | FIXED).items():
        assert modify(slapd, ME, MATE, {name: value}) == DENIED
    assert modify(slapd, ME, DOMAIN, {"accountSetting": "a:b"}) == DENIED


def test_users_add_remove_and_rename_nothing(slapd: Slapd) -> None:
    assert add_user(slapd, ME, user_dn(f"new@{HERE}")) == DENIED
    assert add_user(slapd, ME, f"mail=new@{HERE},{ME}") == DENIED
    assert result_of(slapd, ME, "delete", ME) == DENIED
    assert result_of(slapd, ME, "modify_dn", ME, f"mail=new@{HERE}") == DENIED


def test_admins_without_mailbox_write_the_domain_of_their_address(slapd: Slapd) -> None:
    assert modify(slapd, BOSS, MATE, {"accountStatus": "disabled", "userPassword": LOGIN}) == 0
    assert add_user(slapd, BOSS, user_dn(f"new@{HERE}")) == 0
    assert result_of(slapd, BOSS, "delete", user_dn(f"new@{HERE}")) == 0
    assert modify(slapd, BOSS, DOMAIN, {"domainAdmin": "x@example.net"}) == 0
    slapd.load(sample_entries())


@pytest.mark.parametrize("dn", [ME, DOMAIN, LIST, BOSS, OTHER_BOSS, ADMINS, DOMAINS, TOP])
def test_admins_without_mailbox_have_no_other_rights(slapd: Slapd, dn: str) -> None:
    assert not sees(slapd, OTHER_BOSS, dn, "objectClass")
    assert modify(slapd, OTHER_BOSS, dn, {"description": "x"}) in (DENIED, NOT_THERE)
