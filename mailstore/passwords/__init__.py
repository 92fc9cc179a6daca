"""Password schemes: hash, verify, and tell who can verify a stored hash.

A stored hash is always ``{SCHEME}data`` in Dovecot's notation, because Dovecot is the reader that has to understand it.
A password and a hash are different parameters everywhere in this library; nothing here guesses which one it was given.
"""

from mailstore.passwords.making import (
    DEFAULT_SCHEME,
    WRITABLE_SCHEMES,
    check_password,
    check_scheme,
    generate_password,
    hash_many,
    hash_password,
    needs_rehash,
)
from mailstore.passwords.readers import ALWAYS_CHEAP, READERS, Reader, check_hash, unusable, verified_by
from mailstore.passwords.stored import READABLE_SCHEMES, Stored, read, scheme_of
from mailstore.passwords.verifying import verify_password

__all__ = [
    "ALWAYS_CHEAP",
    "DEFAULT_SCHEME",
    "READABLE_SCHEMES",
    "READERS",
    "WRITABLE_SCHEMES",
    "Reader",
    "Stored",
    "check_hash",
    "check_password",
    "check_scheme",
    "generate_password",
    "hash_many",
    "hash_password",
    "needs_rehash",
    "read",
    "scheme_of",
    "unusable",
    "verified_by",
    "verify_password",
]
