"""Checks of where mail goes: the maps of iRedMail's Postfix, followed in memory, since each answer is asked for again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, select

from mailstore.driver.routes import Maps
from mailstore.model import Finding
from mailstore.sql.iredmail.context import Context

__all__ = ["RouteChecks"]


class RouteChecks:
    """What leads nowhere, or to itself."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._queries = _Queries(context)

    def run(self) -> Iterator[Finding]:
        """Read everything, and iterate over what is wrong."""
        with self._context.reading() as connection:
            maps = _maps(self._queries, connection)
        yield from maps.findings()


class _Queries:
    """What the maps look at, as queries."""

    def __init__(self, context: Context) -> None:
        domain, alias = context.table("domain").c, context.table("alias_domain").c
        mailbox, rows = context.table("mailbox").c, context.table("forwardings").c
        self.domains = select(domain.domain, domain.active, domain.backupmx)
        self.owners = select(alias.alias_domain, alias.target_domain).where(alias.active == 1)
        self.accounts = select(mailbox.username, mailbox.active)
        self.lists = select(context.table("maillists").c.address)
        self.rows = select(rows.address, rows.forwarding, rows.domain).where(rows.active == 1)


def _maps(queries: _Queries, connection: Connection) -> Maps:
    """Read everything that the maps look at."""
    domains = connection.execute(queries.domains).all()
    hosted = {name.lower() for name, active, backup in domains if active and not backup}
    owners = connection.execute(queries.owners).all()
    accounts = connection.execute(queries.accounts).all()
    rows: dict[str, list[str]] = defaultdict(list)
    for address, target, owner in connection.execute(queries.rows).all():
        if owner.lower() in hosted:
            rows[address.lower() if "@" in address else f"@{address.lower()}"].append(target.strip().lower())
    return Maps(
        rows=rows,
        accounts={name.lower(): bool(active) for name, active in accounts},
        hosted=hosted,
        known={name.lower() for name, *_ in domains},
        owners={name.lower(): target.lower() for name, target in owners},
        lists={name.lower() for name in connection.execute(queries.lists).scalars()},
    )
