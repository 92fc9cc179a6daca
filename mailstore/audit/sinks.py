"""Where entries go: a file, syslog or the journal. All of them take one entry at once, from any process and thread."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mailstore.errors import ConfigurationError

__all__ = ["FileSink", "JournalSink", "Sink", "SyslogSink", "sink_of"]

_SYSLOG = "/dev/log"
_JOURNAL = "/run/systemd/journal/socket"
_AUTHPRIV_NOTICE = (10 << 3) + 5
_IDENTIFIER = "mailstore-audit"


class Sink(Protocol):
    """Somewhere to write to."""

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write an entry. Raises OSError."""


class FileSink:
    """A file with one JSON object a line. It may be moved away at any time: the next entry begins a new one."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError if it cannot be written to."""
        self._path = path
        try:
            os.close(self._opened())
        except OSError as error:
            raise ConfigurationError(f"audit.to: cannot write to {path}: {error.strerror}") from error

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640)

    def write(self, entry: Mapping[str, Any]) -> None:
        """See `Sink`. Appended in one piece, so that processes do not mix their lines."""
        line = f"{_line(entry)}\n".encode()
        handle = self._opened()
        try:
            if os.write(handle, line) != len(line):
                raise OSError(28, "the disk is full: an entry of the audit log is cut off")
        finally:
            os.close(handle)


class _Datagrams:
    """A socket that takes messages. One that is not there is an error of the configuration."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._send(b"")
        except OSError as error:
            raise ConfigurationError(f"audit.to: there is nobody at {path}: {error.strerror}") from error

    def _send(self, message: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect(self._path)
            if message:
                connection.sendall(message)


class SyslogSink(_Datagrams):
    """The system log, with the facility authpriv."""

    def __init__(self, path: str = _SYSLOG) -> None:
        super().__init__(path)

    def write(self, entry: Mapping[str, Any]) -> None:
        """See `Sink`."""
        self._send(f"<{_AUTHPRIV_NOTICE}>{_IDENTIFIER}[{os.getpid()}]: {_line(entry)}".encode())


class JournalSink(_Datagrams):
    """systemd's journal: the entry as the message, and each of its parts as a field, such as MAILSTORE_SUBJECT."""

    def __init__(self, path: str = _JOURNAL) -> None:
        super().__init__(path)

    def write(self, entry: Mapping[str, Any]) -> None:
        """See `Sink`."""
        fields = {
            "MESSAGE": _line(entry), "PRIORITY": "5", "SYSLOG_FACILITY": "10", "SYSLOG_IDENTIFIER": _IDENTIFIER,
            **{f"MAILSTORE_{name.upper()}": str(value) for name, value in entry.items() if not isinstance(value, dict)},
        }  # fmt: skip
        self._send(b"".join(_field(name, value.encode("utf-8", "replace")) for name, value in fields.items()))


def _field(name: str, value: bytes) -> bytes:
    """Return a field in the journal's own protocol, whatever its value holds."""
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, default=str)  # ASCII: neither letters that look alike nor line ends of Unicode


def sink_of(text: str) -> Sink:
    """Return what one place in the configuration says: ``syslog``, ``journal`` or an absolute path.

    Raises ConfigurationError.
    """
    if text == "syslog":
        return SyslogSink()
    if text == "journal":
        return JournalSink()
    if not text.startswith("/"):
        raise ConfigurationError(f"audit.to: {text!r} is neither syslog nor journal nor an absolute path")
    return FileSink(Path(text))
