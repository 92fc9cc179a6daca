"""The domains of a box, and the aliases that it makes by itself for them.

A box computes these aliases anew after every change of users and aliases: ``postmaster``, ``admin`` and ``abuse`` of every
domain and ``hostmaster`` of the box itself lead to its administrator. Since release 55 they have a table of their own, in
which the Unicode form of each internationalised domain leads to the domain as well; before, missing ones were added to the
ordinary aliases.
"""

from __future__ import annotations

from dataclasses import dataclass

import idna
from sqlalchemy import ColumnElement, Connection, Text, and_, delete, func, insert, literal, not_, or_, select, union

from mailstore.model import Notice
from mailstore.sql.engine import Transaction
from mailstore.sql.mailinabox.box import Box
from mailstore.sql.mailinabox.schema.detection import Schema

__all__ = ["UPDATE_COMMAND", "Served", "refresh", "served", "told", "wanted"]

UPDATE_COMMAND = "sudo /root/mailinabox/management/mailconfig.py update"
"""The box's own update, in the directory that its setup clones it to; it tells name server, mail signing and web server."""
_SHOWN = 10
_TO_ADMINISTRATOR = ("postmaster", "admin", "abuse")


@dataclass(frozen=True)
class Served:
    """The domains of a box: all of them, those with users, and those that get automatic aliases.

    A domain with nothing but a catch-all, or with aliases of the kind that the box makes by itself, gets none.
    """

    domains: frozenset[str]
    with_users: frozenset[str]
    real: frozenset[str]


def served(schema: Schema, connection: Connection) -> Served:
    """Read which domains there are addresses of, in one statement."""
    email, source = schema["users"].c.email, schema["aliases"].c.source
    made_by_hand = not_(or_(_is_automatic(source), source.op("GLOB")("@*")))
    query = union(
        select(literal("user"), _domain(email)).where(_has_domain(email)),
        select(literal("real"), _domain(source)).where(_has_domain(source), made_by_hand),
        select(literal("other"), _domain(source)).where(_has_domain(source), not_(made_by_hand)),
    )
    found: dict[str, set[str]] = {"user": set(), "real": set(), "other": set()}
    for kind, domain in connection.execute(query):
        found[kind].add(domain)
    users, real = frozenset(found["user"]), frozenset(found["real"])
    return Served(domains=users | real | found["other"], with_users=users, real=users | real)


def told(before: Served, after: Served) -> Notice | None:
    """Return what has to be done after a change from one set of domains to another; None if nothing has to."""
    if (before.domains, before.with_users) == (after.domains, after.with_users):
        return None
    new = sorted(after.domains - before.domains)
    gone = sorted(before.domains - after.domains)
    users = sorted((before.with_users ^ after.with_users) - {*new, *gone})
    parts = (("new", new), ("gone", gone), ("first or last user", users))
    changes = "; ".join(f"{what}: {_listed(names)}" for what, names in parts if names)
    message = f"the domains of the box have changed ({changes}); DNS and web server follow when its own update runs"
    return Notice("domains-changed", message, UPDATE_COMMAND)


def _listed(domains: list[str]) -> str:
    more = f" and {len(domains) - _SHOWN} more" if len(domains) > _SHOWN else ""
    return ", ".join(domains[:_SHOWN]) + more


def wanted(box: Box, now: Served) -> dict[str, str]:
    """Return the automatic aliases that a box shall have, as sources with their destinations."""
    aliases = dict.fromkeys(_required(box, now), box.administrator)
    for domain in now.domains:
        shown = _unicode(domain)
        if shown not in (None, domain):
            aliases[f"@{shown}"] = f"@{domain}"
    return aliases


def refresh(schema: Schema, tx: Transaction, box: Box) -> Served:
    """Bring the automatic aliases in line with the addresses that there are now. Returns the domains after that."""
    now = served(schema, tx.connection)
    if schema.has("auto_aliases"):
        _replace(schema, tx, wanted(box, now))
    else:
        _add_missing(schema, tx, box, now)
    dropped = _drop_unneeded(schema, tx, box, now)
    return served(schema, tx.connection) if dropped or not schema.has("auto_aliases") else now


def _replace(schema: Schema, tx: Transaction, aliases: dict[str, str]) -> None:
    table = schema["auto_aliases"]
    present = {(source, destination) for source, destination in tx.execute(select(table.c.source, table.c.destination))}
    old, new = present - aliases.items(), aliases.items() - present
    if old:
        tx.execute(delete(table).where(table.c.source.in_([source for source, _ in old])))
    if new:
        tx.execute(insert(table), [{"source": source, "destination": target} for source, target in sorted(new)])


def _add_missing(schema: Schema, tx: Transaction, box: Box, now: Served) -> None:
    aliases, users = schema["aliases"], schema["users"]
    required = _required(box, now)
    query = union(
        select(aliases.c.source).where(aliases.c.source.in_(required)),
        select(users.c.email).where(users.c.email.in_(required)),
    )
    missing = required - set(tx.execute(query).scalars())
    if missing:
        rows = [{"source": source, "destination": box.administrator} for source in sorted(missing)]
        tx.execute(insert(aliases), rows)


def _drop_unneeded(schema: Schema, tx: Transaction, box: Box, now: Served) -> bool:
    """Remove ordinary aliases that a box of the time before release 55 made for a domain without other addresses."""
    table = schema["aliases"]
    required = _required(box, now)
    query = select(table.c.id, table.c.source).where(
        and_(table.c.destination == box.administrator, _is_automatic(table.c.source))
    )
    unneeded = [number for number, source in tx.execute(query) if source not in required]
    if unneeded:
        tx.execute(delete(table).where(table.c.id.in_(unneeded)))
    return bool(unneeded)


def _required(box: Box, now: Served) -> set[str]:
    names = {f"{name}@{domain}" for domain in now.real for name in _TO_ADMINISTRATOR}
    return (names | {f"hostmaster@{box.hostname}"}) - {box.administrator}


def _is_automatic(source: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(*(source.op("GLOB")(f"{name}@*") for name in _TO_ADMINISTRATOR))


def _domain(address: ColumnElement[str]) -> ColumnElement[str]:
    return func.substr(address, func.instr(address, "@") + 1, type_=Text())


def _has_domain(address: ColumnElement[str]) -> ColumnElement[bool]:
    return func.instr(address, "@") > 0


def _unicode(domain: str) -> str | None:
    """Return a domain as people write it; None if it is not a well-formed one, which is then served as it is."""
    try:
        return idna.decode(domain.encode("ascii"))
    except (idna.IDNAError, UnicodeError, ValueError):
        return None
