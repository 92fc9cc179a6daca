"""placeholder"""

from __future__ import annotations

from collections.abc import Iterator

from mailstore.model import Finding
from mailstore.sql.iredmail.context import Context


class Checker:
    def __init__(self, context: Context) -> None: ...
    def run(self) -> Iterator[Finding]:
        yield from ()
