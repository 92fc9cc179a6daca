"""Accounts as entries: how they are found, and what they mean in the terms of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from mailstore.address import local_part
from mailstore.driver.readings import Readings
from mailstore.driver.values import mailbox_folder, mailbox_format
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.domain_facts import is_active
from mailstore.ldap.iredmail.entries import _shadows, address_of, moment, own_aliases
from mailstore.ldap.iredmail.homes import home_in, home_of, recorded_home
from mailstore.ldap.iredmail.names.name_space import AliasDomains, NameSpace
from mailstore.ldap.iredmail.settings import Settings
from mailstore.ldap.names import DN, Filter
from mailstore.ldap.sorting import sorted_entries
from mailstore.model import Account, LastLogin, Usage
from mailstore.quota import UNLIMITED, Quota

__all__ = ["AccountEntries", "account_problems", "stamps"]

_PAGE = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


class AccountEntries:
    """Reads accounts, one or many."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)

    def read(self, address: str, *also: str) -> Entry | None:
        """Return the entry of an account with the attributes that this driver reads, and `also` these operational ones."""
        if not address.isascii():  # the attribute mail takes nothing else
            return None
        entry = self._context.directory.read(self._context.places.account(address), (*EVERYTHING, *also))
        return entry if entry is not None and entry.has("objectClass", "mailUser") else None

    def account(self, entry: Entry, aliases: AliasDomains | None = None) -> Account:
        """Return what an entry means.

        `aliases` are the alias domains that matter, if they are known already.
        """
        if aliases is None:
            aliases = self._names.alias_domains_of(_shadows(entry))
        address = address_of(entry)
        companion = self._context.companion
        usage, last_login = companion.usage([address]), companion.last_login([address])
        return _account(entry, aliases, usage.get(address), last_login.get(address))

    def select(self, bases: Sequence[DN], condition: Filter, after: str) -> Iterator[Account]:
        """Iterate over the accounts below some entries that meet a condition, sorted by address, behind `after`."""
        found = (
            entry for base in bases for entry in self._context.directory.search(base, condition, attributes=EVERYTHING)
        )
        entries = sorted_entries(found, address_of, after=after)
        aliases = self._names.all_alias_domains()
        while page := list(islice(entries, _PAGE)):
            addresses = [address_of(entry) for entry in page]
            usage, last_login = self._context.companion.usage(addresses), self._context.companion.last_login(addresses)
            for entry, address in zip(page, addresses, strict=True):
                yield _account(entry, aliases, usage.get(address), last_login.get(address))


def stamps(entry: Entry, readings: Readings) -> dict[str, Any]:
    """Return when an entry was made and changed, as the records have it."""
    attributes = {"created": "createTimestamp", "modified": "modifyTimestamp"}
    return {name: readings.read(key, entry.first(key), moment, None) for name, key in attributes.items()}


def account_problems(entry: Entry) -> tuple[str, ...]:
    """Return what of an account's entry cannot be read."""
    readings = Readings()
    _odd_values(entry, readings)
    return readings.problems


def _account(entry: Entry, known: AliasDomains, usage: Usage | None, last_login: LastLogin | None) -> Account:
    address = address_of(entry)
    local = local_part(address)
    settings = Settings.of(entry)
    forwarding = {value.lower() for value in entry.values("mailForwardingAddress")}
    is_global = entry.has("domainGlobalAdmin", "yes")
    readings = Readings()
    return Account(
        address=address,
        # Both are mandatory for an inetOrgPerson; the local part stands for "none".
        name=_unless(local, entry.first("cn")),
        last_name=_unless(local, entry.first("sn")),
        first_name=entry.first("givenName"),
        enabled=is_active(entry),
        language=entry.first("preferredLanguage"),
        employee_id=entry.first("employeeNumber"),
        department=entry.first("departmentNumber"),
        mobile=entry.first("mobile"),
        telephone=entry.first("telephoneNumber"),
        recovery_email=entry.first("recoveryEmail"),
        timezone=settings.text("timezone"),
        transport=entry.first("mtaTransport"),
        forwarding=tuple(sorted(forwarding - {address})),
        keep_copy=not forwarding or address in forwarding,
        aliases=own_aliases(entry, known),
        services=services.names(entry),
        sender_bcc=entry.first("userSenderBccAddress").lower(),
        recipient_bcc=entry.first("userRecipientBccAddress").lower(),
        outbound_relay=entry.first("senderRelayHost"),
        allow_nets=tuple(net.strip() for net in entry.first("allowNets").split(",") if net.strip()),
        admin=is_global or entry.has(services.ATTRIBUTE, services.ADMIN),
        global_admin=is_global,
        usage=usage,
        last_login=last_login,
        settings=settings.others(("timezone",)),
        **_odd_values(entry, readings),
        problems=readings.problems,
    )


def _odd_values(entry: Entry, readings: Readings) -> dict[str, Any]:
    """Return what the schema lets anybody write in ways that mean nothing."""
    first, read = entry.first, readings.read
    return {
        "quota": read("mailQuota", first("mailQuota", "0"), _quota, UNLIMITED),
        "password_changed": read("shadowLastChange", first("shadowLastChange", "0"), _day, None),
        "mailbox_format": read("mailboxFormat", first("mailboxFormat", "maildir").lower(), mailbox_format, "maildir"),
        "mailbox_folder": read("mailboxFolder", first("mailboxFolder", "Maildir"), mailbox_folder, "Maildir"),
        "home": read("homeDirectory", recorded_home(entry), home_in, home_of(entry)),
        **stamps(entry, readings),
    }


def _unless(default: str, value: str) -> str:
    return "" if value == default else value


def _quota(text: str) -> Quota:
    octets = int(text)
    return Quota(octets) if octets > 0 else UNLIMITED


def _day(text: str) -> datetime | None:
    days = int(text)
    return _EPOCH + timedelta(days=days) if days else None
