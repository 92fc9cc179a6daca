"""``mailstore NOUN import``: many things from a file, in blocks that are written wholly or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from mailstore.cli.files import INPUT, open_private
from mailstore.cli.import_rows import NOUNS, Noun, Row, read_rows
from mailstore.cli.results import ImportedRow
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import progress
from mailstore.errors import AlreadyExists, BulkRefused, HomeError, MailstoreError, Refused
from mailstore.model import Capability
from mailstore.passwords import generate_password

if TYPE_CHECKING:
    from mailstore.store import Store

__all__ = ["importing"]

_BLOCK = 1000
_AFTERWARDS = ("aliases", "forwarding", "keep_copy")
"""What accounts made in bulk get in a call of their own."""

_HELP = """Create the {many} in FILE ('-' for standard input), or update them.

A CSV file has a header; in a JSONL file each line is an object. The names are {names}.
In CSV an empty cell means "not given", and names of a set have blanks, commas or semicolons between them. Column names may
have capitals and blanks, as spreadsheets write them; the delimiter is that of the header, and rows of empty cells are
passed over.

The whole file is checked first: if a row is refused by itself, nothing is written. Then blocks of 1000 rows are written,
each wholly or not at all; the first one with a refused row ends the run. Correct the file and run the same command again
with --if-exists skip. With --continue neither stops the run: whatever can be written is, and the exit code tells that there
were others. Every row is reported with its line and what became of it; a table shows only those that were not written.
"""


def importing(name: str) -> click.Command:
    """Return the command ``import`` of a noun."""
    noun = NOUNS[name]

    @click.command("import", help=_HELP.format(many=_plural(noun), names=", ".join(noun.types)))
    @click.argument("file", type=INPUT)
    @click.option(
        "--input",
        "form",
        type=click.Choice(["csv", "jsonl"]),
        help="Format of the file. Default: by its name, else csv.",
    )
    @click.option(
        "--delimiter", metavar="CHARACTER", help="Of a CSV file. Default: that of its header, of , ; and tab."
    )
    @click.option("--encoding", default="utf-8", show_default=True, help="Of the file, like cp1252 or utf-16.")
    @click.option(
        "--if-exists",
        type=click.Choice(["fail", "skip", "update"]),
        default="fail",
        show_default=True,
        help="What becomes of a thing that is there: refused, left, or changed as its row says.",
    )
    @click.option("--skip-existing", is_flag=True, help="The same as --if-exists skip.")
    @click.option("--update", "updates", is_flag=True, help="The same as --if-exists update.")
    @click.option(
        "--continue",
        "--skip-refused",
        "go_on",
        is_flag=True,
        help="Pass over rows that are refused, and write the others.",
    )
    @click.option(
        "--report",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write each refused row to this new file, one JSON object a line: row, line, address, error, field, reason.",
    )
    @click.option(
        "--generate-to",
        metavar="FILE",
        type=click.Path(path_type=Path),
        hidden=not noun.has_secrets,
        help="Make passwords for new rows without any, and write them to this new file that only you can read.",
    )
    @click.option("--dry-run", is_flag=True, help="Check everything and tell what would happen; change nothing.")
    @pass_session
    def command(
        session: Session,
        file: Path,
        form: Literal["csv", "jsonl"] | None,
        delimiter: str | None,
        encoding: str,
        if_exists: Literal["fail", "skip", "update"],
        skip_existing: bool,
        updates: bool,
        go_on: bool,
        report: Path | None,
        generate_to: Path | None,
        dry_run: bool,
    ) -> None:
        if delimiter is not None and len(delimiter) != 1:
            raise click.UsageError("--delimiter is one character", click.get_current_context())
        chosen = "skip" if skip_existing else "update" if updates else if_exists
        # Who is there already, or is an account that becomes an admin, has a password.
        needs = generate_to is None and chosen == "fail" and noun.name == "account"
        form = form or ("jsonl" if file.suffix == ".jsonl" else "csv")
        rows = read_rows(file, form, noun, need_passwords=needs, delimiter=delimiter, encoding=encoding)
        run = _Import(session, noun, rows, if_exists=chosen, go_on=go_on, dry_run=dry_run)
        try:
            run.check()
            with nullcontext() if dry_run or generate_to is None else open_private(generate_to) as run.passwords:
                run.generates = generate_to is not None
                run.write()
        finally:
            run.report(report)
        run.raise_refused()

    return command


def _plural(noun: Noun) -> str:
    return noun.collection


@dataclass
class _Import:
    """A run: its rows, and what became of each so far."""

    session: Session
    noun: Noun
    rows: Sequence[Row]
    if_exists: str
    go_on: bool
    dry_run: bool
    generates: bool = False
    passwords: IO[str] | None = None
    _done: dict[int, str] = field(default_factory=dict)
    _refused: dict[int, MailstoreError] = field(default_factory=dict)

    def check(self) -> None:
        """Find the rows that are bad by themselves, or have the name of an earlier one; refuse the import if it must."""
        seen: dict[str, int] = {}
        for row in self.rows:
            first = seen.setdefault(row.address, row.number)
            if row.problem or first != row.number:
                self._refused[row.number] = row.problem or AlreadyExists(
                    f"row {first} has this {self.noun.key} too", subject=row.address, field=self.noun.key
                )
        if not self.go_on:
            self.raise_refused()

    def raise_refused(self) -> None:
        """Raise Refused if a row was refused, saying what was written."""
        if not self._refused:
            return
        number, reason = min(self._refused.items())
        created, updated = (sum(action == one for action in self._done.values()) for one in ("created", "updated"))
        done = f"{_plural(self.noun)} created: {created}" + (f", updated: {updated}" if updated else "")
        raise Refused(
            f"rows refused: {len(self._refused)}, {done}; row {number}, line {self.rows[number - 1].line}: {reason}"
        )

    def write(self) -> None:
        """Write all rows, block by block."""
        with ExitStack() as stack:
            store = stack.enter_context(self.session.rehearsal()) if self.dry_run else self.session.store
            writer = _Writer(store, self.noun, self.dry_run)
            bar = progress("importing", len(self.rows), shown=self.session.output.progress)
            advance = stack.enter_context(bar)
            for block in _blocks(self.rows):
                self._write_block(writer, block)
                advance(len(block))
                if self._refused and self._stops:
                    return

    @property
    def _stops(self) -> bool:
        """Whether a refused row ends the run."""
        return not (self.dry_run or self.go_on)

    def _write_block(self, writer: _Writer, block: Sequence[Row]) -> None:
        wanted = [row for row in block if row.number not in self._refused]
        there = {row.number for row in wanted if self.if_exists != "fail" and writer.exists(row)}
        if self.if_exists == "skip":
            self._done |= dict.fromkeys(there, "skipped")
            wanted = [row for row in wanted if row.number not in there]
        self._generate([row for row in wanted if row.number not in there])
        while wanted:
            refused, written = writer.write(
                [row for row in wanted if row.number not in there], [row for row in wanted if row.number in there]
            )
            self._refused |= refused
            wanted = [row for row in wanted if row.number not in refused]
            if written:
                would = "would " if self.dry_run else ""
                for row in wanted:
                    action = "update" if row.number in there else "create"
                    self._done[row.number] = f"would {action}" if would else f"{action}d"
                return
            if self._stops:
                return

    def _generate(self, rows: Iterable[Row]) -> None:
        """Give passwords to the rows without any; they are on disk before an account has one of them."""
        if not (self.generates and self.noun.has_secrets):
            return
        made = [(row.address, row.make_password(generate_password())) for row in rows if row.lacks_password]
        if made and self.passwords:
            writer = csv.writer(self.passwords)
            writer.writerows([("address", "password"), *made] if self.passwords.tell() == 0 else made)
            self.passwords.flush()
            os.fsync(self.passwords.fileno())

    def report(self, path: Path | None) -> None:
        """Tell what became of each row, and write the refused ones to a file."""
        if path is not None and self._refused:
            with open_private(path) as stream:
                stream.writelines(
                    f"{json.dumps({name: getattr(row, name) for name in _REPORTED})}\n"
                    for row in self._results()
                    if row.action == "refused"
                )
        if self.rows and not (self._done or self._refused):
            return  # it came to nothing, and the error tells why
        output = self.session.output
        results = list(self._results())
        if output.form == "table":
            left = [result for result in results if result.action in {"skipped", "refused", "not tried"}]
            if left:
                output.many(ImportedRow, left)
            if not output.quiet:
                self._write_sums(results)
        elif not output.quiet or self._refused:
            output.many(ImportedRow, results)

    def _write_sums(self, results: Sequence[ImportedRow]) -> None:
        would = "would " if self.dry_run else ""
        counts = {verb: sum(one.action in {f"{verb}d", f"would {verb}"} for one in results) for verb in _VERBS}
        told = [
            f"{would}{verb}{'' if would else 'd'} {counts[verb]}" for verb in _VERBS if verb == "create" or counts[verb]
        ]
        self.session.output.raw(f"{', '.join(told)} of {len(results)} {_plural(self.noun)}\n")

    def _results(self) -> Iterator[ImportedRow]:
        for row in self.rows:
            error = self._refused.get(row.number)
            if error is None:
                yield ImportedRow(row.address, row.number, row.line, self._done.get(row.number, "not tried"))
            else:
                yield ImportedRow(
                    row.address, row.number, row.line, "refused", str(error), type(error).__name__, error.field or ""
                )


_VERBS = ("create", "update")
_REPORTED = ("row", "line", "address", "error", "field", "reason")


class _TakenBack(Exception):
    """Ends a transaction in which a row was refused."""


@dataclass
class _Writer:
    """Writes rows into a collection of a store."""

    store: Store
    noun: Noun
    rehearsed: bool

    def __post_init__(self) -> None:
        self._collection: Any = getattr(self.store, self.noun.collection)
        self._together = Capability.TRANSACTIONS in self.store.capabilities

    def exists(self, row: Row) -> bool:
        """Tell whether what a row names is there."""
        return bool(self._collection.exists(row.address))

    def write(self, new: Sequence[Row], there: Sequence[Row]) -> tuple[Mapping[int, MailstoreError], bool]:
        """Make and change things: all of them, or none in a store with transactions.

        Returns who was refused, and whether the others are written.
        """
        refused: dict[int, MailstoreError] = {}
        with self._none_if(refused):
            made_together = self.noun.name == "account" and bool(new)
            refused.update(self._create_together(new) if made_together else self._each(new, self._create))
            if made_together and refused:
                return refused, False
            refused.update(self._each(there, self._update))
            if made_together and (self._together or not self.rehearsed):
                refused.update(self._each(new, self._complete))
        return refused, not (refused and self._together)

    @contextmanager
    def _none_if(self, refused: Mapping[int, MailstoreError]) -> Iterator[None]:
        """Take back what is done within if something is refused, in a store with transactions."""
        if not self._together:
            yield
            return
        with suppress(_TakenBack), self.store.transaction():
            yield
            if refused:
                raise _TakenBack

    @staticmethod
    def _each(rows: Sequence[Row], write: Callable[[Row], object]) -> dict[int, MailstoreError]:
        refused: dict[int, MailstoreError] = {}
        for row in rows:
            try:
                write(row)
            except (Refused, HomeError) as error:
                refused[row.number] = error
        return refused

    def _create_together(self, new: Sequence[Row]) -> dict[int, MailstoreError]:
        rows = [{name: value for name, value in row.fields.items() if name not in _AFTERWARDS} for row in new]
        try:
            self.store.accounts.create_many(rows)
        except BulkRefused as error:
            return {new[index].number: reason for index, reason in error.rows}
        return {}

    def _complete(self, row: Row) -> None:
        rest: Any = {name: row.fields[name] for name in _AFTERWARDS if name in row.fields}
        if rest:
            self.store.accounts.update(row.address, **rest)

    def _create(self, row: Row) -> None:
        fields = self._fields(row)
        if self.noun.name == "admin" and self.store.accounts.exists(row.address):
            self.store.admins.promote(row.address, **fields)
            return
        self._collection.create(row.address, **fields)
        self._add_names(row)

    def _update(self, row: Row) -> None:
        fields = self._fields(row)
        if fields:
            self._collection.update(row.address, **fields)
        self._add_names(row)

    def _fields(self, row: Row) -> dict[str, Any]:
        return {
            name: value for name, value in row.fields.items() if name not in {self.noun.key, "alias_domains", "home"}
        }

    def _add_names(self, row: Row) -> None:
        if names := row.fields.get("alias_domains"):
            self.store.domains.add_alias_domains(row.address, names)


def _blocks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
