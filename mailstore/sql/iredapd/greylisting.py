"""Greylisting in iRedAPD's tables `greylisting` and `greylisting_whitelist...`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import Table, delete, insert, select, update

from mailstore import store
from mailstore.address import domain_name, held_address
from mailstore.driver.companions import Directory
from mailstore.driver.policy_keys import (
    EVERYBODY,
    checked_peers,
    iredapd_keys,
    iredapd_priority,
    level_name,
    peer_key,
    without_extension,
)
from mailstore.driver.rights import Operation
from mailstore.driver.values import flag
from mailstore.errors import InvalidValue, NotSupported
from mailstore.fields import reject_unknown
from mailstore.model import Edit, Names
from mailstore.policies import GreylistingFields, GreylistingSetting, GreylistingVerdict, Level
from mailstore.sql.cluster import repeating
from mailstore.sql.companion import Beside, grouped, readable, writable
from mailstore.sql.engine import Transaction
from mailstore.sql.iredapd.tables import Tables
from mailstore.sql.paging import pages

__all__ = ["Greylisting"]

_PAGE = 500
_ON = 1
"""Anything else is off, other numbers too."""
_BY_THE_DAEMON = "AUTO-"
"""How the comment of whitelist entries begins that iRedAPD made by itself."""
_NETWORK_PRIORITY = iredapd_priority("192.0.2.0/24")


@repeating
class Greylisting(store.Greylisting):
    """See `mailstore.store.Greylisting`."""

    def __init__(self, database: Beside, tables: Tables, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._tables = tables
        self._table, self._white = tables.greylisting, tables.whitelists

    def get(self, level: str) -> GreylistingSetting:
        wanted = Level.parse(level)
        key = readable(self._directory, wanted)
        with self._database.reading() as connection:
            settings = connection.execute(self._settings([key])).mappings().all()
            white = connection.execute(self._whitelists([key])).mappings().all()
        return _setting(str(wanted), settings, white)

    def list(self) -> Iterator[GreylistingSetting]:
        self._directory.require_everything("list the greylisting of all levels")
        accounts = select(self._table.c.account).union(select(self._white.c.account)).subquery()
        query = select(accounts.c.account).order_by(accounts.c.account).limit(_PAGE)

        def fetch(after: str) -> Sequence[str]:
            with self._database.reading() as connection:
                return connection.execute(query.where(accounts.c.account > after)).scalars().all()

        for keys in pages(fetch, str, start="", size=_PAGE):
            yield from self._listed(keys)

    def _listed(self, keys: Sequence[str]) -> Iterator[GreylistingSetting]:
        with self._database.reading() as connection:
            settings = grouped(connection.execute(self._settings(keys)).mappings().all(), "account")
            white = grouped(connection.execute(self._whitelists(keys)).mappings().all(), "account")
        for key in keys:
            yield _setting(level_name(key), settings.get(key, ()), white.get(key, ()))

    def set(self, level: str, **fields: Unpack[GreylistingFields]) -> GreylistingSetting:
        reject_unknown(fields, GreylistingFields)
        wanted = Level.parse(level)
        active = flag("enabled")(fields["enabled"]) if "enabled" in fields else None
        white = checked_peers(fields.get("whitelist"), lambda name: peer_key(name, ipv6_networks=True))
        with (
            writable(self._directory, wanted, Operation.SET_GREYLISTING) as key,
            self._database.writing(self._directory, wanted) as tx,
        ):
            if active is not None:
                self._switch(tx, key, active)
            if white is not None:
                self._write_whitelist(tx, key, white)
            return self.get(str(wanted))

    def _switch(self, tx: Transaction, key: str, active: int) -> None:
        # Rows for other senders are exceptions of other tools.
        mine = (self._table.c.account == key, self._table.c.sender == EVERYBODY)
        values = {"priority": iredapd_priority(key), "sender_priority": iredapd_priority(EVERYBODY), "active": active}
        present = tx.execute(select(self._table.c.id).where(*mine).with_for_update()).scalar()
        if present is None:
            tx.execute(insert(self._table).values(account=key, sender=EVERYBODY, comment="", **values))
        else:
            tx.execute(update(self._table).where(*mine).values(values))

    def _write_whitelist(self, tx: Transaction, key: str, names: Names) -> None:
        rows = tx.execute(self._whitelists([key]).with_for_update()).mappings().all()
        present = {row["sender"]: row for row in rows}
        own = [sender for sender, row in present.items() if not _is_automatic(row)]
        if isinstance(names, Edit):
            gone = {sender for sender in present if sender.lower() in names.remove} - set(names.add)
            wanted: Iterable[str] = names.add
        else:
            gone, wanted = set(own) - set(names), names
        mine = self._white.c.account == key
        # An entry of the daemon that is wished for is made one of ours, which the daemon does not remove.
        gone |= {sender for sender in wanted if sender in present and sender not in own}
        if gone:
            tx.execute(delete(self._white).where(mine, self._white.c.sender.in_(gone)))
        new = [sender for sender in wanted if sender not in present or sender in gone]
        if new:
            tx.execute(insert(self._white), [{"account": key, "sender": sender, "comment": ""} for sender in new])

    def delete(self, level: str) -> None:
        wanted = Level.parse(level)
        with (
            writable(self._directory, wanted, Operation.SET_GREYLISTING, gone_too=True) as key,
            self._database.writing(self._directory, wanted) as tx,
        ):
            mine = (self._table.c.account == key, self._table.c.sender == EVERYBODY)
            tx.execute(delete(self._table).where(*mine))

    def spf_domains(self) -> tuple[str, ...]:
        table = self._spf_table()
        with self._database.reading() as connection:
            return tuple(connection.execute(select(table.c.domain).order_by(table.c.domain)).scalars())

    def set_spf_domains(self, domains: Names) -> tuple[str, ...]:
        table, names = self._spf_table(), checked_peers(domains, domain_name)
        level = Level("global")
        with (
            writable(self._directory, level, Operation.SET_GREYLISTING),
            self._database.writing(self._directory, level) as tx,
        ):
            present = tx.execute(select(table.c.domain).with_for_update()).scalars().all()
            wanted = names.apply(present) if isinstance(names, Edit) else tuple(names or ())
            gone, new = set(present) - set(wanted), [name for name in wanted if name not in present]
            if gone:
                tx.execute(delete(table).where(table.c.domain.in_(gone)))
                self._forget_resolved(tx, gone)
            if new:
                tx.execute(insert(table), [{"domain": name} for name in new])
            return self.spf_domains()

    def _forget_resolved(self, tx: Transaction, domains: Iterable[str]) -> None:
        """Remove what iRedAPD's job made of these domains; it only removes that from a table which is not read any more."""
        resolved = self._tables.resolved
        if resolved is not None:
            comments = [f"AUTO-UPDATE: {domain}" for domain in domains]
            tx.execute(delete(resolved).where(resolved.c.account == EVERYBODY, resolved.c.comment.in_(comments)))

    def _spf_table(self) -> Table:
        if self._tables.spf_domains is None:
            raise NotSupported("this iRedAPD database has no table greylisting_whitelist_domains; update iRedAPD first")
        return self._tables.spf_domains

    def effective(self, recipient: str, *, sender: str, client: str) -> GreylistingVerdict:
        recipient, client = held_address(recipient), _client(client)
        readable(self._directory, Level("address", recipient))
        recipients = iredapd_keys(
            without_extension(recipient), self._directory.target_domain(recipient.rpartition("@")[2])
        )
        senders = (*iredapd_keys(without_extension(sender.strip().lower())), client)
        with self._database.reading() as connection:
            white = connection.execute(self._whitelists(recipients)).mappings().all()
            resolved = self._tables.resolved
            if resolved is not None:
                query = select(resolved).where(resolved.c.account.in_(recipients))
                white = [*connection.execute(query).mappings(), *white]
            settings = connection.execute(self._settings(recipients)).mappings().all()
        return _whitelisted(white, senders, client) or _decided(settings, senders, client)

    def _settings(self, keys: Sequence[str]) -> Any:
        columns = self._table.c
        order = (columns.priority.desc(), columns.sender_priority.desc(), columns.id)
        return select(self._table).where(columns.account.in_(keys)).order_by(*order)

    def _whitelists(self, keys: Sequence[str]) -> Any:
        return select(self._white).where(self._white.c.account.in_(keys)).order_by(self._white.c.sender)


def _setting(
    level: str, settings: Iterable[Mapping[Any, Any]], white: Iterable[Mapping[Any, Any]]
) -> GreylistingSetting:
    switches = {row["sender"]: row["active"] == _ON for row in settings}
    return GreylistingSetting(
        level=level,
        enabled=switches.pop(EVERYBODY, None),
        whitelist=tuple(sorted(row["sender"] for row in white if not _is_automatic(row))),
        exceptions=dict(sorted(switches.items())),
    )


def _whitelisted(rows: Iterable[Mapping[Any, Any]], senders: Sequence[str], client: str) -> GreylistingVerdict | None:
    """Return the verdict if a whitelist has the sender, its address or its network; all levels count alike."""
    for row in rows:
        entry = row["sender"].lower()
        if entry in senders or _is_in(client, entry, ipv6=True):
            return GreylistingVerdict(False, level_name(row["account"]), entry, whitelisted=True)
    return None


def _decided(rows: Iterable[Mapping[Any, Any]], senders: Sequence[str], client: str) -> GreylistingVerdict:
    """Return what the first row that matches says, rows being in the order of the recipient's, then the sender's number."""

    def matches(row: Mapping[Any, Any]) -> bool:
        # iRedAPD sees by the number that a sender is a network, and knows only those of IPv4 here.
        network = row["sender_priority"] == _NETWORK_PRIORITY and _is_in(client, row["sender"], ipv6=False)
        return row["sender"] in senders or network

    found = [row for row in rows if matches(row)]
    if not found:
        return GreylistingVerdict(False)
    first = found[0]
    place = (first["priority"], first["sender_priority"])
    switches = {row["active"] == _ON for row in found if (row["priority"], row["sender_priority"]) == place}
    return GreylistingVerdict(
        first["active"] == _ON, level_name(first["account"]), first["sender"], undefined=len(switches) > 1
    )


def _is_in(client: str, entry: str, *, ipv6: bool) -> bool:
    """Tell whether iRedAPD finds an IP address in a network: both must begin with the same text up to a separator."""
    separator = ":" if ":" in client else "."
    written = "/" in entry if separator == "." else (ipv6 and ":/" in entry)
    if not written or not entry.startswith(client.partition(separator)[0] + separator):
        return False
    try:
        return ipaddress.ip_address(client) in ipaddress.ip_network(entry)
    except ValueError:
        return False


def _is_automatic(row: Mapping[Any, Any]) -> bool:
    return (row["comment"] or "").startswith(_BY_THE_DAEMON)


def _client(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidValue(f"{text!r} is no IP address", subject=text) from error
