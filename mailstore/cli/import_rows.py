"""The rows of an import file, each checked by itself."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import click

from mailstore import passwords
from mailstore.address import account_address, alias_address, any_address, domain_name
from mailstore.cli.fields import parameter_types
from mailstore.cli.files import text_of
from mailstore.cli.values import is_formula
from mailstore.errors import InvalidPassword, InvalidValue, Refused, about_field
from mailstore.fields import AccountFields, AdminFields, AliasFields, DomainFields, MailingListFields
from mailstore.quota import UNLIMITED, Quota

__all__ = ["NOUNS", "Noun", "Row", "read_rows"]

_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}
_SECRETS: Final = {"password": "str", "password_hash": "str"}
_DELIMITERS: Final = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)


@dataclass(frozen=True)
class Noun:
    """What is imported: the collection of a store, the column that names a thing, and all columns with their types."""

    name: str
    collection: str
    key: str
    types: Mapping[str, str]
    named: Callable[[str], str]

    @property
    def has_secrets(self) -> bool:
        """Whether it has a password."""
        return "password" in self.types


def _noun(name: str, collection: str, fields: type, named: Callable[[str], str], **more: str) -> Noun:
    key = "domain" if name == "domain" else "address"
    return Noun(name, collection, key, {key: "str", **more, **parameter_types(fields)}, named)


NOUNS: Final[Mapping[str, Noun]] = {
    noun.name: noun
    for noun in (
        _noun("account", "accounts", AccountFields, account_address, **_SECRETS, home="str"),
        _noun("alias", "aliases", AliasFields, alias_address),
        _noun("list", "lists", MailingListFields, alias_address),
        _noun("domain", "domains", DomainFields, domain_name, alias_domains="Names"),
        _noun("admin", "admins", AdminFields, any_address, **_SECRETS),
    )
}


@dataclass
class Row:
    """A thing to make or change; or a `problem`, if the row can be none. ``line`` is where it begins in the file, from 1."""

    number: int
    line: int
    address: str
    fields: dict[str, Any] = field(repr=False)
    problem: Refused | None = None

    @property
    def lacks_password(self) -> bool:
        """Whether a password has to be made for it."""
        return not {"password", "password_hash"} & self.fields.keys()

    def make_password(self, password: str) -> str:
        """Set and return the password."""
        self.fields["password"] = password
        return password


def read_rows(
    file: Path,
    form: Literal["csv", "jsonl"],
    noun: Noun,
    *,
    need_passwords: bool,
    delimiter: str | None = None,
    encoding: str = "utf-8",
) -> list[Row]:
    """Read an import file.

    Parameters
    ----------
    file: ``-`` is standard input.
    form: of the file.
    need_passwords: whether every row must have a password or a hash.
    delimiter: of a CSV file; the one that its header tells if none is given.

    Raises UsageError if it cannot be read at all.
    """
    text = text_of(file, encoding)
    records = _csv_records(text, noun, delimiter) if form == "csv" else _jsonl_records(text)
    return [_row(noun, number, line, record, need_passwords) for number, (line, record) in enumerate(records, 1)]


# --- CSV


def _csv_records(text: str, noun: Noun, delimiter: str | None) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    skipped = 0
    if match := _SEPARATOR_LINE.match(text):  # as Excel writes and reads it
        delimiter, skipped, text = delimiter or match[1], 1, text[match.end() :]
    delimiter = delimiter or _told_by_header(text, noun)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        names = _names(next((cells for cells in reader if any(cells)), []), noun)
        while True:
            line = reader.line_num + 1 + skipped
            cells = next(reader, None)
            if cells is None:
                return
            if any(cell.strip() for cell in cells):  # spreadsheets leave rows of empty cells at the end
                yield line, _cells(names, cells)
    except csv.Error as error:
        raise click.UsageError(f"line {reader.line_num + skipped} is not CSV: {error}") from error


def _told_by_header(text: str, noun: Noun) -> str:
    """Return the delimiter with which the first line names the things; spreadsheets take what their language does."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    for delimiter in _DELIMITERS:
        if noun.key in map(_header, next(csv.reader([first], delimiter=delimiter), [])):
            return delimiter
    return _DELIMITERS[0]


def _header(cell: str) -> str:
    """Return the name of a column as the library has it: ``E-mail`` is an address, ``First name`` first_name."""
    name = re.sub(r"[\s-]+", "_", cell.strip().lower())
    return "address" if name in {"email", "e_mail", "mail", "email_address", "e_mail_address"} else name


def _names(header: Sequence[str], noun: Noun) -> Sequence[str]:
    names = [_header(cell) for cell in header]
    while names and not names[-1]:
        names.pop()
    unknown = sorted(set(names) - noun.types.keys())
    if unknown or len(set(names)) < len(names) or noun.key not in names:
        # Without the key the first line may be a row, and hold a password.
        is_header = noun.key in names and unknown
        problem = (
            f"there is no column {unknown[0]!r}" if is_header else f"it needs a header with {noun.key!r}, no name twice"
        )
        raise click.UsageError(f"{problem}; known are {', '.join(noun.types)}")
    return names


def _cells(names: Sequence[str], cells: Sequence[str]) -> Mapping[Any, Any]:
    """Return the cells of a row by column that are not empty; under None those beyond the last column."""
    given: dict[Any, Any] = {
        name: _as_written(name, cell) for name, cell in zip(names, cells, strict=False) if cell != ""
    }
    beyond = [cell for cell in cells[len(names) :] if cell.strip()]
    return {**given, None: beyond} if beyond else given


def _as_written(name: str, cell: str) -> str:
    """Return a cell without the apostrophe that output in CSV puts before what a spreadsheet would calculate with.

    Secrets have none: they are never written there.
    """
    return cell[1:] if name not in _SECRETS and cell.startswith("'") and is_formula(cell) else cell


def _jsonl_records(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                # Without the cause: it holds the line.
                raise click.UsageError(f"line {number} is not JSON") from None


# --- rows


def _row(noun: Noun, number: int, line: int, record: Any, needs_password: bool) -> Row:
    given = record if isinstance(record, dict) else {}
    row = Row(number, line, str(given.get(noun.key, "")), {})
    try:
        if not isinstance(record, dict):
            raise InvalidValue("this is no object")
        row.fields = {_known(noun, name): _value(noun, name, value) for name, value in given.items()}
        row.fields[noun.key] = row.address = noun.named(row.address)
        if noun.has_secrets:
            _check_secrets(row, needs_password)
    except Refused as error:
        row.problem = error
    return row


def _known(noun: Noun, name: Any) -> str:
    if name is None:
        raise InvalidValue("there are more cells than columns")
    if name not in noun.types:
        raise InvalidValue(f"{name!r} is unknown; known are {', '.join(noun.types)}", field=str(name))
    return str(name)


def _value(noun: Noun, name: Any, value: Any) -> Any:
    """Return a value as the library takes it."""
    with about_field(str(name)):
        match noun.types.get(name):
            case "bool":
                return _truth(name, value)
            case "QuotaLike":
                return UNLIMITED if value is None else Quota.parse(value)
            case "int | None":
                return _limit(name, value)
            case "Names" | "Iterable[str]":
                return re.split(r"[\s,;]+", value.strip(" ,;")) if isinstance(value, str) else _texts(name, value)
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


def _limit(name: str, value: Any) -> int | None:
    if value is None or str(value).lower() == "unlimited":
        return None
    if isinstance(value, bool) or not str(value).isdecimal():
        raise InvalidValue(f"{name}: a number or 'unlimited' is wanted")
    return int(value)


def _texts(name: str, value: Any) -> list[str]:
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
