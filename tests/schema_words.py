"""How facts about tables are written down, and how a server's own description of a table is read in the same words.

A line is a table: ``column:KIND=default``, then its keys; a key with an engine in front is that engine's alone. A number
after ``S`` is the length of a text that is never NULL, with ``!`` it has no default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import Inspector

__all__ = ["ENGINES", "Engine", "Fact", "Kinds", "Table", "described", "parsed"]

Engine: TypeAlias = Literal["mysql", "postgresql"]
ENGINES: tuple[Engine, ...] = ("mysql", "postgresql")


class Fact(NamedTuple):
    """A column: its type as the engine calls it, its default as text, and whether it may be NULL."""

    type: str
    default: str | None
    nullable: bool


class Table(NamedTuple):
    """A table: its columns, and its keys with their kinds."""

    columns: dict[str, Fact]
    keys: frozenset[tuple[str, tuple[str, ...]]]


Kinds: TypeAlias = Mapping[str, tuple[Fact, Fact]]
"""What each kind of column is on MySQL and on PostgreSQL."""


def parsed(text: str, engine: Engine, kinds: Kinds) -> dict[str, Table]:
    """Return the tables of a text by name."""
    found = {}
    for line in re.sub(r"\n    ", " ", text).split("\n"):
        table, *words = line.split() or [""]
        if table:
            found[table] = _table(words, engine, kinds)
    return found


def described(found: Inspector, name: str, engine: Engine) -> Table:
    """Return a table as its server describes it."""
    columns = {column["name"]: _seen(column, engine) for column in found.get_columns(name)}
    indexes = found.get_indexes(name)
    keys = {("unique" if one["unique"] else "index", tuple(map(str, one["column_names"]))) for one in indexes}
    keys.add(("primary", tuple(found.get_pk_constraint(name)["constrained_columns"])))
    return Table(columns, frozenset(keys))


def _table(words: list[str], engine: Engine, kinds: Kinds) -> Table:
    columns, keys = {}, set()
    for word in words:
        if ":" in word:
            name, _, kind = word.partition(":")
            columns[name] = _fact(kind, engine, kinds)
            continue
        found = re.fullmatch(r"(?:(mysql|postgresql)-)?(\w+)\((.*)\)", word)
        assert found is not None, word
        if found[1] in (None, engine):
            keys.add((found[2], tuple(found[3].split(","))))
    return Table(columns, frozenset(keys))


def _fact(kind: str, engine: Engine, kinds: Kinds) -> Fact:
    found = re.fullmatch(r"S(\d+)(!?)(?:=(.*))?", kind)
    if found is None:
        return kinds[kind][ENGINES.index(engine)]
    word = "varchar" if engine == "mysql" else "character varying"
    return Fact(f"{word}({found[1]})", None if found[2] else found[3] or "", False)


def _seen(column: Any, engine: Engine) -> Fact:
    type_ = str(column["type"]).lower().replace("integer", "int" if engine == "mysql" else "integer")
    if engine == "mysql":
        type_ = type_.partition(" collate")[0].partition(" character set")[0]
        word, _, rest = type_.partition("(")
        if "int" in word:
            type_ = word + (" unsigned" if "unsigned" in rest or getattr(column["type"], "unsigned", False) else "")
    else:
        type_ = type_.replace("varchar", "character varying")
        type_ = "timestamp without time zone" if type_ == "timestamp" else type_.replace("char(", "character(")
        type_ = type_.replace("character( varying", "character varying")
    default = column["default"]
    if default is not None:
        default = default.partition(" ON UPDATE")[0].partition("::")[0].strip("'")
        default = "now" if default.lower() in {"now()", "current_timestamp", "current_timestamp()"} else default
        default = None if default.startswith("nextval") or default == "NULL" else default
    return Fact(type_, default, column["nullable"])
