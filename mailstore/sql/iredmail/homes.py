"""Where a new account's home lies, and the three columns that say so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailstore.disk.layout import Layout, normal_home
from mailstore.errors import InvalidValue

__all__ = ["HomeColumns", "candidates", "given", "home_of", "joined_home"]


@dataclass(frozen=True)
class HomeColumns:
    """A home as its three columns: base directory, node, and the rest with a closing slash."""

    storagebasedirectory: str
    storagenode: str
    maildir: str

    @property
    def path(self) -> str:
        """The home as one path without closing slash."""
        return normal_home(f"{self.storagebasedirectory}/{self.storagenode}/{self.maildir}")

    def columns(self) -> dict[str, str]:
        """Return the column values."""
        return {
            "storagebasedirectory": self.storagebasedirectory,
            "storagenode": self.storagenode,
            "maildir": self.maildir,
        }


def candidates(root: str, layout: Layout, address: str, now: datetime) -> Iterator[HomeColumns]:
    """Iterate over the homes that a new account may get, best first."""
    base, _, node = root.rpartition("/")
    for relative in layout.candidates(address, now):
        yield HomeColumns(base or "/", node, relative)


def given(root: str, home: str) -> HomeColumns:
    """Return the columns of a home that the caller chose; split at `root` where it lies below it.

    Raises InvalidValue for a path that cannot be split into three parts.
    """
    path = normal_home(home)
    base, _, node = root.rpartition("/")
    if path.startswith(f"{root}/"):
        return HomeColumns(base or "/", node, path.removeprefix(f"{root}/") + "/")
    first, _, rest = path.removeprefix("/").partition("/")
    node, _, maildir = rest.partition("/")
    if not maildir:
        raise InvalidValue(f"{path}: a home needs at least three levels", subject=path)
    return HomeColumns(f"/{first}", node, f"{maildir}/")


_SLASHES = re.compile("/+")


def home_of(row: Mapping[Any, Any]) -> str | None:
    """Return the home as Dovecot reads it: the three parts joined and lower-cased; None if they say nothing."""
    return joined_home(row["storagebasedirectory"], row["storagenode"], row["maildir"])


def joined_home(base: str | None, node: str | None, maildir: str | None) -> str | None:
    """Return what `home_of` does, of the three parts."""
    if not (base and node and maildir):
        return None
    home = f"{base}/{node}/{maildir}".lower().rstrip("/")
    return _SLASHES.sub("/", home) if "//" in home else home
