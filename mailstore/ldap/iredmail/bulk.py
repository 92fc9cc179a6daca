"""Changes to every account of a domain at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mailstore import passwords
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.accounts.changes import password_changes
from mailstore.ldap.iredmail.accounts.entries import ACCOUNT
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.edits import set_value
from mailstore.ldap.iredmail.names.name_space import NameSpace
from mailstore.ldap.iredmail.accounts.new import ATTRIBUTES, secret, status
from mailstore.ldap.iredmail.places import USERS
from mailstore.ldap.iredmail.domain_facts import policy_of
from mailstore.ldap.iredmail.services import ATTRIBUTE
from mailstore.driver.rights import ACCOUNT_FIELDS, Operation, asked
from mailstore.driver.secret import Secret
from mailstore.driver.values import checked

__all__ = ["update_all"]

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
