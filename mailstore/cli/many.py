"""Verbs for one thing or for several: their names from arguments and files, one report, and the worst exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click

from mailstore.cli.exits import ExitCode, Unfinished, code_of, worst
from mailstore.cli.failures import tell
from mailstore.cli.files import INPUT, is_stdin, text_of
from mailstore.cli.results import Handled, HandledWithPassword
from mailstore.cli.session import Session
from mailstore.errors import (
    AlreadyExists,
    BulkRefused,
    Conflict,
    HomeError,
    MailstoreError,
    NotFound,
    Refused,
    StoreError,
)
from mailstore.records import to_dict

__all__ = ["Done", "Names", "Verb", "more_names", "takes_names", "takes_pairs"]

_IfExists: TypeAlias = Literal["fail", "skip", "update"]
_SHOWN = 3
_CHUNK = 500
"""Names that go into one call for many; each call is done wholly or not at all."""


@dataclass(frozen=True)
class Done:
    """What a verb did with one name: in words, as a participle, and the record that came of it."""

    message: str
    action: str
    record: Any
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Verb:
    """What a command does.

    ``one`` is called with a name, ``many`` with several if the library has a call for that; ``exists`` tells whether there
    is such a thing, and ``update`` is what ``--if-exists update`` does instead. ``told`` tells of one that ``many`` has done
    although others were refused.
    """

    one: Callable[[str], Done]
    exists: Callable[[str], bool] = field(default=lambda _name: True)
    update: Callable[[str], Done] | None = None
    many: Callable[[Sequence[str]], Sequence[Done]] | None = None
    told: Callable[[str], Done] | None = None


@dataclass(frozen=True)
class Names:
    """The names that a command is to do something with.

    ``several`` tells whether there may be more than one, so that the answer is a list, whatever is in the file.
    """

    given: tuple[str, ...]
    several: bool
    ignore_missing: bool = False
    if_exists: _IfExists = "fail"

    def counted(self, what: str = "") -> str:
        """Return the names for a question: `what` before a single one, else how many there are and the first few."""
        if not self.several:
            return f"{what} {self.given[0]}".lstrip()
        more = ", ..." if len(self.given) > _SHOWN else ""
        return f"these {len(self.given)}: {', '.join(self.given[:_SHOWN])}{more}"

    def do(self, session: Session, verb: Verb) -> None:
        """Do something with each, report it, and end with the worst code if something was not done."""
        if not self.several:
            self._single(session, verb)
            return
        run = _Run(self, verb)
        output = session.output
        kind = HandledWithPassword if _makes_passwords() else Handled
        rows: Iterable[Handled] = run.rows()
        if output.quiet:
            rows = (row for row in rows if row.error or getattr(row, "generated_password", ""))
        output.many(kind, rows)
        run.finish()

    def _single(self, session: Session, verb: Verb) -> None:
        run = _Run(self, verb)
        try:
            done = run.one(self.given[0])
        except MailstoreError as error:
            passed = run.passed_over(self.given[0], error)
            if passed is None:
                raise
            session.output.done(f"{passed}: {self.given[0]}", Handled(self.given[0], passed, str(error)))
        else:
            session.output.done(done.message, done.record, password=done.password)

    def show(self, session: Session, kind: type, get: Callable[[str], Any]) -> None:
        """Show the records of these names; what is not there is told on standard error."""
        if not self.several and not self.ignore_missing:
            session.output.one(get(self.given[0]))
            return
        codes: list[ExitCode] = []

        def records() -> Iterator[Any]:
            for name in self.given:
                try:
                    yield get(name)
                except Refused as error:
                    if not (self.ignore_missing and isinstance(error, NotFound)):
                        codes.append(code_of(error))
                        tell(error, as_json=session.output.form == "json")

        session.output.many(kind, records())
        if codes:
            click.get_current_context().exit(worst(codes))


class _Run:
    """One run of a verb over names."""

    def __init__(self, names: Names, verb: Verb) -> None:
        self._names = names
        self._verb = verb
        self._errors: list[MailstoreError] = []
        self._broken = False

    def rows(self) -> Iterator[Handled]:
        """Do it, and iterate over what became of each name."""
        given = self._names.given
        for start in range(0, len(given), _CHUNK):
            chunk = given[start : start + _CHUNK]
            yield from self._together(chunk) if self._verb.many else map(self._alone, chunk)

    def finish(self) -> None:
        """Raise Unfinished if something was not done."""
        if self._errors:
            codes = [code_of(error) for error in self._errors]
            retryable = all(error.temporary for error in self._errors)
            raise Unfinished(
                f"{len(self._errors)} of {len(self._names.given)} were not done; the first: {self._errors[0]}",
                worst(codes),
                retryable=retryable,
            )

    def one(self, name: str) -> Done:
        """Do it with one name, or what is asked for if that exists. Raises MailstoreError."""
        try:
            return self._verb.one(name)
        except AlreadyExists:
            if self._names.if_exists != "update" or self._verb.update is None or not self._verb.exists(name):
                raise
        return self._verb.update(name)

    def passed_over(self, name: str, error: Exception) -> str | None:
        """Return what to call it if an error is none because the command says so; None if it is one."""
        if isinstance(error, NotFound) and self._names.ignore_missing and not self._verb.exists(name):
            return "missing"
        if isinstance(error, AlreadyExists) and self._names.if_exists == "skip" and self._verb.exists(name):
            return "skipped"
        return None

    def _alone(self, name: str) -> Handled:
        if self._broken:
            return self._not_tried(name)
        try:
            return _row(name, self.one(name))
        except (Refused, HomeError, Conflict) as error:
            return self._failed(name, error)
        except StoreError as error:  # the others would meet it too
            self._broken = True
            return self._failed(name, error)

    def _together(self, chunk: Sequence[str]) -> Iterator[Handled]:
        found: dict[str, Handled] = {}
        wanted = [] if self._broken else list(chunk)
        while wanted and self._verb.many:
            try:
                done = self._verb.many(wanted)
            except BulkRefused as error:
                for index, reason in error.rows:
                    found[wanted[index]] = self._failed(wanted[index], reason)
                wanted = [name for name in wanted if name not in found]
                if error.written and self._verb.told is not None:
                    found |= {name: _row(name, self._verb.told(name)) for name in wanted}
                    break
            except StoreError as error:
                self._broken = True
                found |= {name: self._failed(name, error) for name in wanted}
                break
            else:
                found |= {name: _row(name, one) for name, one in zip(wanted, done, strict=True)}
                break
        yield from (found.get(name) or self._not_tried(name) for name in chunk)

    def _failed(self, name: str, error: MailstoreError) -> Handled:
        passed = self.passed_over(name, error)
        if passed is not None:
            return Handled(name, passed, str(error))
        self._errors.append(error)
        action = "refused" if isinstance(error, Refused) else "failed"
        return Handled(name, action, str(error), type(error).__name__, error.field or "", error.temporary)

    def _not_tried(self, name: str) -> Handled:
        self._errors.append(self._errors[0])
        return Handled(name, "not tried", "the store failed before", type(self._errors[0]).__name__, "", True)


def _row(name: str, done: Done) -> Handled:
    record = to_dict(done.record)
    if done.password is not None:
        return HandledWithPassword(name, done.action, record=record, generated_password=done.password)
    return (
        HandledWithPassword(name, done.action, record=record)
        if _makes_passwords()
        else Handled(name, done.action, record=record)
    )


def _makes_passwords() -> bool:
    return bool(click.get_current_context().params.get("generate"))


# --- options

_Command: TypeAlias = Callable[..., None]
_FROM_FILE = click.option(
    "--from-file",
    "file",
    type=INPUT,
    metavar="FILE",
    help="Names from a file too, '-' for standard input: one a line, up to the first tab; '#' and a blank begin a comment.",
)
_IGNORE_MISSING = click.option("--ignore-missing", is_flag=True, help="What is not there is no error.")
_IF_EXISTS = click.option(
    "--if-exists",
    type=click.Choice(["fail", "skip", "update"]),
    default="fail",
    show_default=True,
    help="What becomes of a thing that is there: refused, left, or changed as the options say.",
)


def takes_names(
    metavar: str = "ADDRESS", *, ignores_missing: bool = True, creates: bool = False
) -> Callable[[_Command], _Command]:
    """Give a command arguments and options for the names of several things, as the parameter `names`.

    Parameters
    ----------
    metavar: what a name is.
    ignores_missing: whether there is ``--ignore-missing``.
    creates: whether there is ``--if-exists`` instead.
    """

    def decorate(command: _Command) -> _Command:
        @click.argument("given", metavar=f"[{metavar}]...", nargs=-1)
        @_FROM_FILE
        @wraps(command)
        def with_names(*args: Any, given: tuple[str, ...], file: Path | None, **rest: Any) -> None:
            missing, exists = rest.pop("ignore_missing", False), rest.pop("if_exists", "fail")
            found = _all_names(given, file, metavar)
            several = file is not None or len(given) > 1
            command(*args, names=Names(found, several, missing, exists), **rest)

        decorated: _Command = with_names
        if creates:
            return _IF_EXISTS(decorated)
        return _IGNORE_MISSING(decorated) if ignores_missing else decorated

    return decorate


def more_names(parameter: str, metavar: str, *, required: bool = True) -> Callable[[_Command], _Command]:
    """Give a command a last argument of several names, which a file may hold too."""

    def decorate(command: _Command) -> _Command:
        @click.argument(parameter, metavar=f"[{metavar}]...", nargs=-1)
        @_FROM_FILE
        @wraps(command)
        def with_names(*args: Any, file: Path | None, **rest: Any) -> None:
            if required or file is not None:
                rest[parameter] = _all_names(rest[parameter], file, metavar)
            command(*args, **rest)

        decorated: _Command = with_names
        return decorated

    return decorate


def takes_pairs(command: _Command) -> _Command:
    """Give a command an old and a new name, or a file with one such pair a line, as the parameter `pairs`."""

    @click.argument("address", metavar="[OLD]", required=False)
    @click.argument("new_address", metavar="[NEW]", required=False)
    @click.option(
        "--from-file",
        "file",
        type=INPUT,
        metavar="FILE",
        help="Pairs from a file instead, '-' for standard input: old and new address on each line, with blanks between.",
    )
    @wraps(command)
    def with_pairs(*args: Any, address: str | None, new_address: str | None, file: Path | None, **rest: Any) -> None:
        context = click.get_current_context()
        if (file is None) != (address is not None) or (address is None) != (new_address is None):
            raise click.UsageError("give an old and a new address, or --from-file", context)
        pairs: Mapping[str, str] = (
            {address: new_address} if address and new_address else dict(_pairs_in(file)) if file else {}
        )
        command(*args, names=Names(tuple(pairs), file is not None), pairs=pairs, **rest)

    return with_pairs


def _all_names(given: Sequence[str], file: Path | None, metavar: str) -> tuple[str, ...]:
    if not given and file is None:
        raise click.UsageError(f"give {metavar} or --from-file", click.get_current_context())
    return tuple(dict.fromkeys([*given, *([] if file is None else _names_in(file))]))


def _names_in(file: Path) -> Iterator[str]:
    for line in _lines(file):
        yield line.split("\t")[0].strip()


def _pairs_in(file: Path) -> Iterator[tuple[str, str]]:
    for line in _lines(file):
        words = line.split()
        if len(words) != 2:
            raise click.UsageError(f"two addresses are wanted, not {line!r}", click.get_current_context())
        yield words[0], words[1]


def _lines(file: Path) -> Iterator[str]:
    params = click.get_current_context().params
    if is_stdin(file) and (params.get("password_stdin") or params.get("password_hash_stdin")):
        raise click.UsageError("standard input cannot have the names and the password", click.get_current_context())
    yield from (line for line in text_of(file).splitlines() if line.strip() and not f"{line} ".startswith("# "))
