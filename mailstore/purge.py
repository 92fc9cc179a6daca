"""Removing the mailboxes of deleted accounts whose retention ran out.

For each batch of due records: claim them in the database, verify that nobody lives in or around their homes, move the homes
into the trash of their root (one atomic rename each), forget the records, commit. Only then are the trees unlinked, outside
of any lock. Whatever step is interrupted, the next run finishes: a record whose home is in the trash already is forgotten,
and trash whose record is gone is removed. What cannot be done keeps its record, is reported, and stops nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Literal

from mailstore.errors import ConfigurationError, HomeError, InvalidValue, NotFound
from mailstore.layout import normal_home
from mailstore.maildir import Homes, Trashed
from mailstore.model import DeletedMailbox, Usage
from mailstore.store import Claim, Store

__all__ = ["Outcome", "find_mail", "purge_due", "take_from_trash", "trash_key"]

_BATCH = 100

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
    - ``would purge``: only in a dry run; ``usage`` is what would go.

    ``record`` is None for trash that an interrupted run left behind, and for a root whose trash cannot be read (``kept``).
    """

    home: str
    action: Action
    record: DeletedMailbox | None = None
    reason: str = ""
    usage: Usage | None = None
    files: int = 0


def trash_key(store_key: str, record: DeletedMailbox) -> str:
    """Return the key under which the home of a record lies in the trash.

    The id alone would not do: some databases give it away again once the record is deleted.
    """
    mark = hashlib.sha256(f"{record.home} {record.deleted}".encode()).hexdigest()[:12]
    return f"{store_key}-{mark}-{record.id}"


def take_from_trash(homes: Homes, store_key: str, record: DeletedMailbox) -> bool:
    """Put a home back that an interrupted purge has left in the trash. Returns whether it was there.

    Raises HomeRefused if something else is in its place, HomeError.
    """
    trashed = homes.find_trashed(trash_key(store_key, record), record.home)
    if trashed:
        homes.put_back(trashed[-1], record.home)
    return bool(trashed)


def find_mail(homes: Homes | None, store_key: str, record: DeletedMailbox) -> None:
    """Make sure that the home of a record is there, for a restore, unless it is on another host, or not ours.

    Raises HomeError if the mail is gone.
    """
    if homes is None or homes.root_of(record.home) is None:
        return
    # The trash first: an empty directory at the old place, whoever made it, must not pass for the mail.
    if not take_from_trash(homes, store_key, record) and not homes.exists(record.home):
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
    if store.homes is None:
        raise ConfigurationError("the store was opened without homes; say below which directories the mailboxes lie")
    day = today or datetime.now(UTC).date()
    run = _Run(store, store.homes, day, stop or (lambda: False), progress)
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

    def preview(self) -> Iterator[Outcome]:
        """Tell what `purge` would do."""
        records = list(self._store.deleted.list(due=self._day))
        in_use = _in_use((record.home for record in records), self._store)
        for record in records:
            yield self._previewed(record, in_use.get(record.home))

    def _previewed(self, record: DeletedMailbox, user: str | None) -> Outcome:
        try:
            if self._homes.root_of(record.home) is None:
                return Outcome(record.home, "elsewhere", record)
            if user:
                return Outcome(record.home, "kept", record, _used_by(user))
            if not self._homes.exists(record.home):
                return Outcome(record.home, "absent", record)
            return Outcome(record.home, "would purge", record, usage=self._homes.measure(record.home, folder=""))
        except (HomeError, InvalidValue) as error:
            return Outcome(record.home, "kept", record, str(error))

    def purge(self) -> Iterator[Outcome]:
        """Finish what earlier runs left, then work through the due records in batches."""
        yield from self._finish_earlier_runs()
        after = 0
        while not self._stop():
            outcomes, trashed, last = self._set_aside_batch(after)
            yield from outcomes
            yield from self._unlink_all(trashed)
            if last is None:
                break
            after = last
        yield from self._elsewhere()

    def _finish_earlier_runs(self) -> Iterator[Outcome]:
        unreadable: list[HomeError] = []
        trashed = self._homes.trashed(f"{self._store.key}-", on_error=unreadable.append)
        left = [entry for entry in trashed if self._is_forgotten(entry)]
        for error in unreadable:  # such a root stops none of the others
            yield Outcome(error.subject or "", "kept", None, str(error))
        yield from self._unlink_all([(entry, None) for entry in left])

    def _is_forgotten(self, entry: Trashed) -> bool:
        """Tell whether the record of a home in the trash is gone, that is, whether its move was committed."""
        try:
            record = self._store.deleted.get(int(entry.key.rpartition("-")[2]))
        except NotFound:
            return True
        return trash_key(self._store.key, record) != entry.key

    def _set_aside_batch(
        self, after: int
    ) -> tuple[list[Outcome], list[tuple[Trashed, DeletedMailbox | None]], int | None]:
        """Move one batch of homes into the trash and forget their records, in one transaction.

        Returns what is settled already, what remains to be unlinked, and the id of the last record, None at the end.
        """
        outcomes: list[Outcome] = []
        trashed: list[tuple[Trashed, DeletedMailbox | None]] = []
        with self._store.deleted.claim(self._day, limit=_BATCH, after=after, below=self._homes.roots) as claim:
            in_use = _in_use((record.home for record in claim.records), self._store)
            for record in claim.records:
                try:
                    trashed += [(entry, record) for entry in self._set_aside(claim, record, in_use.get(record.home))]
                except (HomeError, InvalidValue) as error:
                    self._store.deleted.note_failure(record.id, str(error))
                    outcomes.append(Outcome(record.home, "kept", record, str(error)))
            last = claim.records[-1].id if claim.records else None
        settled = {record.id for _, record in trashed if record} | {
            outcome.record.id for outcome in outcomes if outcome.record
        }
        outcomes += [Outcome(record.home, "absent", record) for record in claim.records if record.id not in settled]
        return outcomes, trashed, last

    def _set_aside(self, claim: Claim, record: DeletedMailbox, user: str | None) -> Sequence[Trashed]:
        """Move one home into the trash and forget its record. Returns the entries of this record in the trash."""
        if user:
            raise HomeError(_used_by(user), subject=record.home)
        key = trash_key(self._store.key, record)
        entry = self._homes.set_aside(record.home, key)
        # Nothing there: an earlier run may have been killed between the rename and the commit.
        entries = [entry] if entry else self._homes.find_trashed(key, record.home)
        claim.forget(record)
        return entries

    def _unlink_all(self, trashed: Iterable[tuple[Trashed, DeletedMailbox | None]]) -> Iterator[Outcome]:
        for entry, record in trashed:
            if self._stop():
                return
            home = record.home if record else entry.path
            try:
                files = self._homes.unlink(entry, progress=self._progress)
            except HomeError as error:
                yield Outcome(home, "trashed", record, str(error))
            else:
                yield Outcome(home, "purged", record, files=files)

    def _elsewhere(self) -> Iterator[Outcome]:
        for record in self._store.deleted.list(due=self._day):
            try:
                root = self._homes.root_of(record.home)
            except InvalidValue as error:
                yield Outcome(record.home, "kept", record, str(error))
                continue
            if root is None:
                yield Outcome(record.home, "elsewhere", record)


def _used_by(user: str) -> str:
    return f"the live account {user} has its home there, above, or below; nothing was touched"


def _in_use(homes: Iterable[str], store: Store) -> dict[str, str]:
    """Return those of `homes` that a live account's home equals, contains, or lies under, with that account.

    One pass over all accounts for any number of homes; nothing of it is kept but the matches.
    """
    wanted = {home: {str(parent) for parent in PurePosixPath(_spelt(home)).parents} for home in homes}
    if not wanted:
        return {}
    by_path = {_spelt(home): home for home in wanted}
    above = {parent: home for home, parents in wanted.items() for parent in parents}
    found: dict[str, str] = {}
    for address, live in store.accounts.homes():
        path = _spelt(live)
        if path in above:  # the live home contains a wanted one, maybe several
            found |= {home: address for home, parents in wanted.items() if path in parents}
        for place in (path, *_parents(path)):
            if place in by_path:
                found[by_path[place]] = address
    return found


def _parents(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path


def _spelt(home: str) -> str:
    """Return the normal form of a home, or the text as it is if it has none: such a path is never touched anyway."""
    try:
        return normal_home(home)
    except InvalidValue:
        return home
