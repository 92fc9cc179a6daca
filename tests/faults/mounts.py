"""Small file systems that can be full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["Tmpfs", "tmpfs"]


class Tmpfs:
    """A mounted tmpfs; what fills it lies in its directory `filler`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"
        self._filler.mkdir()

    def fill(self) -> None:
        """Leave no byte."""
        with (self._filler / "bytes").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def leave_inodes(self, number: int) -> None:
        """Let only so many more files or directories be made."""
        for file in self._filler.iterdir():
            file.unlink()
        for count in range(os.statvfs(self.path).f_favail - number):
            (self._filler / str(count)).touch()

    def empty(self) -> None:
        """Make room again."""
        for file in self._filler.iterdir():
            file.unlink()


@contextmanager
def tmpfs(path: Path, options: str) -> Iterator[Tmpfs]:
    """Mount a tmpfs at `path`; skip the test where that is not possible."""
    path.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs root and CAP_SYS_ADMIN to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield Tmpfs(path)
    finally:
        subprocess.run(["umount", str(path)], check=True)
