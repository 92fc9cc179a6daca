"""What systemd is told, and what it wants to be told (sd_notify(3)). Without systemd all of this does nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import sdnotify

__all__ = ["Notifier"]


class Notifier:
    """The connection to the service manager that ``$NOTIFY_SOCKET`` names, if there is one."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        # sdnotify would leave a socket behind if it found no address.
        self._systemd = sdnotify.SystemdNotifier() if environment.get("NOTIFY_SOCKET") else None
        self.watchdog_seconds = _watchdog_seconds(environment)
        """How soon after a `ping` the next one is expected; None if none is."""

    def ready(self, status: str) -> None:
        """Tell that the service has started, or has reloaded its configuration."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Tell that the configuration is being reloaded; `ready` ends that."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self, status: str) -> None:
        """Tell that the service is about to end."""
        self._send("STOPPING=1", f"STATUS={_line(status)}")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={_line(text)}")

    def ping(self) -> None:
        """Tell the watchdog that all is well."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask for so much time until the next message, however long TimeoutStopSec is."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def close(self) -> None:
        """Close the socket."""
        if self._systemd is not None and self._systemd.socket is not None:
            self._systemd.socket.close()

    def _send(self, *lines: str) -> None:
        if self._systemd is not None:
            self._systemd.notify("\n".join(lines))


def _line(text: str) -> str:
    """Return text on one line, and in the only characters that sdnotify sends without losing the whole message."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode()


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    period, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not period.isdecimal() or not int(period) or pid not in ("", str(os.getpid())):
        return None
    return int(period) / 1_000_000
