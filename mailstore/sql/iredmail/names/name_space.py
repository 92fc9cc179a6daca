"""The one name space of accounts, aliases, lists, per-account aliases and alias domains.

Whoever takes an address first locks the row of the primary domain that owns it; nothing in the schema itself would stop
two tables from holding the same address. Readers are not held up by that lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    literal,
    select,
    union_all,
)

from mailstore.address import domain_part, local_part
from mailstore.driver.companions import levels
from mailstore.driver.holders import (
    in_use,
    no_such_domain,
    refuse_each_other,
    refuse_self,
    refuse_taken,
    served_names,
)
from mailstore.driver.names import Spellings
from mailstore.errors import NotFound
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.names.references import Cleanup

__all__ = ["DOMAIN_NAMES", "NameSpace"]

DOMAIN_NAMES = "domain names"
"""The name to lock (`Database.lock_name`) while a domain or alias domain is made: there is no row yet that could be."""

_DOMAIN_COLUMNS = ("domain", "mailboxes", "aliases", "maillists", "maxquota", "transport", "backupmx", "settings")
_HOLDERS = {
    "account": "an account",
    "alias": "an alias account",
    "mailing_list": "a mailing list",
    "forwarding": "a per-account alias, or a left-over forwarding",
    "shadow": "an address under an alias domain of this domain",
}


class NameSpace:
    """Locks owners of addresses and refuses addresses that are taken."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._facts = self._facts_statement(Cleanup(context))
        self._taken = self._taken_statement()
        table = context.table("domain")
        columns = (table.c[name] for name in _DOMAIN_COLUMNS)
        self._lock = select(*columns).where(table.c.domain == bindparam("name")).with_for_update()

    def lock_domain(self, tx: Transaction, domain: str) -> Mapping[Any, Any]:
        """Lock a primary domain against all other writers of mailstore. Raises NotFound.

        Returns the columns that `DomainPolicy` and `DomainChange` read.
        """
        row = tx.execute(self._lock, {"name": domain}).mappings().first()
        if row is None:
            raise self.no_such_domain(tx.connection, domain)
        return row

    def no_such_domain(self, connection: Connection, domain: str) -> NotFound:
        """Return the error for a domain that is not there; it says so if the name is an alias domain."""
        return no_such_domain(domain, self.owners(connection, [domain]).get(domain))

    def owners(self, connection: Connection, domains: Collection[str]) -> dict[str, str]:
        """Return the primary domain of each of `domains`, which may be primary or alias domains; others are left out."""
        primary, alias = self._context.table("domain"), self._context.table("alias_domain")
        query = union_all(
            select(primary.c.domain, primary.c.domain.label("owner")).where(primary.c.domain.in_(domains)),
            select(alias.c.alias_domain, alias.c.target_domain).where(alias.c.alias_domain.in_(domains)),
        )
        return {row.domain: row.owner for row in connection.execute(query)}

    def lock_owners(self, tx: Transaction, addresses: Collection[str]) -> dict[str, str]:
        """Lock the primary domains that own `addresses`; return them by address. Raises NotFound for a foreign domain."""
        owners = self.owners(tx.connection, {domain_part(address) for address in addresses})
        for address in addresses:
            if domain_part(address) not in owners:
                raise NotFound(f"{address}: there is no domain {domain_part(address)} here", subject=address)
        table = self._context.table("domain")
        # In one order for all, so that two transactions that need the same two domains wait instead of deadlocking.
        wanted = select(table.c.domain).where(table.c.domain.in_(set(owners.values()))).order_by(table.c.domain)
        tx.execute(wanted.with_for_update()).all()
        if self._context.actor:
            for owner in sorted(set(owners.values())):
                self._context.actor.require(tx.connection, owner)
        return {address: owners[domain_part(address)] for address in addresses}

    def facts(self, connection: Connection, address: str, *, ignoring: str = "") -> Mapping[Any, Any]:
        """Return, in one statement, who holds `address` and whether a former holder left something behind.

        `ignoring` is an account whose own per-account aliases do not count.
        """
        parameters = {
            "address": address, "local": local_part(address), "domain": domain_part(address), "own": ignoring,
        }  # fmt: skip
        return connection.execute(self._facts, parameters).mappings().one()

    @staticmethod
    def refuse_taken(facts: Mapping[Any, Any], address: str) -> None:
        """Raise AlreadyExists if the `facts` of an address name a holder."""
        if facts["holder"]:
            raise in_use(address, address, _HOLDERS[facts["holder"]])

    def refuse_taken_aliases(self, connection: Connection, aliases: Mapping[str, str]) -> None:
        """Raise AlreadyExists if one of `aliases` (address to owning primary domain) is in use, under either domain."""
        names = self._all_names(connection, aliases)
        refuse_taken(names, self.taken(connection, set().union(*names.values())))

    def all_names(self, connection: Connection, addresses: Collection[str]) -> dict[str, set[str]]:
        """Return, for addresses in primary domains, every name under which each would be served."""
        return self._all_names(connection, {address: domain_part(address) for address in addresses})

    def _all_names(self, connection: Connection, owners: Mapping[str, str]) -> dict[str, set[str]]:
        under = self._alias_domains(connection, set(owners.values()))
        return {address: served_names(address, owner, under.get(owner, ())) for address, owner in owners.items()}

    def spellings(
        self, connection: Connection, addresses: Collection[str], *, with_aliases: bool = True, also: str = ""
    ) -> Spellings:
        """Return how references to some addresses are spelt, and to the per-account aliases of accounts.

        `also` is a domain whose alias domains shall be known too: the one of a new address.
        """
        rows, table = self._context.table("forwardings").c, self._context.table("alias_domain").c
        own = rows.forwarding.in_(addresses) & (rows.is_alias == 1)
        domains = {also} - {""} | {domain_part(address) for address in addresses}
        targets: ColumnElement[bool] = table.target_domain.in_(domains)
        if with_aliases:
            targets |= table.target_domain.in_(select(rows.domain).where(own))
        queries = [select(literal("domain"), table.alias_domain, table.target_domain).where(targets)]
        queries += [select(literal("alias"), rows.address, rows.forwarding).where(own)] * with_aliases
        under: dict[str, set[str]] = {}
        holders: dict[str, str] = {}
        for kind, name, target in connection.execute(union_all(*queries)).all():
            if kind == "alias":
                holders[name.lower()] = target.lower()
            else:
                under.setdefault(target.lower(), set()).add(name.lower())
        every = Spellings([*addresses, *holders], under)
        return Spellings([*addresses, *holders], under, self._others(connection, every), holders)

    def _others(self, connection: Connection, spellings: Spellings) -> set[str]:
        """Return which names under alias domains lead to somebody else: a row of their own comes first."""
        rows = self._context.table("forwardings").c
        names = spellings.names.keys() - set(spellings.addresses)
        if not names:
            return set()
        query = select(rows.address).where(rows.address.in_(names), rows.forwarding.not_in(spellings.addresses))
        return {name.lower() for name in connection.execute(query).scalars()}

    def claim_aliases(self, tx: Transaction, address: str, aliases: Collection[str]) -> dict[str, str]:
        """Lock and refuse what is needed so that the account `address` may take `aliases`; return their primary domains."""
        if not aliases:
            return {}
        refuse_self(address, aliases)
        owners = self.lock_owners(tx, aliases)
        refuse_each_other(self._all_names(tx.connection, owners), (address, *owners))
        self.refuse_taken_aliases(tx.connection, owners)
        self._context.companions.claiming(levels(aliases))
        return owners

    def use_up_aliases(self, tx: Transaction, account: str, address: str, alias_domains: Collection[str]) -> None:
        """Remove the aliases of `account` that say nothing any more once it is called `address`.

        That is the alias of this name, and that name under the alias domains of its domain, where it is then served anyway.
        """
        rows = self._context.table("forwardings")
        names = {address, *(f"{local_part(address)}@{name}" for name in alias_domains)}
        condition = (rows.c.address.in_(names), rows.c.forwarding == account, rows.c.is_alias == 1)
        tx.execute(delete(rows).where(*condition))

    def _alias_domains(self, connection: Connection, domains: Collection[str]) -> dict[str, set[str]]:
        """Return the names that lead to each of some primary domains."""
        table = self._context.table("alias_domain")
        query = select(table.c.alias_domain, table.c.target_domain).where(table.c.target_domain.in_(domains))
        under: dict[str, set[str]] = {}
        for alias_domain, target in connection.execute(query):
            under.setdefault(target, set()).add(alias_domain)
        return under

    def taken(self, connection: Connection, addresses: Collection[str]) -> dict[str, str]:
        """Return those of `addresses` that are in use, with what uses them."""
        return {
            address: _HOLDERS[holder]
            for address, holder in connection.execute(self._taken, {"names": list(addresses)}).all()
        }

    def _taken_statement(self) -> Any:
        table = self._context.table
        columns = (
            ("account", table("mailbox").c.username),
            ("alias", table("alias").c.address),
            ("mailing_list", table("maillists").c.address),
            ("forwarding", table("forwardings").c.address),
        )
        names: BindParameter[Any] = bindparam(
            "names", expanding=True
        )  # one for all: each name is made a parameter once
        return union_all(
            *(select(column, literal(holder)).where(column.in_(names)) for holder, column in reversed(columns))
        )

    def _facts_statement(self, cleanup: Cleanup) -> Any:
        table = self._context.table
        address: ColumnElement[str] = bindparam("address")
        rows, alias_domains = table("forwardings"), table("alias_domain")
        others = ~and_(rows.c.forwarding == bindparam("own"), rows.c.is_alias == 1)
        under_alias_domain = bindparam("local", type_=rows.c.address.type) + "@" + alias_domains.c.alias_domain
        shadow = exists().where(
            alias_domains.c.target_domain == bindparam("domain"), rows.c.address == under_alias_domain, others
        )
        holder = case(
            (exists().where(table("mailbox").c.username == address), "account"),
            (exists().where(table("alias").c.address == address), "alias"),
            (exists().where(table("maillists").c.address == address), "mailing_list"),
            (exists().where(rows.c.address == address, others), "forwarding"),
            (shadow, "shadow"),
            else_="",
        )
        return select(
            holder.label("holder"),
            cleanup.leftovers(address).label("leftovers"),
            exists().where(table("deleted_mailboxes").c.username == address).label("deleted_before"),
        )
