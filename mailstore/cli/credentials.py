"""Passwords for commands: asked for, read from standard input or a file, or generated; never an argument."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mailstore.cli.terminal import can_ask
from mailstore.passwords import generate_password

__all__ = ["Credentials", "ask_password", "read_line", "read_secret_file", "takes_credentials"]


@dataclass(frozen=True)
class Credentials:
    """A password or a ready hash for an operation; neither, where it is to stay. Never shown by accident."""

    parameters: Mapping[str, Any] = field(repr=False)
    generated: str | None = field(default=None, repr=False)
    """The password, if it was made here and has to be told."""

    def another(self) -> Credentials:
        """Return what the next of several things gets: a password of its own if this one was made here."""
        return self if self.generated is None else _generated(None)


def read_line() -> str:
    """Return the next line of standard input, without its end."""
    return _decoded(sys.stdin.buffer.readline(), "standard input")


def read_secret_file(path: Path) -> str:
    """Return the first line of a file, without its end."""
    with path.open("rb") as stream:
        return _decoded(stream.readline(), str(path))


def ask_password(*, confirm: bool) -> str:
    """Ask for a password on the terminal. Raises UsageError if there is none."""
    if not can_ask():
        context = click.get_current_context()
        raise click.UsageError("there is no terminal to ask for the password: give --password-stdin", context)
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True)
    return password


def takes_credentials(
    *, required: bool = False, generates: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options for a new password, as the parameter `read_credentials`.

    Calling that reads or asks for the password; where `required`, it asks if no option tells another way.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
        @click.option("--password-hash-stdin", is_flag=True, help="Read a ready hash, {SCHEME}..., from there.")
        @click.option("--password-hash-file", type=_FILE, help="Read a ready hash from the first line of a file.")
        @wraps(command)
        def with_credentials(*args: Any, **values: Any) -> None:
            ways = {name: values.pop(name) for name in _WAYS if name in values}
            chosen = [name for name, value in ways.items() if value]
            if len(chosen) > 1:
                options = " and ".join(f"--{name.replace('_', '-')}" for name in chosen)
                raise click.UsageError(f"{options} do not go together", click.get_current_context())
            way = chosen[0] if chosen else "ask_password" if required else ""
            command(*args, read_credentials=lambda: _READERS[way](ways.get(way)), **values)

        decorated: Callable[..., None] = with_credentials
        if generates:
            decorated = click.option("--generate", is_flag=True, help="Make a password and show it once.")(decorated)
        if not required:
            decorated = click.option("--ask-password", is_flag=True, help="Ask for a new password.")(decorated)
        return decorated

    return decorate


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WAYS = ("ask_password", "generate", "password_stdin", "password_hash_stdin", "password_hash_file")


def _generated(_value: object) -> Credentials:
    password = generate_password()
    return Credentials({"password": password}, password)


_READERS: dict[str, Callable[[Any], Credentials]] = {
    "": lambda _: Credentials({}),
    "ask_password": lambda _: Credentials({"password": ask_password(confirm=True)}),
    "generate": _generated,
    "password_stdin": lambda _: Credentials({"password": read_line()}),
    "password_hash_stdin": lambda _: Credentials({"password_hash": read_line()}),
    "password_hash_file": lambda path: Credentials({"password_hash": read_secret_file(path)}),
}


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # Without the cause: it holds the bytes.
        raise click.UsageError(f"{where} is not UTF-8") from None
