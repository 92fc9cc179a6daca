"""Who holds a name: what an address is served under, and the errors for one that cannot be taken.

No constraint of a schema keeps two holders from one name, which would be one mailbox too many. Drivers lock, look up who
holds some names, and leave the answer to this module.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mailstore.address import domain_part, local_part
from mailstore.errors import AlreadyExists, InvalidValue, NotFound

__all__ = ["in_use", "no_such_domain", "refuse_each_other", "refuse_self", "refuse_taken", "served_names"]


def served_names(address: str, owner: str, alias_domains: Collection[str]) -> set[str]:
    """Return every name under which an address is served.

    Parameters
    ----------
    owner: the domain that the domain of the address leads to, if it is not that itself.
    alias_domains: the names that lead to `owner`; only addresses in the domain itself are served under them.
    """
    local = local_part(address)
    under = alias_domains if domain_part(address) == owner else ()
    return {address, f"{local}@{owner}", *(f"{local}@{name}" for name in under)}


def in_use(address: str, name: str, holder: str) -> AlreadyExists:
    """Return the error for an `address` that cannot be taken because `name`, one of its names, belongs to `holder`."""
    what = "it" if name == address else name
    return AlreadyExists(f"{address} is in use already: {what} is {holder}", subject=address)


def refuse_taken(names: Mapping[str, Collection[str]], taken: Mapping[str, str]) -> None:
    """Raise AlreadyExists if one of the `names` of some addresses is `taken`, which tells what has it."""
    for address, served in names.items():
        for name in sorted(taken.keys() & set(served)):
            raise in_use(address, name, taken[name])


def refuse_self(account: str, aliases: Collection[str]) -> None:
    """Raise InvalidValue if an account is among its own aliases."""
    if account in aliases:
        raise InvalidValue(f"{account} cannot be an alias of itself", subject=account)


def refuse_each_other(names: Mapping[str, Collection[str]], addresses: Collection[str]) -> None:
    """Raise AlreadyExists if an alias is one name under two domains with another of the `addresses` of its account.

    `names` are all names of each new alias.
    """
    for alias, served in names.items():
        for other in addresses:
            if other != alias and other in served:
                raise in_use(alias, other, "served under that domain too")


def no_such_domain(domain: str, target: str | None) -> NotFound:
    """Return the error for a domain that is not there; `target` is where it leads if it is an alias domain."""
    if target and target != domain:
        return NotFound(f"{domain} is an alias domain; use {target}", subject=domain)
    return NotFound(f"there is no domain {domain} here; create it first", subject=domain)
