"""Where an address stands besides its own row: in the destinations and permitted senders of aliases, and in ``mfa``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, or_, select, update

from mailstore.address import local_part
from mailstore.driver.names import DELIMITER, Spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox.names import name_space
from mailstore.sql.mailinabox.schema.address_lists import joined, moved, renamed, split, without
from mailstore.sql.mailinabox.schema.detection import Schema
from mailstore.sql.snapshots import Restored, packed, rows_of

__all__ = ["References", "Referring"]

Row = Mapping[Any, Any]
_LISTS = ("destination", "permitted_senders")


@dataclass(frozen=True)
class Referring:
    """The aliases that name an address in one of their lists, and how it may be spelt there."""

    spellings: Spellings
    rows: Sequence[Row]


class References:
    """Finds, removes, renames and brings back what refers to an address."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._aliases = schema["aliases"]
        self._lists = [name for name in _LISTS if schema.has("aliases", name)]

    def find(self, tx: Transaction, address: str) -> Referring:
        """Return the aliases that name an address, spelt as it may be."""
        spellings = name_space.spellings(self._schema, tx, address)
        columns = [self._aliases.c[name] for name in self._lists]
        beginnings = {f"{local_part(name)}{end}" for name in spellings.names for end in ("@", DELIMITER)}
        maybe = or_(*(each.icontains(text, autoescape=True) for each in columns for text in sorted(beginnings)))
        rows = tx.execute(select(self._aliases.c.id, *columns).where(maybe)).mappings().all()
        named = [row for row in rows if any(spellings.meant(text) for name in self._lists for text in split(row[name]))]
        return Referring(spellings, named)

    def snapshot(self, tx: Transaction, user: Row, referring: Referring) -> str:
        """Return all that the file knows of a user, with columns that other tools added.

        Of the lists it keeps the numbers of the aliases, each with the spellings that stand there.
        """
        users = self._schema["users"]
        (kept,) = rows_of(tx, users, users.c.id == user["id"])
        found: dict[str, Any] = {"users": kept, "mfa": self._mfa(tx, user["id"])}
        meant = referring.spellings.meant
        for name in self._lists:
            spelt = [(row["id"], [text for text in split(row[name]) if meant(text)]) for row in referring.rows]
            found[name] = [(number, texts) for number, texts in spelt if texts]
        return packed(found)

    def remove(self, tx: Transaction, referring: Referring) -> None:
        """Remove an address from all lists that have others.

        Where it is the last one it stays, as the panel leaves it: that mail bounces, and nobody may send, until there is a
        user of this name again.
        """
        self._rewrite(tx, referring.rows, lambda text: without(text, referring.spellings))

    def remove_factors(self, tx: Transaction, user_id: int) -> None:
        """Remove the second factors of a user. The box leaves them; its foreign key is never switched on."""
        if self._schema.has("mfa"):
            mfa = self._schema["mfa"]
            tx.execute(delete(mfa).where(mfa.c.user_id == user_id))

    def rename(self, tx: Transaction, old: str, new: str) -> None:
        """Put a new address in the place of an old one in all lists."""
        if old.startswith("@") or new.startswith("@"):
            return  # a destination @domain means its users, not its catch-all
        referring = self.find(tx, old)
        self._rewrite(tx, referring.rows, lambda text: renamed(text, referring.spellings, new))

    def leave_alias_domain(self, tx: Transaction, name: str, domain: str) -> None:
        """Let what refers to addresses under an alias domain that goes refer to the same ones of `domain`.

        Otherwise it would point at a domain that is nobody's here, and its mail would leave the box.
        """
        columns = [self._aliases.c[each] for each in self._lists]
        under = or_(*(each.icontains(f"@{name}", autoescape=True) for each in columns))
        rows = tx.execute(select(self._aliases.c.id, *columns).where(under)).mappings().all()
        self._rewrite(tx, rows, lambda text: moved(text, name, domain))

    def restore(self, tx: Transaction, restored: Restored, snapshot: Row) -> None:
        """Insert a user of a snapshot again, under a new number, and put it back into those aliases that are still there."""
        user: Row = snapshot["users"]
        number = restored.insert(self._schema["users"], user, key="id")  # numbers are never given twice
        if self._schema.has("mfa"):
            for row in snapshot["mfa"]:
                restored.insert(self._schema["mfa"], {**row, "user_id": number}, without=("id",))
        self.put_back(tx, snapshot)

    def put_back(self, tx: Transaction, snapshot: Row) -> None:
        """Put the user of a snapshot, who is there again, back into those aliases that are still there."""
        address = str(snapshot["users"]["email"])
        spellings = name_space.spellings(self._schema, tx, address)
        for name in self._lists:
            kept = snapshot.get(name, ())
            # Records of earlier versions have the numbers alone.
            spelt = dict((entry, [address]) if isinstance(entry, int) else entry for entry in kept)
            self._put_back(tx, name, spelt, spellings)

    def _put_back(self, tx: Transaction, name: str, spelt: Mapping[int, Sequence[str]], spellings: Spellings) -> None:
        ids, values = self._aliases.c.id, self._aliases.c[name]
        for number, text in tx.execute(select(ids, values).where(ids.in_(list(spelt)))).all():
            if not any(map(spellings.meant, split(text))):
                merged = joined([*split(text), *spelt[number]])
                tx.execute(update(self._aliases).where(ids == number).values({name: merged}))

    def _rewrite(self, tx: Transaction, rows: Iterable[Row], change: Callable[[str | None], str | None]) -> None:
        for row in rows:
            changes = {name: change(row[name]) for name in self._lists}
            values = {name: text for name, text in changes.items() if text is not None}
            if values:
                tx.execute(update(self._aliases).where(self._aliases.c.id == row["id"]).values(values))

    def _mfa(self, tx: Transaction, user_id: int) -> list[dict[str, Any]]:
        if not self._schema.has("mfa"):
            return []
        mfa = self._schema["mfa"]
        return rows_of(tx, mfa, mfa.c.user_id == user_id)
