"""What a simple command imports: each package costs every call of it, and comes back unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mailstore.passwords import hash_password
from tests.rigs import on_sqlite

PACKAGES = {"click", "idna", "mailstore", "msgspec", "sqlalchemy", "typing_extensions"}
"""What stands beside Python's own library."""
HEAVY = {"sqlalchemy.dialects.mysql", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm", "sqlalchemy.ext.asyncio"}
MOST = 170
"""Modules of our own; the rest of them belongs to other stores and other commands."""

SHOW = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from mailstore.cli import main
main()
"""


def test_showing_an_account_imports_what_it_needs(tmp_path: Path) -> None:
    rig = on_sqlite(tmp_path, tmp_path / "homes", (0, 0))
    with rig.open_without_disk() as store:
        store.domains.create("a.test")
        store.accounts.create("bob@a.test", password_hash=hash_password("x"))
    rig.close()
    command = [sys.executable, "-c", SHOW, "--url", rig.url, "account", "show", "bob@a.test"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "bob@a.test" in done.stdout
    modules = set(json.loads(done.stderr.splitlines()[-1]))
    foreign = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"__main__", "_distutils_hack"}
    assert {name for name in foreign if not name.startswith(("_", "a1_", "cython"))} <= PACKAGES
    assert not modules & HEAVY
    assert sum(name.startswith("mailstore") for name in modules) <= MOST
