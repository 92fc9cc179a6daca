"""What the two private database servers have in common."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tests.servers.process import LOOPBACK, Process, ServerError, free_ports, is_root, make_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The application user, and the one mail servers look accounts up with.
PASSWORDS = {"vmailadmin": "adminpass", "vmail": "readerpass"}


class DatabaseServer(ABC):
    """A private server on a loopback port; killing or restarting it keeps its data and its port."""

    scheme: ClassVar[str]
    system_user: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        self.directory = make_directory(directory)
        self.options = list(options)
        self.data = directory / "data"
        self.run = directory / "run"
        self.log = directory / "log"
        self.port = free_ports(1)[0]
        self._process: Process | None = None

    @property
    @abstractmethod
    def socket(self) -> Path:
        """What a client connects to without TCP."""

    @abstractmethod
    def _install(self) -> None:
        """Make the data directory."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's command line."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether clients are answered."""

    @abstractmethod
    def _create_users(self) -> None:
        """Create the users of PASSWORDS."""

    @abstractmethod
    def create_database(self, name: str) -> None:
        """Make a database for the users of PASSWORDS."""

    @abstractmethod
    def execute(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run SQL (several statements, too) as the administrator; return the last one's rows."""

    @abstractmethod
    def disconnect(self, user: str = "vmailadmin") -> int:
        """Cut all client connections of a user; return how many there were."""

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start the server; the first time, make its data directory and users too."""
        fresh = not self.data.exists()
        if fresh:
            self._prepare()
        self._process = Process(self._command(), self.log, user=self.user, stop_signal=self.stop_signal)
        self._process.start(self._ready)
        if fresh:
            self._create_users()

    def _prepare(self) -> None:
        make_directory(self.run, self.user)
        make_directory(self.data, self.user)
        self._install()

    @property
    def user(self) -> str | None:
        """The system user to run as; both servers refuse to run as root."""
        return self.system_user if is_root() else None

    def stop(self) -> None:
        """Stop the server in an orderly way, if it runs."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """Crash the server with SIGKILL; what was committed must survive this."""
        if not self.running or self._process is None:
            raise ServerError("the server to kill is not running")
        self._process.kill()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same data and port."""
        self.stop()
        self.start()

    def url(self, database: str, user: str = "vmailadmin") -> str:
        """Return the store URL of a database."""
        return f"{self.scheme}://{user}:{PASSWORDS[user]}@{LOOPBACK}:{self.port}/{database}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
