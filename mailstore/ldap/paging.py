"""Long lists, read in pages: constant memory, and they go on after a broken connection."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailstore.errors import StoreUnavailable
from mailstore.ldap.entry import Entry
from mailstore.ldap.failures import NO_SUCH_OBJECT, SUCCESS, Request, failure
from mailstore.ldap.pool import Pool
from mailstore.ldap.retry import Lost, repeat
from mailstore.ldap.session import Query, Session

__all__ = ["Listing"]


@dataclass(frozen=True)
class Listing:
    """A search to be read once; `observe` is called for every page that is asked for."""

    pool: Pool
    query: Query
    bind_dn: str
    observe: Callable[[], None]

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over what is found; nothing if the base is absent.

        The place in a list belongs to its connection. If that breaks, as when a slow reader meets the server's idle
        timeout, the list is read again from its start, without what was given out: for that, eight octets of each are kept.
        """
        given = array("q")
        while True:
            known = set(given)
            try:
                for entry in self._one_pass():
                    if not known or hash(entry.dn) not in known:
                        given.append(hash(entry.dn))
                        yield entry
            except Lost as error:
                lost = error
            else:
                return
            if len(given) == len(known):
                base = self.query.base
                raise StoreUnavailable(
                    f"{base}: the connection broke twice while a list was read: {lost}", subject=base
                )

    def _one_pass(self) -> Iterator[Entry]:
        (session, found, cookie), _ = repeat(self._first_page, self.query.base)
        if not cookie:
            self.pool.give_back(session)
            yield from found
            return
        try:
            yield from found
            while cookie:
                found, cookie = self._page(session, cookie)
                yield from found
        except BaseException:
            session.close()
            raise
        self.pool.give_back(session)

    def _first_page(self) -> tuple[Session, list[Entry], bytes]:
        session = self.pool.take()
        try:
            return session, *self._page(session, b"")
        except BaseException:
            session.close()
            raise

    def _page(self, session: Session, cookie: bytes) -> tuple[list[Entry], bytes]:
        self.observe()
        result, found, cookie = session.search(self.query, cookie)
        if result.code not in {SUCCESS, NO_SUCH_OBJECT}:
            raise failure(result, Request("search", self.query.base, self.bind_dn))
        return found, cookie
