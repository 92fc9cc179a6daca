"""Making a store hold what a state declares."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, Final

from mailstore.address import domain_part
from mailstore.errors import BulkRefused, HomeError, NotFound, Refused
from mailstore.state.declaration import State
from mailstore.state.planning import Change, Plan, plan
from mailstore.store import Store
from mailstore.transfer.entries import KINDS
from mailstore.transfer.loading import Loader, Outcome, Passwords

__all__ = ["Applied", "Applier"]

_ORDER: Final = tuple(KINDS)
_BATCH: Final = 100
_INSIDE: Final = ("account", "alias", "list")
"""What goes with its domain, in one operation that can be undone as one."""


@dataclass(frozen=True)
class Applied:
    """What became of a change: ``created``, ``updated``, ``disabled``, ``deleted``, ``demoted``, or ``refused`` and why."""

    kind: str
    name: str
    action: str
    lost: tuple[str, ...] = ()
    reason: str = ""


@dataclass
class Applier:
    """Does what a plan says.

    Parameters
    ----------
    generated: is told address and password of new accounts whose hash is missing or of no use to the store; without it they
        are refused.
    rehearsed: the store is one of `Store.rehearsal`.

    Names are given free before they are taken, domains come before what lies in them and go after it, and whatever else goes
    goes last. Each step is in the store at once: whoever is interrupted plans again, and goes on with what is left.
    """

    store: Store
    state: State
    made: Plan
    generated: Passwords | None = field(default=None, repr=False)
    rehearsed: bool = False

    def run(self) -> Iterator[Applied]:
        """Do it, and iterate over what became of each change; a refused one stops no other.

        Raises StoreError; what was told of until then is done.
        """
        going = [change for change in self.made.changes if change.entry is None]
        coming = [change for change in self.made.changes if change.entry is not None]
        taken = {change.name for change in coming if change.action == "create"}
        yield from self._remove([change for change in going if change.name in taken])
        refused = yield from self._load(coming)
        yield from self._drop_names(coming)
        yield from self._remove([change for change in going if change.name not in taken])
        again = bool(going)  # who went took places among members and destinations along
        while refused or again:  # some wait for names or limits that others had
            before, again = len(refused), False
            left = [change for change in plan(self.store, self.state).changes if change.entry is not None]
            refused = yield from self._load(left)
            if len(refused) == before:
                break
        for change, outcome in refused:
            yield Applied(change.kind, change.name, "refused", outcome.lost, outcome.reason)

    def _load(self, changes: Sequence[Change]) -> Generator[Applied, None, list[tuple[Change, Outcome]]]:
        """Create and change; returns what was refused."""
        by_entry = {id(change.entry): change for change in changes}
        loader = Loader(self.store, if_exists="update", go_on=True, generated=self.generated, rehearsed=self.rehearsed)
        refused: list[tuple[Change, Outcome]] = []
        for outcome in loader.load(entry for change in changes if (entry := change.entry) is not None):
            change = by_entry[id(outcome.entry)]
            if outcome.action == "refused":
                refused.append((change, outcome))
            elif outcome.action != "unchanged":
                yield Applied(change.kind, change.name, outcome.action, outcome.lost, outcome.reason)
        return refused

    def _drop_names(self, changes: Sequence[Change]) -> Iterator[Applied]:
        for change in changes:
            if change.dropped_names:
                drop = partial(self.store.domains.remove_alias_domains, change.name, change.dropped_names)
                yield self._attempt(change, "updated", drop)

    def _remove(self, changes: Sequence[Change]) -> Iterator[Applied]:
        domains = {change.name for change in changes if change.kind == "domain"}
        inside = [one for one in changes if one.kind in _INSIDE and domain_part(one.name) in domains]
        known = set(map(id, inside))
        alone = sorted((one for one in changes if id(one) not in known), key=_place_of)
        for (kind, action), same in groupby(alone, key=lambda one: (one.kind, one.action)):
            if (kind, action) == ("account", "delete"):
                yield from self._delete_accounts(list(same))
            else:
                for change in same:
                    yield self._attempt(change, _DONE[action], partial(self._remove_one, change))
        left = {domain for domain in domains if self.store.domains.exists(domain)}
        for change in inside:
            yield Applied(
                change.kind,
                change.name,
                "refused" if domain_part(change.name) in left else "deleted",
                reason="as its domain",
            )

    def _delete_accounts(self, changes: Sequence[Change]) -> Iterator[Applied]:
        for start in range(0, len(changes), _BATCH):
            left = list(changes[start : start + _BATCH])
            while left:
                refused: dict[int, Refused] = {}
                try:
                    self.store.accounts.delete_many(
                        [change.name for change in left], keep_mailbox_days=self.state.keep_days
                    )
                except BulkRefused as error:
                    refused = dict(error.rows)
                    written = error.written
                else:
                    written = True
                for index, change in enumerate(left):
                    reason = refused.get(index)
                    if isinstance(reason, NotFound) or (reason is None and written):  # gone is gone
                        yield Applied(change.kind, change.name, "deleted")
                    elif reason is not None:
                        yield Applied(change.kind, change.name, "refused", reason=str(reason))
                left = [] if written else [change for index, change in enumerate(left) if index not in refused]

    def _remove_one(self, change: Change) -> None:
        store, name = self.store, change.name
        collection: Any = getattr(store, {"domain": "domains", "alias": "aliases"}.get(change.kind, f"{change.kind}s"))
        if change.action == "disable":
            collection.update(name, enabled=False)
        elif change.action == "demote":
            store.admins.demote(name)
        elif change.kind in ("account", "domain"):
            collection.delete(name, keep_mailbox_days=self.state.keep_days)
        else:
            collection.delete(name)

    def _attempt(self, change: Change, done: str, write: Callable[[], object]) -> Applied:
        try:
            write()
        except NotFound:
            pass  # somebody else, or the deletion of something above it, was faster
        except (Refused, HomeError) as error:
            return Applied(change.kind, change.name, "refused", reason=str(error))
        return Applied(change.kind, change.name, done)


def _place_of(change: Change) -> tuple[int, str]:
    """Return where the removal of something stands: what lies in a domain before the domain."""
    return -_ORDER.index(change.kind), change.action


_DONE: Final = {"delete": "deleted", "disable": "disabled", "demote": "demoted"}
