"""How results are written to standard output, in each of the formats."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailstore.cli import tables, terminal, values
from mailstore.cli.terminal import safe
from mailstore.records import plain_value, to_dict

__all__ = ["FORMATS", "Output"]

FORMATS: Final = ("table", "lines", "json", "csv")


@dataclass(frozen=True)
class Output:
    """Writes what commands found or did."""

    form: str
    quiet: bool = False
    raw_csv: bool = False

    @classmethod
    def choose(cls, form: str | None, *, quiet: bool, raw_csv: bool = False) -> Output:
        """Return the writer for a format; without one it depends on whether a person reads standard output."""
        return cls(form or ("table" if sys.stdout.isatty() else "lines"), quiet, raw_csv)

    @property
    def progress(self) -> bool:
        """Whether a progress bar may be shown before results are written: rows of other forms tell enough themselves."""
        return not self.quiet and (self.form == "table" or not sys.stdout.isatty())

    @property
    def progress_beside_rows(self) -> bool:
        """Whether a progress bar may be shown while results are written: not if they go to a terminal."""
        return not self.quiet and not sys.stdout.isatty()

    def many(self, kind: type, records: Iterable[object], *, columns: Sequence[str] = ()) -> None:
        """Write a list of records of one type as they come, with these `columns` if they are given."""
        match self.form:
            case "json":
                shown = (_plain_columns(record, columns) for record in records) if columns else map(to_dict, records)
                _write_json_list(shown)
            case "csv":
                columns = columns or values.names(kind)
                self._write_csv(columns, (values.row(record, columns) for record in records))
            case "lines":
                columns = columns or values.listed(kind)
                for record in records:
                    _write_line(_cells(columns, values.row(record, columns)))
            case _:
                columns = columns or values.listed(kind)
                rows = (_cells(columns, values.row(record, columns), human=True) for record in records)
                if not tables.write([_title(column) for column in columns], rows):
                    sys.stdout.write("nothing found\n")

    def one(self, record: object) -> None:
        """Write one record with everything in it."""
        flat = values.flat(record)
        match self.form:
            case "json":
                _write_json(to_dict(record))
            case "csv":
                self._write_csv(tuple(flat), [tuple(flat.values())])
            case "lines":
                for column, cell in zip(flat, _cells(tuple(flat), tuple(flat.values())), strict=True):
                    _write_line([column, cell])
            case _:
                cells = zip(flat, _cells(tuple(flat), tuple(flat.values()), human=True), strict=True)
                tables.write(["", ""], [(_title(column), cell) for column, cell in cells], headed=False)

    def number(self, count: int) -> None:
        """Write a number, in every format the same."""
        sys.stdout.write(f"{count}\n")

    def raw(self, data: str) -> None:
        """Write text as it is: a hash, a script, a file."""
        sys.stdout.write(data)

    def done(self, message: str, record: object, *, password: str | None = None) -> None:
        """Tell what a command did: in words for people, else as the record that came of it.

        A generated `password` is told in any case, this once, as ``generated_password``.
        """
        if self.quiet and password is None:
            return
        secret = {} if password is None else {"generated_password": password}
        match self.form:
            case "json":
                _write_json(to_dict(record) | secret)
            case "csv":
                flat = values.flat(record) | secret
                self._write_csv(tuple(flat), [tuple(flat.values())])
            case "lines":
                columns = values.listed(type(record))
                cells = [*values.row(record, columns), *secret.values()]
                _write_line(_cells((*columns, *secret), cells))
            case _:
                _write_line([message])
                if password is not None:
                    _write_line([f"password: {password}"])

    def _write_csv(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        clean = safe if sys.stdout.isatty() else str
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([clean(self._defused(*cell)) for cell in zip(columns, row, strict=True)])

    def _defused(self, column: str, value: Any) -> str:
        """Return a cell that no spreadsheet calculates with: people choose their names, and mail may bring a file along."""
        cell = value if type(value) is str else values.text(column, value)
        kept_as_it_is = self.raw_csv or isinstance(value, int) or column == "generated_password"
        return cell if kept_as_it_is or not values.is_formula(cell) else f"'{cell}"


def _write_line(cells: Iterable[str]) -> None:
    sys.stdout.write("\t".join(map(safe, cells)) + "\n")


def _write_json(value: object) -> None:
    # ASCII, so that neither the locale nor a terminal can do anything with it.
    sys.stdout.write(json.dumps(value) + "\n")


def _plain_columns(record: object, columns: Sequence[str]) -> dict[str, Any]:
    return {column: plain_value(value) for column, value in zip(columns, values.row(record, columns), strict=True)}


def _write_json_list(objects: Iterable[dict[str, Any]]) -> None:
    between = "[\n"
    for one in objects:
        sys.stdout.write(between + json.dumps(one))
        between = ",\n"
    sys.stdout.write("[]\n" if between == "[\n" else "\n]\n")


def _cells(columns: Sequence[str], row: Sequence[Any], *, human: bool = False) -> list[str]:
    shown = _human if human else values.text
    return [shown(column, value) for column, value in zip(columns, row, strict=True)]


def _title(column: str) -> str:
    return column.replace("_", " ").replace(".", " ")


def _human(column: str, value: Any) -> str:
    if column.rpartition(".")[2] == "bytes" and isinstance(value, int):
        return terminal.size(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return values.text(column, value)
