"""What an API is to the application, and what those of other products have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mailstore_http.failures import FailedLogins
from mailstore_http.messages import Answer, Request
from mailstore_http.settings import DialectSettings
from mailstore_http.stores import Stores

__all__ = ["Dialect", "ProductDialect"]


class Dialect(Protocol):
    """One API below some prefixes."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""

    @property
    def prefixes(self) -> Sequence[str]:
        """Where it is served."""

    def handle(self, request: Request, path: str) -> Answer:
        """Answer a request whose path is ``path`` below the prefix. Raises UnreadableError."""

    def refusal(self, status: int, text: str) -> Answer:
        """Return how this API says that something is wrong which is not about a call of its own."""


class ProductDialect:
    """One API of another product: what the configuration says of it, and whom it lets in."""

    def __init__(self, settings: DialectSettings, stores: Stores, failures: FailedLogins) -> None:
        self._settings = settings
        self._stores = stores
        self._failures = failures

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._settings.name

    @property
    def prefixes(self) -> Sequence[str]:
        """Where it is served."""
        return self._settings.prefixes

    def _admits(self, request: Request) -> bool:
        """Tell whether the configuration lets this client in at all."""
        return not self._settings.clients or request.client in self._settings.clients
