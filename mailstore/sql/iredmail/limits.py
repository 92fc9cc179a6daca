"""The limits of a domain, counted as iRedMail counts them (dossier section 7). The caller holds the lock of the domain row.

Disabled accounts count, per-account aliases do not; the quota counts as allocated, not as used. Where there is no limit,
nothing is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from mailstore.errors import LimitExceeded
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.settings import Settings

__all__ = ["check_account_quota", "check_accounts", "check_aliases"]


def check_account_quota(address: str, quota: int, domain: Mapping[Any, Any]) -> None:
    """Raise LimitExceeded unless an account of this domain may have `quota` (MB, 0 unlimited), for itself."""
    most = Settings(domain["settings"]).number("max_user_quota") or 0
    if quota == 0 and (most > 0 or domain["maxquota"] > 0):
        raise LimitExceeded(
            f"{address}: an unlimited quota is not possible under a quota of the domain; give a quota", subject=address
        )
    if 0 < most < quota:
        raise LimitExceeded(f"{address}: accounts of this domain may have {most}M, not {quota}M", subject=address)


def check_accounts(
    context: Context, tx: Transaction, domain: Mapping[Any, Any], *, adding: int, quota: int, instead_of: str = ""
) -> None:
    """Raise LimitExceeded unless `adding` more accounts with `quota` MB together fit, without the account `instead_of`."""
    name, most, most_quota = domain["domain"], domain["mailboxes"], domain["maxquota"]
    if adding and most < 0:
        raise LimitExceeded(f"domain {name} may have no accounts", subject=name)
    if most <= 0 and most_quota <= 0:
        return
    mailbox = context.table("mailbox")
    query = select(func.count(), func.sum(mailbox.c.quota))
    query = query.where(mailbox.c.domain == name, mailbox.c.username != instead_of)
    count, allocated = tx.execute(query).one()
    if 0 < most < count + adding and adding:
        raise LimitExceeded(f"domain {name} may have {most} accounts and has {count}", subject=name)
    if 0 < most_quota < int(allocated or 0) + quota:
        raise LimitExceeded(
            f"domain {name} has a quota of {most_quota}M, of which {int(allocated or 0)}M are allocated; "
            f"{quota}M more do not fit",
            subject=name,
        )


def check_aliases(context: Context, tx: Transaction, domain: Mapping[Any, Any]) -> None:
    """Raise LimitExceeded unless one more standalone alias fits."""
    name, most = domain["domain"], domain["aliases"]
    if most < 0:
        raise LimitExceeded(f"domain {name} may have no aliases", subject=name)
    if most == 0:
        return
    alias = context.table("alias")
    count = tx.execute(select(func.count()).where(alias.c.domain == name)).scalar_one()
    if count >= most:
        raise LimitExceeded(f"domain {name} may have {most} aliases and has {count}", subject=name)
