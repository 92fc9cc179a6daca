"""``mailstore atmail``: what only atmail has. Everything else of an atmail store is under the nouns of all stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mailstore.cli.credentials import Credentials, takes_credentials
from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.results import Deleted, DeletedRows
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.errors import NotSupported
from mailstore.fields import AdminFields

if TYPE_CHECKING:
    from mailstore.sql.atmail.store import AtmailStore
    from mailstore.store import Store

__all__ = ["atmail"]

_NOT_KEPT = (
    "enabled", "max_domains", "max_aliases", "max_lists", "may_view_mail_log", "may_manage_quarantine", "timezone",
)  # fmt: skip
"""Parameters of admins that atmail has no room for."""


@click.group()
def atmail() -> None:
    """What only atmail has: roles and permissions of admins, rows of aliases, users of the API server."""


def _store(store: Store) -> AtmailStore:
    """Return a store as what it has to be here. Raises NotSupported if it is another kind of store."""
    from mailstore.sql.atmail.store import AtmailStore

    if not isinstance(store, AtmailStore):
        raise NotSupported(f"{store.name} is no atmail store")
    return store


@atmail.command()
@pass_session
def permissions(session: Session) -> None:
    """List all permissions, with the roles that have them."""
    from mailstore.sql.atmail.admins.roles import Permission

    session.output.many(Permission, _store(session.store).permissions.list())


@atmail.command()
@pass_session
def roles(session: Session) -> None:
    """List all roles; 'ancestors' are the numbers of those above a role, topmost first."""
    from mailstore.sql.atmail.admins.roles import Role

    session.output.many(Role, _store(session.store).roles.list())


_permission = click.option("--permission", "permissions", multiple=True, metavar="NAME", help="One of its permissions.")
_description = click.option("--description", help="What it is for.")


@atmail.command("role-create")
@click.argument("name")
@_permission
@_description
@click.option("--parent", metavar="ROLE", help="The role that it comes under.")
@pass_session
def role_create(
    session: Session, name: str, permissions: tuple[str, ...], description: str | None, parent: str | None
) -> None:
    """Create a role."""
    made = _store(session.store).roles.create(
        name, permissions=permissions, description=description or "", parent=parent
    )
    session.output.done(f"created {made.name}", made)


@atmail.command("role-update")
@click.argument("role")
@_permission
@_description
@click.option("--enabled/--disabled", default=None, help="Whether it gives anybody its permissions.")
@pass_session
def role_update(
    session: Session, role: str, permissions: tuple[str, ...], description: str | None, enabled: bool | None
) -> None:
    """Change a role; --permission names the whole new set."""
    changes = {"permissions": permissions or None, "description": description, "enabled": enabled}
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    require_change(given)
    made = _store(session.store).roles.update(role, **given)
    session.output.done(f"updated {made.name}", made)


@atmail.command("role-delete")
@click.argument("role")
@destroys
@pass_session
def role_delete(session: Session, role: str, caution: Caution) -> None:
    """Delete a role; admins who have it lose it."""
    with session.carefully(f"Delete the role {role}?", caution) as store:
        _store(store).roles.delete(role)
    session.output.done(caution.tell("deleted", role), Deleted(role, caution.dry_run))


def _takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that only admins of atmail have."""
    for option in (
        click.option(
            "--permission", "permissions", multiple=True, metavar="NAME", help="Permission given to it directly."
        ),
        click.option("--role", metavar="ROLE", help="Its role, by name or number; 0 is none."),
        click.option("--email-address", metavar="ADDRESS", help="Where it can be reached."),
        click.option("--company", help="Its company."),
    ):
        command = option(command)
    return command


def _settings(**given: Any) -> Any:
    """Return the settings of an admin from options, those not given left out."""
    from mailstore.sql.atmail.admins.changes import AdminSettings

    named = {name: value for name, value in given.items() if value not in (None, ())}
    role = named.get("role")
    if role is not None and role.isdecimal():
        named["role"] = int(role)
    return AdminSettings(**named) if named else None


@atmail.command("admin-create")
@click.argument("login", metavar="NAME")
@takes_credentials(required=True)
@takes_fields(AdminFields, editing=False, without=_NOT_KEPT)
@_takes_settings
@click.option("--parent", metavar="ADMIN", help="The admin that it comes under; else the one who acts, or the first.")
@pass_session
def admin_create(
    session: Session,
    /,
    login: str,
    read_credentials: Callable[[], Credentials],
    fields: dict[str, Any],
    **settings: Any,
) -> None:
    """Create an admin user. Without --role and --permission it may manage accounts and aliases of its domains."""
    admins, secret = _store(session.store).admins, read_credentials()
    stored = admins.create(login, **secret.parameters, settings=_settings(**settings), **fields)
    session.output.done(f"created {stored.address}", stored, password=secret.generated)


@atmail.command("admin-update")
@click.argument("login", metavar="NAME")
@takes_credentials()
@takes_fields(AdminFields, editing=True, without=_NOT_KEPT)
@_takes_settings
@pass_session
def admin_update(
    session: Session,
    /,
    login: str,
    read_credentials: Callable[[], Credentials],
    fields: dict[str, Any],
    **settings: Any,
) -> None:
    """Change an admin user; what no option names stays as it is."""
    admins, secret, chosen = _store(session.store).admins, read_credentials(), _settings(**settings)
    require_change(fields, secret.parameters, {"settings": chosen} if chosen else {})
    stored = admins.update(login, **secret.parameters, settings=chosen, **fields)
    session.output.done(f"updated {stored.address}", stored, password=secret.generated)


@atmail.command("admin-rights")
@click.argument("name")
@pass_session
def admin_rights(session: Session, name: str) -> None:
    """Show the permissions and roles of an admin user, and all permissions that come of both."""
    session.output.one(_store(session.store).admins.rights(name))


@atmail.command("account-show")
@click.argument("address")
@pass_session
def account_show(session: Session, address: str) -> None:
    """Show everything about an account, with the size of its mailbox as measured on disk."""
    session.output.one(_store(session.store).accounts.view(address))


@atmail.command("alias-create")
@click.argument("name")
@click.argument("target")
@click.option(
    "--type",
    "type_",
    type=click.Choice(["Local", "Deliver", "Domain"], case_sensitive=False),
    default="Local",
    show_default=True,
    help="Divert an address; deliver to the account of that name and to the target; or divert a domain.",
)
@pass_session
def alias_create(session: Session, name: str, target: str, type_: str) -> None:
    """Add a row of aliases."""
    rows = _store(session.store).alias_rows
    number = rows.create(name, target, type_)
    session.output.done(f"created row {number}", rows.get(number))


@atmail.command("alias-list")
@click.option("--filter", "filter", metavar="TEXT", help="A part of any of the others.")
@click.option("--name", metavar="TEXT", help="A part of the name.")
@click.option("--target", metavar="TEXT", help="A part of the target.")
@click.option("--domain", metavar="TEXT", help="A part of the domain.")
@pass_session
def alias_list(session: Session, /, **wanted: str | None) -> None:
    """List rows of aliases of all three types."""
    from mailstore.sql.atmail.aliases.rows import AliasRow

    session.output.many(AliasRow, _store(session.store).alias_rows.list(**wanted))


@atmail.command("alias-delete")
@click.option("--name", metavar="ADDRESS", help="With exactly this name.")
@click.option("--target", metavar="ADDRESS", help="With exactly this target.")
@click.option("--id", "id", type=int, help="With this number.")
@destroys
@pass_session
def alias_delete(session: Session, /, caution: Caution, **wanted: Any) -> None:
    """Delete the rows of aliases that have all of what is given."""
    with session.carefully("Delete these rows of aliases?", caution) as store:
        count = _store(store).alias_rows.delete(**wanted)
    session.output.done(caution.tell("deleted", f"{count} rows"), DeletedRows(count, caution.dry_run))


@atmail.command()
@click.argument("address")
@click.option(
    "--services", type=click.IntRange(1, 7), help="Sum of 1 mail, 2 calendar, 4 contacts; else as configured."
)
@pass_session
def provision(session: Session, address: str, services: int | None) -> None:
    """Give an account the services of the API server that it does not have yet."""
    made = _store(session.store).provisioning.provision(address, services)
    session.output.done(f"provisioned {made.address}", made)


@atmail.command()
@click.argument("address")
@pass_session
def provisioned(session: Session, address: str) -> None:
    """Show which services of the API server an account has."""
    session.output.one(_store(session.store).provisioning.get(address))


@atmail.command("provision-remove")
@click.argument("address")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_session
def provision_remove(session: Session, address: str, yes: bool) -> None:
    """Make the API server forget an account that is gone, so that a new one of that name inherits nothing."""
    from mailstore.cli.terminal import confirm

    confirm(f"Give up contacts and calendars of {address}?", yes=yes)
    _store(session.store).provisioning.remove(address)
    session.output.done(f"removed {address}", Deleted(address))
