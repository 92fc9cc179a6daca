"""The state of a database and of a tree of homes: kept, compared, put back."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.rigs import Rig

__all__ = ["Image", "State", "errors", "files", "state_of", "tree"]

State = dict[str, list[str]]

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?")
_STAMP = re.compile(r"-\d{4}(\.\d\d){5}")
_TOKEN = re.compile(r"\.[0-9a-f]{8}(?=[./]|$)|(?<=\.gone-)[0-9a-f]{8}")
_NUMBER_IN_SNAPSHOT = re.compile(r'"id": \d+')
_NUMBERS = {"id", "record_id"}


def state_of(rig: Rig) -> State:
    """Return all rows without what differs between two runs of an operation: times, and numbers given in sequence."""
    found = {}
    for name, rows in rig.everything().items():
        columns = [column.name for column in rig.metadata.tables[name].columns]
        found[name] = sorted(
            repr([_neutral(column, value) for column, value in zip(columns, row, strict=True)]) for row in rows
        )
    return found


def _neutral(column: str, value: Any) -> Any:
    if column in _NUMBERS or isinstance(value, datetime):
        return None
    if isinstance(value, str):
        return _NUMBER_IN_SNAPSHOT.sub("", _STAMP.sub("-STAMP", _TIME.sub("TIME", value)))
    return value


def errors(rig: Rig) -> list[Any]:
    """Return what the store's own checker finds to be wrong."""
    return [finding for finding in rig.shared.check() if finding.severity == "error"]


def files(root: Path) -> dict[str, Path]:
    """Return the files below `root` by content: every message of a test has a text of its own."""
    found: dict[str, Path] = {}
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            text = path.read_text()
            assert text not in found, f"{path} is there twice"
            found[text] = path
    return found


def tree(root: Path) -> list[str]:
    """Return everything below `root`, without what differs between two runs."""
    return sorted(_TOKEN.sub(".TOKEN", _STAMP.sub("-STAMP", str(path.relative_to(root)))) for path in root.rglob("*"))


@dataclass(frozen=True)
class Image:
    """All rows and all homes of a rig at one moment."""

    rig: Rig
    rows: dict[str, list[tuple[Any, ...]]]
    homes: Path | None

    @classmethod
    def take(cls, rig: Rig, homes: Path | None = None) -> Image:
        """Copy the rows into memory, and the homes to the new directory `homes`, if one is named."""
        if homes:
            _copy(rig.root, homes)
        return cls(rig, rig.everything(), homes)

    def put_back(self) -> None:
        """Make everything as it was."""
        if self.homes:
            shutil.rmtree(self.rig.root)
            _copy(self.homes, self.rig.root)
        self.rig.clear()
        tables = self.rig.metadata.tables
        with self.rig.engine.begin() as connection:
            for name, rows in self.rows.items():
                if rows:
                    columns = tables[name].columns
                    for row in rows:
                        # A date that is none reads as none, and comes back as the default that it was.
                        values = {
                            column.name: value
                            for column, value in zip(columns, row, strict=True)
                            if value is not None or column.nullable
                        }
                        connection.execute(tables[name].insert().values(values))


def _copy(source: Path, destination: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(destination)], check=True)
