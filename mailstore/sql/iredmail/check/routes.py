"""Checks of where mail goes: the maps of iRedMail's Postfix, followed in memory, since each answer is asked for again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, select

from mailstore.address import domain_part, local_part
from mailstore.driver.names import DELIMITER, plain_local_part
from mailstore.driver.routes import Routes
from mailstore.model import Finding
from mailstore.sql.iredmail.context import Context

__all__ = ["RouteChecks"]


class RouteChecks:
    """What leads nowhere, or to itself."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._queries = _Queries(context)

    def run(self) -> Iterator[Finding]:
        """Read everything, and iterate over what is wrong."""
        with self._context.reading() as connection:
            maps = _Maps(self._queries, connection)
        yield from maps.findings()


class _Queries:
    """What the maps look at, as queries."""

    def __init__(self, context: Context) -> None:
        domain, alias = context.table("domain").c, context.table("alias_domain").c
        mailbox, rows = context.table("mailbox").c, context.table("forwardings").c
        self.domains = select(domain.domain, domain.active, domain.backupmx)
        self.owners = select(alias.alias_domain, alias.target_domain).where(alias.active == 1)
        self.accounts = select(mailbox.username, mailbox.active)
        self.lists = select(context.table("maillists").c.address)
        self.rows = select(rows.address, rows.forwarding, rows.domain).where(rows.active == 1)


class _Maps:
    """The maps in memory, which grows with the number of addresses."""

    def __init__(self, queries: _Queries, connection: Connection) -> None:
        """Read everything that the maps look at."""
        found = connection.execute(queries.domains).all()
        self._hosted = {name.lower() for name, active, backup in found if active and not backup}
        self._known = {name.lower() for name, *_ in found}
        owners = connection.execute(queries.owners).all()
        self._owners = {name.lower(): target.lower() for name, target in owners}
        accounts = connection.execute(queries.accounts).all()
        self._accounts = {name.lower(): bool(active) for name, active in accounts}
        self._lists = {name.lower() for name in connection.execute(queries.lists).scalars()}
        self._rows: dict[str, list[str]] = defaultdict(list)
        for address, target, owner in connection.execute(queries.rows).all():
            if owner.lower() in self._hosted:
                self._rows[address.lower() if "@" in address else f"@{address.lower()}"].append(target.strip().lower())
        self._routes = Routes(self._expand, self._arrives)

    def findings(self) -> Iterator[Finding]:
        """Iterate over destinations that nobody gets mail at, catch-alls that are all of that kind, and circles."""
        for source in sorted(self._rows):
            name = source.removeprefix("@")
            targets = [target for target in sorted(set(self._rows[source])) if target != source]
            lost = {target: why for target in targets if (why := self._lost(target))}
            for target, why in lost.items():
                yield Finding("alias-to-nowhere", target, f"{name} sends mail to this address, which {why}", "notice")
            if source.startswith("@") and targets and len(lost) == len(targets):
                message = "its catch-all leads nowhere: mail for unknown addresses is accepted, and bounces"
                yield Finding("catch-all-to-nowhere", name, message, "notice")
            if self._routes.end(source).circles:
                yield Finding("mail-loop", name, "its mail goes round until Postfix gives up", "notice")

    def _lost(self, target: str) -> str | None:
        """Return why nobody gets mail for an address; None if somebody may."""
        domain = domain_part(target)
        owner = self._owners.get(domain, domain)
        if owner not in self._known:
            above = [name for name in {*self._known, *self._owners} if domain.endswith(f".{name}")]
            return f"lies below {max(above, key=len)}, but is served by nobody here" if above else None
        end = self._routes.end(target)
        if owner not in self._hosted or end.arrives or end.circles:
            return None
        if self._accounts.get(f"{plain_local_part(target)}@{owner}") is False:
            return "is switched off"
        return "leads nowhere itself" if self._answer(target) else "does not exist"

    def _arrives(self, address: str) -> bool:
        """Tell whether somebody gets mail for an address that stands for itself; nobody here knows of other servers."""
        domain = domain_part(address)
        if domain not in self._hosted:
            return domain not in self._owners
        if address in self._lists:
            return True
        return self._accounts.get(address, False) or self._accounts.get(f"{plain_local_part(address)}@{domain}", False)

    def _expand(self, address: str) -> Collection[str]:
        """Return what the maps answer for an address; a catch-all is asked as ``@domain``."""
        plain = f"{plain_local_part(address)}@{domain_part(address)}"
        answer = self._answer(address) or (self._answer(plain) if DELIMITER in local_part(address) else ())
        domain = domain_part(address)
        caught = self._rows.get(f"@{domain}", ()) or self._rows.get(f"@{self._owners.get(domain, domain)}", ())
        return answer or caught

    def _answer(self, address: str) -> Collection[str]:
        """Return what stands for exactly this address, under its own domain or the one that an alias domain stands for."""
        owner = self._owners.get(domain_part(address))
        shadow = self._rows.get(f"{local_part(address)}@{owner}", ()) if owner and local_part(address) else ()
        return self._rows.get(address) or shadow
