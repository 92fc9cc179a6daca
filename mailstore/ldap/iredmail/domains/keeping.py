"""What is kept of a domain that is about to be deleted, besides its mailboxes: entries, and what leads to them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from mailstore.driver.companions import KeptPolicies, levels
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import IDENTITY, STAMPS, Context
from mailstore.ldap.iredmail.entries import address_of, names_in
from mailstore.ldap.iredmail.names.locks import lock_age
from mailstore.ldap.iredmail.names.references import normal, values_of
from mailstore.ldap.iredmail.records import encoded
from mailstore.ldap.iredmail.services import ADMIN
from mailstore.ldap.iredmail.services import ATTRIBUTE as SERVICES
from mailstore.ldap.iredmail.settings import ATTRIBUTE as SETTINGS
from mailstore.ldap.iredmail.settings import RESTORED_KEY
from mailstore.ldap.names import any_of, equals, is_within, present, same_dn
from mailstore.model import DeletedDomain, DeletedMailbox
from mailstore.sql.engine import Transaction

__all__ = ["DomainKeeping", "KeptDomain", "identity", "mark", "named"]

_NAMED = ("memberOfGroup", "domainAdmin")
_AT_ONCE = 50
"""How many names stand in one filter."""


@dataclass
class KeptDomain:
    """What a record of a deleted domain holds.

    Attributes
    ----------
    names: of the domain, its own first.
    identity: what tells the domain's entry from another one of its name.
    accounts: every name of each account whose mailbox has a record of its own, by its address.
    entries: names and attributes of all other entries; those with values outside that went with their last one, too.
    references: who outside of the domain led to it: name of the entry, attribute, value, and which entry it was.
    outside: the lists and admins outside that entries of the domain name, and which entries they were.
    policies: what databases beside had for the domain's names and for addresses below, but those of `accounts`.
    """

    names: list[str]
    identity: str = ""
    accounts: dict[str, list[str]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    references: list[list[str]] = field(default_factory=list)
    outside: dict[str, str] = field(default_factory=dict)
    policies: KeptPolicies = field(default_factory=dict)

    def joined(self, earlier: KeptDomain) -> KeptDomain:
        """Return this with what an interrupted deletion of the same domain kept, which may have removed some already."""
        entries = {each["dn"]: each for each in earlier.entries} | {each["dn"]: each for each in self.entries[1:]}
        references = [each for each in earlier.references if each not in self.references]
        return KeptDomain(
            list(dict.fromkeys([*self.names, *earlier.names])), self.identity, earlier.accounts | self.accounts,
            list(entries.values()), [*self.references, *references], self.outside | earlier.outside,
            earlier.policies | self.policies,
        )  # fmt: skip


def mark(record: DeletedDomain) -> str:
    """Return the setting of a domain that came back from a record which is not dropped yet."""
    return f"{RESTORED_KEY}:{record.id}"


class DomainKeeping:
    """The record of one domain, in the transaction that records its mailboxes."""

    def __init__(self, context: Context, tx: Transaction, before: Entry, names: Collection[str]) -> None:
        """`before` is the domain's entry as it was, with all attributes."""
        self._context = context
        self._tx = tx
        self._before = before
        self._records = context.companion.ledger.domains
        domain = before.first("domainName").lower()
        self._kept = KeptDomain([domain, *sorted(set(names) - {domain})])
        self._recorded: set[str] = set()
        self._named: set[str] = set()
        self._earlier: tuple[DeletedDomain, KeptDomain] | None = None
        self.number: int | None = None
        """The ``domain_record`` of the mailboxes; None where there is no room for records of domains."""
        if self._records is not None:
            self._kept.identity = identity(before)
            self._earlier = self._find_earlier()
            self.number = -self._earlier[0].id if self._earlier else self._records.new_number(tx)

    @property
    def interrupted(self) -> bool:
        """Whether this goes on with a deletion, or a restore, that was interrupted: its record is still needed."""
        return self._earlier is not None

    @property
    def record_id(self) -> int | None:
        """The record that is made."""
        return None if self.number is None else -self.number

    def note(self, accounts: Iterable[Entry], recorded: Iterable[DeletedMailbox]) -> None:
        """Take note of accounts of which those that are `recorded` come back from records of their own."""
        own = {record.address for record in recorded}
        for entry in accounts:
            self._note_named(entry)
            if (address := address_of(entry)) in own:
                self._kept.accounts[address] = sorted(names_in(entry))
                self._recorded.add(entry.dn.lower())

    def finish(self, others: Sequence[Entry], due: date) -> None:
        """Write the record. `others` are the entries outside that refer to the domain, with all attributes."""
        if self._records is None or self.number is None:
            return
        inside = [self._of_domain(), *self._inside()]
        self._kept.entries = list(map(_stored, inside))
        for entry in inside:
            self._note_named(entry)
        for other in others:
            self._keep_references(other)
        self._find_named()
        own = {name for names in self._kept.accounts.values() for name in names}
        found = self._context.policies.kept(levels(domains=self._kept.names))
        self._kept.policies = {name: kept for name, kept in found.items() if name not in own}
        kept = self._kept
        if self._earlier is not None:
            record, earlier = self._earlier
            kept = kept.joined(earlier)
            self._records.drop(self._tx, record.id)
        self._records.add(
            self._tx, self.number, kept.names[0], due, self._context.deleted_by, len(kept.accounts), json.dumps(asdict(kept))
        )  # fmt: skip

    def _find_earlier(self) -> tuple[DeletedDomain, KeptDomain] | None:
        if self._records is None:
            return None
        found = next(self._records.list(self._records.name == self._kept.names[0]), None)
        if found is None:
            return None
        kept = KeptDomain(**json.loads(self._records.lock(self._tx, found.id) or "{}"))
        same = kept.identity == self._kept.identity != "" or self._before.has(SETTINGS, mark(found))
        return (found, kept) if same else None

    def _of_domain(self) -> Entry:
        """Return the domain's entry without what mailstore itself notes there."""
        settings = [value for value in self._before.values(SETTINGS) if not _is_ours(value)]
        return Entry(self._before.dn, {**self._before.raw, SETTINGS: [value.encode() for value in settings]})

    def _inside(self) -> Iterator[Entry]:
        """Iterate over the entries below the domain, but accounts with records of their own and what is below these."""
        for entry in self._context.directory.search(self._before.dn, present("objectClass")):
            above = entry.dn.lower().split(",")
            recorded = any(",".join(above[place:]) in self._recorded for place in range(len(above)))
            if not recorded and not same_dn(entry.dn, self._before.dn):
                yield entry

    def _keep_references(self, other: Entry) -> None:
        led = [(attribute, value) for attribute, value in values_of(other) if self._is_inside(normal(attribute, value))]
        if other.has("objectClass", "mailExternalUser") and len(led) == len(other.values("mail")):
            self._kept.entries.append(_stored(other))  # it goes with its last member
            self._note_named(other)
        led += [("shadowAddress", value) for value in other.values("shadowAddress") if self._is_inside(value.lower())]
        self._kept.references += [[other.dn, attribute, value, identity(other)] for attribute, value in led]

    def _note_named(self, entry: Entry) -> None:
        values = (value.lower() for attribute in _NAMED for value in entry.values(attribute))
        self._named.update(value for value in values if not self._is_inside(value))

    def _find_named(self) -> None:
        """Note which lists and admins the domain names, and keep the mark of those admins for whom it may be the last."""
        admins = {value.lower() for value in self._before.values("domainAdmin")}
        for entry in named(self._context, self._named):
            self._kept.outside |= {value: identity(entry) for value in names_in(entry) & self._named}
            if entry.has(SERVICES, ADMIN) and names_in(entry) & admins:
                self._kept.references.append([entry.dn, SERVICES, ADMIN, identity(entry)])

    def _is_inside(self, value: str) -> bool:
        return value.rpartition("@")[2] in self._kept.names or is_within(value, self._before.dn)


def identity(entry: Entry) -> str:
    """Return what tells an entry, read with its stamps, from another one of its name."""
    return entry.first(IDENTITY) or entry.first(STAMPS[0])


def named(context: Context, names: Collection[str]) -> Iterator[Entry]:
    """Iterate over the entries that have one of these addresses, standalone admins among them."""
    wanted = sorted(names)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        query = any_of(*(equals(name, value) for value in some for name in ("mail", "shadowAddress")))
        attributes = ("mail", "shadowAddress", SERVICES, *STAMPS, IDENTITY)
        yield from context.directory.search(context.places.domains, query, attributes=attributes)
        admins = any_of(*(equals("mail", value) for value in some))
        yield from context.directory.search(context.places.admins, admins, attributes=attributes)


def _stored(entry: Entry) -> dict[str, Any]:
    return {"dn": entry.dn, "attributes": encoded(entry)}


def _is_ours(setting: str) -> bool:
    return lock_age(setting) is not None or setting.startswith(f"{RESTORED_KEY}:")
