"""Giving an alias account or a list another address, so that mail for either finds it at every moment.

The new address is first an alias of the entry; then everything that refers to it is changed, then the entry itself. An entry
that has its own address as an alias, too, was renamed by somebody who was interrupted: the same call finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailstore.address import domain_part
from mailstore.driver.names import Spellings
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import is_active
from mailstore.ldap.iredmail.edits import add_values, set_value, set_values
from mailstore.ldap.iredmail.entries import own_aliases
from mailstore.ldap.iredmail.groups.creation import check_limit, require_primary, take_name
from mailstore.ldap.iredmail.groups.kinds import Entries
from mailstore.ldap.iredmail.names.name_space import Locks, NameSpace
from mailstore.ldap.iredmail.names.references import References, renaming, to_address
from mailstore.ldap.iredmail.policies.changes import Clearing
from mailstore.ldap.names import Filter

__all__ = ["EntryRenaming"]


class EntryRenaming:
    """One rename, while both domains are locked."""

    def __init__(self, context: Context, entries: Entries, locks: Locks, changes: Changes, old: str, new: str) -> None:
        self.context = context
        self.locks = locks
        self.changes = changes
        self.old, self.new = old, new
        self._entries = entries
        self._names = NameSpace(context)
        self._dn, self._new_dn = entries.dn(old), entries.dn(new)
        self._spelled = self._dn
        self._references = References(context)

    def run(self, later: Clearing) -> None:
        """Check and do it. Raises AlreadyExists, NotFound, LimitExceeded, and what `check` does."""
        require_primary(self._names, self.locks, self.new)
        entry = self._entries.read(self.old)
        if entry is None:
            self._finish_interrupted(later)
            return
        self._spelled = entry.dn
        self.check(entry)
        if domain_part(self.old) != domain_part(self.new):
            check_limit(self.context, self.locks, self._entries.kind, self.new)
        take_name(self.context, self._names, self.locks, self.changes, self.new, own=entry)
        references = list(self._references.find(self.pointers()))
        later.move(self.changes, self.locks, self.old, self.new)
        self._edit(lambda present: add_values(present, "shadowAddress", [self.new]), self.old, entry)
        self.follow(references)
        self.changes.rename(self._dn, self._new_dn)
        self._finish()

    def check(self, entry: Entry) -> None:
        """Raise if this entry cannot be renamed."""

    def pointers(self) -> Filter:
        """Return the filter for what refers to the old address; the entry itself may be among it."""
        return to_address(self.spellings, self._dn)

    @property
    def spellings(self) -> Spellings:
        """How references to the old address are spelt."""
        return self.locks.spellings(self.old)

    def renamed(self) -> Callable[[str], str]:
        """Return what makes a new value of one that refers to the old address."""
        names = {self._dn, self._spelled}  # the server may spell it otherwise than we do
        return renaming(self.spellings, self.new, names, self._new_dn)

    def follow(self, references: Sequence[Entry]) -> None:
        """Let what refers to the old address refer to the new one."""
        renamed = self.renamed()
        for other in references:
            self._references.rename(self.changes, other, renamed)
            self.keep_locks()

    def keep_locks(self) -> None:
        """Renew the locks if this takes long."""
        for lock in self.locks.by_domain.values():
            lock.keep()

    def _finish_interrupted(self, later: Clearing) -> None:
        renamed = self._entries.read(self.new)
        if renamed is None or not renamed.has("shadowAddress", self.new):
            raise self._entries.missing(self.old)
        later.remove({self.old, *self.locks.forms(self.old)})
        self._finish()

    def _finish(self) -> None:
        known = self._names.all_alias_domains()

        def as_named(entry: Entry) -> list[Change]:
            """Return what the renamed entry says about itself: its other names, and the state of its domain."""
            former = {self.old, *known.forms(self.old)}
            aliases = set(own_aliases(entry, known)) - self.locks.names(self.new) - former
            domain = self.locks.of(self.new).entry
            served = known.served((self.new, *aliases)) - {self.new}
            changes = set_values(entry, "shadowAddress", sorted(served))
            return changes + set_value(entry, "domainStatus", "" if is_active(domain) else "disabled")

        self._edit(as_named, self.new)
        counter = self._entries.kind.counter
        if domain_part(self.old) != domain_part(self.new):
            self.locks.of(self.old).count(counter, -1)
            self.locks.of(self.new).count(counter, 1)

    def _edit(self, build: Callable[[Entry], Sequence[Change]], address: str, known: Entry | None = None) -> None:
        missing = self._entries.missing(address)
        self.context.edit(self.changes, self._entries.dn(address), build, missing, known=known)
