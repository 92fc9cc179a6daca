"""What an operation means for the databases beside the directory, which it shares no transaction with.

Each step there is committed by itself, in an order in which an interruption leaves at worst rows of a name that nobody has:

- What a former holder left goes after it is sure that nobody has the name, and before somebody gets it.
- What is renamed has its settings under both names from before anything refers to the new one. If the operation is taken
  back, the copies go.
- What belongs to a name that goes is looked at first, so that a database that is down stops everything, and is removed
  when the operation is done and its locks are given back, after asking the directory once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from mailstore.address import domain_part, local_part
from mailstore.driver.companions import KeptPolicies, levels
from mailstore.errors import NotFound
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.entries import names_in
from mailstore.ldap.iredmail.names.name_space import Locks, NameSpace
from mailstore.ldap.iredmail.records import stored_attributes
from mailstore.policies import Level

__all__ = ["Clearing", "bring_back", "claim", "clearing"]


def claim(context: Context, addresses: Collection[str] = (), domains: Collection[str] = ()) -> None:
    """Remove what former holders left of names that nobody has, and that somebody is about to get."""
    context.policies.claiming(levels(sorted(addresses), sorted(domains)))


def bring_back(context: Context, changes: Changes, kept: KeptPolicies, names: Collection[str]) -> None:
    """Write what was kept of names that nobody has and that are about to come back; it goes if these do not."""
    back = [name for name in kept if name in names]
    if back:
        written = levels((name for name in back if "@" in name), (name for name in back if "@" not in name))
        changes.on_undo("settings in the databases beside", lambda: _forget(context, written))
        context.policies.bring_back(kept, names)


@contextmanager
def clearing(context: Context, addresses: Collection[str] = (), domains: Collection[str] = ()) -> Iterator[Clearing]:
    """Open what surrounds an operation, with its locks, that takes names from somebody.

    If the names turn out not to be there (NotFound), an earlier call that was interrupted is finished.
    """
    later = Clearing(context)
    try:
        yield later
    except NotFound:
        with context.policies.finishing(_all_levels(context, addresses, domains)):
            raise
    later.run()


class Clearing:
    """What is to be removed when an operation is done. Made by `clearing`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._later: list[Callable[[], None]] = []

    def remove(self, addresses: Iterable[str] = (), domains: Iterable[str] = ()) -> None:
        """Remember names that are about to go. Raises if one of the databases is down."""
        self._later.append(self._context.policies.removing(levels(sorted(addresses), sorted(domains))))

    def remove_again(self, addresses: Iterable[str]) -> None:
        """Remember names that an interrupted call may have taken from somebody, if the acting admin manages them."""
        directory = self._context.policies.directory if self._context.policies.capabilities else None
        self.remove(name for name in addresses if directory and directory.sees(domain_part(name)))

    def move(self, changes: Changes, locks: Locks, old: str, new: str) -> None:
        """Copy the settings of an address to its new name, which nobody else has, before anything refers to that."""
        if not self._context.policies.capabilities:
            return
        moves = _moves(locks, old, new)
        self.remove({old, *locks.forms(old)})
        claim(self._context, locks.names(new))
        changes.on_undo(f"settings of {new} in the databases beside", lambda: self._forget_copies(moves.values()))
        for name, new_name in moves.items():
            self._context.policies.renaming(name, new_name)  # what is left to do afterwards is remembered already

    def _forget_copies(self, addresses: Iterable[str]) -> None:
        """Remove copies again, unless the account got the name all the same."""
        _forget(self._context, levels(addresses))

    def run(self) -> None:
        """Remove what is remembered; what fails is raised when everything else is done."""
        with ExitStack() as stack:
            for action in self._later:
                stack.callback(action)


def _forget(context: Context, names: Collection[Level]) -> None:
    """Remove what was written for names, unless somebody has them all the same."""
    directory = context.policies.directory
    held = directory.known(names) if directory else ()
    context.policies.claiming([name for name in names if name not in held])


def _moves(locks: Locks, old: str, new: str) -> Mapping[str, str]:
    """Return the names of an address that go on under another one: itself, and the forms in alias domains they share."""
    named = {name: f"{local_part(new)}@{name.rpartition('@')[2]}" for name in locks.forms(old)}
    return {old: new} | {name: form for name, form in named.items() if form in locks.forms(new)}


def _all_levels(context: Context, addresses: Collection[str], domains: Collection[str]) -> list[Level]:
    """Return levels for all names of some addresses, the aliases of deleted accounts among them, and for some domains."""
    if not context.policies.capabilities:
        return []
    known = NameSpace(context).all_alias_domains() if addresses else None
    served = known.served(addresses) | _former_names(context, addresses) if known else set()
    return levels(sorted(served), sorted(domains))


def _former_names(context: Context, addresses: Collection[str]) -> set[str]:
    """Return the names that deleted accounts had, as far as their records are there still."""
    ledger, names = context.companion.ledger, set[str]()
    for record in ledger.select(ledger.records.c.username.in_(sorted(addresses))):
        with ledger.db.reading() as connection:
            snapshot = ledger.snapshot(connection, record)
        if snapshot:
            names |= names_in(Entry(context.places.account(record.address), stored_attributes(json.loads(snapshot))))
    return names
