"""A change to one account: its columns, its forwarding and its aliases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import and_, or_, update

from mailstore.address import alias_address
from mailstore.driver.forwarding import Forwarding
from mailstore.driver.names import Owners, Wanted, newcomers, settled, wanted_in
from mailstore.driver.secret import Secret
from mailstore.sql.atmail.accounts.new import account_columns, forwarding_type
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.expansions import DELIVER, Expansions, alias_row
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.schema.units import local_now
from mailstore.sql.engine import Transaction

__all__ = ["AccountChange"]


class AccountChange:
    """The parameters of `Accounts.update`, checked before the database is asked anything."""

    def __init__(self, context: Context, address: str, secret: Secret | None, fields: Mapping[str, Any]) -> None:
        self._context = context
        self._address = address
        self._fields = fields
        self._columns = account_columns(context, fields)
        if secret:
            self._columns["password"] = secret.hash
        self._aliases = wanted_in(fields, "aliases", alias_address)
        self._forwarding = Forwarding.parse(fields)

    @property
    def new_aliases(self) -> tuple[str, ...]:
        """The aliases that the account shall have and may not have yet."""
        return newcomers(self._aliases)

    @property
    def needs_domain(self) -> bool:
        """Whether the domain has to be locked besides the account: rows of aliases change."""
        return bool({"aliases", "forwarding", "keep_copy"} & self._fields.keys())

    def apply(self, tx: Transaction, row: Mapping[Any, Any], names: NameSpace, expansions: Expansions) -> None:
        """Write the change; `row` is the account's row, locked."""
        if self._context.actor and "quota" in self._columns:
            quota = self._columns["quota"]
            self._context.actor.check_limits(tx, adding=0, quota=quota, instead_of=row["accountId"])
        table = self._context.table("accounts")
        values = dict(self._columns)
        if "dateModified" in table.c:
            values["dateModified"] = local_now()
        if values:
            tx.execute(update(table).where(table.c.accountId == row["accountId"]).values(values))
        if not self.needs_domain:
            return
        forwardings, aliases = expansions.around(tx.connection, [self._address])
        if {"forwarding", "keep_copy"} & self._fields.keys():
            owners = partial(names.owners, tx.connection)
            self._change_forwarding(tx, expansions, forwardings.get(self._address, []), owners)
        if self._aliases is not None:
            self._change_aliases(tx, self._aliases, names, expansions, set(aliases.get(self._address, ())))

    def _change_aliases(
        self, tx: Transaction, aliases: Wanted, names: NameSpace, expansions: Expansions, present: set[str]
    ) -> None:
        after = set(settled(aliases, present))
        gone, new = present - after, sorted(after - present)
        columns = expansions.columns
        if gone:
            # With what leads to them: whoever gets one of them next must not get what is meant for this account.
            named = names.spellings(tx.connection, sorted(gone), with_aliases=False)
            own = and_(columns.AliasName.in_(gone), columns.AliasTo == self._address)
            expansions.remove(tx, or_(own, expansions.refers(named)))
        names.claim_aliases(tx, self._address, new)
        expansions.add(tx, [alias_row(alias, self._address) for alias in new])

    def _change_forwarding(
        self,
        tx: Transaction,
        expansions: Expansions,
        rows: Iterable[tuple[str, str]],
        owners: Callable[[Collection[str]], Owners],
    ) -> None:
        present = dict(rows)
        copy = (self._address,) if DELIVER in present.values() else ()
        others, keep_copy = self._forwarding.after(self._address, (*present, *copy), owners)
        expansions.replace(tx, self._address, others, forwarding_type(keep_copy))
