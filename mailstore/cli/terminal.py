"""What touches the terminal: whether there is one, questions, progress, and text that is safe to show."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["can_ask", "confirm", "progress", "safe", "size"]

# Control characters, line separators, and what reverses the direction of the text around it.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text: str) -> str:
    r"""Return text without anything that a terminal would obey: such characters become ``\x1b``, ``\u202e`` ..."""
    if text.isprintable():  # nothing unsafe is, and nearly every cell is
        return text
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def size(count: int) -> str:
    """Return a number of bytes for people, such as ``1.5 GiB``."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.1f} {unit}"
    return f"{count} B"


def can_ask() -> bool:
    """Tell whether there is somebody to answer questions."""
    return sys.stdin.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed, unless `yes` was given or there is nobody to ask. Exits if the answer is no."""
    if yes or not can_ask() or click.confirm(safe(question), err=True):
        return
    raise click.ClickException("nothing was done")


@contextmanager
def progress(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error if that is a terminal; the context's value advances it."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # Only standard error is the bar's: rows that go to a file or a pipe meanwhile are no part of it.
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, redirect_stdout=False) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda count: bars.advance(bar, count)
