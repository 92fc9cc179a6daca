"""``mailstore account``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from mailstore.cli import verbs
from mailstore.cli.credentials import Credentials, ask_password, read_line, takes_credentials
from mailstore.cli.fields import require_change, takes_fields
from mailstore.cli.imports import importing
from mailstore.cli.lists import filters
from mailstore.cli.many import Done, Names, Verb, more_names, takes_names, takes_pairs
from mailstore.cli.results import DeletedAccount, Updated, Verified
from mailstore.cli.session import Caution, Session, destroys, keeps_mailboxes, pass_session
from mailstore.cli.views import View
from mailstore.fields import AccountFields, BulkAccountFields
from mailstore.model import Account, DeletedMailbox

__all__ = ["account"]


@click.group()
def account() -> None:
    """Mail users."""


account.add_command(importing("account"))


@account.command()
@takes_names(creates=True)
@takes_credentials(required=True)
@click.option("--home", metavar="PATH", help="Absolute path of its home, instead of the configured layout.")
@takes_fields(AccountFields, editing=False)
@pass_session
def create(
    session: Session,
    names: Names,
    read_credentials: Callable[[], Credentials],
    home: str | None,
    fields: dict[str, Any],
) -> None:
    """Create accounts. The password is asked for unless an option tells where it comes from; generated ones differ.

    With --if-exists update an account that is there gets what the options say, but no generated password, and stays where
    its home is.
    """
    secret = read_credentials()
    verbs.create(session, names, session.store.accounts, fields, secret, home=home)


@account.command()
@takes_names()
@pass_session
def show(session: Session, names: Names) -> None:
    """Show everything about accounts; passwords and hashes are never shown."""
    names.show(session, Account, session.store.accounts.get)


@account.command("list")
@filters(Account, "domain", "search", "enabled", "admins")
@pass_session
def list_accounts(session: Session, /, view: View, **wanted: Any) -> None:
    """List accounts, sorted by address."""
    session.listing(Account, session.store.accounts, view, wanted)


@account.command()
@takes_names()
@takes_credentials()
@takes_fields(AccountFields, editing=True)
@pass_session
def update(session: Session, names: Names, read_credentials: Callable[[], Credentials], fields: dict[str, Any]) -> None:
    """Change accounts; what no option names stays as it is, and empty text clears. Generated passwords differ."""
    secret = read_credentials()
    require_change(fields, secret.parameters)
    verbs.change(session, names, session.store.accounts, fields, secret)


@account.command()
@takes_names()
@takes_credentials(required=True)
@pass_session
def passwd(session: Session, names: Names, read_credentials: Callable[[], Credentials]) -> None:
    """Set the password of accounts; generated ones differ."""
    accounts, secret = session.store.accounts, read_credentials()
    verbs.change(session, names, accounts, {}, secret, done="changed the password of")


@account.command()
@takes_names()
@pass_session
def enable(session: Session, names: Names) -> None:
    """Let accounts log in and receive."""
    verbs.change(session, names, session.store.accounts, {"enabled": True}, done="enabled")


@account.command()
@takes_names()
@pass_session
def disable(session: Session, names: Names) -> None:
    """Let accounts neither log in nor receive."""
    verbs.change(session, names, session.store.accounts, {"enabled": False}, done="disabled")


@account.command()
@takes_pairs
@click.option("--keep-old-address", is_flag=True, help="The old address becomes an alias of the account.")
@pass_session
def rename(session: Session, names: Names, pairs: Mapping[str, str], keep_old_address: bool) -> None:
    """Give an account another address; its mail, password and everything that refers to it stay."""
    verbs.rename(session, names, pairs, session.store.accounts, keep_alias=keep_old_address)


@account.command()
@takes_names()
@keeps_mailboxes
@destroys
@pass_session
def delete(session: Session, names: Names, keep_days: int | None, caution: Caution) -> None:
    """Delete accounts. Their mailboxes are kept on disk until a purge finds them due."""
    with verbs.deleting(session, names, "the account", caution) as store:

        def one(address: str) -> Done:
            result = _deleted(address, caution, store.accounts.delete(address, keep_mailbox_days=keep_days))
            kept = f"; its mailbox is due on {result.due}" if result.due else ""
            return Done(caution.tell("deleted", f"{result.address}{kept}"), caution.action("deleted"), result)

        def told(address: str, record: DeletedMailbox | None = None) -> Done:
            return Done("", caution.action("deleted"), _deleted(address, caution, record))

        def many(some: Sequence[str]) -> Sequence[Done]:
            records = store.accounts.delete_many(some, keep_mailbox_days=keep_days)
            return [told(address, record) for address, record in zip(some, records, strict=True)]

        names.do(session, Verb(one, store.accounts.exists, many=many, told=told))


def _deleted(address: str, caution: Caution, record: DeletedMailbox | None) -> DeletedAccount:
    if record is None:
        return DeletedAccount(address, caution.dry_run, None, None, "")
    kept_id = None if caution.dry_run else record.id
    return DeletedAccount(record.address, caution.dry_run, kept_id, record.due, record.home)


@account.command("alias-add")
@click.argument("address")
@more_names("aliases", "ALIAS")
@pass_session
def alias_add(session: Session, address: str, aliases: tuple[str, ...]) -> None:
    """Give an account further addresses, in its domain or one of its alias domains."""
    session.store.accounts.add_aliases(address, aliases)
    _show_aliases(session, address)


@account.command("alias-remove")
@click.argument("address")
@more_names("aliases", "ALIAS")
@pass_session
def alias_remove(session: Session, address: str, aliases: tuple[str, ...]) -> None:
    """Take further addresses from an account."""
    session.store.accounts.remove_aliases(address, aliases)
    _show_aliases(session, address)


def _show_aliases(session: Session, address: str) -> None:
    stored = session.store.accounts.get(address)
    session.output.done(f"aliases of {stored.address}: {', '.join(stored.aliases) or 'none'}", stored)


@account.command()
@click.argument("address")
@more_names("destinations", "DESTINATION", required=False)
@click.option(
    "--keep-copy/--no-keep-copy", default=True, help="Whether the mailbox gets the mail too. Default: it does."
)
@click.option("--off", is_flag=True, help="Forward nothing any more.")
@pass_session
def forward(session: Session, address: str, destinations: tuple[str, ...], keep_copy: bool, off: bool) -> None:
    """Forward the mail of an account to these addresses, instead of those it was forwarded to."""
    if off == bool(destinations):
        raise click.UsageError("give destinations, or --off", click.get_current_context())
    fields = {"forwarding": ()} if off else {"forwarding": destinations, "keep_copy": keep_copy}
    stored = session.store.accounts.update(address, **fields)
    session.output.done(f"forwarding of {stored.address}: {', '.join(stored.forwarding) or 'none'}", stored)


@account.command("verify-password")
@click.argument("address")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.option("--rehash", is_flag=True, help="Store a right password anew if its hash has an old scheme.")
@click.pass_context
def verify_password(ctx: click.Context, address: str, password_stdin: bool, rehash: bool) -> None:
    """Tell whether a password is right; exit code 1 if it is not."""
    session = ctx.ensure_object(Session)
    accounts = session.store.accounts
    password = read_line() if password_stdin else ask_password(confirm=False)
    right = accounts.verify_password(address, password, rehash=rehash)
    session.output.done(f"the password is {'right' if right else 'wrong'}", Verified(address, right))
    ctx.exit(0 if right else 1)


@account.command("update-all")
@click.argument("domain")
@takes_credentials(generates=False)
@takes_fields(BulkAccountFields, editing=True, without=("password", "password_hash"))
@destroys
@pass_session
def update_all(
    session: Session,
    domain: str,
    read_credentials: Callable[[], Credentials],
    fields: dict[str, Any],
    caution: Caution,
) -> None:
    """Change every account of a domain."""
    changes = {**read_credentials().parameters, **fields}
    require_change(changes)
    with session.carefully(f"Change every account of {domain}?", caution) as store:
        accounts = store.accounts.update_all(domain, **changes)
    session.output.done(
        caution.tell("updated", f"{domain} (accounts: {accounts})"), Updated(domain, caution.dry_run, accounts)
    )
