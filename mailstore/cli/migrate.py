"""``mailstore migrate``: from one store into another, planned, done and verified."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from mailstore.cli.load import Loading, loads
from mailstore.cli.loaded import Report, generated_into, refused_into
from mailstore.cli.mail import Commands, Mail, mails
from mailstore.cli.session import Session, pass_session
from mailstore.cli.terminal import can_ask, confirm, progress

if TYPE_CHECKING:
    from mailstore.store import Store
    from mailstore.transfer import Carried, Entry, Loader, Outcome

__all__ = ["migrate"]


@click.command()
@click.option("--from", "source", metavar="STORE", required=True, help="A store of the configuration file, or its URL.")
@click.option("--to", "target", metavar="STORE", required=True, help="The store that it goes into, in the same way.")
@click.option("--plan", "only_plan", is_flag=True, help="Tell what would happen, and end.")
@loads
@mails
@click.option("-y", "--yes", is_flag=True, help="Do not ask, and do not plan first.")
@pass_session
@click.pass_context
def migrate(
    ctx: click.Context,
    session: Session,
    source: str,
    target: str,
    only_plan: bool,
    loading: Loading,
    mail: Mail,
    yes: bool,
) -> None:
    """Bring what one store holds into another one, of whatever kind.

    --plan tells for each record what would become of it, and what the target has no place for ('lost'); the target checks
    all of it, in a transaction that is taken back. On a terminal the plan is shown before it is asked whether to begin.
    Records are written as 'load' writes them: the same command finishes what an interrupted one began. At the end both sides
    are compared, and what differs is told as 'missing' or 'different'. Then the mail is brought, if that is asked for; one
    home that holds any is never replaced. The source is only read, but for mail that is moved.
    """
    if source == target:
        raise click.UsageError("source and target are the same store", ctx)
    mail.refuse_nonsense()
    if session.admin or session.store_name or session.url:
        raise click.UsageError("--from and --to name the stores; --store, --url and --as do not go with them", ctx)
    run = _Migration(session, session.another(source), session.another(target), loading, mail)
    if only_plan:
        run.plan().raise_refused("nothing was changed; this was a plan")
        return
    if can_ask() and not yes:
        if session.output.form == "table":
            run.plan()
        confirm(f"migrate from {source} to {target}?", yes=False)
    with ExitStack() as stack:
        keep = stack.enter_context(refused_into(loading.refused))
        generated = stack.enter_context(generated_into(loading.generate_to, dry_run=False))
        # Made before anything is written, so that it cannot fail afterwards.
        commands = stack.enter_context(mail.commands())
        report = run.load(keep, generated, commands)
    report.raise_refused("the same command goes on when the cause is mended; --continue goes on past them")
    ctx.exit(1 if run.different else 0)


@dataclass
class _Migration:
    """A run: both sides, and what has to be remembered of the records that were refused or lost something."""

    session: Session
    source: Session
    target: Session
    loading: Loading
    mail: Mail
    different: int = 0
    _told: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)
    """What differs and is told, by kind and name; None where all of it may."""

    def plan(self) -> Report:
        """Tell what would happen, and change nothing."""
        report = Report(self.session.output)
        generated = (lambda _address, _password: None) if self.loading.generate_to else None
        carrier = self.mail.carrier(self.source, self.target)
        with self.target.rehearsal() as store, Mail("keep", None, None).commands() as commands:
            loader = self._loader(store, generated, go_on=True, rehearsed=True)

            def both() -> Iterator[Outcome | Carried]:
                yield from loader.load(self._entries("planning"))
                if carrier:
                    for entry, present, _ in loader.compare(self._entries("looking for mail")):
                        if entry.kind == "account" and present is not None:
                            commands.add(entry, present)
                    yield from carrier.plan(commands.pairs)

            report.write(both())
        return report

    def load(
        self,
        keep: Callable[[str], object] | None,
        generated: Callable[[str, str], object] | None,
        commands: Commands,
    ) -> Report:
        """Load the records, compare both sides, bring the mail, and tell what became of each and what differs besides.

        `commands` gets each account that has another home now.
        """
        report = Report(self.session.output, lambda one: keep and keep(f"{json.dumps(one.entry.to_dict())}\n"))
        # What is wrong with the disks is told before anything is written.
        carrier = self.mail.carrier(self.source, self.target)
        loader = self._loader(self.target.records, generated, go_on=self.loading.go_on, rehearsed=False)

        def all_of_it() -> Iterator[Outcome | Carried]:
            yield from self._noted(loader, loader.load(self._entries("migrating")))
            if self.loading.go_on or not report.refused:
                yield from self._differences(loader, commands)
                commands.write()
                if carrier:
                    for _ in carrier.plan(commands.pairs):  # that there is room
                        pass
                    yield from carrier.carry(commands.pairs)

        report.write(all_of_it())
        return report

    def _noted(self, loader: Loader, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        """Remember what the comparison will find, and is told already."""
        for outcome in outcomes:
            key = outcome.entry.kind, outcome.entry.origin
            held_otherwise = loader.keeps(outcome.entry.kind).intersection(outcome.lost)
            if held_otherwise:
                held_otherwise -= {*loader.lost(outcome.entry)}
            if outcome.action in {"refused", "skipped"}:
                self._told[key] = None
            elif held_otherwise and self._told.get(key, ()) is not None:
                self._told[key] = held_otherwise
            yield outcome

    def _differences(self, loader: Loader, commands: Commands) -> Iterator[Outcome]:
        for entry, present, outcome in loader.compare(self._entries("comparing")):
            if entry.kind == "account" and present is not None:
                commands.add(entry, present)
            told = self._told.get((entry.kind, entry.origin), frozenset())
            if (
                outcome is not None
                and told is not None
                and (outcome.action == "missing" or not told.issuperset(outcome.lost))
            ):
                self.different += 1
                yield outcome

    def _loader(
        self, store: Store, generated: Callable[[str, str], object] | None, *, go_on: bool, rehearsed: bool
    ) -> Loader:
        from mailstore.transfer import Loader

        return Loader(
            store,
            if_exists=self.loading.if_exists,
            go_on=go_on,
            keep_homes=self.mail.way == "keep",
            generated=generated,
            rehearsed=rehearsed,
            renaming=self.loading.renaming(),
        )

    def _entries(self, what: str) -> Iterator[Entry]:
        from mailstore.transfer import dump

        store = self.source.records
        shown = self.session.output.progress_beside_rows and sys.stderr.isatty() and not self.loading.domains
        total = store.accounts.count() if shown else 0
        with progress(what, total, shown=shown) as advance:
            for entry in dump(store, domains=self.loading.domains or None):
                yield entry
                advance(entry.kind == "account")
