"""The keys under which amavisd and iRedAPD look settings up, and the numbers that put them in order.

Both daemons ask for all keys of an address at once and then sort by a number that is stored beside each row: that number
decides, not the shape of the key. The two daemons have different scales, and a number of the one among rows of the other
turns the order round, so that both scales stand here and nowhere else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping

from mailstore.address import any_address, domain_name
from mailstore.errors import InvalidAddress, InvalidValue
from mailstore.model import Edit, Names
from mailstore.policies import Level

__all__ = [
    "ANY_CLIENT",
    "EVERYBODY",
    "amavisd_keys",
    "amavisd_priority",
    "checked_peers",
    "iredapd_keys",
    "iredapd_priority",
    "iredapd_sender_keys",
    "key_of",
    "level_name",
    "peer_key",
    "without_extension",
]

EVERYBODY = "@."
"""The key of the global level."""
ANY_CLIENT = "@ip"
"""Stands for every client address, in throttles only."""

_AMAVISD: Mapping[str, int] = {
    "email": 10, "ip": 9, "wildcard_ip": 8, "wildcard_address": 7, "network": 7, "domain": 5, "subdomains": 3, "tld": 2,
    "any_client": 1, "everybody": 0,
}  # fmt: skip
_IREDAPD: Mapping[str, int] = {
    "email": 100, "wildcard_address": 90, "ip": 80, "wildcard_ip": 70, "network": 70, "domain": 60, "subdomains": 50,
    "tld": 40, "any_client": 0, "everybody": 0,
}  # fmt: skip
"""Networks need exactly 70: iRedAPD looks at the number to see that a sender is one."""

_KNOWN_TO_IREDAPD = re.compile(r"[\w#-][\w.+=/#&-]*@[\w-][\w.-]*\.[a-z0-9-]{2,15}", re.ASCII)
"""Any other address (one with an apostrophe, or with a longer top-level domain) has only global settings for iRedAPD."""


def key_of(level: Level) -> str:
    """Return the key under which settings of a level are stored."""
    if level.kind == "address":
        return level.name
    return f"@{level.name}" if level.kind == "domain" else EVERYBODY


def level_name(key: str) -> str:
    """Return the level of a key as `Level` writes it; a key that is no level stays as it is."""
    if key == EVERYBODY:
        return "global"
    return key[1:] if key.startswith("@") and not key.startswith("@.") and key != ANY_CLIENT else key


def amavisd_priority(key: str) -> int:
    """Return the number for `users.priority` and `mailaddr.priority` in amavisd's tables."""
    return _AMAVISD[_kind_of(key)]


def iredapd_priority(key: str) -> int:
    """Return the number for all priorities in iRedAPD's tables."""
    return _IREDAPD[_kind_of(key)]


def _kind_of(key: str) -> str:
    if key in (EVERYBODY, ANY_CLIENT):
        return "everybody" if key == EVERYBODY else "any_client"
    if key.startswith("@."):
        return "subdomains" if "." in key[2:] else "tld"
    if key.startswith("@"):
        return "domain"
    if "@" in key:
        return "wildcard_address" if key.endswith("@*") else "email"
    return "network" if "/" in key else "wildcard_ip" if "*" in key else "ip"


def without_extension(address: str) -> str:
    """Return an address as iRedAPD looks it up: senders and recipients lose what follows the first ``+``."""
    if not _KNOWN_TO_IREDAPD.fullmatch(address):
        return address
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def iredapd_sender_keys(sender: str, client: str | None, target_domain: str | None = None) -> tuple[str, ...]:
    """Return the keys under which iRedAPD looks for an unauthenticated sender in access lists, patterns included."""
    sender = without_extension(sender)
    keys = (*iredapd_keys(sender, target_domain), f"{sender.partition('@')[0].partition('+')[0]}@*")
    if client is None:
        return keys
    return (*keys, client, *((f"{client.rpartition('.')[0]}.*",) if "." in client else ()))


def iredapd_keys(address: str, target_domain: str | None = None) -> tuple[str, ...]:
    """Return the keys that iRedAPD asks for; `target_domain` is the domain that an alias domain stands for."""
    if not _KNOWN_TO_IREDAPD.fullmatch(address):
        return (EVERYBODY,)
    local, _, domain = address.rpartition("@")
    keys = _keys(address)
    return keys if target_domain in (None, domain) else (*keys, *_keys(f"{local}@{target_domain}")[:-1])


def amavisd_keys(address: str) -> tuple[str, ...]:
    """Return the keys that amavisd asks for, a recipient of this server being given; also the bare local part."""
    keys = _keys(address)
    return (keys[0], address.rpartition("@")[0], *keys[1:])


def _keys(address: str) -> tuple[str, ...]:
    labels = address.rpartition("@")[2].split(".")
    above = (f"@.{'.'.join(labels[start:])}" for start in range(len(labels)))
    return (address, f"@{'.'.join(labels)}", *above, EVERYBODY)


def peer_key(text: str, *, ipv6_networks: bool, clients: bool = True) -> str:
    """Return the normal form of a peer in a list: an address, ``@domain``, ``@.domain``, ``@.``, an IP or a network.

    Raises InvalidValue for what iRedAPD would never find; `ipv6_networks` tells whether it evaluates those of IPv6,
    `clients` whether it compares IP addresses and networks at all.
    """
    text = text.strip().lower() if isinstance(text, str) else ""
    if text == EVERYBODY:
        return text
    try:
        if text.startswith("@."):
            return f"@.{domain_name(text[2:]) if '.' in text[2:] else _top_level(text[2:])}"
        if text.startswith("@"):
            return f"@{domain_name(text[1:])}"
        if "@" in text:
            return _without_extension_only(any_address(text))
        if clients:
            return _network(text, ipv6_networks)
    except InvalidAddress as error:
        raise InvalidAddress(f"{error}; {_FORMS}", subject=text) from error
    raise InvalidValue(f"{text!r} cannot stand here: iRedAPD compares no IP addresses with recipients", subject=text)


def _without_extension_only(address: str) -> str:
    bare = without_extension(address)
    if bare != address:
        raise InvalidValue(
            f"iRedAPD would never find {address}: it drops what follows the + before it looks; write {bare}",
            subject=address,
        )
    return address


def checked_peers(names: Names | None, check: Callable[[str], str]) -> Names | None:
    """Return the names of a list in the form that `check` gives them; it raises for those that cannot be found.

    What is to be removed may be anything that another tool has written.
    """
    if isinstance(names, Edit):
        return Edit(add=_each(names.add, check), remove=_each(names.remove, lambda name: _found_or_not(name, check)))
    return None if names is None else _each(names, check)


def _each(names: Iterable[str], check: Callable[[str], str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise InvalidValue(f"a list is wanted, not the text {names!r}")
    return tuple(dict.fromkeys(check(name) for name in names))


def _found_or_not(name: str, check: Callable[[str], str]) -> str:
    try:
        return check(name)
    except InvalidValue:
        if not isinstance(name, str):
            raise
        return name.strip().lower()


_FORMS = "write an address, @domain, @.domain (with subdomains), @. (everybody), an IP address or a network"


def _top_level(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{2,25}", name):
        raise InvalidAddress(f"{name!r} is no top-level domain", subject=name)
    return name


def _network(text: str, ipv6_networks: bool) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidValue(f"{text!r} cannot stand in a list; {_FORMS}", subject=text) from None
    if network.num_addresses == 1:
        return str(network.network_address)
    shown = str(network)
    if network.version == 4 and network.prefixlen >= 8:
        return shown
    # iRedAPD first compares the text before the first separator, and takes for IPv6 networks only what ends with "::".
    if network.version == 6 and ipv6_networks and network.prefixlen >= 16 and "::/" in shown:
        return shown
    raise InvalidValue(
        f"iRedAPD would never find the network {shown} here; give smaller ones, or addresses", subject=text
    )
