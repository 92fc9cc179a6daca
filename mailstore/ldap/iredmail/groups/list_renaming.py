"""What else is changed with the address of a list: its members, who carry it, and domains whose new accounts it gets."""

from __future__ import annotations

from collections.abc import Sequence

from mailstore.driver.names import Spellings
from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.context import IDENTITY, STAMPS, Context
from mailstore.ldap.iredmail.domain_facts import is_active
from mailstore.ldap.iredmail.edits import add_values
from mailstore.ldap.iredmail.groups.list_entries import refuse_managed
from mailstore.ldap.iredmail.groups.members import GROUP, is_external
from mailstore.ldap.iredmail.groups.renaming import EntryRenaming
from mailstore.ldap.iredmail.names.references import to_address
from mailstore.ldap.iredmail.settings import ATTRIBUTE, Settings
from mailstore.ldap.names import DN, Filter, all_of, any_of, contains, equals

__all__ = ["ListRenaming", "change_default_list", "concerned"]

_DEFAULT_LIST = "defaultList"


def concerned(address: str, names: Sequence[str], spellings: Spellings, dn: DN) -> Filter:
    """Return the filter for what a list takes with it: references, members of all its `names`, external ones too."""
    members = [equals(GROUP, name) for name in names]
    by_default = all_of(equals("objectClass", "mailDomain"), contains(ATTRIBUTE, address))
    return any_of(to_address(spellings, dn), *members, by_default)


def change_default_list(context: Context, changes: Changes, domain: Entry, old: str, new: str | None) -> None:
    """Put another list, or none, in the place of one that new accounts of a domain become members of."""

    def build(present: Entry) -> list[Change]:
        settings = Settings.of(present)
        names = [name.strip() for name in settings.text(_DEFAULT_LIST).split(",")]
        if old not in map(str.lower, names):
            return []
        kept = [new if name.lower() == old else name for name in names]
        settings.put(_DEFAULT_LIST, ",".join(name for name in kept if name))
        return settings.changes(present)

    context.edit(changes, domain.dn, build, NotFound(f"{domain.dn} is gone", subject=changes.subject))


class ListRenaming(EntryRenaming):
    """One rename of a list. Members get its new name before they lose the old one."""

    def check(self, entry: Entry) -> None:
        """Raise NotSupported for a list of mlmmj, whose transport names a directory that would have to follow."""
        refuse_managed(entry, "rename it")

    def pointers(self) -> Filter:
        """Return the filter for everything that follows."""
        return concerned(self.old, sorted(self._old_names), self.spellings, self.context.places.mailing_list(self.old))

    def follow(self, references: Sequence[Entry]) -> None:
        """Let members and references follow."""
        externals = [entry for entry in references if is_external(entry) and self._has_old_name(entry)]
        others = [self._with_new_name(entry) for entry in references if entry not in externals]
        for entry in externals:
            self._copy(entry)
        super().follow(others)
        for entry in others:
            if entry.has("objectClass", "mailDomain"):
                change_default_list(self.context, self.changes, entry, self.old, self.new)
        for entry in externals:
            self.changes.delete(entry)

    @property
    def _old_names(self) -> set[str]:
        return {self.old, *self.locks.forms(self.old)}

    @property
    def _new_groups(self) -> list[str]:
        return sorted({self.new, *self.locks.forms(self.new)})

    def _has_old_name(self, entry: Entry) -> bool:
        return any(entry.has(GROUP, name) for name in self._old_names)

    def _with_new_name(self, entry: Entry) -> Entry:
        """Make a member one of both names; whatever else refers to the list stays as it is. Returns the entry then."""
        if is_external(entry) or not self._has_old_name(entry):
            return entry
        self.keep_locks()
        missing, groups = NotFound(f"{entry.dn} is gone", subject=self.old), self._new_groups
        try:
            return self.context.edit(
                self.changes, entry.dn, lambda present: add_values(present, GROUP, groups), missing, known=entry
            )[1]
        except NotFound:
            return entry  # a member no longer

    def _copy(self, entry: Entry) -> None:
        """Hold the external members under the new name too; its entry may be there from a call that was interrupted."""
        dn, directory = self.context.places.externals(self.new), self.context.directory
        if directory.read(dn, ("1.1",)) is not None:
            missing = NotFound(f"{dn} is gone", subject=self.old)
            self.context.edit(
                self.changes, dn, lambda present: add_values(present, "mail", entry.values("mail")), missing
            )
            return
        domain = self.locks.of(self.new).entry
        own = {name.lower() for name in (GROUP, "shadowAddress", "domainStatus", *STAMPS, IDENTITY)}
        self.changes.add(
            dn,
            {
                **{name: values for name, values in entry.raw.items() if name.lower() not in own},
                GROUP: [self.new],
                "shadowAddress": sorted(self.locks.forms(self.new)),
                "domainStatus": [] if is_active(domain) else ["disabled"],
            },
        )
