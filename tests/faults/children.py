"""Child processes: forked from the test, killed or run to their end, their outcome read through a pipe."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Never

from sqlalchemy import Engine, QueuePool

from mailstore.driver import forks
from mailstore.sql.engine import Database
from tests.stores import StoreRig

__all__ = ["Child", "become", "fork", "fork_sharing", "in_thread", "race", "refusals", "successes"]


_MOST_SECONDS = 60


@dataclass
class Child:
    """A running child process."""

    pid: int
    _output: IO[bytes]
    _status: int | None = None

    def wait_until_ready(self) -> None:
        """Wait for the byte that `_Gate.pass_` sends."""
        assert self._output.read(1) == b"r", "a child died before the race"

    def wait(self) -> Any:
        """Return what the action returned or raised; `killed` tells afterwards whether it came to that."""
        with self._output:
            data = self._output.read()
        self._status = os.waitpid(self.pid, 0)[1]
        if self.killed:
            return None
        assert self._status == 0, f"the child ended with status {self._status}"
        return pickle.loads(data)  # noqa: S301 - our own child wrote it

    @property
    def killed(self) -> bool:
        """Whether the child killed itself."""
        assert self._status is not None
        assert not os.WIFSIGNALED(self._status) or os.WTERMSIG(self._status) == signal.SIGKILL, self._status
        return os.WIFSIGNALED(self._status)


def fork(rig: StoreRig, action: Callable[[], Any]) -> Child:
    """Run `action` in a child, which opens connections of its own."""
    _give_back_connections(rig)
    engines = unconnected_engines()

    def run(_output: IO[bytes]) -> Any:
        for database, engine in engines.items():
            database._engine = engine
        return action()

    return _fork(run)


def unconnected_engines() -> dict[Database, Engine]:
    """Return the engines that a child may go on with, for the statements that they have compiled.

    A child makes its own, as threads might hold locks of its parent's; compiling is most of what a child costs then.
    """
    databases = [thing for thing in forks._inherited if isinstance(thing, Database)]
    engines = {database: database._engine for database in databases if database._engine is not None}
    return {database: engine for database, engine in engines.items() if not _is_connected(engine.pool)}


def _is_connected(pool: Any) -> bool:
    return not isinstance(pool, QueuePool) or pool.checkedin() + pool.checkedout() > 0


def fork_sharing(action: Callable[[], Any]) -> Child:
    """Run `action` in a child that inherits all connections, as with preforking servers."""
    return _fork(lambda _output: action())


def race(rig: StoreRig, actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the actions at the same time, in a process each; return what each one returned or raised."""
    _give_back_connections(rig)
    gate, opener = os.pipe()

    def wait_at_gate(output: IO[bytes], action: Callable[[], Any]) -> Any:
        os.close(opener)
        rig.shared.domains.count()  # connects, so that the race is not about that
        output.write(b"r")
        output.flush()
        os.read(gate, 1)
        return action()

    children = [_fork(lambda output, action=action: wait_at_gate(output, action)) for action in actions]  # type: ignore[misc]
    for child in children:
        child.wait_until_ready()
    os.close(gate)
    os.close(opener)
    return [child.wait() for child in children]


def successes(outcomes: Sequence[Any]) -> list[Any]:
    """Return the outcomes that are no errors."""
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


def refusals(outcomes: Sequence[Any]) -> list[type[BaseException]]:
    """Return the types of the outcomes that are errors."""
    return [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]


def become(user: tuple[int, int]) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setgid(user[1])
    os.setuid(user[0])


def in_thread(action: Callable[[], Any]) -> Callable[[], Any]:
    """Start `action` in a thread; return a function that waits for what it returns or raises."""
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(action())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcomes.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> Any:
        thread.join(_MOST_SECONDS)
        return outcomes[0]

    return wait


def _give_back_connections(rig: StoreRig) -> None:
    """Close the parent's connections, which a child must not share."""
    rig.close()


def _fork(action: Callable[[IO[bytes]], Any]) -> Child:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _run(action, write)
    os.close(write)
    return Child(pid, os.fdopen(read, "rb"))


def _run(action: Callable[[IO[bytes]], Any], write: int) -> Never:
    """Be the child."""
    try:
        gc.disable()  # a collection would touch, and thereby copy, all of the parent's memory
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_MOST_SECONDS)
        with os.fdopen(write, "wb") as output:
            try:
                outcome = action(output)
            except Exception as error:  # noqa: BLE001 - the parent looks at it
                outcome = error
            pickle.dump(outcome, output)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may get back into the parent's code
        traceback.print_exc()
    finally:
        os._exit(1)
