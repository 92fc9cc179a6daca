"""The command line as real processes: start-up, terminals, signals and pipes."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from mailstore.version import __version__
from tests.test_cli_rig import PASSWORD, Cli

HEAVY = {"sqlalchemy", "rich", "email_validator", "passlib", "argon2", "bcrypt", "pymysql", "psycopg"}
# Runs a command on a terminal of its own, as its controlling one: passwords are asked for there.
ON_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture
def cli(workdir: Path) -> Cli:
    return Cli.with_store(workdir)


class Terminal:
    """A command that runs on a terminal."""

    def __init__(self, cli: Cli, *args: str) -> None:
        command = [sys.executable, "-c", ON_TERMINAL, *cli.command(*args)]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.seen = ""

    def answer(self, question: str, text: str) -> None:
        """Wait for a question and type an answer."""
        asked = self.seen.count(question)
        while self.seen.count(question) == asked:
            self._read()
        self._type(text)

    def interrupt(self, question: str) -> int:
        """Wait for a question, press Ctrl-C until the command ends, and return its exit code."""
        # Once is not enough where it comes just before the interpreter begins to wait for a line.
        self.answer(question, "\x03")
        while not self._readable() or self._read():
            if not self._readable():
                self._type("\x03")
        return self.end()

    def _readable(self) -> bool:
        """Wait half a second for something to read, or the end."""
        return bool(select.select([self._process.stdout], [], [], 0.5)[0])

    def _type(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _read(self) -> bool:
        assert self._process.stdout
        data = os.read(self._process.stdout.fileno(), 4096)
        self.seen += data.decode()
        return bool(data)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        while self._read():
            pass
        with self._process:
            return self._process.wait()


@pytest.mark.parametrize("line", [["--version"], ["--help"], ["account", "--help"], ["lookups", "dovecot", "--help"]])
def test_help_and_version_import_nothing_heavy(line: list[str]) -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); sys.argv[0] = 'mailstore'; "
    )
    code += "from mailstore.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True)
    assert result.returncode == 0
    assert not HEAVY & {name.partition(".")[0] for name in result.stderr.split()}
    assert line != ["--version"] or result.stdout == f"mailstore {__version__}\n"


def test_the_installed_script(cli: Cli) -> None:
    script = Path(sys.executable).parent / "mailstore"
    result = subprocess.run([script, *cli.store, "domain", "list"], capture_output=True, text=True)
    assert (result.returncode, result.stdout.partition("\t")[0]) == (0, "example.com")


def test_exit_codes_and_one_line_of_error(cli: Cli) -> None:
    for code, *line in ((5, "account", "show", "x@example.com"), (2, "account"), (0, "check")):
        result = cli.process(*map(str, line))
        assert result.returncode == code
        assert "Traceback" not in result.stderr
    assert "Traceback" in cli.process("account", "show", "x@example.com", MAILSTORE_DEBUG="1").stderr


def test_a_password_is_asked_for_twice_and_not_shown(cli: Cli) -> None:
    terminal = Terminal(cli, "account", "create", "bob@example.com")
    terminal.answer("Password: ", f"{PASSWORD}\n")
    terminal.answer("Repeat for confirmation: ", f"{PASSWORD}\n")
    assert terminal.end() == 0
    assert PASSWORD not in terminal.seen
    assert "created bob@example.com" in terminal.seen
    assert cli.verifies("bob@example.com", PASSWORD)


def test_a_question_is_asked_on_a_terminal(cli: Cli) -> None:
    terminal = Terminal(cli, "domain", "delete", "example.com")
    terminal.answer("[y/N]: ", "n\n")
    assert terminal.end() == 1
    terminal = Terminal(cli, "domain", "delete", "example.com")
    terminal.answer("[y/N]: ", "y\n")
    assert terminal.end() == 0
    assert cli("domain", "list") == ""


def test_a_table_on_a_terminal_is_free_of_what_was_stored(cli: Cli) -> None:
    cli.sql("UPDATE domain SET description = ?", "\x1b]0;title\x07\x1b[2J")
    terminal = Terminal(cli, "domain", "show", "example.com")
    assert terminal.end() == 0
    assert "\\x1b]0;title\\x07" in terminal.seen
    assert not re.search("\x1b[^[]|\x1b\\[2J|\x07", terminal.seen)


def test_ctrl_c_at_a_question(cli: Cli) -> None:
    terminal = Terminal(cli, "domain", "delete", "example.com")
    assert terminal.interrupt("[y/N]: ") == 130
    assert "Traceback" not in terminal.seen
    assert cli("domain", "list")


def test_a_closed_pipe_is_silent(cli: Cli) -> None:
    for line in (["domain", "list"], ["--format", "table", "domain", "list"]):
        reading, writing = os.pipe()
        os.close(reading)
        result = subprocess.run(cli.command(*line), stdout=writing, stderr=subprocess.PIPE, text=True)
        os.close(writing)
        assert (result.returncode, result.stderr) == (141, "")


def test_the_first_interrupt_ends_a_purge_after_the_mailbox_in_hand(cli: Cli) -> None:
    code = """
import os, signal, sys
from mailstore.cli import purge
real = purge.purge_due
def interrupted(store, **given):
    for outcome in real(store, **given):
        os.kill(os.getpid(), signal.SIGINT)
        yield outcome
purge.purge_due = interrupted
from mailstore.cli import main
main()
"""
    for name in ("a", "b"):
        cli.account(f"{name}@example.com")
        cli("account", "delete", f"{name}@example.com", "--keep-days", "0")
    result = subprocess.run([sys.executable, "-c", code, *cli.store, "purge"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "")
    assert len(result.stdout.splitlines()) == 1
    assert cli.json("purge")[0]["action"] == "purged"


def test_a_busy_database_is_temporary(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    from mailstore.sql import engine

    monkeypatch.setattr(engine, "LOCK_SECONDS", 0)
    with sqlite3.connect(cli.database) as other:
        other.execute("BEGIN IMMEDIATE")
        error = cli.error("domain", "create", "b.org", code=75)
        other.rollback()
    other.close()
    assert error.splitlines()[1] == "This is temporary: the same command may succeed later."


def test_passwords_are_in_no_process_list(cli: Cli) -> None:
    process = subprocess.Popen(
        cli.command("account", "create", "bob@example.com", "--password-stdin"), stdin=subprocess.PIPE
    )
    assert process.stdin
    line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    process.communicate(PASSWORD.encode())
    assert process.returncode == 0
    assert PASSWORD.encode() not in line
