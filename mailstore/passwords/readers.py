"""Who verifies which hash. What may be stored is what the reader of the store verifies, neither less nor more.

Dovecot by its own code (2.3.19, 2.4.4; `tests/test_hashes.py` asks the installed one), slapd by its documentation and by
binding to it. The schemes are those of `mailstore.passwords.stored`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from mailstore.errors import InvalidPassword
from mailstore.passwords.stored import Stored, is_usual, read

__all__ = ["ALWAYS_CHEAP", "READERS", "Reader", "check_hash", "unusable", "verified_by"]

_CRYPT = frozenset({
    "MD5-CRYPT", "BLF-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "YESCRYPT", "GOST-YESCRYPT", "SCRYPT", "SHA1-CRYPT",
    "SUN-MD5-CRYPT", "NT-HASH", "BSDI-CRYPT", "DES-CRYPT",
})  # fmt: skip
"""What crypt(3) of Debian's libxcrypt knows; other systems may know fewer."""
_DOVECOT_2_4 = _CRYPT - {"MD5-CRYPT", "DES-CRYPT", "BSDI-CRYPT"} | {
    "SHA", "SHA1", "SHA256", "SHA512", "SSHA", "SSHA256", "SSHA512", "ARGON2I", "ARGON2ID", "PBKDF2", "SCRAM-SHA-1",
    "SCRAM-SHA-256", "CRAM-MD5", "DIGEST-MD5", "OTP",
}  # fmt: skip
_WEAK = {"MD5-CRYPT", "DES-CRYPT", "BSDI-CRYPT", "SMD5", "LDAP-MD5", "PLAIN-MD5", "PLAIN-MD4", "HMAC-MD5"}
"""Dovecot 2.4 refuses them, unless auth_allow_weak_schemes is set."""
_SLAPD_NAMES = {
    "SSHA": "SSHA", "SHA": "SHA", "SHA1": "SHA", "SMD5": "SMD5", "PLAIN-MD5": "MD5", "LDAP-MD5": "MD5",
    **dict.fromkeys(_CRYPT, "CRYPT"),
}  # fmt: skip
_SLAPD_SHA2 = {name: name for name in ("SHA256", "SHA384", "SHA512", "SSHA256", "SSHA384", "SSHA512")}


@dataclass(frozen=True, slots=True)
class Reader:
    """A program that verifies passwords: its name, the schemes that it knows, and what it calls them if not as Dovecot."""

    name: str
    schemes: AbstractSet[str]
    names: Mapping[str, str] | None = None

    def verifies(self, stored: Stored) -> bool:
        """Tell whether it can verify a hash, whatever its prefix is."""
        # What crypt(3) refuses as a salt, Dovecot's own MD5-CRYPT takes.
        foreign_salt = stored.scheme == "MD5-CRYPT" and self.names is not None and not _fits_crypt(stored)
        return stored.scheme in self.schemes and not foreign_salt

    def form(self, stored: Stored) -> str:
        """Return the hash as it is stored for this reader. Raises InvalidPassword if it cannot verify it."""
        if not self.verifies(stored):
            raise InvalidPassword(f"{self.name} cannot verify a {stored.scheme} hash; use another scheme")
        if self.names is None:
            return str(stored)
        name = self.names[stored.scheme]
        return f"{{{name}}}{_base64(stored) if stored.digest else stored.data}"


def _fits_crypt(stored: Stored) -> bool:
    try:
        return read(f"{{CRYPT}}{stored.data}").crypt
    except InvalidPassword:
        return False


def _base64(stored: Stored) -> str:
    import base64

    return base64.b64encode(stored.digest).decode()


READERS: Final[Mapping[str, Reader]] = {
    "dovecot-2.3": Reader("Dovecot 2.3", _DOVECOT_2_4 | _WEAK),
    "dovecot-2.4": Reader("Dovecot 2.4", _DOVECOT_2_4),
    "slapd": Reader("slapd", {*_SLAPD_NAMES, *_SLAPD_SHA2}, {**_SLAPD_NAMES, **_SLAPD_SHA2}),
    "slapd-without-sha2": Reader("slapd without its module pw-sha2", set(_SLAPD_NAMES), _SLAPD_NAMES),
}
"""The readers by the names that options have for them."""
ALWAYS_CHEAP: Final = ("SSHA512", "SSHA256", "SSHA", "SHA512")
"""What nearly all hashes are, known to every reader: a search for costly or unreadable ones need not fetch them."""
_MOST_CHARACTERS = 255
"""What the columns of the SQL stores hold."""


def check_hash(text: str, reader: str = "dovecot-2.3") -> str:
    """Return a ready hash in the form to store: scheme in upper case, without an encoding suffix or white space around.

    Raises InvalidPassword if it has no ``{SCHEME}``, a scheme that `reader` would not verify, malformed data, or a cost
    that nobody should pay.
    """
    if is_usual(text) and READERS[reader].names is None:
        return text
    if not isinstance(text, str) or not text.strip().startswith("{"):
        raise InvalidPassword("a ready hash starts with its scheme, for example {SSHA256} or {CRYPT}")
    stored = READERS[reader].form(read(text))
    if len(stored) > _MOST_CHARACTERS:
        raise InvalidPassword(f"this hash is longer than {_MOST_CHARACTERS} characters")
    return stored


def unusable(stored: str, reader: str) -> str | None:
    """Return why a reader cannot verify what is stored, or should not have to; None if it can."""
    try:
        found = read(stored)
    except InvalidPassword as error:
        return error.message
    return None if READERS[reader].verifies(found) else f"{READERS[reader].name} cannot verify {found.scheme}"


def verified_by(stored: str, reader: str) -> bool:
    """Tell whether a reader verifies a hash. Raises InvalidPassword if it is none, or costs more than it should."""
    return READERS[reader].verifies(read(stored))
