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
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
from docutils import nodes

from docs.manual import command_page, page, section, table
from docs.references import SAMPLE, TABLES, cli_page, commands_below, configuration_page, keys_of, markdown_table
from mailstore.cli.root import root
from mailstore.driver.rights import KINDS, Needs, Operation, Rule
from mailstore.state import schema as state_schema
from mailstore.transfer import schema
from mailstore_http.v1.batches import OPERATION as BATCH
from mailstore_http.v1.openapi import document, error_classes, summary_of
from mailstore_http.v1.tables import OPERATIONS
from mailstored.events import EVENTS
from mailstored.metrics import Metrics

__all__ = ["PAGES", "main", "stale"]

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
_WIDTH = 144

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
    tables = "".join(_rightsmarkdown_table(group) for group in groups)
    return _RIGHTS.sub(lambda _: tables, text)


def _rightsmarkdown_table(operations: Sequence[Operation]) -> str:
    titles = ("", *(operation.value for operation in operations))
    rows = [(f"{kind.stores}: {kind.name}", *(_cell(kind.rule(name)) for name in operations)) for kind in KINDS]
    return markdown_table(titles, rows)


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
Prometheus has a label `job` of its own and calls this one `exported_job`. Rules, a job for its configuration and a dashboard
for Grafana come with mailstore: [for operators](start/operator.md#watch-it).

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
    metrics.plan([("main", "purge")], lambda _store, _job: 0.0)
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
        f"{_DAEMON_INTRO}{markdown_table(('Metric', 'Type', 'Labels', 'Meaning'), rows)}"
        f"The usual `process_…` metrics come with them.\n\n"
        f"{_LOG_INTRO}{markdown_table(('Event', 'Level', 'Facts', 'Meaning'), events)}"
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
        parts.append(f"## {kind}\n\n{markdown_table(('Field', 'Type', ''), rows)}")
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
    return _NAMES.sub(lambda _: markdown_table(("Module", "For", "Names"), rows), text)


# --- manual pages -----------------------------------------------------------------------------------------------------

_SERVICES = {"mailstored": "mailstored.main", "mailstore-http": "mailstore_http.main"}


def manual_pages() -> Mapping[str, Callable[[], str]]:
    """Return what makes the manual pages, by file: one for the command line, one a noun, and those of the services."""
    top = click.Context(root, info_name="mailstore")
    nouns = [context for context in commands_below(top) if context.parent is top]
    pages: dict[str, Callable[[], str]] = {"docs/man/man1/mailstore.1": partial(_manual_of_all, top, nouns)}
    for noun in nouns:
        see = ["mailstore(1)", "mailstore.toml(5)"]
        name = f"mailstore-{noun.info_name}"
        pages[f"docs/man/man1/{name}.1"] = partial(command_page, name, 1, [noun, *commands_below(noun)], see)
    for name, module in _SERVICES.items():
        command: click.Command = import_module(module).command
        context = click.Context(command, info_name=name)
        see = ["mailstore(1)", "mailstore.toml(5)"]
        pages[f"docs/man/man8/{name}.8"] = partial(command_page, name, 8, [context], see)
    pages["docs/man/man5/mailstore.toml.5"] = _manual_of_configuration
    return pages


def _manual_of_all(top: click.Context, nouns: Sequence[click.Context]) -> str:
    see = [*(f"mailstore-{noun.info_name}(1)" for noun in nouns), "mailstore.toml(5)", "mailstored(8)"]
    return command_page("mailstore", 1, [top], see)


def _manual_of_configuration() -> str:
    parts = []
    for title, kind in TABLES.items():
        entries = [
            (name.strip("`"), f"({type_}, {default}) {meaning}") for name, type_, default, meaning in keys_of(kind)
        ]
        parts.append(section(title, [nodes.paragraph(text=cleandoc(kind.__doc__ or "")), table(entries)]))
    example = nodes.literal_block(text=SAMPLE.read_text(encoding="utf-8").rstrip())
    parts += [section("Example", [example]), section("See also", [nodes.paragraph(text="mailstore(1), mailstored(8)")])]
    return page("mailstore.toml", 5, "configuration of mailstore", parts)


# --- all of it --------------------------------------------------------------------------------------------------------

_OPERATIONS = re.compile(r"(?<=<!-- operations -->\n).*?(?=<!-- end -->)", re.DOTALL)
_CLASSES = re.compile(r"(?<=<!-- classes -->\n).*?(?=<!-- end -->)", re.DOTALL)


def api_page() -> str:
    """Return docs/api.md with its operations and classes of errors."""
    text = (HERE / "api.md").read_text(encoding="utf-8")
    rows = [
        (f"`{operation.method}`", f"`{operation.path}`", summary_of(operation)) for operation in (*OPERATIONS, BATCH)
    ]
    classes = [(f"`{name}`", str(status), "yes" if retryable else "") for name, status, retryable in error_classes()]
    text = _OPERATIONS.sub(lambda _: markdown_table(("", "Below `/v1/stores/{store}`", "What it does"), rows), text)
    return _CLASSES.sub(lambda _: markdown_table(("Class", "Status", "Retryable"), classes), text)


def openapi_page() -> str:
    """Return docs/openapi.json."""
    return f"{json.dumps(document(), indent=1, ensure_ascii=False)}\n"


_STATE_SCHEMA = re.compile(r"(?<=<!-- schema -->\n).*?(?=<!-- end -->)", re.DOTALL)


def apply_page() -> str:
    """Return docs/apply.md with the schema of a state."""
    text = (HERE / "apply.md").read_text(encoding="utf-8")
    if len(_STATE_SCHEMA.findall(text)) != 1:
        raise SystemExit("docs/apply.md has no place for the schema")
    shown = f"```json\n{json.dumps(state_schema(), indent=1)}\n```\n"
    return _STATE_SCHEMA.sub(lambda _: shown, text)


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/apply.md": apply_page,
    "docs/cli.md": cli_page,
    "docs/configuration.md": configuration_page,
    "docs/daemon.md": daemon_page,
    "docs/format.md": format_page,
    "docs/api.md": api_page,
    "docs/openapi.json": openapi_page,
    "docs/security.md": security,
    "docs/stability.md": stability,
    "docs/demo.md": demo_page,
    **manual_pages(),
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
            (PROJECT / name).parent.mkdir(parents=True, exist_ok=True)
            (PROJECT / name).write_text(make(), encoding="utf-8")
        return 0
    differences = list(stale())
    sys.stdout.writelines(differences)
    if differences:
        sys.stderr.write("the documentation is not current; run 'make docs'\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
