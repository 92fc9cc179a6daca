"""``mailstore domain``."""

from __future__ import annotations

from typing import Any

import click

from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.lists import filters
from mailstore.cli.results import DeletedDomain
from mailstore.cli.session import Caution, Session, destroys, keeps_mailboxes, pass_session
from mailstore.fields import DomainFields
from mailstore.model import Domain

__all__ = ["domain"]


@click.group()
def domain() -> None:
    """Mail domains and their alias domains."""


@domain.command()
@click.argument("domain")
@takes_fields(DomainFields, editing=False)
@pass_session
def create(session: Session, domain: str, fields: dict[str, Any]) -> None:
    """Create a domain."""
    stored = session.store.domains.create(domain, **fields)
    session.output.done(f"created {stored.domain}", stored)


@domain.command()
@click.argument("domain")
@pass_session
def show(session: Session, domain: str) -> None:
    """Show everything about a domain."""
    session.output.one(session.store.domains.get(domain))


@domain.command("list")
@filters(Domain, "search", "enabled")
@pass_session
def list_domains(session: Session, /, count: bool, **wanted: Any) -> None:
    """List domains, sorted."""
    session.listing(Domain, session.store.domains, count, wanted)


@domain.command()
@click.argument("domain")
@takes_fields(DomainFields, editing=True)
@pass_session
def update(session: Session, domain: str, fields: dict[str, Any]) -> None:
    """Change a domain; what no option names stays as it is, and empty text clears."""
    require_change(fields)
    _update(session, domain, "updated", fields)


@domain.command()
@click.argument("domain")
@pass_session
def enable(session: Session, domain: str) -> None:
    """Accept mail for a domain, and logins of its accounts."""
    _update(session, domain, "enabled", {"enabled": True})


@domain.command()
@click.argument("domain")
@pass_session
def disable(session: Session, domain: str) -> None:
    """Refuse mail for a domain, and logins of its accounts."""
    _update(session, domain, "disabled", {"enabled": False})


def _update(session: Session, domain: str, done: str, fields: Any) -> None:
    stored = session.store.domains.update(domain, **fields)
    session.output.done(f"{done} {stored.domain}", stored)


@domain.command()
@click.argument("domain")
@keeps_mailboxes
@destroys
@pass_session
def delete(session: Session, domain: str, keep_days: int | None, caution: Caution) -> None:
    """Delete a domain with everything in it. Mailboxes are kept on disk until a purge finds them due.

    Until then 'mailstore deleted restore --domain' undoes it, in stores that keep records of domains (iRedMail's SQL
    schema, with the table of 'mailstore schema add-retention-table').
    """
    with session.carefully(f"Delete {domain} with everything in it?", caution) as store:
        accounts = store.domains.delete(domain, keep_mailbox_days=keep_days)
    message = caution.tell("deleted", f"{domain} (accounts: {accounts})")
    undo = None if caution.dry_run else next(session.store.deleted.domains(domain=domain), None)
    if undo is not None:
        until = f"until a purge on {undo.due} or later" if undo.due else "as long as its mailboxes are kept"
        message += f"; 'mailstore deleted restore --domain {undo.domain}' undoes this {until}"
    session.output.done(message, DeletedDomain(domain, caution.dry_run, accounts))


@domain.command("alias-add")
@click.argument("domain")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@pass_session
def alias_add(session: Session, domain: str, names: tuple[str, ...]) -> None:
    """Serve every address of a domain under these domain names too."""
    session.store.domains.add_alias_domains(domain, names)
    stored = session.store.domains.get(domain)
    session.output.done(f"{stored.domain} is served as {', '.join(stored.alias_domains)} too", stored)


@domain.command("alias-remove")
@click.argument("domain")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@destroys
@pass_session
def alias_remove(session: Session, domain: str, names: tuple[str, ...], caution: Caution) -> None:
    """Remove alias domains, and the per-account aliases that lie under them."""
    shown = ", ".join(names)
    with session.carefully(f"Remove {shown}, with all per-account aliases there?", caution) as store:
        store.domains.remove_alias_domains(domain, names)
        stored = store.domains.get(domain)
    session.output.done(caution.tell("removed", shown), stored)
