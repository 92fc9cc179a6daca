"""``mailstore list``."""

from __future__ import annotations

from typing import Any

import click

from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.lists import filters
from mailstore.cli.results import Deleted
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.fields import MailingListFields
from mailstore.model import MailingList

__all__ = ["list"]


@click.group()
def list() -> None:
    """Mailing lists, whose mail goes to their members."""


@list.command()
@click.argument("address")
@takes_fields(MailingListFields, editing=False)
@pass_session
def create(session: Session, address: str, fields: dict[str, Any]) -> None:
    """Create a mailing list."""
    stored = session.store.lists.create(address, **fields)
    session.output.done(f"created {stored.address}", stored)


@list.command()
@click.argument("address")
@pass_session
def show(session: Session, address: str) -> None:
    """Show everything about a mailing list."""
    session.output.one(session.store.lists.get(address))


@list.command("list")
@filters(MailingList, "domain", "search", "enabled")
@pass_session
def list_lists(session: Session, /, count: bool, **wanted: Any) -> None:
    """List mailing lists, sorted by address."""
    session.listing(MailingList, session.store.lists, count, wanted)


@list.command()
@click.argument("address")
@takes_fields(MailingListFields, editing=True)
@pass_session
def update(session: Session, address: str, fields: dict[str, Any]) -> None:
    """Change a mailing list; what no option names stays as it is, and empty text clears."""
    require_change(fields)
    stored = session.store.lists.update(address, **fields)
    session.output.done(f"updated {stored.address}", stored)


@list.command("member-add")
@click.argument("address")
@click.argument("members", metavar="MEMBER...", nargs=-1, required=True)
@pass_session
def member_add(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Add members; those it has are kept."""
    session.store.lists.add_members(address, members)
    _show_members(session, address)


@list.command("member-remove")
@click.argument("address")
@click.argument("members", metavar="MEMBER...", nargs=-1, required=True)
@pass_session
def member_remove(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Remove members; those it has not are ignored."""
    session.store.lists.remove_members(address, members)
    _show_members(session, address)


def _show_members(session: Session, address: str) -> None:
    stored = session.store.lists.get(address)
    session.output.done(f"members of {stored.address}: {', '.join(stored.members) or 'none'}", stored)


@list.command()
@click.argument("address")
@click.argument("new_address")
@pass_session
def rename(session: Session, address: str, new_address: str) -> None:
    """Give a mailing list another address; its members stay, references to it follow."""
    stored = session.store.lists.rename(address, new_address)
    session.output.done(f"renamed {address} to {stored.address}", stored)


@list.command()
@click.argument("address")
@destroys
@pass_session
def delete(session: Session, address: str, caution: Caution) -> None:
    """Delete a mailing list with everything that refers to it; its members stay."""
    with session.carefully(f"Delete the mailing list {address}?", caution) as store:
        store.lists.delete(address)
    session.output.done(caution.tell("deleted", address), Deleted(address, caution.dry_run))
