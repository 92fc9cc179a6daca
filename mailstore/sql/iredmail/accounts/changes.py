"""A change to one account: its columns, settings, services, forwarding and pointers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, update

from mailstore import passwords
from mailstore.address import alias_address
from mailstore.driver.companions import levels
from mailstore.driver.forwarding import Forwarding
from mailstore.driver.iredmail.panel import panel_hash, panel_notice, panel_verifies
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.names import Wanted, newcomers, settled, wanted_in
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.driver.values import checked, now, timezone
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.accounts.new import COLUMNS
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.limits import check_accounts
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import Cleanup
from mailstore.sql.iredmail.routing.forwardings import Forwardings, alias_row, forwarding_row
from mailstore.sql.iredmail.routing.pointers import pointers_from, set_pointers
from mailstore.sql.iredmail.routing.services import Services
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.iredmail.schema.settings import Settings

__all__ = ["AccountChange", "set_all_passwords", "switch_all"]


class AccountChange:
    """The parameters of `Accounts.update`, checked before the database is asked anything."""

    def __init__(self, context: Context, address: str, secret: Secret | None, fields: Mapping[str, Any]) -> None:
        self._context = context
        self._address = address
        self._secret = secret
        self._fields = fields
        self._columns = checked(fields, COLUMNS)
        context.require(self._columns, "mailbox")
        self._pointers = pointers_from(fields)
        self._forwarding = Forwarding.parse(fields)
        self._aliases = wanted_in(fields, "aliases", alias_address)

    @property
    def new_aliases(self) -> tuple[str, ...]:
        """The aliases that the account shall have and may not have yet."""
        return newcomers(self._aliases)

    @property
    def needs_domain(self) -> bool:
        """Whether the domain has a say: about the quota, the aliases, the length of the password."""
        services = self._context.actor is not None and "services" in self._fields
        return "quota" in self._columns or bool(self.new_aliases) or self._secret is not None or services

    def check(self, tx: Transaction, policy: DomainPolicy) -> None:
        """Raise LimitExceeded or InvalidPassword if the change breaks the limits of the domain, whose row is locked."""
        if self._secret:
            self._context.check_secret(tx.connection, policy, self._secret, self._address)
        if "quota" in self._columns:
            quota = self._columns["quota"]
            policy.check_account_quota(self._address, quota)
            check_accounts(self._context, tx, policy, adding=0, quota=quota, instead_of=self._address)

    def check_services(self, tx: Transaction, policy: DomainPolicy, row: Mapping[Any, Any], services: Services) -> None:
        """Raise PermissionDenied if the domain binds the actor, who switches on a service that the domain switches off."""
        if self._context.actor is None or "services" not in self._fields:
            return
        wanted, off = (
            services.columns(self._fields["services"], row),
            services.disabled_for_new(policy.disabled_services),
        )
        if any(wanted[column] != value and row[column] == value for column, value in off.items()):
            self._context.actor.require(tx.connection, self._address, Operation.RULE_DOMAIN)

    def apply(
        self,
        tx: Transaction,
        row: Mapping[Any, Any],
        services: Services,
        forwardings: Forwardings,
        names: NameSpace,
    ) -> None:
        """Write the change; `row` is the account's row, locked."""
        values = self._mailbox_values(tx, row, services)
        mailbox = self._context.table("mailbox")
        tx.execute(update(mailbox).where(mailbox.c.username == self._address).values(values))
        active = values.get("active", row["active"])
        # Only who is, or was, switched off may have a shield.
        changes_mail = {"enabled", "forwarding", "keep_copy", "aliases"} & self._fields.keys()
        shielded = [self._address] if changes_mail and not (active and row["active"]) else []
        shields = Shields(self._context)
        shields.lift(tx, shielded)
        if active != row["active"]:
            switch(tx, forwardings, self._address, active)
        if {"forwarding", "keep_copy"} & self._fields.keys():
            self._change_forwarding(tx, forwardings, names, active)
        if self._aliases is not None:
            self._change_aliases(tx, self._aliases, forwardings, names, active)
        shields.renew(tx, shielded)
        set_pointers(self._context, tx, self._address, self._pointers)

    def _mailbox_values(self, tx: Transaction, row: Mapping[Any, Any], services: Services) -> dict[str, Any]:
        moment = now()
        values = self._columns | {"modified": moment}
        if self._secret:
            is_admin = row["isadmin"] or row["isglobaladmin"]
            hashed = panel_hash(self._secret) if is_admin else self._secret.hash
            values |= {"password": hashed, "passwordlastchange": moment}
            if is_admin and not panel_verifies(hashed):
                self._context.notify(tx, panel_notice(self._address))
        if "services" in self._fields:
            values |= services.columns(self._fields["services"], row)
        if "timezone" in self._fields:
            settings = Settings(row["settings"])
            settings.put("timezone", timezone(self._fields["timezone"]))
            values["settings"] = self._context.settings_text(str(settings))
        return values

    def _change_aliases(
        self, tx: Transaction, aliases: Wanted, forwardings: Forwardings, names: NameSpace, active: int
    ) -> None:
        condition = forwardings.aliases_of(self._address)
        columns = forwardings.columns
        present = set(tx.execute(select(columns.address).where(condition)).scalars())
        after = set(settled(aliases, present))
        gone, new = present - after, after - present
        if gone:
            tx.afterwards(self._context.companions.removing(levels(gone)))
            # Whoever gets one of them next must not get what is meant for this account.
            Cleanup(self._context).remove(tx, names.spellings(tx.connection, sorted(gone), with_aliases=False))
            tx.execute(delete(self._context.table("forwardings")).where(condition, columns.address.in_(gone)))
        owners = names.claim_aliases(tx, self._address, new)
        forwardings.add(tx, [alias_row(alias, self._address, owners[alias], active) for alias in sorted(new)])

    def _change_forwarding(self, tx: Transaction, forwardings: Forwardings, names: NameSpace, active: int) -> None:
        condition = forwardings.of_account(self._address)
        present = forwardings.destinations(tx, condition)
        others, keep_copy = self._forwarding.after(self._address, present, partial(names.owners, tx.connection))
        targets = [self._address] * keep_copy + list(others)
        forwardings.replace(tx, condition, [forwarding_row(self._address, target, active) for target in targets])


def switch(tx: Transaction, forwardings: Forwardings, address: str, active: int) -> None:
    """Switch an account's own rows on or off: where it forwards to, and its aliases.

    Rows by which others point to it are left alone: switching them on would wake up disabled aliases (trap 16).
    """
    columns = forwardings.columns
    own = or_(columns.address == address, (columns.forwarding == address) & (columns.is_alias == 1))
    forwardings.set_active(tx, own, active)


def switch_all(context: Context, tx: Transaction, domain: str, active: int) -> None:
    """Switch the forwardings and aliases of all accounts of a domain on or off, as for a single account."""
    mailbox, rows = context.table("mailbox"), context.table("forwardings")
    accounts = select(mailbox.c.username).where(mailbox.c.domain == domain)
    own = or_(
        rows.c.address.in_(accounts) & (rows.c.is_forwarding == 1),
        rows.c.forwarding.in_(accounts) & (rows.c.is_alias == 1),
    )
    tx.execute(update(rows).where(own).values(active=active))


def set_all_passwords(context: Context, tx: Transaction, domain: str, password: str) -> None:
    """Give every account of a domain this password, each with a salt of its own."""
    mailbox = context.table("mailbox")
    admin_mark = ((mailbox.c.isadmin == 1) | (mailbox.c.isglobaladmin == 1)).label("is_admin")
    accounts = tx.execute(select(mailbox.c.username, admin_mark).where(mailbox.c.domain == domain)).all()
    hashes = passwords.hash_many([password] * len(accounts), context.config.password_scheme)
    change = update(mailbox).where(mailbox.c.username == bindparam("account")).values(password=bindparam("hash"))
    rows = [
        {"account": account, "hash": panel_hash(Secret(hashed, password)) if is_admin else hashed}
        for (account, is_admin), hashed in zip(accounts, hashes, strict=True)
    ]
    if rows:
        tx.execute(change, rows)
