"""amavisd's database beside the accounts: opening it, and what accounts that come and go mean for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

from sqlalchemy import ColumnElement, Select, delete, exists, or_, select, update

from mailstore.driver.companions import Directory, Kept
from mailstore.model import Finding
from mailstore.policies import Level
from mailstore.sql.amavisd.access_lists import AccessLists
from mailstore.sql.amavisd.check import findings
from mailstore.sql.amavisd.keeping import bring_back, kept_of
from mailstore.sql.amavisd.spam_policies import SpamPolicies
from mailstore.sql.amavisd.tables import KNOWN, Tables
from mailstore.sql.amavisd.users import NO_POLICY
from mailstore.sql.companion import Beside, connect, copy_rows, same_names
from mailstore.sql.engine import Transaction

__all__ = ["AmavisdDatabase", "open_database"]


def open_database(url: str, password: str | None, tls_ca: str) -> AmavisdDatabase:
    """Return the database of a URL; it is contacted when it is first needed. Raises ConfigurationError."""
    return AmavisdDatabase("amavisd", connect("amavisd", url, password, tls_ca))


class AmavisdDatabase(Beside):
    """See `mailstore.driver.companions.Amavisd`."""

    known = KNOWN

    @cached_property
    def tables(self) -> Tables:
        """The tables, with the columns that this server has. Raises SchemaMismatch."""
        return Tables(self.live)

    def spam_policies(self, directory: Directory) -> SpamPolicies:
        """See `mailstore.driver.companions.Amavisd`."""
        return SpamPolicies(self, self.tables, directory)

    def access_lists(self, directory: Directory) -> AccessLists:
        """See `mailstore.driver.companions.Amavisd`."""
        return AccessLists(self, self.tables, directory)

    def findings(self, directory: Directory) -> Iterator[Finding]:
        """See `mailstore.driver.companions.Companion`."""
        tables = self.tables
        yield from self.db.findings()
        yield from findings(self, tables, directory)

    def holds(self, names: Collection[Level], directory: Directory) -> bool:
        """See `mailstore.driver.companions.Companion`."""
        query = select(or_(exists().where(self._users_of(names)), exists().where(self._policies_of(names))))
        with self.reading(joining=directory) as connection:
            return bool(connection.execute(query).scalar())

    def remove(self, names: Collection[Level], directory: Directory) -> None:
        """See `mailstore.driver.companions.Companion`. No foreign key does any of this."""
        users, policy = self.tables.users, self.tables.policy
        with self.writing(directory) as tx:
            # Whoever sets something meanwhile locks the same rows.
            tx.execute(select(users.c.id).where(self._users_of(names)).with_for_update()).all()
            self.spam_policies(directory).separate(tx, self._policies_of(names), but=self._users_of(names))
            mine = select(users.c.id).where(self._users_of(names))
            for one in self.tables.lists():
                tx.execute(delete(one.table).where(one.mine.in_(mine)))
            gone = select(policy.c.id).where(self._policies_of(names))
            tx.execute(update(users).where(users.c.policy_id.in_(gone)).values(policy_id=NO_POLICY))
            tx.execute(delete(policy).where(self._policies_of(names)))
            tx.execute(delete(users).where(self._users_of(names)))

    def copy(self, old: str, new: str, directory: Directory) -> None:
        """See `mailstore.driver.companions.Companion`. Whoever shared the policy of the old name gets one like it."""
        users = self.tables.users
        with self.writing(directory) as tx:
            # Before anything else: the old name goes when all is well, and the new one if the rename is taken back.
            policy_name, email = self.tables.policy.c.policy_name, users.c.email
            self.spam_policies(directory).separate(tx, policy_name == old, but=email == old)
            self._copy_policy(tx, old, new)
            copy_rows(tx, users, users.c.email == old, email=new)
            old_ids, new_id = self._policy_ids(old), self._policy_ids(new).limit(1).scalar_subquery()
            mine = (users.c.email == new) & users.c.policy_id.in_(old_ids)
            tx.execute(update(users).where(mine).values(policy_id=new_id))
            rows = tx.execute(select(users.c.email, users.c.id).where(users.c.email.in_([old, new])))
            ids = {row.email: row.id for row in rows}
            if new in ids:
                for one in self.tables.lists():
                    copy_rows(tx, one.table, one.mine == ids[old], **{one.mine.name: ids[new]})

    def kept(self, names: Collection[Level], directory: Directory) -> Kept:
        """See `mailstore.driver.companions.Companion`."""
        if not self.holds(names, directory):
            return {}
        with self.writing(directory) as tx:
            return kept_of(self.tables, tx, self._users_of(names), self._policies_of(names))

    def bring_back(self, kept: Kept, directory: Directory) -> None:
        """See `mailstore.driver.companions.Companion`."""
        with self.writing(directory) as tx:
            bring_back(self.db, self.tables, tx, kept)

    def _copy_policy(self, tx: Transaction, old: str, new: str) -> None:
        policy = self.tables.policy
        copy_rows(tx, policy, policy.c.policy_name == old, policy_name=new)

    def _policy_ids(self, name: str) -> Select[tuple[int]]:
        policy = self.tables.policy
        return select(policy.c.id).where(policy.c.policy_name == name)

    def _users_of(self, names: Collection[Level]) -> ColumnElement[bool]:
        return same_names(self.tables.users.c.email, names, binary=True)

    def _policies_of(self, names: Collection[Level]) -> ColumnElement[bool]:
        return same_names(self.tables.policy.c.policy_name, names)
