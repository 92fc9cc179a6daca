"""``mailstore admin``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mailstore.cli.credentials import Credentials, ask_password, read_line, takes_credentials
from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.lists import filters
from mailstore.cli.results import Deleted, Verified
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.fields import AdminFields
from mailstore.model import Admin

__all__ = ["admin"]


@click.group()
def admin() -> None:
    """Admins: standalone, and accounts with admin rights."""


@admin.command()
@click.argument("address")
@takes_credentials(required=True)
@takes_fields(AdminFields, editing=False)
@pass_session
def create(session: Session, address: str, read_credentials: Callable[[], Credentials], fields: dict[str, Any]) -> None:
    """Create a standalone admin, whose address lies in no domain of the store.

    Its password is asked for unless an option tells where it comes from.
    """
    admins, secret = session.store.admins, read_credentials()
    stored = admins.create(address, **secret.parameters, **fields)
    session.output.done(f"created {stored.address}", stored, password=secret.generated)


@admin.command()
@click.argument("address")
@pass_session
def show(session: Session, address: str) -> None:
    """Show everything about an admin of either kind."""
    session.output.one(session.store.admins.get(address))


@admin.command("list")
@filters(Admin, "domain", "search")
@pass_session
def list_admins(session: Session, /, count: bool, **wanted: Any) -> None:
    """List admins of both kinds, sorted by address."""
    session.listing(Admin, session.store.admins, count, wanted)


@admin.command()
@click.argument("address")
@takes_credentials()
@takes_fields(AdminFields, editing=True)
@pass_session
def update(session: Session, address: str, read_credentials: Callable[[], Credentials], fields: dict[str, Any]) -> None:
    """Change an admin; what no option names stays as it is, and empty text clears."""
    admins, secret = session.store.admins, read_credentials()
    require_change(fields, secret.parameters)
    stored = admins.update(address, **secret.parameters, **fields)
    session.output.done(f"updated {stored.address}", stored, password=secret.generated)


@admin.command()
@click.argument("address")
@destroys
@pass_session
def delete(session: Session, address: str, caution: Caution) -> None:
    """Delete a standalone admin. For an account with admin rights use 'demote'."""
    with session.carefully(f"Delete the admin {address}?", caution) as store:
        store.admins.delete(address)
    session.output.done(caution.tell("deleted", address), Deleted(address, caution.dry_run))


@admin.command()
@click.argument("address")
@takes_credentials()
@takes_fields(AdminFields, editing=False)
@pass_session
def promote(
    session: Session, address: str, read_credentials: Callable[[], Credentials], fields: dict[str, Any]
) -> None:
    """Give an account admin rights, for its own domain unless options tell more, and a new password if one is given."""
    admins, secret = session.store.admins, read_credentials()
    stored = admins.promote(address, **secret.parameters, **fields)
    session.output.done(f"promoted {stored.address}", stored, password=secret.generated)


@admin.command()
@click.argument("address")
@pass_session
def demote(session: Session, address: str) -> None:
    """Take all admin rights from an account; the account stays."""
    session.store.admins.demote(address)
    stored = session.store.accounts.get(address)
    session.output.done(f"demoted {stored.address}", stored)


@admin.command("add-to-domain")
@click.argument("domain")
@click.argument("admins", metavar="ADMIN...", nargs=-1, required=True)
@pass_session
def add_to_domain(session: Session, domain: str, admins: tuple[str, ...]) -> None:
    """Let admins or accounts manage a domain."""
    session.store.admins.add_to_domain(domain, admins)
    _show_admins(session, domain)


@admin.command("remove-from-domain")
@click.argument("domain")
@click.argument("admins", metavar="[ADMIN]...", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Take it from all of its admins.")
@pass_session
def remove_from_domain(session: Session, domain: str, admins: tuple[str, ...], everybody: bool) -> None:
    """Take a domain from admins; global admins keep their rights."""
    if everybody == bool(admins):
        raise click.UsageError("give admins, or --all", click.get_current_context())
    session.store.admins.remove_from_domain(domain, None if everybody else admins)
    _show_admins(session, domain)


def _show_admins(session: Session, domain: str) -> None:
    stored = session.store.domains.get(domain)
    session.output.done(f"admins of {stored.domain}: {', '.join(stored.admins) or 'none'}", stored)


@admin.command("verify-password")
@click.argument("address")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.pass_context
def verify_password(ctx: click.Context, address: str, password_stdin: bool) -> None:
    """Tell whether this is the password of an enabled admin; exit code 1 if it is not."""
    session = ctx.ensure_object(Session)
    admins = session.store.admins
    right = admins.verify_password(address, read_line() if password_stdin else ask_password(confirm=False))
    session.output.done(f"the password is {'right' if right else 'wrong'}", Verified(address, right))
    ctx.exit(0 if right else 1)


@admin.command()
@click.argument("address")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.pass_context
def login(ctx: click.Context, address: str, password_stdin: bool) -> None:
    """Show the admin if address and password are right and it is enabled; else only exit code 1, whatever was wrong."""
    session = ctx.ensure_object(Session)
    admins = session.store.admins
    found = admins.login(address, read_line() if password_stdin else ask_password(confirm=False))
    if found is None:
        raise click.ClickException("the login was refused")
    session.output.one(found)
