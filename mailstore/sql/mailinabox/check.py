"""Looks for what a box's own tools stumble over, and for what points to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text

from mailstore import passwords
from mailstore.address import domain_part, unserved
from mailstore.driver.routes import Maps
from mailstore.model import Finding
from mailstore.sql.lenient import misplaced_values
from mailstore.sql.mailinabox import automatic
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.schema import address_lists, quotas

__all__ = ["Checker"]


@dataclass(frozen=True)
class _Content:
    """What is to be checked: the rows of users, ordinary aliases and automatic ones."""

    users: list[Mapping[Any, Any]]
    aliases: list[Mapping[Any, Any]]
    automatic: dict[str, str]

    @property
    def known(self) -> set[str]:
        """All addresses that lead somewhere."""
        sources = {row["source"] for row in self.aliases} | self.automatic.keys()
        return {row["email"] for row in self.users} | sources


class Checker:
    """Reads a box once, and tells what is wrong."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(self) -> Iterator[Finding]:
        """Iterate over all findings."""
        schema = self._context.schema
        with self._context.reading() as connection:
            content = self._content(connection)
            now = automatic.served(self._context.schema, connection)
            orphans = self._orphans(connection)
            misplaced = list(misplaced_values(connection, {"email": schema["users"], "source": schema["aliases"]}))
            unusable = self._passwords(connection)
            journal = str(connection.execute(text("PRAGMA journal_mode")).scalar())
        yield from misplaced
        yield from _addresses(content)
        yield from _twins(content)
        yield from _users(content)
        yield from _aliases(content, now.domains)
        yield from _maps(content, now.domains).dead_ends()
        yield from orphans
        yield from unusable
        yield from self._automatic(content, now)
        if journal == "wal":
            message = "its journal mode is WAL, which Postfix in its chroot cannot read; set it back to DELETE"
            yield Finding("journal-mode", str(self._context.box.database), message)

    def _content(self, connection: Connection) -> _Content:
        found = self._context.schema
        automatic_rows: dict[str, str] = {}
        if found.has("auto_aliases"):
            table = found["auto_aliases"].c
            automatic_rows = {
                str(source): str(target)
                for source, target in connection.execute(select(table.source, table.destination))
            }
        users = [name for name in ("email", "quota") if found.has("users", name)]
        aliases = [name for name in ("source", "destination", "permitted_senders") if found.has("aliases", name)]
        return _Content(
            users=_rows(connection, found["users"], users),
            aliases=_rows(connection, found["aliases"], aliases),
            automatic=automatic_rows,
        )

    def _orphans(self, connection: Connection) -> list[Finding]:
        """Return the rows of two-factor logins whose users are gone: the panel leaves them."""
        if not self._context.schema.has("mfa"):
            return []
        mfa, users = self._context.table("mfa").c, self._context.table("users").c
        orphans = connection.execute(select(mfa.id).where(mfa.user_id.not_in(select(users.id)))).scalars()
        message = "a second factor of a user who is gone"
        return [Finding("mfa-orphan", f"mfa {number}", message, "notice") for number in orphans]

    def _passwords(self, connection: Connection) -> list[Finding]:
        users = self._context.table("users").c
        odd = (users.password.not_like(f"{{{name}}}%") for name in passwords.ALWAYS_CHEAP)
        found = connection.execute(select(users.email, users.password).where(*odd))
        reader = self._context.config.password_reader
        problems = ((str(address), passwords.unusable(stored, reader)) for address, stored in found)
        return [
            Finding("unusable-password", address, f"it cannot log in: {problem}", "notice")
            for address, problem in problems
            if problem
        ]

    def _automatic(self, content: _Content, now: automatic.Served) -> Iterator[Finding]:
        box = self._context.box
        if now.real and box.administrator not in content.known:
            message = "there is no such alias, to which all automatic ones lead"
            yield Finding("administrator-missing", box.administrator, message, "notice")
        if self._context.schema.has("auto_aliases") and automatic.wanted(box, now) != content.automatic:
            message = f"the automatic aliases are not current; run {automatic.UPDATE_COMMAND}"
            yield Finding("automatic-aliases", box.hostname, message, "notice")


def _rows(connection: Connection, table: Any, names: list[str]) -> list[Mapping[Any, Any]]:
    return list(connection.execute(select(*(table.c[name] for name in names))).mappings())


def _addresses(content: _Content) -> Iterator[Finding]:
    for address in [*(row["email"] for row in content.users), *(row["source"] for row in content.aliases)]:
        if address.count("@") != 1:
            yield Finding("bad-address", address, "it needs exactly one @; the panel cannot list its users with it")
        elif address != address.lower() or not address.isascii():
            yield Finding("address-unreachable", address, "mail servers look for lower case and punycode only")


def _twins(content: _Content) -> Iterator[Finding]:
    for names in ({row["email"] for row in content.users}, {row["source"] for row in content.aliases}):
        for name in sorted(name for name in names if name != name.lower() and name.lower() in names):
            yield Finding("two-holders", name, "it is there in lower case, too; mail servers take both for that")


def _users(content: _Content) -> Iterator[Finding]:
    sources = {row["source"] for row in content.aliases}
    for row in content.users:
        address, quota = row["email"], row.get("quota")
        if quota is not None and not quotas.is_readable(quota):
            yield Finding("bad-quota", address, f"Dovecot cannot read the quota {quota!r}, and accepts no mail")
        elif quota is not None and quota.isdigit() and int(quota):
            yield Finding("quota-in-bytes", address, f"its quota is {quota} bytes: a number without M or G", "notice")
        if address.isascii() and (why := unserved(address)):
            yield Finding("not-served", address, why, "notice")
        if address in sources:
            message = "an alias of the same address takes its mail, and its right to send"
            yield Finding("alias-over-account", address, message, "notice")


def _aliases(content: _Content, domains: frozenset[str]) -> Iterator[Finding]:
    known = {address.lower() for address in content.known}
    logins = {row["email"] for row in content.users}
    for row in content.aliases:
        source, members = row["source"], address_lists.split(row["destination"])
        senders = address_lists.split(row.get("permitted_senders"))
        if not members and not senders:
            yield Finding("alias-empty", source, "it has neither a member nor a permitted sender", "notice")
        for member in members:
            if domain_part(member.lower()) in domains and not _leads_somewhere(member.lower(), known):
                yield Finding("alias-to-nowhere", source, f"its member {member} is neither account nor alias", "notice")
        for sender in set(senders) - logins:
            yield Finding("sender-unknown", source, f"its permitted sender {sender} is no account", "notice")


def _maps(content: _Content, domains: frozenset[str]) -> Maps:
    """Return what a box's Postfix finds: aliases before accounts, and these before what the box makes by itself."""
    rows = {source.lower(): [target.lower()] for source, target in content.automatic.items()}
    accounts = {row["email"].lower(): True for row in content.users}
    rows |= {address: [address] for address in accounts}
    for row in content.aliases:
        if members := [member.lower() for member in address_lists.split(row["destination"])]:
            rows[row["source"].lower()] = members
    return Maps(rows, accounts, domains, domains, {})


def _leads_somewhere(address: str, known: set[str]) -> bool:
    local, _, domain = address.partition("@")
    return not local or bool({address, f"{local.partition('+')[0]}@{domain}", f"@{domain}"} & known)
