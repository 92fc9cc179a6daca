"""``mailstore domain``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mailstore.cli import verbs
from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.imports import importing
from mailstore.cli.lists import filters
from mailstore.cli.many import Done, Names, Verb, more_names, takes_names, takes_pairs
from mailstore.cli.results import DeletedDomain
from mailstore.cli.session import Caution, Session, destroys, keeps_mailboxes, pass_session
from mailstore.cli.views import View
from mailstore.fields import DomainFields
from mailstore.model import Domain

__all__ = ["domain"]


@click.group()
def domain() -> None:
    """Mail domains and their alias domains."""


domain.add_command(importing("domain"))


@domain.command()
@takes_names("DOMAIN", creates=True)
@takes_fields(DomainFields, editing=False)
@pass_session
def create(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Create domains."""
    verbs.create(session, names, session.store.domains, fields)


@domain.command()
@takes_names("DOMAIN")
@pass_session
def show(session: Session, names: Names) -> None:
    """Show everything about domains."""
    names.show(session, Domain, session.store.domains.get)


@domain.command("list")
@filters(Domain, "search", "enabled")
@pass_session
def list_domains(session: Session, /, view: View, **wanted: Any) -> None:
    """List domains, sorted."""
    session.listing(Domain, session.store.domains, view, wanted)


@domain.command()
@takes_names("DOMAIN")
@takes_fields(DomainFields, editing=True)
@pass_session
def update(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Change domains; what no option names stays as it is, and empty text clears."""
    require_change(fields)
    verbs.change(session, names, session.store.domains, fields)


@domain.command()
@takes_names("DOMAIN")
@pass_session
def enable(session: Session, names: Names) -> None:
    """Accept mail for domains, and logins of their accounts."""
    verbs.change(session, names, session.store.domains, {"enabled": True}, done="enabled")


@domain.command()
@takes_names("DOMAIN")
@pass_session
def disable(session: Session, names: Names) -> None:
    """Refuse mail for domains, and logins of their accounts."""
    verbs.change(session, names, session.store.domains, {"enabled": False}, done="disabled")


@domain.command()
@takes_names("DOMAIN")
@keeps_mailboxes
@destroys
@pass_session
def delete(session: Session, names: Names, keep_days: int | None, caution: Caution) -> None:
    """Delete domains with everything in them. Mailboxes are kept on disk until a purge finds them due.

    Until then 'mailstore deleted restore --domain' undoes it, in stores that keep records of domains (iRedMail's SQL
    schema, with the table of 'mailstore schema add-retention-table').
    """
    with verbs.deleting(session, names, "everything in", caution) as store:

        def one(name: str) -> Done:
            accounts = store.domains.delete(name, keep_mailbox_days=keep_days)
            message = caution.tell("deleted", f"{name} (accounts: {accounts})") + _undo(session, name, caution)
            return Done(message, caution.action("deleted"), DeletedDomain(name, caution.dry_run, accounts))

        names.do(session, Verb(one, store.domains.exists))


def _undo(session: Session, domain: str, caution: Caution) -> str:
    """Return how the deletion of a domain can be undone, as the end of a message."""
    undo = None if caution.dry_run else next(session.store.deleted.domains(domain=domain), None)
    if undo is None:
        return ""
    until = f"until a purge on {undo.due} or later" if undo.due else "as long as its mailboxes are kept"
    return f"; 'mailstore deleted restore --domain {undo.domain}' undoes this {until}"


@domain.command()
@takes_pairs
@click.option("--keep-old-name", is_flag=True, help="The old name becomes an alias domain.")
@pass_session
def rename(session: Session, names: Names, pairs: Mapping[str, str], keep_old_name: bool) -> None:
    """Give a domain another name, with every address in it; all that refers to one follows, and mail stays where it is.

    iRedMail's SQL schema and atmail only. All of it happens at once. The new name may be an alias domain of the old one.
    """
    verbs.rename(session, names, pairs, session.store.domains, keep_alias=keep_old_name)


@domain.command("alias-add")
@click.argument("domain")
@more_names("names", "NAME")
@pass_session
def alias_add(session: Session, domain: str, names: tuple[str, ...]) -> None:
    """Serve every address of a domain under these domain names too."""
    session.store.domains.add_alias_domains(domain, names)
    stored = session.store.domains.get(domain)
    session.output.done(f"{stored.domain} is served as {', '.join(stored.alias_domains)} too", stored)


@domain.command("alias-remove")
@click.argument("domain")
@more_names("names", "NAME")
@destroys
@pass_session
def alias_remove(session: Session, domain: str, names: tuple[str, ...], caution: Caution) -> None:
    """Remove alias domains, and the per-account aliases that lie under them."""
    shown = ", ".join(names)
    with session.carefully(f"Remove {shown}, with all per-account aliases there?", caution) as store:
        store.domains.remove_alias_domains(domain, names)
        stored = store.domains.get(domain)
    session.output.done(caution.tell("removed", shown), stored)
