"""``mailstore afterlogic``: what only AfterLogic has. Everything else of such a store is under the nouns of all stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailstore.cli.credentials import Credentials, ask_password, read_line, read_secret_file, takes_credentials
from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.results import Deleted, DeletedAccount, DeletedDomain
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.errors import NotSupported
from mailstore.fields import AccountFields, DomainFields

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from mailstore.store import Store

__all__ = ["afterlogic"]

_Command = Callable[..., None]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_Options = Mapping[str, tuple[type, str]]
"""Settings by name: the type of the value, bool for a flag that can be given both ways, and what they are."""

_SERVERS: _Options = {
    "incoming_server": (str, "Host of the IMAP server."),
    "incoming_port": (int, "Port of the IMAP server."),
    "incoming_ssl": (bool, "Whether to connect to it with TLS."),
    "outgoing_server": (str, "Host of the SMTP server."),
    "outgoing_port": (int, "Port of the SMTP server."),
    "outgoing_ssl": (bool, "Whether to connect to it with TLS."),
    "outgoing_auth": (int, "SMTP login: 0 none, 1 an own one, 2 as for IMAP."),
    "outgoing_login": (str, "User name at the SMTP server, if it has one of its own."),
}
_ACCOUNT: _Options = {
    "incoming_login": (str, "User name at the IMAP server. Default: the address."),
    **_SERVERS,
    "signature": (str, "Signature of messages."),
    "signature_html": (bool, "Whether the signature is HTML."),
    "signature_use": (int, "Put it under messages: 0 never, 1 all, 2 only new ones."),
    "capabilities": (str, "The product's 'capa' of the user."),
}
_DOMAIN: _Options = {
    **_SERVERS,
    "override": (bool, "Whether it has settings of its own; else the default domain's count."),
    "allow_users_change_email_settings": (bool, "Users may change their mail servers."),
    "allow_webmail": (bool, "Mail is there."),
    "allow_contacts": (bool, "Contacts are there."),
    "allow_calendar": (bool, "The calendar is there."),
    "allow_files": (bool, "Files are there."),
    "allow_helpdesk": (bool, "The helpdesk is there."),
    "allow_new_users_register": (bool, "Whoever the IMAP server knows gets an account at first login."),
    "allow_users_change_interface_settings": (bool, "Users may change the interface."),
    "allow_users_add_new_accounts": (bool, "Users may link accounts."),
    "use_threads": (bool, "Messages are shown in threads."),
    "site_name": (str, "Title in the browser."),
    "url": (str, "Address of the webmail for this domain."),
    "default_skin": (str, "Skin of new users."),
    "default_tab": (str, "What is shown first: mailbox, contacts, calendar, files or helpdesk."),
    "default_language": (str, "Language of new users, by its English name."),
}
_NOT_KEPT = AccountFields.__annotations__.keys() - {"name", "enabled", "quota", "aliases"}
_DOMAIN_NOT_KEPT = DomainFields.__annotations__.keys() - {"enabled"}


@click.group()
def afterlogic() -> None:
    """What only AfterLogic has: settings of accounts and domains, linked accounts, tenants, tokens, pages of lists."""


def _store(store: Store) -> AfterLogicStore:
    """Return a store as what it has to be here. Raises NotSupported if it is another kind of store."""
    from mailstore.sql.afterlogic.store import AfterLogicStore

    if not isinstance(store, AfterLogicStore):
        raise NotSupported(f"{store.name} is no AfterLogic store")
    return store


def _takes(settings: _Options) -> Callable[[_Command], _Command]:
    """Give a command options for settings."""

    def decorate(command: _Command) -> _Command:
        for name, (type_, help_text) in reversed(list(settings.items())):
            dashed = name.replace("_", "-")
            given = f"--{dashed}/--no-{dashed}" if type_ is bool else f"--{dashed}"
            command = click.option(given, type=type_, default=None, help=help_text)(command)
        return click.option("--outgoing-password-file", type=_FILE, help="Read the SMTP password from a file.")(command)

    return decorate


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were given, the password read from its file."""
    given = {name: value for name, value in settings.items() if value is not None}
    file = given.pop("outgoing_password_file", None)
    return given if file is None else given | {"outgoing_password": read_secret_file(file)}


# --- accounts


@afterlogic.command("account-create")
@click.argument("address")
@takes_credentials(required=True)
@click.option("--parent", metavar="ADDRESS", help="Link it to this account, whose user then has both.")
@click.option("--default-domain", is_flag=True, default=None, help="Make it outside of all domains, if there is none.")
@_takes(_ACCOUNT)
@takes_fields(AccountFields, editing=False, without=_NOT_KEPT)
@pass_session
def account_create(
    session: Session,
    /,
    address: str,
    read_credentials: Callable[[], Credentials],
    fields: dict[str, Any],
    **settings: Any,
) -> None:
    """Create an account with settings, a linked one, or one outside of all domains."""
    accounts, secret = _store(session.store).accounts, read_credentials()
    chosen = accounts.Settings(**_given(settings))
    stored = accounts.create(address, **secret.parameters, settings=chosen, **fields)
    session.output.done(f"created {stored.address}", stored, password=secret.generated)


@afterlogic.command("account-update")
@click.argument("address")
@_takes(_ACCOUNT)
@takes_fields(AccountFields, editing=True, without=_NOT_KEPT)
@pass_session
def account_update(session: Session, /, address: str, fields: dict[str, Any], **settings: Any) -> None:
    """Change the settings of an account."""
    accounts, chosen = _store(session.store).accounts, _given(settings)
    require_change(fields, chosen)
    stored = accounts.update(address, settings=accounts.Settings(**chosen), **fields)
    session.output.done(f"updated {stored.address}", stored)


@afterlogic.command("account-unlink")
@click.argument("address")
@click.argument("parent")
@destroys
@pass_session
def account_unlink(session: Session, address: str, parent: str, caution: Caution) -> None:
    """Delete the account ADDRESS that is linked to PARENT; the mailbox is somebody else's server's."""
    with session.carefully(f"Delete the account {address} of {parent}?", caution) as store:
        _store(store).accounts.delete(address, parent=parent)
    result = DeletedAccount(address, caution.dry_run, None, None, "")
    session.output.done(caution.tell("deleted", address), result)


@afterlogic.command()
@click.argument("parent")
@pass_session
def linked(session: Session, parent: str) -> None:
    """List the accounts that are linked to an account."""
    from mailstore.model import Account

    session.output.many(Account, _store(session.store).accounts.linked(parent))


@afterlogic.command()
@click.option("--domain", metavar="DOMAIN", help="Of this domain; without, those outside of all domains.")
@click.option(
    "--order-by",
    type=click.Choice(["email", "name", "last login"]),
    default="email",
    show_default=True,
    help="In which order.",
)
@click.option("--descending", is_flag=True, help="The other way round.")
@click.option("--search", default="", metavar="TEXT", help="Only those with this text in their address or name.")
@click.option("--page", "number", type=click.IntRange(1), default=1, show_default=True, help="Which page.")
@click.option("--size", type=click.IntRange(1), default=100, show_default=True, help="How many a page has.")
@pass_session
def accounts(session: Session, /, **wanted: Any) -> None:
    """List one page of accounts as the REST API does."""
    from mailstore.sql.afterlogic.accounts.pages import AccountEntry

    session.output.many(AccountEntry, _store(session.store).accounts.page(wanted.pop("number"), **wanted))


# --- domains


@afterlogic.command("domain-create")
@click.argument("domain")
@click.option("--tenant", metavar="LOGIN", help="The tenant that it belongs to (Aurora).")
@click.option("--internal/--external", default=None, help="Whether the product's own mail server serves it.")
@_takes(_DOMAIN)
@takes_fields(DomainFields, editing=False, without=_DOMAIN_NOT_KEPT)
@pass_session
def domain_create(session: Session, /, domain: str, fields: dict[str, Any], **settings: Any) -> None:
    """Create a domain with settings; what is not given is copied from the default domain."""
    domains = _store(session.store).domains
    stored = domains.create(domain, settings=domains.Settings(**_given(settings)), **fields)
    session.output.done(f"created {stored.domain}", stored)


@afterlogic.command("domain-update")
@click.argument("domain")
@_takes(_DOMAIN)
@takes_fields(DomainFields, editing=True, without=_DOMAIN_NOT_KEPT)
@pass_session
def domain_update(session: Session, /, domain: str, fields: dict[str, Any], **settings: Any) -> None:
    """Change the settings of a domain."""
    domains, chosen = _store(session.store).domains, _given(settings)
    require_change(fields, chosen)
    stored = domains.update(domain, settings=domains.Settings(**chosen), **fields)
    session.output.done(f"updated {stored.domain}", stored)


@afterlogic.command("domain-delete")
@click.argument("domain")
@destroys
@pass_session
def domain_delete(session: Session, domain: str, caution: Caution) -> None:
    """Delete a domain that has no accounts, as the REST API does; 'mailstore domain delete' takes them along."""
    with session.carefully(f"Delete {domain}?", caution) as store:
        count = _store(store).domains.delete(domain, only_empty=True)
    session.output.done(caution.tell("deleted", domain), DeletedDomain(domain, caution.dry_run, count))


@afterlogic.command()
@click.option("--tenant", metavar="LOGIN", help="Only those of this tenant (Aurora).")
@click.option("--descending", is_flag=True, help="The other way round.")
@click.option("--search", default="", metavar="TEXT", help="Only those with this text in their name.")
@click.option("--page", "number", type=click.IntRange(1), default=1, show_default=True, help="Which page.")
@click.option("--size", type=click.IntRange(1), default=100, show_default=True, help="How many a page has.")
@pass_session
def domains(session: Session, /, **wanted: Any) -> None:
    """List one page of domains as the REST API does."""
    from mailstore.sql.afterlogic.domains import DomainEntry

    session.output.many(DomainEntry, _store(session.store).domains.page(wanted.pop("number"), **wanted))


# --- tenants and tokens


def _takes_tenant_fields(command: _Command) -> _Command:
    for option in (
        click.option("--quota-megabytes", type=int, help="For all its accounts together."),
        click.option("--max-domains", type=int, help="How many domains it may have."),
        click.option("--max-accounts", type=int, help="How many accounts it may have."),
        click.option("--login-enabled/--no-login", default=None, help="Whether it may log in."),
        click.option("--enabled/--disabled", default=None, help="Whether it works at all, with its domains."),
        click.option("--email", help="Where it can be reached."),
        click.option("--description", help="What it is."),
        click.option("--password-stdin", is_flag=True, help="Read its password from standard input."),
    ):
        command = option(command)
    return command


def _tenant_changes(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, with the password read."""
    password = {"password": read_line()} if fields.pop("password_stdin") else {}
    return _given(fields) | password


@afterlogic.command("tenant-create")
@click.argument("login")
@_takes_tenant_fields
@pass_session
def tenant_create(session: Session, /, login: str, **fields: Any) -> None:
    """Create a tenant (Aurora)."""
    made = _store(session.store).tenants.create(login, **_tenant_changes(fields))
    session.output.done(f"created {made.login}", made)


@afterlogic.command("tenant-update")
@click.argument("login")
@_takes_tenant_fields
@pass_session
def tenant_update(session: Session, /, login: str, **fields: Any) -> None:
    """Change a tenant (Aurora)."""
    changes = _tenant_changes(fields)
    require_change(changes)
    made = _store(session.store).tenants.update(login, **changes)
    session.output.done(f"updated {made.login}", made)


@afterlogic.command("tenant-delete")
@click.argument("login")
@destroys
@pass_session
def tenant_delete(session: Session, login: str, caution: Caution) -> None:
    """Delete a tenant that has no domains (Aurora)."""
    with session.carefully(f"Delete the tenant {login}?", caution) as store:
        _store(store).tenants.delete(login)
    session.output.done(caution.tell("deleted", login), Deleted(login, caution.dry_run))


@afterlogic.command()
@pass_session
def tenants(session: Session) -> None:
    """List the tenants (Aurora)."""
    from mailstore.sql.afterlogic.tenants import Tenant

    session.output.many(Tenant, _store(session.store).tenants.list())


@afterlogic.command()
@click.argument("login")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@pass_session
def token(session: Session, login: str, password_stdin: bool) -> None:
    """Print a token of the REST API for the administrator or a tenant. It holds the password: treat it like one."""
    rest = _store(session.store).rest
    password = read_line() if password_stdin else ask_password(confirm=False)
    session.output.raw(f"{rest.token(login, password)}\n")
