"""amavisd's tables as far as policies and access lists need them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from mailstore.errors import NotSupported
from mailstore.policies import Direction
from mailstore.sql.amavisd.policy_columns import SCORES, TEXTS
from mailstore.sql.live import Live, live_table

__all__ = ["KNOWN", "AddressKey", "ListTable", "Tables"]

KNOWN = frozenset({"users", "mailaddr", "policy", "wblist", "outbound_wblist"})


class AddressKey(TypeDecorator[str]):
    """A key in a binary column (VARBINARY, BYTEA), which compares byte by byte and holds any bytes."""

    impl = LargeBinary(255)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        return None if value is None else value.encode("utf-8", "surrogateescape")

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else bytes(value).decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class ListTable:
    """One of the two tables of access lists; amavisd calls the columns the other way round for the two directions."""

    table: Table
    mine: Column[int]
    """Refers to `users`: the owner of the list."""
    peer: Column[int]
    """Refers to `mailaddr`: who is listed."""


class Tables:
    """The tables with the columns that the server has. Nothing but this library keeps their references right."""

    def __init__(self, live: Live) -> None:
        metadata = MetaData()
        self.users = live_table(metadata, live, "users", [*_keyed(), Column("policy_id", Integer)], set())
        self.mailaddr = live_table(metadata, live, "mailaddr", [*_keyed()], set())
        self.policy = live_table(metadata, live, "policy", [*_policy()], set())
        self._inbound = live_table(metadata, live, "wblist", [*_pairs()], set())
        # iRedMail's own table, since 0.9.3.
        there = "outbound_wblist" in live
        self._outbound = live_table(metadata, live, "outbound_wblist", [*_pairs()], set()) if there else None

    def lists(self) -> Iterator[ListTable]:
        """Iterate over the tables of lists that are there."""
        yield self.list("inbound")
        if self._outbound is not None:
            yield self.list("outbound")

    def list(self, direction: Direction) -> ListTable:
        """Return the table of a direction. Raises NotSupported."""
        if direction == "inbound":
            return ListTable(self._inbound, self._inbound.c.rid, self._inbound.c.sid)
        if self._outbound is None:
            raise NotSupported("this amavisd database has no table outbound_wblist; update iRedMail's schema first")
        return ListTable(self._outbound, self._outbound.c.sid, self._outbound.c.rid)


def _keyed() -> Iterator[Column[Any]]:
    yield Column("id", Integer, primary_key=True)
    yield Column("priority", Integer)
    yield Column("email", AddressKey)


def _pairs() -> Iterator[Column[Any]]:
    yield Column("rid", Integer, primary_key=True, autoincrement=False)
    yield Column("sid", Integer, primary_key=True, autoincrement=False)
    yield Column("wb", String(10))


def _policy() -> Iterator[Column[Any]]:
    yield Column("id", Integer, primary_key=True)
    yield Column("policy_name", String(255))
    for name in TEXTS:
        yield Column(name, String)
    for name in SCORES:
        yield Column(name, Float)
