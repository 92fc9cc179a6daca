"""One run of the command line: which store it works on, as whom, and how it answers."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, wraps
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from mailstore.cli.output import Output
from mailstore.cli.terminal import confirm, safe
from mailstore.errors import PermissionDenied
from mailstore.model import Capability, DeletedMailbox
from mailstore.records import to_dict

if TYPE_CHECKING:
    from mailstore.audit import Trail, Who
    from mailstore.cli.views import View
    from mailstore.config import Config, StoreConfig
    from mailstore.store import Store

__all__ = ["Caution", "Session", "destroys", "keeps_mailboxes", "pass_session"]


@dataclass(frozen=True)
class Caution:
    """What the options ``--yes`` and ``--dry-run`` of a command say."""

    yes: bool
    dry_run: bool

    def tell(self, done: str, what: str) -> str:
        """Return what happened, `done` being a participle: ``deleted bob``, or ``would have deleted bob``."""
        return f"{self.action(done)} {what}"

    def action(self, done: str) -> str:
        """Return a participle, as what would have been if nothing is done."""
        return f"would have {done}" if self.dry_run else done


class _Listable(Protocol):
    """What all collections of the contract have in common."""

    @property
    def list(self) -> Callable[..., Iterator[Any]]: ...

    @property
    def count(self) -> Callable[..., int]: ...


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

    def __post_init__(self) -> None:
        """Look for the store in the environment where no option names one. Raises click.UsageError if it names two."""
        if self.url:
            return
        url, name = (os.environ.get(f"MAILSTORE_{which}", "") for which in ("URL", "STORE"))
        if url and not self.store_name and not self.config_file:
            if name:
                raise click.UsageError("$MAILSTORE_URL stands for itself: it does not go with $MAILSTORE_STORE")
            self.url = url
        elif not self.store_name:
            self.store_name = name or None

    @cached_property
    def config(self) -> StoreConfig:
        """The configuration of the store, with the options of its URL taken in."""
        from mailstore import config
        from mailstore.registry import with_query_options

        if self.url:
            options = {"url": self.url, "homes": list(self.homes)}
            return with_query_options(config.convert(options, config.StoreConfig, "the command line"))
        return with_query_options(self.file.store(self.store_name))

    @cached_property
    def file(self) -> Config:
        """The whole configuration file."""
        from mailstore import config

        return config.load(self.config_file or config.user_path())

    @cached_property
    def trail(self) -> Trail:
        """The audit log of the configuration file; a store by its URL has none."""
        from mailstore.audit import Trail

        return Trail([] if self.url else self.file.audit.to)

    @cached_property
    def who(self) -> Who:
        """Who runs this, for the audit log."""
        from mailstore.audit import Who

        return Who("mailstore", _operator(), os.environ.get("SSH_CLIENT", "").partition(" ")[0])

    @cached_property
    def store(self) -> Store:
        """The store, limited to what the admin of ``--as`` may do."""
        return self._opened(self.config)

    @cached_property
    def records(self) -> Store:
        """The store without the disk: homes are recorded, and neither made nor looked at."""
        return self._opened(self._without_disk())

    def _without_disk(self) -> StoreConfig:
        import msgspec

        return msgspec.structs.replace(self.config, homes=[], home_root=self.config.new_home_root())

    def store_names(self) -> Sequence[str]:
        """Return the stores that a command about all of them means; the empty name stands for the one named by a URL."""
        if self.url:
            return [""]
        return [self.store_name] if self.store_name else list(self.file.stores)

    def another(self, name: str) -> Session:
        """Return a session on another store: one of the configuration file by its name, or one by its URL."""
        by_url = "://" in name
        other = Session(
            config_file=None if by_url else self.config_file,
            store_name=None if by_url else name,
            url=name if by_url else None,
            homes=(),
            admin=None,
            output=self.output,
        )
        self._open.callback(other.close)
        return other

    def refuse_acting(self, what: str) -> None:
        """Raise PermissionDenied if there is an admin of ``--as``, whose rights do not say who does `what`."""
        if self.admin:
            raise PermissionDenied(
                f"{self.admin} is an admin of mail; who {what} runs the server: leave out --as", subject=self.admin
            )

    def _opened(self, config: StoreConfig) -> Store:
        from mailstore.registry import open_config

        trail = self.trail  # one that cannot be written is refused before anything is done
        store = self._open.enter_context(open_config(config))
        if trail:
            from mailstore.audit import watched

            store = watched(store, trail, self.who)
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
        """Give a store in which everything is checked as usual and nothing is left of it; the disk is not touched."""
        store = self._opened(self._without_disk())
        with store.rehearsal() as rehearsed:
            yield rehearsed

    def listing(self, kind: type, collection: _Listable, view: View, wanted: Mapping[str, Any]) -> None:
        """Write what a view shows of the records of a collection that `wanted` selects, or only their number."""
        if view.count:
            whole = not view.where and view.limit is None
            number = collection.count(**wanted) if whole else sum(1 for _ in view.apply(collection.list(**wanted)))
            if not number:
                self._require_domain(kind, wanted)
            self.output.number(number)
            return
        records = collection.list(**wanted)
        first = next(records, None)
        if first is None:
            self._require_domain(kind, wanted)
        self.output.many(kind, view.apply(chain(() if first is None else (first,), records)), columns=view.columns)

    def _require_domain(self, kind: type, wanted: Mapping[str, Any]) -> None:
        """Raise NotFound if nothing was found because there is no such domain; records outlive theirs."""
        domain = wanted.get("domain")
        if not domain or kind is DeletedMailbox or Capability.DOMAINS not in self.store.capabilities:
            return
        self.store.domains.get(domain)

    def close(self) -> None:
        """Tell what is left to be done outside of the store, and close what was opened."""
        for opened in vars(self).keys() & {"store", "records"}:  # by these properties
            for notice in getattr(self, opened).take_notices():
                if self.output.form == "json":
                    click.echo(json.dumps({"notice": to_dict(notice)}), err=True)
                else:
                    click.echo(f"mailstore: {safe(notice.message)}; run: {safe(notice.command)}", err=True)
        self._open.close()


def _operator() -> str:
    """Return who runs this process; with the name of whoever became root for it, if sudo tells."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    behind = os.environ.get("SUDO_USER", "")
    return f"{user} ({behind})" if behind and os.getuid() == 0 else user


pass_session = click.make_pass_decorator(Session)


def destroys(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--yes`` and ``--dry-run``, as the parameter `caution`."""

    @click.option("--dry-run", is_flag=True, help="Check everything and tell what would happen; change nothing.")
    @click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    @wraps(command)
    def careful(*args: Any, yes: bool, dry_run: bool, **rest: Any) -> None:
        command(*args, caution=Caution(yes, dry_run), **rest)

    return careful


def keeps_mailboxes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--keep-days``."""
    return click.option(
        "--keep-days",
        type=click.IntRange(0),
        metavar="N",
        help="Days until the mail may be purged; 0 at the next purge. Default: 100 years.",
    )(command)
