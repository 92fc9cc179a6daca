"""The mail servers around each kind of store, as `mailstore lookups` sets them up: who logs in, and where mail goes."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import make_url

from mailstore.driver.lookups import LookupOptions, write
from mailstore.sql.afterlogic import lookup_files as afterlogic_files
from mailstore.sql.atmail import lookup_files as atmail_files
from mailstore.sql.mailinabox import lookup_files as box_files
from tests import readers
from tests.ldap import lookup_rig
from tests.servers.database import PASSWORDS
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import PostfixLookup
from tests.servers.process import make_directory
from tests.stores import StoreRig

__all__ = ["POSTFIX", "Around"]

POSTFIX = ("sqlite", "mysql", "postgresql", "ldap", "mailinabox")
"""The stores that Postfix reads."""


class BoxMaps(readers.PostfixMaps):
    """The maps of a box."""

    def __init__(self, directory: Path, store: Any) -> None:
        files = box_files.postfix(store, LookupOptions())
        self._texts = {file.name.removesuffix(".cf"): file.text for file in files}
        self._postmap = PostfixLookup(directory)

    def resolve(self, parameter: str, keys: Iterable[str]) -> readers.Answers:
        found = self._postmap.query_many("sqlite", self._texts[parameter.replace("_", "-")], list(keys))
        return {key: frozenset(value.split(",")) for key, value in found.items() if value is not None}


@dataclass
class Around:
    """Mail servers on the run's rigs, each made when it is first asked for."""

    directory: Path
    owner: tuple[int, int]
    mariadb: Any
    _running: ExitStack = field(default_factory=ExitStack)
    _made: dict[tuple[str, str], Any] = field(default_factory=dict)

    def dovecot(self, rig: StoreRig) -> Dovecot:
        """Return a running Dovecot that reads a store."""
        if ("dovecot", rig.name) not in self._made:
            server = self._dovecot(rig, self.directory / f"dovecot-{rig.name}")
            self._made["dovecot", rig.name] = self._running.enter_context(server)
        return cast("Dovecot", self._made["dovecot", rig.name])

    def postfix(self, rig: StoreRig) -> readers.PostfixMaps:
        """Return the maps of a store in `POSTFIX`."""
        if ("postfix", rig.name) not in self._made:
            self._made["postfix", rig.name] = _postfix(rig, self.directory / f"postfix-{rig.name}")
        return cast("readers.PostfixMaps", self._made["postfix", rig.name])

    def _dovecot(self, rig: Any, directory: Path) -> Dovecot:
        match rig.name:
            case "sqlite" | "mysql" | "postgresql":
                schema = rig.shared.schema_report()
                return readers.dovecot_for(directory, make_url(rig.native), schema, self.owner)
            case "ldap":
                reader = lookup_rig.reader_of(rig.server)
                return lookup_rig.dovecot_for(directory, reader, self.owner, auth_bind=True)
            case "mailinabox":
                readers.share(rig.file)
                return self._from_files(directory, functools.partial(box_files.dovecot, rig.shared))
            case "atmail":
                return self._from_files(directory, functools.partial(atmail_files.dovecot, rig.shared))
            case _:
                database = make_url(rig.native).database
                for host in ("localhost", "127.0.0.1"):
                    self.mariadb().execute(f"GRANT SELECT, EXECUTE ON `{database}`.* TO 'vmail'@'{host}'")
                return self._from_files(directory, functools.partial(afterlogic_files.dovecot, rig.shared))

    def _from_files(self, directory: Path, make: Any) -> Dovecot:
        uid, gid = self.owner
        conf = directory / "conf"
        files = make(LookupOptions("vmail", PASSWORDS["vmail"], directory=str(conf), uid=uid, gid=gid))
        texts = {file.name: file.text for file in files}
        server = Dovecot(directory, include="!include mailstore.conf\n", files=texts, vmail_uid=uid, vmail_gid=gid)
        write(files, conf, force=True)
        return server

    def close(self) -> None:
        """Stop all."""
        self._running.close()


def _postfix(rig: Any, directory: Path) -> readers.PostfixMaps:
    if rig.name == "ldap":
        return lookup_rig.LdapMaps(make_directory(directory), lookup_rig.reader_of(rig.server))
    if rig.name == "mailinabox":
        return BoxMaps(make_directory(directory), rig.shared)
    return readers.postfix_for(make_directory(directory), make_url(rig.native))
