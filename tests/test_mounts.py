"""What is mounted in a home, by whatever name and from whatever file system, is never removed with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailstore.errors import HomeRefused
from mailstore.maildir import Homes
from tests.test_maildir import below, fill, in_trash, mounted


@pytest.fixture
def root(workdir: Path) -> Path:
    """The directory for homes."""
    made = workdir / "vmail"
    made.mkdir()
    return made


@pytest.mark.parametrize("name", [".gone-0123abcd-0", "Maildir/.shared", ".mailstore", "a b"])
def test_a_home_with_a_bind_mount_of_its_own_file_system_is_kept(root: Path, name: str) -> None:
    outside, home = fill(root.parent / "outside"), fill(root / "x.com/u")
    homes = Homes([root])
    with mounted(home / name, "--bind", str(outside)):
        for check in (homes.check_removable, lambda path: homes.set_aside(path, "k")):
            with pytest.raises(HomeRefused, match="mount point"):
                check(str(home))
            with pytest.raises(HomeRefused, match="mount point"):
                check(str(home.parent))
        assert len(below(outside)) == 7
    assert homes.check_removable(str(home))


@pytest.mark.parametrize("place", ["x.com", "x.com/u", ".mailstore-trash"])
def test_a_home_that_is_on_a_bind_mount_or_moves_to_one_is_kept(root: Path, place: str) -> None:
    fill(root / "x.com/u")
    twin = fill(root.parent / "twin/u") if place == "x.com" else fill(root.parent / "twin")
    homes = Homes([root])
    with mounted(root / place, "--bind", str(root.parent / "twin")):
        with pytest.raises(HomeRefused, match="mount point"):
            homes.check_removable(f"{root}/x.com/u")
        with pytest.raises(HomeRefused, match="mount point"):
            homes.set_aside(f"{root}/x.com/u", "k")
    assert len(below(twin)) == 7


def test_a_mount_that_looks_like_a_work_name_of_a_removal_is_not_emptied(root: Path) -> None:
    outside = fill(root.parent / "outside")
    homes = Homes([root])
    (fill(root / "u") / ".gone-0123abcd-0").mkdir()
    trashed = in_trash(homes, root / "u")
    with mounted(Path(trashed.path) / ".gone-0123abcd-0", "--bind", str(outside)):
        with pytest.raises(HomeRefused, match="mount point"):
            homes.unlink(trashed)
        assert len(below(outside)) == 7
    homes.unlink(trashed)
    assert list(homes.trashed()) == []
