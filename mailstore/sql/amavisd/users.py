"""amavisd's table `users`: one row for each level that has a policy or an access list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, exists, insert, select, update

from mailstore.driver.policy_keys import amavisd_priority
from mailstore.sql.amavisd.tables import Tables
from mailstore.sql.engine import Transaction

__all__ = ["NO_POLICY", "Users"]

NO_POLICY = 0
"""What a row without a policy must say. The default of the column is 1, mostly the global policy, which would then come
before that of the domain."""


class Users:
    """The row of a level, which its policy and both of its lists share."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._users = tables.users

    def lock(self, tx: Transaction, key: str) -> Mapping[Any, Any] | None:
        """Return the row of a level and keep others from changing it."""
        query = select(self._users).where(self._users.c.email == key).with_for_update()
        return tx.execute(query).mappings().first()

    def ensure(self, tx: Transaction, key: str, row: Mapping[Any, Any] | None, policy_id: int | None = None) -> int:
        """Make the row, or set its policy, if one is given, and the priority that the daemons sort by. Returns its id."""
        values = {"priority": amavisd_priority(key)}
        if row is None:
            new = {"email": key, "policy_id": policy_id or NO_POLICY, **values}
            return _new_id(tx.execute(insert(self._users).values(new)))
        if policy_id is not None:
            values["policy_id"] = policy_id
        if any(row[name] != value for name, value in values.items()):
            tx.execute(update(self._users).where(self._users.c.id == row["id"]).values(values))
        return int(row["id"])

    def link(self, tx: Transaction, key: str, policy_id: int) -> None:
        """Set the policy of a row that is there, and nothing else."""
        tx.execute(update(self._users).where(self._users.c.email == key).values(policy_id=policy_id))

    def unlink(self, tx: Transaction, key: str) -> None:
        """Let the row of a level refer to no policy."""
        tx.execute(update(self._users).where(self._users.c.email == key).values(policy_id=NO_POLICY))

    def drop_if_unused(self, tx: Transaction, key: str) -> None:
        """Remove the row of a level that has neither policy nor lists."""
        users = self._users
        unused = [~exists().where(one.mine == users.c.id) for one in self._tables.lists()]
        tx.execute(delete(users).where(users.c.email == key, users.c.policy_id == NO_POLICY, *unused))


def _new_id(result: Any) -> int:
    return int(result.inserted_primary_key[0])
