"""What the daemon tells from its start on: what cannot work, all of its metrics, and every event by a documented name."""

from __future__ import annotations

import ast
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from mailstore.config import StoreConfig
from mailstore.model import Finding
from mailstore.purge import Action
from mailstore.version import __version__
from mailstored import events, metrics, tasks
from mailstored.logs import make_logger
from mailstored.metrics import Metrics
from tests.servers.postgresql import PostgreSQL
from tests.test_daemon import NEVER, mail, running  # noqa: F401 a fixture
from tests.test_daemon_rig import Mail

DAEMON = Path(events.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "tell"}


class TestConfiguration:
    @pytest.fixture(params=["password file", "root", "root is a file"])
    def config(self, request: pytest.FixtureRequest, mail: Mail) -> tuple[str, str]:  # noqa: F811
        """A configuration with something missing, and what names it."""
        missing = mail.directory / "missing"
        if request.param == "password file":
            return f'{mail.toml("main")}password_file = "{missing}"\n', str(missing)
        if request.param == "root is a file":
            missing.touch()
        return mail.toml("main").replace(str(mail.root), str(missing)), str(missing)

    def test_a_check_names_what_is_missing(self, workdir: Path, config: tuple[str, str]) -> None:
        for more in ([], ["--connect"]):
            with running(workdir, config[0], "--check-config", *more) as daemon:
                assert daemon.wait() == 2
            assert config[1] in daemon.text()
            assert "stores.main" in daemon.text()

    def test_so_does_the_start(self, workdir: Path, config: tuple[str, str]) -> None:
        with running(workdir, config[0] + NEVER) as daemon:
            line = daemon.wait_for_line("run failed", job="open")
            assert daemon.end() == 0
        assert (line["result"], line["level"]) == ("misconfigured", "error")
        assert config[1] in line["error"]

    def test_an_unknown_account_shows_when_connecting(self, workdir: Path, mail: Mail, postgresql: PostgreSQL) -> None:  # noqa: F811
        url = postgresql.url("postgres").replace("vmailadmin", "nobody", 1)
        config = mail.toml("main", url=url)
        with running(workdir, config, "--check-config") as daemon:
            assert daemon.wait() == 0
        with running(workdir, config, "--check-config", "--connect") as daemon:
            assert daemon.wait() == 2
        assert "stores.main" in daemon.text()
        with running(workdir, config + NEVER) as daemon:
            daemon.wait_for_line("run failed", job="open")
            assert daemon.end() == 0

    def test_a_server_that_is_down_is_temporary(self, workdir: Path, mail: Mail) -> None:  # noqa: F811
        config = mail.toml("main", url="iredmail+postgresql://u:x@127.0.0.1:1/vmail")
        with running(workdir, config, "--check-config", "--connect") as daemon:
            assert daemon.wait() == 75


class TestMetrics:
    def test_every_series_is_there_before_anything_happens(self) -> None:
        found = Metrics()
        found.serve(["main"], ["open", "purge", "check"])
        assert found.registry.get_sample_value("mailstored_config_reload_failures_total") == 0

        def value(name: str, **labels: str) -> float | None:
            return found.registry.get_sample_value(f"mailstored_{name}", {"store": "main", **labels})

        for job in get_args(tasks.Kind):
            for result in get_args(tasks.ResultStatus):
                assert value("runs_total", job=job, result=result) == 0
            assert value("run_seconds_count", job=job) == value("crashes_total", job=job) == 0
            assert value("last_success_timestamp_seconds", job=job) == 0
        for action in set(get_args(Action)) - {"would purge"}:
            assert value("mailboxes_total", action=action) == 0
        assert value("removed_files_total") == value("removed_bytes_total") == 0
        for severity in metrics.SEVERITIES:
            assert math.isnan(value("findings_by_severity", severity=severity) or 0)
        for gauge in ("due_mailboxes", "overdue_mailboxes", "store_up"):
            assert math.isnan(value(gauge) or 0)
        assert found.registry.get_sample_value("mailstored_build_info", {"version": __version__}) == 1
        found.set_findings("main", Counter({("a", "error"): 2, ("b", "error"): 1}))
        assert (value("findings_by_severity", severity="error"), value("findings_by_severity", severity="notice")) == (
            3,
            0,
        )
        found.serve([], [])
        assert value("findings_by_severity", severity="error") is None


def told() -> Iterator[tuple[str, str]]:
    """Iterate over level and text of every event in the code; ``tell`` stands for a level that depends."""
    for path in DAEMON.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                chosen = isinstance(node.func, ast.Call)  # getattr(log, level)(...)
                name = "tell" if chosen else getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in LEVELS and isinstance(node.args[0].value, str):
                    yield name, node.args[0].value


def test_every_event_is_documented_and_no_other() -> None:
    found = set(told())
    assert {text for _, text in found} == events.EVENTS.keys()
    for level, text in found:
        assert level == "tell" or level in events.EVENTS[text].levels


class _Checked:
    """A store, as far as a check asks for it, with thousands of findings."""

    @staticmethod
    def check() -> Iterator[Finding]:
        for number in range(5000):
            yield Finding("home-missing", f"u{number}@x.org", "there is none yet", "notice")
            yield Finding("orphan", f"u{number}@x.org", "it is nobody's")


@pytest.fixture
def lines() -> Callable[[str], list[dict[str, Any]]]:
    """Run a check of such a store with a log of some level; return its lines."""

    def run(level: str) -> list[dict[str, Any]]:
        stream = io.StringIO()
        around = tasks.Surroundings(make_logger("json", level, stream), Metrics(), lambda: False)
        counts: Counter[str] = Counter()
        store: Any = _Checked()
        assert tasks.Check("main", StoreConfig(url="x"), around)._work(store, counts) == "attention"
        assert counts == {"errors": 5000, "notices": 5000}
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return run


def test_a_check_sums_up_what_it_finds(lines: Callable[[str], list[dict[str, Any]]]) -> None:
    found = lines("info")
    assert len(found) < 30
    assert [(line["code"], line["count"], line["level"]) for line in found if line["event"] == "findings"] == [
        ("home-missing", 5000, "info"),
        ("orphan", 5000, "warning"),
    ]
    assert len(lines("debug")) == 10_002
