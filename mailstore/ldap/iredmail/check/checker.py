"""What a healthy tree holds to, and what is not so.

Everything is read once, in pages and with the needed attributes only; what is kept in memory grows with the number of
addresses. Readers see no single moment of a directory: what is written meanwhile may look broken, so errors are looked for
twice, and those that both times show are told.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail import services
from mailstore.ldap.iredmail.accounts.changes import is_admin
from mailstore.ldap.iredmail.admins.entries import STANDALONE
from mailstore.ldap.iredmail.check.domains import check_domains, check_locks
from mailstore.ldap.iredmail.check.entries import READ_BY_SERVERS, EntryChecks, panel_passwords
from mailstore.ldap.iredmail.check.references import ReferenceChecks, check_rows
from mailstore.ldap.iredmail.check.survey import EXTERNAL, USER, Survey, kind_of, shown
from mailstore.ldap.iredmail.context import Context
from mailstore.ldap.iredmail.domains.entries import DOMAIN
from mailstore.ldap.iredmail.names.references import ADDRESSES, NAMES
from mailstore.ldap.names import present, rdn_value, same_dn
from mailstore.model import Finding

__all__ = ["Checker"]

_DOMAIN_ATTRIBUTES = (
    "objectClass", "domainName", "domainAliasName", "accountStatus", "domainBackupMX", "accountSetting",
    services.ATTRIBUTE, "domainAdmin", "domainSenderBccAddress", "domainRecipientBccAddress", "domainCurrentUserNumber",
    "domainCurrentAliasNumber", "domainCurrentListNumber", "createTimestamp", "modifyTimestamp",
)  # fmt: skip
_ENTRY_ATTRIBUTES = (
    "objectClass", "mail", "shadowAddress", "accountStatus", "domainStatus", "domainGlobalAdmin", "mailQuota",
    "userPassword", services.ATTRIBUTE, *ADDRESSES, *NAMES, *READ_BY_SERVERS, "createTimestamp", "modifyTimestamp",
)  # fmt: skip


class Checker:
    """Runs all checks on one tree."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(self) -> Iterator[Finding]:
        """Iterate over everything that is wrong."""
        found = list(dict.fromkeys(self._look()))
        if any(finding.severity == "error" for finding in found):
            again = set(self._look())
            found = [finding for finding in found if finding in again]
        yield from found

    def _look(self) -> Iterator[Finding]:
        survey = self._survey()
        entries, references = EntryChecks(survey, self._context.config), ReferenceChecks(survey)
        for hosted in survey.domains.values():
            references.collect(hosted.entry)
        for entry in self._entries():
            yield from self._entry(survey, entries, references, entry)
        yield from references.run()
        yield from survey.maps().dead_ends()
        yield from check_domains(survey)
        yield from self._top()
        for admin in survey.standalone.values():
            yield from panel_passwords(admin)
        yield from check_rows(self._context.companion, survey.accounts)

    def _survey(self) -> Survey:
        places, directory = self._context.places, self._context.directory
        domains = directory.search(places.domains, DOMAIN, scope="one", attributes=_DOMAIN_ATTRIBUTES)
        admins = directory.search(places.admins, STANDALONE, scope="one", attributes=("mail", "userPassword"))
        return Survey(places, domains, admins)

    def _entries(self) -> Iterator[Entry]:
        """Iterate over what lies below the domains. The server leaves out attributes that an old schema lacks."""
        domains, everything = self._context.places.domains, present("objectClass")
        return self._context.directory.search(domains, everything, attributes=_ENTRY_ATTRIBUTES)

    def _entry(
        self, survey: Survey, entries: EntryChecks, references: ReferenceChecks, entry: Entry
    ) -> Iterator[Finding]:
        kind = kind_of(entry)
        if kind is None:
            _note_unit(survey, entry)
            return
        name = entry.first("memberOfGroup" if kind == EXTERNAL else "mail").lower()
        hosted = survey.domains.get(survey.domain_of(entry, name) or "")
        if hosted is None:  # perhaps its domain was made after the domains were read: then the second look finds it
            yield Finding("misplaced", name, f"{entry.dn} lies in no domain; move or delete the entry")
            return
        survey.note(entry, kind, hosted)
        yield from entries.check(entry, kind, hosted)
        references.collect(entry)
        if kind == USER and is_admin(entry):
            yield from panel_passwords(entry)
        if kind == EXTERNAL and not entry.has("mail"):
            yield Finding("no-members", entry.dn, f"{shown(entry)} is empty; delete the entry", "notice")

    def _top(self) -> Iterator[Finding]:
        domains = self._context.places.domains
        entry = self._context.directory.read(domains, ("description",))
        if entry is not None:
            yield from check_locks(entry, domains, "description")


def _note_unit(survey: Survey, entry: Entry) -> None:
    """Take note of an organizational unit right below a domain."""
    if entry.has("objectClass", "organizationalUnit"):
        domain, unit = survey.domain_of(entry, "") or "", rdn_value(entry.dn)
        if domain in survey.domains and same_dn(entry.dn, survey.places.unit(domain, unit)):
            survey.domains[domain].units.add(unit.lower())
