"""A stored hash, taken apart: what it really is, whether it is whole, and what it costs.

The forms are those that Dovecot's own code and crypt(3) verify (Dovecot: `password-scheme*.c`; `tests/test_hashes.py` asks
both). A prefix says little: ``{CRYPT}``, ``{SHA512-CRYPT}`` and the like all mean crypt(3), ``{MD5}`` two things.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailstore.errors import InvalidPassword
from mailstore.passwords.costs import refuse_costly

__all__ = ["READABLE_SCHEMES", "SALTED", "UNSALTED", "Stored", "is_usual", "read", "scheme_of"]

_USUAL = re.compile(r"\{(SSHA(?:256|512)?)\}((?:[A-Za-z0-9+/]{4}){7,55}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)")
_PREFIX = re.compile(r"\{([A-Za-z0-9-]+)(?:\.([A-Za-z0-9]+))?\}(.*)", re.DOTALL)
_ENCODINGS = {"B64": "base64", "BASE64": "base64", "HEX": "hex"}
_CLEARTEXT = frozenset({"PLAIN", "CLEAR", "CLEARTEXT", "PLAIN-TRUNC"})

UNSALTED: Mapping[str, tuple[str, int]] = {
    "SHA": ("base64", 20), "SHA1": ("base64", 20), "SHA256": ("base64", 32), "SHA384": ("base64", 48),
    "SHA512": ("base64", 64), "LDAP-MD5": ("base64", 16), "PLAIN-MD5": ("hex", 16), "PLAIN-MD4": ("hex", 16),
    "CRAM-MD5": ("hex", 32), "HMAC-MD5": ("hex", 32), "DIGEST-MD5": ("hex", 16),
}  # fmt: skip
"""Digests of one length, in the encoding that they are written in. Dovecot tells both encodings by the length."""
SALTED: Mapping[str, int] = {"SMD5": 16, "SSHA": 20, "SSHA256": 32, "SSHA384": 48, "SSHA512": 64}
"""Digests with their salt behind, in Base64: the length of the digest."""

_A64 = "[./0-9A-Za-z]"
_B64 = "[A-Za-z0-9+/]"
_BASE64 = f"(?:{_B64}{{4}})*(?:{_B64}{{2}}==|{_B64}{{3}}=)?"
_SALT = r"[^$:;*!\\\x00-\x20\x7f-\U0010ffff]"
"""What crypt(3) takes in a salt; in others it gives up."""
_SHA_ROUNDS = r"(?:rounds=(?P<rounds>[1-9][0-9]{3,8})\$)?"
_CRYPT = {
    "MD5-CRYPT": rf"\$1\${_SALT}{{0,8}}\${_A64}{{22}}",
    "BLF-CRYPT": rf"\$2[abxy]\$(?P<rounds>0[4-9]|[12][0-9]|3[01])\${_A64}{{53}}",
    "SHA256-CRYPT": rf"\$5\${_SHA_ROUNDS}{_SALT}{{0,16}}\${_A64}{{43}}",
    "SHA512-CRYPT": rf"\$6\${_SHA_ROUNDS}{_SALT}{{0,16}}\${_A64}{{86}}",
    "YESCRYPT": rf"\$y\$(?P<parameters>{_A64}+)\$(?:{_A64}{{4}})*(?:{_A64}{{2,3}})?\${_A64}{{43}}",
    "GOST-YESCRYPT": rf"\$gy\$(?P<parameters>{_A64}+)\$(?:{_A64}{{4}})*(?:{_A64}{{2,3}})?\${_A64}{{43}}",
    "SCRYPT": rf"\$7\$(?P<parameters>{_A64}{{11}}){_A64}*\${_A64}{{43}}",
    "SHA1-CRYPT": rf"\$sha1\$(?P<rounds>[1-9][0-9]*)\${_A64}{{1,64}}\${_A64}{{28}}",
    "SUN-MD5-CRYPT": rf"\$md5(?:,rounds=(?P<rounds>[1-9][0-9]*))?\${_A64}+\$\$?{_A64}{{22}}",
    "NT-HASH": r"\$3\$\$[0-9a-f]{32}",
    "BSDI-CRYPT": rf"_(?P<count>{_A64}{{4}}){_A64}{{15}}",
    "DES-CRYPT": rf"{_A64}{{13}}",
}
_TEXTS = {
    # Dovecot makes these digests itself, from any salt.
    "MD5-CRYPT": rf"\$1\$[^$\x00\x80-\U0010ffff]{{0,8}}\${_A64}{{22}}",
    "ARGON2ID": r"\$argon2id\$v=19\$m=(?P<memory>[1-9][0-9]{0,9}),t=(?P<passes>[1-9][0-9]{0,9}),p=(?P<lanes>[1-9][0-9]?)"
    r"\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}",
    "PBKDF2": r"\$1\$[^$\x00]*\$(?P<rounds>0*[1-9][0-9]{0,9})\$[0-9A-Fa-f]{40}",
    "SCRAM-SHA-1": rf"(?P<rounds>[1-9][0-9]{{3,9}}),{_BASE64},{_B64}{{27}}=,{_B64}{{27}}=",
    "SCRAM-SHA-256": rf"(?P<rounds>[1-9][0-9]{{3,9}}),{_BASE64},{_B64}{{43}}=,{_B64}{{43}}=",
    "OTP": r"(?:md4|md5|sha1) [0-9]{1,4} [a-z0-9]{1,16} [0-9a-f]{16}",
}
_TEXTS["ARGON2I"] = _TEXTS["ARGON2ID"].replace("argon2id", "argon2i")
_SCRAM_LEAST = 4096
_USUAL_ROUNDS = {"SHA512-CRYPT": 5000, "SHA256-CRYPT": 5000}
"""What is meant where a hash names none."""
_FORMS = {name: re.compile(form) for name, form in _CRYPT.items()}
_TEXT_FORMS = {name: re.compile(form) for name, form in _TEXTS.items()}
_ARGON2 = {name: _TEXT_FORMS[name] for name in ("ARGON2I", "ARGON2ID")}
_BY_PREFIX: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "CRYPT": _FORMS, "SHA512-CRYPT": _FORMS, "SHA256-CRYPT": _FORMS, "DES-CRYPT": _FORMS,
    "ARGON2": _ARGON2, "ARGON2I": _ARGON2, "ARGON2ID": _ARGON2,
    **{name: {name: _TEXT_FORMS[name]} for name in ("MD5-CRYPT", "PBKDF2", "SCRAM-SHA-1", "SCRAM-SHA-256", "OTP")},
    "BLF-CRYPT": {"BLF-CRYPT": _FORMS["BLF-CRYPT"]},
    "MD5": {"MD5-CRYPT": _TEXT_FORMS["MD5-CRYPT"]},
}  # fmt: skip
READABLE_SCHEMES = tuple(sorted({*UNSALTED, *SALTED, *_BY_PREFIX}))
"""The prefixes of hashes that can be taken over."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A well-formed hash at a bearable cost.

    ``prefix`` is how it is called, ``scheme`` what it is, and ``data`` what stands behind the prefix. ``digest`` is the
    decoded data of digests, their salt included.
    """

    prefix: str
    scheme: str
    data: str = field(repr=False)
    digest: bytes = field(default=b"", repr=False)
    rounds: int | None = None

    @property
    def crypt(self) -> bool:
        """Whether it is crypt(3) that verifies it."""
        return self.scheme in _FORMS and self.prefix not in {"MD5", "MD5-CRYPT"}

    def __str__(self) -> str:
        return f"{{{self.prefix}}}{self.data}"


def is_usual(text: object) -> bool:
    """Tell whether a hash is in the form to store, and of one of the schemes that nearly all are of, which Dovecot knows."""
    found = _USUAL.fullmatch(text) if type(text) is str else None
    if found is None:
        return False
    raw = binascii.a2b_base64(found[2])
    return len(raw) > SALTED[found[1]] and binascii.b2a_base64(raw, newline=False).decode() == found[2]


def read(text: str) -> Stored:
    """Take a stored hash apart.

    One without a prefix counts as CRYPT, as in Dovecot 2.3; an encoding (``{SSHA.HEX}``) is undone, so that ``str`` of the
    answer is what every reader of the scheme knows. Raises InvalidPassword for an unknown scheme, clear text, malformed
    data, or a cost that nobody should pay.
    """
    if not isinstance(text, str):
        raise InvalidPassword(f"a hash must be text, not {type(text).__name__}")
    match = _PREFIX.fullmatch(text.strip())
    if not match:
        return _without_prefix(text.strip())
    prefix, encoding, data = match[1].upper(), (match[2] or "").upper(), match[3]
    if prefix in _CLEARTEXT:
        raise InvalidPassword(f"{prefix} is not a hash and is never verified or stored; set the password instead")
    if prefix not in READABLE_SCHEMES or (encoding and encoding not in _ENCODINGS):
        shown = f"{prefix}.{encoding}" if encoding else prefix
        raise InvalidPassword(f"unknown password scheme {shown[:30]!r}; known are {', '.join(READABLE_SCHEMES)}")
    return _take_apart(prefix, _ENCODINGS.get(encoding, ""), data)


def scheme_of(stored: str) -> str:
    """Return the scheme of a stored hash in upper case; CRYPT is resolved to what it holds. Raises InvalidPassword."""
    return read(stored).scheme


def _without_prefix(data: str) -> Stored:
    if data.startswith("$1$"):
        # Dovecot takes this for its own MD5-CRYPT, and ignores what follows the digest.
        return _matched("MD5-CRYPT", _BY_PREFIX["MD5-CRYPT"], "$".join(data.split("$")[:4]))
    return _matched("CRYPT", _FORMS, data)


def _take_apart(prefix: str, encoding: str, data: str) -> Stored:
    if prefix in UNSALTED:
        usual, size = UNSALTED[prefix]
        return _digest(prefix, prefix, usual, _decoded(prefix, encoding or _guessed(data, size), data), size)
    if prefix in SALTED:
        raw = _decoded(prefix, encoding or "base64", data)
        if len(raw) <= SALTED[prefix]:
            raise _malformed(prefix)
        return Stored(prefix, prefix, base64.b64encode(raw).decode(), raw)
    if encoding:
        try:
            data = _decoded(prefix, encoding, data).decode()
        except UnicodeDecodeError:
            raise _malformed(prefix) from None
    if prefix == "MD5" and not data.startswith("$1$"):
        return _digest(prefix, "PLAIN-MD5", "hex", _decoded(prefix, _guessed(data, 16), data), 16)
    return _matched(prefix, _BY_PREFIX[prefix], data)


def _matched(prefix: str, forms: Mapping[str, re.Pattern[str]], data: str) -> Stored:
    for scheme, form in forms.items():
        found = form.fullmatch(data)
        if found and not _impossible(scheme, found):
            parts = found.groupdict(default="")
            if scheme == "BSDI-CRYPT":
                parts["rounds"] = str(_bsdi_count(parts["count"]))
            refuse_costly(scheme, parts)
            rounds = int(parts.get("rounds") or parts.get("passes") or _USUAL_ROUNDS.get(scheme, 0)) or None
            # Dovecot goes by the data, and 2.3 does not know the bare name.
            return Stored(scheme if prefix.startswith("ARGON2") else prefix, scheme, data, rounds=rounds)
    raise _malformed(prefix)


def _impossible(scheme: str, found: re.Match[str]) -> bool:
    """Tell whether numbers are too small for any reader."""
    if scheme.startswith("SCRAM"):
        return int(found["rounds"]) < _SCRAM_LEAST
    return scheme.startswith("ARGON2") and int(found["memory"]) < 8 * int(found["lanes"])


def _bsdi_count(text: str) -> int:
    alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return sum(alphabet.index(character) << 6 * place for place, character in enumerate(text))


def _digest(prefix: str, scheme: str, encoding: str, raw: bytes, size: int) -> Stored:
    if len(raw) != size:
        raise _malformed(prefix)
    return Stored(prefix, scheme, raw.hex() if encoding == "hex" else base64.b64encode(raw).decode(), raw)


def _guessed(data: str, size: int) -> str:
    return "hex" if len("".join(data.split())) == 2 * size else "base64"


def _decoded(prefix: str, encoding: str, data: str) -> bytes:
    try:
        if encoding == "hex":
            return bytes.fromhex(data)
        # Dovecot passes over blanks and ends of lines.
        return base64.b64decode("".join(data.split()), validate=True)
    except (ValueError, binascii.Error):
        # Without the cause: it may hold a part of the hash.
        raise _malformed(prefix) from None


def _malformed(prefix: str) -> InvalidPassword:
    return InvalidPassword(f"this is not a well-formed {prefix} hash")
