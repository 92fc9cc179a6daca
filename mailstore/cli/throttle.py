"""``mailstore throttle``."""

from __future__ import annotations

from typing import Any

import click

from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.many import Done, Names, Verb, takes_names
from mailstore.cli.results import UNDEFINED, Deleted, DeletedSetting, EffectiveLimit
from mailstore.cli.session import Caution, Session, destroys, pass_session
from mailstore.policies import DIRECTIONS, Direction, EffectiveThrottle, Throttle, ThrottleFields
from mailstore.quota import Quota

__all__ = ["DIRECTION", "throttle"]

DIRECTION = click.argument("direction", type=click.Choice(DIRECTIONS))
_PERIOD_HELP = "In which limits are counted: 90s, 15m, 1h, 7d."


@click.group()
def throttle() -> None:
    """How much may be sent and received (iRedAPD); LEVEL is 'global', a domain or an address."""


@throttle.command()
@takes_names("LEVEL", ignores_missing=False)
@DIRECTION
@pass_session
def show(session: Session, names: Names, direction: Direction) -> None:
    """Show what a level itself says; 'effective' shows what applies."""
    found = session.store.throttles
    names.show(session, Throttle, lambda level: found.get(level, direction))


@throttle.command()
@click.argument("address")
@DIRECTION
@click.option("--client", metavar="IP", help="The IP address of the other side, which may have limits of its own.")
@pass_session
def effective(session: Session, address: str, direction: Direction, client: str | None) -> None:
    """Show what applies to an address, and which level says so."""
    found = session.store.throttles.effective(address, direction, client=client)
    session.output.many(EffectiveLimit, (_limit(found, name) for name in Throttle.LIMITS))


def _limit(found: EffectiveThrottle, name: str) -> EffectiveLimit:
    origin = found.origins.get(name)
    note = UNDEFINED if name in found.undefined else ""
    if name == "max_msgs" and found.counts_up_to is not None:
        note = f"counts up to {Quota(found.counts_up_to)} in a period, and no message after that"
    return EffectiveLimit(
        name, getattr(found, name), origin.period if origin else None, origin.level if origin else "", note
    )


@throttle.command("list")
@pass_session
def list_throttles(session: Session) -> None:
    """List the throttles of all levels."""
    session.output.many(Throttle, session.store.throttles.list())


@throttle.command("set")
@takes_names("LEVEL", ignores_missing=False)
@DIRECTION
@click.option("--period", required=True, help=_PERIOD_HELP)
@takes_fields(ThrottleFields, editing=True)
@pass_session
def set_throttle(session: Session, names: Names, direction: Direction, period: str, fields: dict[str, Any]) -> None:
    """Set the whole throttle of a level; limits that no option names are inherited from then on. Counters go on."""
    found = session.store.throttles

    def one(level: str) -> Done:
        stored = found.set(level, direction, period=period, **fields)
        return Done(f"set the {direction} throttle of {stored.level}", "set", stored)

    names.do(session, Verb(one))


@throttle.command()
@takes_names("LEVEL", ignores_missing=False)
@DIRECTION
@click.option("--period", help=_PERIOD_HELP)
@takes_fields(ThrottleFields, editing=True)
@pass_session
def update(session: Session, names: Names, direction: Direction, period: str | None, fields: dict[str, Any]) -> None:
    """Change the throttle of a level; what no option names stays as it is. Counters go on."""
    require_change(fields, {"period": period} if period else {})
    found = session.store.throttles

    def one(level: str) -> Done:
        stored = found.update(level, direction, period=period, **fields)
        return Done(f"updated the {direction} throttle of {stored.level}", "updated", stored)

    names.do(session, Verb(one))


@throttle.command()
@takes_names(ignores_missing=False)
@pass_session
def reset(session: Session, names: Names) -> None:
    """Let addresses start again from zero, as if they had sent and received nothing yet."""
    found = session.store.throttles

    def one(address: str) -> Done:
        found.reset(address)
        return Done(f"reset the counters of {address}", "reset", Deleted(address))

    names.do(session, Verb(one))


@throttle.command()
@takes_names("LEVEL", ignores_missing=False)
@DIRECTION
@destroys
@pass_session
def delete(session: Session, names: Names, direction: Direction, caution: Caution) -> None:
    """Remove the throttle of a level with its counters; it then inherits."""
    with session.carefully(f"Delete the {direction} throttle of {names.counted()}?", caution) as store:

        def one(level: str) -> Done:
            store.throttles.delete(level, direction)
            message = caution.tell("deleted", f"the {direction} throttle of {level}")
            return Done(message, caution.action("deleted"), DeletedSetting(level, caution.dry_run, direction))

        names.do(session, Verb(one))
