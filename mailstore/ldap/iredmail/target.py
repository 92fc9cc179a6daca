"""What must be known of a directory to write an entry for it: the opened one, or one that a file is made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailstore.config import StoreConfig

__all__ = ["FileTarget", "Target"]


class Target(Protocol):
    """A directory that an entry is made for."""

    @property
    def config(self) -> StoreConfig:
        """The options of the store."""

    def knows(self, attribute: str, *classes: str) -> bool:
        """Tell whether an entry of one of these object classes may have an attribute."""

    def require(self, attributes: Sequence[str], *classes: str) -> None:
        """Raise NotSupported if an entry of these classes cannot have one of the attributes."""


@dataclass(frozen=True)
class FileTarget:
    """A directory that nobody asks anything: its schema is taken for that of the newest iRedMail."""

    config: StoreConfig

    def knows(self, attribute: str, *classes: str) -> bool:  # noqa: ARG002
        """Tell that every attribute is there."""
        return True

    def require(self, attributes: Sequence[str], *classes: str) -> None:
        """Accept all attributes."""
