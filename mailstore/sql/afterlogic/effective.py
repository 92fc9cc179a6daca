"""What a domain's row means: which of its values count, and which come from the default domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["effective", "has_own_settings", "overridable"]


def overridable(column: str) -> bool:
    """Tell whether a column of a domain can be replaced by the default domain's; mail servers and logins never are."""
    return not column.startswith("mail_")


def has_own_settings(row: Mapping[Any, Any]) -> bool:
    """Tell whether a domain lives by its own row. Domains of tenants always do."""
    return bool(row["override_settings"] or row["id_tenant"])


def effective(row: Mapping[Any, Any] | None, default: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by which a domain lives; without a row, those of the default domain, whose number is 0."""
    if row is None:
        return {"id_domain": 0, "id_tenant": 0, "is_internal": 0, "name": "", **default}
    values = {**default, **row}  # old versions have fewer columns
    if has_own_settings(row):
        return values
    return values | {column: value for column, value in default.items() if overridable(column)}
