"""mailstored as a process: schedule, signals, the service manager, metrics, logs, and stores that fail."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.database import PASSWORDS
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import free_ports, is_root
from tests.test_daemon_rig import Daemon, Mail, ServiceManager, once, running

OFTEN = '[daemon]\npurge = "every 1s"\ncheck = "every 1s"\n'
NEVER = '[daemon]\npurge = "0 0 1 1 *"\ncheck = ""\n'
FILES = 10000  # enough to catch the daemon at work
WATCHDOG_SECONDS = 0.8
WATCHDOG = str(int(WATCHDOG_SECONDS * 1_000_000))


@pytest.fixture
def mail(workdir: Path, vmail_owner: tuple[int, int]) -> Mail:
    """A store in SQLite."""
    return Mail(workdir / "mail", vmail_owner)


@pytest.fixture
def manager(workdir: Path) -> Iterator[ServiceManager]:
    """systemd's end of the notification socket."""
    manager = ServiceManager(workdir)
    yield manager
    manager.close()


def scrape(port: int) -> dict[str, float]:
    """Return the metrics by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


# --- the schedule


def test_purges_and_checks_by_its_schedule_and_stops_when_told(
    workdir: Path, mail: Mail, manager: ServiceManager
) -> None:
    mail.expire(3, files=2)
    (mail.directory / "message").write_bytes(bytes(500))  # all messages are links to it
    [port] = free_ports(1)
    config = f'{mail.toml("main")}{OFTEN}metrics_listen = "127.0.0.1:{port}"\n'
    before = time.time()
    with running(workdir, config, NOTIFY_SOCKET=str(manager.path)) as daemon:
        assert manager.receive("READY")["STATUS"] == "waiting for the first run"
        summary = daemon.wait_for_line("run finished", job="purge", result="ok")
        daemon.wait_for_line("run finished", job="check", result="ok")
        daemon.wait_until(lambda: 'mailstored_runs_total{job="check",result="ok",store="main"}' in scrape(port))
        metrics = scrape(port)
        status = manager.receive("STATUS")["STATUS"]
        assert daemon.end() == 0
    assert manager.receive("STOPPING")["STOPPING"] == "1"
    assert (summary["purged"], summary["files"], summary["bytes"], summary["due"]) == (3, 6, 3000, 0)
    assert ": ok" in status
    assert not mail.homes()
    assert not mail.trashed()
    assert mail.due() == 0
    outcomes = daemon.lines("mailbox")
    assert [line["address"] for line in outcomes] == [f"user{number:03}@example.com" for number in range(3)]
    assert {(line["store"], line["action"], line["files"], line["bytes"]) for line in outcomes} == {
        ("main", "purged", 2, 1000)
    }
    assert metrics['mailstored_mailboxes_total{action="purged",store="main"}'] == 3
    assert metrics['mailstored_removed_files_total{store="main"}'] == 6
    assert metrics['mailstored_removed_bytes_total{store="main"}'] == 3000
    assert metrics['mailstored_due_mailboxes{store="main"}'] == 0
    assert metrics['mailstored_last_success_timestamp_seconds{job="purge",store="main"}'] >= before
    assert metrics['mailstored_run_seconds_count{job="purge",store="main"}'] >= 1
    assert metrics["process_open_fds"] > 0


def test_checks_report_drift(workdir: Path, mail: Mail) -> None:
    mail.expire(1)
    with mail.open() as store:
        store.domains.create("example.org")
        store.accounts.create("bob@example.org", password_hash="{SSHA256}" + "A" * 64)
        [(_, home)] = store.accounts.homes()
    shutil.rmtree(home)
    code, daemon = once(workdir, mail.toml("main"))
    findings = daemon.lines("findings")
    assert findings, daemon.text()
    assert {line["store"] for line in findings} == {"main"}
    assert len({line["code"] for line in findings}) == len(findings)
    [summary] = daemon.lines("run finished", job="check")
    assert summary.get("errors", 0) + summary.get("notices", 0) == sum(line["count"] for line in findings)
    errors = daemon.lines("finding")
    assert len(errors) == summary.get("errors", 0)
    assert all(line["code"] and line["subject"] and line["message"] for line in errors)
    assert code == (1 if "errors" in summary else 0)
    assert len(daemon.lines("mailbox", action="purged")) == 1


# --- the service manager


def test_pings_the_watchdog_in_time(workdir: Path, mail: Mail, manager: ServiceManager) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": WATCHDOG}
    with running(workdir, mail.toml("main") + NEVER, **environment) as daemon:
        manager.receive("READY")
        for _ in range(3):
            manager.receive("WATCHDOG", timeout=WATCHDOG_SECONDS)
        assert daemon.end() == 0


def test_a_watchdog_of_another_process_is_not_pinged(workdir: Path, mail: Mail, manager: ServiceManager) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": WATCHDOG, "WATCHDOG_PID": "1"}
    with running(workdir, mail.toml("main") + NEVER, **environment):
        manager.receive("READY")
        assert manager.silent_for("WATCHDOG", WATCHDOG_SECONDS)


def test_a_stuck_purge_silences_the_watchdog_until_it_moves(workdir: Path, mail: Mail, manager: ServiceManager) -> None:
    config = f'{mail.toml("main")}[daemon]\npurge = "every 1s"\ncheck = ""\nstuck_after = "1s"\n'
    with contextlib.closing(sqlite3.connect(mail.directory / "vmail.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the purge waits for this lock
        environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": WATCHDOG}
        with running(workdir, config, **environment) as daemon:
            assert daemon.wait_for_line("stuck; the watchdog is told no more")["tasks"] == ["purge main"]
            while not manager.silent_for("WATCHDOG", WATCHDOG_SECONDS):
                pass
            other.execute("ROLLBACK")
            manager.receive("WATCHDOG")
            assert daemon.end() == 0


def test_more_time_is_asked_for_while_a_purge_is_finished(workdir: Path, mail: Mail, manager: ServiceManager) -> None:
    config = f'{mail.toml("main")}[daemon]\npurge = "every 1s"\ncheck = ""\n'
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": WATCHDOG}
    with running(workdir, config, **environment) as daemon:
        daemon.wait_for_line("run finished")
        with contextlib.closing(sqlite3.connect(mail.directory / "vmail.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(1.3)  # by now a run waits for the lock
            daemon.send(signal.SIGTERM)
            manager.receive("STOPPING")
            assert manager.receive("EXTEND_TIMEOUT_USEC")["EXTEND_TIMEOUT_USEC"] == "60000000"
            manager.receive("WATCHDOG")
            assert daemon.process.poll() is None
        assert daemon.wait() == 0


# --- signals


def begun(mail: Mail, daemon: Daemon) -> Path:
    """Catch the daemon in the middle of a mailbox, and hold it there; return the mailbox."""
    for _ in range(100):
        daemon.wait_until(lambda: bool(mail.half_removed()), pause=0.001)
        daemon.send(signal.SIGSTOP)
        if mail.half_removed():
            return mail.half_removed()[0]
        daemon.send(signal.SIGCONT)
    raise AssertionError("the daemon was never met at work")


def test_sigterm_finishes_the_mailbox_in_hand(workdir: Path, mail: Mail, manager: ServiceManager) -> None:
    mail.expire(5, files=FILES)
    config = f'{mail.toml("main")}[daemon]\npurge = "every 1s"\ncheck = ""\n'
    with running(workdir, config, NOTIFY_SOCKET=str(manager.path)) as daemon:
        manager.receive("READY")
        begun(mail, daemon)
        daemon.send(signal.SIGTERM)
        daemon.send(signal.SIGCONT)
        assert daemon.wait() == 0
    manager.receive("STOPPING")
    first = daemon.lines("mailbox", action="purged")
    [summary] = daemon.lines("run finished", result="stopped")
    assert 1 <= len(first) < 5, daemon.text()
    assert summary["purged"] == len(first)
    assert not mail.half_removed()  # whole mailboxes are left, and no half ones
    assert len(mail.trashed()) + len(mail.homes()) == 5 - len(first)
    code, daemon = once(workdir, config)
    rest = daemon.lines("mailbox", action="purged")
    assert code == 0
    assert len(first) + len(rest) == 5
    assert {line["files"] for line in [*first, *rest]} == {FILES}
    assert not mail.trashed()
    assert not mail.homes()


def test_what_sigkill_cut_off_is_finished_by_the_next_run(workdir: Path, mail: Mail) -> None:
    mail.expire(4, files=FILES)
    with running(workdir, mail.toml("main"), "--once") as daemon:
        half = begun(mail, daemon)
        daemon.send(signal.SIGKILL)
        daemon.wait()
    assert half.exists()
    first = daemon.lines("mailbox", action="purged")
    code, daemon = once(workdir, mail.toml("main"))
    assert code == 0, daemon.text()
    assert len(first) + len(daemon.lines("mailbox", action="purged")) == 4
    assert not mail.trashed()
    assert not mail.homes()
    assert mail.due() == 0


def test_sigterm_stops_once_after_the_mailbox_in_hand(workdir: Path, mail: Mail) -> None:
    mail.expire(4, files=FILES)
    with running(workdir, mail.toml("main"), "--once") as daemon:
        begun(mail, daemon)
        daemon.send(signal.SIGTERM)
        daemon.send(signal.SIGCONT)
        assert daemon.wait() == 0
    assert daemon.lines("run finished", job="purge", result="stopped")
    assert not mail.half_removed()
    assert len(mail.trashed()) + len(mail.homes()) == 4 - len(daemon.lines("mailbox"))


def test_sighup_reloads_and_keeps_the_old_configuration_if_the_new_one_is_bad(
    workdir: Path, mail: Mail, vmail_owner: tuple[int, int], manager: ServiceManager
) -> None:
    other = Mail(workdir / "other", vmail_owner)
    other.expire(1)
    port, new_port = free_ports(2)
    listen = f'metrics_listen = "127.0.0.1:{port}"\n'
    with running(workdir, mail.toml("main") + NEVER + listen, NOTIFY_SOCKET=str(manager.path)) as daemon:
        manager.receive("READY")

        def reload(config: str) -> None:
            daemon.config.write_text(config)
            asked = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            daemon.send(signal.SIGHUP)
            assert int(manager.receive("RELOADING")["MONOTONIC_USEC"]) >= asked
            manager.receive("READY")

        for bad in ("[daemon", mail.toml("main") + '[daemon]\npurge = "61 * * * *"\n', '[daemon]\nlog_level = "loud"'):
            reload(bad)
        assert len(daemon.lines("configuration refused; the old one stays in force")) == 3
        assert "daemon.purge" in daemon.text()
        assert scrape(port)["mailstored_config_reload_failures_total"] == 3
        reload(f'{mail.toml("main")}{other.toml("second")}{OFTEN}metrics_listen = "127.0.0.1:{new_port}"\n')
        daemon.wait_for_line("mailbox", store="second", action="purged")
        daemon.wait_for_line("run finished", store="main")
        assert scrape(new_port)["mailstored_config_reload_failures_total"] == 3
        with pytest.raises(OSError, match="refused"):
            scrape(port)
        assert daemon.end() == 0


# --- stores that fail


def test_a_database_that_is_down_is_tried_again_and_stops_nobody(
    workdir: Path, mail: Mail, vmail_owner: tuple[int, int], manager: ServiceManager
) -> None:
    with MariaDB(workdir / "mariadb") as server:
        server.create_database("vmail")
        down = Mail(workdir / "down", vmail_owner, server.url("vmail"))
        down.expire(2)
        mail.expire(2)
        server.stop()
        often = '[daemon]\npurge = "every 1h"\ncheck = ""\nretry_first = "1s"\nretry_max = "2s"\n'
        soon = often.replace("1h", "1s")
        with running(workdir, down.toml("down") + mail.toml("up") + soon, NOTIFY_SOCKET=str(manager.path)) as daemon:
            manager.receive("READY", timeout=5)
            daemon.wait_for_line("mailbox", store="up", action="purged")
            failure = daemon.wait_for_line("run failed", store="down", result="unavailable")
            # By this schedule it would run again in an hour; that it failed makes it run at once, and then by the retries.
            daemon.config.write_text(down.toml("down") + mail.toml("up") + often)
            daemon.send(signal.SIGHUP)
            daemon.wait_for_line("configuration reloaded")
            failures = len(daemon.lines("run failed"))
            daemon.wait_until(lambda: len(daemon.lines("run failed")) > failures)
            server.start()
            daemon.wait_for_line("run finished", store="down", result="ok")
            assert daemon.end() == 0
    assert (failure["level"], failure["kind"]) == ("warning", "StoreUnavailable")
    assert len(daemon.lines("mailbox", store="down", action="purged")) == 2
    assert not down.homes()


def test_once_says_what_went_wrong_by_its_exit_code(workdir: Path, mail: Mail, postgresql: PostgreSQL) -> None:
    mail.expire(1)
    [port] = free_ports(1)
    nobody = mail.toml("nobody", f"iredmail+mysql://vmailadmin:pa55-word@127.0.0.1:{port}/vmail")
    code, daemon = once(workdir, nobody + mail.toml("main"))
    assert code == 75, daemon.text()
    assert daemon.lines("run finished", store="main", job="purge")[0]["purged"] == 1
    assert "pa55-word" not in daemon.text()

    empty = workdir / "empty.db"  # it has no tables
    empty.touch()
    wrong = mail.toml("wrong", f"iredmail+sqlite:///{empty}")
    code, daemon = once(workdir, nobody + wrong + mail.toml("main"))
    assert code == 1, daemon.text()
    assert daemon.lines("run failed", store="wrong", kind="SchemaMismatch")

    locked = mail.toml("locked", "iredmail+postgresql://vmailadmin@127.0.0.1/vmail").replace(
        "homes =", 'password_file = "nowhere"\nhomes ='
    )
    code, daemon = once(workdir, nobody + locked + mail.toml("main"))
    assert code == 2, daemon.text()
    assert daemon.lines("run failed", store="locked", result="misconfigured")
    assert PASSWORDS["vmailadmin"] not in daemon.text()


def test_a_mailbox_that_is_kept_is_reported_and_stops_nothing(workdir: Path, mail: Mail) -> None:
    if not is_root():
        pytest.skip("only root can give a mailbox to somebody else")
    mail.expire(3)
    strange = sorted(mail.homes())[1]
    os.chown(strange, 12345, 12345)
    code, daemon = once(workdir, mail.toml("main"))
    assert code == 1
    [kept] = daemon.lines("mailbox", action="kept")
    assert kept["level"] == "warning"
    assert "12345" in kept["reason"]
    assert len(daemon.lines("mailbox", action="purged")) == 2
    assert mail.homes() == [strange]


# --- the command line, and secrets


@pytest.mark.parametrize("arguments", [[], ["--once"], ["--check-config"]])
def test_a_bad_configuration_is_exit_code_2_and_names_the_key(workdir: Path, mail: Mail, arguments: list[str]) -> None:
    with running(workdir, mail.toml("main") + '[daemon]\ncheck = "every day"\n', *arguments) as daemon:
        assert daemon.wait() == 2
    assert "daemon.check" in daemon.text()
    assert len(daemon.text().splitlines()) == 1


def test_check_config_touches_nothing(workdir: Path, mail: Mail) -> None:
    mail.expire(1)
    (mail.directory / "vmail.db").rename(mail.directory / "away.db")
    with running(workdir, mail.toml("main"), "--check-config") as daemon:
        assert daemon.wait() == 0
    assert daemon.text() == "good; stores: main\n"
    assert len(mail.homes()) == 1


def test_metrics_that_cannot_be_served_are_a_fault(workdir: Path, mail: Mail) -> None:
    [port] = free_ports(1)
    listen = f'metrics_listen = "127.0.0.1:{port}"\n'
    with running(workdir, mail.toml("main") + NEVER + listen) as first:
        first.wait_for_line("started")
        with running(workdir, mail.toml("main") + NEVER + listen) as second:
            assert second.wait() == 1
        assert "already in use" in second.text()


def test_no_log_line_holds_a_password_that_was_refused(
    workdir: Path, mail: Mail, postgresql: PostgreSQL, mariadb: MariaDB
) -> None:
    config = "[daemon]\nlog_level = 'debug'\n"
    for server in (postgresql, mariadb):
        url = server.url("vmailsecret").replace(f":{PASSWORDS['vmailadmin']}@", ":wr0ng-secret@")
        config += mail.toml(server.scheme.rpartition("+")[2], url)
    code, daemon = once(workdir, config)
    assert code in (1, 75)
    assert len(daemon.lines("run failed")) == 4
    assert "wr0ng-secret" not in daemon.text()
