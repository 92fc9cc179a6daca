"""Checks of single entries below a domain, against what is known of the domains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from mailstore import passwords
from mailstore.address import domain_part, unserved
from mailstore.config import StoreConfig
from mailstore.driver.iredmail.panel import panel_verifies
from mailstore.driver.readings import unreadable
from mailstore.driver.values import mailbox_folder, mailbox_format, networks, next_hop
from mailstore.errors import InvalidPassword, InvalidValue
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.entries import account_problems
from mailstore.ldap.iredmail.check.survey import (
    ALIAS,
    CATCH_ALL,
    EXTERNAL,
    LIST,
    USER,
    HostedDomain,
    Survey,
    shown,
)
from mailstore.ldap.iredmail.domain_facts import is_active
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.iredmail.schemes import stored_form
from mailstore.ldap.names import DN, same_dn
from mailstore.model import Finding

__all__ = ["READ_BY_SERVERS", "EntryChecks", "panel_passwords"]

_PATH_PARTS: Mapping[str, Callable[[str], object]] = {"mailboxFormat": mailbox_format, "mailboxFolder": mailbox_folder}
_FOREIGN: Mapping[str, Callable[[str], object]] = {
    "allowNets": lambda value: networks(value.split(",")), "senderRelayHost": next_hop,
}  # fmt: skip
READ_BY_SERVERS = (
    "homeDirectory", "storageBaseDirectory", "mailMessageStore", "shadowLastChange", *_PATH_PARTS, *_FOREIGN,
)  # fmt: skip
"""Attributes of accounts, besides those that hold addresses, in which a value may be one that mail servers cannot read."""


_PLACES: dict[str, Callable[[Places, str], DN]] = {
    USER: Places.account,
    LIST: Places.mailing_list,
    ALIAS: Places.alias,
    EXTERNAL: Places.externals,
    CATCH_ALL: lambda places, address: places.catch_all(domain_part(address)),
}


class EntryChecks:
    """Looks at entries one after the other."""

    def __init__(self, survey: Survey, config: StoreConfig) -> None:
        self._survey = survey
        self._config = config

    def check(self, entry: Entry, kind: str, hosted: HostedDomain) -> Iterator[Finding]:
        """Iterate over what is wrong with one entry of some kind."""
        yield from self._place(entry, kind)
        yield from self._holders(entry, kind)
        yield from self._alias_domains(entry, kind)
        yield from self._state(entry, hosted)
        yield from self._services(entry, kind)
        if kind == USER:
            yield from self._password(entry)
            yield from _values(entry)
            if why := unserved(shown(entry)):
                yield Finding("not-served", shown(entry), why, "notice")

    def _place(self, entry: Entry, kind: str) -> Iterator[Finding]:
        """Readers search the tree, but the panel and mailstore compute where an entry must be."""
        attribute = "memberOfGroup" if kind == EXTERNAL else "mail"
        addresses = [value.lower() for value in entry.values(attribute)]
        places, name = self._survey.places, addresses[0]
        if len(addresses) > 1:
            message = f"{entry.dn} has {len(addresses)} values of {attribute}; all but the one in its name must go"
            yield Finding("several-addresses", name, message)
        elif not _is(entry.dn, _PLACES[kind](places, name)):
            inside = self._survey.domain_of(entry, name)
            if inside != domain_part(name):
                message = f"it lies in the domain {inside}, which is not that of its address; move the entry"
                yield Finding("account-domain", name, message)
            else:
                yield Finding("misplaced", name, f"{entry.dn} is not where the panel looks for it; move the entry")

    def _holders(self, entry: Entry, kind: str) -> Iterator[Finding]:
        if kind == EXTERNAL:
            return
        for name in sorted(_names(entry, "mail", "shadowAddress")):
            holder = self._survey.holders.setdefault(name, entry.dn)
            if holder != entry.dn:
                yield Finding(
                    "two-holders", name, f"both {holder} and {entry.dn} have this address; Dovecot knows neither"
                )

    def _alias_domains(self, entry: Entry, kind: str) -> Iterator[Finding]:
        """Every address stands there once more for each alias domain of its domain, and for no others."""
        groups, shadows = _names(entry, "memberOfGroup"), _names(entry, "shadowAddress")
        if kind == EXTERNAL:
            yield from self._forms(entry, "shadowAddress", groups, {*groups, *shadows})
        else:
            named = _names(entry, "mail", "shadowAddress")
            yield from self._forms(entry, "shadowAddress", named, named)
            yield from self._forms(entry, "memberOfGroup", groups, groups)
        for attribute, values in (("shadowAddress", shadows), ("memberOfGroup", groups)):
            for value in sorted(values):
                if self._survey.owner(domain_part(value)) is None:
                    message = (
                        f"{attribute} of {shown(entry)} has it, but {domain_part(value)} is no domain of this store"
                    )
                    yield Finding("left-over", value, f"{message}; remove that alias domain again")

    def _forms(self, entry: Entry, attribute: str, names: Iterable[str], present: set[str]) -> Iterator[Finding]:
        wanted = set().union(*map(self._survey.aliases.forms, names))
        for value in sorted(wanted - present):
            message = f"{attribute} of {shown(entry)} lacks it; add the alias domain {domain_part(value)} again"
            yield Finding("no-alias-domain-form", value, message)

    def _state(self, entry: Entry, hosted: HostedDomain) -> Iterator[Finding]:
        enabled = is_active(hosted.entry)
        if entry.has("domainStatus", "disabled") == enabled:
            was, now = ("enabled", "disabled") if enabled else ("disabled", "enabled")
            message = f"its domain is {was}, but domainStatus says {now}; set the domain to {was} once more"
            yield Finding("half-disabled", shown(entry), message)

    def _services(self, entry: Entry, kind: str) -> Iterator[Finding]:
        if kind == CATCH_ALL:
            if entry.has(services.ATTRIBUTE):
                message = "the catch-all has services, so that it is taken for a mailbox; remove its enabledService"
                yield Finding("catch-all-services", shown(entry), message)
        elif not entry.has(services.ATTRIBUTE, "mail"):
            yield Finding(
                "no-mail-service", shown(entry), "its enabledService lacks mail: no mail server finds it", "notice"
            )

    def _password(self, entry: Entry) -> Iterator[Finding]:
        problems = [_unverifiable(value, self._config) for value in entry.values("userPassword")]
        if problems and all(problems):
            yield Finding("unusable-password", shown(entry), f"it cannot log in: {problems[0]}", "notice")


def _values(entry: Entry) -> Iterator[Finding]:
    """Iterate over what mail servers cannot read, or must not believe.

    Under iRedMail's access rules users may write all of it but the home. Its files for Dovecot make a path of two values.
    """
    unsafe = _refused(entry, _PATH_PARTS)
    for attribute, problem in unsafe.items():
        message = (
            f"{problem}; iRedMail's own Dovecot opens whatever that leads to, another's mailbox perhaps: remove it"
        )
        yield Finding("unsafe-mailbox", shown(entry), f"{attribute}: {message}")
    for attribute, problem in _refused(entry, _FOREIGN).items():
        yield unreadable(shown(entry), f"{attribute}: {problem}")
    for problem in account_problems(entry):
        if problem.partition(" ")[0] not in unsafe:
            yield unreadable(shown(entry), problem)


def _refused(entry: Entry, checks: Mapping[str, Callable[[str], object]]) -> dict[str, str]:
    """Return by attribute why its value would not be taken for a new account."""
    found = {}
    for attribute, check in checks.items():
        try:
            if entry.has(attribute):
                check(entry.first(attribute))
        except InvalidValue as error:
            found[attribute] = error.message
    return found


def panel_passwords(entry: Entry) -> Iterator[Finding]:
    """Iterate over what is wrong with the password of an admin, whom the panel must be able to let in."""
    problems = [_unverifiable_by_panel(value) for value in entry.values("userPassword")]
    if problems and all(problems):
        yield Finding("admin-password", shown(entry), str(problems[0]), "notice")


def _is(name: DN, wanted: DN) -> bool:
    return name == wanted or same_dn(name, wanted)  # comparing what differs takes ten times as long


def _names(entry: Entry, *attributes: str) -> set[str]:
    return {value.lower() for name in attributes for value in entry.values(name)}


def _unverifiable(stored: str, config: StoreConfig) -> str | None:
    """Return why nobody could verify a hash in the configured way."""
    by_lookup = config.login_by == "lookup"
    if not stored.startswith("{"):
        # To Dovecot this is a hash of crypt(3). slapd compares it as plain text, whatever it is.
        readable = stored.startswith("$") == by_lookup
        return None if readable else "its password is stored without a scheme; set the password again"
    try:
        wanted = stored_form(stored, config)
    except InvalidPassword as error:
        return error.message
    if by_lookup:  # Dovecot goes by any name and encoding
        return None
    known = wanted.partition("}")[0].lower() == stored.partition("}")[0].lower()
    return None if known else f"slapd knows {passwords.scheme_of(stored)} by another name only; set the password again"


def _unverifiable_by_panel(stored: str) -> str | None:
    try:
        scheme = passwords.scheme_of(stored)
    except InvalidPassword as error:
        return error.message
    if panel_verifies(stored):
        return None
    return f"iRedAdmin cannot verify {scheme}; set the password again"
