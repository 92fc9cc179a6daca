"""The LDAP store against hand-written ldap3 calls that leave the same in the directory.

The floor does what iRedAdmin does: it reads the domain, looks for the address, adds the entry and counts up the domain's
counter; it takes no locks and does not notice anybody else's change.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from bench.measure import Result, alternate, peak_memory
from mailstore.ldap import ldif
from mailstore.ldap._ldap3 import ldap3
from mailstore.ldap.iredmail.context import EVERYTHING
from mailstore.ldap.iredmail.store import IRedMailDirectory
from mailstore.passwords import hash_password
from tests.ldap.rig import LdapRig, plain
from tests.servers.process import LOOPBACK, make_directory
from tests.servers.slapd import Slapd
from tests.stores import Place

__all__ = ["run"]

READY = hash_password("x")
DOMAIN = "example.com"
PAGED = "1.2.840.113556.1.4.319"


class Floor:
    """Hand-written code for one directory."""

    def __init__(self, server: Slapd, sample: Any) -> None:
        """`sample` is an account's entry as mailstore wrote it: the floor writes the same attributes."""
        self._server = server
        self.connection = self._connect()
        self.base = f"o=domains,{server.suffix}"
        self.domain = f"domainName={DOMAIN},{self.base}"
        self.users = f"ou=Users,{self.domain}"
        own = {"createtimestamp", "modifytimestamp", "entrycsn", "mail", "uid", "cn", "sn", "homedirectory"}
        self._sample = {name: list(values) for name, values in sample.raw.items() if name.lower() not in own}

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
def opened() -> Iterator[tuple[LdapRig, IRedMailDirectory]]:
    """Start a server in a directory of its own, and open a store in it."""
    scratch = make_directory(Path(tempfile.gettempdir()) / f"mailstorebench{secrets.token_hex(4)}")
    try:
        with Slapd(scratch / "slapd") as server:
            rig = plain(Place(scratch, (os.getuid(), os.getgid()), lambda _: server))
            with rig.open_without_disk() as store:
                yield rig, store
    finally:
        shutil.rmtree(scratch)


def run(only: str | None, quick: bool) -> Iterator[Result]:
    """Measure everything, or one thing only."""
    measured = {"create": creating, "modify": modifying, "rename": renaming, "list": listing}
    chosen = [benchmark for name, benchmark in measured.items() if only in (None, name)]
    if not chosen:
        return
    with opened() as (rig, store):
        store.domains.create(DOMAIN)
        store.accounts.create(f"sample@{DOMAIN}", password_hash=READY)
        places = store._context.places
        floor = Floor(rig.server, store._context.directory.read(places.account(f"sample@{DOMAIN}"), EVERYTHING))
        for benchmark in chosen:
            yield from benchmark(rig, store, floor, quick)
        floor.close()


def creating(_rig: LdapRig, store: IRedMailDirectory, floor: Floor, quick: bool) -> Iterator[Result]:
    def ours(number: int) -> None:
        store.accounts.create(f"ours{number}@{DOMAIN}", password_hash=READY)

    times = alternate(ours, lambda number: floor.create(f"hand{number}"), 100 if quick else 500)
    yield Result("create one account, ldap", *times, target=1.5)


def modifying(_rig: LdapRig, store: IRedMailDirectory, floor: Floor, quick: bool) -> Iterator[Result]:
    def ours(number: int) -> None:
        store.accounts.update(f"sample@{DOMAIN}", name=f"Ours {number}")

    times = alternate(ours, lambda number: floor.modify("sample", f"Hand {number}"), 100 if quick else 500)
    yield Result("modify one account, ldap", *times, target=1.5)


def renaming(_rig: LdapRig, store: IRedMailDirectory, floor: Floor, quick: bool) -> Iterator[Result]:
    floor.create("moving0")
    store.accounts.create(f"travelling0@{DOMAIN}", password_hash=READY)
    turns = count()

    def ours(number: int) -> None:
        store.accounts.rename(f"travelling{number}@{DOMAIN}", f"travelling{number + 1}@{DOMAIN}")

    def hand(_: int) -> None:
        turn = next(turns)
        floor.rename(f"moving{turn}", f"moving{turn + 1}")

    times = alternate(ours, hand, 50 if quick else 200)
    yield Result("rename one account, ldap", *times, target=1.5)


def listing(rig: LdapRig, store: IRedMailDirectory, floor: Floor, quick: bool) -> Iterator[Result]:
    fill(rig, 10_000 if quick else 100_000)

    def ours(_: int) -> None:
        assert sum(1 for _ in store.accounts.list()) == total

    floor.reconnect()
    total = store.accounts.count()
    assert floor.list() == total
    times = alternate(ours, lambda _: floor.list(), 3)
    yield Result(f"list {total:,} accounts, ldap", *times, target=2.0)
    many = min(total, 20_000)  # counting every allocation makes ldap3 several times slower
    small, large = peak_memory(store, 2_000), peak_memory(store, many)
    print(f"peak memory while listing, ldap: {small / 1e6:.1f} MB for 2,000, {large / 1e6:.1f} MB for {many:,}")


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
