"""``mailstore apply``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailstore.cli.loaded import generated_into
from mailstore.cli.results import AppliedChange, PlannedChange
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import confirm, safe
from mailstore.errors import Refused
from mailstore.records import plain_value

if TYPE_CHECKING:
    from mailstore.state import Change, Plan

__all__ = ["apply"]


@click.command()
@click.argument("state", metavar="STATE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--diff", "only_shown", is_flag=True, help="Only show what differs, like a patch; change nothing.")
@click.option(
    "--max-deletions",
    metavar="N|N%",
    help="How many things of a kind may be removed or switched off; more stop the run before it does anything. Instead of"
    " what the state says; 5% if it says nothing.",
)
@click.option(
    "--generate-to",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Make passwords for new accounts whose hash is missing, and write them to this new file that only you can read."
    " Without it such accounts are refused.",
)
@click.option("--dry-run", is_flag=True, help="Check everything and tell what would happen; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_session
def apply(
    session: Session,
    state: Path,
    only_shown: bool,
    max_deletions: str | None,
    generate_to: Path | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Make the store hold what the file STATE declares (docs/apply.md): TOML, or JSON lines if it ends with .jsonl.

    Only the fields that the file gives, of the things that it manages, are looked at and changed. What has to change is
    planned first, and nothing is done if the file cannot be read wholly, or if more would be removed or switched off than
    allowed. A refused change stops no other; a second run does what is left, and nothing if nothing is.
    """
    from mailstore.state import Applier, check_removals, plan, read_state
    from mailstore.state.sources import read_source

    declared = read_state(state, sources=read_source)
    with ExitStack() as stack:
        store = stack.enter_context(session.rehearsal()) if dry_run or only_shown else session.store
        made = plan(store, declared)
        if only_shown:
            _show(session, made)
            return
        check_removals(made, max_deletions or declared.max_deletions)
        if not dry_run:
            _ask(made, yes=yes)
        generated = stack.enter_context(generated_into(generate_to, dry_run=dry_run))
        refused = _report(session, Applier(store, declared, made, generated, rehearsed=dry_run).run(), made, dry_run)
    if refused:
        raise Refused(f"changes refused: {refused}; the same command goes on when the cause is mended")


def _show(session: Session, made: Plan) -> None:
    if session.output.form not in {"table", "lines"}:
        session.output.many(PlannedChange, map(_planned, made.changes))
        return
    session.output.raw("--- the store\n+++ the state\n" if made.changes else "")
    for change in made.changes:
        session.output.raw("".join(f"{safe(line)}\n" for line in change.lines()))


def _planned(change: Change) -> PlannedChange:
    return PlannedChange(
        change.kind,
        change.name,
        change.action,
        {name: plain_value(before) for name, (before, _) in change.fields.items() if change.action != "create"},
        {name: plain_value(after) for name, (_, after) in change.fields.items()},
        change.lost,
    )


def _ask(made: Plan, *, yes: bool) -> None:
    removed = made.removed()
    if removed:
        what = ", ".join(f"{kind} {count}" for kind, count in sorted(removed.items()))
        confirm(f"Remove or switch off what the state does not have ({what})?", yes=yes)


def _report(session: Session, applied: Iterable[Any], made: Plan, dry_run: bool) -> int:
    """Tell what became of each change; returns how many were refused."""
    refused = 0

    def rows() -> Iterator[AppliedChange]:
        nonlocal refused
        for one in applied:
            refused += one.action == "refused"
            action = f"would be {one.action}" if dry_run and one.action != "refused" else one.action
            if not session.output.quiet or one.action == "refused":
                yield AppliedChange(one.kind, one.name, action, one.lost, one.reason)

    if session.output.form == "table" and not made.changes:
        if not session.output.quiet:
            session.output.raw(f"nothing to do: {made.unchanged} as declared\n")
        return 0
    session.output.many(AppliedChange, rows())
    sys.stdout.flush()
    return refused
