"""The options of commands that list something."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc

import click

from mailstore.cli.values import listed
from mailstore.cli.views import takes_view

__all__ = ["filters"]

_OPTIONS = {
    "domain": click.option("--domain", metavar="DOMAIN", help="Only those of this domain."),
    "search": click.option("--search", metavar="TEXT", help="Only those with this text in their address or name."),
    "enabled": click.option("--enabled/--disabled", default=None, help="Only those that are on, or off."),
    "admins": click.option("--admins/--no-admins", default=None, help="Only those with, or without, admin rights."),
}


def filters(kind: type, *names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these filters of the library's lists, and a `View`; tell the columns of `kind` in its help."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        command.__doc__ = f"{cleandoc(command.__doc__ or '')}\n\nColumns: {', '.join(listed(kind))}."
        command = takes_view(kind)(command)
        for name in reversed(names):
            command = _OPTIONS[name](command)
        return command

    return decorate
