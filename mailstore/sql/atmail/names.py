"""The one name space of accounts and aliases, under the domains and the alias domains.

Whoever takes an address first locks the row of the domain that owns it; nothing in the schema itself would stop two tables
from holding the same address. atmail's own panel takes no such locks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, literal, select, union_all

from mailstore.address import domain_part
from mailstore.driver.holders import (
    in_use,
    no_such_domain,
    refuse_each_other,
    refuse_self,
    refuse_taken,
    served_names,
)
from mailstore.driver.names import Spellings
from mailstore.driver.rights import Operation
from mailstore.errors import NotFound
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.expansions import DOMAIN, Expansions, bare
from mailstore.sql.engine import Transaction

__all__ = ["DOMAIN_NAMES", "NameSpace"]

DOMAIN_NAMES = "domain names"
"""The name to lock (`Database.lock_name`) while a domain or alias domain is made: there is no row yet that could be."""


class NameSpace:
    """Locks owners of addresses and refuses addresses that are taken."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._expansions = Expansions(context)
        self._domains = context.table("domains").c
        self._lock = select(self._domains.domainId).where(self._domains.domainName == bindparam("name"))

    def lock_domain(self, tx: Transaction, domain: str) -> int:
        """Lock a domain against all other writers of mailstore. Returns its number; raises NotFound."""
        number = tx.execute(self._lock.with_for_update(), {"name": domain}).scalar()
        if number is None:
            raise self.no_such_domain(tx.connection, domain)
        return int(number)

    def no_such_domain(self, connection: Connection, domain: str) -> NotFound:
        """Return the error for a domain that is not there; it says so if the name is an alias domain."""
        return no_such_domain(domain, self.owners(connection, [domain]).get(domain))

    def owners(self, connection: Connection, domains: Collection[str]) -> dict[str, str]:
        """Return the domain that owns each of `domains`, which may be alias domains; others are left out."""
        rows, names = self._expansions.columns, self._domains
        spellings = [*domains, *(f"@{name}" for name in domains)]
        query = union_all(
            select(bare(rows.AliasName).label("name"), bare(rows.AliasTo).label("owner")).where(
                rows.aliasType == DOMAIN, rows.AliasName.in_(spellings)
            ),
            select(names.domainName, names.domainName).where(names.domainName.in_(domains)),
        )
        return {
            row.name.lower(): row.owner.lower() for row in connection.execute(query)
        }  # a domain of its own comes last, and wins

    def lock_owners(
        self, tx: Transaction, addresses: Collection[str], *, operation: Operation = Operation.CHANGE_ACCOUNT
    ) -> dict[str, str]:
        """Lock the domains that own `addresses`; return them by address. Raises NotFound for a foreign domain.

        `permission` is what the actor needs in all of them.
        """
        owners = self.owners(tx.connection, {domain_part(address) for address in addresses})
        for address in addresses:
            if domain_part(address) not in owners:
                raise NotFound(f"{address}: there is no domain {domain_part(address)} here", subject=address)
        names = set(owners.values())
        # In one order for all, so that two transactions that need the same two domains wait instead of deadlocking.
        wanted = select(self._domains.domainId).where(self._domains.domainName.in_(names))
        tx.execute(wanted.order_by(self._domains.domainName).with_for_update()).all()
        if self._context.actor:
            self._context.actor.require(tx.connection, operation, *sorted(names))
        return {address: owners[domain_part(address)] for address in addresses}

    def refuse_taken(self, connection: Connection, address: str, *, own: Collection[str] = ()) -> None:
        """Raise AlreadyExists if an address in a domain of the store is in use; names in `own` do not count."""
        names = self.all_names(connection, {address: domain_part(address)})[address]
        self.refuse_names(connection, {address: names - set(own)})

    def spellings(
        self, connection: Connection, addresses: Collection[str], *, with_aliases: bool = True, also: str = ""
    ) -> Spellings:
        """Return how rows that lead to some addresses are spelt, and to the per-account aliases of accounts.

        `also` is a domain whose alias domains shall be known too: the one of a new address.
        """
        holders, under = self._expansions.leading(connection, addresses if with_aliases else ())
        every = [*addresses, *holders]
        domains = {domain_part(address) for address in every} | ({also} - {""})
        under = {domain: names for domain, names in under.items() if domain in domains}
        return Spellings(every, under, self._others(connection, Spellings(every, under)), holders)

    def _others(self, connection: Connection, spellings: Spellings) -> set[str]:
        """Return which names under alias domains lead to somebody else: a row of their own comes first."""
        names = spellings.names.keys() - set(spellings.addresses)
        if not names:
            return set()
        rows = self._expansions.columns
        query = select(rows.AliasName).where(rows.AliasName.in_(names), rows.AliasTo.not_in(spellings.addresses))
        return {name.lower() for name in connection.execute(query).scalars()}

    def claim_aliases(self, tx: Transaction, account: str, aliases: Collection[str]) -> None:
        """Lock and refuse what is needed so that an account may take `aliases`."""
        if not aliases:
            return
        refuse_self(account, aliases)
        names = self.all_names(tx.connection, self.lock_owners(tx, aliases))
        refuse_each_other(names, (account, *aliases))
        self.refuse_names(tx.connection, names)

    def refuse_under_other_names(self, connection: Connection, address: str) -> None:
        """Raise AlreadyExists if an address is served already under a domain that stands for its own."""
        owner = self.owners(connection, [domain_part(address)]).get(domain_part(address), domain_part(address))
        names = self.all_names(connection, {address: owner})[address]
        self.refuse_names(connection, {address: names - {address}})

    def refuse_served(self, connection: Connection, domain: str) -> None:
        """Raise AlreadyExists if addresses under a future alias domain are expanded already."""
        columns = self._expansions.columns
        under = columns.AliasName.endswith(f"@{domain}", autoescape=True)
        found = connection.execute(select(columns.AliasName).where(under, columns.aliasType != DOMAIN)).scalar()
        if found:
            raise in_use(found, found, "an alias")

    def all_names(self, connection: Connection, owners: Mapping[str, str]) -> dict[str, set[str]]:
        """Return, for addresses with the domains that own them, every name under which each is served."""
        under = self._expansions.alias_domains(connection, set(owners.values()))
        return {address: served_names(address, owner, under.get(owner, ())) for address, owner in owners.items()}

    def refuse_names(self, connection: Connection, names: Mapping[str, set[str]]) -> None:
        """Raise AlreadyExists if one of the names under which some addresses are served is in use."""
        refuse_taken(names, self.taken(connection, set().union(*names.values())))

    def taken(self, connection: Connection, addresses: Collection[str]) -> dict[str, str]:
        """Return those of `addresses` that are in use, with what uses them."""
        accounts, rows = self._context.table("accounts").c, self._expansions.columns
        query = union_all(
            select(rows.AliasName, literal("an alias")).where(rows.AliasName.in_(addresses), rows.aliasType != DOMAIN),
            select(accounts.username, literal("an account")).where(accounts.username.in_(addresses)),
        )
        return {address.lower(): holder for address, holder in connection.execute(query).all()}
