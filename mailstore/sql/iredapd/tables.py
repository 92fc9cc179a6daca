"""iRedAPD's tables as far as throttles and greylisting need them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, SmallInteger, String, Table

from mailstore.sql.live import Live, live_table

__all__ = ["KNOWN", "Tables"]

KNOWN = frozenset(
    {
        "throttle", "throttle_tracking", "greylisting", "greylisting_whitelists", "greylisting_whitelist_domain_spf",
        "greylisting_whitelist_domains", "greylisting_tracking",
    }
)  # fmt: skip


class Tables:
    """The tables with the columns that the server has."""

    def __init__(self, live: Live) -> None:
        metadata = MetaData()

        def table(name: str, *columns: Column[Any], optional: tuple[str, ...] = ()) -> Table:
            identity = Column("id", BigInteger, primary_key=True)
            return live_table(metadata, live, name, [identity, *columns], set(optional))

        self.throttle = table("throttle", *_throttle(), optional=("max_rcpts",))
        self.tracking = table(
            "throttle_tracking", Column("tid", BigInteger), Column("account", String(255)),
            Column("cur_msgs", BigInteger), Column("cur_quota", BigInteger),
        )  # fmt: skip
        self.greylisting = table("greylisting", *_greylisting())
        self.whitelists = table("greylisting_whitelists", *_whitelist())
        there = "greylisting_whitelist_domain_spf" in live
        self.resolved = table("greylisting_whitelist_domain_spf", *_whitelist()) if there else None
        there = "greylisting_whitelist_domains" in live
        self.spf_domains = table("greylisting_whitelist_domains", Column("domain", String(255))) if there else None
        self.greylisting_tracking = table(
            "greylisting_tracking", Column("recipient", String(255)), Column("rcpt_domain", String(255))
        )
        self.small_counters = live["throttle_tracking"]["cur_quota"].type in {"int", "integer"}
        """Whether the counters are as small as on MySQL (32 bits for bytes, 24 for messages)."""

    def of_accounts(self) -> Iterator[Table]:
        """Iterate over the tables whose column `account` is a level and to which nothing refers."""
        yield from (self.greylisting, self.whitelists)


def _throttle() -> Iterator[Column[Any]]:
    yield Column("account", String(255))
    yield Column("kind", String(10))
    yield Column("priority", BigInteger)
    for name in ("period", "msg_size", "max_msgs", "max_quota", "max_rcpts"):
        yield Column(name, BigInteger)


def _greylisting() -> Iterator[Column[Any]]:
    for name in ("account", "sender"):
        yield Column(name, String(255))
    for name in ("priority", "sender_priority"):
        yield Column(name, SmallInteger)
    yield Column("comment", String(255))
    yield Column("active", Integer)


def _whitelist() -> Iterator[Column[Any]]:
    for name in ("account", "sender", "comment"):
        yield Column(name, String(255))
