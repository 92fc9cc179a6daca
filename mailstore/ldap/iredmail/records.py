"""Records of mailboxes whose accounts go, with a snapshot of the entry and of every reference to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from mailstore.address import domain_part
from mailstore.driver.companions import KeptPolicies, levels
from mailstore.errors import StoreError
from mailstore.ldap.changes import HAS_BELOW, Changes, entries_below
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import IDENTITY, STAMPS, Context
from mailstore.ldap.iredmail.entries import address_of, names_in
from mailstore.ldap.iredmail.homes import home_of
from mailstore.ldap.iredmail.names.references import meaning, normal, spellings_of, values_of
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.engine import Transaction
from mailstore.sql.ledger import NewRecord

__all__ = ["POLICIES", "Retention", "encoded", "stored_attributes", "stored_below"]

POLICIES = "policies"
"""Under this name stands what databases beside had for each name of the account."""
_NOTHING = Usage(0, 0)
_OPERATIONAL = {name.lower() for name in (*STAMPS, IDENTITY, HAS_BELOW)}


class Retention:
    """Writes records. Each is committed before the entry is deleted: a mailbox without a record would never be purged."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def record(
        self, changes: Changes, accounts: Sequence[Entry], references: Iterable[Entry], due: date
    ) -> list[DeletedMailbox]:
        """Record the mailboxes of some accounts that are about to be deleted, except of those that have no home.

        `references` are the entries that refer to them. What an interrupted deletion recorded is replaced.
        """
        with self._context.companion.ledger.db.writing() as tx:
            made = self.write(tx, accounts, references, due)
        changes.on_undo("records of deleted mailboxes", self.dropping(changes, made))
        return made

    def write(
        self,
        tx: Transaction,
        accounts: Sequence[Entry],
        references: Iterable[Entry],
        due: date,
        domain_record: int | None = None,
    ) -> list[DeletedMailbox]:
        """Do what `record` does within a transaction; whoever calls it sees to its being taken back."""
        others, with_home = list(references), [entry for entry in accounts if home_of(entry)]
        ledger = self._context.companion.ledger
        usage = self._context.companion.usage([address_of(entry) for entry in with_home])
        homes = {(address_of(entry), home_of(entry)) for entry in with_home}
        names = [address_of(entry) for entry in with_home]
        former = ledger.select(ledger.records.c.username.in_(names))
        stale = [record for record in former if (record.address, record.home) in homes]
        usage = {record.address: record.usage for record in stale} | usage
        earlier = {record.address: ledger.snapshot(tx.connection, record) for record in stale}
        ledger.drop(tx, [record.id for record in stale])
        policies = self._policies(with_home)
        new = [
            self._new(
                entry, others, due, usage.get(address_of(entry), _NOTHING), earlier.get(address_of(entry)),
                policies[address_of(entry)],
            )
            for entry in with_home
        ]  # fmt: skip
        return ledger.add(tx, [replace(record, domain_record=domain_record) for record in new])

    def _policies(self, accounts: Sequence[Entry]) -> dict[str, KeptPolicies]:
        """Return what databases beside have for each account, under all its names."""
        owners = {name: address_of(entry) for entry in accounts for name in names_in(entry)}
        found: dict[str, KeptPolicies] = {address_of(entry): {} for entry in accounts}
        for name, kept in self._context.policies.kept(levels(sorted(owners))).items():
            found[owners[name]][name] = kept
        return found

    def _new(
        self,
        entry: Entry,
        others: Iterable[Entry],
        due: date,
        usage: Usage,
        earlier: str | None,
        policies: KeptPolicies,
    ) -> NewRecord:
        address = address_of(entry)
        return NewRecord(
            address,
            domain_part(address),
            f"{home_of(entry)}/",
            due,
            self._context.deleted_by,
            usage,
            _snapshot(entry, self._below(entry), others, earlier, policies),
        )

    def _below(self, entry: Entry) -> list[Entry]:
        """Return what lies below an account, which no tool of iRedMail does: an address book, say."""
        return entries_below(self._context.directory, entry) if entry.has(HAS_BELOW, "TRUE") else []

    def dropping(
        self, changes: Changes, records: Sequence[DeletedMailbox], domain_record: int | None = None
    ) -> Callable[[], None]:
        """Return what takes records back, with that of a domain if one is given."""
        ledger, numbers = self._context.companion.ledger, [record.id for record in records]

        def drop() -> None:
            if changes.left:  # whoever deletes the account again needs them to know what it had
                raise StoreError("the directory is not as it was; the records of deleted mailboxes are kept")
            with ledger.db.writing() as tx:
                ledger.drop(tx, numbers)
                if domain_record is not None and ledger.domains is not None:
                    ledger.domains.drop(tx, domain_record)

        return drop


def stored_attributes(snapshot: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """Return what a decoded snapshot says the entry had."""
    attributes = snapshot.get("attributes", {})
    return {name: [base64.b64decode(value) for value in values] for name, values in attributes.items()}


def stored_below(snapshot: Mapping[str, Any]) -> list[tuple[str, dict[str, list[bytes]]]]:
    """Return name and attributes of what lay below the entry; what was above others comes first."""
    return [(below["dn"], stored_attributes(below)) for below in snapshot.get("below", ())]


def encoded(entry: Entry) -> dict[str, list[str]]:
    """Return what an entry has as `stored_attributes` reads it, without what the server notes."""
    return {
        name: [base64.b64encode(value).decode() for value in values]
        for name, values in entry.raw.items()
        if name.lower() not in _OPERATIONAL
    }


def _snapshot(
    entry: Entry, below: Iterable[Entry], others: Iterable[Entry], earlier: str | None, policies: KeptPolicies
) -> str:
    """Return everything about an account as JSON: its attributes in base64, and who refers to it with which attribute.

    With it goes what lies `below` it. An `earlier` snapshot is that of an interrupted deletion, which may have removed some
    of both already.
    """
    is_own = meaning(spellings_of(entry), entry.dn)
    references = [
        [other.dn, attribute, value]
        for other in others
        for attribute, value in values_of(other)
        if is_own(normal(attribute, value))
    ]
    before = json.loads(earlier) if earlier else {}
    references += [each for each in before.get("references", ()) if each not in references]
    inside = {child.dn: {"dn": child.dn, "attributes": encoded(child)} for child in below}
    inside = {each["dn"]: each for each in before.get("below", ())} | inside
    found: dict[str, Any] = {"dn": entry.dn, "attributes": encoded(entry), "references": references}
    policies = before.get(POLICIES, {}) | policies
    if policies:
        found[POLICIES] = policies
    if inside:
        found["below"] = sorted(inside.values(), key=lambda each: len(each["dn"]))
    return json.dumps(found)
