"""Names of atmail's permissions, and when one contains another."""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["ALL", "DOMAIN_ADMIN", "KNOWN_PERMISSIONS", "grants", "lacking"]

ALL = "all"
"""The right to everything. Cloud editions do not offer it."""

KNOWN_PERMISSIONS: Mapping[str, str] = {
    "all": "Access to everything",
    "account.add": "Right to add accounts",
    **dict.fromkeys((
        "account.all", "account.delete", "account.edit", "account.list", "account.view", "account.import",
        "account.export", "domain.all", "domain.add", "domain.delete", "domain.edit", "domain.view", "service.all",
        "service.imap.view", "service.imap.edit", "service.smtp.view", "service.smtp.edit", "service.spam.view",
        "service.mailaliases.list", "service.mailaliases.add", "service.mailaliases.delete",
    ), ""),
}  # fmt: skip
"""The names that the vendor's documentation shows; servers have more. Ids differ, so that they are looked up by name."""

DOMAIN_ADMIN = (
    "account.all", "domain.view", "service.mailaliases.list", "service.mailaliases.add", "service.mailaliases.delete",
)  # fmt: skip
"""What an admin of domains gets unless the caller chooses."""


def grants(held: Collection[str], wanted: str) -> bool:
    """Tell whether somebody who holds the permissions `held` may do what `wanted` names.

    ``all`` contains everything, and ``service.all`` every name that begins with ``service.``.
    """
    parts = wanted.split(".")
    prefixes = (".".join(parts[:length]) for length in range(1, len(parts)))
    return bool({ALL, wanted, *(f"{prefix}.{ALL}" for prefix in prefixes)} & set(held))


def lacking(held: Collection[str], wanted: Collection[str]) -> set[str]:
    """Return those of the permissions `wanted` that `held` does not contain."""
    return {name for name in wanted if not grants(held, name)}
