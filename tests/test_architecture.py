"""What docs/architecture.md says about dependencies, kept: who imports whom, and what `import mailstore` costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mailstore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PROJECT = Path(__file__).resolve().parent.parent
LIBRARY = PROJECT / "mailstore"
DAEMON = PROJECT / "daemon"

TOOLKITS = ("sql", "ldap")
"""Folders that hold a toolkit, and below it packages of drivers, which must not know each other."""
UNSHARED = (*TOOLKITS, "cli")
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
DRIVERS = [
    folder for toolkit in TOOLKITS for folder in (LIBRARY / toolkit).iterdir() if (folder / "__init__.py").exists()
]


def _is_driver(name: str) -> bool:
    return any(_within(name, _module(driver / "__init__.py")) for driver in DRIVERS)


def _offenders(paths: Iterable[Path], forbidden: Callable[[str, str], bool]) -> list[str]:
    """Return who imports what it must not; `forbidden` gets the importing and the imported module."""
    return [
        f"{_module(path)} imports {name}" for path in paths for name in _imports(path) if forbidden(_module(path), name)
    ]


def test_the_library_knows_neither_daemon_nor_command_line() -> None:
    def forbidden(module: str, name: str) -> bool:
        is_cli = _within(module, "mailstore.cli") or module == "mailstore.__main__"
        is_service = _within(name, "mailstored") or _within(name, "mailstore_http")
        return is_service or (_within(name, "mailstore.cli") and not is_cli)

    assert _offenders(LIBRARY_FILES, forbidden) == []


def test_daemons_use_no_command_line_and_no_driver_but_that_of_the_product_whose_api_they_answer() -> None:
    def forbidden(module: str, name: str) -> bool:
        product = module.split(".")[1] if _within(module, "mailstore_http") and "." in module else "nothing"
        is_own = any(_within(name, f"mailstore.{toolkit}.{product}") for toolkit in TOOLKITS)
        return not is_own and any(_within(name, f"mailstore.{one}") for one in UNSHARED)

    assert _offenders(_files(DAEMON), forbidden) == []


def test_only_commands_of_products_know_a_driver() -> None:
    commands = [path for path in _files(LIBRARY / "cli") if "products" not in path.parts]
    assert _offenders(commands, lambda _, name: _is_driver(name)) == []


def test_what_is_shared_knows_no_driver_and_no_toolkit() -> None:
    shared = [path for path in LIBRARY_FILES if path.relative_to(LIBRARY).parts[0] not in (*UNSHARED, "__main__.py")]
    assert _offenders(shared, lambda _, name: any(_within(name, f"mailstore.{one}") for one in UNSHARED)) == []


def test_homes_on_disk_and_hashes_know_no_store() -> None:
    paths = [*_files(LIBRARY / "disk"), *_files(LIBRARY / "passwords"), LIBRARY / "maildir.py"]
    assert _offenders(paths, lambda _, name: _within(name, "mailstore.store")) == []


def test_a_driver_knows_no_other_driver() -> None:
    def forbidden(module: str, name: str) -> bool:
        own = ".".join(module.split(".")[:3])
        return _is_driver(name) and not _within(name, own)

    assert _offenders([path for folder in DRIVERS for path in _files(folder)], forbidden) == []


def test_a_toolkit_knows_no_driver_and_not_the_other_toolkit() -> None:
    def forbidden(module: str, name: str) -> bool:
        return _is_driver(name) or (_within(module, "mailstore.ldap") and _within(name, "mailstore.sql"))

    paths = [path for toolkit in TOOLKITS for path in (LIBRARY / toolkit).glob("*.py")]
    assert _offenders(paths, forbidden) == []


def test_no_module_imports_itself_over_others() -> None:
    """Types and imports within functions included: a circle means that two rooms are one."""
    names = {_module(path) for path in ALL_FILES}
    out = {_module(path): {name for name in _imports(path) if name in names} for path in ALL_FILES}
    order = TopologicalSorter(out)
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_page_names_every_room() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path for folder in (LIBRARY, *DRIVERS, *(LIBRARY / one for one in TOOLKITS)) for path in folder.iterdir()}
    named = [path for path in rooms if path.suffix == ".py" or (path / "__init__.py").exists()]
    shown = {path: f"{path.name}/" if path.is_dir() else path.name for path in named}
    assert (
        sorted(str(path.relative_to(LIBRARY)) for path, name in shown.items() if name not in page and name[0] != "_")
        == []
    )


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


def test_all_lists_what_is_there() -> None:
    modules = [importlib.import_module(_module(path)) for path in ALL_FILES if path.stem != "__main__"]
    missing = [
        f"{module.__name__}.{name}"
        for module in modules
        for name in getattr(module, "__all__", ())
        if not hasattr(module, name)
    ]
    assert missing == []


def test_everything_public_has_a_docstring() -> None:
    trees = {_module(path): _tree(path) for path in ALL_FILES}
    missing = [module for module, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    missing += [
        f"{module}.{node.name}"
        for module, tree in trees.items()
        for node in _public(tree)
        if not ast.get_docstring(node)
    ]
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
