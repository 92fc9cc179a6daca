"""Records of the library as plain values that JSON holds, and back: the form of dumps and of the command line's JSON.

Quotas, sizes and limits are numbers (of bytes), no limit is null; times are ISO 8601 in UTC with a ``Z`` behind. A `Limit`
that is no number is ``inherit`` or ``unlimited``: of these two, neither is nothing.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, TypeVar

from mailstore.errors import InvalidValue
from mailstore.policies import Limit
from mailstore.quota import Quota

__all__ = ["blank", "from_dict", "plain_value", "schema_of", "to_dict"]

_Record = TypeVar("_Record")
_PLAIN = frozenset({str, bool, int, float, types.NoneType})


def to_dict(record: Any) -> dict[str, Any]:
    """Return all fields of a record (`mailstore.model`, `mailstore.policies`) as values that JSON holds."""
    return {one.name: plain_value(getattr(record, one.name)) for one in fields(record)}


def plain_value(value: Any) -> Any:
    """Return one value as JSON holds it; records within become objects, tuples become arrays."""
    if type(value) in _PLAIN:  # most are
        return value
    match value:
        case Quota():
            return value.bytes
        case Limit():
            return value.value if value.kind == "limit" else value.kind
        case datetime():
            return f"{value.isoformat()}Z"
        case date():
            return value.isoformat()
        case Mapping():
            return {str(key): plain_value(entry) for key, entry in value.items()}
        case tuple() | list():
            return [plain_value(entry) for entry in value]
    return to_dict(value) if is_dataclass(value) and not isinstance(value, type) else value


def from_dict(kind: type[_Record], values: Mapping[str, Any]) -> _Record:
    """Return a record from what `to_dict` gave; fields that are not there have their defaults.

    Raises InvalidValue for unknown or missing fields and for values of another type, naming the field.
    """
    hints, known = _hints(kind), {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping):
        raise InvalidValue(f"{kind.__name__}: an object is wanted, not {_named(values)}")
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise InvalidValue(
            f"{kind.__name__} has no field {unknown[0]!r}; it has {', '.join(known)}", field=str(unknown[0])
        )
    missing = [name for name, one in known.items() if name not in values and _required(one)]
    if missing:
        raise InvalidValue(f"{kind.__name__}: the field {missing[0]!r} is missing", field=missing[0])
    return kind(**{name: _read(hints[name], value, name) for name, value in values.items()})


def blank(kind: type, name: str) -> Any:
    """Return what a field of a record type has when nothing is said; None for one that must be given."""
    for one in fields(kind):
        if one.name == name:
            if one.default_factory is not MISSING:
                return one.default_factory()
            return None if one.default is MISSING else one.default
    raise KeyError(name)


def schema_of(kind: type) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `to_dict` gives for a record type."""
    hints = _hints(kind)
    return {
        "type": "object",
        "properties": {one.name: _schema(hints[one.name]) for one in fields(kind)},
        "required": [one.name for one in fields(kind) if _required(one)],
        "additionalProperties": False,
    }


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _named(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _quota(value: Any) -> Quota:
    return Quota(value)


def _limit(value: Any) -> Limit:
    return Limit.parse(value)


def _moment(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


_SIZE = {"type": ["integer", "null"], "minimum": 1, "description": "bytes; null is no limit"}
_FORMS: Mapping[Any, tuple[tuple[type, ...], Callable[[Any], Any], Mapping[str, Any]]] = {
    str: ((str,), str, {"type": "string"}),
    bool: ((bool,), bool, {"type": "boolean"}),
    int: ((int,), int, {"type": "integer"}),
    float: ((int, float), float, {"type": "number"}),
    Quota: ((int, types.NoneType), _quota, _SIZE),
    Limit: ((int, str), _limit, {"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["inherit", "unlimited"]}]}),
    datetime: ((str,), _moment, {"type": "string", "format": "date-time"}),
    date: ((str,), date.fromisoformat, {"type": "string", "format": "date"}),
}
"""For each type of a field: what JSON has for it, how that is read, and its schema."""


def _read(hint: Any, value: Any, name: str) -> Any:
    if hint in _FORMS:  # most are
        return _read_form(hint, value, name)
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return None if value is None else _read(_without_none(parts), value, name)
    if origin is typing.Literal:
        if value not in parts:
            raise InvalidValue(f"{name}: {value!r} is none of {', '.join(map(repr, parts))}", field=name)
        return value
    if origin is tuple:
        _require(value, list, name)
        return tuple([_read(parts[0], entry, name) for entry in value])
    _require(value, dict, name)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(parts[1], entry, name) for key, entry in value.items()}
    return from_dict(hint, value)


def _read_form(hint: Any, value: Any, name: str) -> Any:
    wanted, convert, _ = _FORMS[hint]
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise InvalidValue(f"{name}: {' or '.join(map(_json_name, wanted))} is wanted, not {_named(value)}", field=name)
    try:
        return convert(value)
    except (ValueError, InvalidValue) as error:
        raise InvalidValue(f"{name}: {error}", field=name) from error


def _require(value: Any, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise InvalidValue(f"{name}: {_json_name(kind)} is wanted, not {_named(value)}", field=name)


def _json_name(kind: type) -> str:
    return {list: "an array", dict: "an object", str: "a text", int: "a number", types.NoneType: "null"}.get(
        kind, kind.__name__
    )


def _without_none(parts: tuple[Any, ...]) -> Any:
    return next(part for part in parts if part is not types.NoneType)


def _schema(hint: Any) -> dict[str, Any]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return {"anyOf": [_schema(_without_none(parts)), {"type": "null"}]}
    if origin is typing.Literal:
        return {"enum": list(parts)}
    if origin is tuple:
        return {"type": "array", "items": _schema(parts[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(parts[1])}
    return dict(_FORMS[hint][2]) if hint in _FORMS else schema_of(hint)
