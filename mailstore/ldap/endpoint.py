"""Where a directory is and how to get to it: URLs, sockets, TLS."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import SplitResult, unquote, urlsplit

from mailstore.driver.urls import each_host
from mailstore.errors import ConfigurationError, StoreDenied
from mailstore.ldap.retry import Lost

__all__ = ["Endpoint"]

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 30
_PORTS = {"ldap": 389, "ldaps": 636}
_BROKEN = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError, TimeoutError)
"""What ends a TLS handshake when the server is gone; other errors of TLS are there to stay."""


@dataclass(frozen=True)
class Endpoint:
    """A server and the account that logs in there.

    Parameters
    ----------
    url: ``ldap://host:port``, ``ldaps://host:port`` or ``ldapi://%2Fpath%2Fto%2Fsocket``.
    bind_dn, password: of the account; both must be there, since without a password one would be nobody.
    start_tls: encrypt an ``ldap://`` connection before anything else is sent.
    tls_ca: a file of certificates of authorities; those of the system if empty.
    tls_verify: check the server's certificate and its name.
    """

    url: str
    bind_dn: str
    password: str | None = field(repr=False)
    start_tls: bool = False
    tls_ca: str = ""
    tls_verify: bool = True

    def each(self) -> list[Endpoint]:
        """Return an endpoint for each of the hosts that the URL names, ``ldap://one,two:1389``, in their order."""
        urls = each_host(self.url)
        return [self] if len(urls) == 1 else [replace(self, url=url) for url in urls]

    def __post_init__(self) -> None:
        if self.each() != [self]:
            return  # those of single hosts are looked at
        scheme = self._parts.scheme
        if not (self.bind_dn and self.password):
            raise ConfigurationError(f"{self.url}: a bind DN and its password are needed")
        if self.start_tls and scheme != "ldap":
            raise ConfigurationError(f"{self.url}: StartTLS is for ldap:// only")

    @cached_property
    def _parts(self) -> SplitResult:
        problem = "give it as ldap://host:port, ldaps://host:port or ldapi://%2Fpath%2Fto%2Fsocket"
        try:
            parts = urlsplit(self.url)
            usable = bool(parts.netloc if parts.scheme == "ldapi" else parts.hostname) and parts.port != 0
            usable = usable and not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
        except ValueError:
            usable = False
        if not usable or parts.scheme not in {"ldapi", *_PORTS}:
            raise ConfigurationError(f"not the URL of an LDAP server: {self._shown_url}; {problem}")
        return parts

    @property
    def _shown_url(self) -> str:
        return repr(self.url.rpartition("@")[2])  # without what may be a password

    def connect(self) -> socket.socket:
        """Open a connection, encrypted if the URL says so. Raises Lost if that may work later."""
        sock = self._socket()
        return self.encrypt(sock) if self._parts.scheme == "ldaps" else sock

    def _socket(self) -> socket.socket:
        problem: OSError
        try:
            sock = self._unix_socket() if self._parts.scheme == "ldapi" else self._tcp_socket()
        except OSError as error:
            problem = error
        else:
            sock.settimeout(_ANSWER_SECONDS)
            return sock
        if isinstance(problem, PermissionError):
            raise StoreDenied(f"{self._shown_url}: {problem.strerror}") from problem
        raise Lost(f"no connection to {self._shown_url}: {problem.strerror or problem}", sent=False)

    def _unix_socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(_CONNECT_SECONDS)
            sock.connect(unquote(self._parts.netloc))
        except BaseException:
            sock.close()
            raise
        return sock

    def _tcp_socket(self) -> socket.socket:
        parts = self._parts
        address = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        sock = socket.create_connection(address, timeout=_CONNECT_SECONDS)
        # Without it each handshake waits 40 ms: Nagle's algorithm for the server's delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    def encrypt(self, sock: socket.socket) -> socket.socket:
        """Start TLS on a connection, whose socket is closed if that fails."""
        problem: OSError
        try:
            return self._context().wrap_socket(sock, server_hostname=self._parts.hostname)
        except OSError as error:
            problem = error
        except BaseException:
            sock.close()
            raise
        sock.close()
        raise self._refusal(problem) from problem

    def _refusal(self, problem: OSError) -> Exception:
        if isinstance(problem, _BROKEN):
            return Lost(f"{self._shown_url}: the connection broke while TLS was started", sent=False)
        if isinstance(problem, ssl.SSLCertVerificationError):
            reason = problem.verify_message.rstrip(".")
            return ConfigurationError(f"{self._shown_url}: the server's certificate is not accepted: {reason}")
        return ConfigurationError(f"{self._shown_url}: no trustworthy TLS connection: {problem}")

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.tls_ca or None)
        except OSError as error:
            raise ConfigurationError(
                f"tls_ca: {self.tls_ca!r} holds no certificates that can be read: {error}"
            ) from error
        if not self.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
