"""``mailstore load``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mailstore.cli.loaded import Report, generated_into, refused_into
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import progress, safe
from mailstore.errors import InvalidValue

if TYPE_CHECKING:
    from mailstore.transfer import IfExists, Renaming

__all__ = ["Loading", "load", "loads"]


@dataclass(frozen=True)
class Loading:
    """What the options of `loads` say."""

    domains: tuple[str, ...]
    names: tuple[str, ...]
    names_from: Path | None
    if_exists: IfExists
    go_on: bool
    refused: Path | None
    generate_to: Path | None

    def renaming(self) -> Renaming:
        """Return what is called otherwise. Raises InvalidValue."""
        from mailstore.transfer import Renaming

        return Renaming.parse(
            [*(self.names_from.read_text("utf-8").splitlines() if self.names_from else ()), *self.names]
        )


_OPTIONS = (
    click.option("--domain", "domains", metavar="DOMAIN", multiple=True, help="Only this domain; may be given again."),
    click.option(
        "--map",
        "names",
        metavar="OLD=NEW",
        multiple=True,
        help="Call a domain, or an address, otherwise, wherever it stands; may be given again.",
    ),
    click.option(
        "--map-from",
        "names_from",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Read such mappings from this file, one a line.",
    ),
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
    """Give a command the options that say what is loaded and how, as the parameter `loading`."""

    @wraps(command)
    def loaded(*args: Any, **values: Any) -> None:
        said = {name: values.pop(name) for name in Loading.__dataclass_fields__}
        command(*args, loading=Loading(**said), **values)

    for option in reversed(_OPTIONS):
        loaded = option(loaded)
    return loaded


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
    loading: Loading,
    homes: Literal["keep", "new"],
    dry_run: bool,
) -> None:
    """Load what 'dump' wrote, from FILE or standard input ('-'), into a store of whatever kind.

    What is not there is created. What is there as the file says is left alone, so that the same command finishes what an
    interrupted one began. Nothing is ever removed. Records are written in batches; a refused one ends the run after its
    batch, unless --continue is given. Each record is told with what the store has no place for ('lost'); a table shows those
    that were not loaded, and sums. Homes are recorded only: mail is neither read nor made room for.
    """
    from mailstore.transfer import Loader, read_entries, within

    go_on = loading.go_on or dry_run
    with ExitStack() as stack:
        store = stack.enter_context(session.rehearsal()) if dry_run else session.records
        keep = stack.enter_context(refused_into(loading.refused))
        report = Report(session.output, lambda outcome: keep and keep(f"{json.dumps(outcome.entry.to_dict())}\n"))
        loader = Loader(
            store,
            if_exists=loading.if_exists,
            go_on=go_on,
            keep_homes=homes == "keep",
            generated=stack.enter_context(generated_into(loading.generate_to, dry_run=dry_run)),
            rehearsed=dry_run,
            renaming=loading.renaming(),
        )

        def bad(_number: int, text: str, error: InvalidValue) -> None:
            report.refused += 1
            click.echo(f"mailstore: {safe(str(error))}", err=True)
            if keep:
                keep(f"{text.rstrip()}\n")

        stream = stack.enter_context(click.open_file(str(file), encoding="utf-8"))
        shown = session.output.progress_beside_rows and file.is_file() and sys.stderr.isatty()
        advance = stack.enter_context(progress("loading", _lines_in(file) if shown else 0, shown=shown))
        entries = read_entries(_counted(stream, advance), bad=bad if go_on else None)
        report.write(loader.load(within(entries, loading.domains) if loading.domains else entries))
    report.raise_refused(
        f"edit {loading.refused} and load it"
        if loading.refused
        else "the same command goes on when the cause is mended"
    )


def _counted(lines: Iterable[str], advance: Callable[[int], None]) -> Iterator[str]:
    for line in lines:
        yield line
        advance(1)


def _lines_in(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(1 for _ in stream)
