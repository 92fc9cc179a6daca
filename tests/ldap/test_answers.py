"""Answers that slapd gives rarely or late, from a server that answers by heart, and from one that was stopped."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from mailstore.errors import StoreDenied, StoreUnavailable
from mailstore.ldap import endpoint
from mailstore.ldap.connection import Change, Directory, Endpoint
from mailstore.ldap.failures import Garbled, InDoubt, in_doubt
from mailstore.ldap.names import DN
from mailstore.ldap.retry import impatient
from tests.ldap.server import PASSWORD, SUFFIX, WRITER, Server
from tests.servers.process import LOOPBACK

BIND, SEARCH, MODIFY = 0x61, 0x65, 0x67
UNBIND = 0x42
OK, BUSY, UNAVAILABLE, UNWILLING, UNKNOWN = 0, 51, 52, 53, 111
FAREWELL = bytes.fromhex("3024 020100 781f 0a0134 0400 0400 8a16") + b"1.3.6.1.4.1.1466.20036"
"""The notice of disconnection (RFC 4511, 4.4.1), with the result 52."""


class Interrupted(BaseException):
    """Like KeyboardInterrupt, which pytest would take for its own."""


def parts(request: bytes) -> tuple[bytes, int]:
    """Return the number of a request, encoded, and its kind."""
    start = 2 if request[1] < 0x80 else 2 + request[1] - 0x80
    end = start + 2 + request[start + 1]
    return request[start:end], request[end]


def answer(request: bytes, operation: int, code: int) -> bytes:
    """Return a result for a request."""
    number, _ = parts(request)
    result = bytes([operation, 7, 0x0A, 1, code, 4, 0, 4, 0])
    return bytes([0x30, len(number) + len(result)]) + number + result


@contextmanager
def answering(*answers: tuple[int, int] | bytes) -> Iterator[Directory]:
    """Give a directory whose server answers the next requests so, over as many connections as it takes."""
    script = list(answers)
    listener = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    while script and (request := client.recv(65536)) and parts(request)[1] != UNBIND:
                        step = script.pop(0)
                        client.sendall(step if isinstance(step, bytes) else answer(request, *step))

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"ldap://{LOOPBACK}:{listener.getsockname()[1]}"
    try:
        with closing(Directory(Endpoint(url, WRITER, PASSWORD))) as directory:
            yield directory
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
    assert script == []


@pytest.mark.parametrize("code", [BUSY, UNAVAILABLE])
def test_a_server_that_is_not_ready_is_waited_for(code: int) -> None:
    with answering((BIND, code), (BIND, OK), (SEARCH, code), (BIND, OK), (SEARCH, OK)) as directory:
        assert directory.read(SUFFIX) is None
    with answering((BIND, OK), (MODIFY, code)) as directory, impatient():
        with pytest.raises(StoreUnavailable, match=str(code)) as caught:
            directory.modify(SUFFIX, [Change.add("cn", "x")])
        assert not in_doubt(caught.value)


def test_a_server_that_says_goodbye_is_waited_for() -> None:
    with answering((BIND, OK), FAREWELL, (BIND, OK), (SEARCH, OK)) as directory:
        assert directory.read(SUFFIX) is None


def test_an_answer_that_cannot_be_understood_leaves_a_write_in_doubt() -> None:
    with answering((BIND, OK), (MODIFY, UNKNOWN)) as directory:
        with pytest.raises(Garbled, match="could not send it or understand") as caught:
            directory.modify(SUFFIX, [Change.add("cn", "x")])
        assert in_doubt(caught.value)


def test_a_password_is_not_wrong_because_the_server_refuses_to_look() -> None:
    with answering((BIND, UNWILLING)) as directory, pytest.raises(StoreDenied):
        directory.verify(DN("cn=bob"), "x")


def test_a_server_that_shows_neither_itself_nor_its_schema_is_an_error() -> None:
    with answering((BIND, OK), (SEARCH, OK)) as directory, pytest.raises(StoreDenied, match="root DSE"):
        directory.supports(controls=("1.2.3",))


@pytest.fixture
def stopped(slapd: Server) -> Iterator[Server]:
    """The server, for tests that stop it without ending it."""
    yield slapd
    slapd.signal(signal.SIGCONT)


def test_a_server_that_does_not_answer_is_given_up(
    stopped: Server, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_ANSWER_SECONDS", 0.2)
    assert directory.read(SUFFIX)
    stopped.signal(signal.SIGSTOP)
    with impatient(), pytest.raises(StoreUnavailable, match="timed out"):
        directory.read(SUFFIX)
    stopped.signal(signal.SIGCONT)
    assert directory.read(SUFFIX)
    stopped.signal(signal.SIGSTOP)
    with impatient(), pytest.raises(InDoubt):
        directory.modify(SUFFIX, [Change.replace("description")])
    stopped.signal(signal.SIGCONT)
    assert directory.read(SUFFIX)


def test_an_interrupted_request_does_not_answer_the_next_one(stopped: Server, directory: Directory) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise Interrupted

    assert directory.read(SUFFIX)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        stopped.signal(signal.SIGSTOP)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted):
            directory.read(SUFFIX)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    stopped.signal(signal.SIGCONT)
    entry = directory.read(WRITER)
    assert entry is not None
    assert entry.dn == WRITER
