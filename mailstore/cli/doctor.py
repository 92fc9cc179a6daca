"""``mailstore doctor``."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailstore.cli.daemon_metrics import answers
from mailstore.cli.exits import ExitCode
from mailstore.cli.results import Diagnosis
from mailstore.cli.schema import schema_report
from mailstore.cli.session import Session, pass_session
from mailstore.errors import MailstoreError, NotSupported
from mailstore.model import Capability

if TYPE_CHECKING:
    from mailstore.store import Store

__all__ = ["doctor"]

_LITTLE = 0.05
"""The part of a file system that should be free."""
_PATIENCE = 10
_SHOWN = 3


@click.command()
@pass_session
def doctor(session: Session) -> None:
    """Try what mailstore needs, and say what to do about what is missing.

    Of each store: whether it answers and its schema fits, whether the homes can be reached, belong to whom they should, and
    have room, whether what is due is purged, and whether Dovecot here finds an account where the store has it. Nothing is
    changed. Exit code 1 if something does not work.
    """
    found = list(_everything(session))
    session.output.many(Diagnosis, found)
    click.get_current_context().exit(ExitCode.FAULT if any(one.state == "fails" for one in found) else 0)


def _everything(session: Session) -> Iterator[Diagnosis]:
    if not session.url:
        yield from _secrets(session)
    for name in session.store_names():
        yield from _store(session.another(name) if name else session, _Patient(name or "store"))
    if not session.url and (listen := session.file.daemon.metrics_listen):
        yield (
            _Patient("daemon").well(f"metrics at {listen}")
            if answers(listen)
            else _Patient("daemon").ails(
                f"no metrics at {listen}", "is mailstored running? systemctl status mailstored"
            )
        )


@dataclass(frozen=True)
class _Patient:
    """What is looked at, by its name in the report."""

    name: str

    def well(self, found: str) -> Diagnosis:
        return Diagnosis(self.name, "good", found)

    def ails(self, found: str, advice: str) -> Diagnosis:
        return Diagnosis(self.name, "warning", found, advice)

    def fails(self, found: str, advice: str) -> Diagnosis:
        return Diagnosis(self.name, "fails", found, advice)


def _secrets(session: Session) -> Iterator[Diagnosis]:
    """Tell of files with passwords that everybody can read, or nobody."""
    for name, options in session.file.stores.items():
        path = Path(options.password_file)
        if not path.is_absolute():
            continue
        try:
            mode = path.stat().st_mode
        except OSError as error:
            yield _Patient(name).fails(f"password_file {path}: {error.strerror}", "make it, or run as who may read it")
            continue
        if mode & stat.S_IROTH:
            yield _Patient(name).ails(f"everybody can read {path}", f"chmod o-rwx {path}")


def _store(one: Session, patient: _Patient) -> Iterator[Diagnosis]:
    try:
        store = one.store
        yield patient.well(f"{store.name} answers, accounts: {store.accounts.count()}")
        yield from _schema(one, patient)
        yield from _purges(store, patient)
        yield from _readers(store, patient)
        for root in one.config.homes:
            yield from _root(root, one.config.owner_ids(), patient)
    except MailstoreError as error:
        advice = "try again later" if error.temporary else "mend this first: the page of the store says what it takes"
        yield patient.fails(str(error), advice)


def _schema(one: Session, patient: _Patient) -> Iterator[Diagnosis]:
    try:
        report = schema_report(one)
    except NotSupported:
        return
    absent = getattr(report, "absent", ())
    if absent:
        some = ", ".join([*islice(absent, _SHOWN), *(["..."] if len(absent) > _SHOWN else [])])
        yield patient.ails(f"the schema lacks {some}", "some features need it: mailstore schema check")
    else:
        yield patient.well("the schema is complete")


def _purges(store: Store, patient: _Patient) -> Iterator[Diagnosis]:
    if Capability.RETENTION not in store.capabilities:
        return
    late = store.deleted.count(due=datetime.now(UTC).date() - timedelta(days=1))
    if late:
        advice = (
            "run mailstored, or mailstore purge; mailstore deleted list --where failed shows what could not be removed"
        )
        yield patient.ails(f"mailboxes that should have been purged: {late}", advice)
    else:
        yield patient.well("what is due is purged")


def _root(root: str, owner: tuple[int, int] | None, patient: _Patient) -> Iterator[Diagnosis]:
    try:
        found = Path(root).stat()
        usage = shutil.disk_usage(root)
    except OSError as error:
        yield patient.fails(f"{root}: {error.strerror}", "is its file system mounted, and may you look into it?")
        return
    keeper = owner[0] if owner else found.st_uid
    if os.geteuid() not in (0, keeper):
        yield patient.ails(
            f"homes below {root} belong to user {keeper}, you are {os.geteuid()}", "run as that user: sudo -u"
        )
    elif found.st_uid not in (0, keeper):
        yield patient.ails(f"{root} belongs to user {found.st_uid}, homes to {keeper}", f"chown {keeper} {root}")
    else:
        yield patient.well(f"{root} can be used")
    if usage.free < usage.total * _LITTLE:
        yield patient.ails(f"{root} is nearly full", "purge what is due, or make room")


def _readers(store: Store, patient: _Patient) -> Iterator[Diagnosis]:
    """Ask Dovecot, if it is here and lets us, for the first account that works."""
    program = shutil.which("doveadm")
    account = next(store.accounts.list(enabled=True), None)
    if program is None or account is None or os.geteuid():
        return
    command = [program, "user", "-f", "home", account.address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603 no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        yield patient.ails(f"Dovecot does not answer: {error}", "is it running?")
        return
    home = done.stdout.strip()
    if done.returncode or not home:
        (said,) = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        advice = "does it read this store? mailstore lookups dovecot writes its files"
        yield patient.ails(f"Dovecot does not find {account.address}: {said}", advice)
    elif account.home and home.rstrip("/") != account.home.rstrip("/"):
        found = f"Dovecot has {account.address} at {home}, the store at {account.home}"
        yield patient.ails(found, "correct one of the two configurations")
    else:
        yield patient.well(f"Dovecot finds {account.address}")
