"""Homes on a real file system: real owners, links, mounts, full disks, killed and racing processes."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailstore.disk import dirfd
from mailstore.disk.layout import Layout, has_stamp, normal_home
from mailstore.errors import ConfigurationError, HomeError, HomeRefused, InvalidAddress, InvalidValue
from mailstore.maildir import TRASH, Homes, Trashed

VMAIL = (5000, 5000)
NOBODY = 65534
NOW = datetime(2026, 11, 20, 13, 5, 33)  # noqa: DTZ001 - the stamp shows whatever zone it is given
STAMP = "2026.11.20.13.05.33"
fork = multiprocessing.get_context("fork")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change owners")


@pytest.fixture
def root() -> Iterator[Path]:
    """An empty lower-case directory that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="mailstore-") as made:
        base = Path(made).rename(made.lower()) if made != made.lower() else Path(made)
        base.chmod(0o755)
        path = base / "vmail"
        path.mkdir(mode=0o755)
        try:
            yield path
        finally:
            if str(base) != made:
                base.rename(made)


@pytest.fixture
def homes(root: Path) -> Homes:
    return Homes([root])


def fill(home: Path, messages: int = 3) -> Path:
    """A home with messages of 10 bytes in cur."""
    for part in ("cur", "new", "tmp"):
        (home / "Maildir" / part).mkdir(parents=True, exist_ok=True)
    for number in range(messages):
        (home / "Maildir/cur" / f"{number}.M1P1.host:2,S").write_bytes(b"0123456789")
    return home


def in_trash(homes: Homes, home: Path, key: str = "store-1") -> Trashed:
    trashed = homes.set_aside(str(home), key)
    assert trashed is not None
    return trashed


def as_user(uid: int, action: Callable[[], Any]) -> Any:
    """Result of ``action`` in a child process that runs as ``uid``; what it raised is raised here."""
    receiver, sender = fork.Pipe(duplex=False)

    def child() -> None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        try:
            sender.send(action())
        except Exception as error:  # noqa: BLE001 - handed to the parent
            sender.send(error)

    process = fork.Process(target=child)
    process.start()
    process.join(20)
    assert receiver.poll(), "the child died"
    result = receiver.recv()
    if isinstance(result, Exception):
        raise result
    return result


def race(number: int, action: Callable[[int], str]) -> list[str]:
    """What ``number`` processes that start ``action`` together return, or the names of what they raise."""
    barrier = fork.Barrier(number)
    results = fork.SimpleQueue()

    def child(index: int) -> None:
        barrier.wait(20)
        try:
            results.put(action(index))
        except Exception as error:  # noqa: BLE001 - handed to the parent
            results.put(f"{type(error).__name__}: {error}")

    processes = [fork.Process(target=child, args=(index,)) for index in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    return [results.get() for _ in processes]


@contextmanager
def mounted(target: Path, *arguments: str) -> Iterator[None]:
    """``mount`` something at ``target``; skips the test where that is not possible."""
    target.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root and mount(8)")
    before = mount_points()
    done = subprocess.run(["mount", *arguments, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs CAP_SYS_ADMIN to mount: {done.stderr.strip()}")
    (mount_id,) = mount_points().keys() - before.keys()
    try:
        yield
    finally:  # a mount moves with the directories above it
        subprocess.run(["umount", mount_points()[mount_id].replace(r"\040", " ")], check=True)


def mount_points() -> dict[str, str]:
    """Where everything is mounted now, by mount id."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {fields[0]: fields[4] for fields in map(str.split, lines)}


def tmpfs(target: Path, *options: str) -> Any:
    return mounted(target, "-t", "tmpfs", "-o", ",".join(["mode=755", *options]), "tmpfs")


def below(path: Path) -> set[str]:
    return {str(found.relative_to(path)) for found in path.rglob("*")}


# --- layouts and paths ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "address", "expected"),
    [
        (Layout(), "user@x.com", f"x.com/u/s/e/user-{STAMP}/"),
        (Layout(), "a@x.com", f"x.com/a/_/_/a-{STAMP}/"),
        (Layout(), "ab@x.com", f"x.com/a/b/_/ab-{STAMP}/"),
        (Layout(), "a.b@x.com", f"x.com/a/_/b/a.b-{STAMP}/"),
        (Layout(), "a~b@x.com", f"x.com/a/_/b/a~b-{STAMP}/"),
        (Layout(), "A&B@x.com", f"x.com/a/&/b/a&b-{STAMP}/"),
        (Layout(), "日本語@x.com", f"x.com/日/本/語/日本語-{STAMP}/"),
        (Layout(domain_hashed=True), "u@a-b.com", f"a/_/a-b.com/u/_/_/u-{STAMP}/"),
        (Layout(domain_hashed=True), "u@x.com", f"x/_/x.com/u/_/_/u-{STAMP}/"),
        (Layout(domain_hashed=True), "u@example.com", f"e/x/example.com/u/_/_/u-{STAMP}/"),
        (Layout(hashed=False), "user@x.com", f"x.com/user-{STAMP}/"),
        (Layout(domain=False), "user@x.com", f"u/s/e/user-{STAMP}/"),
        (Layout(domain=False, domain_hashed=True), "user@x.com", f"u/s/e/user-{STAMP}/"),
        (Layout(timestamp=False), "user@x.com", "x.com/u/s/e/user/"),
        (Layout(hashed=False, domain=False, timestamp=False), "user@x.com", "user/"),
    ],
)
def test_layout(layout: Layout, address: str, expected: str) -> None:
    assert layout.relative(address, NOW) == expected


@pytest.mark.parametrize(
    "address",
    ["", "user", "@x.com", "user@", "a@b@x.com", "a/b@x.com", "a\n@x.com", "a@..", "a@.com", "a@x/y", "a\ud800@x"],
)
def test_layout_refuses_what_is_no_safe_path(address: str) -> None:
    with pytest.raises(InvalidAddress):
        Layout(domain_hashed=True).relative(address, NOW)


def test_layout_refuses_dots_as_a_whole_name() -> None:
    with pytest.raises(InvalidAddress):
        Layout(timestamp=False).relative("..@x.com", NOW)


@given(
    local=st.text(min_size=1, max_size=30),
    domain=st.text(min_size=1, max_size=30),
    now=st.datetimes(),
    layout=st.builds(Layout, *[st.booleans()] * 4),
)
@example(local="İΣ", domain="ΑΣ.com", now=datetime(1, 1, 1), layout=Layout())  # noqa: DTZ001
@example(local="..", domain="...", now=NOW, layout=Layout(timestamp=False))
def test_any_layout_stays_below_the_root_in_lower_case(local: str, domain: str, now: datetime, layout: Layout) -> None:
    try:
        relative = layout.relative(f"{local}@{domain}", now)
    except InvalidAddress:
        return
    home = normal_home("/srv/vmail/" + relative)
    assert home == "/srv/vmail/" + relative.rstrip("/")
    assert home == home.lower()
    assert not {"", ".", ".."} & set(home.split("/")[1:])
    assert os.path.normpath(home) == home
    assert Homes(["/srv/vmail"]).root_of(home) == "/srv/vmail"
    assert has_stamp(home) or not layout.timestamp


@given(st.text(alphabet=st.sampled_from("aB./\0 \n~İ\udc80\ud800"), max_size=20))
def test_normal_home_is_lower_case_absolute_and_stable(path: str) -> None:
    try:
        home = normal_home("/" + path)
    except InvalidValue:
        return
    assert home.startswith("/")
    assert home == home.lower() == normal_home(home) == os.path.normpath(home)


@pytest.mark.parametrize(
    ("path", "expected"), [("/A//b/", "/a/b"), ("//srv/Vmail///x", "/srv/vmail/x"), ("/a/..b/...", "/a/..b/...")]
)
def test_normal_home(path: str, expected: str) -> None:
    assert normal_home(path) == expected


@pytest.mark.parametrize("path", ["", "/", "//", "a/b", "/a/../b", "/a/./b", "/a/..", "/a\0b", "/a\nb", "/a\x7f"])
def test_normal_home_refuses(path: str) -> None:
    with pytest.raises(InvalidValue):
        normal_home(path)


@pytest.mark.parametrize(
    ("home", "stamped"),
    [
        (f"/srv/x.com/user-{STAMP}", True),
        (f"/srv/x.com/user-{STAMP}/", True),
        (f"/a-{STAMP}", True),
        (f"/-{STAMP}", False),
        (f"/srv/x.com/user-{STAMP}/maildir", False),
        (f"/srv/x.com/user-{STAMP}\n", False),
        ("/srv/x.com/user-2026.11.20.13.05.3", False),
        ("/srv/x.com/postmaster", False),
    ],
)
def test_has_stamp(home: str, stamped: bool) -> None:
    assert has_stamp(home) is stamped


# --- roots ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("roots", [[], ["/"], ["srv"], ["/Srv"], ["/srv/../x"], ["/srv/a", "/srv/a/b"]])
def test_bad_roots_are_a_configuration_error(roots: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        Homes(roots)


def test_a_root_that_is_a_link_is_refused(root: Path) -> None:
    link = root.parent / "link"
    homes = Homes([link])
    link.symlink_to(root)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        Homes([link])
    with pytest.raises(HomeRefused, match="symbolic link"):
        homes.create(f"{link}/x.com/u")


def test_root_of(root: Path) -> None:
    homes = Homes([root / "", "/srv/other"])
    assert homes.root_of(f"{root}/x.com/U/") == str(root)
    assert homes.root_of("/srv/other/u") == "/srv/other"
    assert homes.root_of(str(root)) is None
    assert homes.root_of(f"{root}2/u") is None


def test_a_missing_root_is_an_error_only_when_used(root: Path) -> None:
    homes = Homes([root / "missing"])
    home = f"{root}/missing/u"
    uses: list[Callable[[], object]] = [
        lambda: homes.exists(home),
        lambda: homes.create(home),
        lambda: homes.set_aside(home, "k"),
        lambda: list(homes.find_homes()),
        lambda: list(homes.trashed()),
    ]
    for use in uses:
        with pytest.raises(HomeError, match="mounted"):
            use()
    assert not (root / "missing").exists()


def test_an_empty_root_may_be_unmounted(homes: Homes, root: Path) -> None:
    with pytest.raises(HomeError, match="mounted"):
        homes.exists(f"{root}/x.com/u")
    with pytest.raises(HomeError, match="mounted"):
        homes.set_aside(f"{root}/x.com/u", "k")
    (root / "x.com").mkdir()
    assert not homes.exists(f"{root}/x.com/u")
    assert homes.set_aside(f"{root}/x.com/u", "k") is None
    assert below(root) == {"x.com"}


def test_paths_outside_the_roots_and_in_the_trash_are_refused(homes: Homes, root: Path) -> None:
    for home in ("/etc/u", str(root), f"{root}/{TRASH}", f"{root}/{TRASH}/k.00000000"):
        uses: list[Callable[[str], object]] = [
            homes.exists,
            homes.create,
            homes.measure,
            homes.owner_of,
            lambda home: homes.set_aside(home, "k"),
        ]
        for use in uses:
            with pytest.raises(HomeRefused):
                use(home)


# --- create -----------------------------------------------------------------------------------------------------------


def test_create_makes_parents_home_and_maildir(homes: Homes, root: Path) -> None:
    created = homes.create(f"{root}/X.com/u/User/")
    assert created.home == f"{root}/x.com/u/user"
    maildir = "x.com/u/user/Maildir"
    assert below(root) == {"x.com", "x.com/u", "x.com/u/user", maildir} | {
        f"{maildir}/{part}" for part in ("cur", "new", "tmp")
    }
    assert {stat.S_IMODE((root / name).stat().st_mode) for name in below(root)} == {0o700}
    assert homes.exists(created.home)


def test_create_for_other_formats_and_folders(homes: Homes, root: Path) -> None:
    homes.create(f"{root}/mdbox", mail_format="mdbox")
    homes.create(f"{root}/flat", folder="")
    assert below(root) == {"mdbox", "flat", "flat/cur", "flat/new", "flat/tmp"}
    with pytest.raises(InvalidValue):
        homes.create(f"{root}/u", mail_format="mbox")
    with pytest.raises(InvalidValue):
        homes.create(f"{root}/u", folder="../x")


@needs_root
def test_created_directories_get_owner_and_mode_whatever_the_umask(root: Path) -> None:
    before = os.umask(0o077)
    try:
        Homes([root], owner=VMAIL, mode=0o2770).create(f"{root}/x.com/u")
    finally:
        os.umask(before)
    status = [(root / name).stat() for name in below(root)]
    assert {(one.st_uid, one.st_gid, stat.S_IMODE(one.st_mode)) for one in status} == {(*VMAIL, 0o2770)}


@needs_root
def test_the_owner_is_that_of_the_root_by_default(homes: Homes, root: Path) -> None:
    os.chown(root, *VMAIL)
    homes.create(f"{root}/u")
    assert homes.owner_of(f"{root}/u") == VMAIL


def test_an_existing_home_is_never_taken_over(homes: Homes, root: Path) -> None:
    fill(root / "x.com/u")
    before = below(root)
    with pytest.raises(HomeRefused, match="already exists"):
        homes.create(f"{root}/x.com/u")
    with pytest.raises(HomeRefused, match="already exists"):
        homes.create(f"{root}/x.com")
    assert below(root) == before


def test_adopt_completes_an_existing_home(homes: Homes, root: Path) -> None:
    (root / "u/Maildir/cur").mkdir(parents=True)
    created = homes.create(f"{root}/u", adopt=True)
    assert (root / "u/Maildir/new").is_dir()
    created.undo()
    assert below(root) == {"u", "u/Maildir", "u/Maildir/cur"}
    with pytest.raises(HomeRefused, match="to adopt"):
        homes.create(f"{root}/missing", adopt=True)
    assert below(root) == {"u", "u/Maildir", "u/Maildir/cur"}


@needs_root
def test_a_home_of_a_foreign_owner_is_not_adopted(root: Path) -> None:
    fill(root / "u")
    with pytest.raises(HomeRefused, match="uid 0 instead of uid 5000"):
        Homes([root], owner=VMAIL).create(f"{root}/u", adopt=True)


def test_undo_removes_what_was_made_and_no_more(homes: Homes, root: Path) -> None:
    (root / "x.com").mkdir()
    created = homes.create(f"{root}/x.com/u/s/user")
    created.undo()
    created.undo()
    assert below(root) == {"x.com"}


def test_undo_spares_what_is_in_use_or_was_replaced(homes: Homes, root: Path) -> None:
    delivered = homes.create(f"{root}/x.com/a")
    (root / "x.com/a/Maildir/new/1").touch()
    delivered.undo()
    assert (root / "x.com/a/Maildir/new/1").exists()
    replaced = homes.create(f"{root}/x.com/b", mail_format="sdbox")
    (root / "x.com/b").rename(root / "x.com/c")
    (root / "x.com/b").mkdir()
    replaced.undo()
    assert {"x.com/b", "x.com/c"} < below(root)


@pytest.mark.parametrize("level", ["x.com", "x.com/u", "x.com/u/home"])
def test_a_link_at_any_level_is_refused(homes: Homes, root: Path, level: str) -> None:
    outside = root.parent / "outside"
    fill(outside / "u/home")
    fill(outside / "home")
    (root / level).parent.mkdir(parents=True, exist_ok=True)
    (root / level).symlink_to(outside)
    home = f"{root}/x.com/u/home"
    before = below(outside)
    uses: list[Callable[[], object]] = [
        lambda: homes.create(home),
        lambda: homes.create(home, adopt=True),
        lambda: homes.exists(home),
        lambda: homes.measure(home),
        lambda: homes.set_aside(home, "k"),
    ]
    for use in uses:
        with pytest.raises(HomeRefused):
            use()
    assert below(outside) == before
    assert (root / level).is_symlink()


def test_a_link_in_the_place_of_a_maildir_is_refused(homes: Homes, root: Path) -> None:
    (root / "u").mkdir()
    (root / "u/Maildir").symlink_to(root.parent)
    with pytest.raises(HomeRefused):
        homes.create(f"{root}/u", adopt=True)


def test_a_file_in_the_place_of_a_home_is_refused(homes: Homes, root: Path) -> None:
    (root / "u").touch()
    for use in (homes.create, homes.exists, lambda home: homes.set_aside(home, "k")):
        with pytest.raises(HomeRefused):
            use(f"{root}/u")


def test_of_eight_processes_one_makes_the_home(homes: Homes, root: Path) -> None:
    results = race(8, lambda _index: homes.create(f"{root}/x.com/u/s/e/user").home)
    assert results.count(f"{root}/x.com/u/s/e/user") == 1
    assert sum("already exists" in result for result in results) == 7


def test_racing_for_parents_with_undo_works_for_all(homes: Homes, root: Path) -> None:
    def create_and_undo(index: int) -> str:
        for turn in range(60):
            homes.create(f"{root}/x.com/u/s/user{index}-{turn}", mail_format="mdbox").undo()
        return homes.create(f"{root}/x.com/u/s/user{index}").home

    assert sorted(race(4, create_and_undo)) == [f"{root}/x.com/u/s/user{index}" for index in range(4)]


def test_a_full_disk_leaves_nothing_behind(root: Path) -> None:
    with tmpfs(root, "nr_inodes=6"):
        homes = Homes([root])
        with pytest.raises(HomeError, match=r"No space left.*make room") as caught:
            homes.create(f"{root}/x.com/u/s/user")
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.subject == f"{root}/x.com/u/s/user"
        assert below(root) == set()


def test_a_read_only_file_system_is_named(root: Path) -> None:
    with tmpfs(root, "ro"), pytest.raises(HomeError, match="read-only"):
        Homes([root]).create(f"{root}/u")


@needs_root
def test_a_missing_right_is_named_and_leaves_nothing(root: Path) -> None:
    root.chmod(0o777)
    homes = Homes([root], owner=VMAIL)
    with pytest.raises(HomeError, match="run as root"):
        as_user(NOBODY, lambda: homes.create(f"{root}/x.com/u"))
    assert below(root) == set()


# --- looking ----------------------------------------------------------------------------------------------------------


@needs_root
def test_unreadable_is_not_absent(homes: Homes, root: Path) -> None:
    fill(root / "x.com/u")
    (root / "x.com").chmod(0)
    uses: list[Callable[[], object]] = [
        lambda: homes.exists(f"{root}/x.com/u"),
        lambda: homes.exists(f"{root}/x.com/nobody"),
        lambda: homes.measure(f"{root}/x.com/u"),
        lambda: homes.set_aside(f"{root}/x.com/nobody", "k"),
        lambda: list(homes.find_homes()),
    ]
    for use in uses:
        with pytest.raises(HomeError, match="Permission denied"):
            as_user(NOBODY, use)
    errors: list[HomeError] = []
    assert as_user(NOBODY, lambda: [list(homes.find_homes(on_error=errors.append)), len(errors)]) == [[], 1]


@needs_root
def test_an_unreadable_home_exists(homes: Homes, root: Path) -> None:
    fill(root / "u").chmod(0)
    assert as_user(NOBODY, lambda: homes.exists(f"{root}/u")) is True


def test_measure(homes: Homes, root: Path) -> None:
    home = fill(root / "u", 3)
    sent = home / "Maildir/.Sent"
    for part in ("cur", "new", "tmp"):
        (sent / part).mkdir(parents=True)
    (sent / "new/1").write_bytes(b"12345")
    (sent / "tmp/2").write_bytes(b"1")
    (home / "sieve/cur").mkdir(parents=True)
    (home / "sieve/cur/script").write_bytes(b"12")
    (sent / "cur/link").symlink_to("/etc/passwd")
    (home / "elsewhere").symlink_to("/etc")
    usage = homes.measure(f"{root}/u")
    assert (usage.bytes, usage.messages) == (38, 4)
    assert homes.measure(f"{root}/u", folder="").messages == 5
    with pytest.raises(HomeError, match="No such file"):
        homes.measure(f"{root}/missing")


def test_find_homes(homes: Homes, root: Path) -> None:
    fill(root / "x.com/u/s/e/user")
    fill(root / "x.com/u/s/e/user/nested")
    fill(root / "Upper/a")
    in_trash(homes, fill(root / "gone"))
    (root / "x.com/link").symlink_to(root / "Upper")
    (root / "lost+found").mkdir()
    assert sorted(homes.find_homes()) == [f"{root}/Upper/a", f"{root}/x.com/u/s/e/user"]
    assert sorted(homes.find_homes(folder="Mail")) == []


def test_find_homes_that_are_maildirs_themselves(homes: Homes, root: Path) -> None:
    homes.create(f"{root}/x.com/a", folder="")
    assert list(homes.find_homes(folder="")) == [f"{root}/x.com/a"]


# --- the trash --------------------------------------------------------------------------------------------------------


def test_set_aside_put_back_and_unlink(homes: Homes, root: Path) -> None:
    home = fill(root / "x.com/u", 3)
    before = below(home)
    trashed = in_trash(homes, home, "3f2a91c0-17")
    assert not homes.exists(str(home))
    assert trashed.path.startswith(f"{root}/{TRASH}/3f2a91c0-17.")
    assert stat.S_IMODE((root / TRASH).stat().st_mode) == 0o700
    assert list(homes.trashed()) == [trashed]

    homes.put_back(trashed, f"{root}/y.com/back")
    assert below(root / "y.com/back") == before
    assert list(homes.trashed()) == []
    with pytest.raises(HomeError, match="does not exist"):
        homes.put_back(trashed, f"{root}/z.com/again")
    assert not (root / "z.com").exists()

    again = in_trash(homes, root / "y.com/back")
    progress: list[int] = []
    assert homes.unlink(again, progress=progress.append).files == 3
    assert progress[-1] == 3
    assert homes.unlink(again).files == 0
    assert below(root / TRASH) == set()


def test_keys_are_matched_exactly_or_by_prefix(homes: Homes, root: Path) -> None:
    for key in ("a-1", "a-17", "b-1"):
        in_trash(homes, fill(root / "u"), key)
    (root / TRASH / "not ours").mkdir()
    (root / TRASH / "a-1.0123abcd").touch()
    assert [entry.key for entry in homes.find_trashed("a-1", str(root / "u"))] == ["a-1"]
    assert sorted(entry.key for entry in homes.trashed("a-")) == ["a-1", "a-17"]
    assert len(list(homes.trashed())) == 3


def test_a_root_that_is_not_mounted_does_not_hide_the_trash_of_another(root: Path) -> None:
    homes = Homes([root, root.with_name("unmounted")])
    entry = in_trash(homes, fill(root / "u"))
    assert homes.find_trashed("store-1", str(root / "u")) == [entry]
    assert homes.find_trashed("store-1", str(root / "absent")) == [entry]
    with pytest.raises(HomeError, match="is its file system mounted"):
        homes.find_trashed("store-1", f"{root.with_name('unmounted')}/u")


def test_a_root_that_is_not_there_does_not_hide_the_trash_of_others(root: Path) -> None:
    trashed = in_trash(Homes([root]), fill(root / "u"))
    errors: list[HomeError] = []
    both = Homes([root.parent / "missing", root])
    assert list(both.trashed(on_error=errors.append)) == [trashed]
    assert len(errors) == 1


@pytest.mark.parametrize("key", ["", "A", "a.b", "a/b", "..", "a\n", "ä"])
def test_bad_keys_are_refused(homes: Homes, root: Path, key: str) -> None:
    home = fill(root / "u")
    with pytest.raises(InvalidValue):
        homes.set_aside(str(home), key)
    assert home.exists()


def test_put_back_never_replaces_a_home(homes: Homes, root: Path) -> None:
    trashed = in_trash(homes, fill(root / "u"))
    (root / "u").mkdir()
    with pytest.raises(HomeRefused, match="already exists"):
        homes.put_back(trashed, f"{root}/u")
    assert list(homes.trashed()) == [trashed]
    assert below(root / "u") == set()


@needs_root
def test_a_home_of_a_foreign_owner_is_not_set_aside(root: Path) -> None:
    home = fill(root / "u")
    with pytest.raises(HomeRefused, match="uid 0 instead of uid 5000"):
        Homes([root], owner=VMAIL).set_aside(str(home), "k")
    assert home.exists()


@needs_root
def test_a_foreign_trash_is_refused(homes: Homes, root: Path) -> None:
    (root / TRASH).mkdir()
    os.chown(root / TRASH, NOBODY, NOBODY)
    with pytest.raises(HomeRefused, match="belongs to uid"):
        homes.set_aside(str(fill(root / "u")), "k")


def test_a_trash_that_is_a_link_is_refused(homes: Homes, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / TRASH).symlink_to(outside)
    with pytest.raises(HomeRefused):
        homes.set_aside(str(fill(root / "u")), "k")
    with pytest.raises(HomeRefused):
        homes.unlink(Trashed(str(root), "k", f"{root}/{TRASH}/k.00000000"))
    assert below(outside) == set()


@pytest.mark.parametrize("path", ["/etc", "{root}/x", "{root}/.mailstore-trash/../x", "{root}/.mailstore-trash/x"])
def test_only_entries_of_the_trash_are_unlinked_or_put_back(homes: Homes, root: Path, path: str) -> None:
    forged = Trashed(str(root), "k", path.format(root=root))
    with pytest.raises(HomeRefused):
        homes.unlink(forged)
    with pytest.raises(HomeRefused):
        homes.put_back(forged, f"{root}/u")


def test_a_home_on_another_file_system_is_not_set_aside(homes: Homes, root: Path) -> None:
    with tmpfs(root / "x.com"):
        fill(root / "x.com/u")
        for home in ("x.com", "x.com/u"):
            with pytest.raises(HomeRefused, match="another file system"):
                homes.set_aside(f"{root}/{home}", "k")
        assert (root / "x.com/u/Maildir/cur/0.M1P1.host:2,S").exists()


def test_a_mount_inside_a_home_is_not_emptied(homes: Homes, root: Path) -> None:
    outside = fill(root.parent / "outside")
    mount_point = fill(root / "u") / "Maildir/.shared"
    mount_point.mkdir()
    trashed = in_trash(homes, root / "u")
    with mounted(Path(trashed.path) / "Maildir/.shared", "--bind", str(outside)):
        with pytest.raises(HomeRefused, match="mount point"):
            homes.unlink(trashed)
        assert len(below(outside)) == 7
    homes.unlink(trashed)
    assert below(root / TRASH) == set()
    assert len(below(outside)) == 7


# --- removal ----------------------------------------------------------------------------------------------------------


def test_hostile_names_are_removed_and_links_not_followed(homes: Homes, root: Path) -> None:
    outside = fill(root.parent / "outside")
    home = fill(root / "u", 0)
    names = [b"new\nline", b"bad-\xff\xfe", b"...", b".. ", b"-rf", b"*", "ü".encode(), b"x" * 255, b".gone-"]
    for name in names:
        directory = home / os.fsdecode(b"d" + name[:200])
        (directory / os.fsdecode(name)).mkdir(parents=True)
        (directory / "f").touch()
        (directory / "link").symlink_to(outside)
    os.mkfifo(home / "fifo")
    (home / "loop").symlink_to(home)
    size = homes.measure(str(home)).bytes
    assert size == 0
    assert homes.unlink(in_trash(homes, home)).files == 2 * len(names) + 2
    assert below(root / TRASH) == set()
    assert len(below(outside)) == 7


def test_three_thousand_levels(homes: Homes, root: Path) -> None:
    home = root / "u"
    home.mkdir()
    fd = os.open(home, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("level", dir_fd=fd)
        child = os.open("level", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = child
    os.close(os.open("deep", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd))
    os.write(bottom := os.open("deep", os.O_WRONLY, dir_fd=fd), b"12345")
    os.close(bottom)
    os.close(fd)
    assert homes.measure(str(home)).bytes == 5
    assert homes.unlink(in_trash(homes, home)).files == 1
    assert below(root / TRASH) == set()


@needs_root
def test_directories_without_rights_are_removed_by_their_owner(root: Path) -> None:
    os.chown(root, NOBODY, NOBODY)
    homes = Homes([root])

    def make_and_remove() -> int:
        home = fill(root / "u")
        (home / "closed/deep/deeper").mkdir(parents=True)
        (home / "closed/deep/deeper/file").touch()
        for name, mode in (("closed/deep/deeper", 0o500), ("closed/deep", 0), ("closed", 0o500), ("Maildir/cur", 0)):
            (home / name).chmod(mode)
        home.chmod(0)
        return homes.unlink(in_trash(homes, home)).files

    assert as_user(NOBODY, make_and_remove) == 4
    assert below(root / TRASH) == set()


@needs_root
def test_what_may_not_be_removed_is_named(root: Path) -> None:
    os.chown(root, NOBODY, NOBODY)
    home = fill(root / "u", 1)
    os.chown(home, NOBODY, NOBODY)
    homes = Homes([root])

    def remove() -> int:
        return homes.unlink(in_trash(homes, home)).files

    with pytest.raises(HomeError, match=r"Permission denied \(at 'cur'\)"):
        as_user(NOBODY, remove)


def test_a_killed_removal_is_not_put_back_but_resumed(
    homes: Homes, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dirfd, "_BATCH", 100)
    home = fill(root / "u", 350)
    (home / "Maildir/.Sub/cur").mkdir(parents=True)
    trashed = in_trash(homes, home)
    receiver, sender = fork.Pipe(duplex=False)

    def remove_slowly() -> None:
        def wait_to_be_killed(files: int) -> None:
            if files:
                sender.send(files)
                time.sleep(60)

        homes.unlink(trashed, progress=wait_to_be_killed)

    process = fork.Process(target=remove_slowly)
    process.start()
    assert receiver.poll(20)
    removed = receiver.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    (left,) = homes.trashed()
    assert left.removing
    assert left.key == trashed.key
    for entry in (left, trashed):
        with pytest.raises(HomeError):
            homes.put_back(entry, f"{root}/u")
    assert not homes.exists(f"{root}/u")
    assert 0 < removed < 350
    assert homes.unlink(trashed).files == 350 - removed
    assert list(homes.trashed()) == []


def test_processes_removing_the_same_tree_share_the_work(homes: Homes, root: Path) -> None:
    home = fill(root / "u", 500)
    for number in range(100):
        (home / f"Maildir/.F{number}/cur").mkdir(parents=True)
        (home / f"Maildir/.F{number}/cur/1").touch()
    trashed = in_trash(homes, home)
    results = race(3, lambda _index: str(homes.unlink(trashed).files))
    assert sum(int(result) for result in results) == 600
    assert below(root / TRASH) == set()


def test_processes_setting_aside_the_same_home(homes: Homes, root: Path) -> None:
    fill(root / "u")
    results = race(6, lambda _index: str(homes.set_aside(f"{root}/u", "k") is not None))
    assert sorted(results) == ["False"] * 5 + ["True"]
    assert len(list(homes.trashed())) == 1


def test_moving_up_waits_for_room_on_a_full_disk(homes: Homes, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename may need a new directory block; ext4 is hard to fill to the byte, so the fault is injected."""
    trashed = in_trash(homes, fill(root / "u"))
    rename, refused = os.rename, iter([False, True, True, True])

    def full(*names: Any, **descriptors: Any) -> None:
        if next(refused, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), names[0])
        rename(*names, **descriptors)

    monkeypatch.setattr(os, "rename", full)
    assert homes.unlink(trashed).files == 3
    assert below(root / TRASH) == set()


def test_no_descriptor_is_left_open(homes: Homes, root: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    homes.create(f"{root}/x.com/u")
    with pytest.raises(HomeRefused):
        homes.create(f"{root}/x.com/u")
    homes.measure(f"{root}/x.com/u")
    next(homes.find_homes())
    homes.unlink(in_trash(homes, root / "x.com/u"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_home_is_made_within_another(tmp_path: Path) -> None:
    """Another tool put a mailbox where the layout puts others; with its purge they would all go."""
    homes = Homes([tmp_path / "root"])
    (tmp_path / "root" / "example.com" / "Maildir" / "cur").mkdir(parents=True)
    with pytest.raises(HomeRefused, match="root/example\\.com, which is the home of a mailbox"):
        homes.create(f"{tmp_path}/root/example.com/b/o/b/bob")
    assert not (tmp_path / "root" / "example.com" / "b").exists()
    homes.create(f"{tmp_path}/root/example.org/b/o/b/bob")
    with pytest.raises(HomeRefused, match="b/bob, which is the home of a mailbox"):
        homes.create(f"{tmp_path}/root/example.org/b/o/b/bob/archive/ann")
