"""One run of the command line: which store it works on, as whom, and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailstore.cli.output import Output
from mailstore.cli.terminal import confirm

if TYPE_CHECKING:
    from mailstore.config import StoreConfig
    from mailstore.store import Store

__all__ = ["Caution", "Session", "destroys", "pass_session"]


@dataclass(frozen=True)
class Caution:
    """What the options ``--yes`` and ``--dry-run`` of a command say."""

    yes: bool
    dry_run: bool

    def tell(self, done: str, what: str) -> str:
        """Return what happened, `done` being a participle: ``deleted bob``, or ``would have deleted bob``."""
        return f"would have {done} {what}" if self.dry_run else f"{done} {what}"


class _RolledBack(Exception):
    """Ends the transaction of a dry run."""


@dataclass
class Session:
    """The global options, and the store that they name, opened when it is first needed."""

    config_file: Path | None
    store_name: str | None
    url: str | None
    homes: tuple[str, ...]
    admin: str | None
    output: Output
    _open: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def config(self) -> StoreConfig:
        """The configuration of the store, with the options of its URL taken in."""
        from mailstore import config
        from mailstore.registry import _with_query_options

        if self.url:
            options = {"url": self.url, "homes": list(self.homes)}
            return _with_query_options(config.convert(options, config.StoreConfig, "the command line"))
        return _with_query_options(config.load(self.config_file).store(self.store_name))

    @cached_property
    def store(self) -> Store:
        """The store, limited to what the admin of ``--as`` may do."""
        return self._opened(self.config)

    def _opened(self, config: StoreConfig) -> Store:
        from mailstore.registry import open_config

        store = self._open.enter_context(open_config(config))
        return store.acting_as(self.admin) if self.admin else store

    @contextmanager
    def carefully(self, question: str, caution: Caution) -> Iterator[Store]:
        """Give the store to destroy something in, after asking; for a dry run see `rehearsal`."""
        if caution.dry_run:
            with self.rehearsal() as store:
                yield store
        else:
            confirm(question, yes=caution.yes)
            yield self.store

    @contextmanager
    def rehearsal(self) -> Iterator[Store]:
        """Give a store in which everything is checked and done as usual, and then rolled back; the disk is not touched."""
        import msgspec

        config = msgspec.structs.replace(self.config, homes=[], home_root=self.config.new_home_root())
        store = self._opened(config)
        with suppress(_RolledBack), store.transaction():
            yield store
            raise _RolledBack

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()


pass_session = click.make_pass_decorator(Session)


def destroys(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--yes`` and ``--dry-run``, as the parameter `caution`."""

    def careful(*args: Any, yes: bool, dry_run: bool, **rest: Any) -> None:
        command(*args, caution=Caution(yes, dry_run), **rest)

    _take_over(command, careful)
    careful = click.option("--dry-run", is_flag=True, help="Check everything, tell what would happen, change nothing.")(
        careful
    )
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(careful)
