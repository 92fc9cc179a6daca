"""A new admin, or a change to one: of its own entry, and of the domains that name it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from mailstore.address import domain_part, held_domain
from mailstore.driver.iredmail.admin_settings import LIMIT_FIELDS, change_admin_limits, clear_admin_settings
from mailstore.driver.secret import Secret
from mailstore.driver.values import Column, checked, flag, language, text
from mailstore.errors import NotFound, NotSupported
from mailstore.fields import plain
from mailstore.ldap.changes import Changes
from mailstore.ldap.connection import Change, Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.changes import AccountChange
from mailstore.ldap.iredmail.accounts.new import days_since_epoch
from mailstore.ldap.iredmail.admins.entries import REFUSALS
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.edits import add_values, remove_values, set_value
from mailstore.ldap.iredmail.entries import status
from mailstore.ldap.iredmail.names.locks import Lock
from mailstore.ldap.iredmail.names.name_space import AliasDomains, NameSpace
from mailstore.ldap.iredmail.schemes import panel_form
from mailstore.ldap.iredmail.settings import Settings
from mailstore.model import Edit, Names

__all__ = ["AdminChange", "changed_domains", "holding", "name_in_domain", "refuse_limits"]

_ATTRIBUTES: Mapping[str, Column] = {
    "name": ("cn", text("name")),
    "language": ("preferredLanguage", language),
    "enabled": ("accountStatus", status),
}
_OF_THE_ACCOUNT = ("name", "language", "enabled", "timezone")


class AdminChange:
    """The parameters of `Admins.create` and `Admins.update`, checked before the directory is asked anything."""

    def __init__(self, context: Context, address: str, secret: Secret | None, fields: Mapping[str, Any]) -> None:
        self._context = context
        self._secret = secret
        self._fields = fields
        self._attributes = checked(fields, _ATTRIBUTES)
        change_admin_limits(Settings(), fields)
        for right in ("global_admin", *REFUSALS):
            flag(right)(fields.get(right, False))
        if isinstance(names := fields.get("domains", ()), Edit):
            self.domains: Names | None = Edit(add=_domain_names(names.add), remove=_domain_names(names.remove))
        else:
            self.domains = _domain_names(names) if "domains" in fields else None
        own: Any = {name: fields[name] for name in _OF_THE_ACCOUNT if name in fields}
        self._account = AccountChange(context, address, secret, own, becomes_admin=True)

    def makes_global(self, entry: Entry | None) -> bool | None:
        """Return what becomes of the right to do everything; None if it stays as it is."""
        wanted: bool | None = self._fields.get("global_admin")
        is_global = entry is not None and entry.has("domainGlobalAdmin", "yes")
        return None if wanted is None or wanted == is_global else wanted

    def build(self, entry: Entry) -> list[Change]:
        """Return the changes of a standalone admin's entry."""
        changes = [
            change for attribute, value in self._attributes.items() for change in set_value(entry, attribute, value)
        ]
        if self._secret:
            changes += self._password(entry, self._secret)
        settings = Settings.of(entry)
        change_admin_limits(settings, self._fields)
        if self._fields.get("global_admin", entry.has("domainGlobalAdmin", "yes")):
            clear_admin_settings(settings, rights_too=False)
        return changes + settings.changes(entry) + self._global(entry) + self._refusals(entry)

    def build_account(self, entry: Entry) -> list[Change]:
        """Return the changes that make an account an admin, and of what is the account's own."""
        marked = add_values(entry, services.ATTRIBUTE, [services.ADMIN])
        return self._account.build(entry, AliasDomains({})) + marked + self._global(entry)

    def _global(self, entry: Entry) -> list[Change]:
        if "global_admin" not in self._fields:
            return []
        return set_value(entry, "domainGlobalAdmin", "yes" if self._fields["global_admin"] else None)

    def _refusals(self, entry: Entry) -> list[Change]:
        granted = [word for right, word in REFUSALS.items() if self._fields.get(right)]
        refused = [word for right, word in REFUSALS.items() if self._fields.get(right) is False]
        attribute = "disabledService"
        return remove_values(entry, attribute, granted) + add_values(entry, attribute, refused)

    def _password(self, entry: Entry, secret: Secret) -> list[Change]:
        hashed = Change.replace("userPassword", panel_form(secret, self._context.config))
        return [hashed, *set_value(entry, "shadowLastChange", days_since_epoch())]


def refuse_limits(address: str, fields: Mapping[str, Any]) -> None:
    """Raise NotSupported if an account shall have limits as an admin."""
    for name in sorted(LIMIT_FIELDS & fields.keys()):
        raise NotSupported(
            f"{address}: {name} cannot be kept for an admin that is an account, because mail users can rewrite their "
            "settings in the directory themselves; create a standalone admin instead",
            subject=address,
        )


@contextmanager
def holding(names: NameSpace, addresses: Collection[str]) -> Iterator[Mapping[str, Lock]]:
    """Lock what owns some admins: the domain of an account, by name in the answer, or the names of all domains.

    Whoever changes what an admin manages holds this, so that no account or admin goes while a domain begins to name it.
    """
    domains = {domain_part(address) for address in addresses}
    owners = set(names.owners(domains)) & domains
    with ExitStack() as stack:
        if domains - owners:
            stack.enter_context(names.lock_domain_names())
        yield {name: stack.enter_context(names.lock_domain(name)) for name in sorted(owners)}


def name_in_domain(
    context: Context, names: NameSpace, changes: Changes, domain: str, addresses: Collection[str] | None, *, named: bool
) -> set[str]:
    """Let a domain name some admins, or name them (all, if None) no longer. Returns those that this concerned."""

    def build(entry: Entry) -> list[Change]:
        wanted = entry.values("domainAdmin") if addresses is None else addresses
        return (add_values if named else remove_values)(entry, "domainAdmin", wanted)

    try:
        before, after = context.edit(changes, context.places.domain(domain), build, NotFound(domain))
    except NotFound:
        raise names.no_such_domain(domain) from None
    listed, left = ({value.lower() for value in entry.values("domainAdmin")} for entry in (before, after))
    return listed ^ left


def changed_domains(present: Collection[str], wanted: Names) -> tuple[set[str], set[str]]:
    """Return which domains an admin begins to manage, and which it ceases to."""
    after = set(wanted.apply(present) if isinstance(wanted, Edit) else wanted)
    return after - set(present), set(present) - after


def _domain_names(names: Names) -> tuple[str, ...]:
    return tuple(dict.fromkeys(held_domain(name) for name in plain(names)))
