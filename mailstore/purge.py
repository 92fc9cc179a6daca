"""Removing the mailboxes of deleted accounts whose retention ran out.

For each batch of due records: claim them in the database, verify that nobody lives, and that nothing is kept, in or around
their homes, move the homes into the trash of their root (one atomic rename each), forget the records, commit. Then ask once
more whether anybody lives there: locks do not bind other tools, nor the other nodes of a cluster. Only then are the trees
unlinked, outside of any lock. Whatever step is interrupted, the next run finishes: a record whose home is in the trash is
forgotten, and trash whose record is gone is removed, unless somebody lives where it came from. What cannot be done keeps its
record, is reported, and stops nothing else.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, takewhile
from typing import Literal

from mailstore.disk.neighbours import Neighbours, Place, places_at, spelt
from mailstore.errors import (
    Conflict,
    HomeError,
    InvalidValue,
    MailstoreError,
    NotFound,
)
from mailstore.maildir import Homes, Trashed
from mailstore.model import DeletedMailbox, Usage
from mailstore.roots import Roots, homes_of
from mailstore.store import Claim, Store

__all__ = ["Outcome", "find_mail", "purge_due", "take_from_trash", "trash_key"]

_BATCH = 100
_TRIES = 10

Action = Literal["purged", "absent", "trashed", "kept", "elsewhere", "would purge"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mailbox.

    ``action`` is one of

    - ``purged``: removed, and its record forgotten; ``files`` tells how many files;
    - ``absent``: there was no such home, the record is forgotten;
    - ``trashed``: in the trash, its record is forgotten, but it could not be removed yet: ``reason``;
    - ``kept``: not touched: ``reason``;
    - ``elsewhere``: due, but not under the homes that this process may touch;
    - ``would purge``: only in a dry run; ``reason`` tells why its size is not known, if it is not.

    ``files`` and ``bytes`` are what was removed, or would be: everything but directories, and the size of regular files.
    ``usage``, in a dry run, counts messages besides. ``record`` is None for trash that an interrupted run left behind, and
    for a root whose trash cannot be read (``kept``).
    """

    home: str
    action: Action
    record: DeletedMailbox | None = None
    reason: str = ""
    usage: Usage | None = None
    files: int = 0
    bytes: int = 0


def trash_key(store_key: str, record: DeletedMailbox) -> str:
    """Return the key under which the home of a record lies in the trash.

    The id alone would not do: some databases give it away again once the record is deleted. The home has a mark of its own,
    so that whoever lives there can be found when the record is gone.
    """
    return f"{store_key}{_ending(record)}"


def _ending(record: DeletedMailbox) -> str:
    """Return what the key has of the record, whichever name the store had when its home was set aside."""
    return f"-{_digest(spelt(record.home))}-{_digest(str(record.deleted))}-{record.id}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def take_from_trash(homes: Homes, record: DeletedMailbox) -> bool:
    """Put a home back that an interrupted purge has left in the trash. Returns whether it was there.

    Raises HomeRefused if something else is in its place, HomeError.
    """
    trashed = homes.find_trashed(_ending(record), record.home)
    if trashed:
        homes.put_back(trashed[-1], record.home)
    return bool(trashed)


def find_mail(homes: Homes | None, record: DeletedMailbox) -> None:
    """Make sure that the home of a record is there, for a restore, unless it is on another host, or not ours.

    Raises HomeError if the mail is gone.
    """
    if homes is None or homes.root_of(record.home) is None:
        return
    # The trash first: an empty directory at the old place, whoever made it, must not pass for the mail.
    if not take_from_trash(homes, record) and not homes.exists(record.home):
        raise HomeError(
            f"the mail of {record.address} is gone: there is no {record.home}; create the account anew",
            subject=record.home,
        )


def purge_due(
    store: Store,
    *,
    today: date | None = None,
    dry_run: bool = False,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Outcome]:
    """Purge every mailbox that is due.

    Parameters
    ----------
    today: the day to compare with; the present one in UTC if not given.
    dry_run: change nothing, tell what would be done.
    stop: asked between two mailboxes; True ends the run, the next one goes on.
    progress: told the number of files removed so far in the mailbox at hand.

    Yields an `Outcome` for each mailbox when it is done with. Raises ConfigurationError for a store opened without
    `homes`, and StoreError.
    """
    homes = homes_of(store)
    day = today or datetime.now(UTC).date()
    run = _Run(store, homes, day, stop or (lambda: False), progress)
    yield from run.preview() if dry_run else run.purge()


class _Run:
    def __init__(
        self,
        store: Store,
        homes: Homes,
        day: date,
        stop: Callable[[], bool],
        progress: Callable[[int], None] | None,
    ) -> None:
        self._store = store
        self._homes = homes
        self._day = day
        self._stop = stop
        self._progress = progress
        # What an acting admin may not see is as alive, and as much kept, as the rest.
        self._whole = store.unrestricted()
        self._roots = Roots(store, homes)
        self._told: set[int] = set()

    # --- a dry run

    def preview(self) -> Iterator[Outcome]:
        """Tell what `purge` would do."""
        for root, reason in self._roots.look().items():
            yield Outcome(root, "kept", None, reason)
        left, unreadable = self._left()
        yield from unreadable
        wanted = self._wanted(left)
        for entry, place in wanted.items():
            yield Outcome(
                place.home, "kept", None, f"{entry.path} came from there, and {place} uses it: it will be put back"
            )
        for entry in _forgotten(left, wanted):
            yield self._previewed_trash(entry)
        records = list(self._store.deleted.list(due=self._day))
        reasons = self._reasons([record for record in records if self._is_here(record)])
        for record in records:
            if self._stop():
                return
            yield self._previewed(record, reasons.get(record.id))

    def _previewed(self, record: DeletedMailbox, reason: str | None) -> Outcome:
        try:
            if not record.home:
                return Outcome(record.home, "absent", record)
            root = self._homes.root_of(record.home)
            if root is None:
                return Outcome(record.home, "elsewhere", record)
            reason = self._roots.foreign.get(root, reason)
            if reason is not None:
                return Outcome(record.home, "kept", record, reason)
            if self._homes.check_removable(record.home):
                return self._measured(record)
            trashed = self._homes.find_trashed(_ending(record), record.home)
        except (HomeError, InvalidValue) as error:
            return Outcome(record.home, "kept", record, str(error))
        return self._previewed_trash(trashed[-1], record) if trashed else Outcome(record.home, "absent", record)

    def _measured(self, record: DeletedMailbox) -> Outcome:
        try:
            there, usage = self._homes.contents(record.home), self._homes.measure(record.home, folder="")
        except HomeError as error:  # a removal takes the rights that it needs
            return Outcome(record.home, "would purge", record, str(error))
        return Outcome(record.home, "would purge", record, usage=usage, files=there.files, bytes=there.bytes)

    def _previewed_trash(self, entry: Trashed, record: DeletedMailbox | None = None) -> Outcome:
        home = record.home if record else entry.path
        try:
            there = self._homes.contents(entry)
        except HomeError as error:
            return Outcome(home, "would purge", record, str(error))
        return Outcome(home, "would purge", record, files=there.files, bytes=there.bytes)

    # --- a real one

    def purge(self) -> Iterator[Outcome]:
        """Finish what earlier runs left, then work through the due records in batches."""
        yield from self._finish_earlier_runs()
        after = tries = 0
        while not self._stop():
            if not self._roots.ours():
                break
            try:
                outcomes, trashed, last = self._set_aside_batch(after)
            except Conflict:
                # On another node of a cluster somebody was faster, with one of these records: their homes are back.
                tries += 1
                if tries > _TRIES:
                    raise
                yield from self._finish_earlier_runs()
                continue
            yield from outcomes
            yield from self._unlink_all(trashed)
            if last is None:
                break
            after = last
        yield from self._elsewhere()

    def _finish_earlier_runs(self) -> Iterator[Outcome]:
        for root, reason in self._roots.look().items():
            yield Outcome(root, "kept", None, reason)
        left, unreadable = self._left()
        yield from unreadable  # such a root stops none of the others
        wanted = self._wanted(left)
        for entry, place in wanted.items():
            yield self._return(entry, place)
        yield from self._unlink_all([(entry, None) for entry in _forgotten(left, wanted)])

    def _left(self) -> tuple[dict[Trashed, DeletedMailbox | None], list[Outcome]]:
        """Return what is in the trash, with its record if that is still there, and what became of unreadable roots.

        With a record its move was not committed, or another process is about to.
        """
        unreadable: list[HomeError] = []
        trashed = self._homes.trashed(on_error=unreadable.append)
        left = {entry: self._record_of(entry) for entry in trashed if self._roots.has(entry)}
        return left, [Outcome(error.subject or "", "kept", None, str(error)) for error in unreadable]

    def _record_of(self, entry: Trashed) -> DeletedMailbox | None:
        try:
            record = self._whole.deleted.get(int(entry.key.rpartition("-")[2]))
        except (NotFound, ValueError):
            return None
        return record if entry.key.endswith(_ending(record)) else None

    def _wanted(self, entries: Mapping[Trashed, DeletedMailbox | None]) -> dict[Trashed, Place]:
        """Return those entries that came from where somebody lives, or something is kept, with who and the old path.

        A record goes with its account's restore, too, and that may have taken place where nobody sees the trash. Its own
        record keeps an entry only as long as it is not due.
        """
        by_mark: dict[str, list[Trashed]] = defaultdict(list)
        for entry in entries:
            if not entry.removing:
                by_mark[entry.key.split("-")[1]].append(entry)
        if not by_mark:
            return {}
        found = {
            entry: _place_of(record)
            for entry, record in entries.items()
            if record is not None and not entry.removing and (record.due is None or record.due > self._day)
        }
        for place in chain(self._live(), self._whole.deleted.places()):
            for path in takewhile(self._is_below_a_root, places_at(spelt(place.home))):
                for entry in by_mark.get(_digest(path), ()):
                    if entries[entry] is None or place.id is None:
                        found[entry] = Place(path, place.address, place.id)
        return found

    def _is_below_a_root(self, path: str) -> bool:
        return any(path.startswith(f"{root}/") for root in self._homes.roots)

    def _return(self, entry: Trashed, place: Place, record: DeletedMailbox | None = None) -> Outcome:
        """Put a home back that is in use again. What hinders that needs somebody to look at both mailboxes."""
        try:
            self._homes.put_back(entry, place.home)
        except HomeError as error:
            reason = f"{entry.path} holds mail of {place}, which is in use again, and was not put back: {error}"
        else:
            reason = f"it is in use again, by {place}: its mail was put back from the trash"
        return Outcome(place.home, "kept", record, reason)

    def _set_aside_batch(self, after: int) -> tuple[list[Outcome], list[tuple[Trashed, DeletedMailbox]], int | None]:
        """Move one batch of homes into the trash and forget their records, in one transaction; then ask about them again.

        Returns what is settled already, what remains to be unlinked, and the id of the last record, None at the end.
        """
        trashed: dict[Trashed, DeletedMailbox] = {}
        stranded: list[str] = []
        try:
            with self._store.deleted.claim(self._day, limit=_BATCH, after=after, below=self._roots.ours()) as claim:
                last = claim.records[-1].id if claim.records else None
                hand, not_in_hand = self._gather(claim)
                reasons = self._reasons(hand, not_in_hand)
                for record in sorted(hand, key=lambda record: len(record.home), reverse=True):  # what is inside first
                    if record.id not in reasons:
                        try:
                            trashed |= dict.fromkeys(self._set_aside(claim, record, stranded), record)
                        except (HomeError, InvalidValue) as error:
                            reasons |= _spread({record.id: str(error)}, hand, but=reasons)
                for record in hand:
                    if record.id in reasons:
                        self._store.deleted.note_failure(record.id, reasons[record.id])
        except MailstoreError as error:
            if stranded:
                error.state = "; ".join(filter(None, (error.state, *stranded)))
            raise
        wanted = self._wanted(dict.fromkeys(trashed))
        moved = {record.id for record in trashed.values()}
        outcomes = [self._return(entry, place, trashed[entry]) for entry, place in wanted.items()]
        outcomes += [
            Outcome(record.home, "kept" if record.id in reasons else "absent", record, reasons.get(record.id, ""))
            for record in hand
            if record.id not in moved and record.id not in self._told
        ]
        self._told |= reasons.keys()  # the turn of some by their number comes later
        return outcomes, [(entry, record) for entry, record in trashed.items() if entry not in wanted], last

    def _gather(self, claim: Claim) -> tuple[list[DeletedMailbox], list[Place]]:
        """Claim all other due records that touch the claimed ones, too: they go together or not.

        Returns what is in hand, those of the batch first, and the touching records that could not be had.
        """
        hand, touching = list(claim.records), list[Place]()
        while hand:
            near = Neighbours(record.home for record in hand)
            touching = [place for place in self._kept({record.id for record in hand}) if any(near.of(place.home))]
            more = claim.take({place.id for place in touching if place.id is not None}) if touching else ()
            if not more:
                break
            hand += more
        return hand, touching

    def _set_aside(self, claim: Claim, record: DeletedMailbox, stranded: list[str]) -> Sequence[Trashed]:
        """Move one home into the trash and forget its record. Returns the entries of this record in the trash.

        Should the claim fail, the home is put back; what cannot be is told in `stranded`.
        """
        if not record.home:  # iRedAdmin records even what has no mailbox, a catch-all among others
            claim.forget(record)
            return ()
        self._roots.require(record.home)
        entries: list[Trashed] = []
        entry = self._homes.set_aside(record.home, trash_key(self._store.key, record))
        if entry is not None:
            claim.on_failure(lambda: self._put_back(entry, record, stranded))
            entries = [entry]
        else:
            # An earlier run may have been killed between the rename and the commit; so may one on another node of a cluster,
            # where it has the same record in hand, or it has just put the home back.
            entries = self._homes.find_trashed(_ending(record), record.home)
            if not entries and self._homes.exists(record.home):
                return self._set_aside(claim, record, stranded)
        claim.forget(record)
        return entries

    def _put_back(self, entry: Trashed, record: DeletedMailbox, stranded: list[str]) -> None:
        try:
            if self._homes.is_trashed(entry):  # else a restore on another node of a cluster was faster
                self._homes.put_back(entry, record.home)
        except HomeError as error:
            stranded.append(f"the mail of {record.address} is in the trash as {entry.path}: {error}")

    def _unlink_all(self, trashed: Iterable[tuple[Trashed, DeletedMailbox | None]]) -> Iterator[Outcome]:
        for entry, record in trashed:
            if self._stop():
                return
            try:
                yield self._unlink(entry, record)
            except HomeError as error:
                yield Outcome(record.home if record else entry.path, "trashed", record, str(error))

    def _unlink(self, entry: Trashed, record: DeletedMailbox | None) -> Outcome:
        if record is not None and not self._homes.is_trashed(entry):
            # On another node of a cluster a restore may have taken it out, which this purge has made fail then.
            again = self._homes.set_aside(record.home, entry.key)
            if again is not None:
                entry = again
                for place in self._wanted({entry: None}).values():
                    return self._return(entry, place, record)
        gone = self._homes.unlink(entry, progress=self._progress)
        return Outcome(record.home if record else entry.path, "purged", record, files=gone.files, bytes=gone.bytes)

    def _elsewhere(self) -> Iterator[Outcome]:
        for record in self._store.deleted.list(due=self._day):
            if record.id in self._told or not record.home:
                continue
            try:
                root = self._homes.root_of(record.home)
            except InvalidValue as error:
                yield Outcome(record.home, "kept", record, str(error))
                continue
            if root is None:
                yield Outcome(record.home, "elsewhere", record)

    # --- what may not go

    def _reasons(self, hand: Sequence[DeletedMailbox], touching: Iterable[Place] = ()) -> dict[int, str]:
        """Return why records in hand cannot be purged, by their ids; the others can.

        Nothing that lives or is kept may lie at, in or above a home that goes. Other records were looked through before the
        accounts (`touching`) and are again after them: whoever is restored or deleted meanwhile is seen as one or the other.
        """
        if not hand:
            return {}
        near = Neighbours(record.home for record in hand)
        blocked: dict[str, str] = {}
        ids = {record.id for record in hand}
        for place in chain(touching, self._live(), self._kept(ids)):
            blocked |= {home: _blocked_by(place) for home in near.of(place.home)}
        reasons = {record.id: blocked[record.home] for record in hand if record.home in blocked}
        for record in hand:
            if record.home and record.id not in reasons:
                try:
                    self._homes.check_removable(record.home)
                except (HomeError, InvalidValue) as error:
                    reasons[record.id] = str(error)
        return reasons | _spread(reasons, hand)

    def _is_here(self, record: DeletedMailbox) -> bool:
        try:
            return self._homes.root_of(record.home) is not None
        except InvalidValue:
            return False

    def _live(self) -> Iterator[Place]:
        return (Place(home, address) for address, home in self._whole.accounts.homes(at_once=True))

    def _kept(self, hand: Collection[int]) -> Iterator[Place]:
        """Iterate over the homes of records that are not in hand, but for those that are no mailboxes.

        What lies at a root or above it can be nobody's home; such a record would keep everything else for ever.
        """
        for place in self._whole.deleted.places():
            path = spelt(place.home)
            if place.id not in hand and not any(
                f"{root}/".startswith(f"{path.rstrip('/')}/") for root in self._homes.roots
            ):
                yield place


def _blocked_by(place: Place) -> str:
    if place.id is None:
        return f"the live account {place.address} has its home there, above, or below; nothing was touched"
    return (
        f"the mailbox of the deleted account {place.address} is kept there, above, or below (record {place.id}); "
        "nothing was touched"
    )


def _spread(reasons: Mapping[int, str], hand: Sequence[DeletedMailbox], *, but: Collection[int] = ()) -> dict[int, str]:
    """Return the reasons, and with them those of records whose homes touch one that stays: it is kept, too."""
    found, waiting = dict(reasons), [record for record in hand if record.id not in reasons and record.id not in but]
    staying = [record for record in hand if record.id in reasons]
    while staying and waiting:
        near = Neighbours(record.home for record in waiting)
        touched = {home: record for record in staying for home in near.of(record.home)}
        staying = [record for record in waiting if record.home in touched]
        found |= {record.id: _blocked_by(_place_of(touched[record.home])) for record in staying}
        waiting = [record for record in waiting if record.home not in touched]
    return found


def _forgotten(entries: Mapping[Trashed, DeletedMailbox | None], but: Collection[Trashed]) -> list[Trashed]:
    return [entry for entry, record in entries.items() if record is None and entry not in but]


def _place_of(record: DeletedMailbox) -> Place:
    return Place(record.home, record.address, record.id)
