"""Does this password belong to that hash?"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from mailstore.errors import NotSupported
from mailstore.passwords import crypt3
from mailstore.passwords.making import BCRYPT_MOST_BYTES, CRYPT_MOST_BYTES, MOST_BYTES
from mailstore.passwords.stored import SALTED, UNSALTED, Stored, read

__all__ = ["verify_password"]

_ALGORITHMS = {"SHA": "sha1", "SHA1": "sha1", "SSHA": "sha1", "SMD5": "md5", "PLAIN-MD5": "md5", "LDAP-MD5": "md5"}
_ALGORITHMS |= {name: name.lower() for name in ("SHA256", "SHA384", "SHA512")}
_ALGORITHMS |= {name: name[1:].lower() for name in ("SSHA256", "SSHA384", "SSHA512")}
_ONLY_DOVECOT = frozenset({"CRAM-MD5", "HMAC-MD5", "DIGEST-MD5", "OTP"})


def verify_password(password: str, stored: str) -> bool:
    """Tell whether `password` belongs to the stored hash.

    Hashes without a prefix count as CRYPT, as in Dovecot 2.3. Raises InvalidPassword if the stored hash has an unknown
    scheme, is malformed or would cost more than it should (`mailstore.passwords.costs`), NotSupported if only Dovecot
    can verify it.
    """
    found = read(stored)
    if found.scheme in _ONLY_DOVECOT:
        raise NotSupported(f"a {found.scheme} hash cannot be verified here, only by Dovecot; log in there to try it")
    if not isinstance(password, str) or not password or "\0" in password:
        return False
    try:
        secret = password.encode()
    except UnicodeEncodeError:  # half a character: nobody can type that
        return False
    return len(secret) <= MOST_BYTES and _verifier(found)(password, secret, found)


def _verifier(found: Stored) -> Callable[[str, bytes, Stored], bool]:
    if found.scheme == "BLF-CRYPT" and not found.data.startswith("$2x$"):
        return _bcrypt
    if found.crypt:
        return _crypt
    if found.scheme in UNSALTED or found.scheme in SALTED:
        return _digest
    return _OTHERS[found.scheme]


def _digest(_: str, secret: bytes, found: Stored) -> bool:
    if found.scheme == "PLAIN-MD4":
        from passlib.crypto.digest import lookup_hash  # OpenSSL leaves it out

        return hmac.compare_digest(lookup_hash("md4").const(secret).digest(), found.digest)
    size = SALTED.get(found.scheme, len(found.digest))
    made = hashlib.new(_ALGORITHMS[found.scheme], secret + found.digest[size:], usedforsecurity=False)
    return hmac.compare_digest(made.digest(), found.digest[:size])


def _crypt(password: str, secret: bytes, found: Stored) -> bool:
    if len(secret) > CRYPT_MOST_BYTES:
        return False
    made = crypt3.crypt(password, found.data)
    return made is not None and hmac.compare_digest(made.encode(), found.data.encode())


def _bcrypt(_: str, secret: bytes, found: Stored) -> bool:
    import bcrypt  # imported on demand: most runs never touch a password

    try:
        return len(secret) <= BCRYPT_MOST_BYTES and bcrypt.checkpw(secret, found.data.encode())
    except ValueError:  # unused bits of the salt are set: no reader lets anybody in by that
        return False


def _argon2(_: str, secret: bytes, found: Stored) -> bool:
    from argon2.exceptions import Argon2Error
    from argon2.low_level import Type, verify_secret

    try:
        return verify_secret(found.data.encode(), secret, Type.ID if found.scheme == "ARGON2ID" else Type.I)
    except Argon2Error:  # a mismatch, or parameters that do not go together, which no reader takes either
        return False


def _pbkdf2(_: str, secret: bytes, found: Stored) -> bool:
    salt, rounds, digest = found.data.split("$")[2:]
    made = hashlib.pbkdf2_hmac("sha1", secret, salt.encode(), int(rounds))
    return hmac.compare_digest(made, bytes.fromhex(digest))


def _scram(_: str, secret: bytes, found: Stored) -> bool:
    rounds, salt, stored_key, _server_key = found.data.split(",")
    algorithm = "sha256" if found.scheme == "SCRAM-SHA-256" else "sha1"
    salted = hashlib.pbkdf2_hmac(algorithm, secret, base64.b64decode(salt), int(rounds))
    made = hashlib.new(algorithm, hmac.digest(salted, b"Client Key", algorithm)).digest()
    return hmac.compare_digest(made, base64.b64decode(stored_key))


def _md5_crypt(_: str, secret: bytes, found: Stored) -> bool:
    """Verify as Dovecot does, which takes salts that crypt(3) refuses."""
    salt = found.data.split("$")[2].encode()
    made = _md5_crypt_digest(secret, salt)
    return hmac.compare_digest(made.encode(), found.data.split("$")[3].encode())


def _md5_crypt_digest(secret: bytes, salt: bytes) -> str:
    def md5(*parts: bytes) -> bytes:
        return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()

    size = len(secret)
    mixed = md5(secret, salt, secret)
    odd = [b"\0" if size >> bit & 1 else secret[:1] for bit in range(size.bit_length())]
    final = md5(secret, b"$1$", salt, (mixed * (size // 16 + 1))[:size], *odd)
    for turn in range(1000):
        first, last = (secret, final) if turn % 2 else (final, secret)
        final = md5(first, salt if turn % 3 else b"", secret if turn % 7 else b"", last)
    alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    order = [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)]
    values = [(final[a] << 16 | final[b] << 8 | final[c], 4) for a, b, c in order] + [(final[11], 2)]
    return "".join(alphabet[value >> 6 * place & 63] for value, places in values for place in range(places))


_OTHERS: dict[str, Callable[[str, bytes, Stored], bool]] = {
    "MD5-CRYPT": _md5_crypt,
    "ARGON2I": _argon2,
    "ARGON2ID": _argon2,
    "PBKDF2": _pbkdf2,
    "SCRAM-SHA-1": _scram,
    "SCRAM-SHA-256": _scram,
}
