"""Second factors of admins: one-time codes of RFC 6238, as the panel takes them beside a password."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from mailstore.address import held_address
from mailstore.sql.mailinabox.context import Context

__all__ = ["SecondFactors", "one_time_code"]

_STEP = 30
"""A code is good for so many seconds, counted from the epoch."""
_DIGITS = 6
_NEIGHBOURS = (0, -1, 1)
"""The panel takes the code of the step before and that of the next one, too: clocks differ."""
_TOTP = "totp"


def one_time_code(secret: str, moment: float) -> str:
    """Return the code of a secret, in base 32, at a moment in Unix seconds. Raises ValueError if it is no such secret."""
    plain = secret.replace(" ", "")
    key = base64.b32decode(plain + "=" * (-len(plain) % 8), casefold=True)
    digest = hmac.digest(key, (int(moment) // _STEP).to_bytes(8, "big"), hashlib.sha1)
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)


class SecondFactors:
    """What an account has to show beside its password when it logs in to the panel. The rows themselves are the panel's."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def kinds(self, address: str) -> Sequence[str]:
        """Return the kinds of the factors of an account, ``totp`` as a rule; empty if its password is enough."""
        with self._context.reading() as connection:
            return [row["type"] for row in self._rows(connection, address)]

    def fingerprint(self, address: str) -> str:
        """Return what changes when a factor comes, goes or gets another secret, and tells nothing about them."""
        with self._context.reading() as connection:
            facts = sorted((row["id"], row["type"], row["secret"]) for row in self._rows(connection, address))
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def accept(self, address: str, code: str, *, now: float | None = None) -> bool:
        """Tell whether a code is one of a factor of the account, and not the one that was taken last; it is noted as that.

        `now` is the time in Unix seconds.
        """
        moment = time.time() if now is None else now
        with self._context.writing(address) as tx:
            for row in self._rows(tx.connection, address):
                if row["type"] == _TOTP and code != row["mru_token"] and _fits(row["secret"], code, moment):
                    table = self._context.table("mfa")
                    tx.execute(update(table).where(table.c.id == row["id"]).values(mru_token=code))
                    return True
        return False

    def _rows(self, connection: Connection, address: str) -> Sequence[Mapping[Any, Any]]:
        if not self._context.schema.has("mfa"):  # the box is older
            return []
        table, users = self._context.table("mfa"), self._context.table("users").c
        owner = select(users.id).where(users.email == held_address(address))
        columns = (table.c.id, table.c.type, table.c.secret, table.c.mru_token)
        query = select(*columns).where(table.c.user_id.in_(owner)).order_by(table.c.id)
        return connection.execute(query).mappings().all()


def _fits(secret: str, code: str, moment: float) -> bool:
    if len(code) != _DIGITS or not (code.isascii() and code.isdecimal()):
        return False
    try:
        codes = [one_time_code(secret, moment + step * _STEP) for step in _NEIGHBOURS]
    except (binascii.Error, ValueError):  # nobody can make a code of it
        return False
    # All are compared, so that the time taken does not tell which one is near.
    return sum(hmac.compare_digest(code, other) for other in codes) > 0
