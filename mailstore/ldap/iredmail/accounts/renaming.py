"""Giving an account another address, so that mail for either finds it at every moment.

A directory renames one entry at a time. Both addresses are first aliases of the account; then every reference is changed,
then the entry itself, and at last what the entry says about its names. An account that has its own address as an alias
was renamed by somebody who was interrupted: the same call finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailstore.address import domain_part, local_part
from mailstore.driver.iredmail.units import MEGABYTE
from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.accounts.changes import FORWARDING
from mailstore.ldap.iredmail.accounts.creation import COUNTER
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import is_active, policy_of
from mailstore.ldap.iredmail.edits import add_values, set_value, set_values
from mailstore.ldap.iredmail.entries import address_of, own_aliases
from mailstore.ldap.iredmail.groups.creation import forget_members, members_of
from mailstore.ldap.iredmail.limits import check_accounts
from mailstore.ldap.iredmail.names.name_space import AliasDomains, Locks, NameSpace
from mailstore.ldap.iredmail.names.references import References, admin_of, renaming, to_address
from mailstore.ldap.iredmail.policies.changes import Clearing
from mailstore.ldap.names import any_of

__all__ = ["AccountRenaming", "is_unfinished"]


def is_unfinished(entry: Entry, old: str, new: str) -> bool:
    """Tell whether somebody began to rename this account, and was interrupted."""
    return all(entry.has("shadowAddress", address) for address in (old, new))


class AccountRenaming:
    """One rename, while both domains are locked."""

    def __init__(
        self,
        context: Context,
        names: NameSpace,
        locks: Locks,
        changes: Changes,
        entry: Entry,
        old: str,
        new: str,
        *,
        keep_alias: bool,
    ) -> None:
        """`entry` is the account; it has its new name already if an earlier rename was interrupted (`is_unfinished`)."""
        self._keep_alias = keep_alias
        self._context = context
        self._names = names
        self._locks = locks
        self._changes = changes
        self._entry = entry
        self._old, self._new = old, new
        self._dn, self._new_dn = context.places.account(old), context.places.account(new)
        self._references = References(context)

    def run(self, known: AliasDomains, later: Clearing) -> Entry:
        """Check and do it. Returns the entry. Raises AlreadyExists, NotFound, LimitExceeded.

        `known` are all alias domains; `later` gets what is to be done when the rename is over.
        """
        if domain_part(self._new) not in self._locks.by_domain:
            raise self._names.no_such_domain(domain_part(self._new))
        if address_of(self._entry) != self._new:
            self._take_name()
            self._check_limits()
            later.move(self._changes, self._locks, self._old, self._new)
            self._rename()
        else:
            later.remove({self._old, *self._locks.forms(self._old)})
        return self._finish(known)

    def _rename(self) -> None:
        spellings = self._locks.spellings(self._old)
        references = list(self._references.find(to_address(spellings, self._entry.dn), own=self._entry.dn))
        self._edit(self._as_alias, self._old, self._entry)
        names = {self._entry.dn, self._dn}  # the server may spell it otherwise than we do
        renamed = renaming(spellings, self._new, names, self._new_dn)
        for other in references:
            self._references.rename(self._changes, other, renamed)
        self._changes.rename(self._dn, self._new_dn)

    def _finish(self, known: AliasDomains) -> Entry:
        companion, old, new = self._context.companion, self._old, self._new
        companion.rename(old, new)
        self._changes.on_undo("what Dovecot noted about it", lambda: companion.rename(new, old))
        renamed = self._edit(lambda entry: self._as_named(entry, known), new)
        if domain_part(old) != domain_part(new):
            self._locks.of(old).count(COUNTER, -1)
            self._locks.of(new).count(COUNTER, 1)
        return renamed

    def _take_name(self) -> None:
        """Make sure that nobody else has the new name, and that nothing of a former holder reaches the account."""
        names = self._locks.names(self._new)
        holders = list(self._names.holders(names, also=any_of(admin_of([self._new]), members_of(names))))
        self._names.refuse_taken({self._new: names}, holders, own=self._entry)
        if is_unfinished(self._entry, self._old, self._new):
            return  # it is the account itself that has these rights
        forget_members(self._context, self._changes, holders, names)
        self._changes.on_undo("what Dovecot noted", self._context.companion.forget([self._new]))
        for domain in holders:
            if domain.has("domainAdmin", self._new):
                self._changes.modify(domain.dn, [Change.delete("domainAdmin", self._new)])

    def _check_limits(self) -> None:
        if domain_part(self._old) == domain_part(self._new):
            return
        policy = policy_of(self._locks.of(self._new).entry)
        quota = max(self._entry.number("mailQuota") or 0, 0) // MEGABYTE
        policy.check_account_quota(self._new, quota)
        check_accounts(self._context, policy, adding=1, quota=quota)

    def _as_alias(self, entry: Entry) -> list[Change]:
        """Return what makes the entry answer to both names, whichever it has."""
        return add_values(entry, "shadowAddress", [self._old, self._new])

    def _as_named(self, entry: Entry, known: AliasDomains) -> list[Change]:
        """Return what the renamed entry says about itself: names, forwarding, and the state of its domain."""
        old, new = self._old, self._new
        aliases = set(own_aliases(entry, known)) - self._locks.names(new) - {old}
        if self._keep_alias:
            aliases |= {old}
        changes = set_values(entry, "shadowAddress", sorted(known.served((new, *aliases)) - {new}))
        changes += set_value(entry, "uid", local_part(new))
        for attribute in ("cn", "sn"):
            if entry.first(attribute) == local_part(old):  # stands for "none"
                changes += set_value(entry, attribute, local_part(new))
        forwarding = [new if value.lower() == old else value for value in entry.values(FORWARDING)]
        changes += set_values(entry, FORWARDING, forwarding)
        domain = self._locks.of(new).entry
        return changes + set_value(entry, "domainStatus", "" if is_active(domain) else "disabled")

    def _edit(self, build: Callable[[Entry], Sequence[Change]], address: str, known: Entry | None = None) -> Entry:
        missing = NotFound(f"{address} is gone", subject=address)
        dn = self._context.places.account(address)
        return self._context.edit(self._changes, dn, build, missing, known=known)[1]
