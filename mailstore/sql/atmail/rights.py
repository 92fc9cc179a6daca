"""What an acting admin may see and do, looked up in the tables at every call.

A right is granted by a role or directly; an admin works on the domains assigned to it, unless it holds ``all``. What lies
in other domains does not exist for it. Admins below it are its descendants in the nested set.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, ColumnElement, Connection, Select, exists, func, literal, select, union_all

from mailstore.driver.rights import ATMAIL_ADMIN, Needs, Operation
from mailstore.errors import LimitExceeded, NotFound, PermissionDenied
from mailstore.sql.atmail.schema.permissions import ALL, grants, lacking
from mailstore.sql.atmail.schema.units import from_account_limit, from_megabytes

if TYPE_CHECKING:
    from mailstore.sql.atmail.schema.detection import Schema
    from mailstore.sql.engine import Transaction

__all__ = ["Actor", "State", "effective_permissions", "has_permission"]


def effective_permissions(schema: Schema, user_id: int | Column[int]) -> Select[tuple[str]]:
    """Return the query for the names of all permissions of an admin: direct ones, and those of its enabled roles.

    The admin is a number, or the column of an outer query that holds it.
    """
    names, direct = schema["permissions"].c, schema["userPermissions"].c
    held, roles, of_roles = schema["userRoles"].c, schema["roles"].c, schema["rolePermissions"].c
    through_roles = (
        select(of_roles.permissionId)
        .join_from(schema["userRoles"], schema["roles"], roles.roleId == held.roleId)
        .join(schema["rolePermissions"], of_roles.roleId == roles.roleId)
        .where(held.userId == user_id, roles.roleEnabled == 1)
    )
    own = select(direct.permissionId).where(direct.userId == user_id)
    if isinstance(
        user_id, Column
    ):  # SQLAlchemy looks for it only in the query right around, which is not the one meant
        through_roles, own = through_roles.correlate(user_id.table), own.correlate(user_id.table)
    return select(names.permissionName).where(names.permissionId.in_(own) | names.permissionId.in_(through_roles))


def has_permission(schema: Schema, user_id: Column[int], permission: str) -> ColumnElement[bool]:
    """Return the condition that the admin whose number is in a column of the outer query holds exactly this permission."""
    query = effective_permissions(schema, user_id)
    names = schema["permissions"].c
    return exists(query.where(names.permissionName == permission))


@dataclass(frozen=True)
class State:
    """What the tables say about an admin at this moment."""

    present: bool
    permissions: frozenset[str]
    domains: frozenset[str]

    @property
    def everything(self) -> bool:
        """Whether it may do everything, everywhere."""
        return ALL in self.permissions


@dataclass(frozen=True)
class Actor:
    """The admin on whose behalf a store acts."""

    schema: Schema
    user_id: int
    username: str

    def require(
        self, connection: Connection, operations: Operation | Collection[Operation], *domains: str | None
    ) -> None:
        """Raise NotFound unless the actor manages all `domains`, PermissionDenied if it may not do all `operations`."""
        wanted = [name for name in domains if name is not None]
        state = self.state(connection, wanted)
        if not state.present:
            raise PermissionDenied(f"{self.username} is no admin any more", subject=self.username)
        for name in wanted:
            if not (state.everything or name in state.domains):
                raise NotFound(f"there is no domain {name} that {self.username} manages", subject=name)
        for operation in [operations] if isinstance(operations, Operation) else operations:
            needed = ATMAIL_ADMIN.rule(operation)
            if not (isinstance(needed, Needs) and grants(state.permissions, needed.permission)):
                lacking = needed.permission if isinstance(needed, Needs) else "for that"
                raise PermissionDenied(
                    f"{self.username} lacks the permission {lacking} and may not {operation.value}",
                    subject=self.username,
                )

    def refuse_handing_out(self, connection: Connection, permissions: Collection[str]) -> None:
        """Raise PermissionDenied if the actor lacks one of the permissions: nobody can give what he has not."""
        missing = sorted(lacking(self.state(connection).permissions, permissions))
        if missing:
            raise PermissionDenied(
                f"{self.username} cannot hand out {missing[0]}, which it lacks", subject=self.username
            )

    def state(self, connection: Connection, domains: Collection[str] = ()) -> State:
        """Return the actor's permissions, and which of `domains` it manages, with one statement."""
        users, names = self.schema["users"].c, self.schema["domains"].c
        permissions = effective_permissions(self.schema, self.user_id).subquery("held")
        queries = [
            select(literal("user"), users.username).where(users.userId == self.user_id),
            select(literal("permission"), permissions.c[0]),
        ]
        if domains:
            mine = self._domain_ids()
            managed = select(literal("domain"), names.domainName)
            queries.append(managed.where(names.domainName.in_(domains), names.domainId.in_(mine)))
        rows = connection.execute(union_all(*queries)).all()
        users_found, permissions_found, managed_found = (
            frozenset(value for other, value in rows if other == kind) for kind in ("user", "permission", "domain")
        )
        if self.username not in users_found:
            return State(present=False, permissions=frozenset(), domains=frozenset())
        return State(True, permissions_found, frozenset(name.lower() for name in managed_found))

    def manages(self, domain_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Return the condition that the actor manages the domain whose number is in a column."""
        return self.sees_everything() | domain_id.in_(self._domain_ids())

    def manages_name(self, name: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that the actor manages the domain whose name is in a column."""
        domains = self.schema["domains"].alias("mine").c
        mine = select(domains.domainName).where(domains.domainId.in_(self._domain_ids()))
        return self.sees_everything() | name.in_(mine)

    def sees_everything(self) -> ColumnElement[bool]:
        """Return the condition that the actor may do everything."""
        held = effective_permissions(self.schema, self.user_id).subquery("held")
        return exists(select(literal(1)).select_from(held).where(held.c[0] == ALL))

    def below(self) -> ColumnElement[bool]:
        """Return the condition that an admin is a descendant of the actor."""
        users, me = self.schema["users"].c, self.schema["users"].alias("me").c
        inside = (me.userId == self.user_id, me.leftEdge < users.leftEdge, me.rightEdge > users.rightEdge)
        return exists(select(literal(1)).where(*inside).correlate(self.schema["users"]))

    def check_limits(self, tx: Transaction, *, adding: int, quota: int, instead_of: int = 0) -> None:
        """Lock the actor's row and raise LimitExceeded unless `adding` accounts with `quota` MB together fit.

        Counted are the accounts that it created; quotas add up over all accounts of its domains. `quota` 0 is
        unlimited, which fits under no limit. `instead_of` is the number of the account that is about to change.
        """
        users, accounts = self.schema["users"].c, self.schema["accounts"].c
        query = select(users.numUsers, users.quota).where(users.userId == self.user_id).with_for_update()
        row = tx.execute(query).first()
        most = from_account_limit(row[0]) if row else None
        if adding and most is not None and "createdByUserId" in accounts:
            made = tx.execute(select(func.count()).where(accounts.createdByUserId == self.user_id)).scalar_one()
            if made + adding > most:
                raise LimitExceeded(
                    f"{self.username} may create {most} accounts and has created {made}", subject=self.username
                )
        total = 0 if row is None or from_megabytes(row[1]).unlimited else int(row[1])
        if total:
            self._check_quota(tx, total, quota, instead_of)

    def _check_quota(self, tx: Transaction, total: int, quota: int, instead_of: int) -> None:
        accounts = self.schema["accounts"].c
        if quota == 0:
            raise LimitExceeded(
                f"{self.username} may allocate {total}M: an unlimited quota is not possible", subject=self.username
            )
        mine = select(func.sum(accounts.quota)).where(
            accounts.domainId.in_(self._domain_ids()), accounts.accountId != instead_of
        )
        allocated = int(tx.execute(mine).scalar() or 0)
        if allocated + quota > total:
            raise LimitExceeded(
                f"{self.username} may allocate {total}M to its accounts; {allocated}M are allocated, "
                f"{quota}M more do not fit",
                subject=self.username,
            )

    def _domain_ids(self) -> Select[tuple[int]]:
        links = self.schema["userDomains"].alias("managed").c
        return select(links.domainId).where(links.userId == self.user_id)
