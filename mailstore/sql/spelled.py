"""Conditions that find an address in a column under every spelling that readers follow: see `mailstore.driver.names`."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, func, or_

from mailstore.address import domain_part, local_part
from mailstore.driver.names import DELIMITER, Spellings

__all__ = ["called", "has_extension", "in_domains", "leads_to"]


def called(column: ColumnElement[str], names: Collection[str], *, exact: bool) -> ColumnElement[bool]:
    """Return the condition that a column is one of `names`, in upper or lower case.

    `exact` says that the server tells upper and lower case apart, and has to read all rows for it: other tools write
    both, and Postfix follows both.
    """
    return func.lower(column).in_(list(names)) if exact else column.in_(list(names))


def leads_to(column: ColumnElement[str], spellings: Spellings) -> ColumnElement[bool]:
    """Return the condition that mail for the address in a column reaches one of the addresses, extensions included.

    It is for servers that compare without regard to case; for others see `mailstore.sql.occurrences`.
    """
    domains: dict[str, set[str]] = {}
    for name in spellings.names:
        domains.setdefault(local_part(name), set()).add(domain_part(name))
    extended = (
        # The beginning alone decides what the index gives.
        and_(column.startswith(f"{local}{DELIMITER}", autoescape=True), _ends(column, some))
        for local, some in domains.items()
    )
    return or_(column.in_(list(spellings.names)), *extended)


def has_extension(column: ColumnElement[str], domains: Collection[str], *, exact: bool) -> ColumnElement[bool]:
    """Return the condition that a column holds an address with an extension in one of `domains`."""
    folded = func.lower(column) if exact else column
    return and_(folded.contains(DELIMITER), _ends(folded, domains))


def in_domains(column: ColumnElement[str], domains: Collection[str], *, exact: bool) -> ColumnElement[bool]:
    """Return the condition that the address in a column lies in one of `domains`."""
    return _ends(func.lower(column) if exact else column, domains)


def _ends(column: ColumnElement[str], domains: Collection[str]) -> ColumnElement[bool]:
    return or_(*(column.endswith(f"@{domain}", autoescape=True) for domain in sorted(domains)))
