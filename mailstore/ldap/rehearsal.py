"""A directory that is read as it is and never written: for trying out whether something would be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from mailstore.errors import NotFound
from mailstore.ldap.connection import ALL_ATTRIBUTES, PAGE_SIZE, Attributes, Directory
from mailstore.ldap.endpoint import Endpoint
from mailstore.ldap.entry import Change, Entry, applied, octets
from mailstore.ldap.names import DN, Filter

__all__ = ["Rehearsal"]


class Rehearsal(Directory):
    """See `Directory`. Writes are not sent. What they would have made of an entry is read, and found as it was found before.

    Entries that would be new are not found by searches.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._written: dict[str, Entry | None] = {}

    def read(self, dn: DN, attributes: Sequence[str] | None = None) -> Entry | None:
        """Return an entry as it would be; a written one with all of its attributes."""
        return self._written[dn.lower()] if dn.lower() in self._written else super().read(dn, attributes)

    def search(
        self,
        base: DN,
        filter: Filter,
        *,
        scope: Literal["one", "subtree"] = "subtree",
        attributes: Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[Entry]:
        """Iterate over what matches on the server, without what would be gone, and as it would be."""
        for entry in super().search(base, filter, scope=scope, attributes=attributes, page_size=page_size):
            present = self._written.get(entry.dn.lower(), entry)
            if present is not None:
                yield present

    def add(  # type: ignore[override]
        self,
        dn: DN,
        attributes: Attributes,
        *,
        return_entry: Sequence[str] | None = None,  # noqa: ARG002 as in Directory
    ) -> Entry:
        """Return the entry as it would be added."""
        entry = Entry(dn, {name: [octets(value) for value in values] for name, values in attributes.items()})
        self._written[dn.lower()] = entry
        return entry

    def modify(
        self,
        dn: DN,
        changes: Sequence[Change],
        *,
        only_if: Filter | None = None,  # noqa: ARG002 as in Directory
        return_entry: Sequence[str] | None = None,
    ) -> Entry:
        """Return the entry as it would be. Raises NotFound."""
        entry = self.read(dn, (*ALL_ATTRIBUTES, *(return_entry or ())))
        if entry is None:
            raise NotFound(f"there is no {dn}", subject=dn)
        changed = Entry(dn, applied(entry, changes))
        self._written[dn.lower()] = changed
        return changed

    def rename(self, dn: DN, new_dn: DN) -> None:
        """Let the entry be found under its new name only."""
        entry = self.read(dn, ALL_ATTRIBUTES)
        self._written[dn.lower()] = None
        self._written[new_dn.lower()] = None if entry is None else Entry(new_dn, dict(entry.raw))

    def delete(self, dn: DN, *, only_if: Filter | None = None) -> None:  # noqa: ARG002 as in Directory
        """Let the entry be gone."""
        self._written[dn.lower()] = None
