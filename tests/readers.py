"""Real mail servers set up by `mailstore lookups` to read a store: Dovecot, and Postfix's maps."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, insert, select, update

from mailstore.driver.lookups import MAIN_CF, Reader, write
from mailstore.passwords import hash_password
from mailstore.sql.iredmail import lookups
from tests.servers.database import PASSWORDS
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import PostfixLookup
from tests.servers.process import ENVIRONMENT, make_directory, program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailstore.sql.iredmail.schema.detection import Schema

PASSWORD = "pass wörd"
SCHEMES: dict[str, tuple[str, int | None]] = {
    "ssha256short": ("SSHA256", 8),
    "ssha256long": ("SSHA256", 32),
    "ssha512": ("SSHA512", None),
    "sha512crypt": ("SHA512-CRYPT", None),
    "bcrypt": ("BLF-CRYPT", None),
    "argon2id": ("ARGON2ID", None),
}

Answers = dict[str, frozenset[str]]
"""What a map says to each key; nothing for a key that it does not know."""


def reader_of(source: URL | Reader) -> Reader:
    """Return a reader as it is; for a URL, the rig's read-only account on that database."""
    if isinstance(source, Reader):
        return source
    return Reader.from_url(source, user="vmail", password=PASSWORDS["vmail"])


def writer_of(source: URL | Reader) -> Reader:
    """Return a reader as it is; for a URL, the account in it, which may note usage and logins."""
    return source if isinstance(source, Reader) else Reader.from_url(source)


def dovecot_for(directory: Path, source: URL | Reader, schema: Schema, owner: tuple[int, int]) -> Dovecot:
    """Return a Dovecot that reads the store and notes usage and logins in it; it is not started yet.

    Parameters
    ----------
    directory: of this server, below `scratch_root`; ``mail_root`` in it takes the homes.
    source: SQLAlchemy URL of the store (the rig's account ``vmail`` looks up, the URL's own writes), or one account.
    schema: of the live store.
    owner: uid and gid of the mail.
    """
    reader, writer = reader_of(source), writer_of(source)
    if reader.engine == "sqlite":
        share(Path(reader.database))
    uid, gid = owner
    confdir = directory / "conf"
    files = lookups.dovecot(reader, schema, version="2.3", uid=uid, gid=gid, writer=writer, directory=confdir)
    texts = {file.name: file.text for file in files}
    rig = Dovecot(directory, include="!include mailstore.conf\n", files=texts, vmail_uid=uid, vmail_gid=gid)
    write(files, confdir, force=True)  # once more, now with the modes that a real installation has
    return rig


def share(database: Path) -> None:
    """Let every server use a SQLite file; writing needs a journal next to it."""
    database.parent.chmod(0o777)
    database.chmod(0o666)


class PostfixMaps:
    """The maps that `lookups postfix` wrote, in the order of its main.cf."""

    def __init__(self, directory: Path, reader: Reader) -> None:
        make_directory(directory)
        files = lookups.postfix(reader, directory=directory)
        self._type = reader.driver
        self._texts = {Path(file.name).stem: file.text for file in files if file.name.endswith(".cf")}
        self._postmap = PostfixLookup(directory / "postmap")
        self._directory = make_directory(directory / "main")
        snippet = next(file.text for file in files if file.name == MAIN_CF)
        main_cf = self._directory / "main.cf"
        main_cf.write_text(snippet)
        past = time.time() - 10
        os.utime(main_cf, (past, past))  # Postfix would reread a fresh file for two seconds

    def ask(self, name: str, keys: Iterable[str]) -> Answers:
        """Ask one map, named like its file; several with + between them are piped into one another."""
        texts = [self._texts[part] for part in name.split("+")]
        found = self._postmap.query_many(self._type, texts[0] if len(texts) == 1 else texts, list(keys))
        return {key: frozenset(value.split(",")) for key, value in found.items() if value is not None}

    def resolve(self, parameter: str, keys: Iterable[str]) -> Answers:
        """Ask all maps of a main.cf parameter as Postfix does: the first one that knows a key answers."""
        answers: Answers = {}
        for name in reversed(self.order(parameter)):
            answers.update(self.ask(name, keys))
        return answers

    def destinations(self, address: str) -> set[str]:
        """Return where mail for an address ends: Postfix expands each answer again until it stands for itself."""
        open_, ends, seen = {address}, set[str](), set[str]()
        while open_ - seen:
            key = (open_ - seen).pop()
            seen.add(key)
            local, _, domain = key.rpartition("@")
            tried = [key, f"{local.partition('+')[0]}@{domain}", f"@{domain}"]
            answers = self.resolve("virtual_alias_maps", tried)
            found = next((answers[name] for name in tried if name in answers), frozenset({key}))
            open_ |= found - {key}
            ends |= found & {key}
        return ends

    @functools.cache  # noqa: B019 - lives as long as the test
    def order(self, parameter: str) -> tuple[str, ...]:
        """Return the names of a parameter's maps, as Postfix's own parser reads them."""
        command = [program("postconf"), "-c", str(self._directory), "-h", parameter]
        output = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True).stdout
        tables = re.findall(r"proxy:(?:pipemap:\{[^}]*\}|\S+)", output)
        return tuple("+".join(re.findall(rf"{self._type}:[^\s,]*/(\w+)\.cf", table)) for table in tables)


def postfix_for(directory: Path, source: URL | Reader) -> PostfixMaps:
    """Return the maps of a store, given by URL or by the account to read with; `directory` is theirs alone."""
    return PostfixMaps(directory, reader_of(source))


# --- Rows to read -----------------------------------------------------------------------------------------------------


@functools.cache
def hashed(name: str) -> str:
    scheme, salt_bytes = SCHEMES[name]
    return hash_password(PASSWORD, scheme, salt_bytes=salt_bytes)


@dataclass(frozen=True)
class Site:
    """A store with the scenario below in it."""

    url: URL
    engine: Engine
    schema: Schema
    directory: Path

    @property
    def mail_root(self) -> Path:
        return self.directory / "mail"

    def row(self, table: str, username: str) -> dict[str, Any] | None:
        found = self.schema[table]
        with self.engine.connect() as connection:
            row = connection.execute(select(found).where(found.c.username == username)).one_or_none()
        return None if row is None else dict(row._mapping)

    @contextmanager
    def changed(self, username: str, **values: Any) -> Iterator[None]:
        """Change a mailbox row for a moment."""
        before = self.row("mailbox", username)
        assert before is not None
        self._update(username, values)
        yield
        self._update(username, {name: before[name] for name in values})

    def _update(self, username: str, values: dict[str, Any]) -> None:
        mailbox = self.schema["mailbox"]
        with self.engine.begin() as connection:
            connection.execute(update(mailbox).where(mailbox.c.username == username).values(values))


class Scenario:
    """Inserts rows as iRedMail's tools would leave them."""

    def __init__(self, connection: Connection, schema: Schema, mail_root: Path) -> None:
        self._connection = connection
        self._schema = schema
        self._mail_root = mail_root

    def add(self, table: str, **values: Any) -> None:
        self._connection.execute(insert(self._schema[table]).values(values))

    def forward(self, address: str, *targets: str, domain: str = "example.com", active: int = 1, **flags: int) -> None:
        for target in targets:
            row = {"address": address, "forwarding": target, "domain": domain, "active": active, **flags}
            self.add("forwardings", dest_domain=target.partition("@")[2], **row)

    def account(self, name: str, domain: str = "example.com", *, copy: bool = True, **values: Any) -> None:
        address = f"{name}@{domain}"
        base, _, node = str(self._mail_root).rpartition("/")
        place = {"storagebasedirectory": base, "storagenode": node, "maildir": f"{domain}/{name}-Stamp/"}
        defaults = {"password": hashed("ssha256short"), "quota": 0, "domain": domain}
        self.add("mailbox", username=address, **{**defaults, **place, **values})
        if copy:
            self.forward(address, address, domain=domain, active=values.get("active", 1), is_forwarding=1)


def fill(scenario: Scenario) -> None:
    """Insert every kind of row that a mail server looks up, and its disabled sisters."""
    _domains(scenario)
    _accounts(scenario)
    _forwardings(scenario)
    _bcc_and_relay(scenario)


def _domains(scenario: Scenario) -> None:
    scenario.add("domain", domain="example.com", transport="dovecot")
    scenario.add("domain", domain="off.example", active=0)
    scenario.add("domain", domain="offmx.example", active=0, backupmx=1)
    scenario.add("domain", domain="mx.example", backupmx=1, transport="relay:[mx.example.net]")
    for alias, target, active in (
        ("alias.example", "example.com", 1),
        ("offalias.example", "example.com", 0),
        ("ofoff.example", "off.example", 1),
        ("ofmx.example", "mx.example", 1),
    ):
        scenario.add("alias_domain", alias_domain=alias, target_domain=target, active=active)


def _accounts(scenario: Scenario) -> None:
    for name in SCHEMES:
        scenario.account(name, password=hashed(name))
    scenario.account("bob", quota=1)
    scenario.account("kim")
    scenario.account("eve", copy=False)
    scenario.account("cut", active=0)
    scenario.account("nodeliver", enabledeliver=0)
    scenario.account("moved", transport="smtp:[other.example.net]")
    scenario.account("cutmoved", active=0, transport="smtp:[other.example.net]")
    scenario.account("noimap", enableimap=0, enableimapsecured=0, enablelmtp=0, enablesmtp=0)
    scenario.account("net", allow_nets="10.0.0.0/8,192.0.2.7")
    scenario.account("dan", "off.example")
    scenario.account("mia", "mx.example")


def _forwardings(scenario: Scenario) -> None:
    scenario.forward("eve@example.com", "eve@other.org", is_forwarding=1)
    scenario.forward("kim@example.com", "kim@other.org", is_forwarding=1)
    scenario.forward("robert@example.com", "bob@example.com", is_alias=1)
    scenario.add("alias", address="sales@example.com", domain="example.com")
    scenario.forward("sales@example.com", "bob@example.com", "ann@other.org", is_list=1)
    scenario.forward("sales@example.com", "gone@other.org", active=0, is_list=1)
    scenario.forward("example.com", "kim@example.com")
    scenario.forward("off.example", "dan@off.example", domain="off.example")
    list_ = {"address": "list@example.com", "domain": "example.com", "transport": "mlmmj:example.com/list"}
    scenario.add("maillists", mlid="1", **list_)
    scenario.add("maillists", mlid="2", **{**list_, "address": "oldlist@example.com"}, active=0)


def _bcc_and_relay(scenario: Scenario) -> None:
    for direction in ("sender", "recipient"):
        user = {"domain": "example.com", "bcc_address": f"{direction}-bob@log.example"}
        scenario.add(f"{direction}_bcc_user", username="bob@example.com", **user)
        scenario.add(f"{direction}_bcc_user", username="eve@example.com", active=0, **user)
        for domain in ("example.com", "off.example"):
            row = {"domain": domain, "bcc_address": f"{direction}-all@log.example", "active": 0}
            scenario.add(f"{direction}_bcc_domain", **row)
    for account in ("bob@example.com", "@example.com"):
        scenario.add("sender_relayhost", account=account, relayhost=f"[{account.strip('@')}.relay.example]:587")
