"""The one import of ldap3, and the controls that are sent with it.

ldap3 2.9.1 uses two names that pyasn1 has deprecated since, so that its import would fail where warnings are errors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from mailstore.errors import ConfigurationError
from mailstore.ldap.names import Filter

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "(tagMap|typeMap) is deprecated", DeprecationWarning)
    try:
        import ldap3
    except ImportError as error:
        raise ConfigurationError("this store needs the package ldap3: pip install 'mailstore[ldap]'") from error
    from ldap3.core.exceptions import (
        LDAPCommunicationError,
        LDAPExceptionError,
        LDAPResponseTimeoutError,
        LDAPSocketOpenError,
    )
    from ldap3.operation.search import compile_filter, parse_filter
    from ldap3.protocol.controls import build_control
    from ldap3.protocol.convert import build_controls_list
    from ldap3.protocol.rfc2696 import paged_search_control
    from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
    from ldap3.protocol.rfc4527 import post_read_control
    from ldap3.strategy.base import BaseStrategy
    from ldap3.utils.asn1 import decode_sequence

__all__ = [
    "ASSERTION",
    "PAGED",
    "POST_READ",
    "START_TLS",
    "LDAPCommunicationError",
    "LDAPExceptionError",
    "LDAPResponseTimeoutError",
    "LDAPSocketOpenError",
    "assertion",
    "connection",
    "ldap3",
    "paged",
    "post_read",
]

PAGED = "1.2.840.113556.1.4.319"
ASSERTION = "1.3.6.1.1.12"
POST_READ = "1.3.6.1.1.13.2"
START_TLS = "1.3.6.1.4.1.1466.20037"
_ENTRY = 4  # tag of a SearchResultEntry (RFC 4511, 4.5.2)


def connection(sock: Any, user: str, password: bytes) -> Any:
    """Make an ldap3 connection that uses a socket which is open already.

    The socket is given instead of left to ldap3, whose own neither sets TCP_NODELAY, nor is closed when a connection
    fails, nor can check the IP addresses of certificates under Python 3.12. Without a schema ldap3 converts nothing.
    """
    made = ldap3.Connection(
        ldap3.Server("localhost", get_info=ldap3.NONE),  # only counts messages; shared ones hide failed connections
        user=user,
        password=password,  # octets: ldap3 would make another password of text (SASLprep) than the one that was hashed
        authentication=ldap3.SIMPLE,
        client_strategy=ldap3.SYNC,
        auto_referrals=False,
        auto_range=False,
        check_names=False,
        auto_escape=False,
        auto_encode=False,
        return_empty_attributes=False,
    )
    made.strategy.decode_control_fast = _decode_control
    made.strategy.decode_response_fast = partial(_decode_response, made.strategy.decode_response_fast)
    made.strategy.socket_size = 65536
    made.strategy._outstanding = {}
    made.send = partial(_send, made)
    made.socket, made.closed, made.listening = sock, False, True
    return made


def _send(connection: Any, kind: str, request: Any, controls: Any = None) -> int:
    """Send a request and return its number; other than ldap3's own, keep no copy of it in plain text.

    ldap3 takes every request apart again for those who want to look at it, password hashes and all.
    """
    if connection.closed:
        raise LDAPSocketOpenError("unable to send message, socket is not open")
    message, number = LDAPMessage(), connection.server.next_message_id()
    message["messageID"] = MessageID(number)
    message["protocolOp"] = ProtocolOp().setComponentByName(kind, request)
    if controls:
        message["controls"] = build_controls_list(controls)
    connection.strategy._outstanding[number] = {"type": kind}
    connection.strategy.sending(message)
    return int(number)


def _decode_response(others: Callable[[Any], dict[str, Any]], message: Any) -> dict[str, Any]:
    """Decode an answer; other than ldap3's own, leave the values of an entry as octets.

    ldap3 gives all values as text beside that, which takes twice as long and which nobody here looks at.
    """
    if message["protocolOp"] != _ENTRY or message["controls"]:
        return others(message)
    name, attributes = message["payload"]
    return {"type": "searchResEntry", "dn": name[3].decode(), "raw_attributes": _raw_values(attributes[3])}


def _decode_control(control: Any, from_server: bool = True) -> tuple[str, dict[str, Any]]:
    """Decode a control of an answer, with the same difference for the entry in an answer to `post_read`."""
    oid = bytes(control[0][3]).decode("ascii")
    if oid != POST_READ:
        decoded: tuple[str, dict[str, Any]] = BaseStrategy.decode_control_fast(control, from_server)
        return decoded
    value = next(part[3] for part in control[1:] if part[2] == 4)
    return oid, {"value": {"result": _raw_values(decode_sequence(value, 0, len(value))[0][3][1][3])}}


def _raw_values(attributes: Any) -> dict[str, list[bytes]]:
    """Return the attributes of an entry as ldap3's decoder gives them: pairs of a name and a set of values."""
    pairs = (pair[3] for pair in attributes)
    return {name[3].decode(): [bytes(value[3]) for value in values[3]] for name, values in pairs}


# The same few controls are sent again and again, and ldap3 takes a while to make one.
@lru_cache
def paged(size: int, cookie: bytes) -> Any:
    """Ask for a page of a search (RFC 2696), not critically: a server that cannot then answers with everything."""
    return paged_search_control(False, size, cookie)


@lru_cache
def assertion(condition: Filter) -> Any:
    """Make an operation depend on a condition that the entry must meet (RFC 4528)."""
    tree = parse_filter(condition, None, False, False, None, False)
    return build_control(ASSERTION, True, compile_filter(tree.elements[0]))


@lru_cache
def post_read(attributes: tuple[str, ...]) -> Any:
    """Ask for the entry as it is after the operation (RFC 4527)."""
    return post_read_control(list(attributes), True)
