"""Parameters of the contract as JSON has them: how each is read, and its schema.

Answers are written by `mailstore.records`; what an answer says can be sent back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mailstore.errors import InvalidValue
from mailstore.model import Edit
from mailstore.policies import Limit, parse_period
from mailstore.quota import UNLIMITED, Quota

__all__ = ["FORMS", "FieldError", "Form", "Parameters", "text_of", "types_of"]


class FieldError(InvalidValue):
    """A value that cannot be read; its field is where it stands, as a path with dots."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message, field=place or None)
        self._reason = message

    def within(self, place: str) -> FieldError:
        """Return the same error for a value that stands in something else."""
        return FieldError(f"{place}.{self.field or ''}".rstrip("."), self._reason)


@dataclass(frozen=True)
class Form:
    """How values of one type are written: a function that reads one (and raises InvalidValue), and the JSON Schema."""

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]


def text_of(value: Any) -> str:
    """Return a text that every store can be asked for. Raises InvalidValue."""
    if not isinstance(value, str):
        raise InvalidValue(f"a text is wanted, not {_named(value)}")
    if "\0" in value:
        raise InvalidValue("the text holds a character with the number 0")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise InvalidValue(f"an array of texts is wanted, not {_named(value)}")
    return [text_of(each) for each in value]


def _names(value: Any) -> list[str] | Edit:
    if not isinstance(value, dict):
        return _texts(value)
    unknown = sorted(value.keys() - {"add", "remove"})
    if unknown:
        raise InvalidValue(f"{unknown[0]!r} is neither 'add' nor 'remove'")
    return Edit(add=_texts(value.get("add", [])), remove=_texts(value.get("remove", [])))


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(f"true or false is wanted, not {_named(value)}")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >> 63:
        raise InvalidValue(f"a whole number is wanted, not {_named(value)}")
    return value


def _score(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidValue(f"a number is wanted, not {_named(value)}")
    return float(value)


def _quota(value: Any) -> Quota:
    return UNLIMITED if value is None else Quota.parse(value)


def _limit(value: Any) -> Limit:
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise InvalidValue(f"a number, 'unlimited' or 'inherit' is wanted, not {_named(value)}")
    return Limit.parse(value, in_bytes=isinstance(value, str) and not value.isdecimal())


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _nullable(form: Form) -> Form:
    return Form(_or_none(form.read), {**form.schema, "type": [form.schema["type"], "null"]})


def _named(value: Any) -> str:
    kinds = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


_ARRAY = {"type": "array", "items": {"type": "string"}}
_EDIT = {
    "type": "object",
    "properties": {"add": _ARRAY, "remove": _ARRAY},
    "additionalProperties": False,
    "description": "a change to the set: what is added, and what is removed, which may be absent",
}
_SIZE = {
    "type": ["integer", "null", "string"],
    "minimum": 1,
    "description": "bytes, or a text such as 500M or 2G; null is no limit",
}
_TEXT = Form(text_of, {"type": "string"})
_INTEGER = Form(_number, {"type": "integer"})
_BOOLEAN = Form(_switch, {"type": "boolean"})
_FLOAT = Form(_score, {"type": "number"})
FORMS: Mapping[str, Form] = {
    "str": _TEXT,
    "bool": _BOOLEAN,
    "int": _INTEGER,
    "float": _FLOAT,
    "bool | None": _nullable(_BOOLEAN),
    "int | None": _nullable(_INTEGER),
    "float | None": _nullable(_FLOAT),
    "QuotaLike": Form(_quota, _SIZE),
    "LimitLike": Form(
        _limit,
        {"type": ["integer", "string"], "minimum": 1, "description": "a number, a size, or inherit or unlimited"},
    ),
    "PeriodLike": Form(parse_period, {"type": ["integer", "string"], "description": "seconds, or a text such as 1h"}),
    "Names": Form(_names, {"anyOf": [{**_ARRAY, "description": "the whole new set"}, _EDIT]}),
    "Iterable[str]": Form(_texts, _ARRAY),
}
"""By the type as it is written in the contract's lists of parameters."""


def types_of(kind: type) -> dict[str, str]:
    """Return the parameters that a TypedDict lists, with their types as they are written there."""
    return {name: getattr(type_, "__forward_arg__", str(type_)) for name, type_ in kind.__annotations__.items()}


@dataclass(frozen=True)
class Parameters:
    """What the body of a request may hold, and what it must."""

    types: Mapping[str, str]
    required: Collection[str] = ()

    def read(self, body: Any) -> dict[str, Any]:
        """Return the parameters that a body gives. Raises FieldError."""
        if not isinstance(body, dict):
            raise FieldError("", f"the body must be an object, not {_named(body)}")
        unknown = sorted(body.keys() - self.types.keys())
        if unknown:
            known = ", ".join(self.types)
            raise FieldError(unknown[0], f"there is no such parameter; there are {known}")
        missing = [name for name in self.required if name not in body]
        if missing:
            raise FieldError(missing[0], "this parameter is missing")
        return {name: self._value(name, value) for name, value in body.items()}

    def _value(self, name: str, value: Any) -> Any:
        try:
            return FORMS[self.types[name]].read(value)
        except InvalidValue as error:
            raise FieldError(name, str(error)) from error
