"""``mailstore policy``."""

from __future__ import annotations

from typing import Any

import click

from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.many import Done, Names, Verb, takes_names
from mailstore.cli.results import UNDEFINED, DeletedSetting, EffectiveSetting
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.policies import SpamPolicy, SpamPolicyFields

__all__ = ["policy"]


@click.group()
def policy() -> None:
    """What the content scanner (amavisd) does with mail; LEVEL is 'global', a domain or an address."""


@policy.command()
@takes_names("LEVEL", ignores_missing=False)
@pass_session
def show(session: Session, names: Names) -> None:
    """Show what a level itself says; 'effective' shows what applies."""
    found = session.store.spam_policies
    names.show(session, SpamPolicy, found.get)


@policy.command()
@click.argument("address")
@pass_session
def effective(session: Session, address: str) -> None:
    """Show what applies to mail for an address, and which level says so.

    A setting without a level is left to the configuration of amavisd.
    """
    found = session.store.spam_policies.effective(address)
    rows = (
        EffectiveSetting(
            name, getattr(found.policy, name), found.levels.get(name, ""), UNDEFINED if name in found.undefined else ""
        )
        for name in SpamPolicyFields.__annotations__
    )
    session.output.many(EffectiveSetting, rows)


@policy.command("list")
@pass_session
def list_policies(session: Session) -> None:
    """List the policies of all levels."""
    session.output.many(SpamPolicy, session.store.spam_policies.list())


@policy.command("set")
@takes_names("LEVEL", ignores_missing=False)
@takes_fields(SpamPolicyFields, editing=True)
@pass_session
def set_policy(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Set the whole policy of a level; what no option names is inherited from then on."""
    found = session.store.spam_policies

    def one(level: str) -> Done:
        stored = found.set(level, **fields)
        return Done(f"set the policy of {stored.level}", "set", stored)

    names.do(session, Verb(one))


@policy.command()
@takes_names("LEVEL", ignores_missing=False)
@takes_fields(SpamPolicyFields, editing=True)
@pass_session
def update(session: Session, names: Names, fields: dict[str, Any]) -> None:
    """Change the policy of a level; what no option names stays as it is."""
    require_change(fields)
    found = session.store.spam_policies

    def one(level: str) -> Done:
        stored = found.update(level, **fields)
        return Done(f"updated the policy of {stored.level}", "updated", stored)

    names.do(session, Verb(one))


@policy.command()
@takes_names("LEVEL", ignores_missing=False)
@destroys
@pass_session
def delete(session: Session, names: Names, caution: Caution) -> None:
    """Remove the policy of a level, which then inherits everything."""
    with session.carefully(f"Delete the policy of {names.counted()}?", caution) as store:

        def one(level: str) -> Done:
            store.spam_policies.delete(level)
            message = caution.tell("deleted", f"the policy of {level}")
            return Done(message, caution.action("deleted"), DeletedSetting(level, caution.dry_run))

        names.do(session, Verb(one))
