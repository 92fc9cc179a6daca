"""The systemd unit, the sample configuration, and that the daemon lives with its sandbox."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailstored.settings import load
from tests.servers.process import MissingCapabilityError, as_user, is_root, program
from tests.test_daemon_rig import Mail

SYSTEMD = Path(__file__).parent.parent / "daemon" / "systemd"
UNIT = SYSTEMD / "mailstored.service"
SAMPLE = SYSTEMD / "mailstore.toml"
DROP_INS = sorted((SYSTEMD / "drop-ins").iterdir())
MOST_EXPOSURE = 20  # tenths

# What systemd would do to the process by NoNewPrivileges= and MemoryDenyWriteExecute=.
SANDBOXED = """\
import ctypes, sys
libc = ctypes.CDLL(None)
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 38, 65
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_MDWE, 1, 0, 0, 0):
    sys.exit(99)
from mailstored.main import main
main()
"""


@pytest.fixture
def unit(workdir: Path) -> Path:
    """The unit with a program that exists."""
    path = workdir / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/mailstore/bin/mailstored", sys.executable))
    return path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program("systemd-analyze"), *arguments], capture_output=True, text=True)


def values(key: str) -> list[str]:
    """Return what the unit sets a key to, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_the_unit_is_valid(unit: Path) -> None:
    result = analyze("verify", "--man=no", str(unit))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_unit_is_sandboxed(unit: Path) -> None:
    result = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSURE}", str(unit))
    if "Failed to" in result.stderr:
        raise MissingCapabilityError(f"systemd-analyze cannot judge units here: {result.stderr.strip()}")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", ["mailstored", "mailstore-http"])
@pytest.mark.parametrize("drop_in", DROP_INS, ids=[path.stem for path in DROP_INS])
def test_the_drop_ins_are_valid_and_keep_the_sandbox(workdir: Path, drop_in: Path, name: str) -> None:
    service = workdir / f"{name}.service"
    text = (SYSTEMD / service.name).read_text()
    service.write_text(text.replace(f"/opt/mailstore/bin/{name}", sys.executable))
    folder = workdir / f"{service.name}.d"
    folder.mkdir()
    (folder / drop_in.name).write_text(drop_in.read_text())
    (folder / "zz.conf").write_text("[Service]\nNoSuchKey=1\n")  # shows that drop-ins are read at all
    result = analyze("verify", "--man=no", str(service))
    assert "NoSuchKey" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    (folder / "zz.conf").unlink()
    result = analyze("verify", "--man=no", str(service))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    # systemd cannot judge files with their drop-ins offline: one file that says both in turn means the same.
    service.write_text(f"{service.read_text()}\n{drop_in.read_text()}")
    result = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSURE}", str(service))
    if "Failed to" in result.stderr:
        raise MissingCapabilityError(f"systemd-analyze cannot judge units here: {result.stderr.strip()}")
    assert result.returncode == 0, result.stdout


def test_the_unit_and_the_sample_fit_together() -> None:
    parser = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
    parser.read_string(UNIT.read_text())
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert service["RestartPreventExitStatus"] == "2"
    settings = load(SAMPLE)
    assert all(
        any(home.startswith(path) for path in values("ReadWritePaths")) for home in settings.stores["main"].homes
    )
    [credential] = values("LoadCredential")
    assert credential.partition(":")[0] == settings.stores["main"].password_file


def test_purges_in_the_sandbox_as_the_owner_of_the_mail(workdir: Path, vmail_owner: tuple[int, int]) -> None:
    mail = Mail(workdir / "mail", vmail_owner)
    mail.expire(2, files=2)
    config = workdir / "mailstore.toml"
    config.write_text(mail.toml("main"))
    trace = workdir / "trace"
    if is_root():
        subprocess.run(["chown", "-R", "{}:{}".format(*vmail_owner), str(mail.directory)], check=True)
    prefix = [*as_user(None), program("strace"), "-f", "-qq", "-o", str(trace)]
    if is_root():
        uid, gid = vmail_owner
        prefix += [program("setpriv"), f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    command = [*prefix, sys.executable, "-c", SANDBOXED, "--config", str(config), "--once"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if result.returncode == 99:
        raise MissingCapabilityError("this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert result.returncode == 0, result.stderr
    assert not mail.homes()
    assert not mail.trashed()
    # What comes before the last execve belongs to the programs that start the daemon.
    own = trace.read_text().rpartition("execve(")[2]
    used = set(re.findall(r"^\d+ +(\w+)\(", own, re.MULTILINE))
    assert "unlinkat" in used
    assert used <= allowed_calls()


def allowed_calls() -> set[str]:
    """Return the system calls that the unit allows."""
    listed = analyze("syscall-filter", "--no-pager")
    if listed.returncode:
        raise MissingCapabilityError("systemd-analyze cannot list system calls here")
    groups: dict[str, list[str]] = {}
    for line in listed.stdout.splitlines():
        if line.startswith("@"):
            members = groups.setdefault(line.strip(), [])
        elif line.strip() and not line.strip().startswith("#"):
            members.append(line.strip())
    allowed: set[str] = set()
    for value in values("SystemCallFilter"):
        calls = {call for group in value.lstrip("~").split() for call in expanded(group, groups)}
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


def expanded(name: str, groups: dict[str, list[str]]) -> set[str]:
    if not name.startswith("@"):
        return {name}
    return {call for member in groups[name] for call in expanded(member, groups)}
