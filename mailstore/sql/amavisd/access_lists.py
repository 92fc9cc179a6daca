"""White- and blacklists in amavisd's tables `wblist` and `outbound_wblist`, which iRedAPD reads too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack

from sqlalchemy import and_, delete, insert, select, update

from mailstore import store
from mailstore.address import held_address
from mailstore.driver.companions import Directory
from mailstore.driver.policy_keys import (
    amavisd_priority,
    checked_peers,
    iredapd_keys,
    iredapd_sender_keys,
    level_name,
    peer_key,
    without_extension,
)
from mailstore.driver.rights import Operation
from mailstore.errors import InvalidValue
from mailstore.fields import reject_unknown
from mailstore.model import Edit, Names
from mailstore.policies import DIRECTIONS, AccessList, AccessListFields, AccessVerdict, Direction, Level, direction_of
from mailstore.sql.amavisd.tables import ListTable, Tables
from mailstore.sql.amavisd.users import Users
from mailstore.sql.cluster import repeating
from mailstore.sql.companion import Beside, readable, writable
from mailstore.sql.engine import Transaction
from mailstore.sql.paging import pages

__all__ = ["AccessLists", "peer_ids"]

Mark = Literal["W", "B"]
_PAGE = 200
_VERDICTS: Mapping[str, Literal["accept", "reject"]] = {"W": "accept", "B": "reject"}


@repeating
class AccessLists(store.AccessLists):
    """See `mailstore.store.AccessLists`."""

    def __init__(self, database: Beside, tables: Tables, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self._tables = tables
        self._users = Users(tables)
        self._user, self._peer = tables.users.c, tables.mailaddr.c

    def get(self, level: str, direction: Direction) -> AccessList:
        wanted, table = Level.parse(level), self._tables.list(direction_of(direction))
        key = readable(self._directory, wanted)
        joined = table.table.join(self._tables.users, table.mine == self._user.id).join(
            self._tables.mailaddr, table.peer == self._peer.id
        )
        query = select(self._peer.email, table.table.c.wb).select_from(joined).where(self._user.email == key)
        with self._database.reading() as connection:
            marks = {row.email: row.wb for row in connection.execute(query)}
        return _lists(str(wanted), direction, marks)

    def list(self) -> Iterator[AccessList]:
        self._directory.require_everything("list the access lists of all levels")
        for direction, table in zip(
            DIRECTIONS, self._tables.lists(), strict=False
        ):  # old schemas have no outbound ones
            yield from self._of_all(direction, table)

    def _of_all(self, direction: Direction, table: ListTable) -> Iterator[AccessList]:
        owners = select(self._user.email).where(self._user.id.in_(select(table.mine))).order_by(self._user.email)
        entries = select(self._user.email, self._peer.email, table.table.c.wb).select_from(
            table.table.join(self._tables.users, table.mine == self._user.id).join(
                self._tables.mailaddr, table.peer == self._peer.id
            )
        )

        def fetch(after: str) -> Sequence[tuple[str, dict[str, str]]]:
            with self._database.reading() as connection:
                keys = connection.execute(owners.where(self._user.email > after).limit(_PAGE)).scalars().all()
                found: dict[str, dict[str, str]] = {key: {} for key in keys}
                for owner, peer, mark in connection.execute(entries.where(self._user.email.in_(keys))):
                    found[owner][peer] = mark
            return [*found.items()]

        for page in pages(fetch, lambda owned: owned[0], start="", size=_PAGE):
            yield from (_lists(level_name(key), direction, marks) for key, marks in page if marks)

    def set(self, level: str, direction: Direction, **fields: Unpack[AccessListFields]) -> AccessList:
        reject_unknown(fields, AccessListFields)
        wanted, table = Level.parse(level), self._tables.list(direction_of(direction))
        white = _checked(fields.get("whitelist"), direction)
        black = _checked(fields.get("blacklist"), direction)
        _refuse_both(white, black)
        with (
            writable(self._directory, wanted, Operation.SET_ACCESS_LIST) as key,
            self._database.writing(self._directory, wanted) as tx,
        ):
            user_id = self._users.ensure(tx, key, self._users.lock(tx, key))
            present = self._present(tx, table, user_id)
            self._write(tx, table, user_id, present, _changed(present, white, black))
            self._users.drop_if_unused(tx, key)
            return self.get(str(wanted), direction)

    def delete(self, level: str, direction: Direction) -> None:
        wanted, table = Level.parse(level), self._tables.list(direction_of(direction))
        with (
            writable(self._directory, wanted, Operation.SET_ACCESS_LIST, gone_too=True) as key,
            self._database.writing(self._directory, wanted) as tx,
        ):
            user = self._users.lock(tx, key)
            if user is not None:
                mine = (table.mine == user["id"], table.table.c.wb.in_(list(_VERDICTS)))
                tx.execute(delete(table.table).where(*mine))
                self._users.drop_if_unused(tx, key)

    def _present(self, tx: Transaction, table: ListTable, user_id: int) -> dict[str, str]:
        joined = table.table.join(self._tables.mailaddr, table.peer == self._peer.id)
        query = select(self._peer.email, table.table.c.wb).select_from(joined).where(table.mine == user_id)
        return {row.email: row.wb for row in tx.execute(query)}

    def _write(
        self, tx: Transaction, table: ListTable, user_id: int, present: Mapping[str, str], wanted: Mapping[str, str]
    ) -> None:
        changed = {peer: mark for peer, mark in wanted.items() if present.get(peer) != mark}
        gone = present.keys() - wanted.keys()
        ids = peer_ids(self._tables, tx, changed.keys(), gone)
        mine = table.mine == user_id
        if gone:
            tx.execute(delete(table.table).where(mine, table.peer.in_([ids[peer] for peer in gone])))
        for mark in set(changed.values()):
            other = [ids[peer] for peer in changed if changed[peer] == mark and peer in present]
            if other:
                tx.execute(update(table.table).where(mine, table.peer.in_(other)).values(wb=mark))
        new = [
            {table.mine.name: user_id, table.peer.name: ids[peer], "wb": mark}
            for peer, mark in changed.items()
            if peer not in present
        ]
        if new:
            tx.execute(insert(table.table), new)

    def effective(self, address: str, direction: Direction, *, peer: str, client: str | None = None) -> AccessVerdict:
        address, table = held_address(address), self._tables.list(direction_of(direction))
        readable(self._directory, Level("address", address))
        peer = peer.strip().lower()
        if not peer or peer == address:  # iRedAPD does not look at bounces, nor at mail to oneself
            return AccessVerdict("none")
        theirs = self._directory.target_domain(peer.rpartition("@")[2])
        inbound = direction == "inbound"
        peers = iredapd_sender_keys(peer, client, theirs) if inbound else iredapd_keys(without_extension(peer), theirs)
        # For outgoing mail the name of the login counts, as it is.
        mine = iredapd_keys(
            without_extension(address) if inbound else address,
            self._directory.target_domain(address.rpartition("@")[2]),
        )
        joined = table.table.join(self._tables.users, table.mine == self._user.id).join(
            self._tables.mailaddr, table.peer == self._peer.id
        )
        query = (
            select(self._user.email.label("mine"), self._user.priority.label("rank"), self._peer.email.label("peer"),
                   self._peer.priority, table.table.c.wb)
            .select_from(joined).where(and_(self._user.email.in_(mine)))
        )  # fmt: skip
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        verdict = _verdict(rows, peers, client if inbound else None)
        return replace(verdict, after_greylisting=inbound and verdict.verdict == "accept")


def peer_ids(tables: Tables, tx: Transaction, needed: Iterable[str], gone: Iterable[str]) -> dict[str, int]:
    """Return the ids of peers; those needed are made if they are not there, and nobody removes them meanwhile."""
    names, peer = sorted({*needed, *gone}), tables.mailaddr.c
    columns = (peer.email, peer.id, peer.priority)
    query = select(*columns).where(peer.email.in_(names)).order_by(peer.email).with_for_update()
    rows = tx.execute(query).all() if names else []
    for row in rows:
        if row.priority != amavisd_priority(row.email):  # the column's default, 7, is nobody's right number
            values = {"priority": amavisd_priority(row.email)}
            tx.execute(update(tables.mailaddr).where(peer.id == row.id).values(values))
    ids = {row.email: int(row.id) for row in rows}
    new = [{"email": name, "priority": amavisd_priority(name)} for name in names if name not in ids]
    if new:
        tx.execute(insert(tables.mailaddr), new)
        ids = {row.email: int(row.id) for row in tx.execute(query)}
    return ids


def _verdict(rows: Sequence[Mapping[Any, Any]], peers: Sequence[str], client: str | None) -> AccessVerdict:
    """Return what iRedAPD finds: owners by their priority, for each the peers by theirs, and networks after all others.

    Networks it takes in no order at all, and what has one priority in that of the database.
    """
    matching = [
        ((-row["rank"], network, 0 if network else -row["priority"]), row)
        for row in rows
        if row["wb"] in _VERDICTS and (network := _matches(row["peer"], peers, client)) is not None
    ]
    if not matching:
        return AccessVerdict("none")
    first = min(place for place, _ in matching)
    equals = sorted((row["wb"], row["mine"], row["peer"]) for place, row in matching if place == first)
    mark, mine, peer = equals[0]
    marks = {wb for wb, _, _ in equals}
    return AccessVerdict(_VERDICTS[mark], level_name(mine), peer, undefined=len(marks) > 1)


def _matches(entry: str, peers: Sequence[str], client: str | None) -> bool | None:
    """Tell whether an entry matches as a network (True) or otherwise (False); None if it does not."""
    if entry in peers:
        return False
    # iRedAPD looks only at networks whose text begins like that of the client, and only at those of IPv4.
    if client is None or "/" not in entry or not entry.startswith(f"{client.partition('.')[0]}."):
        return None
    try:
        inside = ipaddress.ip_address(client) in ipaddress.IPv4Network(entry)
    except ValueError:
        return None
    return True if inside else None


def _lists(level: str, direction: Direction, marks: Mapping[str, str]) -> AccessList:
    return AccessList(
        level=level, direction=direction, whitelist=_marked(marks, "W"), blacklist=_marked(marks, "B"),
        custom={peer: mark for peer, mark in sorted(marks.items()) if mark not in _VERDICTS},
    )  # fmt: skip


def _marked(marks: Mapping[str, str], mark: Mark) -> tuple[str, ...]:
    return tuple(sorted(peer for peer, found in marks.items() if found == mark))


def _checked(names: Names | None, direction: Direction) -> Names | None:
    return checked_peers(names, lambda name: peer_key(name, ipv6_networks=False, clients=direction == "inbound"))


def _added(names: Names | None) -> set[str]:
    return set(names.add if isinstance(names, Edit) else names or ())


def _refuse_both(white: Names | None, black: Names | None) -> None:
    for peer in sorted(_added(white) & _added(black)):
        raise InvalidValue(f"{peer} cannot be on the whitelist and on the blacklist", subject=peer)


def _changed(present: Mapping[str, str], white: Names | None, black: Names | None) -> dict[str, str]:
    """Return the entries with their marks as they shall be."""
    wanted = dict(present)
    for mark, names in (("W", white), ("B", black)):
        if names is None:
            continue
        mine = [peer for peer, found in present.items() if found == mark]
        removed = set(names.remove) if isinstance(names, Edit) else ()
        kept = [peer for peer in mine if peer.lower() not in removed] if isinstance(names, Edit) else [*names]
        for peer in set(mine) - set(kept):
            if wanted.get(peer) == mark:
                del wanted[peer]
        wanted |= dict.fromkeys(kept, mark) if not isinstance(names, Edit) else dict.fromkeys(names.add, mark)
    return wanted
