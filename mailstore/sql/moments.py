"""Columns of times and days, which hold more than times and days: every product writes "never" in its own way.

A zero date (servers that grew old), a text that is none, and anything up to 1970 (the start of the era, in whatever zone it
was written; iRedMail's ``1970-01-01 01:01:01``) read as None: nothing in a mail system happened then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Date, DateTime, Dialect
from sqlalchemy.types import TypeDecorator

__all__ = ["ERA", "Day", "Moment", "known"]

ERA = date(1971, 1, 1)
"""The first day that is one."""

_REMEMBERED = 1024
_When = TypeVar("_When", bound=date)


def known(value: _When | str | None) -> _When | None:
    """Return a time or day of a database; None for all that stands for "never" or "unknown"."""
    return None if value is None or isinstance(value, str) or value.year < ERA.year else value


class _Lenient(TypeDecorator[_When]):
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], _When | None]:
        read: Callable[[Any], Any] | None = self.impl_instance.result_processor(dialect, coltype)
        if read is None:
            return lru_cache(maxsize=_REMEMBERED)(known)
        parse = read

        def process(value: Any) -> _When | None:
            try:
                return known(parse(value))
            except (ValueError, TypeError):
                return None

        return lru_cache(maxsize=_REMEMBERED)(process)  # accounts that were made together have one time


class Moment(_Lenient[datetime]):
    """A time without a zone."""

    impl = DateTime
    cache_ok = True


class Day(_Lenient[date]):
    """A day."""

    impl = Date
    cache_ok = True
