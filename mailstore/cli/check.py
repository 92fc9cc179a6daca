"""``mailstore check``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from mailstore.cli.exits import ExitCode
from mailstore.cli.session import Session
from mailstore.model import Finding

__all__ = ["check"]


@click.command()
@click.option("--repair-counters", is_flag=True, help="First set right what the store counts (wrong-counter).")
@click.pass_context
def check(ctx: click.Context, repair_counters: bool) -> None:
    """Look for what is inconsistent in store and on disk.

    Nothing is changed but what --repair-counters says. Exit code 1 if an error was found; notices may well be meant.
    """
    session = ctx.ensure_object(Session)
    if repair_counters:
        click.echo(f"{session.store.repair_counters()} counters were wrong and are right now.", err=True)
    errors: list[str] = []

    def findings() -> Iterator[Finding]:
        for finding in session.store.check():
            errors.extend([finding.code] * (finding.severity == "error"))
            yield finding

    session.output.many(Finding, findings())
    ctx.exit(ExitCode.FAULT if errors else 0)
