"""The kinds of columns of this product's tables, on all engines, and how a table is described by them.

A column with a default is NOT NULL, one without may be NULL, unless it is marked as required. MySQL's tables hold three-byte
characters only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, SmallInteger, String, Text, text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from mailstore.sql.moments import Moment

__all__ = [
    "BIG", "BIT", "EMPTY", "FLAG", "INT", "LBLOB", "LTEXT", "MOMENT", "MTEXT", "MYSQL", "NAME", "NUMBERED", "NUMBERED_BIG",
    "NUMBERED_UNSIGNED", "ON", "REQUIRED", "SHORT", "SMALL", "TEXT", "TINY", "UBIG", "UINT", "Spec", "each", "number",
    "plain", "varchar",
]  # fmt: skip

MYSQL = ("mysql", "mariadb")
REQUIRED: Literal["required"] = "required"
"""In the place of a default: NOT NULL without one."""

Make: TypeAlias = Callable[[str], Column[Any]]


def _type(plain: TypeEngine[Any], on_mysql: TypeEngine[Any], on_postgresql: TypeEngine[Any] | None = None) -> Any:
    wanted = plain.with_variant(on_mysql, *MYSQL)
    return wanted if on_postgresql is None else wanted.with_variant(on_postgresql, "postgresql")


INT = Integer()
BIT = _type(Integer(), mysql.TINYINT(1), SmallInteger())
TINY = _type(Integer(), mysql.TINYINT(2), SmallInteger())
SHORT = _type(Integer(), mysql.TINYINT(4), SmallInteger())
SMALL = _type(Integer(), mysql.SMALLINT(6))
UINT = _type(Integer(), mysql.INTEGER(unsigned=True), BigInteger())
BIG = _type(Integer(), mysql.BIGINT(), BigInteger())
UBIG = _type(Integer(), mysql.BIGINT(unsigned=True), BigInteger())
TEXT = Text()
MTEXT = _type(Text(), mysql.MEDIUMTEXT())
LTEXT = _type(Text(), mysql.LONGTEXT())
LBLOB = _type(LargeBinary(), mysql.LONGBLOB())


@dataclass(frozen=True)
class Spec:
    """A table: its columns, what is indexed (several columns of one index as a tuple), and what is unique together."""

    columns: Mapping[str, Make]
    indexes: Sequence[str | tuple[str, ...]] = ()
    unique: tuple[str, ...] = ()


def each(names: str, make: Make) -> dict[str, Make]:
    """Return columns of one kind for names with blanks between them."""
    return dict.fromkeys(names.split(), make)


def numbered(type_: Any) -> Make:
    """Return a kind of column that numbers the rows."""
    return lambda name: Column(name, type_, primary_key=True, autoincrement=True, nullable=False)


def number(type_: Any, default: int | Literal["required"] | None = 0) -> Make:
    """Return a kind of column for numbers; with None for the default it may be NULL."""
    if default is None or default == REQUIRED:
        return lambda name: Column(name, type_, nullable=default is None)
    return lambda name: Column(name, type_, nullable=False, server_default=text(str(default)))


def varchar(length: int = 255, default: str | None = None, *, required: bool = False) -> Make:
    """Return a kind of column for short texts; without a default it may be NULL, unless it is `required`."""
    if default is None:
        return lambda name: Column(name, String(length), nullable=not required)
    return lambda name: Column(name, String(length), nullable=False, server_default=default)


def plain(type_: Any) -> Make:
    """Return a kind of column that may be NULL."""
    return lambda name: Column(name, type_)


NUMBERED = numbered(INT)
NUMBERED_BIG = numbered(BIG)
NUMBERED_UNSIGNED = numbered(_type(Integer(), mysql.INTEGER(unsigned=True)))
FLAG, ON = number(BIT), number(BIT, 1)
NAME, EMPTY = varchar(), varchar(default="")
MOMENT = plain(Moment())
