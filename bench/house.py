"""Measure the house, for docs/architecture.md: files, lines, rooms and arrows; what is on the way of an operation.

    python -m bench.house            # this tree
    python -m bench.house REVISION   # that one and this one, side by side

A room is a folder of a package, or a module that lies beside folders; an arrow says that something in one room imports
something in another, types included. What is on the way of an operation is counted while it runs, on a store in SQLite:
files of the library that are entered, and calls in them.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "mailstore", "mailstore/cli", "mailstore/sql", "mailstore/sql/iredmail", "mailstore/sql/mailinabox",
    "mailstore/sql/atmail", "mailstore/sql/afterlogic", "mailstore/ldap", "mailstore/ldap/iredmail", "daemon", "tests",
)  # fmt: skip
"""Each is counted without those of its folders that are named here themselves."""

# Runs in the measured tree; both trees know these calls.
_WAYS = """
import json, sys, tempfile, pathlib
from importlib import import_module
from mailstore.config import StoreConfig, convert
import mailstore
library = str(pathlib.Path(mailstore.__file__).parent)
def way(action):
    files, calls = set(), 0
    def note(frame, event, _):
        nonlocal calls
        if event == "call" and frame.f_code.co_filename.startswith(library):
            files.add(frame.f_code.co_filename)
            calls += 1
    sys.setprofile(note)
    try:
        result = action()
    finally:
        sys.setprofile(None)
    return [len(files), calls], result
found = {}
ready = "{SSHA512}" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyM3NhbHRzYWx0"
with tempfile.TemporaryDirectory() as folder:
    url = f"iredmail+sqlite:///{folder}/vmail.db"
    driver = import_module("mailstore.sql.iredmail.store")
    driver.create_schema(convert({"url": url}, StoreConfig, "measure"), None)
    with mailstore.open_store(url) as store:
        store.domains.create("example.com")
        store.accounts.create("warm@example.com", password_hash=ready)
        found["create"], _ = way(lambda: store.accounts.create("bob@example.com", password_hash=ready))
        found["update"], _ = way(lambda: store.accounts.update("bob@example.com", name="Bob"))
        found["rename"], _ = way(lambda: store.accounts.rename("bob@example.com", "rob@example.com"))
        found["delete"], record = way(lambda: store.accounts.delete("rob@example.com", keep_mailbox_days=1))
        found["restore"], _ = way(lambda: store.deleted.restore(record.id))
print(json.dumps(found))
"""


def main() -> None:
    """Print the tables as Markdown."""
    trees = {"now": PROJECT}
    with tempfile.TemporaryDirectory() as folder:
        for revision in sys.argv[1:2]:
            before = Path(folder) / "before"
            subprocess.run(["git", "worktree", "add", "-q", "--detach", before, revision], cwd=PROJECT, check=True)
            trees = {revision: before, **trees}
        try:
            _print_rooms(trees)
            _print_ways(trees)
        finally:
            if len(trees) > 1:
                subprocess.run(["git", "worktree", "remove", "--force", before], cwd=PROJECT, check=True)


def _print_rooms(trees: dict[str, Path]) -> None:
    heads = [f"{what}, {name}" for name in trees for what in ("files", "lines", "rooms", "arrows")]
    print(f"| package | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for package in PACKAGES:
        cells = [str(number) for tree in trees.values() for number in _rooms(tree, package)]
        print(f"| `{package}` | {' | '.join(cells)} |")
    for name, tree in trees.items():
        print(f"\nCircles of imports, {name}: {len(_circles(_arrows(tree)))}", end="")
    print()


def _print_ways(trees: dict[str, Path]) -> None:
    ways = {name: _ways(tree) for name, tree in trees.items()}
    heads = [f"{what}, {name}" for name in trees for what in ("files", "calls")]
    print(f"\n| operation of iRedMail's SQL store | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for operation in next(iter(ways.values())):
        cells = [str(number) for way in ways.values() for number in way[operation]]
        print(f"| {operation} | {' | '.join(cells)} |")


def _files(tree: Path, package: str) -> list[Path]:
    inner = [tree / other for other in PACKAGES if other.startswith(f"{package}/")]
    files = (tree / package).rglob("*.py")
    return [path for path in files if not any(path.is_relative_to(folder) for folder in inner)]


def _rooms(tree: Path, package: str) -> tuple[int, int, int, int]:
    files = _files(tree, package)
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in files)
    rooms = {_room(path.relative_to(tree / package)) for path in files}
    own = {_module(path, tree): _room(path.relative_to(tree / package)) for path in files}
    arrows = {(own[one], own[other]) for one, other in _arrows(tree) if one in own and other in own}
    return len(files), lines, len(rooms), sum(one != other for one, other in arrows)


def _room(path: Path) -> str:
    return path.parts[0]


def _module(path: Path, tree: Path) -> str:
    base = tree / "daemon" if path.is_relative_to(tree / "daemon") else tree
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _arrows(tree: Path) -> set[tuple[str, str]]:
    paths = [path for folder in ("mailstore", "daemon", "tests") for path in (tree / folder).rglob("*.py")]
    modules = {_module(path, tree): path for path in paths}
    return {
        (module, imported)
        for module, path in modules.items()
        for imported in _imported(path, modules)
        if imported != module
    }


def _imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield from [name for name in [whole if whole in modules else node.module] if name in modules]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)


def _circles(arrows: set[tuple[str, str]]) -> list[set[str]]:
    """Return the sets of modules that import themselves over others."""
    out: dict[str, set[str]] = {}
    for importer, imported in arrows:
        out.setdefault(importer, set()).add(imported)
    reach = {module: _reached(module, out) for module in out}
    circles = [
        frozenset(other for other in reached if module in reach.get(other, ())) for module, reached in reach.items()
    ]
    return [set(circle) for circle in {circle for circle in circles if circle}]


def _reached(start: str, out: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [*out.get(start, ())]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(out.get(module, ()))
    return found


def _ways(tree: Path) -> dict[str, list[int]]:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", _WAYS]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
