"""Writes in order, with a list of what takes them back: a directory has no transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TypeVar, overload

from mailstore.errors import AlreadyExists, Conflict, MailstoreError, StoreUnavailable
from mailstore.ldap.connection import Attributes, Change, Directory, Entry
from mailstore.ldap.entry import folded
from mailstore.ldap.failures import (
    NO_SUCH_ATTRIBUTE,
    NO_SUCH_OBJECT,
    VALUE_EXISTS,
    in_doubt,
    result_code,
)
from mailstore.ldap.names import DN, Filter, present, same_dn
from mailstore.ldap.retry import impatient

__all__ = ["HAS_BELOW", "Changes", "changing", "entries_below"]

_ALREADY = {NO_SUCH_ATTRIBUTE, VALUE_EXISTS, NO_SUCH_OBJECT}
"""The answers to taking back what is not there any more, or was never done."""
_SET_BY_THE_SERVER = {
    "createtimestamp", "creatorsname", "entrycsn", "entrydn", "entryuuid", "hassubordinates", "memberof",
    "modifiersname", "modifytimestamp", "structuralobjectclass", "subschemasubentry",
}  # fmt: skip

HAS_BELOW = "hasSubordinates"
"""The operational attribute that tells whether an entry has others below it."""

_T = TypeVar("_T")


def entries_below(directory: Directory, entry: Entry) -> list[Entry]:
    """Return what lies below an entry, with all attributes; what is above others comes before them."""
    found = directory.search(entry.dn, present("objectClass"))
    return sorted((child for child in found if not same_dn(child.dn, entry.dn)), key=lambda child: len(child.dn))


@contextmanager
def changing(directory: Directory, subject: str) -> Iterator[Changes]:
    """Collect writes that are taken back, the last one first, if the context ends with an exception.

    What could not be taken back is named in the ``state`` of the error; in a note of exceptions that have none.
    """
    changes = Changes(directory, subject)
    try:
        yield changes
    except BaseException as error:
        with impatient() if isinstance(error, StoreUnavailable) else nullcontext():
            left = changes.take_back()
        if left:
            _annotate(error, "; ".join(left))
        raise


def _annotate(error: BaseException, left: str) -> None:
    if isinstance(error, MailstoreError):
        error.state = f"{error.state}; {left}" if error.state else left
    else:
        error.add_note(left)


class Changes:
    """The writes of one operation. Made by `changing`; each is done at once, and remembered with what undoes it."""

    def __init__(self, directory: Directory, subject: str = "") -> None:
        self.directory = directory
        self.subject = subject
        self.left: list[str] = []
        """What could not be taken back, while the rest is."""
        self._undo: list[tuple[str, Callable[[], object]]] = []

    @overload
    def add(self, dn: DN, attributes: Attributes) -> None:
        """Add an entry."""

    @overload
    def add(self, dn: DN, attributes: Attributes, *, return_entry: Sequence[str]) -> Entry:
        """Add an entry and return it."""

    def add(self, dn: DN, attributes: Attributes, *, return_entry: Sequence[str] | None = None) -> Entry | None:
        """Add an entry; see `Directory.add`."""
        directory, options = self.directory, {} if return_entry is None else {"return_entry": return_entry}
        return self._do(
            lambda: directory.add(dn, attributes, **options),
            f"left behind: entry {dn}",
            lambda: _tolerant(lambda: directory.delete(dn)),
            lambda: directory.is_as_added(dn, attributes),
        )

    def modify(
        self,
        dn: DN,
        changes: Sequence[Change],
        *,
        undo: Sequence[Change] | None = None,
        old: Entry | None = None,
        only_if: Filter | None = None,
        return_entry: Sequence[str] | None = None,
    ) -> Entry | None:
        """Change an entry; see `Directory.modify`.

        Parameters
        ----------
        undo: what takes it back; by default the inverse of the changes. Empty: nothing need be taken back.
        old: the entry before. It must have the attributes of which a change replaces or deletes all values; with others
            it makes sure that values come back in the same case.
        """
        directory = self.directory
        inverse = _inverse(changes, old) if undo is None else list(undo)
        names = ", ".join(dict.fromkeys(change.attribute for change in inverse))
        return self._do(
            lambda: directory.modify(dn, changes, only_if=only_if, return_entry=return_entry),
            f"could not take back: {names} of {dn}",
            lambda: self._modify_back(dn, inverse),
            lambda: bool(inverse) and directory.is_as_modified(dn, changes),
        )

    def rename(self, dn: DN, new_dn: DN) -> None:
        """Rename an entry, or move it."""
        directory = self.directory
        self._do(
            lambda: directory.rename(dn, new_dn),
            f"could not take back: the name {new_dn} of {dn}",
            lambda: _tolerant(lambda: directory.rename(new_dn, dn)),
            lambda: directory.is_renamed(dn, new_dn),
        )

    def delete(self, entry: Entry, *, only_if: Filter | None = None) -> None:
        """Delete an entry, read before with all of its attributes (`Directory.read` without a selection), and all below it.

        Raises Conflict if it does not match `only_if` any more.
        """
        try:
            self._delete(entry, only_if)
        except Conflict:
            below = entries_below(self.directory, entry)
            if only_if is not None or not below:
                raise
            for child in reversed(below):
                self._delete(child, None)
            self._delete(entry, None)

    def _delete(self, entry: Entry, only_if: Filter | None) -> None:
        directory = self.directory
        attributes = {name: values for name, values in entry.raw.items() if name.lower() not in _SET_BY_THE_SERVER}
        self._do(
            lambda: directory.delete(entry.dn, only_if=only_if),
            f"could not put back: entry {entry.dn}",
            lambda: self._put_back(entry.dn, attributes),
            lambda: directory.read(entry.dn, ()) is None,
        )

    def on_undo(self, what: str, action: Callable[[], None]) -> None:
        """Call `action` if the operation fails later; if that fails too, "could not take back: `what`" is reported."""
        self._undo.append((f"could not take back: {what}", action))

    def take_back(self) -> list[str]:
        """Undo everything, the last first; return a phrase for each step that failed."""
        interruption: BaseException | None = None
        with ExitStack() as stack:
            while self._undo:
                phrase, action = self._undo.pop()
                problem = _problem(action)
                if problem is not None:
                    self.left.append(phrase)
                if isinstance(problem, StoreUnavailable):
                    stack.enter_context(impatient())  # one wait for the server is enough, however many steps follow
                if problem is not None and not isinstance(problem, Exception):
                    interruption = problem
        if interruption is not None:
            _annotate(interruption, "; ".join(self.left))
            raise interruption
        return self.left

    def _do(self, action: Callable[[], _T], phrase: str, undo: Callable[[], object], done: Callable[[], bool]) -> _T:
        try:
            answer = action()
        except BaseException as error:
            if in_doubt(error):
                self._undo.append((f"perhaps {phrase}", lambda: undo() if done() else None))
            if isinstance(error, MailstoreError):
                error.subject = self.subject or error.subject
            raise
        self._undo.append((phrase, undo))
        return answer

    def _modify_back(self, dn: DN, inverse: Sequence[Change]) -> None:
        if not _tolerant(lambda: self.directory.modify(dn, inverse)):
            for change in inverse:  # somebody has done a part of it already: what is left one by one
                _tolerant(partial(self.directory.modify, dn, [change]))

    def _put_back(self, dn: DN, attributes: Mapping[str, Sequence[bytes]]) -> None:
        try:
            self.directory.add(dn, attributes)
        except AlreadyExists:
            if not self.directory.is_as_added(dn, attributes):
                raise


def _problem(action: Callable[[], object]) -> BaseException | None:
    try:
        action()
    except BaseException as error:  # noqa: BLE001 the other steps have to be tried, whatever this was
        return error
    return None


def _tolerant(action: Callable[[], object]) -> bool:
    """Do it; tell whether there was something to do."""
    try:
        action()
    except MailstoreError as error:
        if result_code(error) in _ALREADY:
            return False
        raise
    return True


def _inverse(changes: Sequence[Change], old: Entry | None) -> list[Change]:
    return [_opposite(change, old) for change in reversed(changes)]


def _opposite(change: Change, old: Entry | None) -> Change:
    if change.kind == "add":
        return Change.delete(change.attribute, *change.values)
    before = old.raw.get(change.attribute, ()) if old is not None else ()
    if change.kind == "delete" and change.values:
        wanted = folded(change.values)
        as_spelled = [value for value in before if folded([value]) <= wanted]
        return Change.add(change.attribute, *(as_spelled or change.values))
    if old is None:
        raise ValueError(f"what {change.attribute} was before must be known, or how to undo the change")
    return Change.replace(change.attribute, *before)
