"""Entries into a store: what is not there is created, what differs is changed or refused, and what is done is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from itertools import groupby
from typing import Any, Final, Literal, TypeAlias

from mailstore import passwords
from mailstore.address import domain_part
from mailstore.errors import (
    AlreadyExists,
    BulkRefused,
    HomeError,
    InvalidPassword,
    InvalidValue,
    MailstoreError,
    NotFound,
    NotSupported,
    Refused,
)
from mailstore.model import Capability
from mailstore.records import blank
from mailstore.store import Store
from mailstore.transfer.dumping import in_batches
from mailstore.transfer.entries import KINDS, Entry, SpfDomains
from mailstore.transfer.places import LATER, Place, lacking, places_of
from mailstore.transfer.renaming import Renaming

__all__ = ["IfExists", "Loader", "Outcome", "Passwords"]

IfExists: TypeAlias = Literal["fail", "update", "skip"]
Action: TypeAlias = Literal["created", "updated", "unchanged", "skipped", "refused", "missing", "different"]
Passwords: TypeAlias = Callable[[str, str], object]
"""Is told the address and the generated password of an account before it has it."""
_BATCH, _WITH_HOMES = 500, 5_000
"""Entries that are loaded together; accounts that keep their homes, which are compared with all others, are more."""
_FILLED = {"domain": LATER, "account": frozenset({"forwarding", "keep_copy", "aliases"})}
"""What may be written some time after the thing itself: where nothing stands yet, it is never somebody else's."""
_WITHOUT: Final = frozenset({"forwarding", "keep_copy", "aliases"})
"""The parameters that accounts made in bulk do not take."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an entry.

    ``lost`` names the fields that say something which the store has no place for, or holds otherwise; ``password`` is among
    them if the account keeps another one. ``reason`` says why it was refused, or what else is to be known.
    """

    entry: Entry
    action: Action
    lost: tuple[str, ...] = ()
    reason: str = ""


@dataclass
class Loader:
    """Loads entries into a store.

    Parameters
    ----------
    if_exists: what becomes of a thing that is there and differs: ``fail`` refuses it, ``skip`` leaves it, ``update`` makes
        it what the entry says (alias domains are only added). What an interrupted run left unfinished is always finished.
    go_on: whether whatever else can be loaded is, if an entry is refused; else the run ends with the batch of that one.
    keep_homes: whether accounts get the homes that the entries name, as far as the store can; else those of its own layout.
    generated: makes passwords for new accounts whose hash is missing or of no use to the store; without it they are refused.
    rehearsed: the store is one of `Store.rehearsal`: nothing is in it that came before.
    renaming: what is called otherwise here; of two that would have one name the second is refused.

    What is loaded is in the store at once, in batches. Loading the same entries again changes nothing that is done.
    """

    store: Store
    if_exists: IfExists = "fail"
    go_on: bool = False
    keep_homes: bool = True
    generated: Passwords | None = field(default=None, repr=False)
    rehearsed: bool = False
    renaming: Renaming = field(default_factory=Renaming)

    def __post_init__(self) -> None:
        self._places = places_of(self.store)
        self.has = self.store.capabilities
        # A domain that is there with its first address cannot have other names before that.
        self._last = LATER - {"alias_domains"} if Capability.DOMAINS in self.has else LATER
        self._unfinished: list[tuple[Entry, bool]] = []
        self._size = _WITH_HOMES if self.keep_homes and Capability.HOME_PATHS in self.has else _BATCH
        self._barred: set[str] = set()
        self._left_behind: set[str] = set()
        """Domains of the source that are refused because another one has their new name."""
        self._imagined: set[str] = set()

    def load(self, entries: Iterable[Entry]) -> Iterator[Outcome]:
        """Load entries as they come, and iterate over what became of each; a domain may be told of twice.

        Raises StoreError and what reading the entries raises; what was told of until then is done.
        """
        for batch in _batches(self.renaming.entries(entries), self._size):
            refused = False
            for outcome in self._batch(batch):
                refused |= outcome.action == "refused"
                yield outcome
            if refused and not self.go_on:
                return
        yield from self._finish()

    def compare(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Any, Outcome | None]]:
        """Iterate over entries, what the store has of each (or None), and how that differs; None if it does not.

        What the store has no place for is no difference; `load` tells that. Nothing is changed.
        """
        for batch in _batches(self.renaming.entries(entries), _BATCH):
            place = self._places.get(batch[0].kind)
            if place:
                place.ahead(batch)
            for entry in batch:
                present = place.present(entry) if place else None
                yield entry, present, self._difference(entry, place, present)

    def _difference(self, entry: Entry, place: Place | None, present: Any) -> Outcome | None:
        if entry.kind == "domain" and present is None and Capability.DOMAINS not in self.has:
            return None  # it would be there with its first address
        if present is None and place is not None and self._is_further_address(entry):
            return None
        if place is None or present is None or self._says_nothing(present):
            return Outcome(entry, "missing")
        differing = (*_differing(place.wanted(entry), present), *(("password",) if _new_hash(entry, place) else ()))
        return Outcome(entry, "different", differing) if differing else None

    def lost(self, entry: Entry) -> tuple[str, ...]:
        """Return what an entry says that the store has no place for."""
        place = self._places.get(entry.kind)
        return place.lost(entry) if place else ()

    def keeps(self, kind: str) -> frozenset[str]:
        """Return the fields that the store has a place for, ``password`` among them."""
        return frozenset({*self._places[kind].keeps, "password"}) if kind in self._places else frozenset()

    def _batch(self, batch: Sequence[Entry]) -> Iterator[Outcome]:
        kind = batch[0].kind
        if kind not in self._places:
            yield from (Outcome(entry, "refused", reason=lacking(self.store, kind)) for entry in batch)
        elif kind == "account":
            with self._together():
                outcomes = _Accounts(self, self._places[kind]).load(batch)
            yield from outcomes
        else:
            for entry in batch:
                yield self._domain(entry) if kind == "domain" else self._attempt(entry, lambda: self.one(entry))  # noqa: B023

    def _together(self) -> AbstractContextManager[None]:
        if self.rehearsed or Capability.TRANSACTIONS not in self.has:
            return nullcontext()
        return self.store.transaction()

    def _attempt(self, entry: Entry, write: Callable[[], Outcome]) -> Outcome:
        try:
            with self._together():
                return write()
        except (Refused, HomeError) as error:
            return self.refusal(entry, error)

    def refusal(self, entry: Entry, error: MailstoreError) -> Outcome:
        """Return what becomes of an entry that the store refuses."""
        if isinstance(error, NotFound) and self._is_imagined(entry, error):
            return Outcome(
                entry, "created", self._places[entry.kind].lost(entry), "not tried: what it needs is not there yet"
            )
        return Outcome(entry, "refused", reason=str(error))

    def _is_imagined(self, entry: Entry, error: NotFound) -> bool:
        """Tell whether something is missing only because a rehearsal without transactions does not make it."""
        if not self.rehearsed or Capability.TRANSACTIONS in self.has:
            return False
        return bool(self._imagined.intersection(_domains_of(entry))) or error.subject == entry.key

    # --- domains

    def _domain(self, entry: Entry) -> Outcome:
        if entry.clash:
            if self.if_exists == "skip":
                return Outcome(entry, "skipped", reason=f"{entry.clash}; what lies in both is brought together")
            self._left_behind.add(entry.origin)
            return Outcome(entry, "refused", reason=entry.clash)
        outcome = self._attempt(entry, lambda: self._new_domain(entry))
        if outcome.action == "refused":
            self._barred.add(entry.key)
        else:
            self._unfinished.append((entry, outcome.action == "created"))
        return outcome

    def _new_domain(self, entry: Entry) -> Outcome:
        place = self._places["domain"]
        if entry.says("enabled") and "enabled" not in place.keeps:
            raise NotSupported(
                f"{entry.key} is disabled, and {self.store.name} cannot keep it so: it would be switched on"
            )
        lost = place.lost(entry)
        if Capability.DOMAINS not in self.has:
            return Outcome(entry, "unchanged", lost, "a domain is there with its first address")
        first = {name: value for name, value in place.wanted(entry).items() if name not in self._last}
        present = place.present(entry)
        if present is not None:
            return self.existing(entry, place, present, first)
        if self.rehearsed and Capability.TRANSACTIONS not in self.has:
            self._imagined.add(entry.key)
            first.pop("alias_domains", None)  # that takes a domain that is there
        place.create(entry, first, {})
        return Outcome(entry, "created", lost)

    def _finish(self) -> Iterator[Outcome]:
        """Tell domains what they are told last."""
        for entry, new in self._unfinished:
            if entry.key in self._imagined:
                continue
            outcome = self._attempt(entry, lambda: self._later(entry))  # noqa: B023
            if outcome.action == "refused" or (outcome.action == "updated" and not new) or outcome.lost:
                yield outcome

    def _later(self, entry: Entry) -> Outcome:
        place = self._places["domain"]
        wanted = {name: value for name, value in place.wanted(entry).items() if name in self._last}
        present = place.present(entry)
        if present is None:
            if any(entry.says(name) for name in wanted):
                raise NotFound(f"there is no domain {entry.key}: nothing of it was loaded", subject=entry.key)
            return Outcome(entry, "unchanged")
        outcome = self.existing(entry, place, present, wanted)
        return Outcome(entry, outcome.action, tuple(sorted({*outcome.lost} & wanted.keys())), outcome.reason)

    # --- one by one

    def one(self, entry: Entry) -> Outcome:
        """Load one entry. Raises Refused."""
        place = self._places[entry.kind]
        if entry.kind == "list" and entry.record.kind == "managed":
            raise NotSupported(f"{entry.key}: its list manager keeps this list; make it there", subject=entry.key)
        wanted = self.wanted(entry, place)
        present = place.present(entry)
        if present is not None:
            return self.existing(entry, place, present, wanted)
        secret = self._admin_secret(entry)
        try:
            stored = place.create(entry, wanted, secret)
        except AlreadyExists:
            if not self._is_further_address(entry):
                raise
            return Outcome(entry, "unchanged", place.lost(entry), "it is a further address of its only member")
        note = "as an alias" if entry.kind == "list" and "list" not in _own(self._places) else ""
        return Outcome(entry, "created", _sum(place.lost(entry), self._held_otherwise(wanted, stored)), note)

    def _is_further_address(self, entry: Entry) -> bool:
        """Tell whether an alias with one member is there as that account's own: some stores tell of both."""
        members = entry.value("members") if entry.kind == "alias" else ()
        if len(members) != 1:
            return False
        return any(entry.key in one.aliases for one in self.store.accounts.find(members).values())

    def wanted(self, entry: Entry, place: Place) -> dict[str, Any]:
        """Return what is to be written. Raises Refused if leaving something out would open what is closed."""
        if entry.clash:
            raise InvalidValue(entry.clash, subject=entry.key)
        if domain_part(entry.key) in self._barred or domain_part(entry.origin) in self._left_behind:
            raise NotFound(f"{entry.key}: its domain was refused", subject=entry.key)
        if entry.says("enabled") and "enabled" not in place.keeps:
            raise NotSupported(
                f"{entry.key} is disabled, and {self.store.name} cannot keep it so: it would be switched on"
            )
        return place.wanted(entry)

    def _held_otherwise(self, wanted: Mapping[str, Any], stored: Any) -> Sequence[str]:
        """Return the fields that a store holds otherwise. One that only rehearses may not see what it would have written."""
        blind = self.rehearsed and Capability.TRANSACTIONS not in self.has
        return () if blind else _differing(wanted, stored)

    def _admin_secret(self, entry: Entry) -> dict[str, str]:
        if entry.kind != "admin" or entry.record.kind != "standalone":
            return {}
        if entry.password_hash is None:
            return self.new_password(entry, "there is no hash of its password")
        return {"password_hash": entry.password_hash}

    def new_password(self, entry: Entry, why: str) -> dict[str, str]:
        """Return a new password for an entry. Raises InvalidPassword if none is to be made."""
        if self.generated is None:
            raise InvalidPassword(f"{entry.key}: {why}; have a password generated, or set one in the entry")
        password = passwords.generate_password()
        if not self.rehearsed:
            self.generated(entry.key, password)
        return {"password": password}

    def existing(self, entry: Entry, place: Place, present: Any, wanted: Mapping[str, Any]) -> Outcome:
        """Change what is there as far as it may be. Raises Refused."""
        lost = place.lost(entry)
        changed = {name: wanted[name] for name in _differing(wanted, present)}
        secret = _new_hash(entry, place)
        if secret and self.generated is not None and self.if_exists != "update":
            secret, lost = {}, _sum(lost, ("password",))  # an earlier run may have generated it
        differing = (*changed, *(("password",) if secret else ()))
        if not differing:
            return Outcome(entry, "unchanged", lost)
        if self.if_exists != "update" and not self._unset(entry, present, differing):
            if self.if_exists == "skip":
                return Outcome(entry, "skipped", lost, f"it is there, with another {', '.join(differing)}")
            raise AlreadyExists(f"{entry.key} is there already, with another {', '.join(differing)}", subject=entry.key)
        try:
            stored = place.update(entry, changed, secret)
        except InvalidPassword:
            if not changed:
                return Outcome(entry, "unchanged", _sum(lost, ("password",)), "it keeps its password")
            stored, lost = place.update(entry, changed, {}), _sum(lost, ("password",))
        left = self._held_otherwise(wanted, stored)
        action: Action = "updated"
        if self._says_nothing(present):
            action = "created"
        elif not secret and all(_alike(_of(present, name), _of(stored, name)) for name in changed):
            action = "unchanged"
        return Outcome(entry, action, _sum(lost, left))

    def _unset(self, entry: Entry, present: Any, differing: Iterable[str]) -> bool:
        """Tell whether nothing but what comes later differs, and nothing stands there yet."""
        filled, kind = _FILLED.get(entry.kind, frozenset()), KINDS[entry.kind]
        return self._says_nothing(present) or all(
            name in filled and _of(present, name) == blank(kind, name) for name in differing
        )

    @staticmethod
    def _says_nothing(present: Any) -> bool:
        """Tell whether a level has nothing set; anything else that is there has a name of its own."""
        if isinstance(present, SpfDomains):
            return not present.domains
        type_, named = type(present), {"level", "direction"}
        return hasattr(present, "level") and all(
            _of(present, one.name) == blank(type_, one.name) for one in fields(type_) if one.name not in named
        )


class _Accounts:
    """A batch of accounts: the new ones are made together, with few statements."""

    def __init__(self, loader: Loader, place: Place) -> None:
        self._loader = loader
        self._place = place
        self._outcomes: dict[int, Outcome] = {}
        self._wanted: dict[int, dict[str, Any]] = {}
        self._renewed: set[str] = set()

    def load(self, batch: Sequence[Entry]) -> list[Outcome]:
        """Return what became of each."""
        rows: dict[int, dict[str, Any]] = {}
        there = self._place.ahead(batch)
        for index, entry in enumerate(batch):
            try:
                if entry.key in there:
                    raise _is_there(entry)
                self._wanted[index] = self._loader.wanted(entry, self._place)
                rows[index] = self._row(entry, self._wanted[index])
            except AlreadyExists as error:
                self._outcomes[index] = self._existing(entry, error)
            except Refused as error:
                self._outcomes[index] = self._loader.refusal(entry, error)
        for index in self._made(batch, rows):
            self._outcomes[index] = self._complete(batch[index], self._wanted[index])
        return [self._outcomes[index] for index in range(len(batch))]

    def _row(self, entry: Entry, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row of `Accounts.create_many`. Raises AlreadyExists where a password would be made for nothing."""
        row = {name: value for name, value in wanted.items() if name not in _WITHOUT}
        row["address"] = entry.key
        if self._loader.keep_homes and entry.says("home") and Capability.HOME_PATHS in self._loader.has:
            row["home"] = entry.value("home")
        return row | self._secret(entry)

    def _secret(self, entry: Entry) -> dict[str, str]:
        usable = Capability.READY_HASHES in self._loader.has
        if entry.password_hash is not None and usable:
            return {"password_hash": entry.password_hash}
        self._require_absent(entry)
        why = "there is no hash of its password" if usable else "the store needs the password itself, not its hash"
        return self._new_password(entry, why)

    def _new_password(self, entry: Entry, why: str) -> dict[str, str]:
        self._renewed.add(entry.key)
        return self._loader.new_password(entry, why)

    def _require_absent(self, entry: Entry) -> None:
        if self._loader.store.accounts.exists(entry.key):
            raise _is_there(entry)

    def _made(self, batch: Sequence[Entry], rows: dict[int, dict[str, Any]]) -> list[int]:
        """Create what can be created; whatever else becomes of the others is in `_outcomes`. Returns who was created."""
        while rows:
            order = sorted(rows)
            try:
                self._loader.store.accounts.create_many([rows[index] for index in order])
            except BulkRefused as refused:
                for place, error in refused.rows:
                    self._again(batch[order[place]], order[place], rows, error)
            else:
                return order
        return []

    def _again(self, entry: Entry, index: int, rows: dict[int, dict[str, Any]], error: Refused) -> None:
        """Take a refused row out, or give it a password that will do."""
        row = rows.pop(index)
        useless = isinstance(error, InvalidPassword) and "password_hash" in row and self._loader.generated is not None
        if useless and not self._loader.store.accounts.exists(entry.key):
            del row["password_hash"]
            rows[index] = row | self._new_password(entry, str(error))
        else:  # stores look at names first or last
            self._outcomes[index] = self._existing(entry, error)

    def _existing(self, entry: Entry, error: Refused) -> Outcome:
        present = self._place.present(entry)
        if present is None:  # or the name is that of something else
            return self._loader.refusal(entry, error)
        try:
            outcome = self._loader.existing(entry, self._place, present, self._loader.wanted(entry, self._place))
        except Refused as refused:
            return self._loader.refusal(entry, refused)
        return Outcome(entry, outcome.action, self._with_home(entry, present, outcome.lost), outcome.reason)

    def _with_home(self, entry: Entry, present: Any, lost: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is lost, with the home if that is to be kept and is another one here."""
        elsewhere = self._loader.keep_homes and entry.says("home") and _of(present, "home") != entry.value("home")
        return _sum(lost, ("home",)) if elsewhere else lost

    def _complete(self, entry: Entry, wanted: Mapping[str, Any]) -> Outcome:
        """Give a new account what accounts made in bulk do not take."""
        lost = self._place.lost(entry, wanted)
        if Capability.HOME_PATHS not in self._loader.has:
            lost = self._with_home(entry, self._place.present(entry), lost)
        rest = {name: wanted[name] for name in _WITHOUT & wanted.keys() if entry.says(name)}
        try:
            if rest:
                self._place.update(entry, rest, {})
        except Refused as error:
            return Outcome(entry, "refused", lost, f"it was created, without {', '.join(rest)}: {error}")
        if entry.key in self._renewed:
            return Outcome(entry, "created", _sum(lost, ("password",)), "with a generated password")
        return Outcome(entry, "created", lost)


def _is_there(entry: Entry) -> AlreadyExists:
    return AlreadyExists(f"there is an account {entry.key}", subject=entry.key)


def _domains_of(entry: Entry) -> set[str]:
    """Return the domains that must be there before an entry can be loaded."""
    return {domain_part(entry.key), *(entry.value("domains") if entry.kind == "admin" else ())}


def _own(places: Mapping[str, Place]) -> set[str]:
    """Return the kinds that have a place of their own."""
    return {kind for kind, place in places.items() if kind == "alias" or place is not places.get("alias")}


def _batches(entries: Iterable[Entry], accounts: int) -> Iterator[Sequence[Entry]]:
    """Iterate over entries of one kind, a limited number at a time, which for `accounts` may be another one."""
    for kind, same in groupby(entries, key=lambda entry: entry.kind):
        yield from in_batches(same, accounts if kind == "account" else _BATCH)


def _of(record: Any, name: str) -> Any:
    return getattr(record, name, None)


def _differing(wanted: Mapping[str, Any], present: Any) -> list[str]:
    """Return the names of fields that are not as they are wanted; `present` is a record or a mapping."""
    return [name for name, value in wanted.items() if not _alike(value, _of(present, name))]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return sorted(one) == sorted(other)
    return bool(one == other)


def _new_hash(entry: Entry, place: Place) -> dict[str, str]:
    """Return the hash of an entry if the store has another one."""
    if entry.password_hash is None:
        return {}
    stored = place.stored_hash(entry)
    return {} if stored is None or _same_hash(stored, entry.password_hash) else {"password_hash": entry.password_hash}


def _same_hash(one: str, other: str) -> bool:
    """Tell whether two hashes are one, however they are spelt: readers call some of them otherwise."""
    try:
        first, second = passwords.read(one), passwords.read(other)
    except InvalidPassword:
        return one == other
    return (first.scheme, first.digest or first.data) == (second.scheme, second.digest or second.data)


def _sum(some: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*some, *more}))
