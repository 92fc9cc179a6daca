"""What an acting admin may see and do, looked up in the directory at every call.

Global admins may do everything. Others manage the domains whose ``domainAdmin`` names them: what lies in other domains does
not exist for them. The limits of an admin stand in its ``accountSetting``, which a mail user can write in its own entry:
they count for standalone admins only, and an admin that is a mail user creates no domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailstore.errors import LimitExceeded, NotFound, PermissionDenied
from mailstore.iredmail.admin_settings import AdminLimits, check_allocation
from mailstore.iredmail.units import from_limit, from_megabytes
from mailstore.ldap.connection import Directory, Entry
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.policy import domain_quota, is_active
from mailstore.ldap.iredmail.services import ADMIN, ATTRIBUTE
from mailstore.ldap.iredmail.settings import Settings
from mailstore.ldap.names import DN, equals

__all__ = ["Actor"]

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

    def require_domain(self, domain: str) -> None:
        """Raise NotFound unless the actor manages `domain`, PermissionDenied if it is no enabled admin any more."""
        entry = self._require_entry()
        if _is_global(entry):
            return
        found = self.directory.read(self.places.domain(domain), ("domainAdmin",))
        if found is None or not found.has("domainAdmin", self.address):
            raise NotFound(f"there is no domain {domain} that {self.address} manages", subject=domain)

    def require_global(self, what: str) -> None:
        """Raise PermissionDenied unless the actor is a global admin."""
        if not self.is_global():
            raise PermissionDenied(f"{self.address} is no global admin and may not {what}", subject=self.address)

    def is_global(self) -> bool:
        """Tell whether the actor may do everything."""
        entry = self._entry()
        return entry is not None and _is_global(entry)

    def refuse_global_admin(self, account: Entry) -> None:
        """Raise PermissionDenied if an account is that of a global admin and the actor is none.

        Whoever sets the password of a global admin is one.
        """
        if _is_global(account):
            self.require_global("touch the account of a global admin")

    def bases(self) -> list[DN] | None:
        """Return the domains that the actor sees, None for all of them."""
        if _is_global(self._require_entry()):
            return None
        return [self.places.domain(name) for name in self.managed()]

    def managed(self) -> list[str]:
        """Return the domains that name the actor, sorted."""
        found = self.directory.search(
            self.places.domains, equals("domainAdmin", self.address), scope="one", attributes=("domainName",)
        )
        return sorted(entry.first("domainName").lower() for entry in found)

    def sees(self, domain: str) -> bool:
        """Tell whether `domain` exists for the actor."""
        try:
            self.require_domain(domain)
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

    def allow_deletion(self) -> None:
        """Raise PermissionDenied unless the actor may delete the domains that it manages."""
        self._limits()

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
        """Return the limits of the actor; None for a global admin. Raises PermissionDenied if it may create no domains."""
        entry = self._require_entry()
        if _is_global(entry):
            return None
        limits = AdminLimits.read(Settings.of(entry)) if entry.has("objectClass", "mailAdmin") else AdminLimits()
        if limits.max_domains == 0:
            raise PermissionDenied(
                f"{self.address} may not create or delete domains or set their limits", subject=self.address
            )
        return limits

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
