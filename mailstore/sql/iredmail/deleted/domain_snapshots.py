"""What is kept of a domain that is about to be deleted, besides its mailboxes.

Every row that goes with a domain is either in the snapshot of an account, whose record may be purged alone, or kept here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from mailstore.address import domain_part
from mailstore.driver.companions import KeptPolicies, levels
from mailstore.driver.names import Spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.references import NEVER, Cleanup, Reference
from mailstore.sql.iredmail.snapshots import MADE, POLICIES, UNCOPIED, note_anchors, note_uncopied
from mailstore.sql.snapshots import Row, packed, rows_of

__all__ = ["keep_domain", "once"]

_OF_DOMAIN = {
    "domain": "domain", "alias_domain": "target_domain", "alias": "domain", "maillists": "domain",
    "sender_bcc_domain": "domain", "recipient_bcc_domain": "domain", "domain_admins": "domain", "mailbox": "domain",
}  # fmt: skip
"""Tables of a domain, and their column with its name."""
_OWNERS = {"is_forwarding": "address", "is_alias": "forwarding"}


def keep_domain(context: Context, tx: Transaction, names: Sequence[str], recorded: Collection[str]) -> str:
    """Return what a domain that is about to be deleted has besides the accounts in `recorded`, as text.

    `names` are those of the domain, its own first.
    """
    cleanup, accounts = Cleanup(context), set(recorded)
    tables: dict[str, list[Row]] = defaultdict(list)
    for name, column in _OF_DOMAIN.items():
        if context.schema.has(name):
            table = context.table(name)
            tables[name] += rows_of(tx, table, table.c[column] == names[0])
    for reference in cleanup.references:
        if reference.back is not NEVER:
            tables[reference.table] += rows_of(
                tx, context.table(reference.table), cleanup.in_domains(reference, set(names))
            )
    kept: dict[str, Any] = {
        name: [row for row in once(rows) if _owner(cleanup.references, name, row) not in accounts]
        for name, rows in tables.items()
    }
    note_uncopied(context, tx, {"": kept})
    note_anchors(context, tx, {"": kept})
    made = kept.pop(MADE)
    uncopied = [name for name in kept.pop(UNCOPIED, []) if domain_part(name) not in names]
    return packed(
        {
            "names": list(names), "accounts": sorted(accounts), UNCOPIED: uncopied, MADE: made, "tables": kept,
            "admins": _marked(context, tx, names[0]),
            POLICIES: _policies(context, names, accounts),
        }
    )  # fmt: skip


def _policies(context: Context, names: Sequence[str], accounts: Collection[str]) -> KeptPolicies:
    """Return what databases beside have for a domain and everything below it, but accounts with records of their own."""
    kept = context.companions.kept(levels(domains=names))
    own = Spellings(accounts, {names[0]: names})
    return {name: databases for name, databases in kept.items() if "@" not in name or own.meant(name) is None}


def _marked(context: Context, tx: Transaction, domain: str) -> list[str]:
    """Return the accounts of other domains that are marked as admins and manage a domain."""
    mailbox, listed = context.table("mailbox").c, context.table("domain_admins").c
    query = select(mailbox.username).where(
        mailbox.username == listed.username, listed.domain == domain, mailbox.isadmin == 1, mailbox.domain != domain
    )
    return list(tx.execute(query).scalars())


def _owner(references: Sequence[Reference], table: str, row: Mapping[str, Any]) -> str:
    """Return whose a row is, if it is an account's."""
    if table == "mailbox":
        return str(row["username"]).lower()
    if table == "forwardings":
        return next((str(row[column]).lower() for flag, column in _OWNERS.items() if row[flag]), "")
    owned = (each.column for each in references if each.table == table and each.owned)
    return next((str(row[column]).lower() for column in owned), "")


def once(rows: Sequence[Row]) -> list[Row]:
    """Return rows without those that are equal to an earlier one."""
    return list({packed(row): row for row in rows}.values())
