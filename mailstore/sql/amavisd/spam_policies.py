"""Spam policies in amavisd's tables `users` and `policy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import ColumnElement, delete, insert, select, update

from mailstore import store
from mailstore.address import held_address
from mailstore.driver.companions import Directory
from mailstore.driver.policy_keys import amavisd_keys, level_name
from mailstore.driver.rights import Operation
from mailstore.fields import reject_unknown
from mailstore.policies import EffectivePolicy, Level, SpamPolicy, SpamPolicyFields
from mailstore.sql.amavisd.policy_columns import (
    HEADERS,
    MANAGED,
    SCORES,
    columns_of,
    deciding_columns,
    values_of,
    with_headers,
)
from mailstore.sql.amavisd.tables import Tables
from mailstore.sql.amavisd.users import NO_POLICY, Users
from mailstore.sql.cluster import repeating
from mailstore.sql.companion import Beside, readable, writable
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["SpamPolicies"]

_PAGE = 500
_INHERITED: Mapping[str, None] = dict.fromkeys(SpamPolicyFields.__annotations__)


@repeating
class SpamPolicies(store.SpamPolicies):
    """See `mailstore.store.SpamPolicies`."""

    def __init__(self, database: Beside, tables: Tables, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._users = Users(tables)
        self._user, self._policy = tables.users.c, tables.policy.c
        self._table = tables.policy
        self._joined = tables.users.join(tables.policy, self._user.policy_id == self._policy.id)
        columns = (self._policy[name] for name in MANAGED)
        self._query = select(self._user.email, self._user.priority, *columns).select_from(self._joined)

    def get(self, level: str) -> SpamPolicy:
        wanted = Level.parse(level)
        key = readable(self._directory, wanted)
        with self._database.reading() as connection:
            row = connection.execute(self._query.where(self._user.email == key)).mappings().first()
        return SpamPolicy(level=str(wanted), **(values_of(row) if row else {}))

    def list(self) -> Iterator[SpamPolicy]:
        self._directory.require_everything("list the policies of all levels")
        query = self._query.order_by(self._user.email).limit(_PAGE)

        def fetch(after: str) -> Sequence[Mapping[Any, Any]]:
            with self._database.reading() as connection:
                return connection.execute(query.where(self._user.email > after)).mappings().all()

        for page in pages(fetch, lambda row: str(row["email"]), start="", size=_PAGE):
            yield from (SpamPolicy(level=level_name(row["email"]), **values_of(row)) for row in page)

    def set(self, level: str, **fields: Unpack[SpamPolicyFields]) -> SpamPolicy:
        reject_unknown(fields, SpamPolicyFields)
        return self._write(Level.parse(level), columns_of({**_INHERITED, **fields}))

    def update(self, level: str, **fields: Unpack[SpamPolicyFields]) -> SpamPolicy:
        reject_unknown(fields, SpamPolicyFields)
        return self._write(Level.parse(level), columns_of(fields))

    def _write(self, level: Level, columns: Mapping[str, Any]) -> SpamPolicy:
        with (
            writable(self._directory, level, Operation.SET_SPAM_POLICY, accounts_only=True) as key,
            self._database.writing(self._directory, level) as tx,
        ):
            user = self._users.lock(tx, key)
            policy_id = self._write_own(tx, key, user["policy_id"] if user else NO_POLICY, columns)
            self._users.ensure(tx, key, user, policy_id)
            return self.get(str(level))

    def _write_own(self, tx: Transaction, key: str, linked: int, columns: Mapping[str, Any]) -> int:
        """Write the level's own row of `policy`. Returns its id.

        A level that so far shares the row of another one gets a copy: that row is not its to change.
        """
        query = select(self._policy.id, *(self._policy[name] for name in SCORES))
        row = tx.execute(query.where(self._policy.policy_name == key).with_for_update()).mappings().first()
        own = row["id"] if row else None
        shared = {} if linked in (NO_POLICY, own) else self._shared(tx, linked)
        present = shared or row or {}
        values = {**shared, **with_headers(columns, present, lambda: self._inherited_headers(tx, key))}
        if own is None:
            new = tx.execute(insert(self._table).values({**values, "policy_name": key}))
            return int(new.inserted_primary_key[0])  # type: ignore[index]
        if values:
            tx.execute(update(self._table).where(self._policy.id == own).values(values))
        return int(own)

    def separate(self, tx: Transaction, policies: ColumnElement[bool], *, but: ColumnElement[bool]) -> None:
        """Give whoever shares one of these policies, `but` some, one of its own, which lasts whatever becomes of those."""
        query = select(self._user.email, self._user.policy_id).select_from(self._joined)
        users = query.where(policies, ~but).order_by(self._user.email)
        for user in tx.execute(users).mappings().all():
            own = self._write_own(tx, user["email"], user["policy_id"], {})
            self._users.link(tx, user["email"], own)

    def _inherited_headers(self, tx: Transaction, key: str) -> float | None:
        """Return the score from which the levels above one say that headers are inserted."""
        above = amavisd_keys(key)[1:] if not key.startswith("@") else amavisd_keys(f"x{key}")[2:]
        query = self._query.where(self._user.email.in_([name for name in above if name != key]))
        rows = sorted(tx.execute(query).mappings(), key=lambda row: -row["priority"])
        return next((row[HEADERS] for row in rows if row[HEADERS] is not None), None)

    def _shared(self, tx: Transaction, policy_id: int) -> dict[str, Any]:
        row = tx.execute(select(self._table).where(self._policy.id == policy_id)).mappings().first()
        return {name: value for name, value in (row or {}).items() if name not in {"id", "policy_name"}}

    def delete(self, level: str) -> None:
        wanted = Level.parse(level)
        with (
            writable(self._directory, wanted, Operation.SET_SPAM_POLICY, gone_too=True) as key,
            self._database.writing(self._directory, wanted) as tx,
        ):
            self._users.lock(tx, key)
            named = select(self._policy.id).where(self._policy.policy_name == key).with_for_update()
            own = tx.execute(named).scalars().all()
            self.separate(tx, self._policy.id.in_(own), but=self._user.email == key)
            self._users.unlink(tx, key)
            tx.execute(delete(self._table).where(self._policy.id.in_(own)))
            self._users.drop_if_unused(tx, key)

    def effective(self, address: str) -> EffectivePolicy:
        address = held_address(address)
        readable(self._directory, Level("address", address))
        keys = amavisd_keys(address)
        with self._database.reading() as connection:
            rows = connection.execute(self._query.where(self._user.email.in_(keys))).mappings().all()
        # The stored number decides; where two are alike, amavisd's own order is not defined.
        rows = sorted(rows, key=lambda row: (-row["priority"], keys.index(row["email"])))
        deciding = {name: next((row for row in rows if row[name] is not None), None) for name in MANAGED}
        values = values_of({name: row[name] if row else None for name, row in deciding.items()})
        levels = {
            field: level_name(row["email"])
            for field, column in deciding_columns().items()
            if (row := deciding[column]) is not None
        }
        undefined = tuple(field for field, column in deciding_columns().items() if _disagree(rows, column))
        return EffectivePolicy(
            address=address, policy=SpamPolicy(level=address, **values), levels=levels, undefined=undefined
        )


def _disagree(rows: Sequence[Mapping[Any, Any]], column: str) -> bool:
    """Tell whether the rows of the highest priority that say something about a column say different things."""
    saying = [row for row in rows if row[column] is not None]
    return len({row[column] for row in saying if row["priority"] == saying[0]["priority"]}) > 1
