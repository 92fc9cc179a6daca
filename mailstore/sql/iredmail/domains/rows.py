"""Domains as rows: how they are read, and what they mean in the terms of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal, select, union_all

from mailstore.driver.iredmail.units import from_limit, from_megabytes
from mailstore.driver.readings import Readings
from mailstore.model import Domain
from mailstore.quota import UNLIMITED
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.schema.settings import Settings
from mailstore.sql.paging import pages

__all__ = ["SETTINGS_LISTS", "DomainRows"]

SETTINGS_LISTS = {
    "services": "enabled_services",
    "disabled_services": "disabled_mail_services",
    "disabled_domain_profiles": "disabled_domain_profiles",
    "disabled_user_profiles": "disabled_user_profiles",
    "disabled_user_preferences": "disabled_user_preferences",
}
"""Parameters that are lists in the settings, and their keys there."""

_KNOWN_SETTINGS = (
    "default_user_quota", "max_user_quota", "min_passwd_length", "max_passwd_length", "default_language",
    *SETTINGS_LISTS.values(),
)  # fmt: skip
_PAGE = 500
_RELAY = "relay:"


class DomainRows:
    """Reads domains, one or many, with a fixed number of statements per page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._statement = self._build()

    def one(self, connection: Connection, name: str) -> Domain | None:
        """Return one domain, or None."""
        found = self._page(connection, self._statement.where(self._name == name))
        return found[0] if found else None

    def pages(self, condition: ColumnElement[bool], start: str) -> Iterator[Sequence[Domain]]:
        """Iterate over the domains that meet `condition`, sorted, behind `start`, in pages."""
        query = self._statement.where(condition).order_by(self._name).limit(_PAGE)

        def fetch(after: str) -> list[Domain]:
            with self._context.reading() as connection:
                return self._page(connection, query.where(self._name > after))

        return pages(fetch, lambda domain: domain.domain, start=start, size=_PAGE)

    @property
    def _name(self) -> ColumnElement[str]:
        return self._context.table("domain").c.domain

    def _build(self) -> Select[Any]:
        table = self._context.table
        domain, relay = table("domain"), table("sender_relayhost")
        sender, recipient = table("sender_bcc_domain"), table("recipient_bcc_domain")
        joined = (
            domain.outerjoin(sender, sender.c.domain == domain.c.domain)
            .outerjoin(recipient, recipient.c.domain == domain.c.domain)
            .outerjoin(relay, relay.c.account == literal("@") + domain.c.domain)
        )
        bcc = (sender.c.bcc_address.label("sender_bcc"), recipient.c.bcc_address.label("recipient_bcc"))
        return select(*domain.c, *bcc, relay.c.relayhost).select_from(joined)

    def _page(self, connection: Connection, query: Select[Any]) -> list[Domain]:
        rows = connection.execute(query).mappings().all()
        beside = self._beside(connection, [row["domain"] for row in rows]) if rows else {}
        return [_domain(row, beside[row["domain"]]) for row in rows]

    def _beside(self, connection: Connection, names: Sequence[str]) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """Return the lists of each domain: alias domains, catch-all destinations, admins."""
        table = self._context.table
        alias, rows, listed = table("alias_domain").c, table("forwardings").c, table("domain_admins").c
        query = union_all(
            select(literal("alias_domains"), alias.target_domain, alias.alias_domain).where(
                alias.target_domain.in_(names)
            ),
            select(literal("catch_all"), rows.address, rows.forwarding).where(rows.address.in_(names)),
            select(literal("admins"), listed.domain, listed.username).where(
                listed.domain.in_(names), listed.domain != GLOBAL
            ),
        )
        lists: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for kind, domain, value in connection.execute(query):
            lists[domain][kind].append(value)
        return lists


def _domain(row: Mapping[Any, Any], lists: Mapping[str, Sequence[str]]) -> Domain:
    settings = Settings(row["settings"])
    backup_mx = row["backupmx"] == 1
    transport: str = row["transport"] or ""
    readings = Readings()
    read = readings.read
    return Domain(
        domain=row["domain"],
        name=row["description"] or "",
        enabled=row["active"] == 1,
        quota=read("maxquota", row["maxquota"], from_megabytes, UNLIMITED),
        default_account_quota=read(
            "default_user_quota", settings.number("default_user_quota"), from_megabytes, UNLIMITED
        ),
        max_account_quota=read("max_user_quota", settings.number("max_user_quota"), from_megabytes, UNLIMITED),
        max_accounts=from_limit(row["mailboxes"]),
        max_aliases=from_limit(row["aliases"]),
        max_lists=from_limit(row["maillists"]),
        default_language=settings.text("default_language"),
        transport=transport,
        backup_mx=backup_mx,
        primary_mx=transport.removeprefix(_RELAY) if backup_mx and transport.startswith(_RELAY) else "",
        min_password_length=settings.number("min_passwd_length"),
        max_password_length=settings.number("max_passwd_length"),
        disclaimer=row.get("disclaimer") or "",
        sender_bcc=row["sender_bcc"] or "",
        recipient_bcc=row["recipient_bcc"] or "",
        outbound_relay=row["relayhost"] or "",
        catch_all=tuple(sorted(lists.get("catch_all", ()))),
        alias_domains=tuple(sorted(lists.get("alias_domains", ()))),
        **{name: settings.names(key) for name, key in SETTINGS_LISTS.items()},
        admins=tuple(sorted(lists.get("admins", ()))),
        created=row["created"],
        modified=row["modified"],
        settings=settings.others(_KNOWN_SETTINGS),
        problems=readings.problems,
    )
