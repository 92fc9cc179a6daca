"""The state of a store and of the databases beside it: kept, compared, put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from tests.faults import states as databases
from tests.ldap import faults as directories
from tests.ldap.rig import LdapRig
from tests.policies.rig import PolicyRig
from tests.policies.schema import TABLES

__all__ = ["Image", "state_of"]

_NUMBERS = {
    "users": {"policy_id": "policy"},
    "wblist": {"rid": "users", "sid": "mailaddr"},
    "outbound_wblist": {"rid": "mailaddr", "sid": "users"},
    "throttle_tracking": {"tid": "throttle"},
}
"""Columns that hold numbers of rows, by table: of which table."""


def state_of(rig: PolicyRig) -> dict[str, Any]:
    """Return all that is stored, with the places of rows in their tables instead of their numbers."""
    accounts: Any = rig.accounts
    state: dict[str, Any] = dict(
        directories.state_of(accounts) if isinstance(accounts, LdapRig) else databases.state_of(accounts)
    )
    found = rig.everything()
    places = {table: {row.get("id"): place for place, row in enumerate(rows)} for table, rows in found.items()}
    for table, rows in found.items():
        numbers = {"id": table, **_NUMBERS.get(table, {})}
        state[f"beside: {table}"] = [
            {name: places[numbers[name]].get(value, value) if name in numbers else value for name, value in row.items()}
            for row in rows
        ]
    return state


@dataclass(frozen=True)
class Image:
    """All that is stored at one moment. Homes are not: these stores have no access to the disk."""

    rig: PolicyRig
    rows: dict[str, list[dict[str, Any]]]
    accounts: Any

    @classmethod
    def take(cls, rig: PolicyRig) -> Image:
        """Read everything."""
        accounts: Any = rig.accounts
        of_accounts = directories.Image if isinstance(accounts, LdapRig) else databases.Image
        return cls(rig, rig.everything(), of_accounts.take(accounts))

    def put_back(self) -> None:
        """Make everything as it was."""
        self.accounts.put_back()
        for option, engine in self.rig.engines.items():
            with engine.begin() as connection:
                for table in reversed([*TABLES[option]]):  # what refers to others goes first
                    connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
                for table in TABLES[option]:
                    self._insert(connection, table)

    def _insert(self, connection: Any, table: str) -> None:
        rows = [
            {name: value.encode() if name == "email" else value for name, value in row.items()}
            for row in self.rows[table]
        ]
        if rows:
            names, values = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), rows)  # noqa: S608
