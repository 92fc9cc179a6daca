"""Changes to every account of a domain at once."""

from __future__ import annotations

from sqlalchemy import bindparam, or_, select, update

from mailstore import passwords
from mailstore.driver.iredmail.panel import panel_hash
from mailstore.driver.secret import Secret
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context

__all__ = ["set_all_passwords", "switch_all"]


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
