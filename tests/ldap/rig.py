"""iRedMail's tree in a private slapd, with the records of deleted mailboxes in a file beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from sqlalchemy import create_engine

from mailstore import open_store
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.sql.iredmail.schema.tables import define
from tests.servers.process import make_directory

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDB
    from tests.servers.slapd import Slapd
    from tests.stores import Place

__all__ = ["LdapRig", "Operations", "counting", "over_socket", "plain", "store_url", "with_start_tls"]


@dataclass
class LdapRig:
    """One directory, and a directory for homes. ``options`` say how it is opened: StartTLS, where the records are ..."""

    name: str
    server: Slapd
    root: Path
    owner: tuple[int, int]
    url: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def cli_url(self) -> str:
        """The URL with the options in its query string, for the command line."""
        return f"{self.url}?{urlencode(self.options)}"

    def open(self, **options: Any) -> IRedMailDirectory:
        """Open the store with homes on disk, unless `homes` says otherwise."""
        homes = {"homes": str(self.root), "home_owner": f"{self.owner[0]}:{self.owner[1]}"}
        return cast("IRedMailDirectory", open_store(self.url, **{**self.options, **homes, **options}))

    def open_without_disk(self, **options: Any) -> IRedMailDirectory:
        """Open the store without access to the disk; its homes are recorded under the same root."""
        given = {**self.options, "home_root": str(self.root), **options}
        return cast("IRedMailDirectory", open_store(self.url, **given))

    @cached_property
    def shared(self) -> IRedMailDirectory:
        """A store that all tests may use."""
        return self.open()

    def clear(self) -> None:
        """Empty the tree and the records."""
        self.server.clear()
        companion = self.shared._context.companion
        with companion.db.writing() as tx:
            for table in companion.tables.values():
                tx.execute(table.delete())

    def busy_connections(self) -> int:
        """Return how many connections of `shared` are in use."""
        pool = self.shared._context.companion.db.engine.pool
        return int(getattr(pool, "checkedout", lambda: 0)())

    def close(self) -> None:
        """Give back all connections."""
        self.shared.close()


def plain(place: Place) -> LdapRig:
    """Return a rig over plain TCP, whose passwords slapd verifies; its records are in a file."""
    server: Slapd = place.server("directory_server")
    return LdapRig("ldap", server, place.homes("ldap"), place.owner, store_url(server), _own_records(place, "ldap"))


def over_socket(place: Place) -> LdapRig:
    """Return a rig over the server's Unix socket."""
    server: Slapd = place.server("directory_server")
    url = store_url(server, server.ldapi_url)
    return LdapRig("ldapi", server, place.homes("ldapi"), place.owner, url, _own_records(place, "ldapi"))


def with_start_tls(place: Place) -> LdapRig:
    """Return a rig with StartTLS, whose passwords Dovecot verifies; its records are in iRedMail's database in MariaDB."""
    server: Slapd = place.server("directory_server")
    mariadb: MariaDB = place.server("mariadb")
    mariadb.create_database("vmail_iredadmin")  # the name is what the server gives its users rights for
    retention = mariadb.url("vmail_iredadmin").removeprefix("iredmail+")
    make_iredadmin(retention)
    options = {"start_tls": True, "tls_ca": str(server.ca), "login_by": "lookup", "retention": retention}
    return LdapRig("ldap-starttls", server, place.homes("ldap-starttls"), place.owner, store_url(server), options)


def make_iredadmin(url: str) -> None:
    """Make the tables of iRedMail's panel that concern accounts, and ours beside them."""
    metadata = define("mysql")
    names = ("deleted_mailboxes", "mailstore_deleted", "used_quota", "last_login", "share_folder", "anyone_shares")
    engine = create_engine(url.replace("mysql://", "mysql+pymysql://"))
    metadata.create_all(engine, tables=[metadata.tables[name] for name in names])
    engine.dispose()


def _own_records(place: Place, name: str) -> dict[str, Any]:
    return {"retention": f"sqlite:///{make_directory(place.scratch / name) / 'deleted.db'}"}


def store_url(server: Slapd, url: str | None = None) -> str:
    """Return the URL of a store in the directory of a server, for the account that the panel writes with."""
    kind, _, host = (url or server.url).partition("://")
    login = server.bind("vmailadmin")
    dn, password, suffix = (quote(part, safe="") for part in (login.dn, login.password, server.suffix))
    return f"iredmail+{kind}://{dn}:{password}@{host}/{suffix}"


@dataclass
class Operations:
    """What was sent to a directory: kinds of operations, in order."""

    kinds: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.kinds)


@contextmanager
def counting(store: IRedMailDirectory) -> Iterator[Operations]:
    """Count the operations that a store sends; binds of new connections are not among them."""
    seen = Operations()

    def note(kind: str, _dn: str) -> None:
        if kind != "bind":
            seen.kinds.append(kind)

    observers = store._context.directory.observers
    observers.append(note)
    try:
        yield seen
    finally:
        observers.remove(note)
