"""``mailstore account import``: many accounts from a file, in blocks that are written wholly or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import click

from mailstore.cli.files import open_private
from mailstore.cli.import_rows import Row, read_rows
from mailstore.cli.results import ImportedRow
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import progress
from mailstore.errors import BulkRefused, Refused
from mailstore.passwords import generate_password

if TYPE_CHECKING:
    from mailstore.store import Store

__all__ = ["import_accounts"]

_BLOCK = 1000


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--input",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    help="Format of the file. Default: by its name, else csv.",
)
@click.option("--skip-existing", is_flag=True, help="Pass over accounts that are there, to go on where a run stopped.")
@click.option(
    "--generate-to",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Make passwords for rows without any, and write them to this new file that only you can read.",
)
@click.option("--skip-refused", is_flag=True, help="Pass over rows that are refused, and create the others.")
@click.option("--dry-run", is_flag=True, help="Check everything and tell what would happen; change nothing.")
@pass_session
def import_accounts(
    session: Session,
    file: Path,
    form: Literal["csv", "jsonl"] | None,
    skip_existing: bool,
    skip_refused: bool,
    generate_to: Path | None,
    dry_run: bool,
) -> None:
    """Create the accounts in FILE ('-' for standard input).

    A CSV file has a header; in a JSONL file each line is an object. The names are 'address', 'password' or
    'password_hash', 'home', and those of the options of 'account create' with underscores, aliases and forwarding
    excepted. In CSV an empty cell means "not given", and lists are separated by blanks.

    The whole file is checked first: if a row is refused by itself, nothing is written. Then blocks of 1000 rows are
    written, each wholly or not at all; the first one with a refused row ends the run. Correct the file and run the same
    command again with --skip-existing. With --skip-refused neither stops the run: whatever can be created is, and the exit
    code tells that there were others. Every row is reported; a table shows only those that were not created.
    """
    rows = read_rows(file, form or ("jsonl" if file.suffix == ".jsonl" else "csv"), need_passwords=generate_to is None)
    run = _Import(session, rows, skip_existing=skip_existing, skip_refused=skip_refused, dry_run=dry_run)
    try:
        run.check()
        with nullcontext() if dry_run or generate_to is None else open_private(generate_to) as run.passwords:
            run.write()
    finally:
        run.report()
    run.raise_refused()


@dataclass
class _Import:
    """A run: its rows, and what became of each so far."""

    session: Session
    rows: Sequence[Row]
    skip_existing: bool
    skip_refused: bool
    dry_run: bool
    passwords: IO[str] | None = None
    _done: dict[int, str] = field(default_factory=dict)
    _refused: dict[int, str] = field(default_factory=dict)

    def check(self) -> None:
        """Find the rows that are bad by themselves, or have the address of an earlier one; refuse the import if it must."""
        seen: dict[str, int] = {}
        for row in self.rows:
            first = seen.setdefault(row.address, row.number)
            if row.problem or first != row.number:
                self._refused[row.number] = row.problem or f"row {first} has this address too"
        if not self.skip_refused:
            self.raise_refused()

    def raise_refused(self) -> None:
        """Raise Refused if a row was refused, saying what was written."""
        if not self._refused:
            return
        number, reason = min(self._refused.items())
        created = sum(action == "created" for action in self._done.values())
        raise Refused(f"rows refused: {len(self._refused)}, accounts created: {created}; row {number}: {reason}")

    def write(self) -> None:
        """Write all rows, block by block."""
        with ExitStack() as stack:
            store = stack.enter_context(self.session.rehearsal()) if self.dry_run else self.session.store
            bar = progress("importing", len(self.rows), shown=self.session.output.progress)
            advance = stack.enter_context(bar)
            for block in _blocks(self.rows):
                self._write_block(store, block)
                advance(len(block))
                if self._refused and self._stops:
                    return

    @property
    def _stops(self) -> bool:
        """Whether a refused row ends the run."""
        return not (self.dry_run or self.skip_refused)

    def _write_block(self, store: Store, block: Sequence[Row]) -> None:
        wanted = [row for row in block if row.number not in self._refused and not self._skipped(store, row)]
        self._generate(wanted)
        while wanted:
            try:
                store.accounts.create_many([row.fields for row in wanted])
            except BulkRefused as error:
                self._refused |= {wanted[index].number: str(reason) for index, reason in error.rows}
                if self._stops:
                    return
                wanted = [row for row in wanted if row.number not in self._refused]
            else:
                self._done |= dict.fromkeys(
                    (row.number for row in wanted), "would create" if self.dry_run else "created"
                )
                return

    def _skipped(self, store: Store, row: Row) -> bool:
        if self.skip_existing and store.accounts.exists(row.address):
            self._done[row.number] = "skipped"
            return True
        return False

    def _generate(self, rows: Iterable[Row]) -> None:
        """Give passwords to the rows without any; they are on disk before an account has one of them."""
        made = [(row.address, row.make_password(generate_password())) for row in rows if row.lacks_password]
        if made and self.passwords:
            writer = csv.writer(self.passwords)
            writer.writerows([("address", "password"), *made] if self.passwords.tell() == 0 else made)
            self.passwords.flush()
            os.fsync(self.passwords.fileno())

    def report(self) -> None:
        """Tell what became of each row."""
        if self.rows and not (self._done or self._refused):
            return  # it came to nothing, and the error tells why
        output = self.session.output
        results = list(self._results())
        if output.form == "table":
            skipped = [result for result in results if result.action in {"skipped", "refused", "not tried"}]
            if skipped:
                output.many(ImportedRow, skipped)
            if not output.quiet:
                done = len(results) - len(skipped)
                output.raw(f"{'would create' if self.dry_run else 'created'} {done} of {len(results)} accounts\n")
        elif not output.quiet or self._refused:
            output.many(ImportedRow, results)

    def _results(self) -> Iterator[ImportedRow]:
        for row in self.rows:
            reason = self._refused.get(row.number, "")
            action = "refused" if reason else self._done.get(row.number, "not tried")
            yield ImportedRow(row.address, row.number, action, reason)


def _blocks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
