"""The name space: an address is a user's or an alias's, spelt as it may be, although the file would take both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all

from mailstore.errors import AlreadyExists
from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox.schema import Schema

__all__ = ["in_use", "refuse_taken", "taken"]

_BATCH = 500


def taken(schema: Schema, tx: Transaction, addresses: Sequence[str]) -> dict[str, str]:
    """Return those of `addresses` that are in use, with what they are."""
    found: dict[str, str] = {}
    for start in range(0, len(addresses), _BATCH):
        batch = addresses[start : start + _BATCH]
        # The column compares upper and lower case as different, mail servers and people do not.
        email, source = func.lower(schema["users"].c.email), func.lower(schema["aliases"].c.source)
        rows = union_all(_named(email, "an account", batch), _named(source, "an alias", batch))
        found |= {str(address): str(kind) for address, kind in tx.execute(rows)}
    return found


def refuse_taken(schema: Schema, tx: Transaction, address: str) -> None:
    """Raise AlreadyExists if an address is in use."""
    for kind in taken(schema, tx, [address]).values():
        raise in_use(address, kind)


def in_use(address: str, kind: str) -> AlreadyExists:
    """Return the error for an address that is in use."""
    return AlreadyExists(f"{address} is in use already, as {kind}", subject=address)


def _named(column: ColumnElement[str], kind: str, addresses: Iterable[str]) -> Select[str, str]:
    return select(column, literal(kind)).where(column.in_(list(addresses)))
