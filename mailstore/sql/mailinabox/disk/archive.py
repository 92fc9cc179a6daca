"""Mailboxes on disk whose accounts are gone, as the box's panel lists them: by the names of their directories."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from sqlalchemy import func, select

from mailstore.address import domain_part, held_domain
from mailstore.disk.search import OWN
from mailstore.errors import ConfigurationError, HomeError
from mailstore.model import DeletedMailbox, Usage
from mailstore.sql.mailinabox.context import Context
from mailstore.sql.mailinabox.disk.usage import usage_of

__all__ = ["archived"]


def archived(context: Context, recorded: Mapping[str, DeletedMailbox], domain: str | None) -> Iterator[DeletedMailbox]:
    """Iterate over the mailboxes on disk that no account has, sorted; `recorded` are the records of them by home."""
    if context.homes is None:
        raise ConfigurationError("the store was opened without homes; say below which directories the mailboxes lie")
    live = _live(context)
    wanted = None if domain is None else held_domain(domain)
    for address, home in sorted(_on_disk(context)):
        if address not in live and wanted in (None, domain_part(address)):
            usage = usage_of(context.homes, home) or Usage(0, 0)
            unrecorded = DeletedMailbox(id=0, address=address, domain=domain_part(address), home=home, usage=usage)
            yield recorded.get(home, unrecorded)


def _live(context: Context) -> set[str]:
    with context.reading() as connection:
        return set(connection.execute(select(func.lower(context.table("users").c.email))).scalars())


def _on_disk(context: Context) -> Iterator[tuple[str, str]]:
    """Iterate over address and path of all mailboxes; what is no directory is none."""
    root = context.box.mailboxes
    for domain in _directories(root):
        if domain not in OWN:
            for name in _directories(f"{root}/{domain}"):
                yield f"{name}@{domain}", f"{root}/{domain}/{name}"


def _directories(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise HomeError(f"cannot list the mailboxes in {path}: {error.strerror}", subject=path) from error
