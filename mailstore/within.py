"""A store narrowed to some domains, for callers who are no admins of it: what a token of the HTTP API may do.

They may do what an admin of exactly these domains may, by the table of rights that all drivers keep (`driver.rights`). What
is not in the tables here is refused: something new is closed until somebody says what it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from mailstore.address import domain_part, held_address, held_domain
from mailstore.around import Call, Passing, around
from mailstore.driver.rights import (
    ACCOUNT_FIELDS,
    DOMAIN_FIELDS,
    IREDMAIL_DOMAIN,
    Operation,
    asked,
    deletion,
    refuse,
    stronger,
)
from mailstore.errors import InvalidValue, NotFound, PermissionDenied
from mailstore.model import Edit
from mailstore.policies import Level
from mailstore.store import Store

__all__ = ["within"]

_Store = TypeVar("_Store", bound=Store)
_Op = Operation
_FREE = frozenset({"take_notices", "close"})
_LEVELS: Mapping[str, Operation] = {
    "spam_policies": _Op.SET_SPAM_POLICY,
    "access_lists": _Op.SET_ACCESS_LIST,
    "throttles": _Op.SET_THROTTLE,
    "greylisting": _Op.SET_GREYLISTING,
}


def within(store: _Store, domains: Sequence[str], who: str) -> _Store:
    """Return a store in which only these domains exist; `who` is what refusals call the caller."""
    return around(store, _Narrow(store, frozenset(map(held_domain, domains)), who))


class _Narrow:
    """See `mailstore.around.Passing`."""

    def __init__(self, store: Store, domains: frozenset[str], who: str) -> None:
        self._store = store
        self._domains = domains
        self._who = who
        self._rules: Mapping[str, Callable[[Call], Any]] = {
            "domains": self._of_domains,
            "accounts": self._of_accounts,
            "aliases": self._of_addresses,
            "lists": self._of_addresses,
            "deleted": self._of_deleted,
            **dict.fromkeys(_LEVELS, self._of_levels),
        }

    def call(self, call: Call) -> Any:
        if not call.collection and call.method in _FREE:
            return call.proceed()
        rule = self._rules.get(call.collection)
        if rule is None:
            raise self._denied(call)
        return rule(call)

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def rehearsal(self) -> Passing:
        return self

    def acting_as(self, admin: str) -> Passing:
        raise PermissionDenied(f"{self._who} acts for nobody: {admin}", subject=admin)

    # --- what is within

    def _denied(self, call: Call) -> PermissionDenied:
        what = ".".join(filter(None, (call.collection, call.method)))
        return PermissionDenied(f"{self._who} is for single domains, and may not do this: {what}")

    def _allow(self, subject: str, operations: Iterable[Operation]) -> None:
        refuse(IREDMAIL_DOMAIN, self._who, list(operations), subject=subject)

    def _has(self, domain: str) -> bool:
        return held_domain(domain) in self._domains

    def _require(self, domain: str) -> None:
        if not self._has(domain):
            raise NotFound(f"there is no domain {domain}", subject=domain)

    def _require_address(self, address: str) -> None:
        self._require(domain_part(held_address(address)))

    # --- collections

    def _of_domains(self, call: Call) -> Any:
        arguments = call.arguments
        if call.method in {"list", "count"}:
            found = self._selected(arguments)
            return found if call.method == "list" else sum(1 for _ in found)
        if call.method == "exists":
            return self._has(arguments["domain"]) and call.proceed()
        if call.method == "get":
            self._require(arguments["domain"])
            return call.proceed()
        if call.method == "update":
            self._require(arguments["domain"])
            fields = {name: value for name, value in arguments.items() if name != "domain"}
            self._allow(arguments["domain"], {_Op.DESCRIBE_DOMAIN, *asked(fields, DOMAIN_FIELDS)})
            return call.proceed()
        raise self._denied(call)

    def _selected(self, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """Iterate over the domains of a list, which are few."""
        search = str(arguments.get("search") or "").lower()
        for name in sorted(self._domains):
            if name <= arguments.get("after", "") or not self._store.domains.exists(name):
                continue
            domain = self._store.domains.get(name)
            if arguments.get("enabled") not in {None, domain.enabled}:
                continue
            if search in domain.domain or search in domain.name.lower():
                yield domain

    def _one_domain(self, call: Call) -> Any:
        """List or count what is in one domain; it need not be named if there is one only."""
        domain = call.arguments.get("domain")
        if domain is None:
            if len(self._domains) != 1:
                raise InvalidValue(f"domain: {self._who} is for several domains; say which one is to be listed")
            [domain] = self._domains
        self._require(domain)
        return call.proceed(domain=domain)

    def _of_addresses(self, call: Call) -> Any:
        arguments = call.arguments
        if call.method in {"list", "count"}:
            return self._one_domain(call)
        if call.method == "exists":
            return self._has(domain_part(held_address(arguments["address"]))) and call.proceed()
        self._require_address(arguments["address"])
        if call.method == "rename":
            self._require_address(arguments["new_address"])
        if call.method not in {"get", "create", "update", "rename", "delete", "add_members", "remove_members"}:
            raise self._denied(call)
        return call.proceed()

    def _of_accounts(self, call: Call) -> Any:
        method, arguments = call.method, call.arguments
        if method in {"get", "exists", "list", "count"}:
            return self._of_addresses(call)
        if method == "create_many":
            return call.proceed(accounts=[self._checked_row(row) for row in arguments["accounts"]])
        if method == "update_all":
            return self._update_all(call)
        if method not in {"create", "update", "rename", "delete", "add_aliases", "remove_aliases"}:
            raise self._denied(call)
        address = arguments["address"]
        self._require_address(address)
        if method == "create":
            self._check_fields(address, arguments, new=True)
            return call.proceed()
        self._refuse_stronger(address)
        if method == "rename":
            self._require_address(arguments["new_address"])
        elif method == "delete":
            self._allow(address, deletion(_Op.DELETE_ACCOUNT, arguments.get("keep_mailbox_days")))
        else:
            self._check_fields(address, arguments)
        return call.proceed()

    def _checked_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        self._require_address(str(row.get("address", "")))
        self._check_fields(str(row["address"]), row, new=True)
        return row

    def _check_fields(self, address: str, arguments: Mapping[str, Any], *, new: bool = False) -> None:
        fields = {name: value for name, value in arguments.items() if name != "address" and value is not None}
        self._allow(address, asked(fields, ACCOUNT_FIELDS, new=new))
        aliases = fields.get("aliases", ())
        for alias in aliases.add if isinstance(aliases, Edit) else aliases:
            self._require_address(alias)

    def _update_all(self, call: Call) -> Any:
        domain = call.arguments["domain"]
        self._require(domain)
        fields = {name: value for name, value in call.arguments.items() if name != "domain"}
        self._allow(domain, asked(fields, ACCOUNT_FIELDS))
        for account in self._store.accounts.list(domain=domain, admins=True):
            raise stronger(self._who, account.address)
        return call.proceed()

    def _refuse_stronger(self, address: str) -> None:
        """Refuse to touch an account with admin rights, whose password would give more than these domains."""
        account = self._store.accounts.get(address)
        if account.admin or account.global_admin:
            raise stronger(self._who, address)

    def _of_deleted(self, call: Call) -> Any:
        method, arguments = call.method, call.arguments
        if method in {"list", "count"}:
            return self._one_domain(call)
        if method not in {"get", "reschedule", "restore"}:
            raise self._denied(call)
        record = self._store.deleted.get(arguments["record_id"])
        if not self._has(record.domain):
            raise NotFound(f"there is no record {record.id} of a deleted mailbox")
        if method == "reschedule":
            self._allow(record.address, deletion(_Op.RESCHEDULE, arguments["keep_mailbox_days"]))
        if method == "restore":
            rest = {name: value for name, value in arguments.items() if name != "record_id"}
            if record.restorable and (rest.get("password") or rest.get("password_hash")):
                # It may have been an admin, whose rights come back.
                raise PermissionDenied(f"{self._who} may not restore with another password: {record.address}")
            self._check_fields(record.address, rest)
        return call.proceed()

    def _of_levels(self, call: Call) -> Any:
        method, arguments = call.method, call.arguments
        subject = str(arguments.get("level") or arguments.get("address") or arguments.get("recipient") or "")
        if method not in {"get", "effective", "set", "update", "delete"} or not subject:
            raise self._denied(call)
        level = Level.parse(subject)
        if level.kind == "global":
            if method != "get":
                raise self._denied(call)
            return call.proceed()
        self._require(level.domain)
        if call.changes:
            self._allow(level.name, [_LEVELS[call.collection]])
        return call.proceed()
