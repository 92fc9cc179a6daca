"""Databases beside the accounts, and what a driver has to do so that policies keep to accounts.

No transaction spans two databases, so that the order of the steps has to make every interruption harmless:

- What a former holder of a name left is removed *before* somebody new has the name.
- A rename first copies everything to the new name, which nobody has yet, and removes the old name's afterwards. At each
  moment the account has its own settings under whatever name it has.
- A deletion removes the settings *after* the account is gone: an account never lives on without its limits. What they were
  is kept in the account's record before, or in that of its domain.
- A restore writes them *before* the account is there, over what others left under its names.

What an interruption leaves belongs to nobody. It is removed when the name is taken again and when the same deletion or
rename is tried again, and `check` reports it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

from mailstore.config import StoreConfig
from mailstore.driver.policy_keys import level_name
from mailstore.driver.rights import Operation
from mailstore.errors import MailstoreError, NotFound
from mailstore.model import Capability, Finding
from mailstore.policies import Level
from mailstore.registry import resolve_companion_password
from mailstore.store import AccessLists, Greylisting, SpamPolicies, Store, Throttles

__all__ = [
    "BESIDE",
    "Amavisd",
    "Companion",
    "Companions",
    "Directory",
    "IRedAPD",
    "Kept",
    "KeptPolicies",
    "WithPolicies",
    "levels",
    "open_companions",
]

_AMAVISD = frozenset({Capability.SPAM_POLICIES, Capability.ACCESS_LISTS})
_IREDAPD = frozenset({Capability.THROTTLES, Capability.GREYLISTING})
BESIDE = _AMAVISD | _IREDAPD
"""What a store has only through databases beside it."""
_BATCH = 500


class Directory(Protocol):
    """What policies have to know of the account store that they belong to, as the acting admin sees it."""

    def holding(
        self, level: Level, operation: Operation, *, accounts_only: bool = False
    ) -> AbstractContextManager[None]:
        """Keep what a level stands for from being deleted or renamed within the context, where the store can.

        Raises NotFound if it is not there or not the acting admin's, PermissionDenied if that admin may not do the
        operation to it, or to an account that may do more. `accounts_only` refuses aliases and lists.
        """

    def unheld(self, names: Collection[Level]) -> AbstractContextManager[Collection[Level]]:
        """Give those of `names` that nothing in the store has, and keep them free within the context, where it can."""

    def known(self, names: Collection[Level]) -> Collection[Level]:
        """Return those of `names` that the store has, whoever asks; alias domains and per-account aliases among them."""

    def sees(self, domain: str) -> bool:
        """Tell whether the acting admin manages a domain, be it there or not; one who may do everything sees all."""

    def require_everything(self, what: str) -> None:
        """Raise PermissionDenied, naming `what`, unless the acting admin may do everything."""

    def target_domain(self, domain: str) -> str | None:
        """Return the domain that an alias domain stands for, the domain itself if it is none, None if it is not here."""

    def join(self, database: Any, called: str) -> None:
        """Let a transaction of the store that runs in this thread take in one of another database; else do nothing.

        `called` is the name of that database for errors.
        """


Kept: TypeAlias = "dict[str, dict[str, Any]]"
"""Rows of a database by their key and table, as JSON has them."""


class Companion(Protocol):
    """One database beside the accounts. What changes rows joins the running transaction of the account store."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def holds(self, names: Collection[Level], directory: Directory) -> bool:
        """Tell whether there are rows of one of these names, addresses below these domains included."""

    def remove(self, names: Collection[Level], directory: Directory) -> None:
        """Remove all rows of these names, addresses below these domains included."""

    def copy(self, old: str, new: str, directory: Directory) -> None:
        """Copy everything of one address to another one, which has nothing."""

    def kept(self, names: Collection[Level], directory: Directory) -> Kept:
        """Return what records keep of these names, addresses below these domains included, by key: no counters."""

    def bring_back(self, kept: Kept, directory: Directory) -> None:
        """Write what `kept` has returned, for keys that have nothing now."""

    def findings(self, directory: Directory) -> Iterator[Finding]:
        """Iterate over what is wrong in it."""

    def close(self) -> None:
        """Give back all connections."""


class Amavisd(Companion, Protocol):
    """The database of amavisd."""

    def spam_policies(self, directory: Directory) -> SpamPolicies:
        """Return the policies as the directory's acting admin may use them."""

    def access_lists(self, directory: Directory) -> AccessLists:
        """Return the lists, likewise."""


class IRedAPD(Companion, Protocol):
    """The database of iRedAPD."""

    def throttles(self, directory: Directory) -> Throttles:
        """Return the throttles as the directory's acting admin may use them."""

    def greylisting(self, directory: Directory) -> Greylisting:
        """Return the greylisting, likewise."""


KeptPolicies: TypeAlias = "dict[str, dict[str, Kept]]"
"""What is kept of names, by database, as JSON has it."""


def levels(addresses: Iterable[str] = (), domains: Iterable[str] = ()) -> list[Level]:
    """Return the names that a change of the account store is about."""
    return [*(Level("address", name) for name in addresses), *(Level("domain", name) for name in domains)]


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Companions:
    """The databases beside one account store. A driver calls these methods where names come, change and go."""

    directory: Directory | None = None
    amavisd: Amavisd | None = None
    iredapd: IRedAPD | None = None

    def seen_by(self, directory: Directory) -> Companions:
        """Return the same databases as another admin may use them."""
        return replace(self, directory=directory)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What a store has through them."""
        return (_AMAVISD if self.amavisd else frozenset()) | (_IREDAPD if self.iredapd else frozenset())

    def claiming(self, names: Collection[Level]) -> None:
        """Remove what former holders left of names that are about to be taken; call it before that is committed."""
        for companion, directory in self._each():
            for batch in _batches(names):
                if companion.holds(batch, directory):
                    companion.remove(batch, directory)

    def renaming(self, old: str, new: str) -> Callable[[], None]:
        """Copy everything of an address to its new name; call it before the rename is committed.

        Returns what to call when it is committed.
        """
        self.claiming(levels([new]))
        finish = self.removing(levels([old]))
        if finish is not _nothing:
            for companion, directory in self._each():
                companion.copy(old, new, directory)
        return finish

    def renaming_domain(self, old: str, new: str) -> Callable[[], None]:
        """Copy everything of a domain and of the addresses in it to its new name; otherwise like `renaming`."""
        self.claiming(levels(domains=[new]))
        names = levels(domains=[old])
        finish = self.removing(names)
        if finish is not _nothing:
            for companion, directory in self._each():
                for key in companion.kept(names, directory):
                    companion.copy(key, f"{key[: -len(old)]}{new}", directory)
        return finish

    def kept(self, names: Collection[Level]) -> KeptPolicies:
        """Return everything of names that are about to go, for their record; most have nothing."""
        found: KeptPolicies = {}
        for companion, directory in self._each():
            for batch in _batches(names):
                for key, rows in companion.kept(batch, directory).items():
                    found.setdefault(level_name(key).lower(), {}).setdefault(companion.name, {})[key] = rows
        return found

    def bring_back(self, kept: KeptPolicies, names: Container[str]) -> None:
        """Give those of `names` that are coming back what was kept of them; call it before that is committed.

        `names` are addresses and domains. What databases are not there any more had is left out.
        """
        found = {name: databases for name, databases in kept.items() if name in names}
        if not found:
            return
        self.claiming([Level("address" if "@" in name else "domain", name) for name in found])
        for companion, directory in self._each():
            rows: Kept = {}
            for databases in found.values():
                rows |= databases.get(companion.name, {})
            if rows:
                companion.bring_back(rows, directory)

    def removing(self, names: Collection[Level]) -> Callable[[], None]:
        """Look what there is to remove of names that are about to go, so that a database that is down stops it all.

        Returns what to call when the deletion is committed.
        """
        # All of them are asked: each might be the one that is down.
        found = [companion.holds(some, directory) for companion, directory in self._each() for some in _batches(names)]
        return (lambda: self._sweep(names)) if any(found) else _nothing

    @contextmanager
    def finishing(self, names: Collection[Level]) -> Iterator[None]:
        """If names turn out not to be there (NotFound), finish an earlier call about them that was interrupted."""
        try:
            yield
        except NotFound:
            directory = self.directory if self.capabilities else None
            self.removing([name for name in names if directory and directory.sees(name.domain)])()
            raise

    def findings(self) -> Iterator[Finding]:
        """Iterate over what is wrong in all of them."""
        for companion, directory in self._each():
            yield from companion.findings(directory)

    def close(self) -> None:
        """Give back all connections."""
        for companion in self._databases():
            companion.close()

    def _sweep(self, names: Collection[Level]) -> None:
        failures: list[MailstoreError] = []
        for companion, directory in self._each():
            try:
                for some in _batches(names):
                    with directory.unheld(some) as free:
                        companion.remove(free, directory)
            except MailstoreError as error:  # the others are still swept, and it is told which one was not
                shown = ", ".join(map(str, names))
                error.state = (
                    f"the accounts are changed, but settings of {shown} remain in the database {companion.name}; they are "
                    "without effect, and the same call once more, or a new holder of the name, removes them"
                )
                failures.append(error)
        if failures:
            raise failures[0]

    def _databases(self) -> list[Companion]:
        return [companion for companion in (self.amavisd, self.iredapd) if companion is not None]

    def _each(self) -> Iterator[tuple[Companion, Directory]]:
        if self.directory is not None:
            for companion in self._databases():
                yield companion, self.directory


def _batches(names: Collection[Level]) -> Iterator[Collection[Level]]:
    listed = list(names)
    return (listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH))


def open_companions(config: StoreConfig) -> Companions:
    """Return the databases that a configuration names, without connecting yet; `Companions.seen_by` completes them.

    They are contacted when they are first needed, so that accounts can be read while one of them is down.
    """
    return Companions(
        amavisd=cast("Amavisd | None", _opened("amavisd", config)),
        iredapd=cast("IRedAPD | None", _opened("iredapd", config)),
    )


def _opened(name: str, config: StoreConfig) -> Any:
    url: str = getattr(config, name)
    if not url:
        return None
    module = import_module(f"mailstore.sql.{name}.database")
    return module.open_database(url, resolve_companion_password(config, name), config.tls_ca)


class WithPolicies(Store):
    """A store with databases beside it."""

    @property
    @abstractmethod
    def companions(self) -> Companions:
        """The databases."""

    @property
    def spam_policies(self) -> SpamPolicies:
        found = self.companions
        return (
            found.amavisd.spam_policies(found.directory) if found.amavisd and found.directory else super().spam_policies
        )

    @property
    def access_lists(self) -> AccessLists:
        found = self.companions
        return (
            found.amavisd.access_lists(found.directory) if found.amavisd and found.directory else super().access_lists
        )

    @property
    def throttles(self) -> Throttles:
        found = self.companions
        return found.iredapd.throttles(found.directory) if found.iredapd and found.directory else super().throttles

    @property
    def greylisting(self) -> Greylisting:
        found = self.companions
        return found.iredapd.greylisting(found.directory) if found.iredapd and found.directory else super().greylisting
