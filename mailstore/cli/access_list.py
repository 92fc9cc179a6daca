"""``mailstore access-list``."""

from __future__ import annotations

from typing import Any

import click

from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.many import Done, Names, Verb, takes_names
from mailstore.cli.results import DeletedSetting
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.cli.throttle import DIRECTION
from mailstore.policies import AccessList, AccessListFields, Direction

__all__ = ["access_list"]


@click.group("access-list")
def access_list() -> None:
    """Who is always, or never, accepted or written to; LEVEL is 'global', a domain or an address."""


@access_list.command()
@takes_names("LEVEL", ignores_missing=False)
@DIRECTION
@pass_session
def show(session: Session, names: Names, direction: Direction) -> None:
    """Show the white- and the blacklist of a level."""
    found = session.store.access_lists
    names.show(session, AccessList, lambda level: found.get(level, direction))


@access_list.command()
@click.argument("address")
@DIRECTION
@click.option("--peer", required=True, metavar="ADDRESS", help="The other side.")
@click.option("--client", metavar="IP", help="The IP address that incoming mail comes from.")
@pass_session
def effective(session: Session, address: str, direction: Direction, peer: str, client: str | None) -> None:
    """Show what the lists say about mail between an address and a peer, and which entry decides."""
    session.output.one(session.store.access_lists.effective(address, direction, peer=peer, client=client))


@access_list.command("set")
@takes_names("LEVEL", ignores_missing=False)
@DIRECTION
@takes_fields(AccessListFields, editing=True)
@pass_session
def set_lists(session: Session, names: Names, direction: Direction, fields: dict[str, Any]) -> None:
    """Change the lists of a level; what no option names stays as it is."""
    require_change(fields)
    found = session.store.access_lists

    def one(level: str) -> Done:
        stored = found.set(level, direction, **fields)
        return Done(f"set the {direction} lists of {stored.level}", "set", stored)

    names.do(session, Verb(one))


@access_list.command()
@takes_names("LEVEL", ignores_missing=False)
@DIRECTION
@destroys
@pass_session
def delete(session: Session, names: Names, direction: Direction, caution: Caution) -> None:
    """Empty both lists of a level."""
    with session.carefully(f"Empty the {direction} lists of {names.counted()}?", caution) as store:

        def one(level: str) -> Done:
            store.access_lists.delete(level, direction)
            message = caution.tell("deleted", f"the {direction} lists of {level}")
            return Done(message, caution.action("deleted"), DeletedSetting(level, caution.dry_run, direction))

        names.do(session, Verb(one))
