"""Help: the example of each command is understood, the manual pages are shown without a complaint."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailstore.cli.arguments import hoisted
from mailstore.cli.examples import EXAMPLES
from mailstore.cli.root import root

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

PROJECT = Path(__file__).resolve().parent.parent


def _commands(context: click.Context) -> Iterator[click.Context]:
    group = context.command
    if not isinstance(group, click.Group):
        yield context
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from _commands(click.Context(command, info_name=name, parent=context))


def _understand(words: list[str]) -> None:
    """Take the words apart as the command would, which raises what a user would see; nothing is run."""
    context = click.Context(root, info_name="mailstore")
    command: click.Command = root
    arguments = hoisted(root, context, words)
    while isinstance(command, click.Group):
        name, *arguments = click.Command.parse_args(command, context, arguments)
        found = command.get_command(context, name)
        assert found is not None, name
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.make_context(command.name, arguments, parent=context.parent)


def test_each_command_has_an_example_in_its_help() -> None:
    contexts = {
        context.command_path.partition(" ")[2]: context
        for context in _commands(click.Context(root, info_name="mailstore"))
    }
    assert contexts.keys() == EXAMPLES.keys()
    for words, context in contexts.items():
        assert f"mailstore {EXAMPLES[words]}" in context.get_help(), words


def test_each_example_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("staff.csv", "example.jsonl", "hash", "reader"):
        (tmp_path / name).touch()
    for words, example in EXAMPLES.items():
        assert example.startswith(words)
        _understand(shlex.split(example.partition(" < ")[0]))


def test_manual_pages_are_shown_without_a_complaint() -> None:
    pages = sorted((PROJECT / "docs" / "man").glob("man*/*"))
    assert len(pages) > len(root.list_commands(click.Context(root)))
    done = subprocess.run(
        ["man", "--warnings", "--local-file", *map(str, pages)],
        capture_output=True,
        text=True,
        env={**os.environ, "MANWIDTH": "80"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("account create", "--keep-days", "[stores.NAME]", "mailstored"):
        assert word in done.stdout
