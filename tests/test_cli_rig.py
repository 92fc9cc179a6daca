"""What the tests of the command line have in common; there are no tests in here."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from click.testing import CliRunner, Result

from mailstore.cli.root import root
from tests.servers.process import make_directory

PASSWORD = "correct horse"


def run(*args: str, stdin: str | bytes | None = None) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(root, args, input=stdin, prog_name="mailstore")


@cache
def _new_store() -> bytes:
    """Return the file of a new store, which takes longer to make than most tests."""
    with TemporaryDirectory() as directory:
        cli = Cli(Path(directory))
        cli("schema", "create")
        cli("domain", "create", "example.com", "--name", "Example")
        return cli.database.read_bytes()


@dataclass(frozen=True)
class Cli:
    """The command line on a SQLite store of its own."""

    directory: Path

    @classmethod
    def with_store(cls, directory: Path) -> Cli:
        """Return one whose store has the domain example.com."""
        made = cls(directory)
        make_directory(made.homes)
        made.database.write_bytes(_new_store())
        return made

    @property
    def homes(self) -> Path:
        return self.directory / "homes"

    @property
    def database(self) -> Path:
        return self.directory / "vmail.db"

    @property
    def store(self) -> tuple[str, ...]:
        """The options that name the store."""
        return ("--url", f"iredmail+sqlite:///{self.database}", "--homes", str(self.homes))

    def run(self, *args: str | Path, stdin: str | bytes | None = None, form: str = "lines") -> Result:
        """Run a command, whatever its exit code."""
        return run(*self.store, "--format", form, *map(str, args), stdin=stdin)

    def __call__(self, *args: str | Path, stdin: str | None = None, form: str = "lines", code: int = 0) -> str:
        """Run a command that has to end with `code`; return its standard output."""
        result = self.run(*args, stdin=stdin, form=form)
        assert result.exit_code == code, (args, result.exit_code, result.stdout, result.stderr)
        return result.stdout

    def json(self, *args: str | Path, stdin: str | None = None, code: int = 0) -> Any:
        """Run a command and return what it answered."""
        return json.loads(self(*args, stdin=stdin, form="json", code=code))

    def error(self, *args: str | Path, code: int, stdin: str | bytes | None = None) -> str:
        """Run a command that has to fail with `code`; return its standard error."""
        result = self.run(*args, stdin=stdin)
        assert result.exit_code == code, (args, result.exit_code, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        assert result.stderr.startswith("mailstore: ")
        return result.stderr

    def account(self, address: str, *options: str, password: str = PASSWORD) -> Any:
        """Create an account."""
        return self.json("account", "create", address, "--password-stdin", *options, stdin=password)

    def verifies(self, address: str, password: str) -> bool:
        """Tell whether an account has this password."""
        result = self.run("account", "verify-password", address, "--password-stdin", stdin=password)
        return result.exit_code == 0

    def sql(self, statement: str, *values: Any) -> None:
        """Change the database behind the library's back."""
        with sqlite3.connect(self.database) as connection:
            connection.execute(statement, values)
        connection.close()

    def command(self, *args: str) -> list[str]:
        """Return the command line of a real process."""
        return [sys.executable, "-m", "mailstore", *self.store, *args]

    def process(self, *args: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a real process to its end."""
        return subprocess.run(
            self.command(*args), input=stdin, capture_output=True, text=True, env={**os.environ, **variables}
        )
