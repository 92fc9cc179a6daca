"""``mailstore completion``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, get_completion_class

from mailstore.cli.session import Session

__all__ = ["completion"]

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' answer kind name last prefix
    local -a words
    IFS=' ' read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    last=""
    [[ ${COMP_LINE:0:COMP_POINT} == *' ' ]] || last=${words[-1]}
    # Bash takes an address apart in front of the @ and replaces only what follows.
    prefix=""
    [[ $COMP_WORDBREAKS != *@* || $last != *@* ]] || prefix=${last%%@*}
    answer=$(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_CWORD=$((${#words[@]} - (${#last} > 0))) \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    for name in $answer; do
        IFS=',' read -r kind name <<<"$name"
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${name#"$prefix"}") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """Bash, where an address is one word."""

    source_template = _BASH


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
    found = _Bash if shell == "bash" else get_completion_class(shell)
    root = ctx.find_root().command
    if found is not None:
        ctx.ensure_object(Session).output.raw(found(root, {}, "mailstore", "_MAILSTORE_COMPLETE").source())
