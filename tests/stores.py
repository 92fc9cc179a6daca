"""Every kind of store that the contract suite runs on, by name. A new driver adds its rig here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mailstore import Store
from tests import rigs
from tests.afterlogic import rig as afterlogic
from tests.atmail import rig as atmail
from tests.ldap import rig as ldap
from tests.mailinabox.rig import on_box
from tests.servers.process import make_directory

__all__ = ["FACTORIES", "Place", "StoreRig", "empty_homes"]


class StoreRig(Protocol):
    """One store on a real server or file, which tests empty and fill.

    ``root`` is the directory for homes, ``owner`` the uid and gid that mail belongs to.
    """

    name: str
    root: Path
    owner: tuple[int, int]

    @property
    def shared(self) -> Store:
        """The store as all tests may use it, opened once, with homes on disk."""

    def open(self, **options: Any) -> Store:
        """Open the store once more, with homes on disk unless `homes` says otherwise."""

    def clear(self) -> None:
        """Remove all that is stored."""

    def busy_connections(self) -> int:
        """Return how many connections of `shared` are in use; between tests it must be none."""

    def close(self) -> None:
        """Give back everything."""


@dataclass(frozen=True)
class Place:
    """What a rig is built from: a scratch directory, the owner of mail, and the servers of the run by fixture name."""

    scratch: Path
    owner: tuple[int, int]
    server: Callable[[str], Any]

    def homes(self, name: str) -> Path:
        """Return the directory for the homes of a rig."""
        return self.scratch / f"homes-{name}"


FACTORIES: dict[str, Callable[[Place], StoreRig]] = {
    "mailinabox": lambda place: on_box(place.scratch, place.owner),
    "sqlite": lambda place: rigs.on_sqlite(place.scratch, place.homes("sqlite"), place.owner),
    "mysql": lambda place: rigs.on_server("mysql", place.server("mariadb"), place.homes("mysql"), place.owner),
    "postgresql": lambda place: rigs.on_server(
        "postgresql", place.server("postgresql"), place.homes("postgresql"), place.owner
    ),
    "afterlogic-sqlite": lambda place: afterlogic.on_sqlite(
        place.scratch, place.homes("afterlogic-sqlite"), place.owner
    ),
    "afterlogic-mysql": lambda place: afterlogic.on_server(
        "mysql", place.server("mariadb"), place.homes("afterlogic-mysql"), place.owner
    ),
    "afterlogic-postgresql": lambda place: afterlogic.on_server(
        "postgresql", place.server("postgresql"), place.homes("afterlogic-postgresql"), place.owner
    ),
    "ldap": ldap.plain,
    "ldap-starttls": ldap.with_start_tls,
    "ldapi": ldap.over_socket,
    "atmail": lambda place: atmail.on_mariadb(place.server("mariadb"), place.homes("atmail"), place.owner),
}


def empty_homes(rig: StoreRig) -> None:
    """Remove all homes of a rig, and make their root anew."""
    shutil.rmtree(rig.root, ignore_errors=True)
    make_directory(rig.root)
    os.chown(rig.root, *rig.owner)
