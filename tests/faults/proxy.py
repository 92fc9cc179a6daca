"""A TCP proxy in front of a database server, that can swallow the answer to a request."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.servers.process import LOOPBACK

__all__ = ["Proxy"]


class Proxy:
    """Forwards connections to a local port. After `swallow` the next answer is read and the connection cut instead."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._swallowing = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []

    def swallow(self) -> None:
        """Let the next request reach the server, but its answer not reach the client."""
        self._swallowing.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOOPBACK, self._target))
                self._sockets += [client, server]
                for source, destination, answers in ((client, server, False), (server, client, True)):
                    thread = threading.Thread(target=self._forward, args=(source, destination, answers))
                    self._threads.append(thread)
                    thread.start()

    def _forward(self, source: socket.socket, destination: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not (answers and self._swallowing.is_set()):
                destination.sendall(data)
        self._swallowing.clear()
        for end in (source, destination):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._sockets):
            end.close()
