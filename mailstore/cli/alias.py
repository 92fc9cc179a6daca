"""``mailstore alias``."""

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
from mailstore.fields import AliasFields
from mailstore.model import Alias

__all__ = ["alias"]


@click.group()
def alias() -> None:
    """Alias accounts, which stand for their members."""


alias.add_command(importing("alias"))


@alias.command()
@takes_names(creates=True)
@takes_fields(AliasFields, editing=False)
@pass_session
def create(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Create alias accounts."""
    verbs.create(session, names, session.store.aliases, fields)


@alias.command()
@takes_names()
@pass_session
def show(session: Session, names: Names) -> None:
    """Show everything about alias accounts."""
    names.show(session, Alias, session.store.aliases.get)


@alias.command("list")
@filters(Alias, "domain", "search", "enabled")
@pass_session
def list_aliases(session: Session, /, view: View, **wanted: Any) -> None:
    """List alias accounts, sorted by address."""
    session.listing(Alias, session.store.aliases, view, wanted)


@alias.command()
@takes_names()
@takes_fields(AliasFields, editing=True)
@pass_session
def update(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Change alias accounts; what no option names stays as it is, and empty text clears."""
    require_change(fields)
    verbs.change(session, names, session.store.aliases, fields)


@alias.command("member-add")
@click.argument("address")
@more_names("members", "MEMBER")
@pass_session
def member_add(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Add members; those it has are kept."""
    session.store.aliases.add_members(address, members)
    _show_members(session, address)


@alias.command("member-remove")
@click.argument("address")
@more_names("members", "MEMBER")
@pass_session
def member_remove(session: Session, address: str, members: tuple[str, ...]) -> None:
    """Remove members; those it has not are ignored."""
    session.store.aliases.remove_members(address, members)
    _show_members(session, address)


def _show_members(session: Session, address: str) -> None:
    stored = session.store.aliases.get(address)
    session.output.done(f"members of {stored.address}: {', '.join(stored.members) or 'none'}", stored)


@alias.command()
@takes_pairs
@pass_session
def rename(session: Session, names: Names, pairs: Mapping[str, str]) -> None:
    """Give an alias account another address; references to it follow."""
    verbs.rename(session, names, pairs, session.store.aliases)


@alias.command()
@takes_names()
@destroys
@pass_session
def delete(session: Session, names: Names, caution: Caution) -> None:
    """Delete alias accounts with everything that refers to them."""
    verbs.delete(session, names, "the alias", caution, lambda store: store.aliases)
