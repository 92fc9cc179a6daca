"""The one name space of accounts, lists and their aliases, and the locks that make it hold.

Nothing in the schema makes addresses unique, and the product compares pairs of address and login only. Whoever takes an
address here locks the row of its domain first; outside of all domains, and for new domains, a name on the server.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Select, literal, select, union_all

from mailstore.address import domain_part, local_part
from mailstore.driver.holders import in_use
from mailstore.errors import AlreadyExists
from mailstore.sql.afterlogic.context import Context
from mailstore.sql.afterlogic.mail_server import MailServer
from mailstore.sql.afterlogic.rest_errors import DomainNotFound
from mailstore.sql.afterlogic.spelling import canonical, spellings
from mailstore.sql.engine import Transaction

__all__ = ["NameSpace"]

_LOCK = "afterlogic names"
_HOLDERS = {
    "account": "an account, or a mailing list",
    "linked": "linked to somebody's account: the mail server would find two",
    "alias": "an alias of an account",
    "list": "a mailing list of the mail server",
    "deleted": "that of a deleted account whose mail is still kept in the same place: restore its record, or purge it",
}

_ORDER = tuple(_HOLDERS)


class NameSpace:
    """Locks the owners of addresses and refuses addresses that are taken."""

    def __init__(self, context: Context, server: MailServer) -> None:
        self._context = context
        self._server = server
        self._domains = context.table("awm_domains")
        self._accounts = context.table("awm_accounts")

    def lock_new(self, tx: Transaction) -> None:
        """Keep everybody else from making domains, and accounts outside of them."""
        self._context.db.lock_name(tx, _LOCK)

    def lock_domains(self, tx: Transaction, names: Collection[str]) -> dict[str, Mapping[Any, Any]]:
        """Lock those of the named domains that can be seen, in one order for all; return their rows by name."""
        columns = self._domains.c
        query = (
            select(self._domains)
            .where(self._context.one_of(columns.name, spellings(names)), self._context.mine(columns.id_domain))
            .order_by(columns.id_domain)
            .with_for_update()
        )
        found: dict[str, Mapping[Any, Any]] = {}
        for row in tx.execute(query).mappings():
            found.setdefault(canonical(row["name"]), row)
        return found

    def lock_domain(self, tx: Transaction, name: str) -> Mapping[Any, Any]:
        """Lock a domain. Raises DomainNotFound."""
        row = self.lock_domains(tx, [name]).get(name)
        if row is None:
            raise self.no_such_domain(name)
        return row

    @staticmethod
    def no_such_domain(name: str) -> DomainNotFound:
        """Return the error for a domain that is not there."""
        return DomainNotFound(f"there is no domain {name} here; create it first", subject=name)

    def lock_aliases(self, tx: Transaction, domains: Mapping[str, Mapping[Any, Any]], aliases: Collection[str]) -> None:
        """Raise unless every alias lies in one of the locked `domains`, served by the mail server, and is free."""
        for alias in aliases:
            domain = domains.get(domain_part(alias))
            if domain is None:
                raise self.no_such_domain(domain_part(alias))
            self._server.require(domain, alias)
        taken = self.taken(tx.connection, aliases, aliases)
        if taken:
            address = min(taken)
            raise self.in_use(address, taken[address])

    def refuse_taken(self, connection: Connection, address: str, *, served: bool, restoring: bool = False) -> None:
        """Raise AlreadyExists if an address cannot become an account.

        One that is `served` by the mail server must not be a mailbox there either, nor one that waits for its purge, unless
        that is what is being restored.
        """
        taken = self.taken(connection, [address], [address] if served else (), restoring=restoring)
        if taken:
            raise self.in_use(address, taken[address])

    @staticmethod
    def in_use(address: str, holder: str) -> AlreadyExists:
        """Return the error for an address that is taken."""
        return in_use(address, address, _HOLDERS[holder])

    def taken(
        self,
        connection: Connection,
        addresses: Collection[str],
        served: Collection[str],
        *,
        restoring: bool = False,
    ) -> dict[str, str]:
        """Return, in one statement for all, those of the addresses that are in use, with what uses them.

        For the `served` ones the mail server must find nobody else either, under that address or in its mailbox.
        """
        if not addresses:
            return {}
        queries = [self._accounts_called(addresses), self._aliases_called(addresses)]
        lists = self._server.lists
        if lists is not None:
            name = lists.c.list_name
            queries.append(select(name, literal("list")).where(self._context.one_of(name, spellings(addresses))))
        if served:
            queries += self._served_called(served)
        found = [
            (_ORDER.index(holder), canonical(address)) for address, holder in connection.execute(union_all(*queries))
        ]
        passed_over = _ORDER.index("deleted") if restoring else None
        holders = {address: _ORDER[place] for place, address in sorted(found, reverse=True) if place != passed_over}
        return {address: holder for address, holder in holders.items() if address in addresses}

    def _accounts_called(self, addresses: Collection[str]) -> Select[Any]:
        columns = self._accounts.c
        found = self._context.one_of(columns.email, spellings(addresses))
        return select(columns.email, literal("account")).where(found, columns.def_acct == 1)

    def _aliases_called(self, addresses: Collection[str]) -> Select[Any]:
        columns, one_of = self._server.aliases.c, self._context.one_of
        local_parts = one_of(columns.alias_name, {local_part(address) for address in addresses})
        domains = one_of(columns.alias_domain, spellings(map(domain_part, addresses)))
        return select(columns.alias_name + "@" + columns.alias_domain, literal("alias")).where(local_parts, domains)

    def _served_called(self, addresses: Collection[str]) -> list[Select[Any]]:
        columns = self._accounts.c
        queries = [
            select(columns.email, literal("linked")).where(self._context.one_of(columns.email, spellings(addresses)))
        ]
        ledger = self._context.ledger
        if ledger is not None:
            username = ledger.records.c.username
            queries.append(select(username, literal("deleted")).where(username.in_(addresses)))
        return queries
