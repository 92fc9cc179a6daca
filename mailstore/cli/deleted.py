"""``mailstore deleted``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from mailstore.cli.credentials import Credentials, takes_credentials
from mailstore.cli.fields import takes_fields
from mailstore.cli.lists import filters
from mailstore.cli.session import Session, pass_session
from mailstore.cli.views import View
from mailstore.fields import AccountFields
from mailstore.model import DeletedDomain, DeletedMailbox

__all__ = ["deleted"]


@click.group()
def deleted() -> None:
    """Mailboxes of deleted accounts, which wait for their purge."""


@deleted.command("list")
@filters(DeletedMailbox, "domain")
@click.option("--address", help="Only those of this address.")
@click.option("--due", is_flag=True, help="Only those that a purge would take today.")
@pass_session
def list_deleted(session: Session, /, view: View, due: bool, **wanted: Any) -> None:
    """List the records of deleted mailboxes, by rising number."""
    today = datetime.now(UTC).date() if due else None
    session.listing(DeletedMailbox, session.store.deleted, view, {**wanted, "due": today})


@deleted.command("archived")
@click.option("--domain", metavar="DOMAIN", help="Only those of this domain.")
@pass_session
def list_archived(session: Session, domain: str | None) -> None:
    """List the mailboxes on disk whose accounts are gone, whoever deleted them; ID 0 stands for one without a record.

    Mail-in-a-Box only: there the path of a mailbox tells its address.
    """
    session.output.many(DeletedMailbox, session.store.deleted.archived(domain=domain))


@deleted.command()
@click.argument("number", metavar="ID", type=int)
@pass_session
def show(session: Session, number: int) -> None:
    """Show everything about a record."""
    session.output.one(session.store.deleted.get(number))


@deleted.command("domains")
@click.option("--domain", metavar="DOMAIN", help="Only those of this domain.")
@pass_session
def list_domains(session: Session, domain: str | None) -> None:
    """List the records of deleted domains, the latest first. Mailboxes that went with a domain name it as DOMAIN RECORD."""
    session.output.many(DeletedDomain, session.store.deleted.domains(domain=domain))


@deleted.command()
@click.argument("number", metavar="[ID]", type=int, required=False)
@click.option("--domain", metavar="DOMAIN", help="Undo the deletion of this domain: all of it that is not yet purged.")
@takes_credentials()
@takes_fields(AccountFields, editing=False)
@pass_session
def restore(
    session: Session,
    number: int | None,
    domain: str | None,
    read_credentials: Callable[[], Credentials],
    fields: dict[str, Any],
) -> None:
    """Bring an account back on its old mailbox, with what its record knows; options override that.

    A record that is not restorable knows only the mailbox, and needs a password. With --domain a whole domain comes back,
    with its settings, aliases, lists, admins and accounts, or nothing of it.
    """
    records, secret = session.store.deleted, read_credentials()
    if (number is None) == (domain is None) or (domain is not None and (fields or secret.parameters)):
        raise click.UsageError("give the ID of a record, or --domain alone", click.get_current_context())
    if number is None:
        whole = records.restore_domain(domain or "")
        session.output.done(f"restored {whole.domain}", whole)
        return
    stored = records.restore(number, **secret.parameters, **fields)
    session.output.done(f"restored {stored.address}", stored, password=secret.generated)


@deleted.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--keep-days", type=click.IntRange(0), metavar="N", help="Days from today until it may be purged.")
@click.option("--never", is_flag=True, help="Never purge it.")
@pass_session
def reschedule(session: Session, number: int, keep_days: int | None, never: bool) -> None:
    """Set another day on which a mailbox may be purged."""
    if never == (keep_days is not None):
        raise click.UsageError("give --keep-days or --never", click.get_current_context())
    stored = session.store.deleted.reschedule(number, keep_mailbox_days=keep_days)
    session.output.done(f"{stored.address} is due {f'on {stored.due}' if stored.due else 'never'}", stored)
