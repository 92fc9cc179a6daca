"""Killed at any step, loading and bringing mail are finished by the next run: nothing twice, nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore.maildir import Homes
from mailstore.transfer import Carrier, Loader, Mailbox, read_entries
from tests.faults.children import fork, fork_sharing
from tests.faults.states import Image, state_of
from tests.faults.steps import kill_at_step
from tests.rigs import Rig
from tests.servers.process import make_directory
from tests.transfer.filled import fill, text_of, timeless

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stores import StoreRig

_DISK = ("mkdir", "rename", "unlink", "rmdir", "link", "symlink", "fchown", "utime", "fsync", "sync")


def test_a_load_is_finished(emptied: Callable[[str], StoreRig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailstore.transfer.loading._WITH_HOMES", 2)
    rig = cast("Rig", emptied("sqlite"))
    fill(rig.shared)
    lines = text_of(rig.shared).splitlines()
    rig = cast("Rig", emptied("sqlite"))
    image, seen = Image.take(rig), [state_of(rig)]

    def load() -> None:
        with rig.open_without_disk() as store:
            kill_at_step(store, number, coarse=True)
            for _ in Loader(store).load(read_entries(lines)):
                pass

    for number in count(1):
        child = fork(rig, load)
        assert child.wait() is None
        if not child.killed:
            break
        left = state_of(rig)
        if left in seen:
            continue
        seen.append(left)
        with rig.open_without_disk() as store:
            outcomes = list(Loader(store).load(read_entries(lines)))
            assert [one for one in outcomes if one.action not in {"created", "updated", "unchanged"}] == [], number
            assert timeless(text_of(store)) == timeless("\n".join(lines) + "\n"), number
            assert [finding for finding in store.check() if finding.severity == "error"] == []
        image.put_back()
    assert number > 30
    assert len(seen) > 8


def kill_at_disk_step(number: int) -> None:
    """Make this process kill itself before its change `number` on disk."""
    taken = 0

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return step

    for name in _DISK:
        setattr(os, name, watched(getattr(os, name)))


def tree(root: Path) -> dict[str, tuple[int, int, int, str]]:
    """Return everything below a root but what is on its way: modes, owners, times of files, contents."""
    found = {}
    for path in sorted(root.rglob("*")):
        name, status = str(path.relative_to(root)), path.lstat()
        if name.startswith(".mailstore"):
            continue
        content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        time = status.st_mtime_ns if path.is_file() and not path.is_symlink() else 0
        found[name] = (status.st_mode, status.st_uid, time, content)
    return found


@pytest.mark.parametrize(("way", "folder"), [("copy", "Maildir"), ("move", "mail"), ("move", "")])
def test_bringing_mail_is_finished(way: Any, folder: str, workdir: Path, vmail_owner: tuple[int, int]) -> None:
    there, here, kept = (make_directory(workdir / name, *vmail_owner) for name in ("there", "here", "kept"))
    _fill_homes(there, vmail_owner)
    (here / "somebody").mkdir()
    shutil.copytree(there, kept, symlinks=True, dirs_exist_ok=True)
    source, target = Homes([there], owner=vmail_owner), Homes([here], owner=vmail_owner)
    old, new = ([f"{top}/{name}" for name in ("anna", "bob")] for top in (there, f"{here}/new"))
    pairs = [
        (Mailbox("a@a.example", before, "maildir", "Maildir"), Mailbox("a@a.example", after, "maildir", folder))
        for before, after in zip(old, new, strict=True)
    ]

    def carry() -> list[str]:
        found = list(Carrier(source, target, way).carry(pairs))
        assert [one.reason for one in found if one.action == "refused"] == []
        return [one.action for one in found]

    def killed() -> None:
        kill_at_disk_step(number)
        carry()

    before, whole, kills = tree(there), None, 0
    for number in count(1):
        child = fork_sharing(killed)
        assert child.wait() is None
        kills += child.killed
        assert set(carry()) <= {"copied", "moved", "unchanged"}
        whole = whole or tree(here)
        assert tree(here) == whole, number
        assert set(carry()) == {"unchanged"}
        if way == "copy":
            assert tree(there) == before
        if not child.killed:
            break
        shutil.rmtree(here)
        make_directory(here, *vmail_owner)
        (here / "somebody").mkdir()
        if way == "move":
            shutil.rmtree(there)
            make_directory(there, *vmail_owner)
            _fill_homes(there, vmail_owner)
    assert kills > 8
    messages = [one for one in before.values() if one[3].startswith("message")]
    assert sorted(one for one in whole.values() if one[3].startswith("message")) == sorted(messages)


def _fill_homes(root: Path, owner: tuple[int, int]) -> None:
    (root / "somebody").mkdir()  # a root that is empty is one that is not mounted
    for name in ("anna", "bob"):
        for folder in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp"):
            (root / name / "Maildir" / folder).mkdir(parents=True)
        (root / name / "Maildir/cur/1.m:2,S").write_text(f"message 1 of {name}")
        (root / name / "Maildir/.Sent/cur/2.m:2,").write_text(f"message 2 of {name}")
        os.link(root / name / "Maildir/cur/1.m:2,S", root / name / "Maildir/.Sent/cur/3.m:2,S")
        (root / name / "Maildir/dovecot-uidlist").write_text("3 V1 N4\n")
        (root / name / ".dovecot.sieve").symlink_to("Maildir")
    for path in root.rglob("*"):
        os.chown(path, *owner, follow_symlinks=False)
        if path.is_file() and not path.is_symlink():
            os.utime(path, ns=(10**18, 10**18 + 7))
