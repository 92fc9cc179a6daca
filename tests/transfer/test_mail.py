"""Mail on its way: what Dovecot shows of it afterwards is what it showed before, and nobody's mail is ever replaced."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailstore.errors import HomeError
from mailstore.maildir import Homes
from mailstore.transfer import Carrier, Mailbox
from mailstore.transfer.arrivals import Arrivals
from tests.servers.dovecot import Dovecot
from tests.servers.process import make_directory
from tests.test_cli_rig import Cli, run
from tests.transfer.test_migration import sides  # noqa: F401 a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.disk.folders import FolderLayout
    from mailstore.transfer import Carried

AUTH = """\
passdb {
  driver = passwd-file
  args = {confdir}/users
}
userdb {
  driver = passwd-file
  args = {confdir}/users
}
"""
PLACES = {
    "same": ("Maildir", "", None), "inside": ("", "", None), "renamed": ("mail", "", None),
    "nested": ("Maildir", ":LAYOUT=fs", "fs"),
}  # fmt: skip
"""By the name of the user who gets the mail: the folder, the option of mail_location, and the layout asked for."""


@dataclass
class Servers:
    """A Dovecot in which ``old`` has mail of every kind, and roots for homes on either side."""

    dovecot: Dovecot
    source: Homes
    target: Homes

    def mailbox(self, user: str, folder: str) -> Mailbox:
        homes = self.source if user == "old" else self.target
        return Mailbox(f"{user}@example.com", f"{homes.roots[0]}/{user}", "maildir", folder)

    def carry(self, user: str, folder: str, layout: FolderLayout | None = None, way: Any = "copy") -> Carried:
        carrier = Carrier(self.source, self.target, way, layout=layout)
        (told,) = carrier.carry([(self.mailbox("old", "Maildir"), self.mailbox(user, folder))])
        return told

    def seen(self, user: str) -> dict[str, Any]:
        """Return all that IMAP shows of a user: by folder uidvalidity and messages, and what is subscribed."""
        found: dict[str, Any] = {}
        with self.dovecot.imap(user, "secret") as client:
            listed = [
                _name(line) for line in client.list()[1] if b"\\Noselect" not in line and b"\\NonExistent" not in line
            ]
            found["subscribed"] = sorted(_name(line)[0] for line in client.lsub()[1] if line)
            for name, raw in sorted(listed):
                client.select(raw, readonly=True)
                _, messages = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
                parts = [part for one in messages if isinstance(one, tuple) for part in one]
                rest = [one for one in messages if isinstance(one, bytes)]
                found[name] = (
                    client.response("UIDVALIDITY")[1],
                    [_flags_sorted(one) for one in parts],
                    len(rest),
                )
        return found


def _flags_sorted(part: bytes) -> bytes:
    """Return an answer with its flags in order; whether a message is recent depends on who looked first."""
    return re.sub(rb"FLAGS \(([^)]*)\)", lambda found: b" ".join(sorted({*found[1].split()} - {b"\\Recent"})), part)


def _name(line: Any) -> tuple[str, str]:
    """Return the name of a folder with slashes, and as the server has it."""
    delimiter, raw = re.fullmatch(rb'\(.*?\) "(.)" (.*)', line).groups()  # type: ignore[union-attr]
    return raw.strip(b'"').replace(delimiter, b"/").decode(), raw.decode()


@pytest.fixture(scope="module")
def module_servers(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Servers]:
    top = make_directory(scratch_root / "carried")
    roots = [make_directory(top / name, *vmail_owner) for name in ("there", "here")]
    lines = [("old", f"{roots[0]}/old", "~/Maildir")]
    lines += [(user, f"{roots[1]}/{user}", f"~/{folder}{option}") for user, (folder, option, _) in PLACES.items()]
    users = "".join(
        f"{user}:{{PLAIN}}secret:{vmail_owner[0]}:{vmail_owner[1]}::{home}::userdb_mail=maildir:{place}\n"
        for user, home, place in lines
    )
    dovecot = Dovecot(
        top / "dovecot", include=AUTH, files={"users": users}, vmail_uid=vmail_owner[0], vmail_gid=vmail_owner[1]
    )
    with dovecot:
        _fill(dovecot, roots[0] / "old")
        yield Servers(dovecot, Homes([roots[0]]), Homes([roots[1]]))


def _fill(dovecot: Dovecot, home: Path) -> None:
    with dovecot.imap("old", "secret") as client:
        for folder in ("Sent", "Work", "Work.2026", "Old.Deep.Down", "&AOQ-rger"):
            client.create(folder)
        for folder in ("Sent", "Work.2026", "&AOQ-rger"):
            client.subscribe(folder)
        for number, folder in enumerate(("INBOX", "INBOX", "INBOX", "Work.2026", "Old.Deep.Down")):
            date = f'"0{number + 1}-Jan-2020 10:00:00 +0000"'
            client.append(
                folder, r"(\Flagged Project)" if number % 2 else r"(\Seen)", date, b"Subject: %d\r\n\r\n" % number
            )
        client.select("INBOX")
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()  # so that the UIDs are not those that a new mailbox would give
        client.store("1", "+FLAGS", r"(\Answered $Label1)")
        client.copy("1", "Sent")  # by a hard link
    (home / "sieve").mkdir()
    (home / "sieve" / "main.sieve").write_text("keep;")
    (home / ".dovecot.sieve").symlink_to("sieve/main.sieve")


@pytest.fixture
def servers(module_servers: Servers, vmail_owner: tuple[int, int]) -> Servers:
    """The servers, with nothing at the target."""
    root = Path(module_servers.target.roots[0])
    shutil.rmtree(root)
    make_directory(root, *vmail_owner)
    return module_servers


@pytest.mark.parametrize("user", PLACES)
def test_a_copy_shows_what_the_original_does(user: str, servers: Servers) -> None:
    folder, _, layout = PLACES[user]
    before = servers.seen("old")
    assert len(before) == 7
    source = Path(servers.source.roots[0]) / "old"
    files = {path.relative_to(source): path.lstat().st_mtime_ns for path in source.rglob("*") if not path.is_dir()}
    told = servers.carry(user, folder, layout)
    assert told.action == "copied", told.reason
    assert servers.seen(user) == before
    after = {path.relative_to(source): path.lstat().st_mtime_ns for path in source.rglob("*") if not path.is_dir()}
    assert after == files
    home = Path(servers.target.roots[0]) / user
    if folder:
        assert (home / ".dovecot.sieve").readlink() == Path("sieve/main.sieve")
        assert (home / "sieve" / "main.sieve").stat().st_mtime_ns == files[Path("sieve/main.sieve")]
    else:
        assert "what is beside Maildir stays" in told.reason
        assert not (home / "sieve").exists()
    assert servers.carry(user, folder, layout).action == "unchanged"


def test_folders_in_each_other_are_laid_out_beside_each_other(servers: Servers) -> None:
    assert servers.carry("nested", "Maildir", "fs").action == "copied"
    back = Carrier(servers.target, Homes([servers.source.roots[0]]), "copy", layout="maildir++")
    old, new = servers.mailbox("nested", "Maildir"), servers.mailbox("same", "Maildir")
    carrier = Carrier(servers.target, servers.target, "copy", layout="maildir++")
    (told,) = carrier.carry([(old, new)])
    assert told.action == "copied", told.reason
    assert servers.seen("same") == servers.seen("old")
    (Path(old.home) / "Maildir" / "v1.2" / "cur").mkdir(parents=True)
    (told,) = back.carry([(old, Mailbox("x@example.com", f"{servers.source.roots[0]}/x", "maildir", "Maildir"))])
    assert (told.action, "v1.2 has a dot" in told.reason) == ("refused", True)


@pytest.mark.parametrize("user", ["same", "inside", "renamed"])
def test_a_home_is_moved_by_renames(user: str, servers: Servers, vmail_owner: tuple[int, int]) -> None:
    before = servers.seen("old")
    origin = Path(servers.source.roots[0]) / "old"
    # The mail of `old` is needed by other tests: what is moved is a copy.
    kept = origin.with_name("kept")
    shutil.copytree(origin, kept, symlinks=True)
    for path in (kept, *kept.rglob("*")):
        os.chown(path, *vmail_owner, follow_symlinks=False)
    inode = (origin / "Maildir" / "cur").stat().st_ino
    try:
        told = servers.carry(user, PLACES[user][0], way="move")
        assert told.action == "moved", told.reason
        assert servers.seen(user) == before
        home = Path(servers.target.roots[0]) / user
        assert (home / PLACES[user][0] / "cur").stat().st_ino == inode
        assert origin.exists() == (user == "inside")
        shutil.rmtree(origin, ignore_errors=True)
        assert servers.carry(user, PLACES[user][0], way="move").action == "unchanged"
    finally:
        shutil.rmtree(origin, ignore_errors=True)
        kept.rename(origin)


def test_homes_that_hold_anything_are_left(servers: Servers) -> None:
    with servers.dovecot.imap("same", "secret") as client:
        client.append("INBOX", "", "", b"Subject: theirs\r\n\r\n")
    before = servers.seen("same")
    for way in ("copy", "move"):
        told = servers.carry("same", "Maildir", way=way)
        assert (told.action, "there is mail in" in told.reason) == ("refused", True)
    assert servers.seen("same") == before


def test_a_home_without_mail_makes_room(servers: Servers) -> None:
    servers.target.create(servers.mailbox("same", "Maildir").home)
    assert servers.carry("same", "Maildir").action == "copied"


def test_mail_that_arrives_while_a_copy_is_put_in_place_is_left(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(self: Arrivals, home: str) -> None:
        (Path(home) / "Maildir" / "new").mkdir(parents=True)
        (Path(home) / "Maildir" / "new" / "1.theirs").write_text("x")
        os.chown(home, *self.owner_below(self.roots[0]))
        original(self, home)

    original = Arrivals.settle
    monkeypatch.setattr(Arrivals, "settle", settle)
    told = servers.carry("same", "Maildir")
    assert (told.action, "left as it is" in told.reason) == ("refused", True)
    assert (Path(servers.target.roots[0]) / "same" / "Maildir" / "new" / "1.theirs").read_text() == "x"


def test_a_broken_copy_goes_on(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed at the source meanwhile is brought up to date: flags are names, and there is no message twice."""
    home = Path(servers.source.roots[0]) / "old" / "Maildir"
    made = []
    original = os.rename

    def rename(*args: Any, **options: Any) -> None:
        if len(made) == 6:
            raise KeyboardInterrupt
        made.append(args)
        original(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr("os.rename", rename)
        with pytest.raises(KeyboardInterrupt):
            servers.carry("same", "Maildir")
    assert not (Path(servers.target.roots[0]) / "same").exists()
    assert list(servers.target.find_homes()) == []
    with servers.dovecot.imap("old", "secret") as client:
        client.select("INBOX")
        client.store("1", "+FLAGS", r"(\Flagged)")
        client.append("INBOX", "", '"09-Jan-2020 10:00:00 +0000"', b"Subject: later\r\n\r\n")
        client.logout()
    files = sum(1 for _ in home.rglob("*"))
    told = servers.carry("same", "Maildir")
    assert (told.action, 0 < told.files < files) == ("copied", True)
    assert servers.seen("same") == servers.seen("old")


def test_the_room_is_looked_at_first(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Arrivals, "free", lambda _self, _home: (1, 10))
    carrier = Carrier(servers.source, servers.target, "copy")
    with pytest.raises(HomeError, match="room for 10"):
        list(carrier.plan([(servers.mailbox("old", "Maildir"), servers.mailbox("same", "Maildir"))]))


def test_homes_within_each_other_are_refused(servers: Servers) -> None:
    old, new = servers.mailbox("old", "Maildir"), servers.mailbox("same", "Maildir")
    for way, others in (("copy", [old.home, f"{old.home}/inner"]), ("move", [old.home, old.home])):
        carrier = Carrier(servers.source, servers.target, way, others)  # type: ignore[arg-type]
        (told,) = carrier.carry([(old, new)])
        assert (told.action, "home of another account" in told.reason) == ("refused", True)
    carrier = Carrier(servers.source, servers.target, "copy", [f"{old.home}-er/x", old.home])
    assert [one.action for one in carrier.plan([(old, new)])] == ["copied"]


def test_other_formats_are_for_doveadm(servers: Servers) -> None:
    old = servers.mailbox("old", "Maildir")
    (told,) = Carrier(servers.source, servers.target, "copy").carry(
        [(Mailbox(old.address, old.home, "mdbox", "mdbox"), servers.mailbox("same", "Maildir"))]
    )
    assert (told.action, "doveadm" in told.reason) == ("refused", True)


# --- the command line


def url(cli: Cli) -> str:
    return f"iredmail+sqlite:///{cli.database}?homes={cli.homes}"


@pytest.mark.parametrize("way", ["copy", "move"])
def test_a_migration_with_its_mail(way: str, sides: tuple[Cli, Cli]) -> None:  # noqa: F811
    source, target = sides
    old = {name: Path(source.json("account", "show", f"{name}@example.com")["home"]) for name in ("anna", "bob")}
    (old["bob"] / "Maildir" / "new" / "1.message").write_text("hello")
    where = ("migrate", "--from", url(source), "--to", url(target), "--format", "json", "--yes", "--homes", way)
    done = f"{'copied' if way == 'copy' else 'moved'}"
    planned = run(*where, "--plan", "--map", "bob@example.com=rob@example.com")
    assert planned.exit_code == 0, planned.stderr
    rows = [row for row in json.loads(planned.stdout) if row["record"] == "home"]
    assert [(row["name"], row["was"], row["action"]) for row in rows] == [
        ("anna@example.com", "", done), ("rob@example.com", "bob@example.com", done)
    ]  # fmt: skip
    assert list(target.homes.iterdir()) == []
    migrated = run(*where, "--map", "bob@example.com=rob@example.com")
    assert migrated.exit_code == 0, migrated.stderr
    new = Path(target.json("account", "show", "rob@example.com")["home"])
    assert (new / "Maildir" / "new" / "1.message").read_text() == "hello"
    assert old["bob"].exists() == (way == "copy")
    assert json.loads(migrated.stdout)[-1]["reason"].startswith(f"{old['bob']} to {new}")
    again = run(*where, "--map", "bob@example.com=rob@example.com")
    assert {row["action"] for row in json.loads(again.stdout)} == {"unchanged"}
    assert target.json("check") == []


def test_a_script_leaves_other_layouts_to_doveadm(sides: tuple[Cli, Cli]) -> None:  # noqa: F811
    source, target = sides
    script = target.directory / "mail.sh"
    done = run(
        "migrate", "--from", url(source), "--to", url(target), "--yes", "--homes", "script", "--script", str(script),
        "--folders", "fs",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    home = source.json("account", "show", "bob@example.com")["home"]
    assert f"doveadm backup -R -u bob@example.com maildir:{home}/Maildir" in script.read_text().splitlines()


def test_without_homes_no_mail_is_brought(sides: tuple[Cli, Cli]) -> None:  # noqa: F811
    source, target = sides
    bare = f"iredmail+sqlite:///{target.database}"
    refused = run("migrate", "--from", url(source), "--to", bare, "--yes", "--homes", "copy")
    assert (refused.exit_code, "needs the option 'homes'" in refused.stderr) == (2, True)
    assert target("account", "list") == ""
