"""Domains of a box: those that it has addresses of. An alias ``@name`` to ``@domain`` alone makes an alias domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Unpack

from sqlalchemy import Connection, delete, insert, select

from mailstore import store
from mailstore.address import domain_name, held_domain
from mailstore.driver.values import either, sought
from mailstore.errors import AlreadyExists, NotFound, NotSupported
from mailstore.fields import DomainFields, plain
from mailstore.model import Domain
from mailstore.sql.mailinabox.accounts import rules
from mailstore.sql.mailinabox.automatic import served
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.names.references import References
from mailstore.sql.mailinabox.schema import address_lists

__all__ = ["Domains"]


@dataclass(frozen=True)
class _Site:
    """All domains of a box, what its catch-alls lead to, and which domains only stand for another one."""

    domains: frozenset[str]
    catch_alls: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]

    def listed(self) -> list[str]:
        """Return the domains that are no alias domains, sorted."""
        return sorted(self.domains - self.aliases.keys())

    def domain(self, name: str) -> Domain:
        """Return the record of a domain. Raises NotFound."""
        if name in self.aliases:
            raise NotFound(f"{name} is an alias domain; use {self.aliases[name]}", subject=name)
        if name not in self.domains:
            raise NotFound(f"there is no domain {name}: the box has no address of it", subject=name)
        return Domain(
            domain=name,
            catch_all=self.catch_alls.get(name, ()),
            alias_domains=tuple(sorted(alias for alias, target in self.aliases.items() if target == name)),
        )


class Domains(store.Domains):
    """See `mailstore.store.Domains`."""

    no_renaming = "on a box mailboxes, contacts and calendars lie under the addresses"

    fields = frozenset()

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table("aliases")

    def create(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        raise self._not_supported("create an account or an alias in it")

    def get(self, domain: str) -> Domain:
        with self._context.reading() as connection:
            return self._site(connection).domain(held_domain(domain))

    def list(self, *, search: str | None = None, enabled: bool | None = None, after: str = "") -> Iterator[Domain]:
        with self._context.reading() as connection:
            site = self._site(connection)
        last = sought(after, "after")
        yield from (site.domain(name) for name in _selected(site, search, enabled) if name > last)

    def count(self, *, search: str | None = None, enabled: bool | None = None) -> int:
        with self._context.reading() as connection:
            return len(_selected(self._site(connection), search, enabled))

    def exists(self, domain: str) -> bool:
        with self._context.reading() as connection:
            return held_domain(domain) in served(self._context.schema, connection).domains

    def update(self, domain: str, **fields: Unpack[DomainFields]) -> Domain:
        raise self._not_supported("for a catch-all create the alias @domain")

    def add_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        domain, wanted = domain_name(domain), _checked(names)
        with self._context.changing(domain) as tx:
            site = self._site(tx.connection)
            site.domain(domain)
            for name in wanted:
                if name in site.domains and site.aliases.get(name) != domain:
                    raise AlreadyExists(f"{name} is in use: the box has addresses of it", subject=name)
            rows = [{"source": f"@{name}", "destination": f"@{domain}"} for name in wanted if name not in site.domains]
            if rows:
                tx.execute(insert(self._table), rows)

    def remove_alias_domains(self, domain: str, names: Iterable[str]) -> None:
        domain, unwanted = held_domain(domain), [held_domain(name) for name in names]
        with self._context.changing(domain) as tx:
            site = self._site(tx.connection)
            for name in unwanted:
                if site.aliases.get(name) != domain:
                    raise NotFound(f"{name} is no alias domain of {domain}", subject=name)
            tx.execute(delete(self._table).where(self._table.c.source.in_([f"@{name}" for name in unwanted])))
            for name in unwanted:
                References(self._context.schema).leave_alias_domain(tx, name, domain)

    def delete(self, domain: str, *, keep_mailbox_days: int | None = None) -> int:
        raise self._not_supported("delete its accounts and aliases; it is gone with the last of them")

    def _site(self, connection: Connection) -> _Site:
        now = served(self._context.schema, connection)
        source = self._table.c.source
        rows = connection.execute(select(source, self._table.c.destination).where(source.op("GLOB")("@*")))
        whole = {str(name)[1:]: address_lists.shown(destination) for name, destination in rows}
        own = {name for name in now.domains if name not in whole} | now.real
        # A domain that leads to another alias domain, or to one that is not ours, is shown like any other.
        own |= {name for name, to in whole.items() if not _is_domain(to)}
        aliases = {name: to[0][1:] for name, to in whole.items() if name not in own and to[0][1:] in own}
        return _Site(now.domains, {name: to for name, to in whole.items() if name not in aliases}, aliases)

    def _not_supported(self, hint: str) -> NotSupported:
        return NotSupported(f"on a box a domain is there as soon as an address of it is: {hint}")


def _is_domain(destinations: tuple[str, ...]) -> bool:
    return len(destinations) == 1 and destinations[0].startswith("@")


def _checked(names: Iterable[str]) -> list[str]:
    return [rules.new_source(f"@{domain_name(name)}")[1:] for name in plain(names)]


def _selected(site: _Site, search: str | None, enabled: bool | None) -> list[str]:
    if either(enabled) is False:  # domains are never switched off
        return []
    return [name for name in site.listed() if not search or sought(search).lower() in name]
