"""References between entries: whether what they name is there. Foreign addresses are left alone; nobody here knows them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from sqlalchemy import select

from mailstore.address import domain_part
from mailstore.ldap.connection import Entry
from mailstore.ldap.iredmail.check.survey import EXTERNAL, Survey, shown
from mailstore.ldap.iredmail.names.references import NAMES, values_of
from mailstore.ldap.iredmail.records_database import Companion
from mailstore.ldap.names import is_within, rdn_value, same_dn
from mailstore.model import Finding

__all__ = ["ReferenceChecks", "check_rows"]

_SENDS_MAIL = frozenset(
    {
        "mail", "mailForwardingAddress", "domainSenderBccAddress", "domainRecipientBccAddress", "userSenderBccAddress",
        "userRecipientBccAddress",
    }
)  # fmt: skip


class _Reference(NamedTuple):
    value: str
    attribute: str
    holder: str


class ReferenceChecks:
    """Collects references to what was not seen yet, and looks at them when everything was."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._open: list[_Reference] = []

    def collect(self, entry: Entry) -> None:
        """Remember what an entry refers to."""
        holder = shown(entry)
        references = list(values_of(entry))
        if entry.has("objectClass", EXTERNAL):
            references += [("memberOfGroup", value) for value in entry.values("memberOfGroup")]
        for attribute, value in references:
            if self._can_be_known(attribute, value.lower()):
                self._open.append(_Reference(value.lower(), attribute, holder))

    def run(self) -> Iterator[Finding]:
        """Iterate over those that lead nowhere."""
        for reference in sorted(self._open):
            finding = self._judge(*reference)
            if finding is not None:
                yield finding

    def _can_be_known(self, attribute: str, value: str) -> bool:
        if attribute in NAMES:
            return is_within(value, self._survey.places.domains)
        if attribute == "domainAdmin":
            return value not in self._survey.admins
        if attribute == "memberOfGroup":
            return value not in self._survey.lists and self._survey.owner(domain_part(value)) is not None
        local, _, domain = value.rpartition("@")
        return local not in ("", "*") and not self._survey.knows(value) and self._survey.owner(domain) is not None

    def _judge(self, value: str, attribute: str, holder: str) -> Finding | None:
        survey = self._survey
        if attribute == "domainAdmin":
            return self._judge_admin(value, holder)
        if attribute == "memberOfGroup":
            return None if value in survey.lists else _left_over(value, attribute, holder, "list")
        if attribute in NAMES:
            found = survey.holders.get(rdn_value(value))
            there = found is not None and same_dn(found, value)
            return None if there else _left_over(value, attribute, holder, "entry")
        if survey.knows(value):
            return None
        if attribute not in _SENDS_MAIL:
            message = f"{attribute} of {holder} names this address, which does not exist"
            return Finding("dangling-reference", value, message, "notice")
        if survey.catches(domain_part(value)):
            return None
        return Finding(
            "alias-to-nowhere", value, f"{holder} sends mail to this address, which does not exist", "notice"
        )

    def _judge_admin(self, value: str, domain: str) -> Finding | None:
        """Look at an admin of a domain; a foreign one must be a standalone admin."""
        survey = self._survey
        if value in survey.admins or value in survey.standalone:
            return None
        if value in survey.accounts:
            message = f"{domain} names this account as an admin, but it has no service domainadmin; promote it again"
            return Finding("unmarked-admin", value, message, "notice")
        return _left_over(value, "domainAdmin", domain, "admin")


def _left_over(value: str, attribute: str, holder: str, noun: str) -> Finding:
    message = f"{attribute} of {holder} names this {noun}, which is not here; a new one of that name would get it"
    return Finding("left-over", value, message)


def check_rows(companion: Companion, accounts: Collection[str]) -> Iterator[Finding]:
    """Iterate over rows of nobody: a new account of that name would get them."""
    for table, columns in companion.address_columns():
        for column in columns:
            with companion.db.reading() as connection:
                found = connection.execute(select(column).distinct().order_by(column)).scalars()
                gone = [str(name) for name in found if str(name).lower() not in accounts]
            for name in gone:
                message = f"{table.name}.{column.name} has a row for this address, which is not here"
                yield Finding("left-over", name, message, "notice")
