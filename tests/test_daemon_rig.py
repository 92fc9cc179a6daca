"""What the tests of the daemon share: expired mailboxes, the daemon as a process, and systemd's end of its socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mailstore import open_store
from mailstore.config import StoreConfig
from mailstore.sql.iredmail.store import create_schema
from tests.servers.process import make_directory

DOMAIN = "example.com"
HASH = "{SSHA256}QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2w="
PATIENCE = 15.0


class Mail:
    """A store, and a directory with mailboxes that are due."""

    def __init__(self, directory: Path, owner: tuple[int, int], url: str = "") -> None:
        self.directory = make_directory(directory)
        self.root = make_directory(directory / "homes", *owner)
        (self.root / "keep").touch()  # an empty root looks like one that is not mounted
        self.owner = owner
        self.url = url or f"iredmail+sqlite:///{directory}/vmail.db"
        create_schema(StoreConfig(url=self.url), None)

    def open(self) -> Any:
        return open_store(self.url, homes=self.root, home_owner=f"{self.owner[0]}:{self.owner[1]}")

    def expire(self, count: int, files: int = 1, domain: str = DOMAIN) -> None:
        """Record mailboxes of so many files as due now."""
        message = self.directory / "message"
        message.touch()
        with self.open() as store:
            store.domains.create(domain)
            store.accounts.create_many(
                {"address": f"user{number:03}@{domain}", "password_hash": HASH} for number in range(count)
            )
            for _address, home in list(store.accounts.homes()):
                for number in range(files):
                    os.link(message, f"{home}/Maildir/new/{number}")  # 20 times faster than making a file
            store.domains.delete(domain, keep_mailbox_days=0)

    def due(self) -> int:
        """How many records are due."""
        with self.open() as store:
            return len([record for record in store.deleted.list() if record.due is not None])

    def homes(self) -> list[Path]:
        """Return the mailboxes that are where they were."""
        return [path.parent for path in self.root.rglob("Maildir") if self.trash not in path.parents]

    @property
    def trash(self) -> Path:
        return self.root / ".mailstore-trash"

    def trashed(self) -> list[str]:
        """Return the entries in the trash."""
        return sorted(path.name for path in self.trash.iterdir()) if self.trash.exists() else []

    def half_removed(self) -> list[Path]:
        """Return the entries whose removal has begun."""
        return [self.trash / name for name in self.trashed() if name.endswith(".removing")]

    def toml(self, name: str, url: str = "") -> str:
        """Return the part of a configuration file that describes this store."""
        owner = f'home_owner = "{self.owner[0]}:{self.owner[1]}"'
        return f'[stores.{name}]\nurl = "{url or self.url}"\nhomes = ["{self.root}"]\n{owner}\n'


class Daemon:
    """The daemon as a process of its own."""

    def __init__(self, directory: Path, config: str, *arguments: str, environment: Mapping[str, str] | None = None):
        self.config = directory / "mailstore.toml"
        self.config.write_text(config)
        self.log = directory / f"log{time.monotonic_ns()}"
        command = [sys.executable, "-W", "error", "-m", "mailstored", "--config", str(self.config), *arguments]
        clean = {"PATH": os.environ["PATH"], "MAILSTORE_DEBUG": "1", **(environment or {})}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=clean, stdout=log, stderr=log, start_new_session=True)

    def wait(self, timeout: float = 30) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Ask it to stop, and return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def text(self) -> str:
        return self.log.read_text()

    def lines(self, event: str = "", **facts: Any) -> list[dict[str, Any]]:
        """Return the log lines of an event that have these facts; a line still being written is left out."""
        whole = self.text().rpartition("\n")[0].splitlines()
        found = [json.loads(line) for line in whole]
        return [
            line
            for line in found
            if event in ("", line["event"]) and all(line.get(key) == value for key, value in facts.items())
        ]

    def wait_for_line(self, event: str, **facts: Any) -> dict[str, Any]:
        """Wait until an event is logged."""
        self.wait_until(lambda: bool(self.lines(event, **facts)))
        return self.lines(event, **facts)[0]

    def wait_until(self, check: Callable[[], bool], pause: float = 0.02) -> None:
        """Wait until something holds, while the daemon lives."""
        deadline = time.monotonic() + PATIENCE
        while not check():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(pause)


@contextmanager
def running(directory: Path, config: str, *arguments: str, **environment: str) -> Iterator[Daemon]:
    """Run the daemon until the context ends."""
    daemon = Daemon(directory, config, *arguments, environment=environment)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.wait()


def once(directory: Path, config: str, **environment: str) -> tuple[int, Daemon]:
    """Run ``--once``; return the exit code and the finished daemon."""
    with running(directory, config, "--once", **environment) as daemon:
        return daemon.wait(), daemon


class ServiceManager:
    """systemd's end of the notification socket."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self.messages: list[dict[str, str]] = []

    def receive(self, key: str, timeout: float = PATIENCE, **facts: str) -> dict[str, str]:
        """Return the next message that has this key; what comes before it stays in `messages`."""
        deadline = time.monotonic() + timeout
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            message = _parsed(self._socket.recv(65536).decode())
            self.messages.append(message)
            if key in message and facts.items() <= message.items():
                return message

    def silent_for(self, key: str, seconds: float) -> bool:
        """Whether no message with this key comes for so long."""
        try:
            self.receive(key, seconds)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


def _parsed(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: value for key, _, value in pairs}
