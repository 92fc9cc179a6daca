"""Where entries go in a store: for each kind what is there already, what it can hold, and how it is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from mailstore.errors import NotFound
from mailstore.model import Capability
from mailstore.policies import AccessListFields, GreylistingFields, SpamPolicyFields, ThrottleFields
from mailstore.store import Store
from mailstore.transfer.entries import INFORMATION, Entry, SpfDomains

__all__ = ["LATER", "Place", "lacking", "places_of"]

LATER: Final = frozenset({
    "quota", "max_account_quota", "max_accounts", "max_aliases", "max_lists", "disabled_services", "min_password_length",
    "max_password_length", "catch_all", "alias_domains",
})  # fmt: skip
"""What a domain is told when all that lies in it is there: a store may hold more than its limits allow to create."""
_RIGHTS = frozenset({"domains", "max_domains", "max_quota", "max_accounts", "max_aliases", "max_lists"})
"""What means nothing for a global admin, and is not kept."""
_LIMITS = _RIGHTS - {"domains"} | {"may_view_mail_log", "may_manage_quarantine"}
_NAMED = frozenset({"address", "domain", "level", "direction", "kind", "home", "problems"})
_TOLD_ONLY = INFORMATION - {"settings", "exceptions", "custom"}
_OF_THE_ACCOUNT = frozenset({"name", "language", "enabled"})


class Place(ABC):
    """One kind of thing in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._writable: dict[frozenset[str], Sequence[str]] = {}

    @property
    @abstractmethod
    def keeps(self) -> Collection[str]:
        """The fields that the store has a place for."""

    def ahead(self, entries: Sequence[Entry]) -> Collection[str]:  # noqa: ARG002
        """Read what is there of some entries at once, where a store can; `present` and `stored_hash` then know it.

        Returns the keys of those that are there.
        """
        return ()

    @abstractmethod
    def present(self, entry: Entry) -> Any:
        """Return the record that is there, or None."""

    @abstractmethod
    def create(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
        """Make what is not there. Returns the record as stored."""

    @abstractmethod
    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
        """Change what is there. Returns the record as stored."""

    def stored_hash(self, entry: Entry) -> str | None:  # noqa: ARG002
        """Return the hash that is there, None where there is no such thing."""
        return None

    def wanted(self, entry: Entry) -> dict[str, Any]:
        """Return the fields of an entry that are to be written."""
        names = self._writable.get(entry.given)
        if names is None:  # the entries of one store say the same fields
            names = self._writable[entry.given] = sorted(entry.given & {*self.keeps} - INFORMATION - _NAMED)
        record = entry.record
        return {name: getattr(record, name) for name in names}

    def lost(self, entry: Entry, wanted: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Return the fields that say something which the store has no place for; `wanted` is what `wanted` returns."""
        kept = self.wanted(entry) if wanted is None else wanted
        names = entry.given - _NAMED - _TOLD_ONLY - kept.keys()
        return tuple(sorted(name for name in names if entry.says(name)))


class _Domains(Place):
    @property
    def keeps(self) -> Collection[str]:
        has = self.store.capabilities
        # Where domains are nothing but their addresses, one of these is @domain.
        as_alias = {"catch_all"} if Capability.ALIASES in has and Capability.DOMAINS not in has else set()
        aliases = {"alias_domains"} if Capability.ALIAS_DOMAINS in has else set()
        return self.store.domains.fields | as_alias | aliases

    def wanted(self, entry: Entry) -> dict[str, Any]:
        fields = super().wanted(entry)
        if fields.get("backup_mx"):
            fields.pop("transport", None)  # it follows from the host that mail is relayed to
        return fields

    def lost(self, entry: Entry, wanted: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        kept = self.wanted(entry) if wanted is None else wanted
        return tuple(name for name in super().lost(entry, kept) if not (name == "transport" and "backup_mx" in kept))

    def present(self, entry: Entry) -> Any:
        return _found(self.store.domains.get, entry.key)

    def create(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        values: Any = dict(fields)
        names = values.pop("alias_domains", ())
        made = self.store.domains.create(entry.key, **values)
        return self.update(entry, {"alias_domains": names}, {}) if names else made

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        rest: Any = dict(fields)
        names, catch_all = rest.pop("alias_domains", ()), rest.get("catch_all")
        if catch_all is not None and "catch_all" not in self.store.domains.fields:
            self._catch_all(entry.key, rest.pop("catch_all"))
        if rest:
            self.store.domains.update(entry.key, **rest)
        if names:
            # Those that the entry does not name stay: with an alias domain the aliases below it would go.
            self.store.domains.add_alias_domains(entry.key, names)
        return self.store.domains.get(entry.key)

    def _catch_all(self, domain: str, members: tuple[str, ...]) -> None:
        """Set the catch-all of a store that has it as an alias of the whole domain."""
        address = f"@{domain}"
        there = self.store.aliases.exists(address)
        if members:
            write = self.store.aliases.update if there else self.store.aliases.create
            write(address, members=members)
        elif there:
            self.store.aliases.delete(address)


class _Accounts(Place):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._read: dict[str, Any] = {}
        self._hashes: dict[str, str] = {}
        self._known: dict[tuple[tuple[str, ...], frozenset[str] | None], tuple[tuple[str, ...], bool]] = {}

    @property
    def keeps(self) -> Collection[str]:
        return self.store.accounts.fields

    def wanted(self, entry: Entry) -> dict[str, Any]:
        fields = super().wanted(entry)
        if "services" in fields:
            fields["services"] = self._services_here(fields["services"], entry.known_services)[0]
        if entry.says("name") and not (entry.says("first_name") or entry.says("last_name")):
            # A store may make one of the other: two empty ones would empty the third.
            fields.pop("first_name", None)
            fields.pop("last_name", None)
        return fields

    def lost(self, entry: Entry, wanted: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        lost = super().lost(entry, wanted)
        if "services" in self.keeps and self._services_here(entry.value("services"), entry.known_services)[1]:
            return tuple(sorted({*lost, "services"}))
        return lost

    def _services_here(self, services: tuple[str, ...], known: frozenset[str] | None) -> tuple[tuple[str, ...], bool]:
        """Return what services of the source are here, and whether one is not known; nearly all accounts have the same."""
        found = self._known.get((services, known))
        if found is None:
            translate = self.store.accounts.services_here
            unknown = not all(translate([name]) for name in services)
            found = self._known[services, known] = (translate(services, known), unknown)
        return found

    def ahead(self, entries: Sequence[Entry]) -> Collection[str]:
        accounts = self.store.accounts
        self._read = dict(accounts.find([entry.key for entry in entries]))
        ready = Capability.READY_HASHES in self.store.capabilities
        self._hashes = dict(accounts.password_hashes(list(self._read))) if ready and self._read else {}
        return self._read.keys()

    def present(self, entry: Entry) -> Any:
        found = self._read.get(entry.key)
        return _found(self.store.accounts.get, entry.key) if found is None else found

    def create(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
        values: Any = {**fields, **secret}
        return self.store.accounts.create(entry.key, **values)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
        values: Any = {**fields, **secret}
        self._read.pop(entry.key, None)
        self._hashes.pop(entry.key, None)
        return self.store.accounts.update(entry.key, **values)

    def stored_hash(self, entry: Entry) -> str | None:
        if Capability.READY_HASHES not in self.store.capabilities:
            return None
        return self._hashes.get(entry.key) or self.store.accounts.password_hash(entry.key)


class _Aliases(Place):
    @property
    def keeps(self) -> Collection[str]:
        return self.store.aliases.fields

    def present(self, entry: Entry) -> Any:
        return _found(self.store.aliases.get, entry.key)

    def create(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.aliases.create(entry.key, **fields)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.aliases.update(entry.key, **fields)


class _Lists(Place):
    @property
    def keeps(self) -> Collection[str]:
        return self.store.lists.fields

    def present(self, entry: Entry) -> Any:
        return _found(self.store.lists.get, entry.key)

    def create(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.lists.create(entry.key, **fields)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.lists.update(entry.key, **fields)


class _Admins(Place):
    @property
    def keeps(self) -> Collection[str]:
        return self.store.admins.fields

    def wanted(self, entry: Entry) -> dict[str, Any]:
        idle = _RIGHTS if entry.record.global_admin else frozenset()
        if entry.record.kind == "account":
            idle |= _OF_THE_ACCOUNT
        limits = frozenset[str]()
        if entry.record.kind == "account" and Capability.ACCOUNT_ADMIN_LIMITS not in self.store.capabilities:
            limits = _LIMITS
        return {
            name: value
            for name, value in super().wanted(entry).items()
            # A limit that says something is left to the store to refuse: without it the admin could do more.
            if name not in idle and (name not in limits or entry.says(name))
        }

    def present(self, entry: Entry) -> Any:
        return _found(self.store.admins.get, entry.key)

    def create(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
        values: Any = {**fields, **secret}
        if entry.record.kind == "account":
            return self.store.admins.promote(entry.key, **values)
        return self.store.admins.create(entry.key, **values)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
        values: Any = {**fields, **secret}
        return self.store.admins.update(entry.key, **values)

    def stored_hash(self, entry: Entry) -> str | None:
        return self.store.admins.password_hash(entry.key) if entry.record.kind == "standalone" else None


class _Set(Place):
    """What always answers, with nothing set where nothing is, and is written by setting it."""

    def create(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
        return self.update(entry, fields, secret)

    def wanted(self, entry: Entry) -> dict[str, Any]:
        return {name: value for name, value in super().wanted(entry).items() if entry.says(name)}


class _SpamPolicies(_Set):
    keeps = frozenset(SpamPolicyFields.__annotations__)

    def present(self, entry: Entry) -> Any:
        return self.store.spam_policies.get(entry.key)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.spam_policies.update(entry.key, **fields)


class _Throttles(_Set):
    keeps = frozenset({"period", *ThrottleFields.__annotations__})

    def present(self, entry: Entry) -> Any:
        return self.store.throttles.get(entry.key, entry.record.direction)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.throttles.update(entry.key, entry.record.direction, **fields)


class _Greylisting(_Set):
    keeps = frozenset(GreylistingFields.__annotations__)

    def present(self, entry: Entry) -> Any:
        return self.store.greylisting.get(entry.key)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.greylisting.set(entry.key, **fields)


class _SpfDomains(_Set):
    keeps = frozenset({"domains"})

    def present(self, entry: Entry) -> Any:  # noqa: ARG002
        return SpfDomains(self.store.greylisting.spf_domains())

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return SpfDomains(self.store.greylisting.set_spf_domains(fields["domains"]))


class _AccessLists(_Set):
    keeps = frozenset(AccessListFields.__annotations__)

    def present(self, entry: Entry) -> Any:
        return self.store.access_lists.get(entry.key, entry.record.direction)

    def update(self, entry: Entry, fields: Mapping[str, Any], secret: Mapping[str, str]) -> Any:  # noqa: ARG002
        return self.store.access_lists.set(entry.key, entry.record.direction, **fields)


_PLACES: Final[Mapping[str, tuple[type[Place], Capability | None]]] = {
    "domain": (_Domains, None),
    "account": (_Accounts, None),
    "alias": (_Aliases, Capability.ALIASES),
    "list": (_Lists, Capability.LISTS),
    "admin": (_Admins, Capability.ADMINS),
    "spam-policy": (_SpamPolicies, Capability.SPAM_POLICIES),
    "throttle": (_Throttles, Capability.THROTTLES),
    "greylisting": (_Greylisting, Capability.GREYLISTING),
    "spf-domains": (_SpfDomains, Capability.GREYLISTING),
    "access-list": (_AccessLists, Capability.ACCESS_LISTS),
}


def places_of(store: Store) -> Mapping[str, Place]:
    """Return the place of each kind that a store can hold; a list goes among the aliases where there are no lists."""
    has = store.capabilities
    places = {kind: make(store) for kind, (make, needed) in _PLACES.items() if needed is None or needed in has}
    if "list" not in places and "alias" in places:
        places["list"] = places["alias"]
    return places


def lacking(store: Store, kind: str) -> str:
    """Return why a store can hold nothing of a kind."""
    needed = _PLACES[kind][1]
    return f"{store.name} has no {needed.value if needed else kind}"


def _found(get: Callable[[str], Any], name: str) -> Any:
    try:
        return get(name)
    except NotFound:
        return None
