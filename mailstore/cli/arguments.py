"""Where options may stand: those of ``mailstore`` itself also behind a noun or a verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

__all__ = ["asked_format", "hoisted"]


def hoisted(root: click.Group, ctx: click.Context, args: Sequence[str]) -> list[str]:
    """Return arguments with the options of `root` in front of the noun, wherever they stood.

    An option that the command at hand has itself stays with it, and so does everything behind ``--``.
    """
    given, front, rest = list(args), list[str](), list[str]()
    command: click.Command = root
    everywhere = here = _options(root, ctx)
    while given:
        word = given.pop(0)
        if word == "--":
            return [*front, *rest, word, *given]
        if word.startswith("-") and word != "-":
            name, has_value, _ = word.partition("=")
            option = here.get(name) or everywhere.get(name)
            into = front if name in everywhere and (command is root or name not in here) else rest
            into.append(word)
            if option is not None and not has_value and not option.is_flag and not option.count:
                into += given[: option.nargs]
                del given[: option.nargs]
            continue
        rest.append(word)
        inner = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        if inner is not None:
            command, here = inner, _options(inner, ctx)
    return front + rest


def _options(command: click.Command, ctx: click.Context) -> Mapping[str, click.Option]:
    options = (each for each in command.get_params(ctx) if isinstance(each, click.Option))
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def asked_format(root: click.Group, args: Sequence[str]) -> str | None:
    """Return what the last ``--format`` among arguments says, also if they cannot be parsed; None if there is none."""
    words = iter(hoisted(root, click.Context(root, info_name="mailstore", resilient_parsing=True), args))
    form = None
    for word in words:
        if word == "--":
            break
        if word == "--format":
            form = next(words, None)
        elif word.startswith("--format="):
            form = word.partition("=")[2]
    return form
