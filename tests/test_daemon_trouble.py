"""Who is told of trouble: the command of ``on_trouble``, and the mail that the one of ours sends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailstored.hook import Hook
from mailstored.letter import letter
from mailstored.logs import make_logger
from mailstored.metrics import Metrics
from tests.servers.postfix_server import PostfixServer
from tests.servers.process import is_root
from tests.test_daemon import NEVER, mail  # noqa: F401 a fixture
from tests.test_daemon_rig import Mail, once, running

Script = Callable[[str], Path]


@pytest.fixture
def script(workdir: Path) -> Script:
    """Make a program of lines for the shell."""

    def make(lines: str) -> Path:
        path = workdir / "hook"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return path

    return make


class Bench:
    """A hook by itself, and what it logs."""

    def __init__(self, program: Path, seconds: float = 30) -> None:
        self.stream, self.metrics = io.StringIO(), Metrics()
        self.hook = Hook([str(program)], seconds, make_logger("json", "info", self.stream), self.metrics)

    def problem(self) -> str:
        """Tell of a failure, and return what went wrong with telling."""
        self.hook.tell("main", "purge", "failed", error="it broke")
        lines = self.stream.getvalue().splitlines()
        assert self.metrics.registry.get_sample_value("mailstored_hook_failures_total") == len(lines)
        return str(json.loads(lines[-1])["error"]) if lines else ""


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_mailbox_that_is_kept_is_told(workdir: Path, mail: Mail, script: Script) -> None:  # noqa: F811
    if not is_root():
        pytest.skip("only root can give a mailbox to somebody else")
    mail.expire(2)
    strange = sorted(mail.homes())[1]
    os.chown(strange, 12345, 12345)
    said = workdir / "said"
    program = script(f'cat >>"{said}"; echo >>"{said}"; [ "$1" = "a b; c" ]')
    code, daemon = once(workdir, f'{mail.toml("main")}[daemon]\ncheck = ""\non_trouble = ["{program}", "a b; c"]\n')
    assert code == 1
    [facts] = told(said)
    assert (facts["store"], facts["job"], facts["result"], facts["counts"]["kept"]) == ("main", "purge", "attention", 1)
    [box] = facts["mailboxes"]
    assert (box["home"], box["action"]) == (str(strange), "kept")
    assert "12345" in box["reason"]
    assert not daemon.lines("the command for trouble failed")


def test_a_run_that_is_well_is_not_told(workdir: Path, mail: Mail, script: Script) -> None:  # noqa: F811
    mail.expire(1)
    said = workdir / "said"
    code, _ = once(workdir, f'{mail.toml("main")}[daemon]\non_trouble = ["{script(f"cat >>{said}")}"]\n')
    assert (code, told(said)) == (0, [])


def test_the_running_daemon_tells_what_fails_at_its_start(workdir: Path, mail: Mail, script: Script) -> None:  # noqa: F811
    said = workdir / "said"
    config = mail.toml("main").replace(str(mail.root), str(mail.directory / "missing"))
    with running(workdir, f'{config}{NEVER}on_trouble = ["{script(f"cat >>{said}; echo >>{said}")}"]\n') as daemon:
        daemon.wait_until(lambda: bool(told(said)))
        assert daemon.end() == 0
    assert (told(said)[0]["job"], told(said)[0]["result"]) == ("open", "misconfigured")
    assert "missing" in told(said)[0]["error"]


def test_a_store_that_is_down_is_told_once_until_it_is_back(workdir: Path, script: Script) -> None:
    said = workdir / "said"
    bench = Bench(script(f"cat >>{said}; echo >>{said}"))
    for result in ("unavailable", "unavailable", "stopped", "unavailable", "ok", "unavailable", "crashed", "attention"):
        bench.hook.tell("main", "purge", result)
    assert [facts["result"] for facts in told(said)] == ["unavailable", "unavailable", "crashed", "attention"]


def test_a_command_that_fails_is_logged_with_its_last_words(script: Script) -> None:
    assert Bench(script("echo no room >&2; exit 3")).problem().endswith("ended with 3: no room")
    assert Bench(script("cat >/dev/null")).problem() == ""
    assert Bench(script("exit 0")).problem() == ""  # it need not read what it is given
    assert "No such file" in Bench(Path("/nonexistent/hook")).problem()


def test_a_command_that_hangs_is_ended_with_all_that_it_started(workdir: Path, script: Script) -> None:
    pid = workdir / "pid"
    began = time.monotonic()
    assert "ended after 0.5 seconds" in Bench(script(f"sleep 600 & echo $! >{pid}; wait"), 0.5).problem()
    assert time.monotonic() - began < 10
    state = Path(f"/proc/{pid.read_text().strip()}/status")
    assert not state.exists() or "Z (zombie)" in state.read_text()


def test_a_command_can_be_ended_by_its_own_means_and_sees_no_secrets(
    workdir: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILSTORE_PASSWORD", "s3cret")
    said = workdir / "said"
    program = script(f"env >{said}; grep SigBlk /proc/self/status >>{said}")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        assert Bench(program).problem() == ""
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    assert "s3cret" not in said.read_text()
    assert said.read_text().split()[-1] == "0" * 16


def test_what_is_no_program_is_refused(workdir: Path, mail: Mail) -> None:  # noqa: F811
    for word in ("mail", str(workdir), str(mail.directory / "nothing")):
        with running(workdir, f'{mail.toml("main")}[daemon]\non_trouble = ["{word}"]\n', "--check-config") as daemon:
            assert daemon.wait() == 2
        assert "daemon.on_trouble" in daemon.text()


def test_mail_is_sent_to_a_real_server(workdir: Path) -> None:
    if not is_root():
        pytest.skip("Postfix needs root")
    facts = {
        "store": "main",
        "job": "purge",
        "result": "attention",
        "error": "",
        "counts": {"kept": 1},
        "mailboxes": [
            {"address": "ü@example.com", "home": "/m/u", "action": "kept", "reason": "it belongs to 12345\nFrom: evil"}
        ],
    }
    message = letter(facts, "mailstored@example.test", ("ops@example.test",))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().splitlines()[0] == "kept: 1"
    with PostfixServer(
        workdir / "postfix", {"main.cf.snippet": "defer_transports = smtp\n", "master.cf.snippet": ""}
    ) as server:
        done = subprocess.run(
            [
                sys.executable, "-W", "error", "-c", "from mailstored.letter import main; main()", "ops@example.test",
                "--from", "mailstored@example.test", "--server", f"127.0.0.1:{server.port}",
            ],
            input=json.dumps(facts),
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        server.settle()
        [queued] = server.deferred()
        assert json.loads(queued)["recipients"][0]["address"] == "ops@example.test"


def test_mail_that_is_not_taken_is_an_error() -> None:
    facts = {"store": "main", "job": "open", "result": "failed", "error": "x", "counts": {}, "mailboxes": []}
    done = subprocess.run(
        [sys.executable, "-c", "from mailstored.letter import main; main()", "a@b.example", "--server", "127.0.0.1:1"],
        input=json.dumps(facts),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 75
    assert "127.0.0.1:1 did not take the message" in done.stderr
