"""Completion in the shells themselves: they offer what the store holds."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mailstore.testing import temporary_store

SCRIPTS = Path(sys.executable).parent
_SET_UP = {
    "bash": 'PS1="ready> "; source <(mailstore completion bash)\n',
    "zsh": 'PS1="ready> "; autoload -U compinit; compinit -u; source <(mailstore completion zsh)\n',
}
_START = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store with a few accounts, named by the configuration file of the environment."""
    place = tmp_path_factory.mktemp("completion")
    with temporary_store(place) as store:
        for domain in ("example.com", "example.org"):
            store.domains.create(domain)
        for name in ("bob@example.com", "bill@example.com", "robert@example.org"):
            store.accounts.create(name, password="correct horse")
        store.aliases.create("sales@example.com", members=["bob@example.com"])
    config = place / "mailstore.toml"
    config.write_text(f'[stores.main]\nurl = "iredmail+sqlite:///{place}/vmail.db"\n', encoding="utf-8")
    return {
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(place), "MAILSTORE_CONFIG": str(config), "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }  # fmt: skip


def _after_tab(shell: str, typed: str, expected: str, environment: dict[str, str]) -> str:
    """Type into a shell on a terminal, press the tabulator, and return what it shows until `expected` is there."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(_START[shell][0], _START[shell], environment)  # noqa: S606 a fixed command
    try:
        os.write(terminal, _SET_UP[shell].encode())
        _read_until(terminal, "ready> ", after=b"\n")
        os.write(terminal, f"{typed}\t".encode())
        return _read_until(terminal, expected)
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def _read_until(terminal: int, expected: str, after: bytes = b"") -> str:
    shown = b""
    while expected not in _drawn(shown.partition(after)[2] if after else shown):
        shown += os.read(terminal, 4096)
    return _drawn(shown)


def _drawn(shown: bytes) -> str:
    """Return what stands on the terminal when a shell goes back and writes over."""
    cells: list[str] = []
    place = 0
    for one in shown.decode(errors="replace"):
        if one == "\b":
            place -= 1
        else:
            cells[place : place + 1] = one
            place += 1
    return "".join(cells)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("mailstore account show bo", "bob@example.com"),
        ("mailstore account create new@example.o", "new@example.org"),
        ("mailstore --store m", "main"),
        ("mailstore alias member-add sales@example.com rob", "robert@example.org"),
    ],
)
def test_the_tabulator_completes_what_the_store_holds(
    shell: str, typed: str, expected: str, environment: dict[str, str]
) -> None:
    assert expected in _after_tab(shell, typed, expected, environment)


def test_fish_offers_what_the_store_holds(environment: dict[str, str]) -> None:
    script = "mailstore completion fish | source; complete -C 'mailstore account list --domain example.'"
    done = subprocess.run(["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["example.com", "example.org"], done.stderr


def test_nothing_is_offered_and_nothing_is_said_when_the_store_does_not_answer(environment: dict[str, str]) -> None:
    asked = {
        **environment, "MAILSTORE_CONFIG": "/nowhere", "_MAILSTORE_COMPLETE": "bash_complete",
        "COMP_WORDS": "mailstore account show b", "COMP_CWORD": "3",
    }  # fmt: skip
    done = subprocess.run(["mailstore"], env=asked, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
