"""Where mail ends that Postfix sends on from address to address, for checks: nowhere, in a circle, or with somebody."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from mailstore.address import domain_part, local_part
from mailstore.driver.names import DELIMITER, Owners, plain_local_part
from mailstore.model import Finding

__all__ = ["End", "Maps", "Routes"]


@dataclass(frozen=True)
class End:
    """What becomes of mail for an address: does any of it arrive, and does it meet an address a second time?"""

    arrives: bool
    circles: bool


class Routes:
    """Follows addresses through what the maps answer. Every address is followed once."""

    def __init__(self, expand: Callable[[str], Collection[str]], arrives: Callable[[str], bool]) -> None:
        """`expand` returns what an address is sent on to, `arrives` tells whether mail for one that stands for itself does.

        An address that is sent on to itself stands for itself, besides the others. Both are asked in lower case.
        """
        self._expand = expand
        self._arrives = arrives
        self._ends: dict[str, End] = {}

    def end(self, address: str) -> End:
        """Return what becomes of mail for an address."""
        if address in self._ends:
            return self._ends[address]
        path: list[tuple[str, Iterator[str]]] = []
        found: dict[str, End] = {}  # of those on the path, as far as they were followed

        def enter(name: str) -> None:
            targets = {target.lower() for target in self._expand(name)}
            stands = not targets or name in targets
            found[name] = End(stands and self._arrives(name), False)
            path.append((name, iter(sorted(targets - {name}))))

        enter(address)
        while path:
            name, targets = path[-1]
            target = next(targets, None)
            if target is None:
                path.pop()
                self._ends[name] = end = found.pop(name)
                if path:
                    found[path[-1][0]] = _both(found[path[-1][0]], end)
            elif target in found:
                found[name] = End(found[name].arrives, True)
            elif target in self._ends:
                found[name] = _both(found[name], self._ends[target])
            else:
                enter(target)
        return self._ends[address]


def _both(one: End, other: End) -> End:
    return End(one.arrives or other.arrives, one.circles or other.circles)


@dataclass(frozen=True)
class Maps:
    """What a store's maps for Postfix hold, all in lower case. Memory grows with the number of addresses.

    Parameters
    ----------
    rows: where the mail of an address goes, to itself for a copy; that of a catch-all is called ``@domain``, and one that
        leads to ``@domain`` keeps the local part.
    accounts: which addresses are those of mailboxes, and whether they are switched on.
    hosted: domains whose mail is delivered here.
    known: those, and other domains of the store.
    owners: which domain each alias domain stands for.
    lists: addresses that another program expands.
    """

    rows: Mapping[str, Collection[str]]
    accounts: Mapping[str, bool]
    hosted: Collection[str]
    known: Collection[str]
    owners: Owners
    lists: Collection[str] = ()
    _routes: Routes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_routes", Routes(self._expand, self._arrives))

    def findings(self) -> Iterator[Finding]:
        """Iterate over destinations that nobody gets mail at, catch-alls that are all of that kind, and circles."""
        for source in sorted(self.rows):
            for target, why in self._lost_of(source).items():
                message = f"{source.removeprefix('@')} sends mail to this address, which {why}"
                yield Finding("alias-to-nowhere", target, message, "notice")
            yield from self._ends(source)

    def dead_ends(self) -> Iterator[Finding]:
        """Iterate over those of `findings` that take more than one step to see: for drivers that look at each row anyway."""
        for source in sorted(self.rows):
            for target, why in self._lost_of(source).items():
                if self._answer(target):
                    message = f"{source.removeprefix('@')} sends mail to this address, which {why}"
                    yield Finding("alias-to-nowhere", target, message, "notice")
            yield from self._ends(source)

    def _lost_of(self, source: str) -> dict[str, str]:
        """Return the destinations of a source that nobody gets mail at, in order, and why."""
        targets = (target for target in sorted(set(self.rows[source])) if target != source)
        return {target: why for target in targets if (why := self._lost(target))}

    def _ends(self, source: str) -> Iterator[Finding]:
        name, others = source.removeprefix("@"), set(self.rows[source]) - {source}
        if source.startswith("@") and others and len(self._lost_of(source)) == len(others):
            message = "its catch-all leads nowhere: mail for unknown addresses is accepted, and bounces"
            yield Finding("catch-all-to-nowhere", name, message, "notice")
        if self._routes.end(source).circles:
            yield Finding("mail-loop", name, "its mail goes round until Postfix gives up", "notice")

    def _lost(self, target: str) -> str | None:
        """Return why nobody gets mail for an address; None if somebody may."""
        domain = domain_part(target)
        owner = self.owners.get(domain, domain)
        if owner not in self.known:
            above = [name for name in {*self.known, *self.owners} if domain.endswith(f".{name}")]
            return f"lies below {max(above, key=len)}, but is served by nobody here" if above else None
        end = self._routes.end(target)
        if owner not in self.hosted or end.arrives or end.circles:
            return None
        if self.accounts.get(f"{plain_local_part(target)}@{owner}") is False:
            return "is switched off"
        return "leads nowhere itself" if self._answer(target) else "does not exist"

    def _arrives(self, address: str) -> bool:
        """Tell whether somebody gets mail for an address that stands for itself; nobody here knows of other servers."""
        domain = domain_part(address)
        if self.accounts.get(address) or self.accounts.get(f"{plain_local_part(address)}@{domain}"):
            return True
        if domain not in self.hosted:
            return domain not in self.owners
        return address in self.lists or not local_part(address)

    def _expand(self, address: str) -> Collection[str]:
        """Return what the maps answer for an address; a catch-all is asked as ``@domain``."""
        local, domain = local_part(address), domain_part(address)
        answer = self._answer(address)
        if not answer and DELIMITER in local:
            answer = self._answer(f"{plain_local_part(address)}@{domain}")
        caught = self.rows.get(f"@{domain}", ()) or self.rows.get(f"@{self.owners.get(domain, domain)}", ())
        return [f"{local}{target}" if target.startswith("@") else target for target in answer or caught]

    def _answer(self, address: str) -> Collection[str]:
        """Return what stands for exactly this address, under its own domain or the one that an alias domain stands for."""
        owner = self.owners.get(domain_part(address))
        shadow = self.rows.get(f"{local_part(address)}@{owner}", ()) if owner and local_part(address) else ()
        return self.rows.get(address) or shadow
