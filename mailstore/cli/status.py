"""``mailstore status``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from mailstore.cli.daemon_metrics import last_runs
from mailstore.cli.exits import ExitCode
from mailstore.cli.results import StoreStatus
from mailstore.cli.schema import schema_report
from mailstore.cli.session import Session, pass_session
from mailstore.errors import MailstoreError, NotSupported
from mailstore.model import Capability

if TYPE_CHECKING:
    from mailstore.store import Store

__all__ = ["status"]


@click.command()
@click.option("--findings", is_flag=True, help="Check each store, too, and count the errors; that takes longer.")
@pass_session
def status(session: Session, findings: bool) -> None:
    """Tell on one screen how the stores are: all of the configuration file, or the one that is named.

    `overdue` are mailboxes that should have been purged yesterday or before, so that nobody seems to purge. The last runs
    are asked of the daemon, if it serves metrics. Exit code 1 if a store does not answer.
    """
    runs = {} if session.url else last_runs(session.file.daemon.metrics_listen)
    found = [_status(session, name, runs, findings) for name in session.store_names()]
    session.output.many(StoreStatus, found)
    click.get_current_context().exit(ExitCode.FAULT if any(one.error for one in found) else 0)


def _status(session: Session, name: str, runs: Mapping[tuple[str, str], datetime], findings: bool) -> StoreStatus:
    try:
        one = session.another(name) if name else session
        return _answering(one, name, runs, findings)
    except MailstoreError as error:
        return StoreStatus(name, "", error=str(error))


def _answering(one: Session, name: str, runs: Mapping[tuple[str, str], datetime], findings: bool) -> StoreStatus:
    store = one.store
    today = datetime.now(UTC).date()
    kept = Capability.RETENTION in store.capabilities
    return StoreStatus(
        name,
        store.name,
        schema=_schema(one),
        domains=store.domains.count(),
        accounts=store.accounts.count(),
        waiting=store.deleted.count() if kept else None,
        due=store.deleted.count(due=today) if kept else None,
        overdue=store.deleted.count(due=today - timedelta(days=1)) if kept else None,
        free_bytes=min(_free(one), default=None),
        errors=_errors(store) if findings else None,
        last_purge=runs.get((name, "purge")),
        last_check=runs.get((name, "check")),
    )


def _schema(one: Session) -> str:
    try:
        report = schema_report(one)
    except NotSupported:
        return ""
    absent = len(getattr(report, "absent", ()))
    return f"{absent} absent" if absent else "complete"


def _free(one: Session) -> Iterator[int]:
    for root in one.config.homes:
        try:
            yield shutil.disk_usage(root).free
        except OSError:
            yield 0  # not to be seen: `mailstore doctor` says why


def _errors(store: Store) -> int:
    return sum(finding.severity == "error" for finding in store.check())
