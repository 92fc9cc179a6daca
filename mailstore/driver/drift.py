"""Differences between what a store says about homes and what lies on disk, for every kind of store."""

from __future__ import annotations

from collections.abc import Iterator

from mailstore.errors import HomeError, InvalidValue
from mailstore.maildir import Homes
from mailstore.model import Capability, DeletedMailbox, Finding
from mailstore.roots import Roots
from mailstore.store import Store

__all__ = ["check_homes"]


def check_homes(store: Store, homes: Homes, *, folder: str | None = None) -> Iterator[Finding]:
    """Compare accounts, records of deleted mailboxes, and directories; `folder` is as in `Homes.find_homes`.

    Keeps the paths of all homes in memory, about 150 bytes for each account.
    """
    for root, reason in Roots(store, homes).look().items():
        yield Finding("root-of-another", root, reason)
    known: dict[str, str] = {}
    for address, home in store.accounts.homes():
        if home in known:
            yield Finding("home-shared", address, f"its home {home} is also the home of {known[home]}")
        known[home] = address
        yield from _check_home(homes, address, home)
    live = set(known)
    for record in _records(store):
        if record.home in known:
            message = f"its mailbox {record.home} is the home of {known[record.home]} now; the purge will not touch it"
            yield Finding("record-in-use", record.address, message, "notice")
        if record.home:
            known.setdefault(record.home, record.address)
        yield from _check_record(homes, record.address, record.home)
    yield from _check_nesting(known, live)
    yield from _check_unclaimed(homes, known, folder)


def _records(store: Store) -> Iterator[DeletedMailbox]:
    return store.deleted.list() if Capability.RETENTION in store.capabilities else iter(())


def _check_home(homes: Homes, address: str, home: str) -> Iterator[Finding]:
    try:
        if homes.root_of(home) is None:
            yield Finding("home-elsewhere", address, f"its home {home} is under none of the configured homes", "notice")
        elif not homes.exists(home):
            yield Finding("home-missing", address, f"there is no {home} yet; Dovecot makes it on first use", "notice")
        else:
            homes.check_owner(home)
    except (HomeError, InvalidValue) as error:
        yield Finding("home-unusable", address, str(error))


def _check_nesting(known: dict[str, str], live: set[str]) -> Iterator[Finding]:
    """Name homes in others; of those of deleted accounts (not `live`) the purge takes none before both are due."""
    for home, address in known.items():
        above = home.rpartition("/")[0]
        while above:
            if above in known:
                message = f"its home {home} lies in that of {known[above]}"
                yield Finding("home-nested", address, message, "error" if {home, above} <= live else "notice")
            above = above.rpartition("/")[0]


def _check_record(homes: Homes, address: str, home: str) -> Iterator[Finding]:
    if not home:
        message = "its record names no mailbox; a purge forgets it when it is due"
        yield Finding("record-without-home", address, message, "notice")
        return
    try:
        if homes.root_of(home) is not None and not homes.exists(home):
            yield Finding("record-without-home", address, f"its mailbox {home} is not there any more", "notice")
    except (HomeError, InvalidValue) as error:
        yield Finding("home-unusable", address, str(error))


def _check_unclaimed(homes: Homes, known: dict[str, str], folder: str | None) -> Iterator[Finding]:
    unreadable: list[HomeError] = []
    for home in homes.find_homes(folder=folder, on_error=unreadable.append):
        if home.lower() != home:
            yield Finding(
                "home-unreachable", home, "Dovecot looks for homes in lower case only and never finds this one"
            )
        elif home not in known:
            yield Finding(
                "home-unclaimed", home, "no account and no record of a deleted mailbox has this home", "notice"
            )
    for error in unreadable:
        yield Finding("home-unreadable", error.subject or "", str(error))
