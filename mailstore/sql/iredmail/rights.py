"""What an acting admin may see and do, looked up in the tables at every call.

Global admins may do everything. Others manage the domains listed for them in `domain_admins`: what lies in other domains
does not exist for them. Creating and deleting domains and setting their limits takes the right to create domains, within the
limits of the admin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, exists, func, literal, select

from mailstore.errors import LimitExceeded, NotFound, PermissionDenied
from mailstore.iredmail.admin_settings import AdminLimits, check_allocation
from mailstore.iredmail.units import from_limit, from_megabytes
from mailstore.quota import Quota
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.settings import Settings

if TYPE_CHECKING:
    from mailstore.sql.iredmail.schema import Schema

__all__ = ["GLOBAL", "Actor"]

GLOBAL = "ALL"
"""Stands for "all domains" in `domain_admins.domain`; matched byte by byte on PostgreSQL."""

_ALLOCATED = {
    "mailboxes": ("max_accounts", "accounts"),
    "aliases": ("max_aliases", "aliases"),
    "maillists": ("max_lists", "lists"),
}


@dataclass(frozen=True)
class Actor:
    """The admin on whose behalf a store acts."""

    schema: Schema
    address: str

    def require_enabled(self, connection: Connection) -> None:
        """Raise NotFound if there is no such enabled admin."""
        if not self._state(connection, "")["enabled"]:
            raise NotFound(f"there is no enabled admin {self.address}", subject=self.address)

    def require_domain(self, connection: Connection, domain: str) -> None:
        """Raise NotFound unless the actor manages `domain`, PermissionDenied if it is no enabled admin any more."""
        state = self._state(connection, domain)
        if not state["enabled"]:
            raise PermissionDenied(f"{self.address} is not an enabled admin any more", subject=self.address)
        if not (state["everything"] or state["manages"]):
            raise NotFound(f"there is no domain {domain} that {self.address} manages", subject=domain)

    def require_global(self, connection: Connection, what: str) -> None:
        """Raise PermissionDenied unless the actor is a global admin."""
        if not self.is_global(connection):
            raise PermissionDenied(f"{self.address} is no global admin and may not {what}", subject=self.address)

    def is_global(self, connection: Connection) -> bool:
        """Tell whether the actor may do everything."""
        state = self._state(connection, "")
        return bool(state["enabled"] and state["everything"])

    def refuse_global_admin(self, connection: Connection, account: Mapping[Any, Any]) -> None:
        """Raise PermissionDenied if a `mailbox` row is that of a global admin and the actor is none.

        Whoever sets the password of a global admin is one.
        """
        if account["isglobaladmin"]:
            self.require_global(connection, "touch the account of a global admin")

    def refuse_global_admins_of(self, connection: Connection, domain: str) -> None:
        """Raise PermissionDenied if a domain has accounts of global admins and the actor is none."""
        mailbox = self.schema["mailbox"].c
        query = select(mailbox.isglobaladmin).where(mailbox.domain == domain, mailbox.isglobaladmin == 1).limit(1)
        for row in connection.execute(query).mappings():
            self.refuse_global_admin(connection, row)

    def visible(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that the domain in `column` is one the actor manages."""
        mine = self.schema["domain_admins"].alias("mine").c
        managed = select(mine.domain).where(mine.username == self.address, mine.active == 1)
        return self.sees_everything() | column.in_(managed)

    def sees_everything(self) -> ColumnElement[bool]:
        """Return the condition that the actor is a global admin."""
        mine = self.schema["domain_admins"].alias("mine").c
        return exists().where(mine.username == self.address, mine.active == 1, mine.domain == GLOBAL)

    def allow_new_domain(self, tx: Transaction, wanted: Mapping[Any, Any]) -> None:
        """Lock the actor's limits and raise unless one more domain with the limits in the row `wanted` fits."""
        limits = self._lock_limits(tx)
        if limits is None:
            return
        count = self._allocated(tx, "")["domains"]
        if limits.max_domains is not None and count >= limits.max_domains:
            raise LimitExceeded(f"{self.address} manages {count} domains and may create no more", subject=self.address)
        self._check_allocation(tx, limits, "", wanted)

    def allow_limits(self, tx: Transaction, domain: str, wanted: Mapping[Any, Any]) -> None:
        """Lock the actor's limits and raise unless `domain` may get the limits in the row `wanted`."""
        limits = self._lock_limits(tx)
        if limits is not None:
            self._check_allocation(tx, limits, domain, wanted)

    def allow_deletion(self, tx: Transaction) -> None:
        """Raise PermissionDenied unless the actor may delete the domains that it manages."""
        self._lock_limits(tx)

    def _check_allocation(self, tx: Transaction, limits: AdminLimits, domain: str, wanted: Mapping[Any, Any]) -> None:
        others = self._allocated(tx, domain)
        for column, (limit_name, noun) in _ALLOCATED.items():
            limit: int | None = getattr(limits, limit_name)
            if limit is not None and column in wanted:
                count = int(others[column] or 0)
                check_allocation(self.address, noun, wanted=from_limit(wanted[column]), others=count, limit=limit)
        if not limits.max_quota.unlimited and "maxquota" in wanted:
            used = Quota(int(others["maxquota"]) << 20).bytes or 0 if others["maxquota"] else 0
            size, limit = from_megabytes(wanted["maxquota"]).bytes, limits.max_quota.bytes or 0
            check_allocation(self.address, "bytes of quota", wanted=size, others=used, limit=limit)

    def _allocated(self, tx: Transaction, without: str) -> Mapping[Any, Any]:
        """Return what is allocated to the managed domains, `without` left out. Unlimited (0) adds nothing."""
        domain, listed = self.schema["domain"], self.schema["domain_admins"]
        sums = [func.sum(domain.c[column]).label(column) for column in (*_ALLOCATED, "maxquota")]
        query = (
            select(func.count().label("domains"), *sums)
            .join(listed, listed.c.domain == domain.c.domain)
            .where(listed.c.username == self.address, domain.c.domain != without)
        )
        return tx.execute(query).mappings().one()

    def _lock_limits(self, tx: Transaction) -> AdminLimits | None:
        """Lock the actor's row and return its limits; None for a global admin.

        Raises PermissionDenied if it may not create domains.
        """
        if self.is_global(tx.connection):
            return None
        settings = None
        for table in ("admin", "mailbox"):
            rows = self.schema[table]
            query = select(rows.c.settings).where(rows.c.username == self.address).with_for_update()
            found = tx.execute(query).first()
            settings = found if settings is None else settings
        limits = AdminLimits.read(Settings(settings[0] if settings else ""))
        if limits.max_domains == 0:
            raise PermissionDenied(
                f"{self.address} may not create or delete domains or set their limits", subject=self.address
            )
        return limits

    def _state(self, connection: Connection, domain: str) -> Mapping[Any, Any]:
        admin, mailbox, listed = self.schema["admin"], self.schema["mailbox"], self.schema["domain_admins"]
        mine = (listed.c.username == self.address, listed.c.active == 1)
        standalone = exists().where(admin.c.username == self.address, admin.c.active == 1)
        account = exists().where(
            mailbox.c.username == self.address,
            mailbox.c.active == 1,
            (mailbox.c.isadmin == 1) | (mailbox.c.isglobaladmin == 1),
        )
        query = select(
            (standalone | account).label("enabled"),
            exists().where(*mine, listed.c.domain == GLOBAL).label("everything"),
            (exists().where(*mine, listed.c.domain == domain) if domain else literal(0)).label("manages"),
        )
        return connection.execute(query).mappings().one()
