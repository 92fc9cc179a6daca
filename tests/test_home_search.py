"""Homes are found whatever is moved, removed or replaced during the search."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mailstore.disk import dirfd
from mailstore.maildir import Homes

DOMAINS, USERS = ("a.com", "b.com", "c.com"), ("ann", "bob", "eve", "kim")
Change = Callable[[Path], object]


@pytest.fixture
def root(workdir: Path) -> Path:
    for domain in DOMAINS:
        for user in USERS:
            for part in ("cur", "new", "tmp"):
                (workdir / "vmail" / domain / user / "Maildir" / part).mkdir(parents=True)
    return workdir / "vmail"


@pytest.fixture
def outside(workdir: Path) -> Path:
    """A place on the same file system that is not searched."""
    made = workdir / "outside"
    made.mkdir()
    return made


def found_while(root: Path, change: Change) -> list[Path]:
    """Return the homes that a search finds if `change` does something to the first of them while it is at that."""
    search = Homes([root]).find_homes(folder="Maildir")
    first = Path(next(search))
    change(first)
    return [first, *(Path(home) for home in search)]


def replaced(directory: Path, outside: Path) -> None:
    """Move a directory away and put another, with homes, in its place."""
    moved = directory.rename(outside / "moved")
    shutil.copytree(moved, directory)


@pytest.mark.parametrize("removed", [False, True])
def test_a_home_that_goes_away_hides_no_other(root: Path, outside: Path, removed: bool) -> None:
    found = found_while(root, shutil.rmtree if removed else lambda home: home.rename(outside / "moved"))
    assert sorted(found) == sorted(root / domain / user for domain in DOMAINS for user in USERS)


def test_a_directory_that_is_moved_with_homes_in_it_hides_no_other(root: Path, outside: Path) -> None:
    found = found_while(root, lambda home: home.rename(outside / "home") and home.parent.rename(outside / "domain"))
    others = {root / domain / user for domain in DOMAINS for user in USERS if domain != found[0].parent.name}
    assert set(found[1:]) == others


def test_a_directory_that_was_replaced_is_not_searched_for_the_old_names(root: Path, outside: Path) -> None:
    found = found_while(root, lambda home: home.rename(outside / "home") and replaced(home.parent, outside))
    others = {root / domain / user for domain in DOMAINS for user in USERS if domain != found[0].parent.name}
    assert set(found[1:]) == others


def test_a_directory_that_was_moved_outside_is_not_followed(root: Path, outside: Path) -> None:
    (outside / "x.com" / "zoe" / "Maildir" / "cur").mkdir(parents=True)
    (outside / "x.com" / "zoe" / "Maildir" / "new").mkdir()
    (outside / "x.com" / "zoe" / "Maildir" / "tmp").mkdir()
    found = found_while(root, lambda home: home.rename(outside / "x.com" / "moved"))
    assert all(home.is_relative_to(root) for home in found)
    assert len(found) == len(DOMAINS) * len(USERS)


def test_who_must_see_everything_learns_what_was_moved_away_unread(root: Path, outside: Path) -> None:
    """Whether a home is empty, and may be taken over, is found by the same walk."""
    told: list[tuple[list[str], OSError]] = []
    with dirfd.opened(str(root), dirfd.READ) as top:
        walk = dirfd.walk(top, lambda names, error: told.append((names, error)))
        domain, user = next(visit.names[:] for visit in walk if len(visit.names) == 2)
        (root / domain / user).rename(outside / "home")
        (root / domain).rename(outside / "domain")
        for _visit in walk:
            pass
    ((names, error),) = told
    assert names == [domain]
    assert isinstance(error, dirfd.Moved)
