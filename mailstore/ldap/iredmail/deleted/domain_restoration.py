"""How a deleted domain comes back: its entries, those of its accounts, and what led to it from outside.

The domain is marked as unfinished until all of its entries are there, so that whoever is interrupted begins anew with the
same call. References from outside follow, and the records are dropped last.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property

from mailstore.address import domain_part
from mailstore.driver.names import Spellings
from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail.admins.entries import demote_idle
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domains.collection import Domains
from mailstore.ldap.iredmail.domains.counters import COUNTERS
from mailstore.ldap.iredmail.domains.keeping import KeptDomain, identity, mark, named
from mailstore.ldap.iredmail.edits import remove_values, set_values
from mailstore.ldap.iredmail.entries import names_in
from mailstore.ldap.iredmail.groups.shields import FORWARDING, is_alias
from mailstore.ldap.iredmail.homes import Homemaker
from mailstore.ldap.iredmail.names.locks import UNFINISHED, is_unfinished, new_lock_value
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.names.references import normal, values_of
from mailstore.ldap.iredmail.policies.changes import bring_back, claim
from mailstore.ldap.iredmail.records import POLICIES, stored_attributes, stored_below
from mailstore.ldap.iredmail.services import ADMIN
from mailstore.ldap.iredmail.services import ATTRIBUTE as SERVICES
from mailstore.ldap.iredmail.settings import ATTRIBUTE as SETTINGS
from mailstore.ldap.names import DN, parse_dn, same_dn
from mailstore.model import DeletedDomain, DeletedMailbox
from mailstore.purge import find_mail

__all__ = ["DomainRestoration"]

_GROUP = "memberOfGroup"


class DomainRestoration:
    """One restore, while the names of domains are locked, and the records."""

    def __init__(
        self, context: Context, record: DeletedDomain, kept: str, mailboxes: Sequence[tuple[DeletedMailbox, str]]
    ) -> None:
        self._context = context
        self._record = record
        self._kept = KeptDomain(**json.loads(kept))
        self._mailboxes = [mailbox for mailbox, _ in mailboxes]
        self._snapshots = [json.loads(snapshot) for _, snapshot in mailboxes]
        self._dn = context.places.domain(record.domain)
        self._names = NameSpace(context)

    def run(self, changes: Changes) -> None:
        """Write everything. Raises AlreadyExists, HomeError."""
        if not self._is_there():
            Domains(self._context).claim_back(self._kept.names)
            self._check_homes()
            with ExitStack() as stack:
                for owner in sorted(set(self._owners.values())):
                    stack.enter_context(self._names.lock_domain(owner))
                self._add(changes)
        for (dn, which), values in self._references().items():
            self._refer(changes, parse_dn(dn), which, values)
        admins = [entry.first("mail").lower() for entry in self._of_accounts if entry.has(SERVICES, ADMIN)]
        demote_idle(self._context, changes, admins)  # domains elsewhere that they managed may be gone

    def unmark(self) -> None:
        """Forget where the domain came from, after the record was dropped."""
        name, own = self._record.domain, [mark(self._record)]
        with self._context.changing(name) as changes:
            missing = NotFound(f"domain {name} is gone", subject=name)
            self._context.edit(changes, self._dn, lambda entry: remove_values(entry, SETTINGS, own), missing)

    def _is_there(self) -> bool:
        """Tell whether an earlier restore was interrupted when all entries were there."""
        entry = self._context.directory.read(self._dn, (SETTINGS,))
        settings = entry.values(SETTINGS) if entry else ()
        return mark(self._record) in settings and not any(map(is_unfinished, settings))

    def _add(self, changes: Changes) -> None:
        entries = list(self._entries())
        taken = {name for entry in entries for name in self._elsewhere(entry)}
        self._names.refuse_taken({name: {name} for name in sorted(taken)}, list(self._names.holders(taken)))
        claim(self._context, taken, self._kept.names)
        self._bring_back_policies(changes, {name for entry in entries for name in names_in(entry)})
        domain, *others = sorted(entries, key=lambda entry: len(entry.dn))
        unfinished = new_lock_value(UNFINISHED)
        ours = [value.encode() for value in (unfinished, mark(self._record))]
        settings = [*domain.raw.get(SETTINGS, ()), *ours]
        changes.add(self._dn, {**domain.raw, SETTINGS: settings, "accountStatus": [b"disabled"]})
        for entry in others:
            if self._has_its_place(entry):
                changes.add(entry.dn, entry.raw)
        finished = [
            Change.replace("accountStatus", *domain.raw.get("accountStatus", ())),
            Change.delete(SETTINGS, unfinished),
        ]
        changes.modify(self._dn, finished, undo=())

    def _bring_back_policies(self, changes: Changes, addresses: Collection[str]) -> None:
        kept = dict(self._kept.policies)
        for snapshot in self._snapshots:
            kept |= snapshot.get(POLICIES, {})
        bring_back(self._context, changes, kept, {*self._kept.names, *addresses})

    def _has_its_place(self, entry: Entry) -> bool:
        """Tell whether an entry, which may hold members of a list elsewhere, still has one to be in."""
        if entry.dn.lower().endswith(self._dn.lower()):
            return True
        return entry.first(_GROUP).lower() in self._still_there and self._context.directory.read(entry.dn, ()) is None

    def _entries(self) -> Iterator[Entry]:
        """Iterate over all entries as they come back."""
        for each in self._kept.entries:
            entry = Entry(parse_dn(each["dn"]), stored_attributes(each))
            adapted = self._adapted(entry)
            if adapted is not None:
                yield adapted
        for entry, snapshot in zip(self._of_accounts, self._snapshots, strict=True):
            yield self._adapted(entry) or entry
            yield from (Entry(parse_dn(name), attributes) for name, attributes in stored_below(snapshot))

    @cached_property
    def _of_accounts(self) -> list[Entry]:
        return [Entry(parse_dn(each["dn"]), stored_attributes(each)) for each in self._snapshots]

    def _adapted(self, entry: Entry) -> Entry | None:
        """Return an entry without what refers to something that is no more; None if nothing is left of it."""
        raw: dict[str, list[bytes]] = {name: list(values) for name, values in entry.raw.items()}
        led = values_of(entry)
        lost = {(attribute, value) for attribute, value in led if self._is_lost(attribute, normal(attribute, value))}
        lost |= {("shadowAddress", name) for name in entry.values("shadowAddress") if not self._has_owner(name)}
        for attribute in {attribute for attribute, _ in lost}:
            kept = [value for value in entry.values(attribute) if (attribute, value) not in lost]
            raw[_spelt(raw, attribute)] = [value.encode("utf-8", "surrogateescape") for value in kept]
        if entry.has("objectClass", "mailExternalUser") and not raw.get(_spelt(raw, "mail"), ()):
            return None
        if is_alias(entry) and entry.has(FORWARDING) and not raw[_spelt(raw, FORWARDING)] and self._has_catch_all:
            raw[_spelt(raw, FORWARDING)] = [entry.first("mail").encode()]
        served = {form for name in self._elsewhere(entry) for form in self._served.get(name.lower(), ())}
        if served:
            name = _spelt(raw, "shadowAddress")
            raw[name] += sorted(form.encode() for form in served - {value.decode().lower() for value in raw[name]})
        if same_dn(entry.dn, self._dn):
            self._count_less(raw)
        return Entry(entry.dn, {name: values for name, values in raw.items() if values})

    def _count_less(self, raw: dict[str, list[bytes]]) -> None:
        """Let the panel's counter of accounts be what comes back."""
        counter = _spelt(raw, next(name for name, kind in COUNTERS.items() if kind == "mailUser"))
        number = Entry(self._dn, raw).number(counter)
        if number is not None:
            raw[counter] = [str(max(number - len(self._gone), 0)).encode()]

    @cached_property
    def _gone(self) -> dict[str, list[str]]:
        """The accounts that do not come back, with their names."""
        left = {mailbox.address for mailbox in self._mailboxes}
        return {address: names for address, names in self._kept.accounts.items() if address not in left}

    @cached_property
    def _gone_names(self) -> Spellings:
        return Spellings([name for address, names in self._gone.items() for name in (address, *names)])

    @cached_property
    def _gone_entries(self) -> set[str]:
        return {self._context.places.account(address).lower() for address in self._gone}

    def _is_gone(self, value: str) -> bool:
        return value in self._gone_entries or self._gone_names.meant(value) is not None

    def _is_lost(self, attribute: str, value: str) -> bool:
        """Tell whether a value, as `normal` returns it, refers to something that does not come back, or went meanwhile."""
        outside = value.rpartition("@")[2] not in self._kept.names
        if outside and attribute in {_GROUP, "domainAdmin"}:
            return value not in self._still_there
        return self._is_gone(value)

    @cached_property
    def _still_there(self) -> set[str]:
        """The lists and admins outside of the domain that its entries name, as far as they are still the same."""
        outside = self._kept.outside
        found = named(self._context, outside)
        return {name for entry in found for name in names_in(entry) if outside.get(name) == identity(entry)}

    @cached_property
    def _owners(self) -> dict[str, str]:
        """The domains, by name, that own what accounts are called outside of their own."""
        stored = (Entry(self._dn, stored_attributes(each)) for each in (*self._kept.entries, *self._snapshots))
        names = {domain_part(name.lower()) for entry in stored for name in entry.values("shadowAddress")}
        return self._names.owners(names - set(self._kept.names))

    @cached_property
    def _served(self) -> dict[str, set[str]]:
        """Every name outside of the domain, with its forms under the alias domains that its owner has by now."""
        known = self._names.all_alias_domains() if self._owners else None
        names = {name.lower() for entry in self._of_accounts for name in self._elsewhere(entry)}
        return {name: known.forms(name) for name in names} if known else {}

    def _has_owner(self, name: str) -> bool:
        domain = domain_part(name.lower())
        return domain in self._kept.names or domain in self._owners

    def _elsewhere(self, entry: Entry) -> list[str]:
        """Return what an entry is called in other domains that are there still."""
        return [name for name in entry.values("shadowAddress") if domain_part(name.lower()) in self._owners]

    @cached_property
    def _has_catch_all(self) -> bool:
        dn = self._context.places.catch_all(self._record.domain)
        return any(same_dn(each["dn"], dn) for each in self._kept.entries)

    def _check_homes(self) -> None:
        """Make sure that the mail of all accounts is there, and that nobody else's is, nor at, in or above it."""
        homes = [mailbox.home for mailbox in self._mailboxes]
        Homemaker(self._context).refuse_used(homes, restoring=self._mailboxes)
        for mailbox in self._mailboxes:
            find_mail(self._context.homes, mailbox)

    def _references(self) -> dict[tuple[str, str], dict[str, list[str]]]:
        """Return what leads to the domain again, by the name of each entry and which one it was."""
        found: dict[tuple[str, str], dict[str, list[str]]] = {}
        for dn, attribute, value, which in self._kept.references:
            if not self._is_gone(normal(attribute, value)):
                found.setdefault((dn, which), {}).setdefault(attribute, []).append(value)
        return found

    def _refer(self, changes: Changes, dn: DN, which: str, values: Mapping[str, list[str]]) -> None:
        """Let an entry refer to the domain again, unless it is gone, or another one by now."""

        def build(entry: Entry) -> list[Change]:
            if identity(entry) != which:
                return []
            found: list[Change] = []
            for attribute, some in values.items():
                shield = [entry.first("mail")] if is_alias(entry) and attribute == FORWARDING else []
                kept = [value for value in entry.values(attribute) if value not in shield]
                found += set_values(entry, attribute, [*kept, *some])
            return found

        try:
            self._context.edit(changes, dn, build, NotFound(f"{dn} is gone", subject=self._record.domain))
        except NotFound:
            return


def _spelt(raw: dict[str, list[bytes]], attribute: str) -> str:
    """Return the name of an attribute as the server spelt it."""
    return next((name for name in raw if name.lower() == attribute.lower()), attribute)
