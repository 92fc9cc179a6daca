"""The LDAP store against hand-written ldap3 calls that leave the same in the directory.

The floor does what iRedAdmin does: it reads the domain, looks for the address, adds the entry and counts up the domain's
counter; it takes no locks and does not notice anybody else's change.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench.measure import Row, Rows, alternate, peak_memory, where
from mailstore import Store
from mailstore.ldap import ldif
from mailstore.passwords import hash_password
from tests.ldap.rig import LdapRig, plain
from tests.servers.process import LOOPBACK, make_directory
from tests.servers.slapd import Slapd
from tests.stores import Place

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "(tagMap|typeMap) is deprecated", DeprecationWarning)
    import ldap3

__all__ = ["BENCHMARKS", "run"]

READY = hash_password("x")
DOMAIN = "example.com"
PAGED = "1.2.840.113556.1.4.319"
EVERYTHING = ("*", "createTimestamp", "modifyTimestamp", "entryCSN", "entryUUID")
"""The attributes that a listing shows."""


class Floor:
    """Hand-written code for one directory."""

    def __init__(self, server: Slapd, sample: str) -> None:
        """`sample` is an account as mailstore wrote it: the floor writes the same attributes."""
        self._server = server
        self.connection = self._connect()
        self.base = f"o=domains,{server.suffix}"
        self.domain = f"domainName={DOMAIN},{self.base}"
        self.users = f"ou=Users,{self.domain}"
        self.connection.search(f"mail={sample},{self.users}", "(objectClass=*)", ldap3.BASE, attributes=["*"])
        entry = self.connection.response[0]["raw_attributes"]
        own = {"mail", "uid", "cn", "sn", "homedirectory"}
        self._sample = {name: list(values) for name, values in entry.items() if name.lower() not in own}

    def _connect(self) -> Any:
        login = self._server.bind("vmailadmin")
        place = ldap3.Server(LOOPBACK, self._server.port, get_info=ldap3.NONE)
        return ldap3.Connection(place, login.dn, login.password, auto_bind=True, check_names=False)

    def reconnect(self) -> None:
        """Connect anew, after the server was restarted."""
        self.connection.unbind()
        self.connection = self._connect()

    def create(self, name: str) -> None:
        """Add an account: read the domain, look for the address, add, count."""
        address, connection = f"{name}@{DOMAIN}", self.connection
        connection.search(self.domain, "(objectClass=*)", ldap3.BASE, attributes=["*"])
        counter = int(connection.response[0]["raw_attributes"]["domainCurrentUserNumber"][0])
        kinds = "(|(objectClass=mailUser)(objectClass=mailList)(objectClass=mailAlias))"
        query = f"(&{kinds}(|(mail={address})(shadowAddress={address})))"
        connection.search(self.base, query, attributes=["mail"])
        assert not connection.response
        names = {"mail": address, "uid": name, "cn": name, "sn": name, "homeDirectory": f"/var/vmail/{DOMAIN}/{name}/"}
        connection.add(f"mail={address},{self.users}", attributes={**self._sample, **names})
        changes = {"domainCurrentUserNumber": [(ldap3.MODIFY_REPLACE, [str(counter + 1)])]}
        assert connection.modify(self.domain, changes)

    def modify(self, name: str, value: str) -> None:
        """Read an account, and change one attribute."""
        dn = f"mail={name}@{DOMAIN},{self.users}"
        self.connection.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["*"])
        assert self.connection.modify(dn, {"cn": [(ldap3.MODIFY_REPLACE, [value])]})

    def rename(self, old: str, new: str) -> None:
        """Rename an account that nobody refers to: look for the new address and for references, rename, change uid."""
        connection, address = self.connection, f"{old}@{DOMAIN}"
        dn, new_dn = f"mail={address},{self.users}", f"mail={new}@{DOMAIN},{self.users}"
        connection.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["*"])
        connection.search(self.base, f"(|(mail={new}@{DOMAIN})(shadowAddress={new}@{DOMAIN}))", attributes=["mail"])
        pointers = ("domainAdmin", "mailForwardingAddress", "listAllowedUser", "listModerator", "listOwner")
        query = "(|" + "".join(f"({name}={address})" for name in pointers) + ")"
        connection.search(self.base, query, attributes=["*"])
        assert connection.modify_dn(dn, f"mail={new}@{DOMAIN}")
        changes = {name: [(ldap3.MODIFY_REPLACE, [new])] for name in ("uid", "cn", "sn")}
        assert connection.modify(new_dn, changes)

    def delete(self, name: str) -> None:
        """Delete an account that nobody refers to: read it, look for references, delete, count."""
        connection, address = self.connection, f"{name}@{DOMAIN}"
        dn = f"mail={address},{self.users}"
        connection.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["*"])
        pointers = ("domainAdmin", "mailForwardingAddress", "listAllowedUser", "listModerator", "listOwner")
        query = "(|" + "".join(f"({name}={address})" for name in pointers) + ")"
        connection.search(self.base, query, attributes=["*"])
        assert connection.delete(dn)
        connection.search(self.domain, "(objectClass=*)", ldap3.BASE, attributes=["*"])
        counter = int(connection.response[0]["raw_attributes"]["domainCurrentUserNumber"][0])
        changes = {"domainCurrentUserNumber": [(ldap3.MODIFY_REPLACE, [str(counter - 1)])]}
        assert connection.modify(self.domain, changes)

    def list(self) -> int:
        """Fetch all accounts with the attributes that a listing shows, in pages. Returns how many."""
        number, cookie = 0, b""
        while True:
            self.connection.search(
                self.base, "(objectClass=mailUser)", attributes=list(EVERYTHING), paged_size=500, paged_cookie=cookie
            )
            number += len(self.connection.response)
            cookie = self.connection.result["controls"][PAGED]["value"]["cookie"]
            if not cookie:
                return number

    def close(self) -> None:
        """Close the connection."""
        self.connection.unbind()


@contextmanager
def opened() -> Iterator[tuple[LdapRig, Store]]:
    """Start a server in a directory of its own, and open a store in it."""
    scratch = make_directory(Path(tempfile.gettempdir()) / f"mailstorebench{secrets.token_hex(4)}")
    try:
        with Slapd(scratch / "slapd") as server:
            rig = plain(Place(scratch, (os.getuid(), os.getgid()), lambda _: server))
            with rig.open_without_disk() as store:
                yield rig, store
    finally:
        shutil.rmtree(scratch)


@dataclass(frozen=True)
class Bench:
    """A directory with a domain in its store, in which is one account."""

    rig: LdapRig
    store: Store
    floor: Floor
    quick: bool

    @property
    def rounds(self) -> int:
        """How often something small is done."""
        return 50 if self.quick else 300


def run(only: str | None, quick: bool) -> Rows:
    """Measure everything, or one thing only."""
    chosen = [benchmark for name, benchmark in BENCHMARKS.items() if only in (None, name)]
    if not chosen:
        return
    with opened() as (rig, store):
        store.domains.create(DOMAIN)
        store.accounts.create(f"sample@{DOMAIN}", password_hash=READY)
        floor = Floor(rig.server, f"sample@{DOMAIN}")
        for benchmark in chosen:
            yield from benchmark(Bench(rig, store, floor, quick))
        floor.close()


def creating(bench: Bench) -> Rows:
    def ours(number: int) -> None:
        bench.store.accounts.create(f"ours{number}@{DOMAIN}", password_hash=READY)

    times = alternate(ours, lambda number: bench.floor.create(f"hand{number}"), bench.rounds)
    yield Row("create one account, ldap", times, 1.3, why=lambda: where(lambda: ours(bench.rounds + 1)))


def modifying(bench: Bench) -> Rows:
    def ours(number: int) -> None:
        bench.store.accounts.update(f"sample@{DOMAIN}", name=f"Ours {number}")

    times = alternate(ours, lambda number: bench.floor.modify("sample", f"Hand {number}"), bench.rounds)
    yield Row("modify one account, ldap", times, 1.3, why=lambda: where(lambda: ours(bench.rounds + 1)))


def renaming(bench: Bench) -> Rows:
    accounts = bench.store.accounts
    bench.floor.create("moving0")
    accounts.create(f"travelling0@{DOMAIN}", password_hash=READY)
    turns = count()

    def ours(_: int) -> None:
        turn = next(turns)
        accounts.rename(f"travelling{turn}@{DOMAIN}", f"travelling{turn + 1}@{DOMAIN}")

    times = alternate(
        ours, lambda number: bench.floor.rename(f"moving{number}", f"moving{number + 1}"), bench.rounds // 2
    )
    yield Row("rename one account, ldap", times, 2.0, why=lambda: where(lambda: ours(0)))


def deleting(bench: Bench) -> Rows:
    accounts, rounds = bench.store.accounts, bench.rounds // 2
    for number in range(rounds + 2):
        accounts.create(f"leaving{number}@{DOMAIN}", password_hash=READY)
        bench.floor.create(f"going{number}")

    def ours(number: int) -> None:
        accounts.delete(f"leaving{number}@{DOMAIN}")

    times = alternate(ours, lambda number: bench.floor.delete(f"going{number}"), rounds)
    yield Row("delete one account, ldap", times, 1.3, why=lambda: where(lambda: ours(rounds + 1)))


def listing(bench: Bench) -> Rows:
    accounts, floor = bench.store.accounts, bench.floor
    fill(bench.rig, 2_000 if bench.quick else 20_000)

    def ours(_: int) -> None:
        assert sum(1 for _ in accounts.list()) == total

    floor.reconnect()
    total = accounts.count()
    assert floor.list() == total
    times = alternate(ours, lambda _: floor.list(), 3, warm_up=False)
    yield Row(f"list {total:,} accounts, each, ldap", times.each(total), 1.4, why=lambda: where(lambda: ours(0)))
    small, large = (peak_memory(bench.store, number) / 1e6 for number in (1_000, min(total, 5_000)))
    print(f"Peak memory while listing, ldap: {small:.1f} MB for 1,000, {large:.1f} MB for more.", flush=True)


BENCHMARKS: Mapping[str, Callable[[Bench], Rows]] = {
    "create": creating,
    "modify": modifying,
    "rename": renaming,
    "delete": deleting,
    "list": listing,
}


def fill(rig: LdapRig, number: int) -> None:
    """Load many accounts like the sample, offline: over LDAP it would take minutes."""
    dump = rig.server.dump()
    entries = dict(ldif.parse(dump.splitlines()))
    dn = next(name for name in entries if name.startswith("mail=sample@"))
    sample = {name: values for name, values in entries[dn].items() if name.lower() not in {"entryuuid", "entrycsn"}}

    def copies() -> Iterator[str]:
        yield dump
        for index in range(number):
            new = f"list{index}".encode()
            attributes = {name: [value.replace(b"sample", new) for value in values] for name, values in sample.items()}
            yield "\n" + ldif.record(dn.replace("sample", f"list{index}"), attributes)

    rig.server.load("".join(copies()), whole=True)
