"""Column types that MariaDB and MySQL call by names of their own, as tables are made with them.

SQLAlchemy's package of that dialect, with all its drivers, would be imported for these on every engine; it takes a sixth of
the start of a command.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, SmallInteger, Text
from sqlalchemy.ext.compiler import compiles

__all__ = ["Flag", "Identity", "LongText"]


class Flag(SmallInteger):
    """A truth value."""


class Identity(Integer):
    """A number that counts up."""


class LongText(Text):
    """Text of any length."""


def _called(kind: type[Any], name: str) -> None:
    compiles(kind, "mysql", "mariadb")(lambda *_arguments, **_options: name)


_called(Flag, "TINYINT(1)")
_called(Identity, "BIGINT UNSIGNED")
_called(LongText, "LONGTEXT")
