"""Spam policies in amavisd's tables `users` and `policy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import delete, insert, select, update

from mailstore import store
from mailstore.address import account_address
from mailstore.companions import Directory
from mailstore.fields import reject_unknown
from mailstore.policies import EffectivePolicy, Level, SpamPolicy, SpamPolicyFields
from mailstore.policy_keys import amavisd_keys, level_name
from mailstore.sql.amavisd.policy_columns import MANAGED, columns_of, deciding_columns, values_of
from mailstore.sql.amavisd.tables import Tables
from mailstore.sql.amavisd.users import NO_POLICY, Users
from mailstore.sql.companion import Beside, readable, writable
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["SpamPolicies"]

_PAGE = 500
_INHERITED: Mapping[str, None] = dict.fromkeys(SpamPolicyFields.__annotations__)


class SpamPolicies(store.SpamPolicies):
    """See `mailstore.store.SpamPolicies`."""

    def __init__(self, database: Beside, tables: Tables, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._users = Users(tables)
        self._user, self._policy = tables.users.c, tables.policy.c
        self._table = tables.policy
        joined = tables.users.join(tables.policy, self._user.policy_id == self._policy.id)
        columns = (self._policy[name] for name in MANAGED)
        self._query = select(self._user.email, self._user.priority, *columns).select_from(joined)

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
            writable(self._directory, level, accounts_only=True) as key,
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
        own = tx.execute(select(self._policy.id).where(self._policy.policy_name == key).with_for_update()).scalar()
        values = dict(columns) if linked in (NO_POLICY, own) else {**self._shared(tx, linked), **columns}
        if own is None:
            new = tx.execute(insert(self._table).values({**values, "policy_name": key}))
            return int(new.inserted_primary_key[0])  # type: ignore[index]
        if values:
            tx.execute(update(self._table).where(self._policy.id == own).values(values))
        return int(own)

    def separate(self, tx: Transaction, name: str) -> None:
        """Give whoever shares the policy of a name one of its own, which lasts whatever becomes of that name."""
        joined = self._user.policy_id == self._policy.id
        users = select(self._user.email, self._user.policy_id).where(joined, self._policy.policy_name == name)
        for user in tx.execute(users.where(self._user.email != name)).mappings().all():
            own = self._write_own(tx, user["email"], user["policy_id"], {})
            self._users.link(tx, user["email"], own)

    def _shared(self, tx: Transaction, policy_id: int) -> dict[str, Any]:
        row = tx.execute(select(self._table).where(self._policy.id == policy_id)).mappings().first()
        return {name: value for name, value in (row or {}).items() if name not in {"id", "policy_name"}}

    def delete(self, level: str) -> None:
        wanted = Level.parse(level)
        with (
            writable(self._directory, wanted, gone_too=True) as key,
            self._database.writing(self._directory, wanted) as tx,
        ):
            self._users.lock(tx, key)
            named = select(self._policy.id).where(self._policy.policy_name == key).with_for_update()
            own = tx.execute(named).scalars().all()
            self._users.unlink(tx, key, [*own])
            tx.execute(delete(self._table).where(self._policy.id.in_(own)))
            self._users.drop_if_unused(tx, key)

    def effective(self, address: str) -> EffectivePolicy:
        address = account_address(address)
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
        return EffectivePolicy(address=address, policy=SpamPolicy(level=address, **values), levels=levels)
