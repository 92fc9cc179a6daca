"""iRedAPD's database beside the accounts: opening it, and what accounts that come and go mean for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

from sqlalchemy import ColumnElement, Table, delete, exists, func, or_, select

from mailstore.driver.companions import Directory, Kept
from mailstore.model import Finding
from mailstore.policies import Level
from mailstore.sql.companion import Beside, connect, copy_rows, same_names
from mailstore.sql.engine import Transaction
from mailstore.sql.iredapd.check import findings
from mailstore.sql.iredapd.greylisting import Greylisting
from mailstore.sql.iredapd.tables import KNOWN, Tables
from mailstore.sql.iredapd.throttles import Throttles
from mailstore.sql.snapshots import Restored, rows_of

__all__ = ["IRedAPDDatabase", "open_database"]

_COUNTERS = ("cur_msgs", "cur_quota")


def open_database(url: str, password: str | None, tls_ca: str) -> IRedAPDDatabase:
    """Return the database of a URL; it is contacted when it is first needed. Raises ConfigurationError."""
    return IRedAPDDatabase("iredapd", connect("iredapd", url, password, tls_ca))


class IRedAPDDatabase(Beside):
    """See `mailstore.driver.companions.IRedAPD`."""

    known = KNOWN

    @cached_property
    def tables(self) -> Tables:
        """The tables, with the columns that this server has. Raises SchemaMismatch."""
        return Tables(self.live)

    def throttles(self, directory: Directory) -> Throttles:
        """See `mailstore.driver.companions.IRedAPD`."""
        return Throttles(self, self.tables, directory)

    def greylisting(self, directory: Directory) -> Greylisting:
        """See `mailstore.driver.companions.IRedAPD`."""
        return Greylisting(self, self.tables, directory)

    def findings(self, directory: Directory) -> Iterator[Finding]:
        """See `mailstore.driver.companions.Companion`."""
        tables = self.tables
        yield from self.db.findings()
        yield from findings(self, tables, directory)

    def holds(self, names: Collection[Level], directory: Directory) -> bool:
        """See `mailstore.driver.companions.Companion`."""
        tables = (self.tables.throttle, self.tables.tracking, *self.tables.of_accounts())
        query = select(or_(*(exists().where(_of(table, names)) for table in tables)))
        with self.reading(joining=directory) as connection:
            return bool(connection.execute(query).scalar())

    def remove(self, names: Collection[Level], directory: Directory) -> None:
        """See `mailstore.driver.companions.Companion`."""
        throttle, tracking = self.tables.throttle, self.tables.tracking
        with self.writing(directory) as tx:
            # Locked first: iRedAPD cannot add a counter that refers to a locked rule.
            tx.execute(select(throttle.c.id).where(_of(throttle, names)).with_for_update()).all()
            rules = select(throttle.c.id).where(_of(throttle, names))
            tx.execute(delete(tracking).where(or_(tracking.c.tid.in_(rules), _of(tracking, names))))
            tx.execute(delete(throttle).where(_of(throttle, names)))
            for table in self.tables.of_accounts():
                tx.execute(delete(table).where(_of(table, names)))
            self._forget_deliveries(tx, names)

    def _forget_deliveries(self, tx: Transaction, names: Collection[Level]) -> None:
        """Remove which senders have passed greylisting for these names; without it they would be let through again."""
        tracking = self.tables.greylisting_tracking
        addresses = [name.name for name in names if name.kind == "address"]
        domains = [name.name for name in names if name.kind == "domain"]
        gone = or_(tracking.c.recipient.in_(addresses), tracking.c.rcpt_domain.in_(domains))
        tx.execute(delete(tracking).where(gone))

    def copy(self, old: str, new: str, directory: Directory) -> None:
        """See `mailstore.driver.companions.Companion`. The counters go along, those under rules of other levels too."""
        throttle, tracking = self.tables.throttle, self.tables.tracking
        with self.writing(directory) as tx:
            own = self._rules(tx, old)
            others = (tracking.c.account == old, tracking.c.tid.not_in(own.values()))
            copy_rows(tx, tracking, others[0] & others[1], larger=_COUNTERS, account=new)
            copy_rows(tx, throttle, throttle.c.account == old, account=new)
            for kind, rule in self._rules(tx, new).items():
                counted = (tracking.c.tid == own[kind]) & (tracking.c.account == old)
                copy_rows(tx, tracking, counted, larger=_COUNTERS, account=new, tid=rule)
            for table in self.tables.of_accounts():
                copy_rows(tx, table, table.c.account == old, account=new)

    def kept(self, names: Collection[Level], directory: Directory) -> Kept:
        """See `mailstore.driver.companions.Companion`."""
        found: Kept = {}
        if self.holds(names, directory):
            with self.writing(directory) as tx:
                for table in self._kept_tables():
                    for row in rows_of(tx, table, _of(table, names)):
                        found.setdefault(row["account"], {}).setdefault(table.name, []).append(row)
        return found

    def bring_back(self, kept: Kept, directory: Directory) -> None:
        """See `mailstore.driver.companions.Companion`."""
        with self.writing(directory) as tx:
            restored = Restored(self.db, tx)
            for table in self._kept_tables():
                rows = [row for tables in kept.values() for row in tables.get(table.name, ())]
                restored.insert_many(table, rows, without=("id",))
            restored.tell(", ".join(sorted(kept)))

    def _kept_tables(self) -> list[Table]:
        return [self.tables.throttle, *self.tables.of_accounts()]

    def _rules(self, tx: Transaction, address: str) -> dict[str, int]:
        rule = self.tables.throttle.c
        query = select(rule.kind, func.min(rule.id).label("id")).where(rule.account == address).group_by(rule.kind)
        return {row.kind: row.id for row in tx.execute(query)}


def _of(table: Table, names: Collection[Level]) -> ColumnElement[bool]:
    return same_names(table.c.account, names)
