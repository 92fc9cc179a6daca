"""Where things are on a box: its file of users, its mailboxes, and its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mailstore.address import domain_name
from mailstore.config import StoreConfig
from mailstore.driver.urls import shown
from mailstore.errors import ConfigurationError, InvalidAddress

__all__ = ["BOX_CONFIG", "DATABASE", "FOLDER", "Box"]

BOX_CONFIG = Path("/etc/mailinabox.conf")
"""Where a box keeps its settings, as lines ``KEY=VALUE``."""
DATABASE = Path("mail/users.sqlite")
"""The file of users below the storage root."""


@dataclass(frozen=True)
class Box:
    """One box.

    ``database`` is the file of its users, ``mailboxes`` the directory of all mailboxes, which lies beside it, and
    ``hostname`` the box's own name.
    """

    database: Path
    mailboxes: str
    hostname: str

    @classmethod
    def of(cls, config: StoreConfig) -> Box:
        """Return the box that a URL names: the file of users, or the storage root. Raises ConfigurationError."""
        parts = urlsplit(config.url)
        path = Path(unquote(parts.path))
        if parts.netloc or not path.is_absolute():
            raise ConfigurationError(f"{shown(config.url)}: give an absolute path, as in mailinabox:///home/user-data")
        database = _database(path)
        return cls(database, str(database.parent / "mailboxes"), _hostname(config))

    @property
    def administrator(self) -> str:
        """The alias that all automatic ones lead to; somebody has to make it by hand."""
        return f"administrator@{self.hostname}"

    def home(self, address: str) -> str | None:
        """Return the mailbox of an account, which on a box follows from its address; None if that has no two parts."""
        local, at, domain = address.lower().partition("@")
        return f"{self.mailboxes}/{domain}/{local}" if local and at and domain else None


def _database(path: Path) -> Path:
    """Return the file of users that a path means. Connecting to one that is not there would make an empty one."""
    try:
        database = path / DATABASE if path.is_dir() else path
        if database.is_file():
            return database
    except OSError as error:
        raise ConfigurationError(f"cannot look at {path}: {error}") from error
    raise ConfigurationError(f"there is no file {database}; give the storage root of the box or its users.sqlite")


def _hostname(config: StoreConfig) -> str:
    name = config.primary_hostname or _configured_hostname()
    try:
        return domain_name(name)
    except InvalidAddress as error:
        raise ConfigurationError(f"{name!r} cannot be the name of the box: {error}") from error


def _configured_hostname() -> str:
    try:
        lines = BOX_CONFIG.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        message = f"there is no {BOX_CONFIG}, so this is not the box itself: give the option primary_hostname"
        raise ConfigurationError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {BOX_CONFIG}: {error}; or give the option primary_hostname") from error
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    if "PRIMARY_HOSTNAME" not in values:
        raise ConfigurationError(f"{BOX_CONFIG} has no PRIMARY_HOSTNAME; give the option primary_hostname")
    return values["PRIMARY_HOSTNAME"].strip().strip("'\"")


FOLDER = ""
"""On a box the home of an account is its Maildir."""
