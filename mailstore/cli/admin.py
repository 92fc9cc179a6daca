"""``mailstore admin``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mailstore.cli import verbs
from mailstore.cli.credentials import Credentials, ask_password, read_line, takes_credentials
from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.imports import importing
from mailstore.cli.lists import filters
from mailstore.cli.many import Names, more_names, takes_names
from mailstore.cli.results import Verified
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.cli.views import View
from mailstore.fields import AdminFields
from mailstore.model import Account, Admin

__all__ = ["admin"]


@click.group()
def admin() -> None:
    """Admins: standalone, and accounts with admin rights."""


admin.add_command(importing("admin"))


@admin.command()
@takes_names(creates=True)
@takes_credentials(required=True)
@takes_fields(AdminFields, editing=False)
@pass_session
def create(session: Session, names: Names, read_credentials: Callable[[], Credentials], fields: dict[str, Any]) -> None:
    """Create standalone admins, whose addresses lie in no domain of the store.

    The password is asked for unless an option tells where it comes from; generated ones differ.
    """
    admins, secret = session.store.admins, read_credentials()
    verbs.create(session, names, admins, fields, secret)


@admin.command()
@takes_names()
@pass_session
def show(session: Session, names: Names) -> None:
    """Show everything about admins of either kind."""
    names.show(session, Admin, session.store.admins.get)


@admin.command("list")
@filters(Admin, "domain", "search")
@pass_session
def list_admins(session: Session, /, view: View, **wanted: Any) -> None:
    """List admins of both kinds, sorted by address."""
    session.listing(Admin, session.store.admins, view, wanted)


@admin.command()
@takes_names()
@takes_credentials()
@takes_fields(AdminFields, editing=True)
@pass_session
def update(session: Session, names: Names, read_credentials: Callable[[], Credentials], fields: dict[str, Any]) -> None:
    """Change admins; what no option names stays as it is, and empty text clears. Generated passwords differ."""
    admins, secret = session.store.admins, read_credentials()
    require_change(fields, secret.parameters)
    verbs.change(session, names, admins, fields, secret)


@admin.command()
@takes_names()
@destroys
@pass_session
def delete(session: Session, names: Names, caution: Caution) -> None:
    """Delete standalone admins. For accounts with admin rights use 'demote'."""
    verbs.delete(session, names, "the admin", caution, lambda store: store.admins)


@admin.command()
@takes_names()
@takes_credentials()
@takes_fields(AdminFields, editing=False)
@pass_session
def promote(
    session: Session, names: Names, read_credentials: Callable[[], Credentials], fields: dict[str, Any]
) -> None:
    """Give accounts admin rights, each for its own domain unless options tell more, and a new password if one is given."""
    admins, secret = session.store.admins, read_credentials()
    verbs.change(session, names, session.store.accounts, fields, secret, done="promoted", verb=admins.promote)


@admin.command()
@takes_names()
@pass_session
def demote(session: Session, names: Names) -> None:
    """Take all admin rights from accounts; the accounts stay."""
    admins, accounts = session.store.admins, session.store.accounts

    def demoted(address: str) -> Account:
        admins.demote(address)
        return accounts.get(address)

    verbs.change(session, names, accounts, {}, done="demoted", verb=demoted)


@admin.command("add-to-domain")
@click.argument("domain")
@more_names("admins", "ADMIN")
@pass_session
def add_to_domain(session: Session, domain: str, admins: tuple[str, ...]) -> None:
    """Let admins or accounts manage a domain."""
    session.store.admins.add_to_domain(domain, admins)
    _show_admins(session, domain)


@admin.command("remove-from-domain")
@click.argument("domain")
@more_names("admins", "ADMIN", required=False)
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
