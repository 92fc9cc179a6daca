"""``mailstore adopt``."""

from __future__ import annotations

import click

from mailstore.cli.session import Session
from mailstore.cli.terminal import confirm
from mailstore.roots import adopt_roots, homes_of

__all__ = ["adopt"]


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def adopt(ctx: click.Context, yes: bool) -> None:
    """Let this store purge its homes from now on.

    The first purge marks each directory of homes as its store's; other stores do not purge there. After a store was moved,
    restored from a backup or renamed, or when it begins with a copy of the mail, this takes the directories over, with what
    lies in their trash. Make sure that the store that they belonged to is purged there no more: its mail would be removed.
    """
    session = ctx.ensure_object(Session)
    roots = homes_of(session.store).roots
    confirm(f"Is {session.store.name} the only store whose mail lies below {', '.join(roots)}?", yes=yes)
    for root in adopt_roots(session.store):
        click.echo(f"{root} is purged by this store from now on.", err=True)
