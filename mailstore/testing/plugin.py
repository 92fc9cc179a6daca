"""Fixtures for pytest: name this module in ``pytest_plugins``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailstore.store import Store
from mailstore.testing import temporary_store

__all__ = ["mailstore_store"]


@pytest.fixture
def mailstore_store() -> Iterator[Store]:
    """An empty store of this test's own; see `mailstore.testing.temporary_store`."""
    with temporary_store() as store:
        yield store
