"""crypt(3) of this system: what Dovecot and slapd verify ``{CRYPT}`` with."""

from __future__ import annotations

from functools import cache
from typing import Any

from mailstore.errors import NotSupported

__all__ = ["crypt"]

_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", None)
"""The last is the C library itself, as with musl."""
_DATA_BYTES = 1 << 18
"""At least ``sizeof(struct crypt_data)``: 32,768 bytes in libxcrypt, 131,232 in old versions of glibc."""


def crypt(password: str, stored: str) -> str | None:
    """Return the hash of a password as the stored one was made; None if crypt(3) refuses. Raises NotSupported."""
    import ctypes  # imported on demand: most runs never touch a password

    data = ctypes.create_string_buffer(_DATA_BYTES)  # one for each call: several threads may be here
    answer = _crypt_r()(password.encode(), stored.encode(), data)
    text = "" if answer is None else answer.decode("ascii", "replace")
    return text if text and not text.startswith("*") else None


@cache
def _crypt_r() -> Any:
    import ctypes

    for name in _LIBRARIES:
        try:
            found = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError):
            continue
        found.restype = ctypes.c_char_p
        found.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        return found
    raise NotSupported("this system has no crypt(3), so that this hash cannot be verified here; mail servers can")
