"""Permissions, and roles: named sets of permissions in a tree of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, select, update

from mailstore.driver.rights import Operation
from mailstore.driver.values import text
from mailstore.errors import AlreadyExists, InvalidValue, NotFound
from mailstore.fields import plain
from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.engine import Transaction

__all__ = ["Permission", "Permissions", "Role", "Roles", "permission_ids"]

_LOCK = "atmail roles"


@dataclass(frozen=True)
class Permission:
    """A permission, and the names of the roles that have it."""

    id: int
    name: str
    description: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """A role. ``ancestors`` are the numbers of the roles above it, topmost first; ``children`` the roles right below it."""

    id: int
    name: str
    description: str = ""
    enabled: bool = True
    ancestors: tuple[int, ...] = ()
    created_by: int | None = None
    permissions: tuple[str, ...] = ()
    children: tuple[Role, ...] = ()


def permission_ids(context: Context, connection: Connection, names: Collection[str]) -> list[int]:
    """Return the numbers of permissions on this server. Raises InvalidValue, naming those that it does not have."""
    columns = context.table("permissions").c
    query = select(columns.permissionName, columns.permissionId).where(columns.permissionName.in_(names))
    found = {name: number for name, number in connection.execute(query).all()}  # noqa: C416 rows are no pairs to mypy
    missing = sorted(set(names) - found.keys())
    if missing:
        raise InvalidValue(f"this server has no permission {missing[0]}; see 'mailstore atmail permissions'")
    return [found[name] for name in sorted(set(names))]


class Permissions:
    """What admins may be allowed to do; the list itself is the product's."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self) -> Sequence[Permission]:
        """Return all permissions by rising number."""
        table, links, roles = (self._context.table(name) for name in ("permissions", "rolePermissions", "roles"))
        names = [
            "permissionId",
            "permissionName",
            *(["permissionDescription"] if "permissionDescription" in table.c else []),
        ]
        with self._context.db.reading() as connection:
            rows = connection.execute(select(*labelled(table, *names)).order_by(table.c.permissionId)).mappings().all()
            query = select(links.c.permissionId, roles.c.roleName).where(roles.c.roleId == links.c.roleId)
            holders: dict[int, Any] = defaultdict(list)
            for number, role in connection.execute(query).all():
                holders[number].append(role)
        return [
            Permission(
                row["permissionId"], row["permissionName"], row.get("permissionDescription") or "",
                tuple(sorted(holders[row["permissionId"]])),
            )
            for row in rows
        ]  # fmt: skip


class Roles:
    """Roles by name or number. Changing them takes an admin who may do everything."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table("roles")
        self._links = context.table("rolePermissions")

    def list(self) -> Sequence[Role]:
        """Return all roles by rising number, without their children."""
        with self._context.db.reading() as connection:
            return self._all(connection)

    def tree(self) -> Sequence[Role]:
        """Return the topmost roles with everything below them."""
        roles = self.list()

        def below(ancestors: tuple[int, ...]) -> tuple[Role, ...]:
            mine = (role for role in roles if role.ancestors == ancestors)
            return tuple(replace(role, children=below((*ancestors, role.id))) for role in mine)

        return below(())

    def get(self, role: str | int) -> Role:
        """Return one role by name or number. Raises NotFound."""
        with self._context.db.reading() as connection:
            return self._get(connection, role)

    def create(
        self, name: str, *, permissions: Iterable[str], description: str = "", parent: str | int | None = None
    ) -> Role:
        """Create a role, below `parent` if one is given. Raises AlreadyExists, NotFound, InvalidValue."""
        wanted = list(plain(permissions))
        row: dict[str, Any] = {"roleName": _name(name), "roleDescription": _description(description), "roleEnabled": 1}
        with self._changing(row["roleName"]) as tx:
            if any(role.name.lower() == row["roleName"].lower() for role in self._all(tx.connection)):
                raise AlreadyExists(f"there is a role {name} already", subject=name)
            above = None if parent is None else self._get(tx.connection, parent)
            row["roleHierarchy"] = _path((*above.ancestors, above.id)) if above else ""
            number = self._context.insert_one(tx, "roles", {**row, "createdByUserId": self._context.creator})
            self._set_permissions(tx, number, wanted)
            return self._get(tx.connection, number)

    def update(
        self,
        role: str | int,
        *,
        permissions: Iterable[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Role:
        """Change what is given and leave the rest. A role that is not enabled gives nobody any permission."""
        values: dict[str, Any] = {}
        if description is not None:
            values["roleDescription"] = _description(description)
        if enabled is not None:
            values["roleEnabled"] = int(enabled)
        self._context.require(values, "roles")
        with self._changing(str(role)) as tx:
            number = self._get(tx.connection, role).id
            if values:
                tx.execute(update(self._table).where(self._table.c.roleId == number).values(values))
            if permissions is not None:
                self._set_permissions(tx, number, list(plain(permissions)))
            return self._get(tx.connection, number)

    def delete(self, role: str | int) -> None:
        """Delete a role; admins who have it lose it. Raises InvalidValue while there are roles below it."""
        holders = self._context.table("userRoles")
        with self._changing(str(role)) as tx:
            found = self._get(tx.connection, role)
            if any(found.id in other.ancestors for other in self._all(tx.connection)):
                raise InvalidValue(f"there are roles below {found.name}; delete them first", subject=found.name)
            for links in (holders, self._links):
                tx.execute(delete(links).where(links.c.roleId == found.id))
            tx.execute(delete(self._table).where(self._table.c.roleId == found.id))

    @contextmanager
    def _changing(self, subject: str) -> Iterator[Transaction]:
        """Open a transaction in which nobody else changes roles."""
        with self._context.writing(subject, Operation.SET_FOR_ALL) as tx:
            self._context.db.lock_name(tx, _LOCK)
            yield tx

    def _set_permissions(self, tx: Transaction, role_id: int, names: Collection[str]) -> None:
        numbers = permission_ids(self._context, tx.connection, names)
        tx.execute(delete(self._links).where(self._links.c.roleId == role_id))
        self._context.insert(tx, "rolePermissions", [{"roleId": role_id, "permissionId": number} for number in numbers])

    def _get(self, connection: Connection, role: str | int) -> Role:
        for found in self._all(connection):
            if role == found.id or (isinstance(role, str) and role.lower() == found.name.lower()):
                return found
        raise NotFound(f"there is no role {role}", subject=str(role))

    def _all(self, connection: Connection) -> Sequence[Role]:
        rows = connection.execute(select(*labelled(self._table)).order_by(self._table.c.roleId)).mappings().all()
        permissions = self._permissions(connection)
        return [_role(row, permissions.get(row["roleId"], ())) for row in rows]

    def _permissions(self, connection: Connection) -> Mapping[int, Sequence[str]]:
        names = self._context.table("permissions").c
        query = select(self._links.c.roleId, names.permissionName).where(
            names.permissionId == self._links.c.permissionId
        )
        found: dict[int, Any] = defaultdict(list)
        for role, name in connection.execute(query).all():
            found[role].append(name)
        return found


def _role(row: Mapping[Any, Any], permissions: Sequence[str]) -> Role:
    return Role(
        id=row["roleId"],
        name=row["roleName"],
        description=row.get("roleDescription") or "",
        enabled=row["roleEnabled"] == 1,
        ancestors=tuple(int(part) for part in (row["roleHierarchy"] or "").split("|") if part.isdecimal()),
        created_by=row.get("createdByUserId"),
        permissions=tuple(sorted(permissions)),
    )


def _path(ancestors: Sequence[int]) -> str:
    """Return the numbers of ancestors as the column holds them: ``|1|2|``."""
    return f"|{'|'.join(map(str, ancestors))}|"


def _name(name: str) -> str:
    checked = text("role")(name)
    if not checked or checked.isdecimal():
        raise InvalidValue("a role needs a name, and not one that could be a number")
    return checked


_description = text("description")
