"""The documentation site: it can be made without a warning, names everything that is promised, and its recipes are right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sphinx.util.inventory import InventoryFile

from docs.generate import PUBLIC
from examples.provision import provision
from mailstore.testing import temporary_store

if TYPE_CHECKING:
    from mailstore import Store

pytest_plugins = ["mailstore.testing.plugin"]

PROJECT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the site as ``make site`` does, in a place of its own."""
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(place)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return place


@pytest.mark.timeout(300)
def test_every_promised_name_is_in_the_reference_and_nothing_comes_from_elsewhere(site: Path) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    known = {name for kind in inventory.data.values() for name in kind}
    for module, (_, names) in PUBLIC.items():
        promised = names or import_module(module).__all__
        missing = {
            name
            for name in promised
            for thing in [getattr(import_module(module), name)]
            if f"{module}.{name}" not in known and f"{getattr(thing, '__module__', module)}.{name}" not in known
        }
        assert missing <= _TOLD_ELSEWHERE, (module, missing)
    foreign = re.compile(r'<(?:script|img|link)[^>]+(?:src|href)="https?://')
    for page in site.rglob("*.html"):
        assert not foreign.search(page.read_text(encoding="utf-8")), page


_TOLD_ELSEWHERE = {"__version__", "UNLIMITED", "UNSET"}
"""Names of `mailstore` whose values do not say where they are from."""


def test_every_page_can_be_reached_from_the_start(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    pages = {path.relative_to(PROJECT / "docs").with_suffix(".html") for path in (PROJECT / "docs").rglob("*.md")}
    listed = {page for page in pages if page.parts[0] not in {"library", "decisions"}} - {Path("index.html")}
    assert {page for page in listed if f'href="{page}"' not in start} == set()


def test_recipes_are_well_typed(tmp_path: Path) -> None:
    pages = [*(PROJECT / "docs" / "library").glob("*.md"), *(PROJECT / "docs" / "start").glob("*.md")]
    blocks = [block for page in sorted(pages) for block in _BLOCK.findall(page.read_text(encoding="utf-8"))]
    assert len(blocks) > 6
    folder = tmp_path / "recipes"
    folder.mkdir()
    for number, block in enumerate(blocks):
        (folder / f"recipe_{number}.py").write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", *map(str, sorted(folder.glob("*.py")))]
    environment = {**os.environ, "MYPYPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout


def test_the_example_creates_who_is_listed_and_disables_who_is_not(mailstore_store: Store) -> None:
    store = mailstore_store
    store.domains.create("example.com")
    store.accounts.create("eve@example.com", password="correct horse")
    passwords = provision(store, "example.com", {"bob@example.com": "Bob"})
    assert store.accounts.verify_password("bob@example.com", passwords["bob@example.com"])
    assert not store.accounts.get("eve@example.com").enabled
    assert provision(store, "example.com", {"bob@example.com": "Bob", "eve@example.com": "Eve"}) == {}
    assert store.accounts.get("eve@example.com").enabled
    assert list(store.check()) == []


def test_a_store_for_tests_leaves_nothing_behind(tmp_path: Path) -> None:
    with temporary_store() as store:
        store.domains.create("example.com")
        place = Path(store.accounts.create("bob@example.com", password="correct horse").home)
        assert place.is_dir()
    assert not place.parent.exists()
    with temporary_store(tmp_path) as store:
        store.domains.create("example.com")
    assert (tmp_path / "vmail.db").is_file()
