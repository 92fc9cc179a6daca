"""How records are answered: as JSON, with the tag that a later change may name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from mailstore_http.messages import Answer

__all__ = ["JSON", "json_answer", "tag_of", "tags_in"]

JSON = "application/json"
_VOLATILE = frozenset({"usage", "last_login"})
"""What changes without anybody changing the record."""


def json_answer(value: Any, *headers: tuple[str, str]) -> Answer:
    """Return an answer with plain values."""
    return Answer(200, msgspec.json.encode(value), JSON, headers)


def tag_of(record: Mapping[str, Any]) -> str:
    """Return the entity tag of a record, given as plain values."""
    facts = {name: value for name, value in record.items() if name not in _VOLATILE}
    return f'"{hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:32]}"'


def tags_in(header: str) -> set[str]:
    """Return the entity tags in a header."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",") if tag.strip()}
