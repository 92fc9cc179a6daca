"""The form of a state, as a JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mailstore.quota import Quota
from mailstore.records import schema_of
from mailstore.state.declaration import ABSENT, FORMAT, MANAGE, OWNED, VERSION, hints_of
from mailstore.transfer.entries import ELSEWHERE, INFORMATION, KINDS

__all__ = ["schema"]

_SIZE: Final = {"description": "bytes, or like 2G; unlimited is no limit"}
_HASH: Final = {"type": "string", "pattern": r"^\{[A-Za-z0-9.-]+\}"}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a state that is read as one object, as TOML is."""
    kinds = {kind: _kind(kind) for kind in KINDS}
    absent = {"enum": list(ABSENT)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A {FORMAT}, version {VERSION}",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "manage": {"enum": list(MANAGE)},
            "domains": {"type": "array", "items": {"type": "string"}},
            "absent": {"anyOf": [absent, _object(dict.fromkeys(OWNED, absent))]},
            "keep_days": {"type": "integer", "minimum": 0},
            "max_deletions": {"type": ["string", "integer"]},
            "defaults": _object({kind: _object(one["properties"]) for kind, one in kinds.items()}),
            "source": {"type": "array", "items": {"type": "object", "required": ["type", "fields"]}},
            "end": _object({"counts": {"type": "object", "additionalProperties": {"type": "integer"}}}),
            **{kind: {"type": "array", "items": one} for kind, one in kinds.items()},
        },
        "additionalProperties": False,
    }


def _kind(kind: str) -> dict[str, Any]:
    own = schema_of(KINDS[kind])
    told = INFORMATION | ELSEWHERE.get(kind, frozenset())
    hints = hints_of(kind)
    fields: dict[str, Any] = {
        name: _written(hints[name], part) for name, part in own["properties"].items() if name not in told
    }
    if kind in ("account", "admin"):
        fields["password_hash"] = _HASH
    return {**_object(fields), "required": own["required"]}


def _written(hint: Any, part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a field as a person may write it."""
    if hint is Quota:
        return {"type": ["integer", "string", "null"], **_SIZE}
    if hint == int | None:
        return {"anyOf": [*part["anyOf"], {"const": "unlimited"}]}
    return dict(part)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}
