"""Addresses: whose a request is, as far as proxies are to be believed, and who is let in."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from mailstore.errors import ConfigurationError

__all__ = ["UNIX", "Networks", "client_of", "is_inside", "peer_of"]

UNIX = "unix"
"""Stands for whoever is at the other side of a Unix socket, which has no address."""

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Networks:
    """A list of addresses and networks, and perhaps `UNIX`."""

    def __init__(self, key: str, texts: Collection[str]) -> None:
        """Raises ConfigurationError that names `key` for what is neither."""
        self._unix = UNIX in texts
        try:
            self._networks: tuple[_Network, ...] = tuple(
                ipaddress.ip_network(text.strip(), strict=False) for text in texts if text != UNIX
            )
        except ValueError as error:
            raise ConfigurationError(f"{key}: {error}") from error

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def __contains__(self, address: str) -> bool:
        if address == UNIX:
            return self._unix
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        plain = getattr(found, "ipv4_mapped", None) or found
        return any(plain in network for network in self._networks if network.version == plain.version)


def peer_of(environ: Mapping[str, Any]) -> str:
    """Return the address at the other end of the connection."""
    peer = str(environ.get("REMOTE_ADDR") or UNIX)
    return UNIX if peer == "localhost" else peer  # as waitress calls whoever came through a socket


def client_of(environ: Mapping[str, Any], trusted: Networks) -> tuple[str, bool]:
    """Return the address of the client, and whether it spoke TLS.

    Headers are believed only from trusted proxies; of several addresses the last one that is none of these is the client's.
    """
    peer = peer_of(environ)
    if peer not in trusted:
        return peer, environ.get("wsgi.url_scheme") == "https"
    secure = str(environ.get("HTTP_X_FORWARDED_PROTO", "")).strip().lower() == "https"
    for text in reversed(str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")):
        try:
            address = str(ipaddress.ip_address(text.strip()))
        except ValueError:
            break
        if address not in trusted:
            return address, secure
    return peer, secure


def is_inside(host: str) -> bool:
    """Tell whether an address is one of the machine itself only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
