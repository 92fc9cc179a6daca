"""``mailstore alias``."""

from __future__ import annotations

from typing import Any

import click

from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.lists import filters
from mailstore.cli.results import Deleted
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.fields import AliasFields
from mailstore.model import Alias

__all__ = ["alias"]


@click.group()
def alias() -> None:
    """Alias accounts, which stand for their members."""


@alias.command()
@click.argument("address")
@takes_fields(AliasFields, editing=False)
@pass_session
def create(session: Session, address: str, fields: dict[str, Any]) -> None:
    """Create an alias account."""
    stored = session.store.aliases.create(address, **fields)
    session.output.done(f"created {stored.address}", stored)


@alias.command()
@click.argument("address")
@pass_session
def show(session: Session, address: str) -> None:
    """Show everything about an alias account."""
    session.output.one(session.store.aliases.get(address))


@alias.command("list")
@filters(Alias, "domain", "search", "enabled")
@pass_session
def list_aliases(session: Session, /, count: bool, **wanted: Any) -> None:
    """List alias accounts, sorted by address."""
    session.listing(Alias, session.store.aliases, count, wanted)


@alias.command()
@click.argument("address")
@takes_fields(AliasFields, editing=True)
@pass_session
def update(session: Session, address: str, fields: dict[str, Any]) -> None:
    """Change an alias account; what no option names stays as it is, and empty text clears."""
    require_change(fields)
    stored = session.store.aliases.update(address, **fields)
    session.output.done(f"updated {stored.address}", stored)


@alias.command("member-add")
@click.argument("address")
@click.argument("members", metavar="MEMBER...", nargs=-1, required=True)
@pass_session
def member_add(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Add members; those it has are kept."""
    session.store.aliases.add_members(address, members)
    _show_members(session, address)


@alias.command("member-remove")
@click.argument("address")
@click.argument("members", metavar="MEMBER...", nargs=-1, required=True)
@pass_session
def member_remove(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Remove members; those it has not are ignored."""
    session.store.aliases.remove_members(address, members)
    _show_members(session, address)


def _show_members(session: Session, address: str) -> None:
    stored = session.store.aliases.get(address)
    session.output.done(f"members of {stored.address}: {', '.join(stored.members) or 'none'}", stored)


@alias.command()
@click.argument("address")
@click.argument("new_address")
@pass_session
def rename(session: Session, address: str, new_address: str) -> None:
    """Give an alias account another address; references to it follow."""
    stored = session.store.aliases.rename(address, new_address)
    session.output.done(f"renamed {address} to {stored.address}", stored)


@alias.command()
@click.argument("address")
@destroys
@pass_session
def delete(session: Session, address: str, caution: Caution) -> None:
    """Delete an alias account with everything that refers to it."""
    with session.carefully(f"Delete the alias {address}?", caution) as store:
        store.aliases.delete(address)
    session.output.done(caution.tell("deleted", address), Deleted(address, caution.dry_run))
