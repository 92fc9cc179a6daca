"""Mail passwords as the product stores them: readable by anybody who reads the table.

The first byte stands as it is, every other one XORed with it, all in lower-case hexadecimal. There is no key. The product
needs the password itself to log in to IMAP and SMTP servers, so no hash can stand there.
"""

from __future__ import annotations

from mailstore import passwords
from mailstore.errors import InvalidPassword

__all__ = ["decode", "encode", "password_of", "storable"]

_MOST_BYTES = 127
"""The column holds 255 characters, two for each byte."""
_WHITE = " \t\r\n\0\x0b"
"""What the product cuts off at both ends after decoding."""


def encode(password: bytes) -> str:
    """Return the stored form of a password."""
    if password == b"0":  # empty to PHP
        return ""
    return bytes([*password[:1], *(byte ^ password[0] for byte in password[1:])]).hex()


def decode(stored: str) -> bytes:
    """Return the password behind a stored form; nothing for text that is none, as the product does."""
    if len(stored) % 2:
        return b""
    try:
        data = bytes.fromhex(stored)
    except ValueError:
        return b""
    return bytes([*data[:1], *(byte ^ data[0] for byte in data[1:])])


def password_of(stored: str) -> bytes:
    """Return the password of an account as the product uses it: decoded, without white space at its ends."""
    return decode(stored).strip(_WHITE.encode())


def storable(password: str) -> str:
    """Return the stored form of a new password. Raises InvalidPassword for one that would come back as another."""
    passwords.check_password(password)
    if password == "0":  # noqa: S105 a value that PHP takes for none
        raise InvalidPassword("the password '0' cannot be stored: the webmail takes it for none")
    if password != password.strip(_WHITE):
        raise InvalidPassword("the password begins or ends with a blank, which the webmail would cut off")
    data = password.encode()
    if len(data) > _MOST_BYTES:
        raise InvalidPassword(f"the password is longer than {_MOST_BYTES} bytes, the most that the webmail stores")
    return encode(data)
