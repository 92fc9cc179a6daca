"""The parts of mailstored that need no process of their own: schedules, settings, logs, the timetable, the board."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import mailstore
from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, StoreUnavailable
from mailstore.store import Store
from mailstored.activity import Activity
from mailstored.board import Board
from mailstored.logs import explained, make_logger
from mailstored.metrics import Exporter, Metrics
from mailstored.notify import Notifier
from mailstored.schedule import duration, trigger
from mailstored.settings import Listen, Settings, load
from mailstored.tasks import Purge, Result, ResultStatus, Surroundings, Task
from mailstored.timetable import Timetable
from tests.servers.process import free_ports, wait_for

STORE = '[stores.main]\nurl = "iredmail+sqlite:////nowhere/vmail.db"\nhomes = ["/nowhere"]\nhome_owner = "1:1"\n'
DAY = timedelta(days=1)
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def runs(line: str, count: int = 4) -> list[str]:
    """Return the next runs after a Monday the 1st, at midnight."""
    found, previous, now = trigger("key", line), None, MONDAY
    texts = []
    for _ in range(count):
        previous = found.get_next_fire_time(previous, now)
        texts.append(f"{previous:%a %d %H:%M}")
        now = previous + timedelta(seconds=1)
    return texts


# --- schedules


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("17 3 * * *", ["Mon 01 03:17", "Tue 02 03:17", "Wed 03 03:17"]),
        ("0 0 * * 0", ["Sun 07 00:00", "Sun 14 00:00"]),
        ("0 0 * * 7", ["Sun 07 00:00", "Sun 14 00:00"]),
        ("0 0 * * 5-7", ["Fri 05 00:00", "Sat 06 00:00", "Sun 07 00:00", "Fri 12 00:00"]),
        ("0 0 * * Tue,4", ["Tue 02 00:00", "Thu 04 00:00", "Tue 09 00:00"]),
        ("0 12 * * */3", ["Wed 03 12:00", "Sat 06 12:00", "Sun 07 12:00"]),
        ("0 12 * * 3/2", ["Wed 03 12:00", "Fri 05 12:00", "Wed 10 12:00"]),
        ("0 12 * * 1-5/2", ["Mon 01 12:00", "Wed 03 12:00", "Fri 05 12:00", "Mon 08 12:00"]),
        ("0 12 3 * *", ["Wed 03 12:00", "Fri 03 12:00"]),
        ("0 12 3 * fri", ["Wed 03 12:00", "Fri 05 12:00", "Fri 12 12:00"]),  # either, as cron has it
        ("*/30 * * * *", ["Mon 01 00:00", "Mon 01 00:30", "Mon 01 01:00"]),
    ],
)
def test_a_crontab_line_means_what_cron_means_by_it(line: str, expected: list[str]) -> None:
    assert runs(line, len(expected)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "", "* * * *", "* * * * * *", "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "* * * * x",
        "* * * * 5-1", "* * * * 1/0", "* * * * 1-", "* * * * ,", "@daily", "every", "every day", "every 0s", "every 5",
        "every -5m", "every 5w", "every 99999999999d", "0 0 31 2 *",
    ],
)  # fmt: skip
def test_a_bad_schedule_is_a_configuration_error_that_names_the_key(line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"daemon\.purge"):
        trigger("daemon.purge", line)


@pytest.mark.parametrize(
    ("start", "line", "expected"),
    [
        ("2026-01-10", "30 2 * * *", ["2026-01-10T01:30", "2026-01-11T01:30"]),
        ("2026-07-10", "30 2 * * *", ["2026-07-10T00:30", "2026-07-11T00:30"]),
        ("2026-07-10", "30 2 11 * mon", ["2026-07-11T00:30", "2026-07-13T00:30"]),
        ("2026-03-29", "30 2 * * *", ["2026-03-29T01:30", "2026-03-30T00:30"]),  # there is no half past two
        ("2026-10-25", "30 2 * * *", ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-26T01:30"]),  # there are two
    ],
)
def test_a_crontab_line_is_meant_in_its_time_zone(tmp_path: Path, start: str, line: str, expected: list[str]) -> None:
    found = settings(tmp_path, f'purge = "{line}"\ntimezone = "Europe/Berlin"').purge
    previous, now, seen = None, datetime.fromisoformat(f"{start}T00:00+00:00"), []
    for _ in expected:
        previous = found.get_next_fire_time(previous, now)
        now = previous.astimezone(UTC) + timedelta(seconds=1)
        seen.append(f"{previous.astimezone(UTC):%Y-%m-%dT%H:%M}")
    assert seen == expected


@pytest.mark.parametrize("name", ["Berlin", "Europe", "../../etc/passwd", "/etc/localtime", "x\\u0000y"])
def test_an_unknown_time_zone_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"daemon\.timezone"):
        settings(tmp_path, f'timezone = "{name}"')


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("15m", 900), ("2h", 7200), ("1d", 86400)])
def test_durations(text: str, seconds: int) -> None:
    assert duration(text).total_seconds() == seconds
    start = datetime.now(UTC)
    first = trigger("key", f"every {text}").get_next_fire_time(None, start)
    assert abs((first - start).total_seconds() - seconds) < 1.5


# --- settings


def settings(directory: Path, daemon: str = "", stores: str = STORE) -> Settings:
    """Load a configuration."""
    path = directory / "mailstore.toml"
    path.write_text(f"{stores}[daemon]\n{daemon}\n")
    return load(path)


def test_the_defaults_are_complete(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert list(found.stores) == ["main"]
    assert found.listen is None
    assert (found.retry_first, found.retry_max) == (timedelta(minutes=5), timedelta(hours=1))
    assert found.check is not None
    assert settings(tmp_path, 'check = ""').check is None
    assert settings(tmp_path, 'metrics_listen = "[::1]:9475"').listen == Listen("::1", 9475)


@pytest.mark.parametrize(
    ("daemon", "named"),
    [
        ('purge = ""', "daemon.purge"),
        ('check = "x"', "daemon.check"),
        ('metrics_listen = "9475"', "daemon.metrics_listen"),
        ('metrics_listen = ":9475"', "daemon.metrics_listen"),
        ('metrics_listen = "127.0.0.1:70000"', "daemon.metrics_listen"),
        ('retry_first = "5"', r"daemon.retry_first"),
        ('stuck_after = "0s"', r"daemon.stuck_after"),
        ('log_format = "xml"', "log_format"),
        ('stores = ["other"]', "other"),
        ("unknown = 1", "unknown"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, daemon: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        settings(tmp_path, daemon)
    assert "mailstore.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('homes = ["/nowhere"]', ""),
        ('homes = ["/nowhere"]', 'homes = ["/nowhere", "/nowhere/below"]'),
        ('homes = ["/nowhere"]', 'homes = ["/Nowhere"]'),
        ('"1:1"', '"nobody-of-that-name:1"'),
        ("iredmail+sqlite", "unheard-of"),
        ("iredmail+sqlite:////nowhere", "iredmail+mysql://me:s3cret-pw@[host"),
        ('vmail.db"', 'vmail.db?homes=relative"'),
    ],
)
def test_a_store_that_could_not_be_purged_is_refused_by_name_and_without_its_password(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in STORE
    with pytest.raises(ConfigurationError, match=r"stores\.main") as caught:
        settings(tmp_path, stores=STORE.replace(old, new))
    assert "s3cret-pw" not in str(caught.value)


def test_options_of_the_url_count(tmp_path: Path) -> None:
    stores = STORE.replace('homes = ["/nowhere"]\n', "").replace("vmail.db", "vmail.db?homes=/elsewhere")
    assert settings(tmp_path, stores=stores).stores["main"].homes == ["/elsewhere"]


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no stores"):
        settings(tmp_path, stores="")


# --- logs


def test_a_line_cannot_be_forged() -> None:
    stream = io.StringIO()
    make_logger("text", "info", stream).info("mailbox", home='/a b\n2026 "x"', reason="", bell="\x07", files=3)
    make_logger("json", "info", stream).warning("mailbox", home="/a\nb\udcff")
    make_logger("json", "warning", stream).info("not shown")
    first, second = stream.getvalue().splitlines()
    assert first.endswith(r'info    mailbox home="/a b\n2026 \"x\"" reason="" bell="\u0007" files=3')
    assert json.loads(second)["home"] == "/a\nb\udcff"


def test_the_text_of_foreign_errors_is_not_logged() -> None:
    with pytest.raises(ValueError, match="s3cret") as caught:
        int("s3cret")
    facts = explained(caught.value)
    assert "s3cret" not in str(facts)
    assert facts["kind"] == "ValueError"
    assert "test_the_text_of_foreign_errors_is_not_logged" in facts["where"]
    assert explained(StoreUnavailable("it is down"))["error"] == "it is down"


# --- metrics


def test_metrics_forget_what_is_gone() -> None:
    metrics = Metrics()
    for store in ("old", "kept"):
        metrics.set_due(store, 1, 0)
        metrics.set_success(store, "purge")
        metrics.set_findings(store, Counter({("orphan", "error"): 2, ("quota", "notice"): 1}))
    metrics.set_findings("kept", Counter({("orphan", "error"): 5}))
    metrics.keep_only(["kept"])

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"mailstored_{name}", labels)

    assert value("due_mailboxes", store="old") is None
    assert value("last_success_timestamp_seconds", store="old", job="purge") is None
    assert value("findings", store="old", code="orphan", severity="error") is None
    assert value("findings", store="kept", code="orphan", severity="error") == 5
    assert value("findings", store="kept", code="quota", severity="notice") is None
    assert value("due_mailboxes", store="kept") == 1


def test_an_exporter_keeps_its_address_if_the_next_cannot_be_had() -> None:
    taken, free = free_ports(2)
    holder, exporter = Exporter(Metrics()), Exporter(Metrics())
    try:
        holder.listen(Listen("127.0.0.1", taken))
        exporter.listen(Listen("127.0.0.1", free))
        with pytest.raises(OSError, match="in use"):
            exporter.listen(Listen("127.0.0.1", taken))
        with pytest.raises(OSError, match="in use"):
            holder.listen(Listen("127.0.0.1", free))
    finally:
        holder.close()
        exporter.close()


# --- the timetable


class Failing(Task):
    """A task that ends as it is told to."""

    kind = "purge"
    measured = True
    ending: ResultStatus | Exception = "ok"

    def run(self) -> Result:
        if isinstance(self.ending, Exception):
            raise self.ending
        return Result(self.store, self.kind, self.ending, {})

    def _work(self, store: Store, counts: Counter[str]) -> ResultStatus:
        raise NotImplementedError


class Bench:
    """A running timetable with one task in it, and what it logs."""

    def __init__(self, found: Settings) -> None:
        self.stream = io.StringIO()
        self.metrics, self.board, self.activity = Metrics(), Board(), Activity()
        self.around = Surroundings(make_logger("json", "info", self.stream), self.metrics, lambda: False)
        self.timetable = Timetable(self.metrics, self.activity, self.board, lambda: None)
        self.timetable.load(found, self.around)
        self.timetable.start()
        self.task = Failing("main", StoreConfig(url="x"), self.around)

    def run(self, ending: ResultStatus | Exception) -> float:
        """Run the task, and return in how many seconds it runs again."""
        self.task.ending = ending
        if self.timetable._settings.purge.interval == DAY:  # as after each run by the schedule
            self.timetable._scheduler.modify_job("purge main", next_run_time=datetime.now(UTC) + DAY)
        self.timetable._run(self.task)
        following = datetime.fromisoformat(self.timetable.next_runs()["purge main"])
        return (following - datetime.now(UTC)).total_seconds()

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A timetable whose purge runs daily, and is tried again after 5 minutes."""
    bench = Bench(settings(tmp_path, 'purge = "every 1d"\ncheck = ""'))
    yield bench
    bench.timetable.close()


def test_retries_are_further_and_further_apart(bench: Bench) -> None:
    minutes = [round(bench.run("unavailable") / 60) for _ in range(7)]
    assert minutes == [5, 10, 20, 40, 60, 60, 60]
    bench.run("ok")
    assert round(bench.run("unavailable") / 60) == 5
    assert [line["attempt"] for line in bench.lines() if "attempt" in line] == [1, 2, 3, 4, 5, 6, 7, 1]
    assert bench.board.failed("purge main")


@pytest.mark.parametrize("ending", ["ok", "attention", "failed", "misconfigured"])
def test_only_temporary_failures_are_tried_again_sooner(bench: Bench, ending: ResultStatus) -> None:
    assert round(bench.run(ending) / 3600) == 24


def test_a_retry_is_never_later_than_the_schedule(tmp_path: Path) -> None:
    bench = Bench(settings(tmp_path, 'purge = "every 1m"\ncheck = ""'))
    assert bench.run("unavailable") <= 60
    bench.timetable.close()


def test_a_bug_in_a_run_is_told_and_the_schedule_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_task: Purge) -> Result:
        raise ZeroDivisionError("s3cret")

    monkeypatch.setattr(Purge, "run", crash)
    logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
    bench = Bench(settings(tmp_path, 'purge = "every 1s"\ncheck = ""'))
    labels = {"store": "main", "job": "purge"}
    crashes = "mailstored_crashes_total"
    try:
        assert wait_for(lambda: (bench.metrics.registry.get_sample_value(crashes, labels) or 0) >= 2, 5)
    finally:
        bench.timetable.close()
    line = next(line for line in bench.lines() if line["event"] == "run crashed")
    assert (line["kind"], line["store"]) == ("ZeroDivisionError", "main")
    assert "s3cret" not in bench.stream.getvalue()
    assert "purge main: crashed, see the log" in bench.board.text()
    assert bench.activity.wait_until_all_end(0)


def test_a_dead_scheduler_does_not_answer(bench: Bench) -> None:
    bench.timetable.wake()
    assert wait_for(lambda: bench.timetable.answered_within(0.5), 5)
    assert not bench.timetable.answered_within(-1)
    time.sleep(0.1)
    assert not bench.timetable.answered_within(0.05)


# --- what is going on, and the service manager


def test_only_measured_tasks_can_be_stuck() -> None:
    activity = Activity()
    with activity.running("purge a", measured=True), activity.running("check a", measured=False):
        assert activity.stuck(timedelta(0)) == ["purge a"]
        assert not activity.stuck(timedelta(seconds=10))
        time.sleep(0.02)
        activity.moved("purge a")
        assert not activity.stuck(timedelta(seconds=0.01))
        assert not activity.wait_until_measured_end(0)
    assert activity.wait_until_all_end(0)


def test_without_systemd_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready("x")
    notifier.ping()
    notifier.close()
    assert notifier.watchdog_seconds is None
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_seconds == 3
    assert Notifier({"WATCHDOG_USEC": "nonsense"}).watchdog_seconds is None


def test_the_status_tells_failures_first() -> None:
    board = Board()
    ended = datetime(2026, 6, 1, 3, 17, tzinfo=UTC)
    assert board.text() == "waiting for the first run"
    board.record("purge a", Result("a", "purge", "ok", {"purged": 2, "files": 9}, ended=ended))
    board.record("purge b", Result("b", "purge", "unavailable", {}, ended=ended))
    assert board.text() == "purge b: unavailable (2026-06-01 03:17Z); purge a: ok, 2 purged (2026-06-01 03:17Z)"
    board.keep_only(["purge a"])
    assert not board.failed("purge b")


def test_the_library_does_not_know_the_daemon() -> None:
    for path in Path(mailstore.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("mailstored") for name in node.names), path
            elif isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("mailstored"), path
