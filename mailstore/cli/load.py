"""``mailstore load``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import click

from mailstore.cli.loaded import Report, generated_into, refused_into
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import progress, safe
from mailstore.errors import InvalidValue

__all__ = ["load", "loads"]


_OPTIONS = (
    click.option(
        "--if-exists",
        type=click.Choice(["fail", "update", "skip"]),
        default="fail",
        show_default=True,
        help="What becomes of a thing that is there and differs: refused, made what the record says, or left.",
    ),
    click.option("--continue", "go_on", is_flag=True, help="Go on past refused records."),
    click.option(
        "--refused",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write refused records to this new file, to be edited and loaded.",
    ),
    click.option(
        "--generate-to",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Make passwords for new accounts whose hash the store has no use for, and write them to this new file that only"
        " you can read. Without it such accounts are refused.",
    ),
)


def loads(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how records are loaded."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@loads
@click.option(
    "--homes",
    type=click.Choice(["keep", "new"]),
    default="keep",
    show_default=True,
    help="Whether new accounts get the homes that the file names, where the store can hold them, or those of its layout.",
)
@click.option("--dry-run", is_flag=True, help="Check everything and tell what would happen; change nothing.")
@pass_session
def load(
    session: Session,
    file: Path,
    if_exists: Literal["fail", "update", "skip"],
    go_on: bool,
    refused: Path | None,
    generate_to: Path | None,
    homes: Literal["keep", "new"],
    dry_run: bool,
) -> None:
    """Load what 'dump' wrote, from FILE or standard input ('-'), into a store of whatever kind.

    What is not there is created. What is there as the file says is left alone, so that the same command finishes what an
    interrupted one began. Nothing is ever removed. Records are written in batches; a refused one ends the run after its
    batch, unless --continue is given. Each record is told with what the store has no place for ('lost'); a table shows those
    that were not loaded, and sums. Homes are recorded only: mail is neither read nor made room for.
    """
    from mailstore.transfer import Loader, read_entries

    with ExitStack() as stack:
        store = stack.enter_context(session.rehearsal()) if dry_run else session.records
        keep = stack.enter_context(refused_into(refused))
        report = Report(session.output, lambda outcome: keep and keep(f"{json.dumps(outcome.entry.to_dict())}\n"))
        loader = Loader(
            store,
            if_exists=if_exists,
            go_on=go_on or dry_run,
            keep_homes=homes == "keep",
            generated=stack.enter_context(generated_into(generate_to, dry_run=dry_run)),
            rehearsed=dry_run,
        )

        def bad(_number: int, text: str, error: InvalidValue) -> None:
            report.refused += 1
            click.echo(f"mailstore: {safe(str(error))}", err=True)
            if keep:
                keep(f"{text.rstrip()}\n")

        stream = stack.enter_context(click.open_file(str(file), encoding="utf-8"))
        shown = session.output.progress_beside_rows and file.is_file() and sys.stderr.isatty()
        advance = stack.enter_context(progress("loading", _lines_in(file) if shown else 0, shown=shown))
        entries = read_entries(_counted(stream, advance), bad=bad if go_on or dry_run else None)
        report.write(loader.load(entries))
    report.raise_refused(
        f"edit {refused} and load it" if refused else "the same command goes on when the cause is mended"
    )


def _counted(lines: Iterable[str], advance: Callable[[int], None]) -> Iterator[str]:
    for line in lines:
        yield line
        advance(1)


def _lines_in(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(1 for _ in stream)
