"""``mailstore greylisting``."""

from __future__ import annotations

from typing import Any

import click

from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.many import Done, Names, Verb, takes_names
from mailstore.cli.results import DeletedSetting, SpfDomain
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.model import Edit
from mailstore.policies import GreylistingFields, GreylistingSetting

__all__ = ["greylisting"]


@click.group()
def greylisting() -> None:
    """Whether unknown senders are told to try again (iRedAPD); LEVEL is 'global', a domain or an address."""


@greylisting.command()
@takes_names("LEVEL", ignores_missing=False)
@pass_session
def show(session: Session, names: Names) -> None:
    """Show what a level itself says; 'effective' shows what applies."""
    found = session.store.greylisting
    names.show(session, GreylistingSetting, found.get)


@greylisting.command()
@click.argument("recipient")
@click.option("--sender", required=True, metavar="ADDRESS", help="Who sends.")
@click.option("--client", required=True, metavar="IP", help="The IP address that the mail comes from.")
@pass_session
def effective(session: Session, recipient: str, sender: str, client: str) -> None:
    """Show whether a first delivery would be greylisted, and which entry decides."""
    session.output.one(session.store.greylisting.effective(recipient, sender=sender, client=client))


@greylisting.command("list")
@pass_session
def list_settings(session: Session) -> None:
    """List the levels that have anything set."""
    session.output.many(GreylistingSetting, session.store.greylisting.list())


@greylisting.command("set")
@takes_names("LEVEL", ignores_missing=False)
@takes_fields(GreylistingFields, editing=True)
@pass_session
def set_greylisting(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Switch greylisting on or off for a level, and change its whitelist; what no option names stays as it is."""
    require_change(fields)
    found = session.store.greylisting

    def one(level: str) -> Done:
        stored = found.set(level, **fields)
        return Done(f"set greylisting of {stored.level}", "set", stored)

    names.do(session, Verb(one))


@greylisting.command()
@takes_names("LEVEL", ignores_missing=False)
@destroys
@pass_session
def delete(session: Session, names: Names, caution: Caution) -> None:
    """Let a level inherit again whether it is greylisted; its whitelist stays."""
    with session.carefully(f"Let {names.counted()} inherit greylisting?", caution) as store:

        def one(level: str) -> Done:
            store.greylisting.delete(level)
            message = caution.tell("deleted", f"greylisting of {level}")
            return Done(message, caution.action("deleted"), DeletedSetting(level, caution.dry_run))

        names.do(session, Verb(one))


@greylisting.command("spf-domains")
@click.option("--add", multiple=True, metavar="DOMAIN", help="Add one (repeatable).")
@click.option("--remove", multiple=True, metavar="DOMAIN", help="Remove one (repeatable).")
@pass_session
def spf_domains(session: Session, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Show or change the domains whose servers, as their SPF records name them, are never greylisted."""
    greylisting = session.store.greylisting
    edit = Edit(add=add, remove=remove)
    domains = greylisting.set_spf_domains(edit) if add or remove else greylisting.spf_domains()
    session.output.many(SpfDomain, map(SpfDomain, domains))
