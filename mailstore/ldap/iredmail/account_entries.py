"""Accounts as entries: how they are found, and what they mean in the terms of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from mailstore.address import local_part
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.context import EVERYTHING, Context
from mailstore.ldap.iredmail.homes import home_of
from mailstore.ldap.iredmail.name_space import AliasDomains, NameSpace
from mailstore.ldap.iredmail.policy import is_active
from mailstore.ldap.iredmail.settings import Settings
from mailstore.ldap.names import DN, Filter, all_of, equals, negate, starts_with
from mailstore.ldap.sorting import sorted_entries
from mailstore.model import Account, LastLogin, Usage
from mailstore.quota import UNLIMITED, Quota

__all__ = ["ACCOUNT", "AccountEntries", "address_of", "moment", "own_aliases"]

ACCOUNT = all_of(equals("objectClass", "mailUser"), negate(starts_with("mail", "@")))
"""Matches accounts, and not the catch-alls of domains."""
_PAGE = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


class AccountEntries:
    """Reads accounts, one or many."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = NameSpace(context)

    def read(self, address: str) -> Entry | None:
        """Return the entry of an account with the attributes that this driver reads."""
        entry = self._context.directory.read(self._context.places.account(address), EVERYTHING)
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

    def select(self, bases: Sequence[DN], condition: Filter) -> Iterator[Account]:
        """Iterate over the accounts below some entries that meet a condition, sorted by address."""
        found = (
            entry for base in bases for entry in self._context.directory.search(base, condition, attributes=EVERYTHING)
        )
        entries = sorted_entries(found, address_of)
        aliases = self._names.all_alias_domains()
        while page := list(islice(entries, _PAGE)):
            addresses = [address_of(entry) for entry in page]
            usage, last_login = self._context.companion.usage(addresses), self._context.companion.last_login(addresses)
            for entry, address in zip(page, addresses, strict=True):
                yield _account(entry, aliases, usage.get(address), last_login.get(address))


def address_of(entry: Entry) -> str:
    """Return the address of an entry."""
    return entry.first("mail").lower()


def moment(entry: Entry, attribute: str) -> datetime | None:
    """Return a time that the server keeps, like ``20261120161500Z``, as naive UTC."""
    text = entry.first(attribute)
    return datetime.fromisoformat(f"{text[:8]}T{text[8:14]}") if text else None


def own_aliases(entry: Entry, known: AliasDomains) -> tuple[str, ...]:
    """Return the alias addresses of an entry without those that are there for alias domains only.

    Both kinds stand in one attribute.
    """
    values = _shadows(entry)
    if not values:
        return ()
    named = values | {address_of(entry)}
    derived = set().union(*map(known.forms, named))
    return tuple(sorted(values - derived - {address_of(entry)}))


def _shadows(entry: Entry) -> set[str]:
    return {value.lower() for value in entry.values("shadowAddress")}


def _account(entry: Entry, known: AliasDomains, usage: Usage | None, last_login: LastLogin | None) -> Account:
    address = address_of(entry)
    local = local_part(address)
    settings = Settings.of(entry)
    forwarding = {value.lower() for value in entry.values("mailForwardingAddress")}
    changed = entry.number("shadowLastChange")
    is_global = entry.has("domainGlobalAdmin", "yes")
    return Account(
        address=address,
        # Both are mandatory for an inetOrgPerson; the local part stands for "none".
        name=_unless(local, entry.first("cn")),
        last_name=_unless(local, entry.first("sn")),
        first_name=entry.first("givenName"),
        enabled=is_active(entry),
        quota=_quota(entry),
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
        mailbox_format=entry.first("mailboxFormat", "maildir"),
        mailbox_folder=entry.first("mailboxFolder", "Maildir"),
        home=home_of(entry),
        admin=is_global or entry.has(services.ATTRIBUTE, services.ADMIN),
        global_admin=is_global,
        usage=usage,
        last_login=last_login,
        created=moment(entry, "createTimestamp"),
        modified=moment(entry, "modifyTimestamp"),
        password_changed=_EPOCH + timedelta(days=changed) if changed else None,
        settings=settings.others(("timezone",)),
    )


def _unless(default: str, value: str) -> str:
    return "" if value == default else value


def _quota(entry: Entry) -> Quota:
    octets = entry.number("mailQuota") or 0
    return Quota(octets) if octets > 0 else UNLIMITED
