"""Throttles in iRedAPD's tables `throttle` and `throttle_tracking`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from sqlalchemy import delete, insert, select, update

from mailstore import store
from mailstore.address import held_address
from mailstore.driver.companions import Directory
from mailstore.driver.policy_keys import ANY_CLIENT, iredapd_keys, iredapd_priority, level_name, without_extension
from mailstore.driver.rights import Operation
from mailstore.errors import InvalidValue, NotSupported
from mailstore.fields import reject_unknown
from mailstore.policies import (
    DIRECTIONS,
    Direction,
    EffectiveThrottle,
    Level,
    Limit,
    Origin,
    PeriodLike,
    Throttle,
    ThrottleFields,
    direction_of,
    parse_period,
)
from mailstore.sql.cluster import repeating
from mailstore.sql.companion import Beside, readable, writable
from mailstore.sql.engine import Transaction
from mailstore.sql.iredapd.tables import Tables
from mailstore.sql.paging import pages

__all__ = ["Throttles"]

_PAGE = 500
_COLUMNS = {"msg_size": "msg_size", "max_msgs": "max_msgs", "max_quota": "max_quota", "max_recipients": "max_rcpts"}
_UNLIMITED, _INHERIT = 0, -1
_INHERITED: Mapping[str, Limit] = {name: Limit("inherit") for name in _COLUMNS}
# A message that would overflow a counter is accepted without being counted, and so is every one after it: there must be
# room above the limit for the message that passes it.
_OVERFLOW = 1 << 32
_MOST_BYTES, _MOST_MESSAGES = _OVERFLOW - (256 << 20), 16_000_000
_COUNTED = {"max_quota": _MOST_BYTES, "max_msgs": _MOST_MESSAGES}


@repeating
class Throttles(store.Throttles):
    """See `mailstore.store.Throttles`."""

    def __init__(self, database: Beside, tables: Tables, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._tables = tables
        self._table, self._tracking = tables.throttle, tables.tracking
        self._rule = tables.throttle.c

    def get(self, level: str, direction: Direction) -> Throttle:
        wanted, direction = Level.parse(level), direction_of(direction)
        key = readable(self._directory, wanted)
        query = self._of(key, direction).order_by(self._rule.id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return _throttle(str(wanted), direction, row)

    def list(self) -> Iterator[Throttle]:
        self._directory.require_everything("list the throttles of all levels")
        query = select(self._table).where(self._rule.kind.in_(DIRECTIONS)).order_by(self._rule.id).limit(_PAGE)

        def fetch(after: int) -> Sequence[Mapping[Any, Any]]:
            with self._database.reading() as connection:
                return connection.execute(query.where(self._rule.id > after)).mappings().all()

        for page in pages(fetch, lambda row: int(row["id"]), start=-1, size=_PAGE):
            yield from (_throttle(level_name(row["account"]), row["kind"], row) for row in page)

    def set(
        self, level: str, direction: Direction, *, period: PeriodLike, **limits: Unpack[ThrottleFields]
    ) -> Throttle:
        reject_unknown(limits, ThrottleFields)
        given = {**_INHERITED, **limits}
        if "max_rcpts" not in self._rule and "max_recipients" not in limits:
            del given["max_recipients"]
        return self._write(Level.parse(level), direction_of(direction), parse_period(period), self._columns(given))

    def update(
        self, level: str, direction: Direction, *, period: PeriodLike | None = None, **limits: Unpack[ThrottleFields]
    ) -> Throttle:
        reject_unknown(limits, ThrottleFields)
        seconds = None if period is None else parse_period(period)
        return self._write(Level.parse(level), direction_of(direction), seconds, self._columns(limits))

    def delete(self, level: str, direction: Direction) -> None:
        wanted, direction = Level.parse(level), direction_of(direction)
        with (
            writable(self._directory, wanted, Operation.SET_THROTTLE, gone_too=True) as key,
            self._database.writing(self._directory, wanted) as tx,
        ):
            # Locked first: iRedAPD cannot add a counter that refers to a locked rule.
            ids = [row["id"] for row in self._lock(tx, key, direction)]
            self._delete_rules(tx, ids)

    def reset(self, address: str) -> None:
        address = held_address(address)
        level = Level("address", address)
        with (
            writable(self._directory, level, Operation.SET_THROTTLE, gone_too=True),
            self._database.writing(self._directory) as tx,
        ):
            tx.execute(delete(self._tracking).where(self._tracking.c.account == address))

    def effective(self, address: str, direction: Direction, *, client: str | None = None) -> EffectiveThrottle:
        address, direction = held_address(address), direction_of(direction)
        readable(self._directory, Level("address", address))
        # The name of a login counts as it is, a recipient without what follows the +.
        asked = address if direction == "outbound" else without_extension(address)
        keys = (*_client_keys(client), *iredapd_keys(asked, self._directory.target_domain(address.rpartition("@")[2])))
        query = select(self._table).where(self._rule.account.in_(keys), self._rule.kind == direction)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        effective = _resolved(address, direction, sorted(rows, key=lambda row: (-row["priority"], row["id"])))
        counted = {origin.level for name, origin in effective.origins.items() if name in _COUNTED}
        bounded = effective.max_quota.kind == "limit" and len(counted) == 1
        if self._tables.small_counters and effective.max_msgs.kind == "limit" and not bounded:
            return replace(effective, counts_up_to=_OVERFLOW)
        return effective

    def _columns(self, limits: Mapping[str, Any]) -> dict[str, int]:
        columns: dict[str, int] = {}
        for name, value in limits.items():
            limit = Limit.parse(value, in_bytes=Throttle.LIMITS[name])
            most = _COUNTED.get(name)
            if self._tables.small_counters and most and limit.value > most:
                shown = Limit("limit", most, Throttle.LIMITS[name])
                raise InvalidValue(
                    f"{name}: iRedAPD's counters in this database cannot enforce more than {shown}", field=name
                )
            columns[_COLUMNS[name]] = _stored(limit)
        if "max_rcpts" in columns and "max_rcpts" not in self._rule:
            raise NotSupported("this iRedAPD database has no column throttle.max_rcpts; update iRedAPD first")
        return columns

    def _write(self, level: Level, direction: Direction, period: int | None, columns: Mapping[str, int]) -> Throttle:
        with (
            writable(self._directory, level, Operation.SET_THROTTLE) as key,
            self._database.writing(self._directory, level) as tx,
        ):
            rows = self._lock(tx, key, direction)
            values: dict[str, Any] = {**columns, "account": key, "priority": iredapd_priority(key)}
            if period is not None:
                values["period"] = period
            if rows:
                # In place: the counters refer to the id of the rule. PostgreSQL's table allows doubles.
                tx.execute(update(self._table).where(self._rule.id == rows[0]["id"]).values(values))
                self._delete_rules(tx, [row["id"] for row in rows[1:]])
            elif period is None:
                raise InvalidValue(f"{level} has no {direction} throttle yet; give a period")
            else:
                tx.execute(insert(self._table).values({**values, "kind": direction}))
            return self.get(str(level), direction)

    def _of(self, key: str, direction: Direction) -> Any:
        return select(self._table).where(self._rule.account == key, self._rule.kind == direction)

    def _lock(self, tx: Transaction, key: str, direction: Direction) -> Sequence[Mapping[Any, Any]]:
        return tx.execute(self._of(key, direction).order_by(self._rule.id).with_for_update()).mappings().all()

    def _delete_rules(self, tx: Transaction, ids: Sequence[int]) -> None:
        if ids:
            tx.execute(delete(self._tracking).where(self._tracking.c.tid.in_(ids)))
            tx.execute(delete(self._table).where(self._rule.id.in_(ids)))


def _client_keys(client: str | None) -> tuple[str, ...]:
    if client is None:
        return ()
    wildcard = (f"{client.rpartition('.')[0]}.*",) if "." in client else ()
    return (client, ANY_CLIENT, *wildcard)


def _resolved(address: str, direction: Direction, rows: Sequence[Mapping[Any, Any]]) -> EffectiveThrottle:
    """Return what iRedAPD makes of rules in the order of their priority: each limit is looked for by itself."""
    limits: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    ranks: dict[str, int] = {}
    undefined: set[str] = set()
    for row in rows:
        if row["period"] <= 0:  # switches the whole rule off
            continue
        for name, limit in _limits(row).items():
            if limit.kind == "inherit":
                continue
            if name not in limits:
                limits[name], ranks[name] = limit, row["priority"]
                origins[name] = Origin(level_name(row["account"]), row["period"])
            elif ranks[name] == row["priority"] and (limit, row["period"]) != (limits[name], origins[name].period):
                undefined.add(name)
    return EffectiveThrottle(
        address=address, direction=direction, origins=origins, undefined=tuple(sorted(undefined)), **limits
    )


def _throttle(level: str, direction: Direction, row: Mapping[Any, Any] | None) -> Throttle:
    if row is None:
        return Throttle(level=level, direction=direction)
    return Throttle(level=level, direction=direction, period=row["period"], **_limits(row))


def _limits(row: Mapping[Any, Any]) -> dict[str, Limit]:
    return {
        name: _limit(row[column], in_bytes=Throttle.LIMITS[name]) for name, column in _COLUMNS.items() if column in row
    }


def _limit(value: int, *, in_bytes: bool) -> Limit:
    kind = "limit" if value > 0 else "unlimited" if value == _UNLIMITED else "inherit"
    return Limit(kind, max(value, 0), in_bytes)  # type: ignore[arg-type]


def _stored(limit: Limit) -> int:
    return {"inherit": _INHERIT, "unlimited": _UNLIMITED}.get(limit.kind, limit.value)
