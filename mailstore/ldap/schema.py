"""What a server can do and what it knows, as it says itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mailstore.ldap.entry import Entry

__all__ = ["ROOT_ATTRIBUTES", "SCHEMA_ATTRIBUTES", "Schema", "ServerFacts"]

ROOT_ATTRIBUTES = ("supportedControl", "supportedExtension", "supportedFeatures", "namingContexts", "subschemaSubentry")
SCHEMA_ATTRIBUTES = ("attributeTypes", "objectClasses")
"""Operational ones: a server gives them only if asked by name."""

_NAMES = re.compile(r"\bNAME\s+(?:'([^']*)'|\(([^)]*)\))")
_QUOTED = re.compile(r"'[^']*'")
_ALLOWED = re.compile(r"\b(?:MUST|MAY)\s+(?:\(([^)]*)\)|([A-Za-z0-9.;-]+))")


@dataclass(frozen=True)
class ServerFacts:
    """The root DSE (RFC 4512, 5.1)."""

    controls: frozenset[str]
    extensions: frozenset[str]
    features: frozenset[str]
    suffixes: tuple[str, ...]
    schema_dn: str

    @staticmethod
    def of(entry: Entry) -> ServerFacts:
        """Read them from the root DSE."""
        controls, extensions, features = (frozenset(entry.values(name)) for name in ROOT_ATTRIBUTES[:3])
        return ServerFacts(
            controls, extensions, features, entry.values("namingContexts"), entry.first("subschemaSubentry")
        )


@dataclass(frozen=True)
class Schema:
    """Names that the server knows, in lower case, with all aliases."""

    attribute_types: frozenset[str]
    object_classes: frozenset[str]
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The attributes that each object class lists itself, without those that it inherits."""

    @staticmethod
    def of(entry: Entry) -> Schema:
        """Read them from the subschema entry (RFC 4512, 4.2)."""
        classes = entry.values("objectClasses")
        return Schema(_names(entry.values("attributeTypes")), _names(classes), dict(_attributes(classes)))


def _names(definitions: Iterable[str]) -> frozenset[str]:
    found = (_NAMES.search(definition) for definition in definitions)
    quoted = (match[1] or match[2] for match in found if match)
    return frozenset(name.lower() for names in quoted for name in names.replace("'", " ").split())


def _attributes(definitions: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Return what each object class lists as MUST and MAY, by each of its names."""
    for definition in definitions:
        found = _ALLOWED.findall(_QUOTED.sub("''", definition))  # a description may hold any word
        lists = (several or one for several, one in found)
        attributes = frozenset(name for names in lists for name in names.lower().replace("$", " ").split())
        yield from ((name, attributes) for name in _names([definition]))
