"""The rows of an import file, each checked by itself."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import click

from mailstore import passwords
from mailstore.address import account_address
from mailstore.cli.fields import parameter_types
from mailstore.cli.values import is_formula
from mailstore.errors import InvalidPassword, InvalidValue, Refused
from mailstore.fields import AccountFields
from mailstore.quota import UNLIMITED, Quota

__all__ = ["Row", "read_rows"]

_NOT_IN_BULK = {"aliases", "forwarding", "keep_copy"}
_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}


@dataclass
class Row:
    """An account to create; or a `problem`, if the row can be none."""

    number: int
    address: str
    fields: dict[str, Any] = field(repr=False)
    problem: str = ""

    @property
    def lacks_password(self) -> bool:
        """Whether a password has to be made for it."""
        return not {"password", "password_hash"} & self.fields.keys()

    def make_password(self, password: str) -> str:
        """Set and return the password."""
        self.fields["password"] = password
        return password


def read_rows(file: Path, form: Literal["csv", "jsonl"], *, need_passwords: bool) -> list[Row]:
    """Read an import file.

    Parameters
    ----------
    file: ``-`` is standard input.
    form: of the file.
    need_passwords: whether every row must have a password or a hash.

    Raises UsageError if it cannot be read at all.
    """
    records = _csv_records(_text(file)) if form == "csv" else _jsonl_records(_text(file))
    return [_row(number, record, need_passwords) for number, record in enumerate(records, 1)]


def _text(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Without the cause: it holds the whole file.
        raise click.UsageError(f"{file} is not UTF-8") from None


def _csv_records(text: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = reader.fieldnames or []
    unknown = sorted(set(names) - _types().keys())
    if unknown or len(set(names)) < len(names) or "address" not in names:
        # Without 'address' the first line may be a row, and hold a password.
        is_header = "address" in names and unknown
        problem = (
            f"there is no column {unknown[0]!r}" if is_header else "it needs a header with 'address', no name twice"
        )
        raise click.UsageError(f"{problem}; known are {', '.join(_types())}")
    try:
        for record in reader:
            yield {name: _as_written(name, value) for name, value in record.items() if value not in ("", None)}
    except csv.Error as error:
        raise click.UsageError(f"line {reader.line_num} is not CSV: {error}") from error


def _as_written(name: str, cell: Any) -> Any:
    """Return a cell without the apostrophe that output in CSV puts before what a spreadsheet would calculate with.

    Secrets have none: they are never written there.
    """
    secret = name in ("password", "password_hash")
    return cell[1:] if isinstance(cell, str) and not secret and cell.startswith("'") and is_formula(cell) else cell


def _jsonl_records(text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                # Without the cause: it holds the line.
                raise click.UsageError(f"line {number} is not JSON") from None


@cache
def _types() -> Mapping[str, str]:
    """Return the names that rows may have, with their types."""
    named = {"address": "str", "password": "str", "password_hash": "str", "home": "str"}
    return named | {name: type_ for name, type_ in parameter_types(AccountFields).items() if name not in _NOT_IN_BULK}


def _row(number: int, record: Any, needs_password: bool) -> Row:
    given = record if isinstance(record, dict) else {}
    row = Row(number, str(given.get("address", "")), {})
    try:
        if not isinstance(record, dict):
            raise InvalidValue("this is no object")
        row.fields = {_known(name): _value(name, value) for name, value in given.items()}
        row.fields["address"] = row.address = account_address(row.address)
        _check_secrets(row, needs_password)
    except Refused as error:
        row.problem = str(error)
    return row


def _known(name: Any) -> str:
    if name is None:  # where csv puts the cells beyond the last column
        raise InvalidValue("there are more cells than columns")
    if name not in _types():
        raise InvalidValue(f"{name!r} is unknown; known are {', '.join(_types())}")
    return str(name)


def _value(name: Any, value: Any) -> Any:
    """Return a value as the library takes it."""
    match _types().get(name):
        case "bool":
            return _truth(name, value)
        case "QuotaLike":
            return UNLIMITED if value is None else Quota.parse(value)
        case "Names" | "Iterable[str]":
            return value.split() if isinstance(value, str) else _list_of_texts(name, value)
        case _ if not isinstance(value, str):
            raise InvalidValue(f"{name}: text is wanted")
    return value


def _truth(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in _YES | _NO:
        raise InvalidValue(f"{name}: yes or no is wanted")
    return word in _YES


def _list_of_texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidValue(f"{name}: a list of texts is wanted")
    return value


def _check_secrets(row: Row, needs_password: bool) -> None:
    password, ready = row.fields.get("password"), row.fields.get("password_hash")
    if password is not None and ready is not None:
        raise InvalidPassword("it has a password and a hash")
    if ready is not None:
        passwords.read(ready)
    elif password is not None:
        passwords.check_password(password)
    elif needs_password:
        raise InvalidPassword("it has neither a password nor a hash")
