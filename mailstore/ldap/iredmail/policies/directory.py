"""What policies in databases beside the directory have to know of it; see `mailstore.driver.companions.Directory`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from mailstore.address import local_part
from mailstore.driver.rights import Operation
from mailstore.errors import NotFound
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.entries import ACCOUNT
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.rights import IS_ADMIN, RANK
from mailstore.ldap.names import all_of, any_of, equals
from mailstore.ldap.rehearsal import Rehearsal
from mailstore.policies import Level

__all__ = ["PolicyDirectory"]

_BATCH = 1000


class PolicyDirectory:
    """iRedMail's tree, as one admin sees it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)

    @contextmanager
    def holding(self, level: Level, operation: Operation, *, accounts_only: bool = False) -> Iterator[None]:
        """See `mailstore.driver.companions.Directory`. Whoever deletes or renames takes the same lock."""
        if level.kind == "global":
            self.require_everything(str(level))
            yield
            return
        owner = self._owner(level, accounts_only)
        subject = owner if level.kind == "domain" else f"{local_part(level.name)}@{owner}"
        self._context.require_right(subject, operation)
        if level.kind == "address":
            self._refuse_stronger({level.name, subject})
        with self._names.lock_domain(owner):
            if level.kind == "address":
                self._require_address(level.name, owner, accounts_only)
            yield

    def _owner(self, level: Level, accounts_only: bool) -> str:
        owner = self._names.owners([level.domain]).get(level.domain)
        if owner is None:
            raise self._names.no_such_domain(level.domain)
        if accounts_only and owner != level.domain:
            raise NotFound(f"{level.domain} is an alias domain; mail is scanned for {owner}", subject=str(level))
        return owner

    def _require_address(self, address: str, owner: str, accounts_only: bool) -> None:
        if accounts_only:
            if self._context.directory.read(self._context.places.account(address), ("1.1",)) is None:
                raise NotFound(f"there is no account {address}", subject=address)
        elif not self._held({address, f"{local_part(address)}@{owner}"}):
            raise NotFound(f"there is no account, alias or list {address}", subject=address)

    def _refuse_stronger(self, addresses: Collection[str]) -> None:
        if self._context.actor is None:
            return
        held = any_of(*(equals(name, address) for address in sorted(addresses) for name in ("mail", "shadowAddress")))
        found = all_of(ACCOUNT, IS_ADMIN, held)
        for entry in self._context.directory.search(self._context.places.domains, found, attributes=RANK):
            self._context.refuse_stronger(entry)

    def require_everything(self, what: str) -> None:
        """See `mailstore.driver.companions.Directory`."""
        if self._context.actor:
            self._context.actor.require_anywhere(what, Operation.SET_FOR_ALL)

    def sees(self, domain: str) -> bool:
        """See `mailstore.driver.companions.Directory`."""
        actor = self._context.actor
        return actor is None or actor.is_global() or actor.sees(self._names.owners([domain]).get(domain, domain))

    @contextmanager
    def unheld(self, names: Collection[Level]) -> Iterator[Collection[Level]]:
        """See `mailstore.driver.companions.Directory`."""
        with self._names.lock_domain_names(), ExitStack() as stack:
            for owner in sorted(set(self._names.owners({name.domain for name in names}).values())):
                # One that is deleted meanwhile needs no lock: nobody makes it anew while the names are locked.
                with suppress(NotFound):
                    stack.enter_context(self._names.lock_domain(owner))
            held = self.known(names)
            yield [name for name in names if name not in held]

    def known(self, names: Collection[Level]) -> Collection[Level]:
        """See `mailstore.driver.companions.Directory`."""
        listed = list(names)
        batches = (listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH))
        return {name for batch in batches for name in self._known(batch)}

    def _known(self, names: Collection[Level]) -> set[Level]:
        owners = self._names.owners({name.domain for name in names})
        # What other tools wrote may lack its names under alias domains.
        forms = {
            name: {name.name, f"{local_part(name.name)}@{owners.get(name.domain, name.domain)}"}
            for name in names
            if name.kind == "address"
        }
        held = self._held(set().union(*forms.values()))
        domains = {name for name in names if name.kind == "domain" and name.name in owners}
        return domains | {name for name, some in forms.items() if some & held}

    def _held(self, addresses: Collection[str]) -> set[str]:
        """Return those addresses that somebody has."""
        return {
            value.lower()
            for entry in self._names.holders(addresses)
            for attribute in ("mail", "shadowAddress")
            for value in entry.values(attribute)
        } & set(addresses)

    def target_domain(self, domain: str) -> str | None:
        """See `mailstore.driver.companions.Directory`."""
        return self._names.owners([domain]).get(domain)

    def join(self, database: Any, called: str) -> None:
        """See `mailstore.driver.companions.Directory`. A directory has no transactions; a rehearsal, though, leaves nothing.

        Outside of one, each step has to be committed before the next, even while a record of a mailbox is written.
        """
        if isinstance(self._context.directory, Rehearsal):
            self._context.companion.db.let_join(database, called)
