"""A new admin user, or a change to one: its columns, domains, roles and permissions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select

from mailstore.address import held_domain
from mailstore.driver.values import Column, checked, language, optional_address, text
from mailstore.errors import InvalidValue, LimitExceeded, NotFound
from mailstore.fields import AdminFields, plain, reject_unknown, reject_unsupported
from mailstore.model import UNSET, Admin, Edit, Names, Unset
from mailstore.sql.atmail.admins.roles import Roles, permission_ids
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.schema.permissions import ALL, DOMAIN_ADMIN
from mailstore.sql.atmail.schema.units import UNLIMITED_ACCOUNTS, account_limit, megabytes
from mailstore.sql.engine import Transaction

__all__ = ["SUPPORTED", "AdminChange", "AdminSettings"]

_COLUMNS: Mapping[str, Column] = {
    "name": ("fullname", text("name")),
    "language": ("language", language),
    "max_accounts": ("numUsers", account_limit),
    "max_quota": ("quota", megabytes),
}
SUPPORTED = frozenset({*_COLUMNS, "global_admin", "domains"})
_BLANK = Admin(address="", max_domains=-1)
"""What is so of every admin; how many domains it may create is not among it, but follows from its permissions."""


@dataclass(frozen=True, kw_only=True)
class AdminSettings:
    """What only atmail keeps of an admin. What is UNSET stays as it is; for a new admin it is empty.

    Parameters
    ----------
    company, email_address: as they say.
    role: a role by name or number, instead of all it has; None or 0 none.
    permissions: permissions by name, given to it besides those of its role.
    parent: for a new admin, the admin that it comes under in the tree.

    A new admin of which neither role nor permissions are given gets what it takes to manage the accounts and aliases of
    its domains.
    """

    company: str | Unset = UNSET
    email_address: str | Unset = UNSET
    role: str | int | Unset | None = UNSET
    permissions: Names | Unset = UNSET
    parent: str | None = None


class AdminChange:
    """The parameters of `Admins.create` and `Admins.update`, checked before the database is asked anything."""

    def __init__(self, context: Context, fields: Mapping[str, Any], settings: AdminSettings | None) -> None:
        reject_unknown(fields, AdminFields)
        reject_unsupported(fields, SUPPORTED, _BLANK, "atmail", instead="leave it out, or see AdminSettings")
        self._context = context
        self._fields = fields
        self._settings = settings or AdminSettings()
        self.columns = checked(fields, _COLUMNS) | self._own_columns()
        context.require(self.columns, "users")

    @property
    def parent(self) -> str | None:
        """The name of the admin that a new one shall come under."""
        return self._settings.parent

    def _own_columns(self) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        if self._settings.company is not UNSET:
            columns["company"] = text("company")(self._settings.company)
        if self._settings.email_address is not UNSET:
            columns["emailAddress"] = optional_address(self._settings.email_address)
        return columns

    def lock_domains(self, tx: Transaction) -> None:
        """Lock the domains that the admin shall get, before any row of admins: creating accounts takes this order."""
        names = self._fields.get("domains", ())
        wanted = names.add if isinstance(names, Edit) else plain(names)
        self._numbers(tx, {held_domain(name) for name in wanted})

    def write_rights(self, tx: Transaction, user_id: int, *, new: bool) -> None:
        """Write what links an admin to domains, roles and permissions."""
        if self._context.actor:
            self._check_limits(tx, new=new)
        if self._settings.role is not UNSET:
            self._write_role(tx, user_id, self._settings.role)
        self._write_permissions(tx, user_id, new=new)
        if "domains" in self._fields:
            self._write_domains(tx, user_id, self._fields["domains"])

    def _write_role(self, tx: Transaction, user_id: int, role: str | int | Unset | None) -> None:
        links = self._context.table("userRoles")
        found = Roles(self._context).get(role) if isinstance(role, str | int) and role else None
        if found:
            self._refuse_handing_out(tx, found.permissions)
        tx.execute(delete(links).where(links.c.userId == user_id))
        if found:
            self._context.insert(tx, "userRoles", {"userId": user_id, "roleId": found.id})

    def _write_permissions(self, tx: Transaction, user_id: int, *, new: bool) -> None:
        links, names = self._context.table("userPermissions"), self._context.table("permissions").c
        query = select(names.permissionName).where(
            links.c.userId == user_id, links.c.permissionId == names.permissionId
        )
        present = set() if new else set(tx.execute(query).scalars())
        wanted = self._wanted(present, new=new)
        self._refuse_handing_out(tx, wanted - present)
        if wanted != present:
            numbers = permission_ids(self._context, tx.connection, wanted)
            tx.execute(delete(links).where(links.c.userId == user_id))
            rows = [{"userId": user_id, "permissionId": number} for number in numbers]
            self._context.insert(tx, "userPermissions", rows)
        if self._fields.get("global_admin") is False:
            self._refuse_everything_by_role(tx, user_id)

    def _wanted(self, present: set[str], *, new: bool) -> set[str]:
        names = self._settings.permissions
        if isinstance(names, Edit):
            wanted = set(names.apply(present))
        elif names is not UNSET:
            wanted = set(plain(names))
        else:
            wanted = set(present)
        everything = self._fields.get("global_admin")
        if everything:
            return wanted | {ALL}
        if everything is False:
            wanted -= {ALL}
        if new and not wanted and self._settings.role is UNSET:
            return set(DOMAIN_ADMIN)
        if new and not wanted and not self._settings.role:
            raise InvalidValue("an admin without a role needs permissions")
        return wanted

    def _refuse_everything_by_role(self, tx: Transaction, user_id: int) -> None:
        links, of_roles = self._context.table("userRoles").c, self._context.table("rolePermissions").c
        names = self._context.table("permissions").c
        query = select(of_roles.roleId).where(
            links.userId == user_id, of_roles.roleId == links.roleId, names.permissionId == of_roles.permissionId,
            names.permissionName == ALL,
        )  # fmt: skip
        if tx.execute(query).first():
            raise InvalidValue("its role gives it the permission for everything; give it another role in the settings")

    def _write_domains(self, tx: Transaction, user_id: int, names: Names) -> None:
        links, domains = self._context.table("userDomains"), self._context.table("domains").c
        query = select(domains.domainName, domains.domainId).where(
            links.c.userId == user_id, links.c.domainId == domains.domainId
        )
        present = {name: number for name, number in tx.execute(query).all()}  # noqa: C416 rows are no pairs to mypy
        if isinstance(names, Edit):
            edit = Edit(
                add=[held_domain(name) for name in names.add], remove=[held_domain(name) for name in names.remove]
            )
            wanted = set(edit.apply(present))
        else:
            wanted = {held_domain(name) for name in plain(names)}
        gone = [number for name, number in present.items() if name not in wanted]
        tx.execute(delete(links).where(links.c.userId == user_id, links.c.domainId.in_(gone)))
        new = self._numbers(tx, wanted - present.keys())
        self._context.insert(tx, "userDomains", [{"userId": user_id, "domainId": number} for number in new])

    def _numbers(self, tx: Transaction, names: Collection[str]) -> list[int]:
        """Lock domains and return their numbers. Raises NotFound for one that is not there, or not the actor's."""
        if not names:
            return []
        columns = self._context.table("domains").c
        query = select(columns.domainName, columns.domainId).where(columns.domainName.in_(names))
        query = query.where(self._context.visible(columns.domainId)).order_by(columns.domainName)
        found = {name.lower(): number for name, number in tx.execute(query.with_for_update()).all()}
        for name in sorted(names):
            if name not in found:
                raise NotFound(f"there is no domain {name} here; create it first", subject=name)
        return list(found.values())

    def _refuse_handing_out(self, tx: Transaction, permissions: Collection[str]) -> None:
        if self._context.actor and permissions:
            self._context.actor.refuse_handing_out(tx.connection, permissions)

    def _check_limits(self, tx: Transaction, *, new: bool) -> None:
        """Raise LimitExceeded if the actor gives higher limits than it has itself."""
        actor, users = self._context.actor, self._context.table("users").c
        if actor is None:
            return
        row = tx.execute(select(users.numUsers, users.quota).where(users.userId == actor.user_id)).first()
        own = (None, None) if row is None else (row[0], row[1])
        defaults = {"numUsers": UNLIMITED_ACCOUNTS, "quota": 0} if new else {}
        given = {**defaults, **self.columns}
        accounts, quota = given.get("numUsers"), given.get("quota")
        too_many = own[0] is not None and accounts is not None and accounts > own[0]
        too_much = bool(own[1]) and quota is not None and (quota == 0 or quota > own[1])
        if too_many or too_much:
            raise LimitExceeded(f"{actor.username} cannot give higher limits than it has", subject=actor.username)
