"""Entries of the audit log, and writing them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from mailstore.audit.sinks import Sink, sink_of
from mailstore.errors import MailstoreError, Refused
from mailstore.model import UNSET, Edit
from mailstore.records import plain_value

__all__ = ["Change", "Result", "Trail", "Who", "result_of"]

Result: TypeAlias = Literal["done", "refused", "failed", "rolled back"]
_SECRET = ("password", "hash", "secret", "token")
_LONGEST = 1000
_MOST = 100


@dataclass(frozen=True)
class Who:
    """Who makes changes: ``via`` which program, ``caller`` whoever uses it, ``client`` where from, in which ``request``."""

    via: str
    caller: str
    client: str = ""
    request: str = ""
    admin: str = ""
    """The admin with whose rights the store acts, if there is one."""


@dataclass
class Change:
    """What was done, as ``accounts.update``, to whom, and what became of it."""

    operation: str
    subject: str
    parameters: Mapping[str, Any]
    result: Result
    error: str = ""


class Trail:
    """Writes entries to all places of the configuration. Threads may share it, and children of a fork."""

    def __init__(
        self, places: Sequence[str], sinks: Sequence[Sink] = (), report: Callable[[str], object] = sys.stderr.write
    ) -> None:
        """`report` is told what cannot be written. Raises ConfigurationError if a place cannot be written to."""
        self._sinks = [*map(sink_of, places), *sinks]
        self._report = report

    def __bool__(self) -> bool:
        return bool(self._sinks)

    def write(self, who: Who, store: str, change: Change) -> None:
        """Write what somebody changed in a store, by its name.

        The change is made already: where it cannot be written, that is reported, and not raised.
        """
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **asdict(who),
            "store": store,
            "operation": change.operation,
            "subject": _shown(change.subject),
            "parameters": _without_secrets(change.parameters),
            "result": change.result,
            "error": change.error,
        }
        for sink in self._sinks:
            try:
                sink.write(entry)
            except OSError as problem:
                self._report(f"the audit log could not be written ({problem}): {json.dumps(entry)}\n")


def result_of(error: BaseException | None) -> tuple[Result, str]:
    """Return how an operation ended, and the class and text of its error, as far as the text is ours."""
    if error is None:
        return "done", ""
    kind = type(error).__name__
    text = f"{kind}: {error}" if isinstance(error, MailstoreError) else kind
    return ("refused" if isinstance(error, Refused) else "failed"), text


def _without_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: "(set)" if any(word in name.lower() for word in _SECRET) and value is not None else _shown(value)
        for name, value in parameters.items()
    }


def _shown(value: Any) -> Any:
    if isinstance(value, Edit):
        return {"add": _shown(value.add), "remove": _shown(value.remove)}
    if isinstance(value, Mapping):
        return _without_secrets({str(name): each for name, each in value.items()})
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}... ({len(value)} characters)"
    if isinstance(value, Collection):
        many = [_shown(each) for each in list(value)[:_MOST]]
        return many if len(value) <= _MOST else [*many, f"... ({len(value)} in all)"]
    plain = plain_value(value)
    if isinstance(plain, Mapping) and is_dataclass(value):  # settings of one product, passwords perhaps among them
        given = {each.name: getattr(value, each.name) for each in fields(value)}
        return _without_secrets({name: each for name, each in given.items() if each not in (None, UNSET)})
    if isinstance(plain, bool | int | float | None):
        return plain
    return _shown(plain) if isinstance(plain, str | Mapping | Collection) else str(plain)
