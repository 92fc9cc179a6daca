"""From a URL to a store: `open_store`. Drivers are imported when they are first needed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from mailstore.config import LayoutConfig, StoreConfig, convert
from mailstore.driver import urls
from mailstore.errors import ConfigurationError

if TYPE_CHECKING:
    from mailstore.store import Store

__all__ = [
    "DRIVERS",
    "open_config",
    "open_store",
    "resolve_companion_password",
    "resolve_password",
    "with_query_options",
]

DRIVERS: Mapping[str, str] = {
    "iredmail+mysql": "mailstore.sql.iredmail.store",
    "iredmail+postgresql": "mailstore.sql.iredmail.store",
    "iredmail+sqlite": "mailstore.sql.iredmail.store",
    "iredmail+ldap": "mailstore.ldap.iredmail.store",
    "iredmail+ldaps": "mailstore.ldap.iredmail.store",
    "iredmail+ldapi": "mailstore.ldap.iredmail.store",
    "mailinabox": "mailstore.sql.mailinabox.store",
    "atmail+mysql": "mailstore.sql.atmail.store",
    "afterlogic+mysql": "mailstore.sql.afterlogic.store",
    "afterlogic+postgresql": "mailstore.sql.afterlogic.store",
    "afterlogic+sqlite": "mailstore.sql.afterlogic.store",
}
"""The module of each kind of URL; it has a function ``open_store(config, password)``."""

_DATABASES = ("retention", "apiserver", "amavisd", "iredapd")
"""The options that are URLs of further databases."""
PASSWORD_VARIABLE = "MAILSTORE_PASSWORD"  # noqa: S105 the name of a variable


def open_store(
    url: str,
    *,
    homes: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    password: str | None = None,
    layout: Mapping[str, bool] | LayoutConfig | None = None,
    **options: Any,
) -> Store:
    """Open a store.

    Parameters
    ----------
    url: kind and place, such as ``iredmail+postgresql://vmailadmin@127.0.0.1/vmail``,
        ``iredmail+mysql://vmailadmin@127.0.0.1/vmail`` or ``iredmail+sqlite:////var/lib/mailstore/vmail.db``. Options may
        stand in its query string.
    homes: the directories below which mailboxes lie; None means that the disk is never touched.
    password: of the database account; else the URL's, that in `password_file`, or ``$MAILSTORE_PASSWORD``.
    layout, options: see `StoreConfig`.

    The database is contacted and its schema examined. Raises ConfigurationError, StoreUnavailable, StoreDenied,
    SchemaMismatch.
    """
    given: dict[str, Any] = dict(options)
    if homes is not None:
        given["homes"] = (
            [os.fspath(homes)] if isinstance(homes, str | os.PathLike) else [os.fspath(root) for root in homes]
        )
    if layout is not None:
        given["layout"] = layout
    return open_config(convert({"url": url, **given}, StoreConfig, "open_store"), password=password)


def open_config(config: StoreConfig, *, password: str | None = None) -> Store:
    """Open the store that a `StoreConfig` describes; errors as for `open_store`."""
    config = with_query_options(config)
    scheme = urlsplit(config.url).scheme
    if scheme not in DRIVERS:
        raise ConfigurationError(f"unknown kind of store {scheme!r}; known are {', '.join(sorted(DRIVERS))}")
    if (config.amavisd or config.iredapd) and not scheme.startswith("iredmail+"):
        raise ConfigurationError(f"amavisd= and iredapd= go with iRedMail's stores, not with {scheme}")
    password = password or resolve_password(config)
    urls.require_password("the database", password)
    store: Store = import_module(DRIVERS[scheme]).open_store(config, password)
    return store


def resolve_password(config: StoreConfig) -> str | None:
    """Return the database password from the URL, `password_file` or the environment; None if there is none."""
    return _password(config.url, "password_file", config.password_file, PASSWORD_VARIABLE)


def resolve_companion_password(config: StoreConfig, name: str) -> str | None:
    """Return the password of the database that the option `name` gives, likewise: ``$MAILSTORE_AMAVISD_PASSWORD``."""
    option = f"{name}_password_file"
    password = _password(getattr(config, name), option, getattr(config, option), f"MAILSTORE_{name.upper()}_PASSWORD")
    urls.require_password(name, password)
    return password


def _password(url: str, option: str, file: str, variable: str) -> str | None:
    if urlsplit(url).password is not None:
        return None  # the driver takes it, with its percent-encoding, from the URL itself
    if not file:
        return os.environ.get(variable)
    path = Path(file)
    if not path.is_absolute():
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if credentials is None:
            return _password_without_credentials(option, file, variable)
        path = Path(credentials) / path
    try:
        return path.read_text(encoding="utf-8").split("\n", 1)[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {option} {path}: {error}") from error


def _password_without_credentials(option: str, file: str, variable: str) -> str:
    """Return the password for a process that systemd did not start, under a configuration that names a credential."""
    password = os.environ.get(variable)
    if password is None:
        raise ConfigurationError(
            f"{option} {file!r} is a systemd credential, and there are none here; "
            f"set ${variable}, or give an absolute path"
        )
    return password


def with_query_options(config: StoreConfig) -> StoreConfig:
    """Return the configuration with the options that its URL's query string holds; they come before the others.

    Raises ConfigurationError for URLs, that of the store or of a further database, which are not to be understood.
    """
    urls.require("the store's URL", config.url)
    parts = urlsplit(config.url)
    if parts.query:
        config = _with_query(config, urlunsplit(parts._replace(query="")) if parts.netloc else "")
    for name in _DATABASES:
        urls.require(f"{name}=", getattr(config, name))
    return config


def _with_query(config: StoreConfig, bare: str) -> StoreConfig:
    options: dict[str, Any] = {}
    for key, value in urls.options_of(config.url):
        if key in {"url", "layout", "atmail"}:
            raise ConfigurationError(f"option {key!r} cannot stand in a URL")
        options[key] = [*options.get(key, []), value] if key == "homes" else value
    bare = bare or config.url.partition("?")[0]  # urlunsplit would drop the slashes in front of a path
    present = {name: getattr(config, name) for name in config.__struct_fields__}
    return convert({**present, **options, "url": bare}, StoreConfig, "the store's URL", strict=False)
