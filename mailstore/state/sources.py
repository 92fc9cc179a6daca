"""People from elsewhere as part of a state: rows of a CSV file, or entries of an LDAP directory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

from mailstore.errors import InvalidValue
from mailstore.state.declaration import Raw

__all__ = ["read_source"]

Found: TypeAlias = "tuple[str, Mapping[str, Sequence[str]]]"
"""Where something stands, and its values by column or attribute."""
_KEYS: Final = ("type", "kind", "fields", "values", "at_least")
_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_source(source: Mapping[str, Any], folder: Path) -> Iterable[Raw]:
    """Return what a table ``[[source]]`` stands for, each thing with where it was found.

    Parameters
    ----------
    source: ``type`` (``csv`` or ``ldap``), ``kind`` (``account`` if not given), ``fields`` (for each field the column or
        attribute, or a table ``{from = ..., is = ...}`` for what is true where it has that value), ``values`` (the same for
        all), ``at_least`` (how many there must be, 1 if not given), and what the type needs.
    folder: what relative paths are relative to.

    Raises InvalidValue if anything of it cannot be read: half a source is none. Raises OSError, ConfigurationError,
    StoreError.
    """
    read = _TYPES.get(source.get("type", ""))
    if read is None:
        raise InvalidValue(f"source: type is one of {', '.join(_TYPES)}", field="type")
    mapping, constants, least = source.get("fields"), source.get("values", {}), source.get("at_least", 1)
    if not isinstance(mapping, Mapping) or not mapping or not isinstance(constants, Mapping):
        raise InvalidValue("source: fields says for each field where it comes from, values what is the same for all")
    if not isinstance(least, int) or isinstance(least, bool) or least < 1:
        raise InvalidValue("source: at_least is a number from 1", field="at_least")
    kind = str(source.get("kind", "account"))
    rest = {name: value for name, value in source.items() if name not in _KEYS}
    wanted = sorted({_column(name, where) for name, where in mapping.items()})
    things = [
        (kind, {**constants, **_values(mapping, values, where)}, where) for where, values in read(rest, wanted, folder)
    ]
    if len(things) < least:
        raise InvalidValue(
            f"source: it has {len(things)} of {kind}, and at least {least} are expected: is it whole?", field="at_least"
        )
    return things


def _column(name: str, where: Any) -> str:
    column = where.get("from") if isinstance(where, Mapping) else where
    if not isinstance(column, str) or not column:
        raise InvalidValue(f"source: fields.{name}: the name of a column or attribute is wanted", field=name)
    return column


def _values(mapping: Mapping[str, Any], found: Mapping[str, Sequence[str]], where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, origin in mapping.items():
        texts = [text for text in found.get(_column(name, origin), ()) if text]
        if isinstance(origin, Mapping) and "is" in origin:
            values[name] = any(text.lower() == str(origin["is"]).lower() for text in texts)
        elif name in _SEVERAL:
            values[name] = [part for text in texts for part in text.split()]
        elif name in {"enabled", "keep_copy", "global_admin"}:
            values[name] = _truth(name, texts, where)
        elif texts:
            values[name] = texts[0]
        elif name in {"address", "domain"}:
            raise InvalidValue(f"{where}: it has no {name}", field=name)
    return values


_SEVERAL: Final = frozenset({
    "forwarding", "aliases", "services", "allow_nets", "members", "moderators", "owners", "permitted_senders", "domains",
    "catch_all", "alias_domains",
})  # fmt: skip


def _truth(name: str, texts: Sequence[str], where: str) -> bool:
    found = _TRUTHS.get(texts[0].lower()) if texts else None
    if found is None:
        raise InvalidValue(f"{where}: {name}: yes or no is wanted", field=name)
    return found


def _csv(rest: Mapping[str, Any], wanted: Sequence[str], folder: Path) -> Iterable[Found]:
    """Return the rows of a CSV file: keys ``file``, ``delimiter``, ``encoding``. Names of a list have blanks between."""
    path = folder / str(rest.get("file", ""))
    try:
        text = path.read_bytes().decode(str(rest.get("encoding", "utf-8"))).removeprefix("\ufeff")
    except (UnicodeError, LookupError):
        raise InvalidValue(f"source {path}: it is in another encoding; name it in the key encoding") from None
    if text and not text.endswith(("\n", "\r")):
        raise InvalidValue(f"source {path}: its last line has no end: is it whole?")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=str(rest.get("delimiter", ",")))
    names = reader.fieldnames or ()
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InvalidValue(f"source {path}: there is no column {missing[0]!r}; it has {', '.join(names)}")
    return list(_rows(reader, path))


def _rows(reader: csv.DictReader[str], path: Path) -> Iterable[Found]:
    try:
        for row in reader:
            where = f"source {path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise InvalidValue(f"{where}: there are more or fewer cells than columns")
            if any(row.values()):
                yield where, {name: [cell.strip()] for name, cell in row.items()}
    except csv.Error as error:
        raise InvalidValue(f"source {path}, line {reader.line_num}: this is no CSV: {error}") from None


def _ldap(rest: Mapping[str, Any], wanted: Sequence[str], folder: Path) -> Iterable[Found]:
    # By name, as drivers are found: nothing here needs a directory unless a state has one.
    found: Iterable[Found] = import_module("mailstore.ldap.people").people(rest, wanted, folder)
    return found


_TYPES: Final[Mapping[str, Callable[[Mapping[str, Any], Sequence[str], Path], Iterable[Found]]]] = {
    "csv": _csv,
    "ldap": _ldap,
}
