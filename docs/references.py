"""The pages of the command line and of the configuration, from the declarations of both."""

from __future__ import annotations

import os
import subprocess
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import click
import msgspec

from mailstore.cli.exits import MEANINGS
from mailstore.cli.root import root
from mailstore.config import (
    AtmailConfig,
    AuditConfig,
    Config,
    DaemonConfig,
    DialectConfig,
    HttpConfig,
    LayoutConfig,
    StoreConfig,
    V1Config,
)

__all__ = ["SAMPLE", "TABLES", "cli_page", "commands_below", "configuration_page", "keys_of", "markdown_table"]

SAMPLE = Path(__file__).resolve().parent.parent / "daemon" / "systemd" / "mailstore.toml"

# --- the command line -------------------------------------------------------------------------------------------------

_CLI_INTRO = """\
# Command line reference

<!-- Written by docs/generate.py from the code; do not edit. -->

`mailstore [GLOBAL OPTIONS] NOUN VERB [OPTIONS] [ARGUMENTS]`. Global options may stand anywhere:
`mailstore account list --store main --format json`.

In JSON quotas and sizes are numbers of bytes, and `null` is "no limit". In CSV a cell that begins with `=`, `+`, `-`, `@`,
a tab or a carriage return has an apostrophe in front, so that no spreadsheet calculates with what somebody chose as a name;
`account import` takes it off again, and `--raw-csv` leaves it out. A table is written while its rows come; what has no room
in a column stands below its row.

"""
_EXITS_INTRO = """\
## Exit codes and errors

The classes are those of `mailstore.errors`; a refusal has changed nothing. A command for many things at once ends with the
worst of what it met: a fault before what may pass, and that before refusals; refusals of several kinds are 3.

With `--format json` an error is one line on standard error with one object: `class`, `message`, `subject` (the address,
domain or path), `field` (the parameter or option), `retryable` (whether the same command may succeed later), `state` (what
was left behind), `exit_code`, and for a call about many things `rows`, each with the number of its `row` and the same
fields. What is not known is null. What a change leaves to be done outside of the store is a line of its own,
`{"notice": {...}}`.

"""


def cli_page() -> str:
    """Return docs/cli.md."""
    context = click.Context(root, info_name="mailstore")
    parts = [_CLI_INTRO, _options(context), f"{_plain(root.epilog or '')}\n\n", _exits()]
    parts += (_command(inner) for inner in commands_below(context))
    parts += [_service_help("mailstored", "The daemon."), "\n", _service_help("mailstore-http", "The HTTP service.")]
    return "".join(parts)


def _exits() -> str:
    rows = [(str(int(code)), classes, meaning) for code, (classes, meaning) in MEANINGS.items()]
    return f"{_EXITS_INTRO}{markdown_table(('Code', 'Errors', 'Meaning'), rows)}"


def commands_below(context: click.Context) -> Iterator[click.Context]:
    """Iterate over the contexts of all commands below one, in the order of the help."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            inner = click.Context(command, info_name=name, parent=context)
            yield inner
            yield from commands_below(inner)


def _command(context: click.Context) -> str:
    command = context.command
    depth = len(context.command_path.split())
    text = f"{'#' * depth} {context.command_path}\n\n{_plain(command.help or '')}\n\n"
    if isinstance(command, click.Group):
        return text
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    return f"{text}```text\n{usage}\n```\n\n{_options(context)}"


def _plain(text: str) -> str:
    r"""Return help text as Markdown; a paragraph behind ``\b`` keeps its lines."""
    paragraphs = cleandoc(text).partition("\f")[0].strip().split("\n\n")
    return "\n\n".join(
        f"```text\n{paragraph[1:].strip(chr(10))}\n```" if paragraph.startswith("\b") else paragraph
        for paragraph in paragraphs
    )


def _options(context: click.Context) -> str:
    records = [
        record
        for parameter in context.command.get_params(context)
        if "--help" not in parameter.opts and (record := parameter.get_help_record(context))
    ]
    options = [(f"`{name}`", meaning) for name, meaning in records if meaning]
    return markdown_table(("Option", "Meaning"), options) if options else ""


def _service_help(name: str, what: str) -> str:
    command = [sys.executable, "-m", name.replace("-", "_"), "--help"]
    shown = subprocess.run(  # noqa: S603 a fixed command
        command, check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"}
    ).stdout
    return f"## {name}\n\n{what}\n\n```text\n{shown.rstrip()}\n```\n"


# --- the configuration ------------------------------------------------------------------------------------------------

_CONFIGURATION_INTRO = """\
# Configuration reference

<!-- Written by docs/generate.py from the code; do not edit. -->

One TOML file serves the command `mailstore` and the daemon `mailstored`: the one named by `--config`, else by
`$MAILSTORE_CONFIG`, else `/etc/mailstore/mailstore.toml`; commands look for
`~/.config/mailstore/mailstore.toml` (`$XDG_CONFIG_HOME`) before that in `/etc`, and take a store from `$MAILSTORE_STORE` or
`$MAILSTORE_URL` where no option names one. Unknown keys are refused. The options of a store may also be
given as parameters of `mailstore.open_store` and, but for `layout`, in the query string of its URL, which comes first:
`iredmail+mysql://mailstore@localhost/vmail?socket=/run/mysqld/mysqld.sock`.

| URL | Store |
|---|---|
| `iredmail+mysql://USER@HOST:PORT/DATABASE` | iRedMail on MariaDB or MySQL |
| `iredmail+postgresql://USER@HOST:PORT/DATABASE` | iRedMail on PostgreSQL |
| `atmail+mysql://USER@HOST:PORT/DATABASE` | atmail's mail server on MariaDB or MySQL |
| `afterlogic+mysql://USER@HOST:PORT/DATABASE` | AfterLogic WebMail Lite and Aurora 7; also `afterlogic+postgresql` |
| `afterlogic+sqlite:////DIRECTORY/FILE` | the same in SQLite |
| `iredmail+sqlite:////DIRECTORY/FILE` | iRedMail's tables in SQLite; four slashes make the path absolute |
| `iredmail+ldap://BIND-DN@HOST:PORT/SUFFIX`, `iredmail+ldaps://…` | iRedMail's OpenLDAP tree |
| `iredmail+ldapi://BIND-DN@%2FPATH%2FOF%2FSOCKET/SUFFIX` | the same over a Unix socket |

The password of the database or directory account is looked for in the URL (percent-encoded), then in `password_file`, then,
if that is not set, in `$MAILSTORE_PASSWORD`. A relative `password_file` is the name of a credential: it lies in
`$CREDENTIALS_DIRECTORY`, which systemd sets for a unit with `LoadCredential=`. A process that systemd did not start takes
`$MAILSTORE_PASSWORD` instead; it never looks in the current directory. Only the first line of the file counts. For the
databases beside the accounts the variables are `$MAILSTORE_AMAVISD_PASSWORD`, `$MAILSTORE_IREDAPD_PASSWORD` (see
[policies](policies.md)) and `$MAILSTORE_RETENTION_PASSWORD`.

"""
TABLES: Mapping[str, type[msgspec.Struct]] = {
    "Top level": Config,
    "[stores.NAME]": StoreConfig,
    "[stores.NAME.layout]": LayoutConfig,
    "[stores.NAME.atmail]": AtmailConfig,
    "[daemon]": DaemonConfig,
    "[http]": HttpConfig,
    "[http.v1]": V1Config,
    "[http.dialects.NAME]": DialectConfig,
    "[audit]": AuditConfig,
}


_BY_NAME = {(Config, "stores"), (HttpConfig, "dialects"), (HttpConfig, "v1")}


def configuration_page() -> str:
    """Return docs/configuration.md."""
    parts = [_CONFIGURATION_INTRO]
    for title, kind in TABLES.items():
        table = markdown_table(("Key", "Type", "Default", "Meaning"), keys_of(kind))
        parts.append(f"## {title}\n\n{(kind.__doc__ or '').strip()}\n\n{table}")
    parts.append(f"## A file to start from\n\n```toml\n{SAMPLE.read_text(encoding='utf-8').rstrip()}\n```\n")
    return "".join(parts)


def keys_of(kind: type[msgspec.Struct]) -> list[tuple[str, str, str, str]]:
    """Return name, type, default and meaning of each key of a table."""
    hints = typing.get_type_hints(kind, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(kind):
        if isinstance(field.default, msgspec.Struct) or (kind, field.name) in _BY_NAME:
            continue  # tables of their own
        type_, meta = _parts(hints[field.name])
        rows.append((f"`{field.name}`", type_, _default(field), meta.description or ""))
    return rows


def _parts(hint: Any) -> tuple[str, msgspec.Meta]:
    """Return the name of a type as TOML calls it, and what is noted about it."""
    names: Mapping[Any, str] = {
        str: "string", bool: "boolean", int: "number", list[str]: "list of strings",
        dict[str, str]: "table of strings", dict[str, str | int]: "table of strings and numbers",
    }  # fmt: skip
    if typing.get_origin(hint) is not Annotated:
        raise TypeError(f"{hint} has no description")
    type_, meta = typing.get_args(hint)
    choices = typing.get_args(type_) if typing.get_origin(type_) is typing.Literal else ()
    return " or ".join(f'"{choice}"' for choice in choices) or names[type_], meta


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"`{msgspec.json.encode(value).decode()}`"


def markdown_table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table in Markdown, and an empty line behind it."""
    lines = [titles, ("---",) * len(titles), *rows]
    cells = (" | ".join(" ".join(cell.replace("|", r"\|").split()) for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells) + "\n"
