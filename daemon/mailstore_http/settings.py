"""The configuration of the service, completely checked before it listens."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mailstore import config
from mailstore.audit import Trail
from mailstore.config import Config, DialectConfig, HttpConfig, StoreConfig
from mailstore.errors import ConfigurationError
from mailstore.registry import DRIVERS, with_query_options
from mailstore_http.networks import Networks, is_inside
from mailstored.settings import Listen, listen_of

__all__ = ["DialectSettings", "Settings", "V1Settings", "load", "seconds"]

_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:-]+")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PREFIXES = {
    "iredadmin": ("/api", "/iredadmin/api", "/admin/api"),
    "mailinabox": ("/admin",),
    "atmail": ("/admin/index.php/api",),
    "afterlogic": ("/rest.php",),
}
_IDLE = {"mailinabox": "2d"}
_USUAL_IDLE = "30m"
_BACKENDS = {"iredadmin": "iredmail+", "mailinabox": "mailinabox", "atmail": "atmail+", "afterlogic": "afterlogic+"}
"""How the URLs of stores begin whose panel has such an API."""


@dataclass(frozen=True, kw_only=True)
class DialectSettings:
    """One API: what the file says of it, the store that it works on, and who may use it."""

    name: str
    config: DialectConfig
    store: str
    kind: str
    hostname: str
    prefixes: tuple[str, ...]
    clients: Networks
    idle: int
    state: Path


@dataclass(frozen=True, kw_only=True)
class V1Settings:
    """The API of mailstore itself: where it is served, on which stores, to whom, and where it keeps what.

    ``replay`` is for how many seconds the answer to an Idempotency-Key is known.
    """

    prefix: str
    stores: tuple[str, ...]
    admins: bool
    clients: Networks
    cors: Collection[str]
    replay: int
    tokens: Path
    state: Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the file says. ``socket`` is the path of a Unix socket, else empty and ``host`` and ``port`` count."""

    http: HttpConfig
    socket: str
    host: str
    port: int
    proxies: Networks
    stores: Mapping[str, StoreConfig]
    dialects: tuple[DialectSettings, ...]
    v1: V1Settings | None
    trail: Trail
    metrics: Listen | None


def load(path: Path | None) -> Settings:
    """Read the file. Raises ConfigurationError that names the key and what is wrong with it."""
    path = path or config.default_path()
    whole = config.load(path)
    try:
        return _settings(whole)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def seconds(text: str) -> int:
    """Return a duration that the configuration has checked, such as ``30m``."""
    return int(text[:-1]) * _UNITS[text[-1]]


def _settings(whole: Config) -> Settings:
    http = whole.http
    if not http.dialects and http.v1 is None:
        raise ConfigurationError("http: no API is configured; add [http.v1] or a [http.dialects.NAME]")
    path, host, port = _listen(http)
    stores: dict[str, StoreConfig] = {}
    dialects = []
    for name, dialect in http.dialects.items():
        store = dialect.store or _only(whole)
        stores[store] = with_query_options(whole.store(store))
        dialects.append(_dialect(name, dialect, store, stores[store], _state(http)))
    v1 = _v1(whole)
    for store in v1.stores if v1 else ():
        stores[store] = with_query_options(whole.store(store))
    _require_distinct(dialects, v1)
    return Settings(
        http=http,
        socket=path,
        host=host,
        port=port,
        proxies=Networks("http.trusted_proxies", http.trusted_proxies),
        stores=stores,
        dialects=tuple(dialects),
        v1=v1,
        trail=Trail(whole.audit.to),
        metrics=listen_of("http.metrics_listen", http.metrics_listen),
    )


def _only(whole: Config) -> str:
    chosen = whole.store()
    return next(name for name, store in whole.stores.items() if store is chosen)


def _listen(http: HttpConfig) -> tuple[str, str, int]:
    if http.listen.startswith("unix:"):
        path = http.listen.removeprefix("unix:")
        if not path.startswith("/"):
            raise ConfigurationError(f"http.listen: {path!r} is no absolute path")
        return path, "", 0
    host, _, port = http.listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"http.listen: {http.listen!r} is not address:port, such as 127.0.0.1:8025")
    if not is_inside(host) and not http.plain_http_outside:
        raise ConfigurationError(
            f"http.listen: passwords could be read on the way to {host}; listen on 127.0.0.1 behind a proxy that speaks "
            "TLS, or set plain_http_outside"
        )
    return "", host, int(port)


def _state(http: HttpConfig) -> Path:
    # systemd joins several directories with colons.
    place = http.state or os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not place:
        raise ConfigurationError("http.state: give a directory for the sessions ($STATE_DIRECTORY is not set either)")
    return Path(place)


def _dialect(name: str, dialect: DialectConfig, store: str, options: StoreConfig, state: Path) -> DialectSettings:
    where = f"http.dialects.{name}"
    if not name.isidentifier():
        raise ConfigurationError(f"{where}: a name holds letters, digits and _ only")
    kind = options.url.partition(":")[0]
    if kind not in DRIVERS or not kind.startswith(_BACKENDS[dialect.api]):
        raise ConfigurationError(f"{where}: the API {dialect.api} does not go with a store of the kind {kind}")
    if dialect.provision == "creation" and not options.apiserver:
        raise ConfigurationError(f"{where}.provision: it takes the option apiserver of [stores.{store}]")
    if dialect.api == "afterlogic" and not options.webmail_data:
        raise ConfigurationError(f"{where}: it takes the option webmail_data of [stores.{store}]")
    prefixes = tuple(prefix.rstrip("/") for prefix in dialect.prefixes) or _PREFIXES[dialect.api]
    for prefix in prefixes:
        if prefix and not prefix.startswith("/"):
            raise ConfigurationError(f"{where}.prefixes: {prefix!r} must begin with a slash")
    return DialectSettings(
        name=name,
        config=dialect,
        store=store,
        kind=kind,
        hostname=options.primary_hostname or socket.getfqdn(),
        prefixes=prefixes,
        clients=Networks(f"{where}.clients", dialect.clients),
        idle=seconds(dialect.session_idle or _IDLE.get(dialect.api, _USUAL_IDLE)),
        state=state / name,
    )


def _v1(whole: Config) -> V1Settings | None:
    given = whole.http.v1
    if given is None:
        return None
    if not whole.stores:
        raise ConfigurationError("http.v1: there are no stores; add a [stores.NAME]")
    for origin in given.cors:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigurationError(f"http.v1.cors: {origin!r} is no origin, such as https://panel.example.com")
    return V1Settings(
        prefix=given.prefix,
        stores=tuple(given.stores or whole.stores),
        admins=given.admins,
        clients=Networks("http.v1.clients", given.clients),
        cors=frozenset(given.cors),
        replay=seconds(given.replay),
        tokens=whole.token_file(),
        state=_state(whole.http) / "v1",
    )


def _require_distinct(dialects: list[DialectSettings], v1: V1Settings | None) -> None:
    seen: dict[str, str] = {v1.prefix: "http.v1"} if v1 else {}
    for dialect in dialects:
        for prefix in dialect.prefixes:
            other = seen.setdefault(prefix, dialect.name)
            if other != dialect.name:
                raise ConfigurationError(f"http.dialects: {other} and {dialect.name} are both served below {prefix!r}")
