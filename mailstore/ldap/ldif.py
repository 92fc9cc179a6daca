"""Directory entries as LDIF (RFC 2849): written for export and for slapadd, read back strictly.

Only entries are known here, not changes. Reading takes nothing from elsewhere: a value that is named by a URL is refused,
because whoever sends a file must not choose which files of this machine are read.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mailstore.errors import InvalidValue

__all__ = ["document", "parse", "record"]

_WIDTH = 76
_VERSION = "version: 1"
_NAME = re.compile(r"(?:[a-z][a-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[a-z0-9-]+)*", re.IGNORECASE | re.ASCII)
# All control characters need base64 here, not only those of the RFC: str.splitlines() breaks lines at some of them.
_PLAIN = re.compile(rb"(?:[!-9;=-~](?:[ -~]*[!-~])?)?")
_ALWAYS_ENCODED = "userpassword"
_CHANGES = {"changetype", "control"}


def record(dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> str:
    """Return an entry: its name, its object classes, then its attributes sorted by name.

    The order of the values is kept. Passwords are always in base64, so that no hash is recognised, or changed by an editor.
    """
    lines = [_line("dn", dn)]
    for name in sorted(attributes, key=_rank):
        if not _NAME.fullmatch(name):
            raise InvalidValue(f"{name!r} is no name of an attribute", subject=dn)
        lines += [_line(name, value) for value in attributes[name]]
    if len(lines) == 1:
        raise InvalidValue("an entry without attributes cannot be written as LDIF", subject=dn)
    return "".join(lines)


def document(records: Iterable[str], *, version: bool = True) -> Iterator[str]:
    """Return the pieces of a file that holds these records.

    The RFC asks for the version and ldapadd takes it, but slapadd stops at it: leave it out of what is loaded offline.
    """
    if version:
        yield f"{_VERSION}\n"
    for number, text in enumerate(records):
        yield f"\n{text}" if number or version else text


def _rank(name: str) -> tuple[bool, str]:
    folded = name.lower()
    return folded != "objectclass", folded


def _line(name: str, value: str | bytes) -> str:
    octets = value if isinstance(value, bytes) else _encoded(value)
    if not _PLAIN.fullmatch(octets) or name.partition(";")[0].lower() == _ALWAYS_ENCODED:
        return _folded(f"{name}:: {base64.b64encode(octets).decode()}")
    return _folded(f"{name}: {octets.decode()}" if octets else f"{name}:")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidValue("text that is no Unicode cannot be written as LDIF") from None


def _folded(line: str) -> str:
    rest = range(_WIDTH, len(line), _WIDTH - 1)
    return "\n ".join([line[:_WIDTH], *(line[start : start + _WIDTH - 1] for start in rest)]) + "\n"


class _Line(NamedTuple):
    """A line without its folds, and where it starts in the file."""

    number: int
    text: str

    def error(self, problem: str) -> InvalidValue:
        # Never with the line itself, which may be a password.
        return InvalidValue(f"LDIF line {self.number}: {problem}")


def parse(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """Iterate over the entries of a file: names with the values of each attribute, as spelled and ordered there.

    Spellings of one attribute that differ in case are taken together. Whatever is no entry raises ``InvalidValue`` with the
    number of its line.
    """
    blocks = _blocks(_unfolded(lines))
    first = _without_version(next(blocks, []))
    for block in itertools.chain([first] if first else [], blocks):
        yield _entry(block)


def _unfolded(lines: Iterable[str]) -> Iterator[_Line]:
    start, parts = 0, [""]
    for number, raw in enumerate(lines, 1):
        text = raw.removesuffix("\n").removesuffix("\r")
        if not text.startswith(" "):
            yield _Line(start, "".join(parts))
            start, parts = number, [text]
        elif parts == [""]:
            raise _Line(number, text).error("it starts with a blank, but continues no line")
        else:
            parts.append(text[1:])
    yield _Line(start, "".join(parts))


def _blocks(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Divide at blank lines; comments are left out."""
    lines = (line for line in lines if not line.text.startswith("#"))
    for filled, block in itertools.groupby(lines, key=lambda line: bool(line.text)):
        if filled:
            yield list(block)


def _without_version(block: list[_Line]) -> list[_Line]:
    if not block or not block[0].text.lower().startswith("version:"):
        return block
    if block[0].text.partition(":")[2].strip() != "1":
        raise block[0].error("only version 1 of LDIF is known")
    return block[1:]


def _entry(block: Sequence[_Line]) -> tuple[str, dict[str, list[bytes]]]:
    name, value = _value(block[0])
    if name.lower() != "dn":
        raise block[0].error("a record has to start with dn:")
    attributes: dict[str, list[bytes]] = {}
    spellings: dict[str, str] = {}
    for line in block[1:]:
        spelled, octets = _attribute(line)
        attributes.setdefault(spellings.setdefault(spelled.lower(), spelled), []).append(octets)
    if not attributes:
        raise block[0].error("the entry has no attributes")
    return _text(block[0], value), attributes


def _attribute(line: _Line) -> tuple[str, bytes]:
    name, value = _value(line)
    if name.lower() in _CHANGES:
        raise line.error(f"{name}: changes are not read, only entries")
    if name.lower() == "dn":
        raise line.error("a blank line is missing before the next record")
    if not _NAME.fullmatch(name):
        raise line.error("no name of an attribute")
    return name, value


def _value(line: _Line) -> tuple[str, bytes]:
    name, colon, rest = line.text.partition(":")
    if not colon:
        raise line.error("there is no colon in it")
    if rest.startswith("<"):
        raise line.error(f"{name}: values from a URL are not read")
    if rest.startswith(":"):
        return name, _decoded(line, rest[1:].lstrip(" "))
    value = rest.lstrip(" ")
    if not value.isascii() or "\0" in value or "\r" in value:
        raise line.error(f"{name}: such a value has to be in base64")
    return name, value.encode()


def _decoded(line: _Line, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise line.error("invalid base64") from None


def _text(line: _Line, octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise line.error("the name is not UTF-8") from None
