"""The limits of a domain, checked against what its tables hold.

Where there is no limit, nothing is counted. Whoever checks a limit holds the lock of the domain row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.errors import LimitExceeded
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.schema.settings import Settings

__all__ = ["check_accounts", "check_aliases", "policy_of"]


def policy_of(row: Mapping[Any, Any]) -> DomainPolicy:
    """Return what a row of `domain` lays down."""
    settings = Settings(row["settings"])
    return DomainPolicy(
        domain=row["domain"],
        max_accounts=row["mailboxes"],
        max_aliases=row["aliases"],
        max_lists=row["maillists"],
        quota=max(row["maxquota"], 0),
        default_account_quota=settings.number("default_user_quota") or 0,
        max_account_quota=max(settings.number("max_user_quota") or 0, 0),
        default_language=settings.text("default_language"),
        min_password_length=settings.number("min_passwd_length") or 0,
        max_password_length=settings.number("max_passwd_length") or 0,
        disabled_services=settings.names("disabled_mail_services"),
    )


def check_accounts(
    context: Context, tx: Transaction, policy: DomainPolicy, *, adding: int, quota: int, instead_of: str = ""
) -> None:
    """Raise LimitExceeded unless `adding` more accounts with `quota` MB together fit, without the account `instead_of`."""
    if policy.max_accounts <= 0 and not policy.quota:
        policy.check_count(count=0, allocated=0, adding=adding, quota=quota)
        return
    mailbox = context.table("mailbox")
    query = select(func.count(), func.sum(mailbox.c.quota))
    query = query.where(mailbox.c.domain == policy.domain, mailbox.c.username != instead_of)
    count, allocated = tx.execute(query).one()
    policy.check_count(count=count, allocated=int(allocated or 0), adding=adding, quota=quota)


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
