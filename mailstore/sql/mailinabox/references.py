"""Where an address stands besides its own row: in the destinations and permitted senders of aliases, and in ``mfa``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import delete, or_, select, update

from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox.lists import joined, replaced, split
from mailstore.sql.mailinabox.schema import Schema
from mailstore.sql.snapshots import Restored, packed, rows_of

__all__ = ["References"]

Row = Mapping[Any, Any]
_LISTS = ("destination", "permitted_senders")


class References:
    """Finds, removes, renames and brings back what refers to an address."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._aliases = schema["aliases"]
        self._lists = [name for name in _LISTS if schema.has("aliases", name)]

    def snapshot(self, tx: Transaction, user: Row) -> str:
        """Return all that the file knows of a user, who is given as a row with all its columns."""
        address = str(user["email"])
        found: dict[str, Any] = {"users": dict(user), "mfa": self._mfa(tx, user["id"])}
        rows = list(self._referring(tx, address))
        for name in self._lists:
            found[name] = [row["id"] for row in rows if replaced(row[name], {address}, None) is not None]
        return packed(found)

    def remove(self, tx: Transaction, address: str, user_id: int | None = None) -> None:
        """Remove an address from all lists, and what belongs to the user alone.

        An alias that loses its last destination stays, with none: nothing vanishes that nobody asked for. One that loses
        its last permitted sender is left with an empty list, because NULL would let its destinations send.
        """
        self._rewrite(tx, address, None)
        if user_id is not None and self._schema.has("mfa"):
            # The box leaves them; its foreign key would remove them, but is never switched on.
            mfa = self._schema["mfa"]
            tx.execute(delete(mfa).where(mfa.c.user_id == user_id))

    def rename(self, tx: Transaction, old: str, new: str) -> None:
        """Put a new address in the place of an old one in all lists."""
        self._rewrite(tx, old, new)

    def restore(self, tx: Transaction, restored: Restored, snapshot: Row) -> None:
        """Insert a user of a snapshot again, under a new number, and put it back into those aliases that are still there."""
        user: Row = snapshot["users"]
        number = restored.insert(self._schema["users"], user, key="id")  # numbers are never given twice
        if self._schema.has("mfa"):
            for row in snapshot["mfa"]:
                restored.insert(self._schema["mfa"], {**row, "user_id": number}, without=("id",))
        for name in self._lists:
            self._put_back(tx, name, snapshot.get(name, ()), str(user["email"]))

    def _put_back(self, tx: Transaction, name: str, alias_ids: list[int], address: str) -> None:
        ids, values = self._aliases.c.id, self._aliases.c[name]
        for number, text in tx.execute(select(ids, values).where(ids.in_(alias_ids))).all():
            merged = joined(dict.fromkeys([*split(text), address]))
            tx.execute(update(self._aliases).where(ids == number).values({name: merged}))

    def _rewrite(self, tx: Transaction, address: str, new: str | None) -> None:
        for row in list(self._referring(tx, address)):
            changes = {name: replaced(row[name], {address}, new) for name in self._lists}
            values = {name: text for name, text in changes.items() if text is not None}
            tx.execute(update(self._aliases).where(self._aliases.c.id == row["id"]).values(values))

    def _referring(self, tx: Transaction, address: str) -> Iterator[Row]:
        """Iterate over the aliases that name an address in one of their lists, spelt as it may be."""
        columns = [self._aliases.c[name] for name in self._lists]
        maybe = or_(*(column.icontains(address, autoescape=True) for column in columns))
        for row in tx.execute(select(self._aliases.c.id, *columns).where(maybe)).mappings().all():
            if any(replaced(row[name], {address}, None) is not None for name in self._lists):
                yield row

    def _mfa(self, tx: Transaction, user_id: int) -> list[dict[str, Any]]:
        if not self._schema.has("mfa"):
            return []
        mfa = self._schema["mfa"]
        return rows_of(tx, mfa, mfa.c.user_id == user_id)
