"""Which store purges a root: one alone, whose mark the root carries from its first purge on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailstore.disk.marks import Mark
from mailstore.errors import ConfigurationError, HomeError, HomeRefused
from mailstore.maildir import Homes, Trashed
from mailstore.store import Store

__all__ = ["Roots", "adopt_roots", "homes_of"]


def homes_of(store: Store) -> Homes:
    """Return the homes of a store. Raises ConfigurationError if it was opened without."""
    if store.homes is None:
        raise ConfigurationError("the store was opened without homes; say below which directories the mailboxes lie")
    return store.homes


class Roots:
    """The roots of a store, by their marks; ``foreign`` are those that another store purges, with what to say about it."""

    def __init__(self, store: Store, homes: Homes) -> None:
        self._store = store
        self._homes = homes
        self._keys: dict[str, set[str]] = {}
        self.foreign: dict[str, str] = {}

    def look(self) -> dict[str, str]:
        """Read all marks, and return `foreign`. A root that cannot be read is for its mailboxes to tell."""
        for root in self._homes.roots:
            self._keys[root] = set()
            try:
                mark = self._homes.mark(root)
            except HomeRefused as error:
                self.foreign[root] = str(error)
            except HomeError:
                continue
            else:
                if mark is not None and mark.key != self._store.key:
                    self.foreign[root] = _marked_by(root, mark)
                else:
                    former = mark.former if mark is not None else ()
                    self._keys[root] = {self._store.key, *self._store.former_keys, *former}
        return self.foreign

    def ours(self) -> Sequence[str]:
        """Return the roots that this store may purge."""
        return [root for root in self._homes.roots if root not in self.foreign]

    def has(self, entry: Trashed) -> bool:
        """Tell whether what lies in the trash of a root is for this store to remove."""
        return entry.root not in self.foreign and entry.key.partition("-")[0] in self._keys[entry.root]

    def require(self, home: str) -> None:
        """Mark the root of a home that is about to be removed. Raises HomeRefused if another store purges it."""
        root = self._homes.root_of(home)
        if root is None:
            return
        mark = self._homes.mark(root)
        if mark is None and not self._homes.set_mark(root, Mark(self._store.key, self._store.name)):
            mark = self._homes.mark(root)
        if mark is not None and mark.key != self._store.key:
            raise HomeRefused(_marked_by(root, mark), subject=root)


def _marked_by(root: str, mark: Mark) -> str:
    return (
        f"{root} is purged by another store ({mark.name}), whose mail would be removed. If this is that store, which was "
        "moved, restored or renamed, or if the mail is a copy: mailstore adopt"
    )


def adopt_roots(store: Store) -> Iterator[str]:
    """Mark all roots as purged by this store from now on, with the trash that lies there; yield those that were not.

    Raises ConfigurationError for a store opened without `homes`, HomeError.
    """
    homes = homes_of(store)
    for root in homes.roots:
        mark = homes.mark(root)
        former = {mark.key, *mark.former} if mark is not None else set[str]()
        former |= {entry.key.partition("-")[0] for entry in homes.trashed() if entry.root == root}
        if mark is None or mark.key != store.key or not former <= {store.key, *mark.former}:
            homes.set_mark(root, Mark(store.key, store.name, sorted(former - {store.key})), replace=True)
            yield root
