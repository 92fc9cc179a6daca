"""Which spellings of an address stand in columns: one statement for many columns, by their indexes on every engine.

MySQL compares without regard to case, and a range of its index gives every spelling. Where text is compared as it is
written, no range does: `lower(column)` would read all rows. There, in the order of octets, the statement goes along the
address letter by letter and follows, of each letter's two cases, those with which some value begins: as a rule that is two
look-ups a letter. In the order of a language the spellings of a name stand side by side, and it walks from the first one
until a value begins otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import TextClause, text

from mailstore.address import local_part
from mailstore.driver.names import DELIMITER, Spellings
from mailstore.sql.engine import Database, TextOrder, Transaction

__all__ = ["AddressColumn", "occurrences"]

_MOST = 200
"""How many addresses one statement looks for: its size must not grow with the aliases of an account without end."""
_AFTER_ASCII = "\x7f"
"""Comes, in the order of octets, after all that an address continues with."""

# Names of tables and columns are those of schemas here, never what a user gives; values are bound.
_LETTER = "substr(b.word, length(b.beginning) + 1, 1)"
_NEXT = f"b.beginning || CASE is_upper WHEN 1 THEN upper({_LETTER}) ELSE {_LETTER} END"
# The minimum, not EXISTS: only for that every planner goes to the one place in the index.
_FROM = "(SELECT min(%(name)s) FROM %(table)s WHERE %(name)s >= {})"
_ALONG = (
    "found%(place)s (word, beginning) AS (SELECT word, CAST('' AS text) FROM words UNION"  # noqa: S608
    f" SELECT b.word, {_NEXT} FROM found%(place)s AS b, cases"
    f" WHERE length(b.beginning) < length(b.word) AND {_FROM.format(_NEXT)} < {_NEXT} || :last)"
)
_ALONG_END = (
    "SELECT %(place)s, beginning FROM found%(place)s WHERE length(beginning) = length(word)"  # noqa: S608
    f" AND (substr(word, length(word), 1) = '{DELIMITER}' OR {_FROM.format('beginning')} = beginning)"
)
_BEGINS = "substr(lower(b.value), 1, length(b.word)) = b.word"
_WALK = (
    f"found%(place)s (word, value) AS (SELECT word, {_FROM.format('least(word, upper(word))')} FROM words UNION"  # noqa: S608
    " SELECT b.word, (SELECT min(%(name)s) FROM %(table)s WHERE %(name)s > b.value)"
    f" FROM found%(place)s AS b WHERE {_BEGINS})"
)
_WALK_END = f"SELECT %(place)s, value FROM found%(place)s AS b WHERE {_BEGINS}"  # noqa: S608
_SEARCHES = {TextOrder.OCTETS: (_ALONG, _ALONG_END), TextOrder.LANGUAGE: (_WALK, _WALK_END)}
_PLAIN = "SELECT %(place)s, %(value)s FROM %(table)s WHERE %(folded)s IN (%(exact)s)%(patterns)s"
# The columns of one MySQL database may be of several collations, which no UNION takes.
_VALUES = {TextOrder.FOLDED: "CONVERT(%s USING utf8mb4) COLLATE utf8mb4_bin"}


@dataclass(frozen=True)
class AddressColumn:
    """A column that holds addresses; `free` says that other tools spell them there as they like."""

    table: str
    name: str
    free: bool


def occurrences(
    db: Database, tx: Transaction, columns: Sequence[AddressColumn], spellings: Spellings
) -> set[tuple[int, str]]:
    """Return what stands in columns and means one of some addresses: the place of the column in `columns`, and the value.

    All columns and up to 200 names take one statement, and one more each where there is a name with an extension.
    """
    names = sorted(spellings.names)
    # An address with capitals, which a panel takes, stands so in the columns that hold it exactly.
    capitals = sorted(set(spellings.addresses) - spellings.names.keys())
    found: set[tuple[int, str]] = set()
    for start in range(0, len(names), _MOST):
        some = names[start : start + _MOST]
        found |= _some(db, tx, tuple(columns), some, [each for each in capitals if each.lower() in some])
    return {(place, value) for place, value in found if spellings.meant(value)}


def _some(
    db: Database, tx: Transaction, columns: tuple[AddressColumn, ...], names: Sequence[str], capitals: Sequence[str]
) -> set[tuple[int, str]]:
    beginnings = sorted({f"{local_part(name)}{DELIMITER}" for name in names})
    query = _statement(db.text_order, columns, len(names), len(beginnings), len(capitals))
    searches = db.text_order in _SEARCHES
    parameters = {f"w{number}": word for number, word in enumerate([*names, *beginnings])}
    parameters |= {f"c{number}": address for number, address in enumerate(capitals)}
    parameters |= {"last": _AFTER_ASCII} if searches else {f"p{n}": _pattern(b) for n, b in enumerate(beginnings)}
    values = {(int(place), str(value)) for place, value in tx.execute(query, _used(query, parameters)).all()}
    # What has no @ is the beginning of some names with an extension.
    extended = {(place, value) for place, value in values if "@" not in value}
    for place, beginning in sorted(extended):
        bounds = {"first": beginning, "end": f"{beginning}{_AFTER_ASCII}"}
        values |= {(place, str(value)) for value in tx.execute(_between(columns[place]), bounds).scalars()}
    return values - extended


def _used(query: TextClause, parameters: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name in query._bindparams}


def _pattern(beginning: str) -> str:
    escaped = beginning.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"{escaped}%"


@lru_cache(maxsize=64)
def _between(column: AddressColumn) -> TextClause:
    name = column.name
    return text(f"SELECT DISTINCT {name} FROM {column.table} WHERE {name} >= :first AND {name} < :end")  # noqa: S608


@lru_cache(maxsize=256)
def _statement(
    order: TextOrder, columns: tuple[AddressColumn, ...], names: int, beginnings: int, capitals: int
) -> TextClause:
    """Return the statement for so many addresses, beginnings of theirs with an extension, and forms with capitals."""
    exact = [*(f":w{number}" for number in range(names)), *(f":c{number}" for number in range(capitals))]
    search, end = _SEARCHES.get(order, ("", ""))
    shared, parts = [], []
    for place, column in enumerate(columns):
        loose = column.free and not search
        given = {
            "place": place, "table": column.table, "name": column.name,
            "value": _VALUES.get(order, "%s") % column.name,
            "folded": f"lower({column.name})" if loose and order is TextOrder.OTHER else column.name,
            "exact": ", ".join(exact),
        }  # fmt: skip
        likes = (f" OR {given['folded']} LIKE :p{number} ESCAPE '/'" for number in range(beginnings))
        parts.append(_PLAIN % {**given, "patterns": "".join(likes) if loose else ""})
        if column.free and search:
            shared.append(search % given)
            parts.append(end % given)
    if not search:
        return text(" UNION ".join(parts))
    words = ", ".join(f"(CAST(:w{number} AS text))" for number in range(names + beginnings))
    shared = [f"words (word) AS (VALUES {words})", "cases (is_upper) AS (VALUES (0), (1))", *shared]
    return text(f"WITH RECURSIVE {', '.join(shared)} {' UNION '.join(parts)}")
