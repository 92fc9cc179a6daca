"""A check as data: a query for the exceptions, and what is said of each.

To build and to render a query costs far more than to run it on what is healthy. A store builds its checks once, and keeps
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Executable, select

from mailstore.model import Finding
from mailstore.sql.engine import Database

__all__ = ["Check", "found_by", "where"]

Severity = Literal["error", "notice"]


@dataclass(frozen=True)
class Check:
    """One query, whose rows are what is wrong: the subject, and what `message` is filled with."""

    code: str
    message: str
    query: Executable
    severity: Severity = "error"

    def findings(self, rows: Sequence[Any]) -> Iterator[Finding]:
        """Iterate over what the rows of the query mean."""
        for subject, *details in rows:
            yield Finding(self.code, str(subject), self.message.format(*details), self.severity)


def where(
    code: str,
    message: str,
    subject: ColumnElement[Any],
    *conditions: ColumnElement[bool],
    severity: Severity = "error",
) -> Check:
    """Return the check that finds each `subject` once for which all conditions hold."""
    return Check(code, message, select(subject).where(*conditions).distinct().order_by(subject), severity)


def found_by(checks: Sequence[Check], db: Database) -> Iterator[Finding]:
    """Run the checks one after the other; none keeps a connection while its findings are looked at."""
    for check in checks:
        with db.reading() as connection:
            rows = connection.execute(check.query).all()
        yield from check.findings(rows)
