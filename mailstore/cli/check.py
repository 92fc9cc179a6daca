"""``mailstore check``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from mailstore.cli.failures import FAULT
from mailstore.cli.session import Session
from mailstore.model import Finding

__all__ = ["check"]


@click.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Look for what is inconsistent in store and on disk.

    Nothing is changed. Exit code 1 if an error was found; notices may well be meant.
    """
    session = ctx.ensure_object(Session)
    errors: list[str] = []

    def findings() -> Iterator[Finding]:
        for finding in session.store.check():
            errors.extend([finding.code] * (finding.severity == "error"))
            yield finding

    session.output.many(Finding, findings())
    ctx.exit(FAULT if errors else 0)
