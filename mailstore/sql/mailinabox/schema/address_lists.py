"""Lists of addresses in one column, separated by commas."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from mailstore.address import local_part
from mailstore.driver import names

__all__ = ["edited", "joined", "moved", "renamed", "shown", "split", "without"]


def split(text: str | None) -> list[str]:
    """Return the addresses in a column as they are spelt there."""
    return [part for entry in (text or "").split(",") if (part := entry.strip())]


def joined(addresses: Iterable[str]) -> str:
    """Return addresses as the column holds them."""
    return ",".join(addresses)


def shown(text: str | None) -> tuple[str, ...]:
    """Return the addresses in a column in normal form, sorted."""
    return tuple(sorted({address.lower() for address in split(text)}))


def edited(text: str | None, wanted: names.Wanted, owners: Callable[[Collection[str]], names.Owners]) -> list[str]:
    """Return what becomes of a column with a new set of names, or a change to it; what stays keeps its spelling."""
    return list(names.settled(wanted, split(text), owners))


def without(text: str | None, gone: names.Spellings) -> str | None:
    """Return a column without some addresses, however they are spelt; None if it has none of them.

    One that has no others stays as it is. To Postfix an empty column is no answer, so that it goes on to the domain: the
    catch-all would get the mail, and its owner the right to send. A name that is nobody's bounces.
    """
    left = [address for address in split(text) if not gone.meant(address)]
    return joined(left) if left and len(left) < len(split(text)) else None


def renamed(text: str | None, old: names.Spellings, new: str) -> str | None:
    """Return a column with `new` in the place of some addresses; None if it has none of them."""
    present = split(text)
    changed = [old.renamed(address, new) if old.meant(address) else address for address in present]
    return joined(dict.fromkeys(changed)) if changed != present else None


def moved(text: str | None, name: str, domain: str) -> str | None:
    """Return a column whose addresses under the domain `name` lie in another `domain`; None if it has none."""
    present = split(text)
    suffix = f"@{name}"
    changed = [
        f"{local_part(address).lower()}@{domain}" if address.lower().endswith(suffix) else address
        for address in present
    ]
    return joined(dict.fromkeys(changed)) if changed != present else None
