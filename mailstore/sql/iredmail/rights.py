"""What an acting admin may see and do, looked up in the tables at every call.

Global admins may do everything. Others manage the domains listed for them in `domain_admins`: what lies in other domains
does not exist for them. What they may do there is asked of `mailstore.driver.rights`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, literal, select

from mailstore.address import domain_part
from mailstore.driver.iredmail.admin_settings import AdminLimits, check_allocation
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.iredmail.units import from_limit, from_megabytes
from mailstore.driver.rights import Kind, Operation, iredmail_kind, refuse, stronger
from mailstore.driver.secret import Secret
from mailstore.errors import LimitExceeded, NotFound, PermissionDenied
from mailstore.quota import Quota
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.schema.settings import Settings

if TYPE_CHECKING:
    from mailstore.sql.iredmail.schema.detection import Schema

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

    def require(self, connection: Connection, subject: str, *operations: Operation) -> None:
        """Raise unless the actor may do all of `operations` to a domain that it manages, or to an address in one.

        NotFound if it does not manage the domain, PermissionDenied if it is no enabled admin any more, or may not do that.
        """
        domain = domain_part(subject)
        state = self._enabled_state(connection, domain)
        if not (state["everything"] or state["manages"]):
            raise NotFound(f"there is no domain {domain} that {self.address} manages", subject=domain)
        profiles = f"disabled_{'user' if '@' in subject else 'domain'}_profiles"
        disabled = Settings(state["domain_settings"]).names(profiles)
        refuse(self._kind(state), self.address, operations, subject=subject, disabled=disabled)

    def require_anywhere(self, connection: Connection, subject: str, *operations: Operation) -> None:
        """Raise PermissionDenied unless the actor may do something that is about no domain of its own."""
        refuse(self.kind(connection), self.address, operations, subject=subject)

    def may(self, connection: Connection, operation: Operation) -> bool:
        """Tell whether the actor may do something, at least to domains that it manages."""
        return self.kind(connection).may(operation)

    def kind(self, connection: Connection) -> Kind:
        """Return what kind of admin the actor is. Raises PermissionDenied if it is none any more."""
        return self._kind(self._enabled_state(connection, ""))

    def is_global(self, connection: Connection) -> bool:
        """Tell whether the actor may do everything."""
        state = self._state(connection, "")
        return bool(state["enabled"] and state["everything"])

    def refuse_stronger(self, connection: Connection, account: Mapping[Any, Any]) -> None:
        """Raise PermissionDenied if the account in a `mailbox` row may do more than the actor.

        Whoever sets the password of an admin, gets its mail or bears its name, is one.
        """
        if (account["isadmin"] or account["isglobaladmin"]) and account["username"] != self.address:
            self._refuse_stronger(connection, self.schema["mailbox"].c.username == account["username"])

    def refuse_stronger_holder(self, connection: Connection, addresses: Collection[str]) -> None:
        """Raise PermissionDenied if an account that may do more than the actor has one of these addresses."""
        rows = self.schema["forwardings"].c
        owners = select(rows.forwarding).where(rows.address.in_(addresses), rows.is_alias == 1)
        username = self.schema["mailbox"].c.username
        self._refuse_stronger(connection, username.in_(addresses) | username.in_(owners))

    def refuse_stronger_in(self, connection: Connection, domain: str) -> None:
        """Raise PermissionDenied if one of the accounts of a domain may do more than the actor."""
        self._refuse_stronger(connection, self.schema["mailbox"].c.domain == domain)

    def _refuse_stronger(self, connection: Connection, accounts: ColumnElement[bool]) -> None:
        mailbox = self.schema["mailbox"].c
        marked = (mailbox.isadmin == 1) | (mailbox.isglobaladmin == 1)
        columns = (mailbox.username, mailbox.settings, (mailbox.isglobaladmin == 1).label("everything"))
        self._compare(connection, select(*columns).where(accounts, marked))

    def refuse_stronger_admins(self, connection: Connection, addresses: Collection[str]) -> None:
        """Raise PermissionDenied if one of these admins, of either kind, may do more than the actor."""
        self._refuse_stronger(connection, self.schema["mailbox"].c.username.in_(addresses))
        admin, listed = self.schema["admin"].c, self.schema["domain_admins"].c
        everything = exists().where(listed.username == admin.username, listed.domain == GLOBAL)
        query = select(admin.username, admin.settings, everything.label("everything"))
        self._compare(connection, query.where(admin.username.in_(addresses)))

    def refuse_ready_hash(self, connection: Connection, policy: DomainPolicy, secret: Secret, address: str) -> None:
        """Raise PermissionDenied for a ready hash under length limits that bind the actor: nobody sees how long it is."""
        if secret.password is None and policy.limits_passwords and not self.may(connection, Operation.RULE_DOMAIN):
            raise policy.no_ready_hash(self.address, address)

    def refuse_restoring(self, connection: Connection, account: Mapping[Any, Any], domains: Collection[str]) -> None:
        """Raise PermissionDenied if an account that is to come back could do more than the actor.

        `account` is its row as it was, `domains` what it managed; domains that are gone give it nothing.
        """
        domain = self.schema["domain"].c
        foreign = select(domain.domain).where(domain.domain.in_(domains), ~self.visible(domain.domain)).limit(1)
        found = bool(domains) and connection.execute(foreign).first() is not None
        rank = {**account, "everything": account["isglobaladmin"] or GLOBAL in domains, "foreign": found}
        if self._outranks(self._enabled_state(connection, ""), rank):
            raise stronger(self.address, str(account["username"]))

    def _compare(self, connection: Connection, others: Select[Any]) -> None:
        found = others.subquery("others")
        listed, domain = self.schema["domain_admins"].alias("theirs").c, self.schema["domain"].c
        elsewhere = exists().where(
            listed.username == found.c.username, listed.active == 1, domain.domain == listed.domain,
            ~self._mine(listed.domain),
        )  # fmt: skip
        query = select(found, elsewhere.label("foreign")).order_by(found.c.username)
        rows = connection.execute(query).mappings().all()
        mine = self._enabled_state(connection, "") if rows else {}
        for row in rows:
            if row["username"] != self.address and self._outranks(mine, row):
                raise stronger(self.address, row["username"])

    def _outranks(self, mine: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
        """Tell whether an admin may do what the actor, whose state is `mine`, may not."""
        if mine["everything"]:
            return False
        creates = AdminLimits.read(Settings(other["settings"])).max_domains != 0
        return bool(other["everything"] or other["foreign"] or (creates and not self._creates(mine)))

    def visible(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that the domain in `column` is one the actor manages."""
        return self.sees_everything() | self._mine(column)

    def _mine(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        mine = self.schema["domain_admins"].alias("mine").c
        return column.in_(select(mine.domain).where(mine.username == self.address, mine.active == 1))

    def sees_everything(self) -> ColumnElement[bool]:
        """Return the condition that the actor is a global admin."""
        mine = self.schema["domain_admins"].alias("mine").c
        return exists().where(mine.username == self.address, mine.active == 1, mine.domain == GLOBAL)

    def allow_new_domain(self, tx: Transaction, wanted: Mapping[Any, Any], operations: Collection[Operation]) -> None:
        """Lock the actor's limits and raise unless one more domain with the limits in the row `wanted` fits.

        `operations` is what it asks for besides.
        """
        refuse(self.kind(tx.connection), self.address, operations, subject=wanted["domain"])
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
        """Lock the actor's row and return its limits; None for a global admin."""
        if self.is_global(tx.connection):
            return None
        settings = None
        for table in ("admin", "mailbox"):
            rows = self.schema[table]
            query = select(rows.c.settings).where(rows.c.username == self.address).with_for_update()
            found = tx.execute(query).first()
            settings = found if settings is None else settings
        return AdminLimits.read(Settings(settings[0] if settings else ""))

    def _state(self, connection: Connection, domain: str) -> Mapping[Any, Any]:
        admin, mailbox, listed = (self.schema[name].c for name in ("admin", "mailbox", "domain_admins"))
        mine = (listed.username == self.address, listed.active == 1)
        standalone = exists().where(admin.username == self.address, admin.active == 1)
        account = exists().where(
            mailbox.username == self.address,
            mailbox.active == 1,
            (mailbox.isadmin == 1) | (mailbox.isglobaladmin == 1),
        )
        of_domain = self.schema["domain"].c
        query = select(
            (standalone | account).label("enabled"),
            exists().where(*mine, listed.domain == GLOBAL).label("everything"),
            (exists().where(*mine, listed.domain == domain) if domain else literal(0)).label("manages"),
            select(admin.settings).where(admin.username == self.address).scalar_subquery().label("own_settings"),
            select(mailbox.settings)
            .where(mailbox.username == self.address)
            .scalar_subquery()
            .label("account_settings"),
            select(of_domain.settings).where(of_domain.domain == domain).scalar_subquery().label("domain_settings"),
        )
        return connection.execute(query).mappings().one()

    def _enabled_state(self, connection: Connection, domain: str) -> Mapping[Any, Any]:
        state = self._state(connection, domain)
        if not state["enabled"]:
            raise PermissionDenied(f"{self.address} is not an enabled admin any more", subject=self.address)
        return state

    def _kind(self, state: Mapping[Any, Any]) -> Kind:
        return iredmail_kind(everything=bool(state["everything"]), creates=self._creates(state))

    @staticmethod
    def _creates(state: Mapping[Any, Any]) -> bool:
        own = state["own_settings"]
        settings = state["account_settings"] if own is None else own
        return AdminLimits.read(Settings(settings)).max_domains != 0
