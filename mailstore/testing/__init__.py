"""A store for the tests of programs that use mailstore: the whole contract, without any server.

>>> from mailstore.testing import temporary_store
>>> with temporary_store() as store:
...     store.domains.create("example.com").domain
'example.com'

The store is iRedMail's SQL schema in SQLite, as in production but for the engine. For pytest there is a fixture::

    pytest_plugins = ["mailstore.testing.plugin"]

    def test_provisioning(mailstore_store):
        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mailstore.config import StoreConfig, convert
from mailstore.registry import DRIVERS, open_config
from mailstore.store import Store

__all__ = ["CHEAP_SCHEME", "temporary_store"]

CHEAP_SCHEME = "SSHA256"
"""The scheme of new passwords unless told otherwise: a test need not wait for a costly hash."""


@contextmanager
def temporary_store(directory: Path | None = None, **options: Any) -> Iterator[Store]:
    """Make an empty store with every capability of its kind, and remove it in the end.

    Parameters
    ----------
    directory: an existing directory for the database and the homes, which stay there; None means a temporary one. It has to
        be written in lower case, as mail servers look for homes.
    options: as for `mailstore.open_store`, but for `homes`: these lie in ``homes`` below the directory.

    Gives the open store. Raises ConfigurationError as `mailstore.open_store` does.
    """
    if directory is None:
        with TemporaryDirectory(prefix="mailstore-") as name, temporary_store(Path(name), **options) as store:
            yield store
        return
    homes = directory / "homes"
    homes.mkdir()
    url = f"iredmail+sqlite:///{directory}/vmail.db"
    given = {"password_scheme": CHEAP_SCHEME, **options, "url": url, "homes": [str(homes)]}
    config = convert(given, StoreConfig, "temporary_store")
    import_module(DRIVERS["iredmail+sqlite"]).create_schema(config, None)
    with open_config(config) as store:
        yield store
