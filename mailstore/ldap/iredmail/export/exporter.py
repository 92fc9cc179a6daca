"""Which export a store gets: of its directory as it is, or built from its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailstore.config import StoreConfig, convert
from mailstore.errors import InvalidValue
from mailstore.ldap import ldif
from mailstore.ldap.iredmail.export.base import Export, Record
from mailstore.ldap.iredmail.export.tree import TreeExport
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.names import parse_dn, same_dn
from mailstore.model import Finding
from mailstore.store import Store

__all__ = ["exporter", "text"]


def exporter(
    store: Store,
    *,
    suffix: str | None = None,
    login_by: str | None = None,
    default_transport: str | None = None,
    passwords: bool = True,
    report: Callable[[Finding], None] = lambda _finding: None,
) -> Export:
    """Return what exports a store.

    Parameters
    ----------
    store: any; one in a directory gives what is in it.
    suffix: the DN at the top of the directory that the export is for; needed unless the store is in one already.
    login_by: who verifies passwords there (see `StoreConfig`); a hash that cannot be verified is left out.
    default_transport: for domains without any.
    passwords: whether password hashes are exported.
    report: called with everything that a directory cannot hold, and that is left out therefore.

    Raises InvalidValue, ConfigurationError, PermissionDenied.
    """
    from mailstore.ldap.iredmail.export.records import RecordExport
    from mailstore.ldap.iredmail.store import IRedMailDirectory

    if isinstance(store, IRedMailDirectory):
        context = store.context
        if login_by is not None or (suffix is not None and not same_dn(suffix, context.places.suffix)):
            raise InvalidValue(f"entries of a directory are exported as they are, below {context.places.suffix}")
        return TreeExport(context, passwords=passwords)
    if suffix is None:
        raise InvalidValue("give the suffix of the directory that the export is for, like dc=example,dc=com")
    options = {"login_by": login_by, "default_transport": default_transport}
    given = {name: value for name, value in options.items() if value is not None}
    config = convert({"url": store.name, **given}, StoreConfig, "the export")
    return RecordExport(store, Places(parse_dn(suffix)), config, passwords=passwords, report=report)


def text(records: Iterator[Record], *, version: bool = False) -> Iterator[str]:
    """Return records as pieces of an LDIF file. The line with the version is what slapadd refuses and others ignore."""
    return ldif.document((ldif.record(*record) for record in records), version=version)
