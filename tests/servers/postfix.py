"""Postfix's lookup tables, asked through postmap; no Postfix runs."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import time
from typing import TYPE_CHECKING

from tests.servers.process import ENVIRONMENT, MissingCapabilityError, ServerError, make_directory, program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@functools.cache
def _map_types() -> frozenset[str]:
    result = subprocess.run([program("postconf"), "-m"], capture_output=True, text=True, env=ENVIRONMENT)
    return frozenset(result.stdout.split())


class PostfixLookup:
    """Queries of mysql, pgsql and sqlite maps, as Postfix would make them."""

    def __init__(self, directory: Path) -> None:
        self.directory = make_directory(directory)
        self._write("main.cf", "")

    def query(self, map_type: str, config_text: str, key: str) -> str | None:
        """Return what a map holds for a key; several rows are joined by commas."""
        result = self._postmap(map_type, config_text, key)
        return result.removesuffix("\n") if result else None

    def query_many(self, map_type: str, config_text: str | Sequence[str], keys: Iterable[str]) -> dict[str, str | None]:
        """Look many keys up in one go, through several maps if there are several texts; missing ones are None."""
        answers: dict[str, str | None] = dict.fromkeys(keys)
        output = self._postmap(map_type, config_text, "-", "".join(f"{key}\n" for key in answers))
        for line in output.splitlines():
            key, _, value = line.partition("\t")
            answers[key] = value
        return answers

    def _postmap(self, map_type: str, config_text: str | Sequence[str], key: str, keys: str = "") -> str:
        if map_type not in _map_types():
            raise MissingCapabilityError(f"Postfix cannot read {map_type} maps (package postfix-{map_type})")
        texts = [config_text] if isinstance(config_text, str) else config_text
        tables = [f"{map_type}:{self._write_map(map_type, text)}" for text in texts]
        table = tables[0] if len(tables) == 1 else f"pipemap:{{{','.join(tables)}}}"
        result = subprocess.run(
            [program("postmap"), "-c", str(self.directory), "-q", key, table],
            input=keys,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=60,
        )
        # The exit code is 1 for a missing key and for an error alike.
        if result.returncode not in (0, 1) or "fatal:" in result.stderr or "error:" in result.stderr:
            raise ServerError(f"postmap failed: {result.stderr.strip()}")
        return result.stdout

    def _write_map(self, map_type: str, config_text: str) -> Path:
        digest = hashlib.sha256(config_text.encode()).hexdigest()[:16]
        return self._write(f"{map_type}-{digest}.cf", config_text)

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        # Postfix rereads a file changed in the last seconds until it is stable: 2 s a query.
        past = time.time() - 10
        os.utime(path, (past, past))
        return path
