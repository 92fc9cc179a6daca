"""Ways to the server: encrypted or refused, never plain where encryption was asked for."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mailstore.errors import ConfigurationError, StoreUnavailable
from mailstore.ldap.connection import Directory, Endpoint
from mailstore.ldap.retry import impatient
from tests.ldap.conftest import Connect
from tests.ldap.server import PASSWORD, SUFFIX, WRITER, Server


def reads(directory: Directory) -> bool:
    return directory.read(SUFFIX) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_encrypted_connections(slapd: Server, connect: Connect, scheme: str, host: str) -> None:
    port = slapd.port if scheme == "ldap" else slapd.tls_port
    options: dict[str, Any] = {
        "url": f"{scheme}://{host}:{port}/",
        "start_tls": scheme == "ldap",
        "tls_ca": str(slapd.ca),
    }
    assert reads(connect(**options))


def test_a_unix_socket(slapd: Server, connect: Connect) -> None:
    assert reads(connect(url=f"ldapi://{str(slapd.socket).replace('/', '%2F')}"))


def test_a_missing_socket_may_appear_later(connect: Connect) -> None:
    with impatient(), pytest.raises(StoreUnavailable):
        connect(url="ldapi://%2Fabsent%2Fsocket").read(SUFFIX)


def test_a_host_that_has_no_address_is_unavailable(connect: Connect) -> None:
    with impatient(), pytest.raises(StoreUnavailable, match=r"host\.invalid"):
        connect(url="ldap://host.invalid").read(SUFFIX)


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.parametrize(
    ("host", "ca", "words"),
    [
        ("127.0.0.1", "wrong.pem", "certificate is not accepted"),
        ("127.0.0.1", "", "certificate is not accepted"),
        ("127.1", "ca.pem", "certificate is not accepted.*127.1"),
        ("127.0.0.1", "absent.pem", "absent.pem.*no certificates"),
        ("127.0.0.1", "slapd.conf", "slapd.conf.*no certificates"),
    ],
)
def test_an_untrusted_server_is_refused(
    slapd: Server, connect: Connect, scheme: str, host: str, ca: str, words: str
) -> None:
    port = slapd.port if scheme == "ldap" else slapd.tls_port
    options = {"url": f"{scheme}://{host}:{port}", "start_tls": scheme == "ldap"}
    directory = connect(**options, tls_ca=str(slapd.directory / ca) if ca else "")
    with pytest.raises(ConfigurationError, match=words):
        reads(directory)
    assert reads(connect(**options, tls_verify=False)) or "no certificates" in words


def test_a_server_without_tls_is_refused(scratch_root: Path) -> None:
    with Server(scratch_root / "plain", tls=False, large=False) as plain:
        with closing(plain.directory_for()) as directory:
            assert reads(directory)
        with closing(plain.directory_for(start_tls=True, tls_verify=False)) as directory:
            seen: list[str] = []
            directory.observers.append(lambda operation, _dn: seen.append(operation))
            with pytest.raises(ConfigurationError, match="does not start TLS"):
                reads(directory)
            assert seen == []
        url = plain.url.replace("ldap:", "ldaps:")
        with (
            closing(plain.directory_for(url=url, tls_verify=False)) as directory,
            impatient(),
            pytest.raises(StoreUnavailable, match="while TLS was started"),
        ):
            reads(directory)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "localhost",
            "http://localhost",
            "ldap://",
            "ldap:///dc=x",
            "ldap://h/dc=x",
            "ldap://h:port",
            "ldap://h:0",
        ),
        *("ldap://[::1", "ldapi://", "ldap://cn=x:geheim@h", "ldap://h?x", "ldaps://h#x"),
    ],
)
def test_bad_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the URL of an LDAP server") as caught:
        Endpoint(url, WRITER, PASSWORD)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("url", ["ldaps://localhost", "ldapi://%2Frun%2Fldapi"])
def test_starttls_is_for_plain_connections(url: str) -> None:
    with pytest.raises(ConfigurationError, match="StartTLS"):
        Endpoint(url, WRITER, PASSWORD, start_tls=True)
