"""The configuration of the daemon, completely checked: what is wrong with it shows when it is read, not at night."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from mailstore import config
from mailstore.audit import Trail
from mailstore.config import Config, DaemonConfig, StoreConfig
from mailstore.errors import ConfigurationError
from mailstore.maildir import Homes
from mailstore.registry import DRIVERS, resolve_companion_password, resolve_password, with_query_options
from mailstored.schedule import Trigger, duration, trigger

__all__ = ["Listen", "Settings", "listen_of", "load", "problems"]

_PORTS = range(65536)


@dataclass(frozen=True)
class Listen:
    """Where Prometheus asks for the metrics."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the file says. ``check`` None means never, ``listen`` None no metrics."""

    stores: Mapping[str, StoreConfig]
    purge: Trigger
    check: Trigger | None
    listen: Listen | None
    log_format: str
    log_level: str
    retry_first: timedelta
    retry_max: timedelta
    stuck_after: timedelta
    on_trouble: Sequence[str]
    on_trouble_timeout: timedelta
    trail: Trail


def load(path: Path | None) -> Settings:
    """Read the file. Raises ConfigurationError that names the key and what is wrong with it."""
    path = path or config.default_path()
    whole = config.load(path)
    try:
        return _settings(whole, whole.daemon)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def problems(options: StoreConfig) -> Iterator[str]:
    """Iterate over what keeps a store from being opened and purged here, as far as that shows without connecting."""
    try:
        resolve_password(options)
        for name in ("amavisd", "iredapd"):
            if getattr(options, name):
                resolve_companion_password(options, name)
    except ConfigurationError as error:
        yield str(error)
    for root in options.homes:
        try:
            is_directory = stat.S_ISDIR(Path(root).stat().st_mode)
        except OSError as error:
            yield f"homes: cannot look into {root}: {error.strerror}; is its file system mounted?"
        else:
            if not is_directory:
                yield f"homes: {root} is no directory"


def _settings(whole: Config, daemon: DaemonConfig) -> Settings:
    zone = _zone(daemon.timezone) if daemon.timezone else UTC
    return Settings(
        stores=_stores(whole),
        purge=trigger("daemon.purge", daemon.purge, zone),
        check=trigger("daemon.check", daemon.check, zone) if daemon.check else None,
        listen=listen_of("daemon.metrics_listen", daemon.metrics_listen),
        log_format=daemon.log_format,
        log_level=daemon.log_level,
        retry_first=_duration("daemon.retry_first", daemon.retry_first),
        retry_max=_duration("daemon.retry_max", daemon.retry_max),
        stuck_after=_duration("daemon.stuck_after", daemon.stuck_after),
        on_trouble=_command(daemon.on_trouble),
        on_trouble_timeout=_duration("daemon.on_trouble_timeout", daemon.on_trouble_timeout),
        trail=Trail(whole.audit.to),
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, outside of the database, or a directory of it
        raise ConfigurationError(
            f"daemon.timezone: {name!r} is no time zone that this system knows, such as Europe/Berlin; "
            "those are in the package tzdata"
        ) from None


def _command(words: Sequence[str]) -> Sequence[str]:
    if words and not (Path(words[0]).is_absolute() and Path(words[0]).is_file() and os.access(words[0], os.X_OK)):
        raise ConfigurationError(
            f"daemon.on_trouble: {words[0]!r} is not the absolute path of a program that may be run here"
        )
    return words


def _duration(key: str, text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise ConfigurationError(f"{key}: {error}") from error


def listen_of(key: str, text: str) -> Listen | None:
    """Return an address and port; None if the text is empty. Raises ConfigurationError that names `key`."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) not in _PORTS:
        raise ConfigurationError(f"{key}: {text!r} is not address:port, such as 127.0.0.1:9475")
    return Listen(host.removeprefix("[").removesuffix("]"), int(port))


def _stores(whole: Config) -> dict[str, StoreConfig]:
    names = whole.daemon.stores or list(whole.stores)
    if not names:
        raise ConfigurationError("there are no stores; add a [stores.NAME]")
    return {name: _store(name, whole.stores[name]) for name in names}


def _store(name: str, given: StoreConfig) -> StoreConfig:
    try:
        options = with_query_options(given)
        _check(options)
    except ConfigurationError as error:
        raise ConfigurationError(f"stores.{name}: {error}") from error
    except ValueError:  # its text may quote a part of the URL, such as the password
        raise ConfigurationError(f"stores.{name}.url is not a URL") from None
    return options


def _check(options: StoreConfig) -> None:
    scheme = urlsplit(options.url).scheme
    if scheme not in DRIVERS:
        raise ConfigurationError(f"unknown kind of store {scheme!r}; known are {', '.join(sorted(DRIVERS))}")
    if not options.homes:
        raise ConfigurationError("homes is empty, so nothing could be purged; give it, or name others in daemon.stores")
    Homes(options.homes, owner=options.owner_ids())
