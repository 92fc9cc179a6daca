"""``mailstore completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mailstore.cli.session import Session

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script for completion in a shell.

    \b
    bash: mailstore completion bash > /etc/bash_completion.d/mailstore
    zsh:  mailstore completion zsh > a file '_mailstore' in a directory of $fpath
    fish: mailstore completion fish > ~/.config/fish/completions/mailstore.fish
    """
    found = get_completion_class(shell)
    root = ctx.find_root().command
    if found is not None:
        ctx.ensure_object(Session).output.raw(found(root, {}, "mailstore", "_MAILSTORE_COMPLETE").source())
