"""``mailstore dump``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailstore.cli.files import written_wholly
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import progress

if TYPE_CHECKING:
    from mailstore.transfer import Entry

__all__ = ["dump"]


@click.command()
@click.option("--domain", "domains", metavar="DOMAIN", multiple=True, help="Only this domain; may be given again.")
@click.option("--as-state", is_flag=True, help="As a state that 'apply' takes, which keeps what it does not name.")
@click.option("--without-passwords", is_flag=True, help="Leave out all password hashes.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to this new file, which only you can read.",
)
@pass_session
@click.pass_context
def dump(
    ctx: click.Context,
    session: Session,
    domains: tuple[str, ...],
    as_state: bool,
    without_passwords: bool,
    output: Path | None,
) -> None:
    """Write everything that the store holds, as JSON lines that 'load' takes, here or for another kind of store.

    Domains, accounts with their hashes, alias accounts, lists, admins, and what is set for the content scanner and for
    policies, if those databases are given. Neither mail nor the records of deleted mailboxes are in it. The format is that
    of docs/format.md. It is of one moment, but in a directory.
    """
    if output is None and not without_passwords and sys.stdout.isatty():
        raise click.UsageError("there are password hashes in it: give --output, or --without-passwords", ctx)
    from mailstore import transfer
    from mailstore.state import write_state

    entries = transfer.dump(session.records, domains=domains or None, passwords=not without_passwords, at_once=True)
    shown = session.output.progress and sys.stderr.isatty()
    total = session.records.accounts.count() if shown and not domains else 0
    with written_wholly(output) as stream, progress("dumping", total, shown=bool(total)) as advance:

        def counted() -> Iterator[Entry]:
            for entry in entries:
                yield entry
                advance(entry.kind == "account")

        if as_state:
            write_state(counted(), stream.write, domains=domains or None)
        else:
            transfer.write_entries(counted(), stream.write, services=session.records.accounts.service_names)
