"""What an acting admin may see and do, looked up in the directory at every call.

Global admins may do everything. Others manage the domains whose ``domainAdmin`` names them: what lies in other domains does
not exist for them. The limits of an admin stand in its ``accountSetting``, which a mail user can write in its own entry:
they count for standalone admins only, and an admin that is a mail user creates no domains. What each may do in its domains
is asked of `mailstore.driver.rights`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mailstore.address import domain_part
from mailstore.driver.iredmail.admin_settings import AdminLimits, check_allocation
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.iredmail.units import from_limit, from_megabytes
from mailstore.driver.rights import Kind, Operation, iredmail_kind, refuse, stronger
from mailstore.driver.secret import Secret
from mailstore.errors import LimitExceeded, NotFound, PermissionDenied
from mailstore.ldap.connection import Directory, Entry
from mailstore.ldap.iredmail.domain_facts import domain_quota, is_active
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.services import ADMIN, ATTRIBUTE
from mailstore.ldap.iredmail.settings import ATTRIBUTE as SETTINGS
from mailstore.ldap.iredmail.settings import Settings
from mailstore.ldap.names import DN, any_of, equals

__all__ = ["IS_ADMIN", "RANK", "Actor"]

IS_ADMIN = any_of(equals(ATTRIBUTE, ADMIN), equals("domainGlobalAdmin", "yes"))
"""What tells an account with admin rights from others."""
RANK = ("mail", "objectClass", "domainGlobalAdmin", ATTRIBUTE, SETTINGS)
"""The attributes that `Actor.refuse_stronger` looks at."""
_ALLOCATED = {
    "numberOfUsers": ("max_accounts", "accounts"),
    "numberOfAliases": ("max_aliases", "aliases"),
    "numberOfLists": ("max_lists", "lists"),
}


@dataclass(frozen=True)
class Actor:
    """The admin on whose behalf a store acts."""

    directory: Directory
    places: Places
    address: str

    def require_enabled(self) -> None:
        """Raise NotFound if there is no such enabled admin."""
        if self._entry() is None:
            raise NotFound(f"there is no enabled admin {self.address}", subject=self.address)

    def require(self, subject: str, *operations: Operation) -> None:
        """Raise unless the actor may do all of `operations` to a domain that it manages, or to an address in one.

        NotFound if it does not manage the domain, PermissionDenied if it is no enabled admin any more, or may not do that.
        """
        entry, domain = self._require_entry(), domain_part(subject)
        if _is_global(entry):
            return
        found = self.directory.read(self.places.domain(domain), ("domainAdmin", SETTINGS))
        if found is None or not found.has("domainAdmin", self.address):
            raise NotFound(f"there is no domain {domain} that {self.address} manages", subject=domain)
        disabled = Settings.of(found).names(f"disabled{'User' if '@' in subject else 'Domain'}Profile")
        refuse(_kind(entry), self.address, operations, subject=subject, disabled=disabled)

    def require_anywhere(self, subject: str, *operations: Operation) -> None:
        """Raise PermissionDenied unless the actor may do something that is about no domain of its own."""
        refuse(self.kind(), self.address, operations, subject=subject)

    def may(self, operation: Operation) -> bool:
        """Tell whether the actor may do something, at least to domains that it manages."""
        return self.kind().may(operation)

    def kind(self) -> Kind:
        """Return what kind of admin the actor is. Raises PermissionDenied if it is none any more."""
        return _kind(self._require_entry())

    def is_global(self) -> bool:
        """Tell whether the actor may do everything."""
        entry = self._entry()
        return entry is not None and _is_global(entry)

    def refuse_stronger(self, other: Entry, *, restored: Collection[DN] | None = None) -> None:
        """Raise PermissionDenied if an account or standalone admin may do more than the actor.

        Whoever sets the password of an admin, gets its mail or bears its name, is one. `restored` are the domains that an
        account which comes back would manage; else the directory says which it manages.
        """
        address = other.first("mail").lower()
        standalone = other.has("objectClass", "mailAdmin")
        if address == self.address or not (standalone or _is_global(other) or other.has(ATTRIBUTE, ADMIN)):
            return
        mine = self._require_entry()
        if _is_global(mine):
            return
        if restored is None:
            restored = [entry.dn for entry in self._naming(address)]
        own = {entry.dn.lower() for entry in self._naming(self.address)}
        if _is_global(other) or _creates(other) > _creates(mine) or {dn.lower() for dn in restored} - own:
            raise stronger(self.address, address)

    def refuse_ready_hash(self, policy: DomainPolicy, secret: Secret, address: str) -> None:
        """Raise PermissionDenied for a ready hash under length limits that bind the actor: nobody sees how long it is."""
        if secret.password is None and policy.limits_passwords and not self.may(Operation.RULE_DOMAIN):
            raise policy.no_ready_hash(self.address, address)

    def _naming(self, address: str) -> Iterator[Entry]:
        """Iterate over the domains that name an admin, without their content."""
        named = equals("domainAdmin", address)
        return self.directory.search(self.places.domains, named, scope="one", attributes=("domainName",))

    def bases(self) -> list[DN] | None:
        """Return the domains that the actor sees, None for all of them."""
        if _is_global(self._require_entry()):
            return None
        return [self.places.domain(name) for name in self.managed()]

    def managed(self) -> list[str]:
        """Return the domains that name the actor, sorted."""
        return sorted(entry.first("domainName").lower() for entry in self._naming(self.address))

    def sees(self, domain: str) -> bool:
        """Tell whether `domain` exists for the actor."""
        try:
            self.require(domain)
        except NotFound:
            return False
        return True

    def allow_new_domain(self, wanted: Mapping[str, Any]) -> None:
        """Raise unless one more domain with these limits fits; `wanted` has them as `allow_limits` takes them."""
        limits = self._limits()
        if limits is None:
            return
        count = len(self.managed())
        if limits.max_domains is not None and count >= limits.max_domains:
            raise LimitExceeded(f"{self.address} manages {count} domains and may create no more", subject=self.address)
        self._check_allocation(limits, "", wanted)

    def allow_limits(self, domain: str, wanted: Mapping[str, Any]) -> None:
        """Raise unless `domain` may get limits.

        `wanted` has those that change, in iRedMail's units: ``numberOfUsers``, ``numberOfAliases``, ``numberOfLists``, and
        ``domainQuota`` in MB.
        """
        limits = self._limits()
        if limits is not None:
            self._check_allocation(limits, domain, wanted)

    def _check_allocation(self, limits: AdminLimits, domain: str, wanted: Mapping[str, Any]) -> None:
        others = self._allocated(domain)
        for key, (limit_name, noun) in _ALLOCATED.items():
            limit: int | None = getattr(limits, limit_name)
            if limit is not None and key in wanted:
                check_allocation(self.address, noun, wanted=from_limit(wanted[key]), others=others[key], limit=limit)
        if not limits.max_quota.unlimited and "domainQuota" in wanted:
            check_allocation(
                self.address, "bytes of quota", wanted=from_megabytes(wanted["domainQuota"]).bytes,
                others=others["domainQuota"] << 20, limit=limits.max_quota.bytes or 0,
            )  # fmt: skip

    def _allocated(self, without: str) -> dict[str, int]:
        """Return what is allocated to the managed domains, `without` left out. Unlimited adds nothing."""
        sums = dict.fromkeys((*_ALLOCATED, "domainQuota"), 0)
        for entry in self.directory.search(
            self.places.domains, equals("domainAdmin", self.address), scope="one",
            attributes=("domainName", "accountSetting"),
        ):  # fmt: skip
            settings = Settings.of(entry)
            if entry.first("domainName").lower() == without:
                continue
            for key in _ALLOCATED:
                sums[key] += max(settings.number(key) or 0, 0)
            sums["domainQuota"] += domain_quota(settings)
        return sums

    def _limits(self) -> AdminLimits | None:
        """Return the limits of the actor; None for a global admin."""
        entry = self._require_entry()
        return None if _is_global(entry) else _limits_in(entry)

    def _require_entry(self) -> Entry:
        entry = self._entry()
        if entry is None:
            raise PermissionDenied(f"{self.address} is not an enabled admin any more", subject=self.address)
        return entry

    def _entry(self) -> Entry | None:
        """Return the entry of the actor if it is an enabled admin."""
        attributes = ("objectClass", "accountStatus", "domainGlobalAdmin", "accountSetting", ATTRIBUTE)
        account = self.directory.read(self.places.account(self.address), attributes)
        if account is not None:
            admin = _is_global(account) or account.has(ATTRIBUTE, ADMIN)
            return account if admin and is_active(account) else None
        standalone = self.directory.read(self.places.admin(self.address), attributes)
        return standalone if standalone is not None and is_active(standalone) else None


def _is_global(entry: Entry) -> bool:
    return entry.has("domainGlobalAdmin", "yes")


def _limits_in(entry: Entry) -> AdminLimits:
    return AdminLimits.read(Settings.of(entry)) if entry.has("objectClass", "mailAdmin") else AdminLimits()


def _creates(entry: Entry) -> bool:
    return _limits_in(entry).max_domains != 0


def _kind(entry: Entry) -> Kind:
    return iredmail_kind(everything=_is_global(entry), creates=_creates(entry))
