"""Distinguished names and filters. Nobody else formats either by hand.

The two have different special characters, and so different ways to escape: RFC 4514 for names, RFC 4515 for filters.
A server may spell a name otherwise than it was sent (slapd writes ``+`` as ``\\2B``): names are compared with `same_dn`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NewType

from mailstore.errors import InvalidValue

__all__ = [
    "DN",
    "Filter",
    "all_of",
    "any_of",
    "comparable",
    "contains",
    "dn",
    "ends_with",
    "equals",
    "is_within",
    "negate",
    "parent",
    "parse_dn",
    "present",
    "rdn",
    "rdn_value",
    "same_dn",
    "starts_with",
    "written",
]

DN = NewType("DN", str)
"""A distinguished name in normal form: no blanks around separators, values escaped as RFC 4514 wants it."""
Filter = NewType("Filter", str)
"""A search filter whose values are escaped."""

_Rdn = tuple[tuple[str, str], ...]
"""Pairs of attribute and value; nearly always one."""

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+")
_DESCRIPTION = re.compile(rf"(?:{_TYPE.pattern})(?:;[A-Za-z0-9-]+)*")
_PAIR = re.compile(
    rf"[ ]*(?P<type>{_TYPE.pattern})[ ]*=[ ]*"
    r'(?P<value>(?:\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\]|[^"+,;<>\\\x00])*)(?P<end>[,+]|\Z)'
)
_ESCAPED = re.compile(rb'\\([0-9A-Fa-f]{2}|[ "#+,;<=>\\])')
_SPECIAL = re.compile(r'[",+;<>\\=]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNSAFE_IN_FILTER = re.compile(rb"[^A-Za-z0-9@._/:=-]")


def dn(*rdns: tuple[str, str], base: DN | None = None) -> DN:
    """Build a name from pairs of attribute and value, the innermost first, below `base`."""
    own = ",".join(_format_rdn((pair,)) for pair in rdns)
    return DN(",".join(filter(None, (own, base))))


def parse_dn(text: str) -> DN:
    """Check a name that came from outside and bring it to its normal form; `InvalidValue` if it is none."""
    return _format(_parse(text))


def same_dn(a: str, b: str) -> bool:
    """Tell whether two names mean the same entry, however they are escaped and capitalised."""
    return comparable(a) == comparable(b)


def is_within(dn: str, base: str) -> bool:
    """Tell whether a name is that of an entry, or of one below it."""
    return f",{comparable(dn)}".endswith(f",{comparable(base)}")


def comparable(text: str) -> str:
    """Return what is equal for spellings of one name, or of one value that ignores case and repeated blanks."""
    try:
        rdns = _parse(text)
    except InvalidValue:
        return _folded(text)
    folded = (sorted((kind.lower(), _folded(value)) for kind, value in pairs) for pairs in rdns)
    return ",".join("+".join(f"{kind}={_escape(value)}" for kind, value in pairs) for pairs in folded)


def rdn(dn: str) -> str:
    """Return the first component of a name, with its attribute: what a rename is given."""
    return _format_rdn(_parse(dn)[0])


def rdn_value(dn: str) -> str:
    """Return the value of a name's first component, unescaped."""
    return _parse(dn)[0][0][1]


def parent(dn: str) -> DN:
    """Return the name one level up; empty above a name of one component."""
    return _format(_parse(dn)[1:])


def _parse(text: str) -> list[_Rdn]:
    rdns: list[_Rdn] = []
    pairs: list[tuple[str, str]] = []
    for kind, value, end in _pairs(text):
        pairs.append((kind, value))
        if end != "+":
            rdns.append(tuple(pairs))
            pairs = []
    return rdns


def _pairs(text: str) -> Iterator[tuple[str, str, str]]:
    position = 0
    while True:
        match = _PAIR.match(text, position)
        value = _unescape(match["value"]) if match else ""
        if match is None or not value:
            raise InvalidValue(f"not a distinguished name: {text!r}", subject=text)
        yield match["type"], value, match["end"]
        if not match["end"]:
            return
        position = match.end()


def _unescape(text: str) -> str:
    """Return the value that an escaped text stands for; empty if it is none, as is BER in hexadecimal (``#04…``)."""
    if text.startswith("#"):
        return ""
    bare = text.rstrip(" ")
    if len(bare) < len(text) and (len(bare) - len(bare.rstrip("\\"))) % 2:
        bare += " "  # its last backslash escapes this blank
    octets = bare.encode("utf-8", "surrogateescape")
    return _ESCAPED.sub(_octet, octets).decode("utf-8", "surrogateescape")


def _octet(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if len(match[1]) == 2 else match[1]


def _format(rdns: list[_Rdn]) -> DN:
    return DN(",".join(_format_rdn(pairs) for pairs in rdns))


def _format_rdn(pairs: _Rdn) -> str:
    if not all(value for _, value in pairs):
        raise InvalidValue("a value in a distinguished name must not be empty")
    return "+".join(f"{_checked(_TYPE, kind)}={_escape(value)}" for kind, value in pairs)


def _escape(value: str) -> str:
    text = _SPECIAL.sub(r"\\\g<0>", value)
    if text.startswith(("#", " ")):
        text = "\\" + text
    if text.endswith(" ") and len(value) > 1:
        text = f"{text[:-1]}\\ "
    return _CONTROL.sub(lambda match: _hexadecimal(_octets(match[0])), text)


def _hexadecimal(octets: bytes) -> str:
    return "".join(f"\\{octet:02X}" for octet in octets)


def _octets(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidValue("text with half a surrogate pair cannot be stored") from None


def _folded(value: str) -> str:
    """Return a value as the usual matching rules of RFC 4517 see it."""
    return " ".join(unicodedata.normalize("NFKC", value).lower().split())


def _checked(pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(name):
        raise InvalidValue(f"not the name of an attribute: {name!r}")
    return name


def equals(attribute: str, value: str) -> Filter:
    """Match entries that have the value; empty text is one, if somebody has stored it."""
    return _match(attribute, _assertion(value))


def contains(attribute: str, text: str) -> Filter:
    """Match entries with a value that contains the text."""
    return _match(attribute, f"*{_part(text)}*")


def starts_with(attribute: str, text: str) -> Filter:
    """Match entries with a value that starts with the text."""
    return _match(attribute, f"{_part(text)}*")


def ends_with(attribute: str, text: str) -> Filter:
    """Match entries with a value that ends with the text."""
    return _match(attribute, f"*{_part(text)}")


def between(attribute: str, beginning: str, end: str) -> Filter:
    """Match entries with a value that starts and ends with the texts, which do not overlap in it."""
    return _match(attribute, f"{_part(beginning)}*{_part(end)}")


def present(attribute: str) -> Filter:
    """Match entries that have the attribute at all."""
    return _match(attribute, "*")


def all_of(*filters: Filter) -> Filter:
    """Match what all of the filters match; there must be one."""
    return _combined("&", filters)


def any_of(*filters: Filter) -> Filter:
    """Match what any of the filters matches; there must be one."""
    return _combined("|", filters)


def negate(inner: Filter) -> Filter:
    """Match what the filter does not; but about an attribute that the server does not know, neither of the two is true."""
    return Filter(f"(!{inner})")


def written(text: str) -> Filter:
    """Return a filter that a person wrote whole, as the server shall read it; `InvalidValue` if it is not in parentheses."""
    if not (text.startswith("(") and text.endswith(")")):
        raise InvalidValue(f"not a filter: {text!r}; write it like (mail=*)")
    return Filter(text)


def _match(attribute: str, assertion: str) -> Filter:
    return Filter(f"({_checked(_DESCRIPTION, attribute)}={assertion})")


def _part(text: str) -> str:
    if not text:
        raise ValueError("nothing to search for; use present()")
    return _assertion(text)


def _assertion(value: str) -> str:
    octets = _UNSAFE_IN_FILTER.sub(lambda match: b"\\%02x" % match[0][0], _octets(value))
    return octets.decode("ascii")


def _combined(operator: str, filters: tuple[Filter, ...]) -> Filter:
    if not filters:
        raise ValueError("no filters to combine")
    return filters[0] if len(filters) == 1 else Filter(f"({operator}{''.join(filters)})")
