"""Setting up a directory: its first entries, the files that its server needs, and what the server's schema lacks."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote, urlsplit

from mailstore.config import StoreConfig
from mailstore.driver.lookups import LookupFile
from mailstore.driver.urls import each_host
from mailstore.errors import ConfigurationError, SchemaMismatch, StoreDenied
from mailstore.ldap import ldif
from mailstore.ldap.changes import changing
from mailstore.ldap.connection import Directory
from mailstore.ldap.entry import Entry
from mailstore.ldap.iredmail.location import companion_of, endpoint_of, places_of
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.schema import tree
from mailstore.ldap.names import DN, is_within, parse_dn, same_dn
from mailstore.ldap.schema import Schema

__all__ = ["CLASSES", "SERVICE_ACCOUNTS", "SchemaReport", "create_own_table", "create_schema", "report", "server_files"]

CLASSES = ("mailDomain", "mailAdmin", "mailUser", "mailAlias", "mailList", "mailExternalUser", "amavisAccount")
"""Object classes without which nothing works."""
SERVICE_ACCOUNTS = (tree.READER, tree.WRITER)
"""The accounts that mail servers and mailstore log in with; a new tree has them if it is given their passwords."""

_DATABASE = "/var/lib/ldap"
_SCHEMAS = "/etc/ldap/schema"
_SALT_BYTES = 16
_DEFINITION = re.compile(r"^(attributetype|objectclass)\s(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE)
"""In a schema file: what follows, on indented lines."""
_NAME = re.compile(r"\bNAME\s+'([^']+)'")
_BORROWED = "amavisaccount"
"""Of this class an installation may have the complete definition; we use one attribute of it."""
_NEVER = "never to be seen"


@dataclass(frozen=True)
class SchemaReport:
    """What a server's schema lacks of ours, and has besides, as ``class`` or ``class.attribute``.

    ``missing`` is needed, ``absent`` takes away the features that need it, ``foreign`` is not known to this version, and
    ``unknown`` is what a server does not tell.
    """

    missing: tuple[str, ...]
    absent: tuple[str, ...]
    foreign: tuple[str, ...]
    unknown: tuple[str, ...] = ("indexes",)


def report(directory: Directory) -> SchemaReport:
    """Compare a server's schema with ours."""
    ours, theirs = _own_schema(), directory.schema
    missing = [name for name in CLASSES if name.lower() not in theirs.object_classes]
    absent, foreign = [], []
    for name in (name for name in CLASSES if name not in missing):
        known, present = ours.allowed[name.lower()], theirs.allowed.get(name.lower(), frozenset())
        absent += [f"{name}.{_spelled(attribute)}" for attribute in sorted(known - present)]
        if name.lower() != _BORROWED:
            foreign += [f"{name}.{attribute}" for attribute in sorted(present - known)]
    return SchemaReport(tuple(missing), tuple(absent), tuple(foreign))


@cache
def _own_schema() -> Schema:
    found = _DEFINITION.findall("\n".join(tree.schema_files().values()))
    kinds = {"attributeTypes": "attributetype", "objectClasses": "objectclass"}
    values = {name: [text.encode() for kind, text in found if kind == wanted] for name, wanted in kinds.items()}
    return Schema.of(Entry(DN("cn=Subschema"), values))


def _spelled(attribute: str) -> str:
    """Return an attribute as our schema files spell it; those of other schemas stay as they are."""
    names = _NAME.findall("\n".join(tree.schema_files().values()))
    return next((name for name in names if name.lower() == attribute), attribute)


def create_schema(
    config: StoreConfig, password: str | None, *, passwords: Mapping[str, str] | None = None
) -> list[str]:
    """Make the entries that every tree starts with, and return their names; those that are there stay as they are.

    Parameters
    ----------
    config, password: of the directory. The account has to be one that may write below the suffix: its manager.
    passwords: of the `SERVICE_ACCOUNTS`; one without a password is not made.

    A run that was interrupted is finished by another one. Raises SchemaMismatch if there is a tree already, or if the
    server lacks the schema; StoreDenied, ConfigurationError.
    """
    places = places_of(config)
    with closing(Directory(endpoint_of(config, password))) as directory:
        _require_room(directory, places)
        made: list[str] = []
        with changing(directory, places.suffix) as changes:
            for dn, attributes in _first_entries(places, passwords or {}):
                if directory.read(dn, ("1.1",)) is None:
                    try:
                        changes.add(dn, attributes)
                    except StoreDenied as error:
                        raise StoreDenied(f"{error}; log in as the directory's manager for this") from None
                    made.append(dn)
        return made


def create_own_table(config: StoreConfig, password: str | None) -> bool:
    """Make the tables of ours that the database of deleted mailboxes lacks. Returns False if it lacks none."""
    with (
        closing(Directory(endpoint_of(config, password))) as directory,
        closing(companion_of(config, directory)) as companion,
    ):
        return companion.create_tables()


def server_files(
    config: StoreConfig, password: str | None, *, passwords: Mapping[str, str], directory: str | None = None
) -> list[LookupFile]:
    """Return what a new slapd needs: its configuration, the schema files, and the first entries for slapadd.

    Parameters
    ----------
    config, password: of the directory. If the account is its manager, slapd gets this password.
    passwords: of the `SERVICE_ACCOUNTS`.
    directory: where the files will lie.
    """
    suffix = places_of(config).suffix
    manager = _password_of_manager(config, password, suffix)
    configuration = tree.server_configuration(
        suffix,
        _DATABASE,
        schema_directory=directory or _SCHEMAS,
        manager_hash=_hashed(manager) if manager else None,
    )
    entries = tree.empty_tree(suffix, **_hashes(passwords))
    return [
        LookupFile("slapd.conf", configuration, mode=0o640, group="openldap"),
        *(LookupFile(name, text) for name, text in tree.schema_files().items()),
        LookupFile("tree.ldif", entries, mode=0o600),
    ]


def _require_room(directory: Directory, places: Places) -> None:
    suffixes = directory.facts.suffixes
    if not any(is_within(places.suffix, suffix) for suffix in suffixes if suffix):
        shown = ", ".join(suffixes) or "none"
        raise ConfigurationError(f"the server has no database for {places.suffix}; its suffixes are: {shown}")
    if missing := report(directory).missing:
        raise SchemaMismatch(
            f"the schema of the server lacks {', '.join(missing)}; "
            "'mailstore schema create --print' shows the files that slapd has to load"
        )
    if directory.read(places.domains, ("1.1",)) is not None:
        raise SchemaMismatch(f"there is a tree below {places.suffix} already; nothing was made")


def _first_entries(places: Places, passwords: Mapping[str, str]) -> Iterator[tuple[DN, Mapping[str, list[bytes]]]]:
    """Iterate over the first entries. The one that tells that a tree is complete comes last."""
    text = tree.empty_tree(places.suffix, **_hashes(passwords))
    skipped = {f"{name},{places.suffix}" for name in SERVICE_ACCOUNTS if name not in passwords}
    found = [(DN(dn), attributes) for dn, attributes in ldif.parse(text.splitlines()) if dn not in skipped]
    return iter(sorted(found, key=lambda entry: entry[0] == places.domains))


def _hashes(passwords: Mapping[str, str]) -> dict[str, str]:
    reader, writer = (_hashed(passwords.get(name, _NEVER)) for name in SERVICE_ACCOUNTS)
    return {"reader_hash": reader, "writer_hash": writer}


def _hashed(password: str) -> str:
    """Hash the password of a service as every slapd verifies it, without modules, and soon: it binds for every lookup."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.sha1(password.encode() + salt).digest()  # noqa: S324 slapd's own scheme
    return f"{{SSHA}}{base64.b64encode(digest + salt).decode()}"


def _password_of_manager(config: StoreConfig, password: str | None, suffix: DN) -> str | None:
    """Return the password of the URL's account, if that is the manager's; None else, or without one."""
    parts = urlsplit(each_host(config.url)[0])
    if not parts.username or not same_dn(parse_dn(unquote(parts.username)), f"{tree.MANAGER},{suffix}"):
        return None
    return unquote(parts.password) if parts.password else password
