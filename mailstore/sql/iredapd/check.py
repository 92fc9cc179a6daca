"""What is wrong in iRedAPD's database: left-over settings, wrong order, rules without effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, func, select

from mailstore.driver.companions import Directory
from mailstore.driver.policy_keys import iredapd_priority, level_name
from mailstore.model import Finding
from mailstore.sql.companion import Beside, orphans
from mailstore.sql.iredapd.tables import Tables
from mailstore.sql.paging import pages

__all__ = ["findings"]

_PAGE = 500


def findings(database: Beside, tables: Tables, directory: Directory) -> Iterator[Finding]:
    """Iterate over everything that is wrong."""
    for table in (tables.throttle, *tables.of_accounts()):
        for rows in _rows(database, table):
            # Throttles for unauthenticated foreign senders are meant for names of other servers.
            ours = [row["account"] for row in rows if row.get("kind") != "external"]
            for key in orphans(ours, directory):
                yield Finding("left-over", key, f"{table.name} of iRedAPD has settings for it, and it is not here")
            for row in rows:
                yield from _row_findings(row)
    yield from _doubles(database, tables)
    if tables.small_counters:
        yield from _uncounted(database, tables)


def _uncounted(database: Beside, tables: Tables) -> Iterator[Finding]:
    """Find rules that count messages, and whose counter of bytes overflows before anything stops it."""
    rule = tables.throttle.c
    query = select(func.count()).where(rule.period > 0, rule.max_msgs > 0, rule.max_quota <= 0)
    with database.reading() as connection:
        rules = connection.execute(query).scalar_one()
    if rules:
        message = (
            f"{rules} throttles count no message more after 4 GiB in a period; set their max_quota as well, or make the "
            "column wider: ALTER TABLE throttle_tracking MODIFY cur_quota BIGINT UNSIGNED NOT NULL DEFAULT 0"
        )
        yield Finding("throttle-counter", "throttle_tracking.cur_quota", message, "notice")


def _rows(database: Beside, table: Table) -> Iterator[Sequence[Mapping[Any, Any]]]:
    query = select(table).order_by(table.c.id).limit(_PAGE)

    def fetch(after: int) -> Sequence[Mapping[Any, Any]]:
        with database.reading() as connection:
            return connection.execute(query.where(table.c.id > after)).mappings().all()

    return pages(fetch, lambda row: int(row["id"]), start=-1, size=_PAGE)


def _row_findings(row: Mapping[Any, Any]) -> Iterator[Finding]:
    sender = row.get("sender") if "sender_priority" in row else None
    for column, key in (("priority", row["account"] if "priority" in row else None), ("sender_priority", sender)):
        if key is not None and row[column] != iredapd_priority(key):
            message = (
                f"{column} for {key} is {row[column]}, not {iredapd_priority(key)}: rules apply in the wrong order"
            )
            yield Finding("policy-priority", level_name(row["account"]), message)
    if row.get("period") == 0:
        message = f"its {row['kind']} throttle has the period 0, which switches it off"
        yield Finding("throttle-off", level_name(row["account"]), message, "notice")
    if row["account"] != row["account"].lower():
        yield Finding("policy-case", row["account"], "iRedAPD asks in lower case and may never find it", "notice")


def _doubles(database: Beside, tables: Tables) -> Iterator[Finding]:
    """Find rules of which a level has several, as PostgreSQL's table allows; which one counts is not defined."""
    rule = tables.throttle.c
    query = select(rule.account, rule.kind).group_by(rule.account, rule.kind).having(func.count() > 1)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(rule.account, rule.kind)).all()
    for account, kind in rows:
        yield Finding("throttle-double", level_name(account), f"it has several {kind} throttles; set it again")
