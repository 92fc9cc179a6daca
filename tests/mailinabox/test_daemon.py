"""The daemon purges a box, and says what is missing on one without our tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstore.passwords import hash_password
from tests.mailinabox.rig import HOSTNAME, BoxRig
from tests.test_daemon_rig import once

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READY = hash_password("secret")


def config(box: BoxRig) -> str:
    lines = [f'url = "{box.url}"', f'homes = ["{box.file.parent}"]', f'primary_hostname = "{HOSTNAME}"']
    return "\n".join(["[stores.box]", *lines, ""])


def test_purges_what_is_due(new_box: Callable[..., BoxRig], workdir: Path) -> None:
    box = new_box(own_table=True)
    with box.open() as store:
        for name in ("due", "later", "back"):
            store.accounts.create(f"{name}@example.com", password_hash=READY)
            store.accounts.delete(f"{name}@example.com", keep_mailbox_days=30 if name == "later" else 0)
    box.insert("users", email="back@example.com", password=READY)
    code, daemon = once(workdir, config(box))
    assert code == 0, daemon.text()
    assert sorted(path.name for path in (box.root / "example.com").iterdir()) == ["back", "later"]
    assert [row["username"] for row in box.rows("mailstore_deleted_mailboxes")] == ["later@example.com"]


def test_without_our_tables(new_box: Callable[..., BoxRig], workdir: Path) -> None:
    box = new_box()
    code, daemon = once(workdir, config(box))
    assert code != 0
    assert "schema add-retention-table" in daemon.text()
    assert "Traceback" not in daemon.text()
