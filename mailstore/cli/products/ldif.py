"""``mailstore export``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from mailstore.cli.files import written_wholly
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import progress, safe

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.export.base import Export, Record
    from mailstore.model import Finding

__all__ = ["export"]

_KINDS = ("domain", "catch-all", "admin", "account", "list", "alias")
_LOGIN_BY = ("bind", "bind-without-sha2", "lookup")


@click.command()
@click.option(
    "--ldif", "as_ldif", is_flag=True, help="As LDIF for a directory with iRedMail's tree; there is no other way yet."
)
@click.option("--domain", metavar="DOMAIN", help="A domain with everything in it, instead of the whole store.")
@click.option("--suffix", metavar="DN", help="Top of the directory that it is for, if the store is not in one itself.")
@click.option(
    "--login-by",
    type=click.Choice(_LOGIN_BY),
    help="Who verifies passwords there, if the store is not a directory itself: slapd, without its module pw-sha2, or "
    "Dovecot. A hash that cannot be verified so is left out. Default: bind.",
)
@click.option("--without-passwords", is_flag=True, help="Leave out all password hashes.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to this new file, which only you can read.",
)
@click.argument("kind", type=click.Choice(_KINDS), required=False)
@click.argument("name", required=False)
@pass_session
@click.pass_context
def export(
    ctx: click.Context,
    session: Session,
    as_ldif: bool,
    domain: str | None,
    suffix: str | None,
    login_by: str | None,
    without_passwords: bool,
    output: Path | None,
    kind: str | None,
    name: str | None,
) -> None:
    """Write what the store holds as LDIF: everything, all of a domain, or one thing.

    A single domain is the entry with its four organizational units; a list comes with the entry of its external members.
    The file is for slapadd or ldapadd on a directory that has the first entries ('mailstore schema create'). What a
    directory cannot hold is left out and named on standard error; if an account or a password is, the exit code is 1.
    """
    _check_usage(ctx, as_ldif, domain, kind, name)
    if output is None and not without_passwords and sys.stdout.isatty():
        raise click.UsageError("there are password hashes in it: give --output, or --without-passwords", ctx)
    from mailstore.ldap.iredmail.export.exporter import exporter

    notes = _Notes()
    found = exporter(
        session.store,
        suffix=suffix,
        login_by=login_by,
        default_transport=session.config.default_transport,
        passwords=not without_passwords,
        report=notes,
    )
    records = _selected(found, domain, kind, name)
    with (
        written_wholly(output) as stream,
        progress("exporting", _total(session, domain, kind), shown=_shown(session)) as advance,
    ):
        _write(records, stream, advance)
    ctx.exit(1 if notes.losses else 0)


@dataclass
class _Notes:
    """Tells on standard error what is left out, and counts what somebody will miss."""

    losses: int = 0

    def __call__(self, finding: Finding) -> None:
        self.losses += finding.severity == "error"
        click.echo(safe(f"{finding.subject}: {finding.message}"), err=True)


def _check_usage(ctx: click.Context, as_ldif: bool, domain: str | None, kind: str | None, name: str | None) -> None:
    if not as_ldif:
        raise click.UsageError("say in which form: --ldif", ctx)
    if bool(kind) != bool(name):
        raise click.UsageError(f"give its name too: {kind} NAME", ctx)
    if domain and kind:
        raise click.UsageError(f"--domain exports all of a domain; it does not go with {kind}", ctx)


def _selected(found: Export, domain: str | None, kind: str | None, name: str | None) -> Iterator[Record]:
    if domain:
        return found.whole_domain(domain)
    if kind is None or name is None:
        return found.everything()
    method = "mailing_list" if kind == "list" else kind.replace("-", "_")
    records: Iterator[Record] = getattr(found, method)(name)
    return records


def _shown(session: Session) -> bool:
    """Tell whether a bar may be shown; counting for it is not for nothing."""
    return session.output.progress and sys.stderr.isatty()


def _total(session: Session, domain: str | None, kind: str | None) -> int:
    return session.store.accounts.count(domain=domain) if kind is None and _shown(session) else 1


def _write(records: Iterator[Record], stream: IO[str], advance: Callable[[int], None]) -> None:
    from mailstore.ldap.iredmail.export.exporter import text

    def counted() -> Iterator[Record]:
        for dn, attributes in records:
            yield dn, attributes
            advance("homeDirectory" in attributes)

    for piece in text(counted()):
        stream.write(piece)
