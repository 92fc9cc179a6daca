"""Files that are read, and new ones with what only their owner may read: hashes and passwords."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import click

__all__ = ["INPUT", "is_stdin", "open_private", "text_of", "written_wholly"]

INPUT: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
"""The type of an option for a file to be read; ``-`` is standard input."""


def is_stdin(file: Path) -> bool:
    """Tell whether a path of `INPUT` is standard input."""
    return str(file) == "-"


def text_of(file: Path, encoding: str = "utf-8") -> str:
    """Return the text of a file, without a mark of its byte order. Raises UsageError if it is in another encoding."""
    try:
        data = sys.stdin.buffer.read() if is_stdin(file) else file.read_bytes()
        return data.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise click.UsageError(f"there is no encoding {encoding!r}") from None
    except UnicodeError:
        # Without the cause: it holds the whole file.
        raise click.UsageError(
            f"{file} is not {encoding.upper()}; name its encoding if there is an option for it"
        ) from None


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
