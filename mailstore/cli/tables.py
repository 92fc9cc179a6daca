"""Tables for people, written while their rows come: widths follow the first rows, and no word is ever broken.

An address that is cut in two cannot be copied. So only blanks are places to wrap; what is wider than its column, or finds no
room for a column at all, stands below its row.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from mailstore.cli.terminal import safe

__all__ = ["write"]

_PIPE_WIDTH = 10_000
_SAMPLE_ROWS = 100
_PATIENCE = 0.3
"""Seconds after which rows are shown, whatever was to come."""
_GAP = "   "
_INDENT = "    "


def write(titles: Sequence[str], rows: Iterable[Sequence[str]], *, headed: bool = True) -> bool:
    """Write a table to standard output; nothing is cut off. Returns whether there was any row, else nothing is written."""
    coming = iter([safe(cell) for cell in row] for row in rows)
    sample = _first(coming)
    if not sample:
        return False
    drawing = _Drawing(titles if headed else [""] * len(titles), sample, _width())
    sys.stdout.write("\n" if headed else "")
    for line in drawing.head(titles) if headed else ():
        sys.stdout.write(line + "\n")
    for row in sample:
        _put(drawing.row(titles, row))
    sys.stdout.flush()
    for row in coming:
        _put(drawing.row(titles, row))
        if sys.stdout.isatty():
            sys.stdout.flush()
    sys.stdout.write("\n" if headed else "")
    return True


def _put(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line.rstrip() + "\n")


def _width() -> int:
    if not sys.stdout.isatty():
        return _PIPE_WIDTH
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


def _first(rows: Iterator[list[str]]) -> list[list[str]]:
    """Return the first rows: a hundred, or those that come soon."""
    began, found = time.monotonic(), []
    for row in rows:
        found.append(row)
        if len(found) == _SAMPLE_ROWS or time.monotonic() - began > _PATIENCE:
            break
    return found


def _cells(text: str) -> int:
    """Return how many places on a line a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


class _Drawing:
    """The columns of one table: how wide each is, None for one that has no room beside the others."""

    def __init__(self, titles: Sequence[str], sample: Sequence[Sequence[str]], width: int) -> None:
        columns = list(zip(*sample, strict=True))
        whole = [max(map(_cells, [title, *cells])) for title, cells in zip(titles, columns, strict=True)]
        least = [
            max(_cells(word) for text in [title.replace(" ", "\0"), *cells] for word in text.split(" "))
            for title, cells in zip(titles, columns, strict=True)
        ]
        self._widths = _fitted(whole, least, width - 1)

    def head(self, titles: Sequence[str]) -> Iterator[str]:
        """Iterate over the lines above the rows."""
        shown = [(title, width) for title, width in zip(titles, self._widths, strict=True) if width is not None]
        yield (" " + _GAP.join(_padded(title, width) for title, width in shown)).rstrip()
        yield " " + "─" * (sum(width for _, width in shown) + len(_GAP) * (len(shown) - 1))

    def row(self, titles: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
        """Iterate over the lines of a row: those in columns, then what has no room there."""
        columns: list[tuple[list[str], int]] = []
        below: list[str] = []
        for number, (title, cell, width) in enumerate(zip(titles, cells, self._widths, strict=True)):
            if width is not None and _longest(cell) <= width:
                columns.append((_wrapped(cell, width), width))
                continue
            if width is not None:
                columns.append(([""], width))
            if number == 0:
                yield f" {cell}"
            elif cell:
                below.append(f"{_INDENT}{title}: {cell}" if title else f"{_INDENT}{cell}")
        for line in zip_longest(*(lines for lines, _ in columns), fillvalue=""):
            yield " " + _GAP.join(_padded(text, width) for text, (_, width) in zip(line, columns, strict=True))
        yield from below


def _fitted(whole: Sequence[int], least: Sequence[int], width: int) -> list[int | None]:
    """Return widths that fit: as wide as wanted, as far as there is room; the widest words first have to do without."""
    shown = set(range(len(whole)))
    while len(shown) > 1 and sum(least[each] for each in shown) + len(_GAP) * (len(shown) - 1) > width:
        shown.remove(max(shown - {0}, key=lambda each: (least[each], each)))
    spare = width - sum(least[each] for each in shown) - len(_GAP) * (len(shown) - 1)
    widths: list[int | None] = [None] * len(whole)
    for each in sorted(shown, key=lambda each: whole[each] - least[each]):
        more = max(0, min(whole[each] - least[each], spare))
        widths[each], spare = least[each] + more, spare - more
    return widths


def _longest(text: str) -> int:
    return max(map(_cells, text.split(" ")))


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and _cells(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))
