"""Configuration files that make Dovecot and Postfix read a store: what is the same for every SQL schema.

A schema's own ``lookups`` module writes the queries; here are the files themselves, and the account that the mail servers
connect with in the notation of each configuration syntax.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, cast

from sqlalchemy import URL, make_url

from mailstore.config import StoreConfig
from mailstore.driver.urls import each_host
from mailstore.errors import ConfigurationError

__all__ = [
    "MAIN_CF",
    "MASTER_CF",
    "PASSWORD_PLACEHOLDER",
    "EngineName",
    "LookupFile",
    "LookupOptions",
    "PostfixTable",
    "Reader",
    "checked_directory",
    "dovecot23_connect",
    "dovecot23_plugins",
    "dovecot24_connect",
    "dovecot_delivery",
    "fill_in_note",
    "postfix_connect",
    "postfix_main",
    "write",
]

EngineName: TypeAlias = Literal["mysql", "postgresql", "sqlite"]

MAIN_CF, MASTER_CF = "main.cf.snippet", "master.cf.snippet"
"""The lines for Postfix's own files."""
PASSWORD_PLACEHOLDER = "FILL-IN-THE-PASSWORD"  # noqa: S105 the opposite of a password
"""Stands in the files where a password was not given."""

# Dovecot's drivers and Postfix's map types have the same names.
_DRIVERS: dict[str, str] = {"mysql": "mysql", "postgresql": "pgsql", "sqlite": "sqlite"}
_POSTGRESQL_PORT = 5432
# What every syntax here takes literally; a name with anything else would have to be quoted differently in each.
_PLAIN = re.compile(r"[\w.:@/+~-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class LookupFile:
    """A configuration file: its bare name, text and mode, and the system group that has to read it, if there is one."""

    name: str
    text: str = field(repr=False)
    mode: int = 0o644
    group: str | None = None


@dataclass(frozen=True)
class LookupOptions:
    """How mail servers shall read a store. A driver's ``lookup_files`` module makes the files: ``postfix(store, options)``
    and ``dovecot(store, options)`` return them, and raise NotSupported for what the store has no room for.

    Parameters
    ----------
    user, password: the account that the mail servers read with; without a password its place is marked.
    directory: where the files will lie; None is the usual place.
    version: of Dovecot, ``2.3`` or ``2.4``.
    uid, gid: owner and group of the mail, as numbers or names; Postfix needs names.
    writer_user, writer_password: the account that notes usage and logins, if that is another one.
    """

    user: str = "vmail"
    password: str | None = field(default=None, repr=False)
    directory: str | None = None
    version: str = "2.3"
    uid: int | str = "vmail"
    gid: int | str = "vmail"
    writer_user: str | None = None
    writer_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Reader:
    """The database account that a mail server connects with.

    Parameters
    ----------
    engine: ``mysql`` (MariaDB too), ``postgresql`` or ``sqlite``.
    database: its name; for SQLite the absolute path of the file.
    host, port: without both `host` and `socket`, the host is 127.0.0.1.
    socket: MySQL: path of the Unix socket; PostgreSQL: the directory it is in.
    user: needed unless the engine is SQLite.
    password: None leaves a marked place to fill in.

    Raises ConfigurationError for values that no configuration file could hold.
    """

    engine: EngineName
    database: str
    host: str | None = None
    port: int | None = None
    socket: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.engine not in _DRIVERS:
            raise ConfigurationError(f"unknown database engine {self.engine!r}; known are {', '.join(_DRIVERS)}")
        if self.engine == "sqlite":
            _check_path("the SQLite file", self.database)
            return
        for what, value in {"database": self.database, "user": self.user}.items():
            _check_name(what, value or "")
        if self.socket is not None:
            _check_path("the socket", self.socket)
        else:
            _check_name("host", self.address)
        if self.password is not None and (not self.password or _CONTROL.search(self.password)):
            raise ConfigurationError("the reader's password is empty or holds control characters")

    @classmethod
    def from_url(cls, url: URL, *, user: str | None = None, password: str | None = None) -> Reader:
        """Return the reader of the database behind a SQLAlchemy URL.

        Parameters
        ----------
        url: of the database; its own password is used only if no other `user` is given.
        user, password: the account to read with, if it is not the URL's.
        """
        name = url.get_backend_name().replace("mariadb", "mysql")
        if name not in _DRIVERS:
            raise ConfigurationError(f"Dovecot and Postfix cannot read a {name} database")
        own = user is None or user == url.username
        host, socket = _host_and_socket(url)
        return cls(
            engine=cast(EngineName, name),
            database=url.database or "",
            host=host,
            port=url.port,
            socket=socket,
            user=user or url.username,
            password=password if password is not None or not own else url.password,
        )

    @classmethod
    def from_config(cls, config: StoreConfig, user: str, password: str | None) -> Reader:
        """Return the reader of the SQL database that a store lies in; `user` and `password` are the account to read with."""
        url = make_url(each_host(config.url.partition("+")[2])[0])
        if config.socket:
            key = "unix_socket" if url.get_backend_name() == "mysql" else "host"
            url = url.update_query_dict({key: config.socket})
        return cls.from_url(url, user=user, password=password)

    @property
    def driver(self) -> str:
        """The name of Dovecot's driver, and of Postfix's map type."""
        return _DRIVERS[self.engine]

    @property
    def address(self) -> str:
        """The host or socket to connect to; ``localhost`` would mean a socket to MySQL's client."""
        return self.socket or self.host or "127.0.0.1"

    @property
    def secret(self) -> bool:
        """Whether files with this account hold a password."""
        return self.engine != "sqlite"

    @property
    def shown_password(self) -> str:
        """The password, or the place where to fill it in."""
        return PASSWORD_PLACEHOLDER if self.password is None else self.password


def _host_and_socket(url: URL) -> tuple[str | None, str | None]:
    """Return host and socket of a URL; PyMySQL calls the latter unix_socket, libpq takes a directory as the host."""
    for key in ("unix_socket", "host"):
        value = url.query.get(key)
        if isinstance(value, str) and value.startswith("/"):
            return None, value
    return url.host, None


def _check_name(what: str, value: str) -> None:
    if not _PLAIN.fullmatch(value):
        raise ConfigurationError(f"{value!r} cannot be the reader's {what}: use letters, digits and . : @ / + ~ - _")


def _check_path(what: str, value: str) -> None:
    # The mail servers run in directories of their own.
    if not value.startswith("/") or not _PLAIN.fullmatch(value):
        raise ConfigurationError(
            f"{what} needs an absolute path of letters, digits and . : @ / + ~ - _ only, not {value!r}"
        )


def checked_directory(directory: str | os.PathLike[str]) -> str:
    """Return the directory that the files will lie in, to name them in other files. Raises ConfigurationError."""
    path = os.fspath(directory)
    _check_path("the directory of the files", path)
    return path.rstrip("/")


def fill_in_note(reader: Reader) -> str:
    """Return a comment line that asks for the missing password; empty if none is missing."""
    if not reader.secret or reader.password is not None:
        return ""
    return f"# Replace {PASSWORD_PLACEHOLDER} by the password of the database account {reader.user}.\n"


def postfix_connect(reader: Reader) -> str:
    """Return the lines of a Postfix map file that say where the database is; Postfix takes values literally.

    Raises ConfigurationError for a password with blanks at its ends, which Postfix would cut off, and for a PostgreSQL
    socket on another port than 5432, which it cannot be told.
    """
    if reader.engine == "sqlite":
        return f"dbpath = {reader.database}\n"
    password = reader.shown_password
    if password != password.strip():
        raise ConfigurationError("Postfix cannot hold a password that begins or ends with a blank")
    lines = {"hosts": _postfix_host(reader), "user": reader.user, "password": password, "dbname": reader.database}
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def _postfix_host(reader: Reader) -> str:
    if reader.socket is None:
        host = f"[{reader.address}]" if ":" in reader.address else reader.address
        return f"{host}:{reader.port}" if reader.port else host
    if reader.engine == "postgresql" and reader.port not in (None, _POSTGRESQL_PORT):
        raise ConfigurationError("Postfix finds PostgreSQL's socket on port 5432 only; give the reader a host instead")
    return f"unix:{reader.socket}"


class PostfixTable(NamedTuple):
    """A parameter of main.cf with one of its tables; one with a caution is for the administrator to switch on."""

    parameter: str
    table: str
    caution: str = ""


def postfix_main(tables: Iterable[PostfixTable], uid: int | str, gid: int | str) -> list[LookupFile]:
    """Return what Postfix's main.cf and master.cf need, for a store whose domains have iRedMail's transport ``dovecot``.

    Parameters
    ----------
    tables: in the order in which Postfix shall ask those of one parameter.
    uid, gid: owner and group of the mail. pipe(8) takes names only; for a number that has none here, the place is marked.

    Raises ConfigurationError.
    """
    user, group = _system_name(uid, _user_name), _system_name(gid, _group_name)
    found: dict[str, list[str]] = {}
    for one in tables:
        line = f"    {one.table}\n"
        found.setdefault(one.parameter, []).append(f"# {one.caution}\n#{line}" if one.caution else line)
    lines = "".join(f"{parameter} =\n{''.join(some)}" for parameter, some in found.items())
    return [
        LookupFile(MAIN_CF, _MAIN_CF.format(lines=lines)),
        LookupFile(MASTER_CF, _MASTER_CF.format(uid=user, gid=group)),
    ]


def _system_name(owner: int | str, named: Callable[[int], str]) -> str:
    if isinstance(owner, int):
        with contextlib.suppress(KeyError):
            return named(owner)
        return "FILL-IN-THE-OWNER"
    if not re.fullmatch(r"[a-z_][\w.-]*", owner, re.ASCII):
        raise ConfigurationError(f"{owner!r} cannot be the owner of mail")
    return owner


def _user_name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


def _group_name(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


_MAIN_CF = """\
# For main.cf. The order of the maps matters.
{lines}# bob+anything@ is bob@, as for the queries above.
recipient_delimiter = +
# Of the service in master.cf.
dovecot_destination_recipient_limit = 1
"""
_MASTER_CF = """\
# For master.cf: the transport of new domains. Over quota, the mail is returned to its sender.
dovecot   unix  -       n       n       -       -       pipe
  flags=DRhu user={uid}:{gid} argv=/usr/lib/dovecot/dovecot-lda -e
  -f ${{sender}} -a ${{original_recipient}} -d ${{user}}@${{domain}}
"""


def dovecot_delivery(uid: int | str) -> str:
    """Return the settings that let processes of the owner of the mail look users up, as dovecot-lda has to.

    Dovecot answers on its usual socket only whose own numeric id is in the answer. A socket cannot be given to a number:
    then there is LMTP only.
    """
    if isinstance(uid, int):
        return ""
    return _DELIVERY.format(uid=uid)


_DELIVERY = """\
service auth {{
  unix_listener auth-userdb {{
    user = {uid}
    mode = 0600
  }}
}}
service stats {{
  unix_listener stats-writer {{
    user = {uid}
  }}
}}
"""


def dovecot23_plugins(*plugins: str, imap: Iterable[str] = ()) -> str:
    """Return the settings of Dovecot 2.3 that load plugins of mail processes, `imap` for that protocol besides.

    They name all of them for each protocol: where a protocol has a list of its own already, which is common for lmtp and
    imap, it does not follow what is said for all.
    """
    listed = " ".join(plugins)
    blocks = "".join(
        f"protocol {protocol} {{\n  mail_plugins = $mail_plugins {' '.join([listed, *also])}\n}}\n"
        for protocol, also in {"imap": imap, "pop3": (), "lmtp": (), "lda": (), "doveadm": ()}.items()
    )
    return f"mail_plugins = $mail_plugins {listed}\n{blocks}"


def dovecot23_connect(reader: Reader) -> str:
    """Return the value of Dovecot 2.3's ``connect``, in quotes: outside of them a ``#`` would begin a comment.

    Raises ConfigurationError for a password with blanks, at which Dovecot splits the value, quotes or not.
    """
    if reader.engine == "sqlite":
        return _quoted(reader.database)
    password = reader.shown_password
    if any(character.isspace() for character in password):
        raise ConfigurationError("Dovecot cannot hold a password with blanks")
    if reader.engine == "postgresql":
        # libpq reads the value again, with quotes and backslashes of its own.
        password = "'" + re.sub(r"(['\\])", r"\\\1", password) + "'"
    words = {
        "host": reader.address,
        "port": reader.port,
        "dbname": reader.database,
        "user": reader.user,
        "password": password,
    }
    return _quoted(" ".join(f"{name}={value}" for name, value in words.items() if value is not None))


def dovecot24_connect(reader: Reader) -> str:
    """Return the settings of Dovecot 2.4 that say where the database is, driver included.

    Raises ConfigurationError for a password with ``%`` or ``$``, which 2.4 expands in settings.
    """
    driver = f"sql_driver = {reader.driver}\n"
    if reader.engine == "sqlite":
        return f"{driver}sqlite_path = {reader.database}\n"
    if re.search("[%$]", reader.shown_password):
        raise ConfigurationError("Dovecot 2.4 cannot hold a password with % or $")
    words = {"port": reader.port, "dbname": reader.database, "user": reader.user}
    lines = [f"{name} = {value}" for name, value in words.items() if value is not None]
    lines.append(f"password = {_quoted(reader.shown_password)}")
    if reader.engine == "postgresql":
        lines = ["parameters {", *(f"  {line}" for line in lines), "}"]
    body = "".join(f"  {line}\n" for line in lines)
    return f"{driver}{reader.driver} {reader.address} {{\n{body}}}\n"


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def write(files: Iterable[LookupFile], directory: str | os.PathLike[str], *, force: bool = False) -> list[Path]:
    """Write files into a directory, which is made if it is missing; each appears complete, with its final mode, or not.

    A file gets the group that has to read it if we are root and the group exists; else give it by hand.

    Parameters
    ----------
    files: what `dovecot` or `postfix` of a schema returned.
    directory: where to.
    force: replace files that are there. Without it nothing at all is written if one is.

    Returns the paths. Raises ConfigurationError.
    """
    folder = Path(directory)
    targets = [(file, folder / file.name) for file in files]
    if not force and (present := [str(path) for _, path in targets if path.exists() or path.is_symlink()]):
        raise ConfigurationError(f"would overwrite {', '.join(present)}; nothing was written")
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for file, path in targets:
            _write_one(file, path, force)
    except OSError as error:
        raise ConfigurationError(f"cannot write into {folder}: {error}") from error
    return [path for _, path in targets]


def _write_one(file: LookupFile, path: Path, force: bool) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=path.parent)  # mode 0600
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(file.text)
            _give_to_group(handle, file.group)
            os.fchmod(handle, file.mode)
            stream.flush()
            os.fsync(handle)
        if force:
            Path(name).replace(path)
        else:
            os.link(name, path)  # unlike a rename, fails if somebody else made the file meanwhile
    finally:
        Path(name).unlink(missing_ok=True)


def _give_to_group(handle: int, group: str | None) -> None:
    if group is None or os.geteuid() != 0:
        return
    with contextlib.suppress(KeyError):  # the mail server may be on another machine
        os.fchown(handle, -1, grp.getgrnam(group).gr_gid)
