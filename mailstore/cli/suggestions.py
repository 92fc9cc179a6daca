"""What a shell offers for the parameters of commands: names of the configuration file, and what the store itself holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice, takewhile
from typing import Any

import click
from click.shell_completion import CompletionItem

from mailstore.cli.output import Output
from mailstore.cli.session import Session
from mailstore.errors import InvalidAddress, MailstoreError

__all__ = ["StoreName", "offer"]

_MOST = 200
"""More of them help nobody, and a shell shows none before it has all."""

_COLLECTIONS = {"account": "accounts", "alias": "aliases", "list": "lists", "admin": "admins"}
_NEW = {"create"}
"""Verbs whose address must not exist; of it, the domain can be offered."""


_Source = Callable[[Session, str], Iterable[str]]
"""Gives what begins with a text, in rising order, or more than that behind it."""


def offer(words: str, command: click.Command) -> None:
    """Let the parameters of a command behind `words`, and of those below it, offer what the store holds."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            offer(f"{words} {name}", inner)
        return
    noun, _, verb = words.partition(" ")
    for parameter in command.params:
        name = parameter.name or ""
        if name == "given":  # the names of several things, of which only the placeholder says what they are
            name = (parameter.metavar or "").strip("[].").lower()
        source = _source(noun, verb, name)
        if source is not None and parameter.type is click.STRING:
            parameter.type = _Offered(source)


def _source(noun: str, verb: str, name: str) -> _Source | None:
    if name == "domain":
        return None if (noun, verb) == ("domain", "create") else _domains
    if name == "address" and noun in _COLLECTIONS:
        return _addresses_to_be if verb in _NEW else _of(_COLLECTIONS[noun])
    return _BY_NAME.get(name)


def _of(collection: str) -> _Source:
    def found(session: Session, begun: str) -> Iterator[str]:
        return _from(getattr(session.records, collection), "address", begun)

    return found


def _domains(session: Session, begun: str) -> Iterator[str]:
    return _from(session.records.domains, "domain", begun)


def _from(collection: Any, field: str, begun: str) -> Iterator[str]:
    """Iterate over names from `begun` on: a page of the list, however much the store holds."""
    with suppress(InvalidAddress):  # of what is not yet a whole name
        if collection.exists(begun):
            yield begun
    yield from (getattr(record, field) for record in collection.list(after=begun))


def _addresses_to_be(session: Session, begun: str) -> Iterator[str]:
    local, at, domain = begun.partition("@")
    return (f"{local}@{name}" for name in _domains(session, domain)) if at else iter(())


def _levels(session: Session, begun: str) -> Iterator[str]:
    yield from _domains(session, begun)
    yield from _of("accounts")(session, begun)


_BY_NAME: Mapping[str, _Source] = {
    "new_address": _addresses_to_be,
    "level": _levels,
    "address": _of("accounts"),
    "recipient": _of("accounts"),
    "members": _of("accounts"),
    "destinations": _of("accounts"),
    "admins": _of("admins"),
}


class _Offered(click.types.StringParamType):
    """Text that a shell can complete."""

    def __init__(self, source: _Source) -> None:
        self._source = source

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return what the store holds that begins so; nothing if it cannot be asked: a shell has no place for errors."""
        begun = incomplete.lower()
        session = _session(ctx.find_root().params)
        try:
            fitting = takewhile(lambda name: name.startswith(begun), self._source(session, begun))
            return [CompletionItem(name) for name in islice(fitting, _MOST)]
        except MailstoreError:
            return []
        finally:
            session.close()


class StoreName(click.types.StringParamType):
    """The name of a store of the configuration file."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the names that begin so."""
        from mailstore import config

        try:
            names = config.load(ctx.find_root().params.get("config_file") or config.user_path()).stores
        except MailstoreError:
            return []
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def _session(given: Mapping[str, Any]) -> Session:
    """Return a session for the global options that stand on the line so far."""
    return Session(
        config_file=given.get("config_file"),
        store_name=given.get("store_name"),
        url=given.get("url"),
        homes=given.get("homes") or (),
        admin=given.get("admin"),
        output=Output("lines", quiet=True),
    )
