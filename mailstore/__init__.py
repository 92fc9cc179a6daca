"""Write mail domains, accounts, aliases and deletions straight into the stores of existing mail servers.

>>> import mailstore
>>> store = mailstore.open_store("iredmail+postgresql://vmailadmin@127.0.0.1/vmail", homes="/var/vmail/vmail1")
>>> store.domains.create("example.com", quota="100G", default_account_quota="1G")
>>> store.accounts.create("bob@example.com", password="...", name="Bob")

The contract is `mailstore.store`, the records are in `mailstore.model`, the errors in `mailstore.errors`. Drivers, and
the packages that they need, are imported when a store is opened.
"""

from __future__ import annotations

from mailstore.errors import (
    AlreadyExists,
    BulkRefused,
    ConfigurationError,
    Conflict,
    HomeError,
    HomeRefused,
    InvalidAddress,
    InvalidPassword,
    InvalidQuota,
    InvalidValue,
    LimitExceeded,
    MailstoreError,
    NotFound,
    NotSupported,
    PermissionDenied,
    Refused,
    SchemaMismatch,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from mailstore.model import (
    Account,
    Admin,
    Alias,
    Capability,
    DeletedDomain,
    DeletedMailbox,
    Domain,
    Edit,
    Finding,
    LastLogin,
    MailingList,
    Notice,
    Usage,
)
from mailstore.purge import purge_due
from mailstore.quota import UNLIMITED, Quota
from mailstore.registry import open_config, open_store
from mailstore.store import Store
from mailstore.version import __version__

__all__ = [
    "UNLIMITED",
    "Account",
    "Admin",
    "Alias",
    "AlreadyExists",
    "BulkRefused",
    "Capability",
    "ConfigurationError",
    "Conflict",
    "DeletedDomain",
    "DeletedMailbox",
    "Domain",
    "Edit",
    "Finding",
    "HomeError",
    "HomeRefused",
    "InvalidAddress",
    "InvalidPassword",
    "InvalidQuota",
    "InvalidValue",
    "LastLogin",
    "LimitExceeded",
    "MailingList",
    "MailstoreError",
    "NotFound",
    "NotSupported",
    "Notice",
    "PermissionDenied",
    "Quota",
    "Refused",
    "SchemaMismatch",
    "Store",
    "StoreDenied",
    "StoreError",
    "StoreUnavailable",
    "Usage",
    "__version__",
    "open_config",
    "open_store",
    "purge_due",
]
