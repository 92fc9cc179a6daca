"""Bringing a deleted account back from its record: the mailbox itself, and whatever of its surroundings still fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, exc, exists, select

from mailstore.address import domain_part, local_part
from mailstore.driver.companions import levels
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.names import Spellings, plain_local_part
from mailstore.driver.secret import Secret
from mailstore.driver.values import now
from mailstore.errors import AlreadyExists
from mailstore.model import DeletedMailbox
from mailstore.purge import find_mail
from mailstore.sql.engine import Transaction
from mailstore.sql.iredmail import homes
from mailstore.sql.iredmail.admins.rows import demote_idle
from mailstore.sql.iredmail.context import Context
from mailstore.sql.iredmail.limits import check_accounts, policy_of
from mailstore.sql.iredmail.names.name_space import NameSpace
from mailstore.sql.iredmail.names.references import FORWARDERS, NEVER, Cleanup, Reference
from mailstore.sql.iredmail.records import Retention
from mailstore.sql.iredmail.rights import GLOBAL
from mailstore.sql.iredmail.routing.forwardings import forwarding_row
from mailstore.sql.iredmail.routing.services import Services
from mailstore.sql.iredmail.routing.shields import Shields
from mailstore.sql.iredmail.snapshots import MADE, POLICIES, UNCOPIED, anchor
from mailstore.sql.snapshots import Restored, unpacked

__all__ = ["Restoration", "take_copies"]

Row = Mapping[str, Any]


class Restoration:
    """One restore, within the transaction that has the record locked."""

    def __init__(self, context: Context, tx: Transaction, record: DeletedMailbox, snapshot: str | None) -> None:
        self._context = context
        self._tx = tx
        self._record = record
        self._rows: dict[str, list[Row]] = unpacked(snapshot)
        self._made: Any = self._rows.get(MADE)
        self._restored = Restored(context.db, tx)
        self._names = NameSpace(context)
        self._owners: dict[str, str | None] = {}

    def run(self, hashed: Secret | None) -> None:
        """Insert the account and what belongs to it. `hashed` is the password if there is no snapshot."""
        address = self._record.address
        policy = policy_of(self._names.lock_domain(self._tx, domain_part(address)))
        facts = self._names.facts(self._tx.connection, address)
        self._names.refuse_taken(facts, address)
        row = self._mailbox_row(policy, hashed)
        self.refuse_stronger()
        policy.check_account_quota(address, row["quota"])
        check_accounts(self._context, self._tx, policy, adding=1, quota=row["quota"])
        self._check_home()
        if facts["leftovers"]:
            Cleanup(self._context).remove_leftovers(self._tx, address)
        self._insert("mailbox", row)
        self._context.companions.claiming(levels([address]))
        if not self._rows:
            self._context.insert(self._tx, "forwardings", forwarding_row(address, address))
            return
        take_copies(self._context, self._tx, self._rows.get(UNCOPIED, ()))
        self._bring_back_forwardings()
        spellings = self._names.spellings(self._tx.connection, [address])
        kept: Any = self._rows.get(POLICIES, {})
        self._context.companions.bring_back(kept, spellings.names)
        cleanup, shields = Cleanup(self._context), Shields(self._context)
        for reference in cleanup.references:
            if reference.table == "domain_admins" and not _is_admin(row):
                continue  # rights that did not count then do not wait to count later
            if reference.table != "forwardings" and reference.back is not NEVER:
                self._bring_back(reference, spellings)
        cleanup.restore_self_rows(self._tx, [address, *map(str, self._rows.get(UNCOPIED, ()))])
        named = {address, *(str(row["address"]).lower() for row in self._rows.get("forwardings", []))}
        shields.renew(self._tx, {name for name in named if "@" in name})
        for domain in sorted(name for name in named if "@" not in name):
            shields.renew_domain(self._tx, domain)
        demote_idle(self._context, self._tx, [address])  # the domains that it managed may be gone
        self._restored.tell(address)

    def refuse_stronger(self) -> None:
        """Raise PermissionDenied if the account, as its record knows it, could do more than the acting admin."""
        actor, stored = self._context.actor, self._rows.get("mailbox")
        if actor and stored and _is_admin(stored[0]):
            listed = [str(other["domain"]) for other in self._rows.get("domain_admins", [])]
            actor.refuse_restoring(self._tx.connection, stored[0], listed)

    def _bring_back_forwardings(self) -> None:
        rows = self._rows.get("forwardings", [])
        own = [row for row in rows if self._is_alias(row)]
        fitting = [row for row in map(self._fitting_alias, own) if row is not None]
        gone = {str(row["address"]).lower() for row in own} - {str(row["address"]).lower() for row in fitting}
        for row in fitting:
            self._insert_if_free("forwardings", row)
        for row in rows:
            # Who led to an alias that is somebody else's by now does not lead there again.
            if not self._is_alias(row) and str(row["forwarding"]).lower() not in gone:
                fit = self._fitting(row)
                if fit is not None:
                    self._insert_if_free("forwardings", {**fit, **self._respelt(fit, "forwarding", "dest_domain")})

    def _bring_back(self, reference: Reference, spellings: Spellings) -> None:
        """Insert those rows of a table again that refer to the account in this column and still have their anchors."""
        for row in self._rows.get(reference.table, []):
            respelt = self._respelt(row, reference.column, reference.domain)
            if not spellings.meant({**row, **respelt}[reference.column]):
                continue
            if all(self._is_there(str(row[key]), places) for key, places in reference.back.items()):
                self._insert_if_free(reference.table, {**row, **respelt})

    def _respelt(self, row: Row, column: str, domain: str | None) -> Row:
        """Return what changes in a row that named the account under an alias domain which is none of its any more."""
        text, own = str(row[column]), self._record.domain
        if plain_local_part(text) != local_part(self._record.address) or domain_part(text.lower()) == own:
            return {}
        if self._owner(domain_part(text.lower())) == own:
            return {}
        return {column: f"{local_part(text)}@{own}", **({domain: own} if domain else {})}

    def _owner(self, domain: str) -> str | None:
        if domain not in self._owners:
            self._owners[domain] = self._names.owners(self._tx.connection, [domain]).get(domain)
        return self._owners[domain]

    def _is_alias(self, row: Row) -> bool:
        return bool(row["is_alias"]) and str(row["forwarding"]).lower() == self._record.address

    def _mailbox_row(self, policy: DomainPolicy, hashed: Secret | None) -> dict[str, Any]:
        stored = self._rows.get("mailbox")
        if stored:
            return {**stored[0], "modified": now()}
        moment = now()
        columns = homes.given(self._context.config.new_home_root(), self._record.home).columns()
        return {
            "username": self._record.address, "domain": self._record.domain, "active": 1, "created": moment,
            "modified": moment, "passwordlastchange": moment, "password": hashed.hash if hashed else "",
            "quota": policy.default_account_quota, "language": policy.default_language,
            "settings": self._context.settings_text(""), **columns,
            **Services(self._context.schema).disabled_for_new(policy.disabled_services),
        }  # fmt: skip

    def _check_home(self) -> None:
        """Make sure that the mail is there, and that nobody else's is, nor at, in or above it."""
        Retention(self._context).refuse_used_homes(self._tx, [self._record.home], restoring=self._record.id)
        find_mail(self._context.homes, self._record)

    def _fitting(self, row: Row) -> Row | None:
        """Return a forwarding as it can be inserted now; None if its address is gone, or something else by now."""
        address = str(row["address"])
        place = next((place for flag, place in FORWARDERS.items() if row[flag]), None)
        if place is None and "@" in address:
            return None  # a shield, which is made anew if it is needed
        active = self._state(address, place or "domain.domain")
        return None if active is None else {**row, "active": 1 if place is None else active}

    def _fitting_alias(self, row: Row) -> Row | None:
        address = str(row["address"])
        owner = self._owner(domain_part(address))
        if owner is None:
            return None
        try:
            self._names.refuse_taken_aliases(self._tx.connection, {address: owner})
        except AlreadyExists:
            return None
        return {**row, "domain": owner}  # an alias domain may stand for another domain by now

    def _is_there(self, value: str, places: tuple[str, ...]) -> bool:
        return value == GLOBAL or any(self._state(value, place) is not None for place in places)

    def _state(self, value: str, place: str) -> int | None:
        """Return whether what is called `value` in `place` is active; None if it is not there.

        Something of that name that was made after the deletion is something else, but for the account itself. Records of
        early versions do not tell when it was made: for them its time is compared with that of the deletion.
        """
        table, name = place.split(".")
        if not self._context.schema.has(table):
            return None
        columns = self._context.table(table).c
        row = self._tx.execute(select(columns.active, columns.created).where(columns[name] == value)).first()
        if row is None:
            return None
        if value.lower() == self._record.address or not self._record.deleted:
            same = True
        elif self._made is not None:
            same = self._made.get(anchor(value, place)) == str(row.created)
        else:
            same = row.created is not None and row.created <= self._record.deleted
        return int(row.active) if same else None

    def _insert(self, name: str, row: Row) -> None:
        """Insert a row of a snapshot with all the columns it had, but with a new number."""
        self._restored.insert(self._context.table(name), row, without=("id",))

    def _insert_if_free(self, name: str, row: Row) -> None:
        """Insert a row unless somebody else has taken its place meanwhile."""
        try:
            with self._tx.connection.begin_nested():
                self._insert(name, row)
        except exc.IntegrityError:
            return


def _is_admin(row: Row) -> bool:
    return bool(row.get("isadmin") or row.get("isglobaladmin"))


def take_copies(context: Context, tx: Transaction, accounts: Sequence[Any]) -> None:
    """Take the copy from accounts that got it when their last destination, which is about to come back, was deleted."""
    if not accounts:
        return
    rows = context.table("forwardings")
    columns, other = rows.c, rows.alias("other").c
    forwards_on = exists().where(
        other.address == columns.address, other.is_forwarding == 1, other.forwarding != other.address
    )
    query = select(columns.id).where(columns.address.in_(accounts), columns.address == columns.forwarding, ~forwards_on)
    given = tx.execute(query).scalars().all()
    tx.execute(delete(rows).where(columns.id.in_(given)))
