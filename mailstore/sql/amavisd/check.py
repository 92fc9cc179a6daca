"""What is wrong in amavisd's database: left-over settings, wrong order, missing links, lost mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import exists, select

from mailstore.driver.companions import Directory
from mailstore.driver.policy_keys import amavisd_priority, level_name
from mailstore.model import Finding
from mailstore.sql.amavisd.policy_columns import MANAGED, hides_spam, loses_mail, scores_differ
from mailstore.sql.amavisd.tables import Tables
from mailstore.sql.amavisd.users import NO_POLICY
from mailstore.sql.companion import Beside, orphans
from mailstore.sql.paging import pages

__all__ = ["findings"]

_PAGE = 500
_Rows = Sequence[Mapping[Any, Any]]


def findings(database: Beside, tables: Tables, directory: Directory) -> Iterator[Finding]:
    """Iterate over everything that is wrong."""
    for rows in _users(database, tables):
        for key in orphans([row["email"] for row in rows], directory):
            yield Finding("left-over", key, "amavisd has settings for it, and it is not here")
        for row in rows:
            yield from _user_findings(row)
    yield from _peers(database, tables)
    yield from _policies(database, tables, directory)
    yield from _list_findings(database, tables)


def _users(database: Beside, tables: Tables) -> Iterator[_Rows]:
    users, policy = tables.users.c, tables.policy.c
    columns = (policy[name] for name in MANAGED)
    query = (
        select(users.email, users.priority, users.policy_id, policy.id.label("linked"), policy.policy_name, *columns)
        .select_from(tables.users.outerjoin(tables.policy, users.policy_id == policy.id))
        .order_by(users.email)
        .limit(_PAGE)
    )

    def fetch(after: str) -> _Rows:
        with database.reading() as connection:
            return connection.execute(query.where(users.email > after)).mappings().all()

    return pages(fetch, lambda row: str(row["email"]), start="", size=_PAGE)


def _user_findings(row: Mapping[Any, Any]) -> Iterator[Finding]:
    key = row["email"]
    name = level_name(key)
    if row["priority"] != amavisd_priority(key):
        message = (
            f"users.priority is {row['priority']}, not {amavisd_priority(key)}: its policy applies in the wrong order"
        )
        yield Finding("policy-priority", name, message)
    if row["linked"] is None:
        if row["policy_id"] != NO_POLICY:
            yield Finding("policy-link", name, f"its policy {row['policy_id']} is not there; it has none", "notice")
        return
    if row["policy_name"] != key:
        message = (
            f"it shares the policy {row['policy_name'] or row['policy_id']!r}, all values of which count as its own"
        )
        yield Finding("policy-shared", name, message, "notice")
    for field in loses_mail(row):
        yield Finding(
            "policy-loses-mail", name, f"{field}: such mail is neither delivered nor kept; set the policy again"
        )
    if scores_differ(row):
        message = "spam is marked from another score on than it is quarantined from; set spam_score again"
        yield Finding("policy-scores", name, message, "notice")
    if hides_spam(row):
        message = "mail is spam before it gets the header by which spam is filed; set spam_score again"
        yield Finding("policy-headers", name, message, "notice")


def _peers(database: Beside, tables: Tables) -> Iterator[Finding]:
    peer = tables.mailaddr.c
    query = select(peer.email, peer.priority).order_by(peer.email).limit(_PAGE)

    def fetch(after: str) -> Sequence[Any]:
        with database.reading() as connection:
            return connection.execute(query.where(peer.email > after)).all()

    for page in pages(fetch, lambda row: str(row.email), start="", size=_PAGE):
        for row in page:
            if row.priority != amavisd_priority(row.email):
                message = f"mailaddr.priority is {row.priority}, not {amavisd_priority(row.email)}"
                yield Finding("policy-priority", row.email, message)


def _policies(database: Beside, tables: Tables, directory: Directory) -> Iterator[Finding]:
    """Find policies that carry the name of a level which does not refer to them: they have no effect."""
    users, policy = tables.users.c, tables.policy.c
    unused = ~exists().where(users.policy_id == policy.id)
    with database.reading() as connection:
        query = select(policy.policy_name).where(unused, policy.policy_name.contains("@")).order_by(policy.policy_name)
        names = connection.execute(query).scalars().all()
    left = set(orphans(names, directory))
    for name in names:
        if name in left:
            yield Finding("left-over", name, "amavisd has a policy of its name, and it is not here")
        else:
            yield Finding(
                "policy-link", level_name(name), "its policy has no effect: nothing refers to it; set it again"
            )


def _list_findings(database: Beside, tables: Tables) -> Iterator[Finding]:
    for one in tables.lists():
        users, peers = tables.users.c.id, tables.mailaddr.c.id
        for column, target in ((one.mine, users), (one.peer, peers)):
            query = select(column).where(~exists().where(target == column)).distinct().order_by(column)
            with database.reading() as connection:
                ids = connection.execute(query).scalars().all()
            for number in ids:
                subject = f"{one.table.name}.{column.name} {number}"
                yield Finding("list-link", subject, "it refers to a row that is not there")
