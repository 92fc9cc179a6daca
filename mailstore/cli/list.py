"""``mailstore list``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mailstore.cli import verbs
from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.imports import importing
from mailstore.cli.lists import filters
from mailstore.cli.many import Names, more_names, takes_names, takes_pairs
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.cli.views import View
from mailstore.fields import MailingListFields
from mailstore.model import MailingList

__all__ = ["list"]


@click.group()
def list() -> None:
    """Mailing lists, whose mail goes to their members."""


list.add_command(importing("list"))


@list.command()
@takes_names(creates=True)
@takes_fields(MailingListFields, editing=False)
@pass_session
def create(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Create mailing lists."""
    verbs.create(session, names, session.store.lists, fields)


@list.command()
@takes_names()
@pass_session
def show(session: Session, names: Names) -> None:
    """Show everything about mailing lists."""
    names.show(session, MailingList, session.store.lists.get)


@list.command("list")
@filters(MailingList, "domain", "search", "enabled")
@pass_session
def list_lists(session: Session, /, view: View, **wanted: Any) -> None:
    """List mailing lists, sorted by address."""
    session.listing(MailingList, session.store.lists, view, wanted)


@list.command()
@takes_names()
@takes_fields(MailingListFields, editing=True)
@pass_session
def update(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Change mailing lists; what no option names stays as it is, and empty text clears."""
    require_change(fields)
    verbs.change(session, names, session.store.lists, fields)


@list.command("member-add")
@click.argument("address")
@more_names("members", "MEMBER")
@pass_session
def member_add(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Add members; those it has are kept."""
    session.store.lists.add_members(address, members)
    _show_members(session, address)


@list.command("member-remove")
@click.argument("address")
@more_names("members", "MEMBER")
@pass_session
def member_remove(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Remove members; those it has not are ignored."""
    session.store.lists.remove_members(address, members)
    _show_members(session, address)


def _show_members(session: Session, address: str) -> None:
    stored = session.store.lists.get(address)
    session.output.done(f"members of {stored.address}: {', '.join(stored.members) or 'none'}", stored)


@list.command()
@takes_pairs
@pass_session
def rename(session: Session, names: Names, pairs: Mapping[str, str]) -> None:
    """Give a mailing list another address; its members stay, references to it follow."""
    verbs.rename(session, names, pairs, session.store.lists)


@list.command()
@takes_names()
@destroys
@pass_session
def delete(session: Session, names: Names, caution: Caution) -> None:
    """Delete mailing lists with everything that refers to them; their members stay."""
    verbs.delete(session, names, "the mailing list", caution, lambda store: store.lists)
