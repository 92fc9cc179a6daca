"""``mailstore status`` and ``mailstore doctor``: what an operator looks at first."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from prometheus_client import start_http_server
from sqlalchemy import create_engine, text

from mailstore.cli.root import root
from mailstore.testing import temporary_store
from mailstored.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with an account, a mailbox that waits and one that is overdue; and a second store that is not there."""
    with temporary_store(tmp_path) as store:
        store.domains.create("example.com")
        for name in ("bob", "eve", "old"):
            store.accounts.create(f"{name}@example.com", password="correct horse")
        store.accounts.delete("eve@example.com", keep_mailbox_days=30)
        record = store.accounts.delete("old@example.com", keep_mailbox_days=1)
        assert record is not None
    engine = create_engine(f"sqlite:///{tmp_path}/vmail.db")
    with engine.begin() as connection:
        late = date.today() - timedelta(days=3)  # noqa: DTZ011 three days are enough in any zone
        change = text("UPDATE deleted_mailboxes SET delete_date = :late WHERE username = 'old@example.com'")
        connection.execute(change, {"late": late.isoformat()})
    engine.dispose()
    (tmp_path / "mailstore.toml").write_text(
        f'[stores.main]\nurl = "iredmail+sqlite:///{tmp_path}/vmail.db"\nhomes = ["{tmp_path}/homes"]\n'
        f'[stores.gone]\nurl = "iredmail+sqlite:///{tmp_path}/absent.db"\n',
        encoding="utf-8",
    )
    return tmp_path


def _add_option(place: Path, line: str) -> None:
    file = place / "mailstore.toml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("[stores.gone]", f"{line}\n[stores.gone]"), encoding="utf-8")


def _rows(place: Path, *words: str, code: int) -> list[dict[str, Any]]:
    done = CliRunner().invoke(root, ["--config", f"{place}/mailstore.toml", "--format", "json", *words])
    assert done.exit_code == code, done.output
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_status_tells_of_all_stores(place: Path) -> None:
    main, gone = _rows(place, "status", "--findings", code=1)
    expected = {"schema": "complete", "domains": 1, "accounts": 1, "waiting": 2, "due": 1, "overdue": 1, "errors": 0}
    assert {name: main[name] for name in expected} == expected
    assert main["free_bytes"] > 0
    assert gone["store"] == "gone"
    assert "absent.db" in gone["error"]
    (only,) = _rows(place, "status", "--store", "main", code=0)
    assert (only["store"], only["errors"]) == ("main", None)


def test_status_asks_the_daemon_for_its_last_runs(place: Path) -> None:
    metrics = Metrics()
    metrics.serve(["main"], ["purge", "check"])
    began = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    server, thread = start_http_server(0, "127.0.0.1", registry=metrics.registry)
    try:
        with (place / "mailstore.toml").open("a", encoding="utf-8") as file:
            file.write(f'[daemon]\nmetrics_listen = "127.0.0.1:{server.server_port}"\n')
        (main,) = _rows(place, "status", "--store", "main", code=0)
        assert (main["last_purge"], main["last_check"]) == (None, None)
        metrics.set_success("main", "purge")
        (main,) = _rows(place, "status", "--store", "main", code=0)
        assert main["last_check"] is None
        assert datetime.fromisoformat(main["last_purge"].rstrip("Z")) >= began
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert "no metrics" in str(_rows(place, "doctor", "--store", "main", code=0))


def test_doctor_says_what_to_do(place: Path) -> None:
    secret = place / "password"
    secret.write_text("x\n", encoding="utf-8")
    secret.chmod(0o644)
    _add_option(place, f'password_file = "{secret}"')
    found = _rows(place, "doctor", code=1)
    assert any("answers, accounts: 1" in one["found"] for one in found)
    assert any((one["subject"], one["state"]) == ("gone", "fails") and one["advice"] for one in found)
    assert any("should have been purged: 1" in one["found"] and "mailstored" in one["advice"] for one in found)
    assert any(
        (one["found"], one["advice"]) == (f"everybody can read {secret}", f"chmod o-rwx {secret}") for one in found
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a root to somebody else")
def test_doctor_sees_a_root_of_somebody_else_and_one_that_is_gone(place: Path) -> None:
    _add_option(place, 'home_owner = "1234:1234"')
    os.chown(place / "homes", 4321, 4321)
    found = _rows(place, "doctor", "--store", "main", code=0)
    assert any(one["advice"] == f"chown 1234 {place}/homes" for one in found)
    (place / "homes").rename(place / "elsewhere")
    found = _rows(place, "doctor", "--store", "main", code=1)
    assert any("mounted" in one["advice"] for one in found if one["state"] == "fails")
