"""A directory that is read as it is and never written: for trying out whether something would be done."""

from __future__ import annotations

from collections.abc import Sequence

from mailstore.errors import NotFound
from mailstore.ldap.connection import Attributes, Directory
from mailstore.ldap.entry import Change, Entry, octets
from mailstore.ldap.names import DN, Filter

__all__ = ["Rehearsal"]


class Rehearsal(Directory):
    """See `Directory`. Writes are not sent, and later reads do not show them."""

    def add(  # type: ignore[override]
        self,
        dn: DN,
        attributes: Attributes,
        *,
        return_entry: Sequence[str] | None = None,  # noqa: ARG002 as in Directory
    ) -> Entry:
        """Return the entry as it would be added."""
        return Entry(dn, {name: [octets(value) for value in values] for name, values in attributes.items()})

    def modify(
        self,
        dn: DN,
        changes: Sequence[Change],  # noqa: ARG002 as in Directory
        *,
        only_if: Filter | None = None,  # noqa: ARG002 as in Directory
        return_entry: Sequence[str] | None = None,
    ) -> Entry:
        """Return the entry as it is. Raises NotFound."""
        entry = self.read(dn, return_entry or ())
        if entry is None:
            raise NotFound(f"there is no {dn}", subject=dn)
        return entry

    def rename(self, dn: DN, new_dn: DN) -> None:
        """Do nothing."""

    def delete(self, dn: DN, *, only_if: Filter | None = None) -> None:
        """Do nothing."""
