"""A node that is stopped, isolated or read-only under load: temporary errors for moments, nothing acknowledged is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailstore import MailstoreError, StoreUnavailable, open_store
from mailstore.sql.connect import native_url
from tests.cluster.conftest import Product
from tests.contract.hosting import credentials
from tests.servers.galera import Node
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import free_ports, wait_for

DOMAIN = "example.com"


def several(product: Product, first: int = 2) -> str:
    """Return the URL of a store with all nodes in it."""
    ports = [node.port for node in (*product.nodes[first:], *product.nodes[:first])]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return str(product.rig.url).replace(f"127.0.0.1:{product.nodes[0].port}", hosts)


class Load:
    """A writer that goes on whatever happens, and notes what was acknowledged and what was refused."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.acknowledged: list[str] = []
        self.doubtful: list[str] = []
        self.errors: list[MailstoreError] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            address = f"u{number}@{DOMAIN}"
            number += 1
            try:
                self.store.accounts.create(address, **credentials(self.store))
            except MailstoreError as error:
                self.errors.append(error)
                if error.state:
                    self.doubtful.append(address)
            else:
                self.acknowledged.append(address)

    def goes_on(self) -> bool:
        """Wait until more is acknowledged than now."""
        before = len(self.acknowledged)
        return wait_for(lambda: len(self.acknowledged) > before + 2, timeout=40)

    def __enter__(self) -> Load:
        self._thread.start()
        assert self.goes_on()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()


def killed(node: Node) -> Iterator[None]:
    node.kill()
    yield
    node.start()
    node.wait()


def isolated(node: Node) -> Iterator[None]:
    node.isolate()
    yield
    node.rejoin()


def read_only(node: Node) -> Iterator[None]:
    node.execute("SET GLOBAL read_only = ON")
    yield
    node.execute("SET GLOBAL read_only = OFF")


@pytest.mark.parametrize("fault", [read_only, isolated, killed])
def test_a_node_that_fails_under_load(product: Product, fault: Callable[[Node], Iterator[None]]) -> None:
    product.rig.shared.domains.create(DOMAIN)
    with open_store(several(product), home_root=str(product.rig.root)) as store, Load(store) as load:
        steps = fault(product.nodes[2])
        next(steps)
        assert load.goes_on(), load.errors[-3:]
        next(steps, None)
        assert load.goes_on(), load.errors[-3:]
    assert all(error.temporary for error in load.errors), load.errors
    there = {account.address for account in product.rig.shared.accounts.list()}
    assert set(load.acknowledged) <= there <= {*load.acknowledged, *load.doubtful}
    assert [finding for finding in product.stores[0].check() if finding.severity == "error"] == []


def test_a_store_of_one_node_without_a_quorum_is_temporarily_unavailable(product: Product) -> None:
    node = product.nodes[1]
    store = product.stores[1]
    steps = isolated(node)
    next(steps)
    try:
        with pytest.raises(StoreUnavailable):
            store.domains.create(DOMAIN)
    finally:
        next(steps, None)
    assert store.domains.create(DOMAIN).domain == DOMAIN


def test_hosts_of_postgresql(rigs: Callable[[str], Any], postgresql: PostgreSQL) -> None:
    rig = rigs("postgresql")
    (nobody,) = free_ports(1)
    url = rig.url.replace("127.0.0.1:", f"127.0.0.1:{nobody},127.0.0.1:")
    with open_store(url) as store:
        assert store.key == rig.shared.key
        postgresql.execute("ALTER DATABASE vmail SET default_transaction_read_only = on")
        try:
            postgresql.disconnect()
            with pytest.raises(StoreUnavailable):
                store.domains.count()
            with pytest.raises(StoreUnavailable):
                store.domains.create("read-only.com")
            assert list(store.domains.list(search="read-only")) == []
        finally:
            postgresql.execute("ALTER DATABASE vmail RESET default_transaction_read_only")
        with pytest.raises(StoreUnavailable):  # the connection is as old as the prohibition
            store.domains.create("writable-again.com")
        store.domains.create("writable-again.com")
        store.domains.delete("writable-again.com")


def test_urls_with_several_hosts() -> None:
    url = native_url("mysql", "//me:secret@one:3307,two/db")
    assert "secret" not in str(url)
    assert url.query["mailstore_hosts"] == ("one:3307", "two:3306")
    assert native_url("postgresql", "//me@one,[::1]:5433/db").query["host"] == ("one:5432", "[::1]:5433")
