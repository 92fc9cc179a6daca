"""What a domain lays down for its accounts: defaults, and limits as iRedMail counts them (dossier section 7).

Disabled accounts count, per-account aliases do not; the quota counts as allocated, not as used. Where there is no limit,
nothing is counted. Whoever checks a limit holds the lock of the domain row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from mailstore.errors import InvalidPassword, LimitExceeded
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.settings import Settings

__all__ = ["DomainPolicy", "check_accounts", "check_aliases"]


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """The defaults and limits of one domain, in the units of its columns: MB; 0 unlimited, -1 (in counts) none."""

    domain: str
    max_accounts: int
    max_aliases: int
    quota: int
    default_account_quota: int
    max_account_quota: int
    default_language: str
    min_password_length: int
    max_password_length: int
    disabled_services: tuple[str, ...]

    @classmethod
    def read(cls, row: Mapping[Any, Any]) -> DomainPolicy:
        """Return what a row of `domain` lays down."""
        settings = Settings(row["settings"])
        return cls(
            domain=row["domain"],
            max_accounts=row["mailboxes"],
            max_aliases=row["aliases"],
            quota=max(row["maxquota"], 0),
            default_account_quota=settings.number("default_user_quota") or 0,
            max_account_quota=max(settings.number("max_user_quota") or 0, 0),
            default_language=settings.text("default_language"),
            min_password_length=settings.number("min_passwd_length") or 0,
            max_password_length=settings.number("max_passwd_length") or 0,
            disabled_services=settings.names("disabled_mail_services"),
        )

    def check_password(self, password: str | None, address: str) -> None:
        """Raise InvalidPassword if a password, where it is known, breaks the length limits."""
        if password is None:
            return
        shortest, longest = self.min_password_length, self.max_password_length
        if len(password) < shortest:
            raise InvalidPassword(
                f"{address}: passwords in this domain need {shortest} characters or more", subject=address
            )
        if 0 < longest < len(password):
            raise InvalidPassword(f"{address}: passwords in this domain may have {longest} characters", subject=address)

    def check_account_quota(self, address: str, quota: int) -> None:
        """Raise LimitExceeded unless an account may have `quota` MB (0 unlimited), for itself."""
        most = self.max_account_quota
        if quota == 0 and (most or self.quota):
            raise LimitExceeded(
                f"{address}: an unlimited quota is not possible under a quota of the domain; give a quota",
                subject=address,
            )
        if 0 < most < quota:
            raise LimitExceeded(f"{address}: accounts of this domain may have {most}M, not {quota}M", subject=address)


def check_accounts(
    context: Context, tx: Transaction, policy: DomainPolicy, *, adding: int, quota: int, instead_of: str = ""
) -> None:
    """Raise LimitExceeded unless `adding` more accounts with `quota` MB together fit, without the account `instead_of`."""
    name, most = policy.domain, policy.max_accounts
    if adding and most < 0:
        raise LimitExceeded(f"domain {name} may have no accounts", subject=name)
    if most <= 0 and not policy.quota:
        return
    mailbox = context.table("mailbox")
    query = select(func.count(), func.sum(mailbox.c.quota))
    query = query.where(mailbox.c.domain == name, mailbox.c.username != instead_of)
    count, allocated = tx.execute(query).one()
    if 0 < most < count + adding and adding:
        raise LimitExceeded(f"domain {name} may have {most} accounts and has {count}", subject=name)
    if 0 < policy.quota < int(allocated or 0) + quota:
        raise LimitExceeded(
            f"domain {name} has a quota of {policy.quota}M, of which {int(allocated or 0)}M are allocated; "
            f"{quota}M more do not fit",
            subject=name,
        )


def check_aliases(context: Context, tx: Transaction, policy: DomainPolicy) -> None:
    """Raise LimitExceeded unless one more standalone alias fits."""
    name, most = policy.domain, policy.max_aliases
    if most < 0:
        raise LimitExceeded(f"domain {name} may have no aliases", subject=name)
    if most == 0:
        return
    alias = context.table("alias")
    count = tx.execute(select(func.count()).where(alias.c.domain == name)).scalar_one()
    if count >= most:
        raise LimitExceeded(f"domain {name} may have {most} aliases and has {count}", subject=name)
