"""``mailstore purge``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mailstore.audit import note_outcome
from mailstore.cli.exits import ExitCode
from mailstore.cli.results import Purged
from mailstore.cli.session import Caution, Session, destroys
from mailstore.cli.terminal import confirm, progress
from mailstore.purge import purge_due

if TYPE_CHECKING:
    from types import FrameType

    from mailstore.purge import Outcome

__all__ = ["purge"]

_LEFT = {"kept", "trashed"}


@click.command()
@destroys
@click.pass_context
def purge(ctx: click.Context, caution: Caution) -> None:
    """Remove the mailboxes that are due today, and report each.

    These are the mailboxes of deleted accounts whose retention is over; the day is that in UTC. When you press Ctrl-C
    once, the mailbox in hand is finished. Exit code 1 if one could not be removed: its record, or the trash that it
    lies in, stays for the next run. Mailboxes on the disks of other hosts are only named.
    """
    session = ctx.ensure_object(Session)
    today = datetime.now(UTC).date()
    due = session.store.deleted.count(due=today)
    if due and not caution.dry_run:
        confirm(f"Remove what is due for good (mailboxes: {due})?", yes=caution.yes)
    left: list[str] = []
    with _interruptible() as stop, progress("purging", due, shown=session.output.progress_beside_rows) as advance:

        def outcomes() -> Iterator[Purged]:
            for outcome in purge_due(session.store, today=today, dry_run=caution.dry_run, stop=stop):
                advance(1)
                note_outcome(session.trail, session.who, session.store, outcome)
                left.extend([outcome.home] * (outcome.action in _LEFT))
                yield _result(outcome)

        session.output.many(Purged, outcomes())
    if stop():
        raise click.Abort
    ctx.exit(ExitCode.FAULT if left else 0)


def _result(outcome: Outcome) -> Purged:
    record = outcome.record
    return Purged(
        address=record.address if record else "",
        id=record.id if record else None,
        action=outcome.action,
        reason=outcome.reason,
        bytes=outcome.bytes,
        files=outcome.files,
        home=outcome.home,
    )


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a question that the context's value answers; the second one is as usual."""
    asked = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def note(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
