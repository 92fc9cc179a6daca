"""Where the mail of an account goes: what a call asks for, and what becomes of the destinations that are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mailstore.address import any_address
from mailstore.driver.names import Owners, Wanted, edited, wanted_in
from mailstore.driver.values import flag
from mailstore.model import Edit

__all__ = ["Forwarding"]

_keep_copy = flag("keep_copy")


def _nowhere(_: Collection[str]) -> Owners:
    return {}


@dataclass(frozen=True)
class Forwarding:
    """The parameters ``forwarding`` and ``keep_copy`` of an account, in normal form.

    ``wanted`` are the destinations, or a change to them; ``keep_copy`` is None if the caller does not say.
    """

    wanted: Wanted
    keep_copy: bool | None

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Forwarding:
        """Read what parameters say of it. Raises InvalidValue."""
        keep_copy = bool(_keep_copy(fields["keep_copy"])) if "keep_copy" in fields else None
        destinations = wanted_in(fields, "forwarding", any_address)
        return cls(Edit() if destinations is None else destinations, keep_copy)

    def of_new(self, address: str) -> tuple[tuple[str, ...], bool]:
        """Return what `after` does for a new account, whose mail goes to itself."""
        return self.after(address, (address,), _nowhere)

    def after(
        self, address: str, present: Iterable[str], owners: Callable[[Collection[str]], Owners]
    ) -> tuple[tuple[str, ...], bool]:
        """Return the destinations besides the account itself, in order, and whether it gets the mail too.

        Parameters
        ----------
        address: the account.
        present: where its mail goes, to itself for a copy; nothing stands for itself alone.
        owners: which domains lead where, asked only if something is spelled otherwise than it was named.
        """
        current = tuple(present) or (address,)
        if isinstance(self.wanted, Edit):
            named, targets = tuple(self.wanted.add), edited(self.wanted, current, owners)
        else:
            # The copy stays as it was, unless the caller names the account itself or says keep_copy.
            named = self.wanted.over(current)
            targets = (*named, *((address,) if address in current else ()))
        others = tuple(target for target in dict.fromkeys(targets) if target != address)
        keeps = address in targets if self.keep_copy is None else self.keep_copy
        return others, keeps or address in named or not others
