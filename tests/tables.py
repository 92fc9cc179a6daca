"""Tables of values for tests that leave everything as it was: one test for all of a table, which is set up once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

__all__ = ["in_turn"]


def in_turn(names: str | Sequence[str], values: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call a test with each value in turn; each that fails is reported. The arguments are those of `parametrize`.

    The test goes on with what the values before have left: for refusals, reads, and tests that clean up themselves.
    """
    several = not isinstance(names, str)
    wanted = tuple(names) if several else (names,)
    table = [dict(zip(wanted, value if several else (value,), strict=True)) for value in values]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        fixtures = [
            one for name, one in inspect.signature(test).parameters.items() if name not in {*wanted, "subtests"}
        ]
        nested = "subtests" in inspect.signature(test).parameters

        @functools.wraps(test)
        def run(*args: Any, subtests: pytest.Subtests, **given: Any) -> None:
            for row in table:
                with subtests.test(**row):
                    test(*args, **given, **row, **({"subtests": subtests} if nested else {}))

        subtests = inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY)
        vars(run)["__signature__"] = inspect.Signature([*fixtures, subtests])
        return run

    return decorate
