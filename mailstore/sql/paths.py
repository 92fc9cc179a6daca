"""Paths of homes in conditions. Rows spell one directory in many ways; the disk, and Dovecot, know one of them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, func

__all__ = ["as_read", "is_below", "is_one_of"]


def is_below(path: ColumnElement[str], directory: str) -> ColumnElement[bool]:
    """Return the condition that a recorded path lies under a directory. No index helps."""
    return as_read(path).startswith(f"{directory}/", autoescape=True)


def is_one_of(path: ColumnElement[str], homes: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a recorded path means one of these directories. No index helps."""
    return as_read(path).in_([spelling for home in homes for spelling in (home, f"{home}/")])


def as_read(path: ColumnElement[str]) -> ColumnElement[str]:
    """Return a path without double slashes and in lower case, as its readers take it."""
    return func.replace(func.replace(func.lower(path), "//", "/"), "//", "/")
