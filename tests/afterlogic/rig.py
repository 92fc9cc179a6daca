"""AfterLogic's schema on each SQL engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import bcrypt
from sqlalchemy import DateTime, Engine, MetaData, Table, create_engine, select, text

from mailstore import open_store
from mailstore.config import StoreConfig
from mailstore.registry import with_query_options
from mailstore.sql.afterlogic.schema.tables import define
from mailstore.sql.afterlogic.store import AfterLogicStore, create_schema
from mailstore.sql.afterlogic.tokens.token import Salt
from mailstore.sql.moments import Moment
from tests.servers.process import make_directory

if TYPE_CHECKING:
    from tests.servers.database import DatabaseServer

__all__ = ["KNOWN_HASH", "PASSWORD", "Rig", "data_folder_in", "on_server", "on_sqlite"]

PASSWORD = "correct horse battery"
"""Of the administrator of the rigs."""
KNOWN_HASH = "$2y$07$e9b56404de40cb62be0eeOjZlft3BOShhFo.ikD37QUTGxjNWzWwi"
"""Of the administrator's password 12345 with this salt."""
_SALT_FILE = b"<?php #" + b"0123456789abcdef" * 4
_SETTINGS = """\
<?xml version="1.0" encoding="utf-8"?>
<Settings>
  <Common>
    <SiteName>Mail &amp; more</SiteName>
    <AdminLogin>mailadm</AdminLogin>
    <AdminPassword>{hash}</AdminPassword>
    <DefaultLanguage>German</DefaultLanguage>
    <DefaultTimeFormat>F24</DefaultTimeFormat>
  </Common>
  <WebMail>
    <IncomingMailServer>imap.example.net</IncomingMailServer>
    <IncomingMailPort>993</IncomingMailPort>
    <IncomingMailUseSSL>On</IncomingMailUseSSL>
    <OutgoingMailServer>smtp.example.net</OutgoingMailServer>
    <OutgoingMailPort>587</OutgoingMailPort>
    <OutgoingMailAuth>AuthCurrentUser</OutgoingMailAuth>
    <OutgoingMailLogin>relay</OutgoingMailLogin>
    <OutgoingMailPassword>secret</OutgoingMailPassword>
    <MailsPerPage>50</MailsPerPage>
    <DefaultSkin>DeepForest</DefaultSkin>
    <AllowNewUsersRegister>Off</AllowNewUsersRegister>
    <SaveMail>DefaultOff</SaveMail>
  </WebMail>
  <Calendar><AllowCalendar>On</AllowCalendar></Calendar>
</Settings>
"""


def data_folder_in(place: Path, admin_hash: str) -> Path:
    """Make the data folder of an installation in a directory; return it."""
    (place / "settings").mkdir(parents=True)
    (place / "settings" / "settings.xml").write_text(_SETTINGS.replace("{hash}", admin_hash))
    (place / "salt.php").write_bytes(_SALT_FILE)
    return place


def _options(scratch: Path, *words: str) -> str:
    """Return the options of a rig for its URL; its data folder is made if it is not there."""
    data = scratch / "webmail-data"
    if not data.exists():
        salt = Salt.from_file(_SALT_FILE)
        data_folder_in(data, bcrypt.hashpw(PASSWORD.encode(), salt.bcrypt_salt).decode())
    return "&".join((f"webmail_data={data}", *words))


@dataclass
class Rig:
    """One database with the webmail's schema, and a directory for homes.

    ``url`` has the password and the options in it; ``native`` is the same database as SQLAlchemy spells it.
    """

    name: str
    url: str
    native: str
    root: Path
    owner: tuple[int, int]
    engine: Engine = field(init=False)
    metadata: MetaData = field(init=False)

    def __post_init__(self) -> None:
        create_schema(with_query_options(StoreConfig(url=self.url)), None)
        self.engine = create_engine(self.native, pool_pre_ping=True)
        self.metadata = define("")
        for table in self.metadata.tables.values():
            for column in table.c:
                if isinstance(column.type, Moment):
                    column.type = DateTime()  # as it stands there, "never" too

    def open(self, **options: Any) -> AfterLogicStore:
        """Open the store with homes on disk, unless `homes` says otherwise."""
        given = {"homes": str(self.root), "home_owner": f"{self.owner[0]}:{self.owner[1]}", **options}
        return cast("AfterLogicStore", open_store(self.url, **given))

    @cached_property
    def shared(self) -> AfterLogicStore:
        """A store that all tests of this rig may use."""
        return self.open()

    @property
    def tables(self) -> dict[str, Table]:
        """All tables by name."""
        return dict(self.metadata.tables)

    def clear(self) -> None:
        """Empty all tables."""
        with self.engine.begin() as connection:
            for table in self.tables.values():
                connection.execute(table.delete())

    def rows(self, name: str, /, **where: Any) -> list[dict[str, Any]]:
        """Return the rows of a table by their primary key if there is one, as another program would see them."""
        table = self.tables[name]
        query = select(table).where(*(table.c[column] == value for column, value in where.items()))
        query = query.order_by(*(list(table.primary_key) or table.columns))
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def row(self, name: str, /, **where: Any) -> dict[str, Any]:
        """Return the one row of a table that meets a condition."""
        (row,) = self.rows(name, **where)
        return row

    def insert(self, name: str, /, **values: Any) -> int:
        """Insert a row as another program would, with the defaults of the schema. Returns its number, 0 without one."""
        with self.engine.begin() as connection:
            made: Any = connection.execute(self.tables[name].insert().values(values))
            return int(made.inserted_primary_key[0] or 0) if made.inserted_primary_key else 0

    def execute(self, statement: str, **values: Any) -> None:
        """Run a statement as another program would."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the content of all tables, to see that nothing has changed."""
        with self.engine.connect() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for name, table in self.tables.items()
            }

    def busy_connections(self) -> int:
        """Return how many connections of `shared` are in use."""
        return int(getattr(self.shared._context.db.engine.pool, "checkedout", lambda: 0)())

    def close(self) -> None:
        """Give back all connections."""
        if "shared" in vars(self):  # opened, by its property
            self.shared.close()
        self.engine.dispose()


def on_sqlite(scratch: Path, root: Path, owner: tuple[int, int]) -> Rig:
    """Return a rig in a file of its own, with the bundle's mail server."""
    file = make_directory(scratch / "afterlogic") / "webmail.db"
    return Rig(
        "afterlogic-sqlite",
        f"afterlogic+sqlite:///{file}?{_options(scratch, 'mta=bundle')}",
        f"sqlite+pysqlite:///{file}",
        root,
        owner,
    )


def on_server(kind: str, server: DatabaseServer, root: Path, owner: tuple[int, int]) -> Rig:
    """Return a rig in a database of a server, ``mysql`` or ``postgresql``, with the bundle's mail server."""
    server.create_database("vmail_webmail")
    edition = {"mysql": "aurora"}.get(kind, "lite")
    options = _options(root.parent, "mta=bundle", f"webmail_edition={edition}")
    return _on(f"afterlogic-{kind}", kind, server, "vmail_webmail", root, owner, options)


def _on(
    name: str, kind: str, server: DatabaseServer, database: str, root: Path, owner: tuple[int, int], options: str
) -> Rig:
    place = server.url(database)
    place = place[place.index(":") :]
    driver = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}[kind]
    return Rig(name, f"afterlogic+{kind}{place}?{options}", f"{driver}{place}", root, owner)
