"""Records of mailboxes whose accounts go, with a snapshot of the entry and of every reference to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from mailstore.address import domain_part
from mailstore.errors import StoreError
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.account_entries import address_of
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.homes import home_of
from mailstore.ldap.iredmail.references import meaning, normal, spellings_of, values_of
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.ledger import NewRecord

__all__ = ["Retention", "stored_attributes"]

_NOTHING = Usage(0, 0)
_OPERATIONAL = {"createtimestamp", "modifytimestamp", "entrycsn"}


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
        others, with_home = list(references), [entry for entry in accounts if home_of(entry)]
        ledger = self._context.companion.ledger
        usage = self._context.companion.usage([address_of(entry) for entry in with_home])
        homes = {(address_of(entry), home_of(entry)) for entry in with_home}
        with ledger.db.writing() as tx:
            names = [address_of(entry) for entry in with_home]
            former = ledger.select(ledger.records.c.username.in_(names))
            stale = [record for record in former if (record.address, record.home) in homes]
            usage = {record.address: record.usage for record in stale} | usage
            earlier = {record.address: ledger.snapshot(tx.connection, record) for record in stale}
            ledger.drop(tx, [record.id for record in stale])
            new = [
                self._new(entry, others, due, usage.get(address_of(entry), _NOTHING), earlier.get(address_of(entry)))
                for entry in with_home
            ]
            made = ledger.add(tx, new)
        changes.on_undo("records of deleted mailboxes", self._dropping(changes, [record.id for record in made]))
        return made

    def _new(self, entry: Entry, others: Iterable[Entry], due: date, usage: Usage, earlier: str | None) -> NewRecord:
        address = address_of(entry)
        return NewRecord(
            address,
            domain_part(address),
            f"{home_of(entry)}/",
            due,
            self._context.deleted_by,
            usage,
            _snapshot(entry, others, earlier),
        )

    def _dropping(self, changes: Changes, records: Sequence[int]) -> Callable[[], None]:
        ledger = self._context.companion.ledger

        def drop() -> None:
            if changes.left:  # whoever deletes the account again needs them to know what it had
                raise StoreError("the directory is not as it was; the records of deleted mailboxes are kept")
            with ledger.db.writing() as tx:
                ledger.drop(tx, records)

        return drop


def stored_attributes(snapshot: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """Return what a decoded snapshot says the entry had."""
    attributes = snapshot.get("attributes", {})
    return {name: [base64.b64decode(value) for value in values] for name, values in attributes.items()}


def _snapshot(entry: Entry, others: Iterable[Entry], earlier: str | None) -> str:
    """Return everything about an account as JSON: its attributes in base64, and who refers to it with which attribute.

    An `earlier` snapshot is that of an interrupted deletion, which may have removed some of the references already.
    """
    is_own = meaning(spellings_of(entry), entry.dn)
    attributes = {
        name: [base64.b64encode(value).decode() for value in values]
        for name, values in entry.raw.items()
        if name.lower() not in _OPERATIONAL
    }
    references = [
        [other.dn, attribute, value]
        for other in others
        for attribute, value in values_of(other)
        if is_own(normal(attribute, value))
    ]
    removed = json.loads(earlier)["references"] if earlier else []
    references += [each for each in removed if each not in references]
    return json.dumps({"dn": entry.dn, "attributes": attributes, "references": references})
