"""One slapd for all tests of the toolkit; each has a subtree of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest

from mailstore.ldap.connection import Directory
from mailstore.ldap.names import DN, dn, rdn_value
from tests.ldap.server import MANAGER, SUFFIX, WRITER, Server

_numbers = count(1)


@pytest.fixture(scope="session")
def server(scratch_root: Path) -> Iterator[Server]:
    """The server; a test may crash it, and need not start it again."""
    with Server(scratch_root / "toolkit") as running:
        yield running


@pytest.fixture
def slapd(server: Server) -> Iterator[Server]:
    """The server, running."""
    server.start()
    yield server
    server.start()


Connect = Callable[..., Directory]


@pytest.fixture
def connect(slapd: Server) -> Iterator[Connect]:
    """Make directories that are closed after the test; options are those of Endpoint."""
    with ExitStack() as stack:

        def make(bind_dn: str = WRITER, **options: object) -> Directory:
            return stack.enter_context(closing(slapd.directory_for(bind_dn, **options)))

        yield make


@pytest.fixture
def directory(connect: Connect) -> Directory:
    """A directory that may write everything."""
    return connect()


@pytest.fixture
def base(slapd: Server) -> DN:
    """An empty subtree."""
    name = dn(("ou", f"test{next(_numbers)}"), base=SUFFIX)
    with closing(slapd.directory_for(MANAGER)) as manager:
        manager.add(name, {"objectClass": ["organizationalUnit"], "ou": [rdn_value(name)]})
    return name
