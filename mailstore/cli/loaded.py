"""What became of records that were loaded: told row by row, counted, and the refused ones kept for another try."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mailstore.cli.files import open_private
from mailstore.cli.output import Output
from mailstore.cli.results import LoadedRecord
from mailstore.errors import Refused

if TYPE_CHECKING:
    from mailstore.transfer import Carried, Outcome

__all__ = ["Report", "generated_into", "refused_into"]


@dataclass
class Report:
    """Writes rows as they come, and counts them. People see the rows that need them, and sums of the rest."""

    output: Output
    keep: Callable[[Outcome], object] = field(default=lambda _outcome: None)
    refused: int = 0
    _actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lost: Counter[tuple[str, str]] = field(default_factory=Counter)

    def write(self, outcomes: Iterable[Outcome | Carried]) -> None:
        """Write what became of each."""
        rows = self._rows(outcomes)
        if self.output.form == "table":
            rows = (row for row in rows if row.reason or row.action in {"refused", "skipped", "missing", "different"})
        first = next(rows, None)
        if first is not None or self.output.form == "json":
            self.output.many(LoadedRecord, chain(() if first is None else (first,), rows))
        if self.output.form == "table" and not self.output.quiet:
            self._write_sums()

    def _rows(self, outcomes: Iterable[Outcome | Carried]) -> Iterator[LoadedRecord]:
        from mailstore.transfer import Outcome

        for outcome in outcomes:
            row = _row(outcome)
            self._actions[row.action, row.record] += 1
            self._lost.update((name, row.record) for name in row.lost)
            if row.action == "refused":
                self.refused += 1
                if isinstance(outcome, Outcome):
                    self.keep(outcome)
            if not (self.output.quiet and row.action != "refused"):
                yield row

    def _write_sums(self) -> None:
        for (action, kind), count in sorted(self._actions.items()):
            self.output.raw(f"{action}: {kind} {count}\n")
        for (name, kind), count in sorted(self._lost.items()):
            self.output.raw(f"not kept: {name} of {kind} {count}\n")

    def raise_refused(self, hint: str) -> None:
        """Raise Refused if something was."""
        if self.refused:
            done = sum(count for (action, _), count in self._actions.items() if action in {"created", "updated"})
            raise Refused(f"records refused: {self.refused}, created or updated: {done}; {hint}")


def _row(outcome: Outcome | Carried) -> LoadedRecord:
    from mailstore.transfer import Outcome

    if isinstance(outcome, Outcome):
        entry = outcome.entry
        return LoadedRecord(entry.kind, entry.key, outcome.action, outcome.lost, outcome.reason, entry.line, entry.was)
    was = outcome.was if outcome.was != outcome.address else ""
    return LoadedRecord("home", outcome.address, outcome.action, (), outcome.reason, 0, was)


@contextmanager
def refused_into(path: Path | None) -> Iterator[Callable[[str], object] | None]:
    """Give what takes the lines of refused records, into a new private file that can be loaded; None without a path.

    The file is removed if there was none.
    """
    if path is None:
        yield None
        return
    from mailstore.transfer import write_entries

    stream = open_private(path, "ascii")
    write_entries((), stream.write, whole=False)
    empty = stream.tell()
    with stream:  # after an error what was refused until then stays
        yield stream.write
        kept = stream.tell() > empty
    if not kept:
        path.unlink()


@contextmanager
def generated_into(path: Path | None, *, dry_run: bool) -> Iterator[Callable[[str, str], object] | None]:
    """Give what takes generated passwords, into a new private CSV file; they are on disk when it returns."""
    if path is None or dry_run:
        yield None if path is None else (lambda _address, _password: None)
        return
    with open_private(path) as stream:
        writer = csv.writer(stream)
        writer.writerow(("address", "password"))

        def note(address: str, password: str) -> None:
            writer.writerow((address, password))
            _to_disk(stream)

        yield note


def _to_disk(stream: IO[str]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
