"""One cluster of three nodes for all tests of this folder, with the schema of each product."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mailstore import open_store
from tests import rigs
from tests.afterlogic import rig as afterlogic
from tests.atmail import rig as atmail
from tests.servers.galera import Galera, Node
from tests.servers.process import make_directory
from tests.stores import empty_homes

ROUNDS = int(os.environ.get("MAILSTORE_ROUNDS", "4"))
"""How often each race is run: few times in `make test`, 200 times in `make test-galera`."""

_MAKERS: dict[str, Callable[[Any, Path, tuple[int, int]], Any]] = {
    "iredmail": lambda node, root, owner: rigs.on_server("mysql", node, root, owner),
    "atmail": atmail.on_mariadb,
    "afterlogic": lambda node, root, owner: afterlogic.on_server("mysql", node, root, owner),
}


@dataclass
class Product:
    """The database of one product on the cluster, as the rig of its first node and a store on each node.

    None of ``stores`` sees the disk; homes are recorded below the root of ``rig``.
    """

    name: str
    rig: Any
    nodes: list[Node]
    stores: list[Any] = field(default_factory=list)

    def open(self, node: int, **options: Any) -> Any:
        """Open the store on a node."""
        first, other = (f":{self.nodes[number].port}/" for number in (0, node))
        return open_store(self.rig.url.replace(first, other), **options)

    def clear(self) -> None:
        """Begin anew."""
        self.rig.clear()
        empty_homes(self.rig)


@pytest.fixture(scope="session")
def galera(scratch_root: Path) -> Iterator[Galera]:
    """The run's cluster."""
    with Galera(scratch_root / "galera") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def products(galera: Galera, scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Callable[[str], Product]]:
    """A function that returns a product's databases on the cluster, made when first asked for."""
    built: dict[str, Product] = {}

    def get(name: str) -> Product:
        if name not in built:
            place = make_directory(scratch_root / f"galera-{name}")
            built[name] = Product(name, _MAKERS[name](galera.nodes[0], place / "homes", vmail_owner), galera.nodes)
            root = str(built[name].rig.root)
            built[name].stores = [built[name].open(number, home_root=root) for number in range(3)]
        return built[name]

    yield get
    for product in built.values():
        for store in product.stores:
            store.close()
        product.rig.close()


@pytest.fixture
def product(request: pytest.FixtureRequest, products: Callable[[str], Product]) -> Product:
    """The product that a test is parametrised with, emptied; iRedMail's if it is not."""
    found = products(getattr(request, "param", "iredmail"))
    found.clear()
    return found
