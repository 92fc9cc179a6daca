"""``mailstore http``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import click

from mailstore.cli.results import Deleted, HttpToken
from mailstore.cli.session import Session, pass_session
from mailstore.errors import InvalidValue

if TYPE_CHECKING:
    from mailstore.tokens import Token, TokenFile

__all__ = ["http"]


@click.group()
def http() -> None:
    """The service mailstore-http: tokens for programs that use its API."""


@http.group()
def token() -> None:
    """Tokens with which programs use the API /v1. They are kept hashed; their text is told once, when they are made."""


@token.command()
@click.argument("name")
@click.option("--for-store", "stores", metavar="NAME", multiple=True, help="Only this store (repeatable).")
@click.option("--for-domain", "domains", metavar="DOMAIN", multiple=True, help="Only this domain (repeatable).")
@click.option(
    "--admin", metavar="ADMIN", default="", help="Act with the rights of this admin. Default: everything is allowed."
)
@click.option("--read/--write", "only_read", default=True, help="Only read, or change, too. Default: read.")
@click.option("--days", type=click.IntRange(1, 36500), metavar="N", help="Until it ends. Default: never.")
@pass_session
def create(
    session: Session,
    name: str,
    stores: tuple[str, ...],
    domains: tuple[str, ...],
    admin: str,
    only_read: bool,
    days: int | None,
) -> None:
    """Make a token, and tell its text this once.

    A token for domains may do what an admin of these domains may; without, and without ADMIN, everything. The running
    service knows it at once.
    """
    from mailstore.address import domain_name

    tokens = _tokens(session)
    for store in stores:
        session.file.store(store)
    access: Literal["read", "write"] = "read" if only_read else "write"
    made, text = tokens.create(
        _checked(name),
        access=access,
        stores=stores,
        domains=tuple(map(domain_name, domains)),
        admin=admin.strip().lower(),
        expires=None if days is None else datetime.now(UTC) + timedelta(days=days),
    )
    session.output.done(f"made the token {made.name}", _shown(made), password=text)


@token.command("list")
@pass_session
def list_tokens(session: Session) -> None:
    """List the tokens, without what is secret of them, in the order in which they were made."""
    session.output.many(HttpToken, map(_shown, _tokens(session).list()))


@token.command()
@click.argument("name")
@pass_session
def revoke(session: Session, name: str) -> None:
    """Remove a token, by its name or number. It opens nothing from this moment on."""
    gone = _tokens(session).revoke(name)
    session.output.done(f"revoked the token {gone.name}", Deleted(gone.name))


def _tokens(session: Session) -> TokenFile:
    from mailstore.tokens import TokenFile

    if session.url:
        raise click.UsageError("tokens belong to the service of a configuration file: leave out --url")
    session.refuse_acting("makes and revokes tokens")
    return TokenFile(session.file.token_file())


def _checked(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise InvalidValue(f"{name!r} is no name for a token: up to 100 printable characters", subject=name)
    return name.strip()


def _shown(token: Token) -> HttpToken:
    return HttpToken(
        token.name, token.id, token.access, token.stores, token.domains, token.admin,
        _naive(token.created), None if token.expires is None else _naive(token.expires),
    )  # fmt: skip


def _naive(moment: datetime) -> datetime:
    """Return a time as records have it: in UTC, and without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)
