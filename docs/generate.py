"""Writes what the documentation takes from the code: the pages of the command line and of the configuration, and the
transcript of the demonstration.

``python docs/generate.py`` writes, ``--check`` tells what is not current and exits with 1. Needs the ``dev`` extra.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import click
import msgspec

from mailstore.cli.exits import MEANINGS
from mailstore.cli.root import root
from mailstore.config import AtmailConfig, Config, DaemonConfig, DialectConfig, HttpConfig, LayoutConfig, StoreConfig
from mailstore.driver.rights import KINDS, Needs, Operation, Rule
from mailstore.transfer import schema
from mailstored.events import EVENTS
from mailstored.metrics import Metrics

__all__ = ["PAGES", "main", "stale"]

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
SAMPLE = PROJECT / "daemon" / "systemd" / "mailstore.toml"
_WIDTH = 144

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
    parts += (_command(inner) for inner in _commands(context))
    parts += [_service_help("mailstored", "The daemon."), "\n", _service_help("mailstore-http", "The HTTP service.")]
    return "".join(parts)


def _exits() -> str:
    rows = [(str(int(code)), classes, meaning) for code, (classes, meaning) in MEANINGS.items()]
    return f"{_EXITS_INTRO}{_table(('Code', 'Errors', 'Meaning'), rows)}"


def _commands(context: click.Context) -> Iterator[click.Context]:
    """Iterate over the contexts of all commands below one, in the order of the help."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            inner = click.Context(command, info_name=name, parent=context)
            yield inner
            yield from _commands(inner)


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
    return _table(("Option", "Meaning"), options) if options else ""


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
`$MAILSTORE_CONFIG`, else `/etc/mailstore/mailstore.toml`. Unknown keys are refused. The options of a store may also be
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
_TABLES: Mapping[str, type[msgspec.Struct]] = {
    "Top level": Config,
    "[stores.NAME]": StoreConfig,
    "[stores.NAME.layout]": LayoutConfig,
    "[stores.NAME.atmail]": AtmailConfig,
    "[daemon]": DaemonConfig,
    "[http]": HttpConfig,
    "[http.dialects.NAME]": DialectConfig,
}


_TABLES_BY_NAME = {(Config, "stores"), (HttpConfig, "dialects")}


def configuration_page() -> str:
    """Return docs/configuration.md."""
    parts = [_CONFIGURATION_INTRO]
    for title, kind in _TABLES.items():
        parts.append(f"## {title}\n\n{(kind.__doc__ or '').strip()}\n\n{_keys(kind)}")
    parts.append(f"## A file to start from\n\n```toml\n{SAMPLE.read_text(encoding='utf-8').rstrip()}\n```\n")
    return "".join(parts)


def _keys(kind: type[msgspec.Struct]) -> str:
    hints = typing.get_type_hints(kind, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(kind):
        if isinstance(field.default, msgspec.Struct) or (kind, field.name) in _TABLES_BY_NAME:
            continue  # tables of their own
        type_, meta = _parts(hints[field.name])
        rows.append((f"`{field.name}`", type_, _default(field), meta.description or ""))
    return _table(("Key", "Type", "Default", "Meaning"), rows)


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


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    cells = (" | ".join(" ".join(cell.replace("|", r"\|").split()) for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells) + "\n"


# --- the transcript ---------------------------------------------------------------------------------------------------

_TRANSCRIPT = re.compile(r"(?<=<!-- make demo -->\n```text\n).*?(?=```\n<!-- end -->)", re.DOTALL)
_VOLATILE = (  # each with a replacement of the same length, so that tables keep their columns
    (re.compile(r"/tmp/mailstore-[0-9]{8,}"), "/tmp/mailstore-00012345"),  # noqa: S108
    (re.compile(r"\d{4}(\.\d{2}){5}"), "2027.01.31.12.00.00"),
)


def demo_page() -> str:
    """Return docs/demo.md with the present output of the demonstration."""
    text = (HERE / "demo.md").read_text(encoding="utf-8")
    if len(_TRANSCRIPT.findall(text)) != 1:
        raise SystemExit("docs/demo.md has no place for the output of 'make demo'")
    shown = transcript()
    return _TRANSCRIPT.sub(lambda _: shown, text)


def transcript() -> str:
    """Return what ``make demo`` shows on a terminal, with what differs from run to run replaced."""
    text = _on_terminal(["sh", str(PROJECT / "demo" / "run.sh")])
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    days = {day: number for number, day in enumerate(sorted(set(re.findall(r"\d{4}-\d{2}-\d{2}", text))))}
    for day, number in days.items():  # the first is the day of the run, the second that on which a mailbox is due
        text = text.replace(day, ("2027-01-31", "2027-03-02")[number])
    lines = "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines)


def _on_terminal(command: list[str]) -> str:
    """Run a command on a terminal of its own and return what it shows. Raises CalledProcessError if it fails."""
    ours, its = os.openpty()
    paths = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    environment = {**paths, "HOME": "/", "LC_ALL": "C.UTF-8", "TERM": "dumb", "COLUMNS": str(_WIDTH), "LINES": "50"}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=environment) as process:  # noqa: S603
        os.close(its)
        shown = _read_all(ours)
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, shown)
    return shown.decode().replace("\r\n", "\n")


def _read_all(terminal: int) -> bytes:
    blocks = []
    with suppress(OSError):  # Linux says EIO when the last writer has gone
        while block := os.read(terminal, 65536):
            blocks.append(block)
    return b"".join(blocks)


# --- who may do what --------------------------------------------------------------------------------------------------

_RIGHTS = re.compile(r"(?<=<!-- rights -->\n).*?(?=<!-- end -->)", re.DOTALL)
_COLUMNS = 5


def security() -> str:
    """Return docs/security.md with the tables of `mailstore.driver.rights`, a few operations each."""
    text = (HERE / "security.md").read_text(encoding="utf-8")
    if len(_RIGHTS.findall(text)) != 1:
        raise SystemExit("docs/security.md has no place for the tables of rights")
    operations = list(Operation)
    groups = [operations[start : start + _COLUMNS] for start in range(0, len(operations), _COLUMNS)]
    tables = "".join(_rights_table(group) for group in groups)
    return _RIGHTS.sub(lambda _: tables, text)


def _rights_table(operations: Sequence[Operation]) -> str:
    titles = ("", *(operation.value for operation in operations))
    rows = [(f"{kind.stores}: {kind.name}", *(_cell(kind.rule(name)) for name in operations)) for kind in KINDS]
    return _table(titles, rows)


def _cell(rule: Rule | Needs) -> str:
    return f"`{rule.permission}`" if isinstance(rule, Needs) else rule.value


# --- the daemon -------------------------------------------------------------------------------------------------------

_DAEMON_INTRO = """\
# What the daemon tells

<!-- Written by docs/generate.py from the code; do not edit. -->

`mailstored` purges and checks the stores of its [configuration](configuration.md#daemon) by a schedule. When it starts, and
when it reads the configuration again, it opens each store once, so that a missing password file, a root that is not there or
an account that the database does not know shows then. `mailstored --check-config` looks for the files and the roots only;
with `--connect` it opens the stores as well. It exits with 2 for what has to be mended, and 75 for what may pass.

## Metrics

All series of a store are there from the start, but for kinds of findings, so that the first event is seen by whoever watches
for a change. `job` is `open`, `purge` or `check`; series of a job that is never run are not there.

"""
_LOG_INTRO = """\
## Log

Lines go to standard error, as JSON or as text (`log_format`), each with `event`, `level` and `timestamp`. Warnings and
errors of libraries have the library's text for an event, and its name as `logger`. Errors that are not mailstore's own are
shown by their kind and place only: their text might hold a secret.

"""


def daemon_page() -> str:
    """Return docs/daemon.md."""
    metrics = Metrics()
    metrics.serve(["main"], ["purge"])
    metrics.set_findings("main", Counter({("home-missing", "notice"): 1}))
    rows = [
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.type, labels, family.documentation)
        for family in metrics.registry.collect()
        if family.name.startswith("mailstored_")
        for labels in [
            ", ".join(sorted({f"`{name}`" for sample in family.samples for name in sample.labels} - {"`le`"}))
        ]
    ]
    events = [
        (f"`{name}`", " or ".join(event.levels), ", ".join(f"`{fact}`" for fact in event.facts), event.meaning)
        for name, event in EVENTS.items()
    ]
    return (
        f"{_DAEMON_INTRO}{_table(('Metric', 'Type', 'Labels', 'Meaning'), rows)}"
        f"The usual `process_…` metrics come with them.\n\n"
        f"{_LOG_INTRO}{_table(('Event', 'Level', 'Facts', 'Meaning'), events)}"
    ).rstrip("\n") + "\n"


# --- the format of dumps ----------------------------------------------------------------------------------------------

_FORMAT_INTRO = """\
# The format of dumps

<!-- Written by docs/generate.py from the code; do not edit. -->

`mailstore dump` writes it, `mailstore load` reads it, `mailstore.transfer` does both from Python. It is made of JSON lines
in ASCII, one object a line: a header, one record for each thing that the store holds, and a last line that counts them. A
header with `"whole": false` says that the file is a part, or was edited; it then needs no last line.

- Records stand in the order of this page; nothing comes before what it needs.
- Sizes are numbers of bytes, times ISO 8601 in UTC. `null` in a size or a number is "no limit".
- A field that is not there says nothing: on creation the store's default applies, and what is there is left as it is. A
  store leaves out what it has no place for.
- The fields marked "read only" tell something; `load` names them as lost where it matters, and never writes them.
- `password_hash` is `{SCHEME}data` in Dovecot's notation. Treat a dump like a file of passwords.
- Who is an admin, and of which domains, is said by records `admin` only; for an account with rights besides its own.
- The meaning of the other fields is that of the parameters in `mailstore.store`.

"""


def format_page() -> str:
    """Return docs/format.md."""
    whole = schema()
    parts = [_FORMAT_INTRO]
    for kind, one in whole["$defs"].items():
        rows = [
            (f"`{name}`", _json_type(part), "required" if name in one["required"] else _note(part))
            for name, part in one["properties"].items()
        ]
        parts.append(f"## {kind}\n\n{_table(('Field', 'Type', ''), rows)}")
    text = json.dumps(whole, indent=1)
    return f"{''.join(parts)}## JSON Schema of a line\n\n```json\n{text}\n```\n"


def _json_type(part: Mapping[str, Any]) -> str:
    if "const" in part:
        return f"`{json.dumps(part['const'])}`"
    if "enum" in part:
        return " or ".join(f"`{json.dumps(value)}`" for value in part["enum"])
    if "anyOf" in part:
        return " or ".join(_json_type(one) for one in part["anyOf"])
    if part["type"] == "array":
        return f"array of {_json_type(part['items'])}"
    types = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return " or ".join(part.get("format", name) for name in types)


def _note(part: Mapping[str, Any]) -> str:
    notes = ["read only"] if part.get("readOnly") else []
    return ", ".join([*notes, *([part["description"]] if "description" in part else [])])


# --- what is promised -------------------------------------------------------------------------------------------------

_NAMES = re.compile(r"(?<=<!-- names -->\n).*?(?=<!-- end -->)", re.DOTALL)
PUBLIC: Mapping[str, tuple[str, Sequence[str]]] = {
    "mailstore": ("what most programs need", ()),
    "mailstore.store": ("the contract: the collections of a store", ()),
    "mailstore.fields": (
        "the optional parameters, as types",
        ("AccountFields", "AdminFields", "AliasFields", "BulkAccountFields", "DomainFields", "MailingListFields"),
    ),
    "mailstore.model": ("records", ()),
    "mailstore.policies": ("records of policies", ()),
    "mailstore.errors": ("errors", ()),
    "mailstore.config": ("options of a store", ("AtmailConfig", "LayoutConfig", "StoreConfig", "default_path", "load")),
    "mailstore.quota": ("sizes", ("UNLIMITED", "Quota")),
    "mailstore.address": (
        "addresses",
        ("account_address", "alias_address", "any_address", "domain_name", "held_address"),
    ),
    "mailstore.records": ("records as JSON, and back", ()),
    "mailstore.transfer": (
        "dumps",
        ("Entry", "Loader", "Outcome", "dump", "read_entries", "schema", "write_entries"),
    ),
    "mailstore.passwords": (
        "hashes",
        (
            "check_hash",
            "check_password",
            "generate_password",
            "hash_many",
            "hash_password",
            "needs_rehash",
            "verify_password",
        ),
    ),
    "mailstore.purge": ("purging", ("Outcome", "purge_due")),
    "mailstore.testing": ("stores for tests", ()),
}
"""The modules that are promised: what each is for, and which of its names, if not all of ``__all__``."""


def stability() -> str:
    """Return docs/stability.md with the public names."""
    text = (HERE / "stability.md").read_text(encoding="utf-8")
    if len(_NAMES.findall(text)) != 1:
        raise SystemExit("docs/stability.md has no place for the public names")
    rows = [
        (f"`{module}`", meaning, ", ".join(f"`{name}`" for name in sorted(names or import_module(module).__all__)))
        for module, (meaning, names) in PUBLIC.items()
    ]
    return _NAMES.sub(lambda _: _table(("Module", "For", "Names"), rows), text)


# --- all of it --------------------------------------------------------------------------------------------------------

PAGES: Mapping[str, Callable[[], str]] = {
    "docs/cli.md": cli_page,
    "docs/configuration.md": configuration_page,
    "docs/daemon.md": daemon_page,
    "docs/format.md": format_page,
    "docs/security.md": security,
    "docs/stability.md": stability,
    "docs/demo.md": demo_page,
}
"""Every file that is written here, wholly or in part, and what writes it."""


def stale() -> Iterator[str]:
    """Iterate over the differences between the files and what they should hold, as unified diffs."""
    for name, make in PAGES.items():
        path = PROJECT / name
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = difflib.unified_diff(
            present.splitlines(keepends=True), make().splitlines(keepends=True), name, f"{name} from the code"
        )
        difference = "".join(lines)
        if difference:
            yield difference


def main(arguments: list[str]) -> int:
    """Write all pages, or with ``--check`` only tell which are not current. Returns the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: generate.py [--check]\n")
        return 2
    if not arguments:
        for name, make in PAGES.items():
            (PROJECT / name).write_text(make(), encoding="utf-8")
        return 0
    differences = list(stale())
    sys.stdout.writelines(differences)
    if differences:
        sys.stderr.write("the documentation is not current; run 'make docs'\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
