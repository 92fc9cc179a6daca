"""A change to one account, as changes of the attributes that its entry has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mailstore import passwords
from mailstore.address import alias_address, local_part
from mailstore.driver.forwarding import Forwarding
from mailstore.driver.iredmail.panel import panel_notice, panel_verifies
from mailstore.driver.iredmail.units import MEGABYTE, megabytes
from mailstore.driver.names import newcomers, settled, wanted_in
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked
from mailstore.driver.secret import Secret
from mailstore.driver.values import checked, text, timezone
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.new import ATTRIBUTES, days_since_epoch, known_values, secret
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domain_facts import policy_of
from mailstore.ldap.iredmail.edits import set_value, set_values
from mailstore.ldap.iredmail.entries import ACCOUNT, own_aliases, status
from mailstore.ldap.iredmail.names.name_space import AliasDomains, NameSpace
from mailstore.ldap.iredmail.places import USERS
from mailstore.ldap.iredmail.schemes import panel_form, stored_form
from mailstore.ldap.iredmail.services import ATTRIBUTE
from mailstore.ldap.iredmail.settings import Settings
from mailstore.model import Edit, Names

__all__ = ["AccountChange", "is_admin", "password_changes", "tell_panel", "update_all"]

FORWARDING = "mailForwardingAddress"


def is_admin(entry: Entry) -> bool:
    """Tell whether an account has admin rights."""
    return entry.has("domainGlobalAdmin", "yes") or entry.has(services.ATTRIBUTE, services.ADMIN)


def password_changes(context: Context, entry: Entry, secret: Secret, *, admin: bool = False) -> list[Change]:
    """Return what gives an account another password; an admin, or who becomes one, gets one that the panel verifies, too."""
    config = context.config
    hashed = panel_form(secret, config) if admin or is_admin(entry) else stored_form(secret.hash, config)
    return [Change.replace("userPassword", hashed), *set_value(entry, "shadowLastChange", days_since_epoch())]


def tell_panel(context: Context, changes: Changes, entry: Entry) -> None:
    """Leave a notice if an entry is that of an admin whose password the panel cannot verify."""
    stored = entry.values("userPassword")
    admin = entry.has("objectClass", "mailAdmin") or is_admin(entry)
    if admin and not any(map(panel_verifies, stored)):
        context.notify(changes, panel_notice(entry.first("mail").lower()))


class AccountChange:
    """The parameters of `Accounts.update`, checked before the directory is asked anything."""

    def __init__(
        self,
        context: Context,
        address: str,
        secret: Secret | None,
        fields: Mapping[str, Any],
        *,
        becomes_admin: bool = False,
    ) -> None:
        self._context = context
        self._becomes_admin = becomes_admin
        self._address = address
        self._secret = secret
        self._fields = fields
        self._attributes = known_values(context, fields)
        self._status = status(fields["enabled"]) if "enabled" in fields else None
        self.quota = megabytes(fields["quota"]) if "quota" in fields else None
        self.aliases = wanted_in(fields, "aliases", alias_address)
        self._destinations = Forwarding.parse(fields)
        for name in ("name", "last_name"):
            text(name)(fields.get(name, ""))
        timezone(fields.get("timezone", ""))

    @property
    def sets_password(self) -> bool:
        """Whether the password is among the parameters."""
        return self._secret is not None

    @property
    def services(self) -> Names | None:
        """The services among the parameters."""
        wanted: Names | None = self._fields.get("services")
        return wanted

    @property
    def new_aliases(self) -> tuple[str, ...]:
        """The aliases that the account shall have and may not have yet."""
        return newcomers(self.aliases)

    @property
    def removed_aliases(self) -> tuple[str, ...]:
        """The aliases that the account shall not have any more, be they there or not."""
        return tuple(self.aliases.remove) if isinstance(self.aliases, Edit) else ()

    def aliases_after(self, entry: Entry, known: AliasDomains) -> tuple[str, ...]:
        """Return the aliases that the account will have; `known` are all alias domains."""
        present = own_aliases(entry, known)
        return present if self.aliases is None else settled(self.aliases, present)

    def served_after(self, entry: Entry, known: AliasDomains) -> set[str]:
        """Return all names that the account will have."""
        return known.served((self._address, *self.aliases_after(entry, known)))

    def build(self, entry: Entry, known: AliasDomains) -> list[Change]:
        """Return the changes of an account's entry; `known` are all alias domains."""
        changes = [
            change for attribute, value in self._attributes.items() for change in set_value(entry, attribute, value)
        ]
        if self._status is not None:
            changes += set_value(entry, "accountStatus", self._status)
        if self.quota is not None:
            changes += set_value(entry, "mailQuota", self.quota * MEGABYTE or None)
        if self._secret:
            changes += password_changes(self._context, entry, self._secret, admin=self._becomes_admin)
        if "services" in self._fields:
            changes += services.service_changes(entry, self._fields["services"])
        changes += self._names(entry) + self._settings(entry)
        if {"forwarding", "keep_copy"} & self._fields.keys():
            changes += self._forwarding(entry)
        return changes + self._aliases(entry, known)

    def _names(self, entry: Entry) -> list[Change]:
        """Return the changes of the two names that must be there: the local part stands for none."""
        local = local_part(self._address)
        changes: list[Change] = []
        for field, attribute in (("name", "cn"), ("last_name", "sn")):
            if field in self._fields:
                changes += set_value(entry, attribute, text(field)(self._fields[field]) or local)
        return changes

    def _settings(self, entry: Entry) -> list[Change]:
        if "timezone" not in self._fields:
            return []
        settings = Settings.of(entry)
        settings.put("timezone", self._fields["timezone"])
        return settings.changes(entry)

    def _aliases(self, entry: Entry, known: AliasDomains) -> list[Change]:
        if self.aliases is None:
            return []
        return set_values(entry, "shadowAddress", sorted(self.served_after(entry, known) - {self._address}))

    def _forwarding(self, entry: Entry) -> list[Change]:
        present = [value.lower() for value in entry.values(FORWARDING)]
        others, keep_copy = self._destinations.after(self._address, present, NameSpace(self._context).owners)
        targets = [*([self._address] if keep_copy else ()), *others]
        return set_values(entry, FORWARDING, targets if others else ())


_READ = (
    "accountStatus",
    "preferredLanguage",
    "mtaTransport",
    "userPassword",
    "shadowLastChange",
    "domainGlobalAdmin",
    "mail",
)


def update_all(context: Context, names: NameSpace, domain: str, fields: Mapping[str, Any]) -> int:
    """Change every account of a domain. Returns how many they are."""
    columns = checked(fields, ATTRIBUTES)
    if "enabled" in fields:
        columns["accountStatus"] = status(fields["enabled"])
    hashed = secret(context, fields.get("password"), fields.get("password_hash"))
    context.require_right(domain, Operation.CHANGE_ACCOUNT, *asked(fields, ACCOUNT_FIELDS))
    count = 0
    with names.lock_domain(domain) as lock, context.changing(domain) as changes:
        if hashed is not None:
            context.check_secret(policy_of(lock.entry), hashed, domain)
        entries = list(_accounts(context, domain))
        for entry in entries:
            context.refuse_stronger(entry)
        for entry, made in zip(entries, _secrets(context, hashed, fields.get("password"), entries), strict=True):
            wanted = [change for name, value in columns.items() for change in set_value(entry, name, value)]
            if made is not None:
                wanted += password_changes(context, entry, made)
            changes.modify(entry.dn, wanted, old=entry)
            count += 1
            lock.keep()
    return count


def _accounts(context: Context, domain: str) -> Iterator[Entry]:
    base = context.places.unit(domain, USERS)
    return context.directory.search(base, ACCOUNT, scope="one", attributes=(*_READ, ATTRIBUTE))


def _secrets(
    context: Context, hashed: Secret | None, password: str | None, entries: Sequence[Entry]
) -> Sequence[Secret | None]:
    """Return the password for each account, every one with a salt of its own."""
    if hashed is None or password is None:
        return [hashed] * len(entries)
    made = passwords.hash_many([password] * len(entries), context.config.password_scheme)
    return [Secret(each, password) for each in made]
