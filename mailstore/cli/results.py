"""What commands answer that the library has no record for. Their fields are part of the output formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made
from datetime import date, datetime
from typing import Any

from mailstore.policies import Limit

__all__ = [
    "UNDEFINED",
    "AppliedChange",
    "Deleted",
    "DeletedAccount",
    "DeletedDomain",
    "DeletedRows",
    "DeletedSetting",
    "Diagnosis",
    "EffectiveLimit",
    "EffectiveSetting",
    "Handled",
    "HandledWithPassword",
    "HttpToken",
    "ImportedRow",
    "LoadedRecord",
    "PlannedChange",
    "Purged",
    "SchemaPart",
    "SpfDomain",
    "StoreStatus",
    "Updated",
    "Verified",
]


@dataclass(frozen=True)
class Deleted:
    """An alias, an admin or a record that is gone, or would be."""

    address: str
    dry_run: bool = False


@dataclass(frozen=True)
class HttpToken:
    """A token of the HTTP API, without what is secret of it."""

    name: str
    id: str
    access: str
    stores: tuple[str, ...]
    domains: tuple[str, ...]
    admin: str
    created: datetime
    expires: datetime | None


@dataclass(frozen=True)
class DeletedAccount:
    """A deleted account, and the record of its mailbox if it had one; a dry run leaves no record."""

    address: str
    dry_run: bool
    id: int | None
    due: date | None
    home: str


@dataclass(frozen=True)
class DeletedDomain:
    """A deleted domain, and how many accounts went with it."""

    domain: str
    dry_run: bool
    accounts: int


@dataclass(frozen=True)
class DeletedRows:
    """How many rows are gone, or would be."""

    rows: int
    dry_run: bool


@dataclass(frozen=True)
class Updated:
    """A change to all accounts of a domain."""

    domain: str
    dry_run: bool
    accounts: int


@dataclass(frozen=True)
class DeletedSetting:
    """A level that has a setting no more; `direction` only where there are two."""

    level: str
    dry_run: bool
    direction: str = ""


@dataclass(frozen=True)
class EffectiveSetting:
    """What applies, and the level that it comes from; an empty one stands for the scanner's own configuration.

    ``note`` says what is uncertain about it.
    """

    setting: str
    value: bool | float | None
    level: str
    note: str


@dataclass(frozen=True)
class EffectiveLimit:
    """What applies in which period (seconds), and the level that it comes from; an empty one for none.

    ``note`` says what is uncertain about it.
    """

    limit: str
    value: Limit
    period: int | None
    level: str
    note: str


UNDEFINED = "undefined: rules of one priority disagree"
"""The note of a value for which the daemon takes what its database happens to answer first."""


@dataclass(frozen=True)
class SpfDomain:
    """A domain whose servers are never greylisted."""

    domain: str


@dataclass(frozen=True)
class Handled:
    """What became of one of several names: ``created``, ``updated`` and so on, or ``missing``, ``skipped``, ``refused``,
    ``failed``, ``not tried``.

    ``error`` is the class of what stood in the way, ``field`` the parameter that it is about; ``record`` is what came of it.
    """

    name: str
    action: str
    reason: str = ""
    error: str = ""
    field: str = ""
    retryable: bool = False
    record: Mapping[str, Any] = made(default_factory=dict)


@dataclass(frozen=True)
class HandledWithPassword(Handled):
    """The same where passwords are made, which are told this once."""

    generated_password: str = ""


@dataclass(frozen=True)
class ImportedRow:
    """What became of one row of an import: ``created``, ``updated``, ``would create``, ``would update``, ``skipped``,
    ``refused`` or ``not tried``.

    ``line`` is where it begins in the file, ``error`` the class of what stood in the way, ``field`` the column it is about.
    """

    address: str
    row: int
    line: int
    action: str
    reason: str = ""
    error: str = ""
    field: str = ""


@dataclass(frozen=True)
class LoadedRecord:
    """What became of one record: ``created``, ``updated``, ``unchanged``, ``skipped``, ``refused``, or, where both sides are
    compared, ``missing`` or ``different``.

    ``lost`` names the fields that say something which the store has no place for, or holds otherwise; ``line`` is that of
    the file, 0 without one. ``was`` is what it is called where it comes from, if a mapping gives it another name.
    """

    record: str
    name: str
    action: str
    lost: tuple[str, ...] = ()
    reason: str = ""
    line: int = 0
    was: str = ""


@dataclass(frozen=True)
class AppliedChange:
    """What became of one difference between a store and a state: ``created``, ``updated``, ``disabled``, ``deleted``,
    ``demoted`` or ``refused``; what only would be done says so.

    ``lost`` names declared fields that the store has no place for.
    """

    record: str
    name: str
    action: str
    lost: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class PlannedChange:
    """One difference between a store and a state: what to do, and for the fields that differ what is and what shall be."""

    record: str
    name: str
    action: str
    present: Mapping[str, Any]
    wanted: Mapping[str, Any]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Purged:
    """What became of one mailbox; actions, `bytes` and `files` are those of `mailstore.purge.Outcome`."""

    address: str
    id: int | None
    action: str
    reason: str
    bytes: int
    files: int
    home: str


@dataclass(frozen=True)
class SchemaPart:
    """A table, or ``table.column``, that is ``created``, ``missing``, ``absent`` (optional) or ``foreign``.

    In a directory an entry, an object class or ``class.attribute``; ``unknown`` is what the server does not tell.
    """

    name: str
    state: str


@dataclass(frozen=True)
class Verified:
    """Whether a password was right."""

    address: str
    verified: bool


@dataclass(frozen=True)
class StoreStatus:
    """How a store is; what is not known, or does not apply, is None."""

    store: str
    url: str
    schema: str = ""
    domains: int | None = None
    accounts: int | None = None
    waiting: int | None = None
    due: int | None = None
    overdue: int | None = None
    free_bytes: int | None = None
    errors: int | None = None
    last_purge: datetime | None = None
    last_check: datetime | None = None
    error: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What was tried, how it went (``good``, ``warning`` or ``fails``), and what to do about it."""

    subject: str
    state: str
    found: str
    advice: str = ""
