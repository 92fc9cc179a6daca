"""The name space: an address is a user's or an alias's, spelt as it may be, although the file would take both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select, union_all

from mailstore.driver import holders
from mailstore.driver.names import Owners, Spellings
from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox.automatic import served
from mailstore.sql.mailinabox.schema.detection import Schema

__all__ = ["has_catch_all", "owners", "refuse_taken", "spellings", "taken"]

_BATCH = 500


def taken(schema: Schema, tx: Transaction, addresses: Sequence[str]) -> dict[str, str]:
    """Return those of `addresses` that are in use, with what they are."""
    found: dict[str, str] = {}
    for start in range(0, len(addresses), _BATCH):
        batch = addresses[start : start + _BATCH]
        # The column compares upper and lower case as different, mail servers and people do not.
        email, source = func.lower(schema["users"].c.email), func.lower(schema["aliases"].c.source)
        rows = union_all(_named(email, "an account", batch), _named(source, "an alias", batch))
        found |= {str(address): str(kind) for address, kind in tx.execute(rows)}
    return found


def refuse_taken(schema: Schema, tx: Transaction, address: str) -> None:
    """Raise AlreadyExists if an address is in use."""
    holders.refuse_taken({address: [address]}, taken(schema, tx, [address]))


def spellings(schema: Schema, tx: Transaction, address: str) -> Spellings:
    """Return how else the box's Postfix would find an address: under what leads to its domain, unless it is there itself."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, owner in _alias_domains(schema, tx.connection).items():
        found[owner].add(name)
    every = Spellings([address], found)
    others = taken(schema, tx, [name for name in every.names if name != address])
    return Spellings([address], found, others)


def owners(schema: Schema, connection: Connection, domains: Collection[str]) -> Owners:
    """Return which domain each of `domains` leads to, as far as the box serves them."""
    leads = _alias_domains(schema, connection)
    hosted = served(schema, connection).domains
    return {name: leads.get(name, name) for name in domains if name in leads or name in hosted}


def has_catch_all(schema: Schema, connection: Connection, domain: str) -> bool:
    """Tell whether mail for unknown addresses of a domain goes somewhere."""
    source = schema["aliases"].c.source
    return connection.execute(select(source).where(func.lower(source) == f"@{domain}")).first() is not None


def _alias_domains(schema: Schema, connection: Connection) -> dict[str, str]:
    """Return the domain that each alias domain leads to at last."""
    tables = [schema[name] for name in ("aliases", "auto_aliases") if schema.has(name)]
    whole = [(table.c.source, table.c.destination) for table in tables]
    query = union_all(*(select(source, to).where(source.startswith("@"), to.startswith("@")) for source, to in whole))
    leads = {str(source)[1:].lower(): str(to)[1:].strip().lower() for source, to in connection.execute(query)}

    def end(name: str) -> str:
        seen = {name}
        while (name := leads[name]) in leads and name not in seen:
            seen.add(name)
        return name

    return {name: owner for name in leads if (owner := end(name)) != name}


def _named(column: ColumnElement[str], kind: str, addresses: Iterable[str]) -> Select[str, str]:
    return select(column, literal(kind)).where(column.in_(list(addresses)))
