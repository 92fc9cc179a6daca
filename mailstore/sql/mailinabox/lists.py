"""Lists of addresses in one column, separated by commas."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailstore.model import Edit, Names

__all__ = ["edited", "joined", "replaced", "shown", "split"]


def split(text: str | None) -> list[str]:
    """Return the addresses in a column as they are spelt there."""
    return [part for entry in (text or "").split(",") if (part := entry.strip())]


def joined(addresses: Iterable[str]) -> str:
    """Return addresses as the column holds them."""
    return ",".join(addresses)


def shown(text: str | None) -> tuple[str, ...]:
    """Return the addresses in a column in normal form, sorted."""
    return tuple(sorted({address.lower() for address in split(text)}))


def edited(text: str | None, names: Names) -> list[str]:
    """Return what becomes of a column with a new set of names, or a change to it; what stays keeps its spelling."""
    if not isinstance(names, Edit):
        return list(names)
    present = split(text)
    removed = {name for name in names.remove if name not in names.add}
    known = {address.lower() for address in present}
    return [a for a in present if a.lower() not in removed] + [name for name in names.add if name not in known]


def replaced(text: str | None, old: Collection[str], new: str | None) -> str | None:
    """Return a column without the addresses `old`, or with `new` in the place of the first; None if it has none of them."""
    present = split(text)
    if not any(address.lower() in old for address in present):
        return None
    renamed = [new if address.lower() in old else address for address in present]
    return joined(dict.fromkeys(address for address in renamed if address))
