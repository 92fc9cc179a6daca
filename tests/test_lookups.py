"""`mailstore lookups`: real Dovecot and Postfix read an iRedMail schema on every engine."""

from __future__ import annotations

import poplib
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, create_engine, make_url

from mailstore.driver.lookups import PASSWORD_PLACEHOLDER, LookupFile, Reader, write
from mailstore.errors import ConfigurationError
from mailstore.sql.iredmail import lookups
from mailstore.sql.iredmail.schema.detection import create, detect
from tests.readers import (
    PASSWORD,
    SCHEMES,
    Answers,
    PostfixMaps,
    Scenario,
    Site,
    dovecot_for,
    fill,
    hashed,
    postfix_for,
    reader_of,
)
from tests.servers.dovecot import Dovecot
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import LOOPBACK, make_directory, wait_for

MESSAGE = b"From: a@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}


@pytest.fixture(scope="module", params=["mysql", "postgresql", "sqlite"])
def site(request: pytest.FixtureRequest, scratch_root: Path) -> Iterator[Site]:
    directory = make_directory(scratch_root / f"lookups{request.param}")
    with _database(request, directory) as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            create(connection, request.param)
            schema = detect(connection, request.param)
            fill(Scenario(connection, schema, directory / "mail"))
        yield Site(url, engine, schema, directory)
        engine.dispose()


@contextmanager
def _database(request: pytest.FixtureRequest, directory: Path) -> Iterator[URL]:
    if request.param == "sqlite":
        yield URL.create("sqlite", database=str(make_directory(directory / "store") / "vmail.db"))
        return
    server = request.getfixturevalue("mariadb" if request.param == "mysql" else "postgresql")
    server.create_database("vmail_lookups")
    try:
        yield make_url(server.url("vmail_lookups")).set(drivername=DRIVERS[request.param])
    finally:
        server.drop_database("vmail_lookups")


@pytest.fixture(scope="module")
def maps(site: Site) -> PostfixMaps:
    return postfix_for(site.directory / "postfix", site.url)


@pytest.fixture(scope="module")
def dovecot(site: Site, vmail_owner: tuple[int, int]) -> Iterator[Dovecot]:
    with dovecot_for(site.directory, site.url, site.schema, vmail_owner) as server:
        yield server


# --- Postfix ----------------------------------------------------------------------------------------------------------

KEYS = (
    *("example.com", "off.example", "mx.example", "alias.example", "offalias.example", "ofoff.example", "ofmx.example"),
    *(f"{name}@example.com" for name in ("bob", "kim", "eve", "cut", "nodeliver", "moved", "cutmoved", "noimap")),
    *("robert@example.com", "sales@example.com", "list@example.com", "oldlist@example.com"),
    *("nobody@example.com", "no+body@example.com", "bob+x@example.com", "@example.com", "o'brien\\@example.com"),
    *("bob@alias.example", "robert@alias.example", "sales@alias.example"),
    *("nobody@alias.example", "no+body@alias.example", "@alias.example", "bob@offalias.example"),
    *("dan@off.example", "mia@mx.example", "dan@ofoff.example", "mia@ofmx.example", "offmx.example", "unknown.example"),
)
IN_EXAMPLE = [key for key in KEYS if key.endswith("@example.com")]
SINGLE: dict[str, dict[str, str]] = {
    "virtual_mailbox_domains": {name: name for name in ("example.com", "alias.example")},
    "relay_domains": {"mx.example": "mx.example"},
    "transport_user": {"moved@example.com": "smtp:[other.example.net]"},
    "transport_list": {"list@example.com": "mlmmj:example.com/list"},
    "transport_domain": {"example.com": "dovecot", "mx.example": "relay:[mx.example.net]"},
    "catchall": {key: "kim@example.com" for key in IN_EXAMPLE if "+" not in key and not key.startswith("@")},
    "catchall_alias_domain": {
        **{key: "kim@example.com" for key in KEYS if key.endswith("@alias.example")},
        # iRedMail asks neither for the target's active nor for +.
        "dan@ofoff.example": "dan@off.example",
    },
    "relayhost": {
        "bob@example.com": "[bob@example.com.relay.example]:587",
        "@example.com": "[example.com.relay.example]:587",
    },
    "sender_login": {
        f"{name}@example.com": f"{name}@example.com" for name in ("bob", "kim", "eve", "nodeliver", "moved")
    },
    "virtual_mailbox": {
        **{
            f"{name}@example.com": f"mail/example.com/{name}-Stamp//Maildir/"
            for name in ("bob", "kim", "eve", "moved", "noimap")
        },
        "mia@mx.example": "mail/mx.example/mia-Stamp//Maildir/",
    },
    **{
        f"{direction}_bcc_user": {"bob@example.com": f"{direction}-bob@log.example"}
        for direction in ("sender", "recipient")
    },
    **{
        f"{direction}_bcc_domain": dict.fromkeys(IN_EXAMPLE, f"{direction}-all@log.example")
        for direction in ("sender", "recipient")
    },
}
ALIASES: Answers = {
    **{f"{name}@example.com": frozenset({f"{name}@example.com"}) for name in ("bob", "nodeliver", "moved", "noimap")},
    "kim@example.com": frozenset({"kim@example.com", "kim@other.org"}),
    "eve@example.com": frozenset({"eve@other.org"}),
    "robert@example.com": frozenset({"bob@example.com"}),
    "sales@example.com": frozenset({"bob@example.com", "ann@other.org"}),
    "example.com": frozenset({"kim@example.com"}),
}
UNDER_ALIAS_DOMAIN: Answers = {
    f"{name}@alias.example": ALIASES[f"{name}@example.com"] for name in ("bob", "robert", "sales")
} | {"dan@ofoff.example": frozenset({"dan@off.example"})}


@pytest.mark.parametrize("name", SINGLE)
def test_postfix_map(maps: PostfixMaps, name: str) -> None:
    assert maps.ask(name, KEYS) == {key: frozenset({value}) for key, value in SINGLE[name].items()}


def test_postfix_aliases(maps: PostfixMaps) -> None:
    assert maps.ask("virtual_alias", KEYS) == ALIASES
    assert maps.ask("virtual_alias_alias_domain", KEYS) == UNDER_ALIAS_DOMAIN


def test_postfix_keys_are_folded(maps: PostfixMaps) -> None:
    assert maps.ask("virtual_alias", ["ROBERT@Example.COM"]) == {"ROBERT@Example.COM": frozenset({"bob@example.com"})}


def test_postfix_order(maps: PostfixMaps) -> None:
    """The exact address comes before the catch-all, the user's transport before the domain's."""
    answers = maps.resolve("virtual_alias_maps", KEYS)
    assert answers == {**dict.fromkeys(answers, frozenset({"kim@example.com"})), **UNDER_ALIAS_DOMAIN, **ALIASES}
    # A disabled account's mail goes to the catch-all, as it does with iRedMail.
    assert {"cut@example.com", "nobody@example.com", "no+body@alias.example"} <= set(answers)
    assert not {"no+body@example.com", "bob@offalias.example", "mia@mx.example"} & set(answers)
    assert maps.resolve("sender_bcc_maps", ["bob@example.com", "kim@example.com"]) == {
        "bob@example.com": frozenset({"sender-bob@log.example"}),
        "kim@example.com": frozenset({"sender-all@log.example"}),
    }
    assert maps.order("transport_maps") == ("transport_user", "transport_list", "transport_domain")
    assert maps.order("smtpd_sender_login_maps") == ("sender_login",)


# --- Dovecot ----------------------------------------------------------------------------------------------------------


def test_dovecot_verifies_every_scheme(dovecot: Dovecot) -> None:
    assert [name for name in SCHEMES if not dovecot.auth(f"{name}@example.com", PASSWORD)] == []


def login(dovecot: Dovecot, user: str, service: str, *facts: str, password: str = PASSWORD) -> str:
    """Return what came of an auth: ok, refused or failed (temporarily)."""
    options = [word for fact in (f"service={service}", *facts) for word in ("-x", fact)]
    result = dovecot.doveadm("auth", "test", *options, user, password)
    if "temp_fail" in result.stdout:
        return "failed"
    return "refused" if result.returncode else "ok"


LOGINS: dict[tuple[str, ...], str] = {
    ("bob@example.com", "imap"): "ok",
    ("BOB@Example.com", "imap"): "ok",
    ("bob@example.com", "imap", "secured"): "ok",
    ("bob@example.com", "smtp", "secured"): "ok",
    ("bob@example.com", "sieve"): "ok",
    ("bob@example.com", "doveadm"): "ok",
    ("bob@example.com", "unheard-of"): "refused",
    ("bob@alias.example", "imap"): "refused",
    ("cut@example.com", "imap"): "refused",
    ("dan@off.example", "imap"): "refused",
    ("mia@mx.example", "imap"): "refused",
    ("noimap@example.com", "imap"): "refused",
    ("noimap@example.com", "imap", "secured"): "refused",
    ("noimap@example.com", "pop3"): "ok",
    ("net@example.com", "imap", "rip=10.1.2.3"): "ok",
    ("net@example.com", "imap", "rip=192.0.2.7"): "ok",
    ("net@example.com", "imap", "rip=192.0.2.8"): "refused",
    ("o'brien\\@example.com", "imap"): "refused",
}


def test_dovecot_logins(dovecot: Dovecot) -> None:
    with ThreadPoolExecutor(len(LOGINS) + 1) as pool:  # each refusal takes half a second
        wrong = pool.submit(login, dovecot, "bob@example.com", "imap", password="wrong")
        results = pool.map(lambda facts: login(dovecot, *facts), LOGINS)
        assert dict(zip(LOGINS, results, strict=True)) == LOGINS
        assert wrong.result() == "refused"


def test_dovecot_userdb(site: Site, dovecot: Dovecot) -> None:
    home = f"{site.mail_root}/example.com/bob-stamp/"
    expected = {"home": home, "mail": "maildir:~/Maildir", "quota_rule": "*:bytes=1048576"}
    fields = dovecot.user("Bob@Example.com")
    assert fields is not None
    assert {name: fields[name] for name in expected} == expected
    unlimited = dovecot.user("kim@example.com", "lmtp")
    assert unlimited is not None
    assert unlimited["quota_rule"] == "*:bytes=0"
    for address, service in (
        ("noimap@example.com", "lmtp"),
        ("cut@example.com", "doveadm"),
        ("dan@off.example", "lmtp"),
        ("mia@mx.example", "lmtp"),
        ("bob@example.com", "unheard-of"),
    ):
        assert dovecot.user(address, service) is None, address
    assert dovecot.user("noimap@example.com") is not None


def test_dovecot_mail_location(site: Site, dovecot: Dovecot) -> None:
    with site.changed("kim@example.com", mailboxformat="mdbox", mailboxfolder="Boxes"):
        assert (dovecot.user("kim@example.com") or {})["mail"] == "mdbox:~/Boxes"
    with site.changed("kim@example.com", mailboxformat="", mailboxfolder=""):
        assert (dovecot.user("kim@example.com") or {})["mail"] == "maildir:~/Maildir"


def test_dovecot_iterates(site: Site, dovecot: Dovecot) -> None:
    listed = dovecot.doveadm("user", "*").stdout.split()
    assert {"bob@example.com", "cut@example.com", "mia@mx.example"} <= set(listed)
    assert len(listed) == len(set(listed)) == len(SCHEMES) + 11


def eventually(check: Callable[[], bool]) -> bool:
    """Dovecot notes usage and logins just after it has answered."""
    return wait_for(check, timeout=5)


def test_dovecot_delivers_and_notes(site: Site, dovecot: Dovecot) -> None:
    started = int(time.time())
    address = "bob@example.com"
    assert dovecot.deliver("Bob+work@example.com", MESSAGE)[0] == 250
    assert dovecot.deliver("noimap@example.com", MESSAGE)[0] == 550
    assert (site.mail_root / "example.com" / "bob-stamp" / "Maildir" / "new").is_dir()
    assert eventually(lambda: (site.row("used_quota", address) or {}).get("messages") == 1)
    used = site.row("used_quota", address)
    assert used is not None
    assert used["bytes"] == dovecot_size(dovecot, address) > len(MESSAGE)
    assert used["domain"] == "example.com"

    assert eventually(lambda: ((site.row("last_login", address) or {}).get("lda") or 0) >= started)
    with dovecot.imap(address, PASSWORD) as client:
        assert client.select() == ("OK", [b"1"])
        assert "Subject: hello" in str(client.fetch("1", "(RFC822)")[1])
        assert "1024" in str(client.getquotaroot("INBOX")[1])
    assert eventually(lambda: ((site.row("last_login", address) or {}).get("imap") or 0) >= started)
    noted = site.row("last_login", address)
    assert noted is not None
    assert noted["pop3"] is None
    assert noted["lda"] >= started
    assert noted["domain"] == ("example.com" if "domain" in written_by(site) else "")


def written_by(site: Site) -> set[str]:
    """The columns that a last_login row is written by: a key, but for MySQL, which does not care."""
    key = {column.name for column in site.schema["last_login"].primary_key}
    return key | ({"domain"} if site.url.get_backend_name() == "mysql" else set())


def dovecot_size(dovecot: Dovecot, address: str) -> int:
    result = dovecot.doveadm("-f", "tab", "fetch", "-u", address, "size.virtual", "all")
    return sum(int(line) for line in result.stdout.split()[1:])


def test_dovecot_updates_its_rows(site: Site, dovecot: Dovecot) -> None:
    address = "kim@example.com"
    for count in (1, 2):
        assert dovecot.deliver(address, MESSAGE)[0] == 250
        assert eventually(lambda: (site.row("used_quota", address) or {}).get("messages") == count)  # noqa: B023
    with closing(poplib.POP3(LOOPBACK, dovecot.pop3_port, timeout=60)) as client:
        client.user(address)
        client.pass_(PASSWORD)
        assert client.stat()[0] == 2
        client.dele(1)
        client.quit()
    assert eventually(lambda: (site.row("used_quota", address) or {}).get("messages") == 1)
    assert eventually(lambda: (site.row("last_login", address) or {}).get("pop3") is not None)
    noted = site.row("last_login", address)
    assert noted is not None
    assert noted["pop3"] >= noted["lda"]


def test_quota_is_enforced(site: Site, dovecot: Dovecot) -> None:
    address = "ssha512@example.com"
    big = MESSAGE + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 30000
    with site.changed(address, quota=1):
        code, reply = dovecot.deliver(address, big)
        assert (code, "Quota exceeded" in reply) == (552, True)
    assert dovecot.deliver(address, big)[0] == 250


# --- What the files say ------------------------------------------------------------------------------------------------


ODD = """a#b"c'd\\e$f%s;h=i"""


def _create_odd_account(site: Site, request: pytest.FixtureRequest) -> Reader:
    reader = replace(reader_of(site.url), user="vmailodd", password=ODD)
    if reader.engine == "mysql":
        server: MariaDB = request.getfixturevalue("mariadb")
        quoted = ODD.replace("\\", "\\\\").replace("'", "''")
        server.execute(f"GRANT SELECT ON vmail_lookups.* TO vmailodd@'%' IDENTIFIED BY '{quoted}'")
        return reader
    postgres: PostgreSQL = request.getfixturevalue("postgresql")
    quoted = ODD.replace("'", "''")
    postgres.execute(f"CREATE ROLE vmailodd LOGIN PASSWORD '{quoted}'; GRANT pg_read_all_data TO vmailodd")
    return reader


@pytest.mark.parametrize("site", ["mysql", "postgresql"], indirect=True)
def test_odd_password(site: Site, request: pytest.FixtureRequest, workdir: Path, vmail_owner: tuple[int, int]) -> None:
    reader = _create_odd_account(site, request)
    assert postfix_for(workdir / "postfix", reader).ask("relay_domains", ["mx.example"])
    with dovecot_for(workdir, reader, site.schema, vmail_owner) as dovecot:
        assert dovecot.auth("bob@example.com", PASSWORD)


@pytest.mark.parametrize("site", ["mysql", "postgresql"], indirect=True)
def test_sockets(site: Site, request: pytest.FixtureRequest, workdir: Path, vmail_owner: tuple[int, int]) -> None:
    server = request.getfixturevalue("mariadb" if site.engine.dialect.name == "mysql" else "postgresql")
    reader = replace(reader_of(site.url), socket=str(server.socket), host=None)
    with dovecot_for(workdir, reader, site.schema, vmail_owner) as dovecot:
        assert dovecot.auth("bob@example.com", PASSWORD)
    if reader.engine == "postgresql":
        with pytest.raises(ConfigurationError, match="port 5432"):
            lookups.postfix(reader)
    else:
        assert postfix_for(workdir / "postfix", reader).ask("relay_domains", ["mx.example"])


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_old_schema(site: Site, workdir: Path, vmail_owner: tuple[int, int]) -> None:
    """A server without the columns of later versions: the next weaker column decides, and nothing fails."""
    url = URL.create("sqlite", database=str(make_directory(workdir / "store") / "vmail.db"))
    engine = create_engine(url)
    with engine.begin() as connection:
        create(connection, "sqlite")
        _make_old(connection)
        schema = detect(connection, "sqlite")
        scenario = Scenario(connection, schema, workdir / "mail")
        scenario.add("domain", domain="example.com")
        scenario.account("bob", enableimapsecured=0)
    engine.dispose()
    with dovecot_for(workdir, url, schema, vmail_owner) as dovecot:
        assert login(dovecot, "bob@example.com", "imap") == "ok"
        assert login(dovecot, "bob@example.com", "imap", "secured=tls") == "refused"
        assert login(dovecot, "bob@example.com", "pop3", "secured=tls") == "ok"
        assert login(dovecot, "bob@example.com", "quota-status") == "refused"
        assert (dovecot.user("bob@example.com") or {})["mail"] == "maildir:~/Maildir"
        assert dovecot.deliver("bob@example.com", MESSAGE)[0] == 250
        assert "Error" not in dovecot.log_tail()


def _make_old(connection: Connection) -> None:
    indexed = ("enableimaptls", "enablepop3secured", "enablepop3tls", "enablequota-status")
    for column in indexed:
        connection.exec_driver_sql(f'DROP INDEX "mailbox_{column}_idx"')
    for column in (*indexed, "mailboxformat", "mailboxfolder", "allow_nets"):
        connection.exec_driver_sql(f'ALTER TABLE mailbox DROP COLUMN "{column}"')
    connection.exec_driver_sql("DROP TABLE last_login")


def queries_of(text: str) -> list[str]:
    """The queries of a file for Dovecot 2.4, with its variables replaced as Dovecot would for an IMAP login by TLS."""
    values = {"user | lower": "bob@example.com", "protocol | lower": "imap", "secured | lower": "tls"}
    found = re.findall(r"(?ms)^  (?:iterate_)?query = (.*?[^\\])$", text)
    return [re.sub(r"%{(.*?)}", lambda match: values[match[1]], query.replace("\\\n", "\n")) for query in found]


def test_dovecot24(site: Site) -> None:
    """Dovecot 2.4 is not here; but its queries must run, and its blocks be complete."""
    (file,) = lookups.dovecot(reader_of(site.url), site.schema, version="2.4")
    password, user, iterate = queries_of(file.text)
    with site.engine.connect() as connection:
        found = connection.exec_driver_sql(password).mappings().one()
        assert found == {"user": "bob@example.com", "password": hashed("ssha256short"), "allow_nets": None}
        home = f"{site.mail_root}/example.com/bob-stamp/"
        mail = {"mail_driver": "maildir", "mail_path": "~/Maildir", "quota_storage_size": "1M"}
        assert connection.exec_driver_sql(user).mappings().one() == {"user": "bob@example.com", "home": home, **mail}
        assert "cut@example.com" in connection.exec_driver_sql(iterate).scalars().all()
    blocks = re.sub(r"%{[^}]*}", "", file.text)
    assert blocks.count("{") == blocks.count("}") == len(re.findall(r"(?m) {$", blocks))
    assert not re.search(r"{\w+}", file.text)


def test_owner_by_name_gets_the_dict_socket(site: Site) -> None:
    by_name = lookups.dovecot(reader_of(site.url), site.schema, version="2.3")[0].text
    assert "user = vmail\n    mode = 0600" in by_name
    assert "mail_access_groups" not in by_name
    with pytest.raises(ConfigurationError, match="owner of mail"):
        lookups.dovecot(reader_of(site.url), site.schema, version="2.3", uid="a b")


def test_missing_password_is_marked(site: Site) -> None:
    reader = replace(reader_of(site.url), password=None)
    files = [*lookups.postfix(reader), *lookups.dovecot(reader, site.schema, version="2.3")]
    marked = {file.name for file in files if file.text.count(PASSWORD_PLACEHOLDER) == 2}  # in a comment, and in place
    expected = {file.name for file in files if file.mode == 0o640}
    assert marked == expected == ({file.name for file in files if file.group} if reader.secret else set())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"engine": "oracle"}, "unknown database engine"),
        ({"engine": "sqlite", "database": "vmail.db"}, "absolute path"),
        ({"engine": "sqlite", "database": "/a\nb"}, "absolute path"),
        ({"user": None}, "user"),
        ({"user": "a b"}, "user"),
        ({"host": "a\nquery = x"}, "host"),
        ({"database": "v'; --"}, "database"),
        ({"socket": "run/s"}, "socket"),
        ({"password": "a\nb"}, "password"),
        ({"password": ""}, "password"),
    ],
)
def test_unusable_readers(values: dict[str, Any], message: str) -> None:
    usable: dict[str, Any] = {"engine": "mysql", "database": "vmail", "user": "vmail", "password": "secret"}
    with pytest.raises(ConfigurationError, match=message) as caught:
        Reader(**{**usable, **values})
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Reader(**usable))


def test_passwords_that_a_syntax_cannot_hold(site: Site) -> None:
    usable = Reader("mysql", "vmail", user="vmail", password=" ab")
    with pytest.raises(ConfigurationError, match="begins or ends"):
        lookups.postfix(usable)
    with pytest.raises(ConfigurationError, match="blanks"):
        lookups.dovecot(usable, site.schema, version="2.3")
    with pytest.raises(ConfigurationError, match="%"):
        lookups.dovecot(replace(usable, password="a%b"), site.schema, version="2.4")
    with pytest.raises(ConfigurationError, match="absolute path"):
        lookups.postfix(replace(usable, password="ab"), directory="conf")


def test_reader_from_url() -> None:
    url = make_url("mysql+pymysql://admin:pw@db.example:3307/vmail")
    assert Reader.from_url(url) == Reader("mysql", "vmail", "db.example", 3307, user="admin", password="pw")
    other = Reader.from_url(url, user="vmail")
    assert (other.user, other.password) == ("vmail", None)
    assert Reader.from_url(make_url("mariadb+pymysql://u@/v?unix_socket=/run/s")).socket == "/run/s"
    assert Reader.from_url(make_url("postgresql+psycopg://u@/v?host=/run/pg")).address == "/run/pg"
    assert Reader.from_url(make_url("sqlite:////var/lib/v.db")) == Reader("sqlite", "/var/lib/v.db")
    with pytest.raises(ConfigurationError, match="oracle"):
        Reader.from_url(make_url("oracle://u@h/v"))


def test_write(tmp_path: Path) -> None:
    files = [LookupFile("a.cf", "password = x\n", 0o640), LookupFile("b", "y\n")]
    place = tmp_path / "new" / "conf"
    assert write(files, place) == [place / "a.cf", place / "b"]
    assert [path.stat().st_mode & 0o777 for path in sorted(place.iterdir())] == [0o640, 0o644]
    with pytest.raises(ConfigurationError, match="would overwrite"):
        write([LookupFile("c", ""), replace(files[1], text="z\n")], place)
    assert (place / "b").read_text() == "y\n"
    write([replace(files[1], text="z\n")], place, force=True)
    assert (place / "b").read_text() == "z\n"
    assert sorted(path.name for path in place.iterdir()) == ["a.cf", "b"]
    with pytest.raises(ConfigurationError, match="cannot write"):
        write(files, place / "b" / "below")


def test_nothing_shows_passwords(site: Site) -> None:
    assert all(field.repr is False for field in fields(LookupFile) if field.name == "text")
    assert all("readerpass" not in repr(file) for file in lookups.postfix(reader_of(site.url)))
