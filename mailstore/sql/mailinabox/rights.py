"""Privileges of users: one a line in a column. Only ``admin`` has a meaning, and whoever has it may do everything."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, false, func, literal, select

from mailstore.errors import PermissionDenied
from mailstore.sql.mailinabox.schema.detection import Schema

__all__ = ["ADMIN", "is_admin", "joined", "listed", "require_admin"]

ADMIN = "admin"


def listed(text: str | None) -> list[str]:
    """Return the privileges in a column, as the box reads them: blank lines do not count, other blanks do."""
    return [line for line in (text or "").split("\n") if line.strip()]


def joined(privileges: Sequence[str]) -> str:
    """Return privileges as the column holds them."""
    return "\n".join(privileges)


def is_admin(schema: Schema) -> ColumnElement[bool]:
    """Return the condition that a user is an admin."""
    if not schema.has("users", "privileges"):
        return false()
    lines = literal("\n") + schema["users"].c.privileges + literal("\n")
    return func.instr(lines, f"\n{ADMIN}\n") > 0


def require_admin(schema: Schema, connection: Connection, address: str) -> None:
    """Raise PermissionDenied if an acting admin is none any more."""
    users = schema["users"]
    query = select(users.c.id).where(users.c.email == address, is_admin(schema))
    if connection.execute(query).first() is None:
        raise PermissionDenied(f"{address} is not an admin any more", subject=address)
