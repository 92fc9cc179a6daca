"""Start, stop and kill one private server process."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import unittest
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOPBACK = "127.0.0.1"
PORTS = range(12000, 32000)
POLL_SECONDS = 0.01
# Servers live in sbin, which is not on an ordinary user's PATH.
SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
# Nothing of the caller's: PG*, MYSQL_* and LANG all change what a server does.
ENVIRONMENT = {"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8"}


class MissingCapabilityError(unittest.SkipTest):
    """Something the test needs is not installed; pytest reports it as a skip."""


class ServerError(RuntimeError):
    """A server, or a tool that talks to it, failed."""


def program(name: str, *directories: Path) -> str:
    """Return the path of a program, looking in `directories` before PATH."""
    path = os.pathsep.join([*map(str, directories), SEARCH_PATH])
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingCapabilityError(f"{name} is not installed (see tests/servers/install.sh)")
    return found


def is_root() -> bool:
    """Whether servers have to drop privileges themselves."""
    return os.geteuid() == 0


def make_directory(path: Path, user: str | int | None = None, group: str | int | None = None) -> Path:
    """Make a directory other users may enter; when root, give it to `user`."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
    if is_root() and user is not None:
        shutil.chown(path, user, group if group is not None else user)
    return path


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on; all are held until the last is known, so they differ."""
    with contextlib.ExitStack() as stack:
        return [_hold_port(stack) for _ in range(count)]


def _hold_port(stack: contextlib.ExitStack) -> int:
    held = stack.enter_context(socket.socket())
    while True:
        # Below the range that port 0 and outgoing connections take theirs from: one of those could
        # get the port before the server starts, or between a kill and the restart.
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with contextlib.suppress(OSError):
            held.bind((LOOPBACK, port))
            return port


def connects(address: int | Path) -> bool:
    """Whether something accepts connections on a local port or Unix socket."""
    family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
    with socket.socket(family) as client:
        client.settimeout(1)
        try:
            client.connect((LOOPBACK, address) if isinstance(address, int) else str(address))
        except OSError:
            return False
        return True


def wait_for(check: Callable[[], bool], timeout: float) -> bool:
    """Probe until `check` holds; False when it did not in time."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def as_user(user: str | None) -> list[str]:
    """Return the command prefix that runs a program as `user` (as ourselves when not root)."""
    if user is None or not is_root():
        return []
    # setpriv execs, so the pid stays the server's own; runuser would stay in between.
    return [program("setpriv"), f"--reuid={user}", f"--regid={user}", "--init-groups"]


def run_tool(command: Sequence[str], directory: Path, user: str | None = None) -> None:
    """Run a program that prepares a data directory."""
    result = subprocess.run(
        [*as_user(user), *command],
        cwd=directory,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )
    if result.returncode:
        raise ServerError(f"{command[0]} ended with {result.returncode}:\n{result.stdout}{result.stderr}")


def _family(leader: int) -> list[int]:
    """Return the live processes that are `leader`, its children or in its process group."""
    members = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold spaces; state, ppid and pgrp follow it.
            state, parent, group = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
            pid = int(entry.parent.name)
            if state not in "ZX" and leader in (pid, int(parent), int(group)):
                members.append(pid)
    return members


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody reaps does not count."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class Process:
    """A server in its own session, which dies with the thread that started it."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = list(command)
        self.log = log
        self.user = user
        self.stop_signal = stop_signal
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """The pid of the started process."""
        if self._popen is None:
            raise ServerError(f"{self.command[0]} is not started")
        return self._popen.pid

    def start(self, ready: Callable[[], bool], timeout: float = 30) -> None:
        """Start, and return once `ready` holds; an error carries the log."""
        if self.running:
            raise ServerError(f"{self.command[0]} is already running")
        self._popen = self._spawn()
        # A server that died ends the wait at once, and is then not ready.
        answered = wait_for(lambda: self._ended() or ready(), timeout)
        if self._ended() or not answered:
            self.kill()
            raise ServerError(f"{self.command[0]} did not start:\n{self.log_tail()}")

    def _ended(self) -> bool:
        # A method, as mypy takes `running` for unchanged after a first look.
        return not self.running

    def _spawn(self) -> subprocess.Popen[bytes]:
        # pdeathsig: a test run that is killed leaves no servers behind, even on kill -9.
        # It fires when the starting *thread* ends, so start servers from the main thread.
        prefix = [program("setpriv"), "--pdeathsig", self.stop_signal.name[3:]]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*prefix, *as_user(self.user)[1:], *self.command],
                cwd=self.log.parent,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C must not reach the servers before the tests
            )

    def stop(self, timeout: float = 10) -> None:
        """Ask the server to stop; kill it when it does not."""
        if self.running:
            os.kill(self.pid, self.stop_signal)
            wait_for(lambda: not self.running, timeout)
        self.kill()

    def signal_group(self, number: signal.Signals) -> None:
        """Signal every process of the server's group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL the server with its children, and wait until they are gone."""
        if self._popen is None:
            return
        if self.running:
            # Stopped first, so that it forks no child between the listing and the killing.
            os.kill(self.pid, signal.SIGSTOP)
        family = _family(self.pid)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._popen.wait()
        wait_for(lambda: not any(_alive(pid) for pid in family), timeout=5)
        self._popen = None

    def log_tail(self, size: int = 4000) -> str:
        """Return the end of what the server wrote."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""
