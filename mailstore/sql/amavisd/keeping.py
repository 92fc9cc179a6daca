"""What records keep of amavisd's settings, and how they come back: by names, since every number may be another one then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, insert, select

from mailstore.driver.companions import Kept
from mailstore.sql.amavisd.access_lists import peer_ids
from mailstore.sql.amavisd.tables import ListTable, Tables
from mailstore.sql.amavisd.users import NO_POLICY
from mailstore.sql.engine import Database, Transaction
from mailstore.sql.snapshots import Restored, Row, rows_of

__all__ = ["bring_back", "kept_of"]

_POLICY = "_policy"
"""In a row of ``users``: the name of the policy that it refers to."""


def kept_of(tables: Tables, tx: Transaction, users_of: ColumnElement[bool], policies_of: ColumnElement[bool]) -> Kept:
    """Return the rows of ``users`` and ``policy`` that meet these conditions, and the access lists, by key."""
    users, policy = tables.users, tables.policy
    keys: dict[int, str] = {row.id: row.email for row in tx.execute(select(users.c.id, users.c.email).where(users_of))}
    found: Kept = {}
    named = rows_of(tx, policy, policies_of)
    for row in named:
        found.setdefault(row["policy_name"], {})["policy"] = [row]
    rows = rows_of(tx, users, users.c.id.in_(sorted(keys))) if keys else []
    linked = sorted({row["policy_id"] for row in rows})
    query = select(policy.c.id, policy.c.policy_name).where(policy.c.id.in_(linked))
    names: dict[int, str] = {row.id: row.policy_name for row in tx.execute(query)} if linked else {}
    for row in rows:
        found.setdefault(keys[row["id"]], {})["users"] = [{**row, _POLICY: names.get(row["policy_id"])}]
    for one in tables.lists() if keys else ():
        for number, peer, mark in tx.execute(_entries(tables, one, sorted(keys))):
            found[keys[number]].setdefault(one.table.name, []).append({"peer": peer, "wb": mark})
    return found


def _entries(tables: Tables, one: ListTable, owners: Sequence[int]) -> Any:
    peers = tables.mailaddr
    joined = one.table.join(peers, one.peer == peers.c.id)
    return select(one.mine, peers.c.email, one.table.c.wb).select_from(joined).where(one.mine.in_(owners))


def bring_back(db: Database, tables: Tables, tx: Transaction, kept: Kept) -> None:
    """Insert what `kept_of` returned. A policy of another name that is gone by now is not referred to any more."""
    users, policy, restored = tables.users, tables.policy, Restored(db, tx)
    policies: list[Row] = [row for rows in kept.values() for row in rows.get("policy", ())]
    restored.insert_many(policy, policies, without=("id",))
    rows: list[Row] = [row for of_key in kept.values() for row in of_key.get("users", ())]
    names = sorted({row[_POLICY] for row in rows if row[_POLICY]})
    query = select(policy.c.policy_name, policy.c.id).where(policy.c.policy_name.in_(names))
    numbers: dict[str, int] = {row.policy_name: row.id for row in tx.execute(query)} if names else {}
    restored.insert_many(
        users,
        [
            {**{name: value for name, value in row.items() if name != _POLICY},
             "policy_id": numbers.get(row[_POLICY], NO_POLICY)}
            for row in rows
        ],
        without=("id",),
    )  # fmt: skip
    _bring_back_lists(tables, tx, kept)
    restored.tell(", ".join(sorted(kept)))


def _bring_back_lists(tables: Tables, tx: Transaction, kept: Kept) -> None:
    users = tables.users.c
    owners = {
        row.email: row.id for row in tx.execute(select(users.email, users.id).where(users.email.in_(sorted(kept))))
    }
    entries = {
        one: [(owners[key], entry) for key, rows in kept.items() for entry in rows.get(one.table.name, ())]
        for one in tables.lists()
    }
    peers = peer_ids(tables, tx, {entry["peer"] for some in entries.values() for _, entry in some}, ())
    for one, some in entries.items():
        if some:
            rows = [
                {one.mine.name: owner, one.peer.name: peers[entry["peer"]], "wb": entry["wb"]} for owner, entry in some
            ]
            tx.execute(insert(one.table), rows)
