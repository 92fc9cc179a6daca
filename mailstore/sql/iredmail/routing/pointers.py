"""Single values that an account or a domain keeps in tables of their own: bcc addresses and the outbound relay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete, insert, update

from mailstore.address import domain_part
from mailstore.driver.values import (
    checked,
    next_hop,
    now,
    optional_address,
)
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context

__all__ = ["POINTERS", "pointer_rows", "pointers_from", "set_pointers"]

_Check = Callable[[str], str]

POINTERS: Mapping[str, _Check] = {
    "sender_bcc": optional_address,
    "recipient_bcc": optional_address,
    "outbound_relay": next_hop,
}
"""The parameters that are kept this way, and how each is checked; an empty value means "no row"."""


def pointer_rows(owner: str, values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the rows, by table, that hold the non-empty ones of `values` for an account or domain `owner`."""
    rows = {}
    for name, value in values.items():
        if value:
            table, key = _place(name, owner)
            rows[table] = {**key, **_content(name, value), **_columns_beside(name, owner)}
    return rows


def set_pointers(context: Context, tx: Transaction, owner: str, values: Mapping[str, str]) -> None:
    """Store checked values for `owner`; empty ones remove the row."""
    for name, value in values.items():
        table_name, key = _place(name, owner)
        table = context.table(table_name)
        condition = [table.c[column] == text for column, text in key.items()]
        if not value:
            tx.execute(delete(table).where(*condition))
            continue
        content = _content(name, value)
        if name != "outbound_relay":
            content["modified"] = now()
        if tx.execute(update(table).where(*condition).values(content)).rowcount == 0:
            tx.execute(insert(table).values({**key, **content, **_columns_beside(name, owner)}))


def _place(name: str, owner: str) -> tuple[str, dict[str, str]]:
    """Return the table and the key of a value."""
    is_account = "@" in owner
    if name == "outbound_relay":
        return "sender_relayhost", {"account": owner if is_account else f"@{owner}"}
    return (f"{name}_user", {"username": owner}) if is_account else (f"{name}_domain", {"domain": owner})


def _content(name: str, value: str) -> dict[str, Any]:
    # The bcc rows of a domain work whatever `active` says, so it is always 1.
    return {"relayhost": value} if name == "outbound_relay" else {"bcc_address": value, "active": 1}


def _columns_beside(name: str, owner: str) -> dict[str, Any]:
    if name == "outbound_relay":
        return {}
    return {"created": now(), **({"domain": domain_part(owner)} if "@" in owner else {})}


def pointers_from(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the checked bcc addresses and relay among the parameters in `fields`."""
    return checked(fields, {name: (name, check) for name, check in POINTERS.items()})
