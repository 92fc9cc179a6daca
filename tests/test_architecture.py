"""What docs/architecture.md says about dependencies, kept: who imports whom, and what `import mailstore` costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mailstore

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent
LIBRARY = PROJECT / "mailstore"
DAEMON = PROJECT / "daemon"

TOOLKITS = ("sql", "ldap")
"""Folders that hold a toolkit, and below it packages of drivers, which must not know each other."""
CONTRACT = {
    "mailstore",
    "mailstore.disk.dirfd",
    "mailstore.disk.errors",
    "mailstore.disk.search",
    "mailstore.disk.mounts",
    "mailstore.address",
    "mailstore.driver.bulk",
    "mailstore.config",
    "mailstore.errors",
    "mailstore.driver.findings",
    "mailstore.fields",
    "mailstore.driver.forks",
    "mailstore.disk.layout",
    "mailstore.driver.logins",
    "mailstore.maildir",
    "mailstore.model",
    "mailstore.disk.neighbours",
    "mailstore.driver.notices",
    "mailstore.passwords",
    *(f"mailstore.passwords.{path.stem}" for path in (LIBRARY / "passwords").glob("[!_]*.py")),
    "mailstore.policies",
    "mailstore.quota",
    "mailstore.driver.readings",
    "mailstore.driver.rights",
    "mailstore.driver.secret",
    "mailstore.store",
    *(f"mailstore.store.{path.stem}" for path in (LIBRARY / "store").glob("[!_]*.py")),
    "mailstore.driver.urls",
    "mailstore.driver.values",
}
"""What everything else may build on; of these modules none imports a driver, a toolkit or the command line."""
SHARED = CONTRACT | {
    "mailstore.driver.companions",
    "mailstore.driver.drift",
    "mailstore.driver.base",
    "mailstore.driver.lookups",
    "mailstore.driver.names",
    "mailstore.driver.policy_keys",
    "mailstore.purge",
    "mailstore.registry",
    "mailstore.driver.routes",
    *(f"mailstore.iredmail.{path.stem}" for path in (LIBRARY / "iredmail").glob("[!_]*.py")),
}
"""The rest that drivers may use: what serves every kind of store."""
HEAVY = ("sqlalchemy", "ldap3", "rich", "click", "email_validator", "passlib", "pymysql", "psycopg", "apscheduler")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _module(path: Path) -> str:
    base = DAEMON if path.is_relative_to(DAEMON) else PROJECT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(path: Path) -> Iterator[str]:
    """Iterate over the modules that a file imports, in functions and for types only, too."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what they mean"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if _is_module(whole) else str(node.module)


@cache
def _is_module(name: str) -> bool:
    path = PROJECT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


LIBRARY_FILES = _files(LIBRARY)
ALL_FILES = [*LIBRARY_FILES, *_files(DAEMON)]


@pytest.mark.parametrize("path", LIBRARY_FILES, ids=_module)
def test_the_library_knows_neither_daemon_nor_command_line(path: Path) -> None:
    module = _module(path)
    may_know_cli = _within(module, "mailstore.cli") or module == "mailstore.__main__"
    for name in _imports(path):
        assert not _within(name, "mailstored")
        assert may_know_cli or not _within(name, "mailstore.cli")


@pytest.mark.parametrize("path", _files(DAEMON), ids=_module)
def test_the_daemon_does_not_use_the_command_line_or_drivers(path: Path) -> None:
    for name in _imports(path):
        assert not _within(name, "mailstore.cli")
        assert not any(_within(name, f"mailstore.{toolkit}") for toolkit in TOOLKITS)


@pytest.mark.parametrize("name", sorted(SHARED))
def test_what_is_shared_knows_no_driver(name: str) -> None:
    path = LIBRARY.joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for imported in _imports(file):
        assert not any(_within(imported, f"mailstore.{toolkit}") for toolkit in TOOLKITS)
        if name in CONTRACT - {"mailstore"} and _within(imported, "mailstore"):
            assert imported in CONTRACT


def _drivers() -> list[Path]:
    folders = [folder for toolkit in TOOLKITS for folder in (LIBRARY / toolkit).iterdir()]
    return [folder for folder in folders if (folder / "__init__.py").exists()]


def _driver_files() -> list[Path]:
    return [path for folder in _drivers() for path in _files(folder)]


def _toolkit_files() -> list[Path]:
    return [path for toolkit in TOOLKITS for path in (LIBRARY / toolkit).glob("*.py")]


TOOLKIT_MODULES = {_module(path) for path in _toolkit_files()}


@pytest.mark.parametrize("path", _driver_files(), ids=_module)
def test_a_driver_knows_the_contract_and_toolkits_only(path: Path) -> None:
    own = ".".join(_module(path).split(".")[:3])
    for name in _imports(path):
        if _within(name, "mailstore"):
            assert name in SHARED or name in TOOLKIT_MODULES or _within(name, own), f"{own} must not import {name}"


@pytest.mark.parametrize("path", _toolkit_files(), ids=_module)
def test_a_toolkit_knows_no_driver(path: Path) -> None:
    for name in _imports(path):
        assert not any(_within(name, _module(driver / "__init__.py")) for driver in _drivers())
        assert "sql" in path.parts or not _within(name, "mailstore.sql"), "the toolkits do not need each other"


def test_the_page_names_every_module() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = [*LIBRARY.glob("*.py"), *_driver_files(), *_toolkit_files()]
    assert [
        path.name
        for path in files
        if f"{path.stem}.py" not in page and f"/{path.stem}" not in page and not path.stem.startswith("__")
    ] == []


def test_importing_the_library_is_cheap() -> None:
    program = f"import sys, mailstore; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_opening_one_engine_does_not_import_the_drivers_of_others() -> None:
    program = (
        "import sys, mailstore.sql.iredmail.store; "
        "print(*[name for name in ('pymysql', 'psycopg', 'rich', 'click', 'mailstore.cli') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_public_names_exist() -> None:
    assert list(mailstore.__all__) == sorted(mailstore.__all__, key=_as_ruff_sorts)
    for name in mailstore.__all__:
        assert hasattr(mailstore, name)


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("path", [path for path in ALL_FILES if path.stem != "__main__"], ids=_module)
def test_all_lists_what_is_there(path: Path) -> None:
    module = importlib.import_module(_module(path))
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), name


@pytest.mark.parametrize("path", ALL_FILES, ids=_module)
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = _tree(path)
    if not tree.body:
        return
    assert ast.get_docstring(tree), "the module"
    missing = [node.name for node in _public(tree) if not ast.get_docstring(node)]
    assert missing == []


_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _public(tree: ast.Module) -> Iterator[_Definition]:
    """Iterate over public classes and functions of a module, and over the public methods of classes without a base.

    Methods that implement a contract get their description from there; properties may say enough by their names.
    """
    for node in tree.body:
        if isinstance(node, _Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and not _implements(node):
                yield from _methods(node)


def _implements(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) not in {"ABC", "Exception", "Enum"} for base in node.bases)


def _methods(node: ast.ClassDef) -> Iterator[_Definition]:
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and not (method.name.startswith("_") or _is_property(method)):
            yield method


def _is_property(method: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator).endswith("property") for decorator in method.decorator_list)
