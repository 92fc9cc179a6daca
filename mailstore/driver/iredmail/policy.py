"""What a domain lays down for its accounts: defaults and limits, as iRedMail counts them.

Disabled accounts count, per-account aliases do not; the quota counts as allocated, not as used.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailstore.errors import InvalidPassword, LimitExceeded, PermissionDenied

__all__ = ["DomainPolicy"]


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """The defaults and limits of one domain, in iRedMail's units: MB; 0 unlimited, -1 (in counts) none."""

    domain: str
    max_accounts: int
    max_aliases: int
    max_lists: int
    quota: int
    default_account_quota: int
    max_account_quota: int
    default_language: str
    min_password_length: int
    max_password_length: int
    disabled_services: tuple[str, ...]

    @property
    def limits_passwords(self) -> bool:
        """Whether passwords may not be as long, or short, as one likes."""
        return self.min_password_length > 0 or self.max_password_length > 0

    def no_ready_hash(self, who: str, address: str) -> PermissionDenied:
        """Return the error for an admin whom the length limits bind: nobody sees how long a hashed password is."""
        return PermissionDenied(
            f"{address}: passwords in this domain have a limited length; {who} may give no ready hash, only a password",
            subject=who,
        )

    def check_password(self, password: str | None, address: str) -> None:
        """Raise InvalidPassword if a password, where it is known, breaks the length limits."""
        if password is None:
            return
        shortest, longest = self.min_password_length, self.max_password_length
        if len(password) < shortest:
            raise InvalidPassword(
                f"{address}: passwords in this domain need {shortest} characters or more", subject=address
            )
        if 0 < longest < len(password):
            raise InvalidPassword(f"{address}: passwords in this domain may have {longest} characters", subject=address)

    def check_account_quota(self, address: str, quota: int) -> None:
        """Raise LimitExceeded unless an account may have `quota` MB (0 unlimited), for itself."""
        most = self.max_account_quota
        if not (most or self.quota):
            return
        if quota == 0 and (most or self.quota):
            raise LimitExceeded(
                f"{address}: an unlimited quota is not possible under a quota of the domain; give a quota",
                subject=address,
                field="quota",
            )
        if 0 < most < quota:
            raise LimitExceeded(
                f"{address}: accounts of this domain may have {most}M, not {quota}M", subject=address, field="quota"
            )

    def check_count(self, *, count: int, allocated: int, adding: int, quota: int) -> None:
        """Raise LimitExceeded unless `adding` more accounts with `quota` MB together fit beside those that are there.

        `count` accounts are there, with `allocated` MB together.
        """
        name, most = self.domain, self.max_accounts
        if adding and most < 0:
            raise LimitExceeded(f"domain {name} may have no accounts", subject=name)
        if adding and 0 < most < count + adding:
            raise LimitExceeded(f"domain {name} may have {most} accounts and has {count}", subject=name)
        if 0 < self.quota < allocated + quota:
            raise LimitExceeded(
                f"domain {name} has a quota of {self.quota}M, of which {allocated}M are allocated; {quota}M more do not fit",
                subject=name,
                field="quota",
            )
