"""Deleting a domain with everything in it.

It is recorded, then switched off: its record knows it as it was. Up to the first entry that is deleted, everything can be
taken back; after that, whoever is interrupted deletes the domain once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice

from mailstore.address import domain_part
from mailstore.errors import MailstoreError, NotFound
from mailstore.ldap.changes import HAS_BELOW, Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.admins.entries import demote_idle
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.domain_facts import alias_domains
from mailstore.ldap.iredmail.domains.alias_domains import forget_names
from mailstore.ldap.iredmail.domains.keeping import DomainKeeping
from mailstore.ldap.iredmail.edits import remove_values, set_value
from mailstore.ldap.iredmail.entries import ACCOUNT, address_of, names_in
from mailstore.ldap.iredmail.names.locks import Lock
from mailstore.ldap.iredmail.names.references import NAMES, References, to_domain
from mailstore.ldap.iredmail.places import USERS
from mailstore.ldap.iredmail.policies.changes import Clearing
from mailstore.ldap.iredmail.records import Retention
from mailstore.ldap.iredmail.settings import ATTRIBUTE as SETTINGS
from mailstore.ldap.iredmail.settings import RESTORED_KEY
from mailstore.ldap.names import any_of, ends_with, is_within, present
from mailstore.model import DeletedMailbox
from mailstore.sql.engine import Transaction

__all__ = ["DomainDeletion"]

_BATCH = 500


class DomainDeletion:
    """One deletion, while the domain is locked."""

    def __init__(self, context: Context, lock: Lock, domain: str, due: date) -> None:
        self._context = context
        self._lock = lock
        self._domain = domain
        self._due = due
        self._dn = context.places.domain(domain)
        self._names = {domain, *alias_domains(lock.entry)}
        self._references = References(context)
        self._retention = Retention(context)

    def run(self, later: Clearing) -> int:
        """Do it. Returns the number of deleted accounts. `later` gets what is to be done when the deletion is over."""
        later.remove(domains=self._names)
        with self._context.changing(self._domain) as changes:
            missing = NotFound(f"domain {self._domain} is gone", subject=self._domain)
            before = self._context.directory.read(self._dn, EVERYTHING)
            if before is None:
                raise missing
            others = [entry for entry in self._find_references() if not self._is_inside(entry)]
            addresses = self._record(changes, before, others, later)
            self._context.edit(changes, self._dn, _switched_off, missing, known=before)
            for other in others:
                self._references.remove(changes, other, self._goes)
                self._lock.keep()
            forget_names(self._context, changes, self._lock, self._names, outside=self._dn)
            # Before the entries go: nobody who is interrupted later would know any more whom this concerned.
            self._forget(changes, addresses)
        self._delete_entries(len(addresses))
        return len(addresses)

    def _record(self, changes: Changes, before: Entry, others: Sequence[Entry], later: Clearing) -> list[str]:
        """Record all mailboxes, and the domain. Returns the addresses of all accounts."""
        ledger = self._context.companion.ledger
        with ledger.db.writing() as tx:
            keeping = DomainKeeping(self._context, tx, before, self._names)
            addresses, made = self._record_mailboxes(tx, keeping, others, later)
            keeping.finish(others, self._due)
        if not keeping.interrupted:
            changes.on_undo("records of deleted mailboxes", self._retention.dropping(changes, made, keeping.record_id))
        return addresses

    def _record_mailboxes(
        self, tx: Transaction, keeping: DomainKeeping, others: Sequence[Entry], later: Clearing
    ) -> tuple[list[str], list[DeletedMailbox]]:
        base = self._context.places.unit(self._domain, USERS)
        attributes = (*EVERYTHING, HAS_BELOW)
        found = self._context.directory.search(base, ACCOUNT, scope="one", attributes=attributes)
        addresses: list[str] = []
        made: list[DeletedMailbox] = []
        while batch := list(islice(found, _BATCH)):
            for entry in batch:
                self._context.refuse_stronger(entry)
            # Their aliases in other domains go too.
            later.remove({name for entry in batch for name in names_in(entry) if domain_part(name) not in self._names})
            recorded = self._retention.write(tx, batch, others, self._due, keeping.number)
            keeping.note(batch, recorded)
            made += recorded
            addresses += map(address_of, batch)
            self._lock.keep()
        return addresses, made

    def _delete_entries(self, accounts: int) -> None:
        """Delete what is below the domain, the innermost first, and the domain last: there is no such thing as a tree."""
        directory = self._context.directory
        names = [entry.dn for entry in directory.search(self._dn, present("objectClass"), attributes=("1.1",))]
        try:
            for done, dn in enumerate(sorted(names, key=_depth, reverse=True)):
                directory.delete(dn)
                if done % _BATCH == 0 and dn != self._dn:
                    self._lock.keep()
        except MailstoreError as error:
            error.state = (
                f"domain {self._domain} is switched off and partly deleted, {accounts} mailboxes are recorded; "
            )
            error.state += "delete it once more"
            raise
        self._lock.entry_is_gone()

    def _forget(self, changes: Changes, addresses: Sequence[str]) -> None:
        """Remove what Dovecot noted about the accounts, and the marks of admins who have nothing to manage any more."""
        for start in range(0, len(addresses), _BATCH):
            undo = self._context.companion.forget(addresses[start : start + _BATCH])
            changes.on_undo("what Dovecot noted about the accounts", undo)
        admins = [value.lower() for value in self._lock.entry.values("domainAdmin")]
        others = [admin for admin in admins if not admin.endswith(f"@{self._domain}")]
        demote_idle(self._context, changes, others, besides=self._dn)

    def _find_references(self) -> Iterator[Entry]:
        """Return what refers to the domain, or by name to an entry in it; such names cannot be searched for."""
        names = sorted(self._names)
        tests = [test for name in names for test in (to_domain(name), ends_with("shadowAddress", f"@{name}"))]
        named = any_of(*map(present, NAMES))
        return self._references.find(any_of(*tests, named))

    def _is_inside(self, entry: Entry) -> bool:
        return is_within(entry.dn, self._dn)

    def _goes(self, value: str) -> bool:
        return value.rpartition("@")[2] in self._names or is_within(value, self._dn)


def _switched_off(entry: Entry) -> list[Change]:
    marks = [value for value in entry.values(SETTINGS) if value.startswith(f"{RESTORED_KEY}:")]
    return set_value(entry, "accountStatus", "disabled") + remove_values(entry, SETTINGS, marks)


def _depth(dn: str) -> int:
    return len(dn)  # what is below something has a longer name
