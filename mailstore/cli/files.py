"""New files with what only their owner may read: hashes and passwords."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

__all__ = ["open_private", "written_wholly"]


def open_private(path: Path, encoding: str = "utf-8") -> IO[str]:
    """Open a new file that only its owner can read. Raises UsageError, also if there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.UsageError(f"cannot make {path}: {error.strerror}") from error
    return open(handle, "w", encoding=encoding, newline="")


@contextmanager
def written_wholly(path: Path | None) -> Iterator[IO[str]]:
    """Give a new private ASCII file, or standard output without a path. A file that was not finished is removed."""
    if path is None:
        yield sys.stdout
        return
    stream = open_private(path, "ascii")
    try:
        with stream:
            yield stream
    except BaseException:
        path.unlink(missing_ok=True)
        raise
