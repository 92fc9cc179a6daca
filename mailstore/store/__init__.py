"""The contract that every store keeps. Its docstrings are the specification; drivers add none of their own.

Rules for all operations:

- An operation happens wholly or not at all. Inside `Store.transaction` several happen together; without it, each one
  commits by itself. An operation that raises inside a transaction leaves that transaction as it was before the call.
- Addresses and domains are normalised (`mailstore.address`); what cannot be stored raises InvalidAddress. What may be
  created is each store's own rule; what may be named, to read, change, rename, delete, restore or take out of a set, is
  whatever the store holds, and asking whether that exists answers True or False. A name is looked for as it is given, then
  as readers fold it.
- Accounts, aliases, per-account aliases, lists, and all of these under every alias domain share one name space: taking a
  name in use raises AlreadyExists, in a race for exactly one of the callers.
- Reading something that does not exist raises NotFound. Reads see what is committed, or the running transaction.
- Lists are lazy iterators, read in pages, in rising order of their first field (address or domain). What changes during
  the iteration may or may not be seen.
- A feature that the store or its schema version lacks raises NotSupported and says which.
- The store's fault raises StoreError; ``error.temporary`` tells whether trying again may help.
- Stores are safe to use from several threads; a transaction belongs to the thread that opened it.
"""

from __future__ import annotations

from mailstore.store.accounts import Accounts
from mailstore.store.admins import Admins
from mailstore.store.aliases import Aliases
from mailstore.store.base import Store
from mailstore.store.deleted import Claim, DeletedMailboxes
from mailstore.store.domains import Domains
from mailstore.store.lists import MailingLists
from mailstore.store.policies import AccessLists, Greylisting, SpamPolicies, Throttles

__all__ = [
    "AccessLists",
    "Accounts",
    "Admins",
    "Aliases",
    "Claim",
    "DeletedMailboxes",
    "Domains",
    "Greylisting",
    "MailingLists",
    "SpamPolicies",
    "Store",
    "Throttles",
]
