"""The command line on a box: what is left to be done, the archive, our tables, and what a box lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.mailinabox.rig import HOSTNAME, BoxRig
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

BOB = "bob@example.com"
PASSWORD = "correct horse"


@pytest.fixture
def box(new_box: Callable[..., BoxRig]) -> BoxRig:
    return new_box()


def call(box: BoxRig, *args: str, form: str = "lines", stdin: str | None = None) -> Result:
    url = f"{box.url}?primary_hostname={HOSTNAME}"
    return run("--url", url, "--homes", str(box.file.parent), "--format", form, *args, stdin=stdin)


def create(box: BoxRig, address: str = BOB, *options: str) -> Result:
    return call(box, "account", "create", address, "--password-stdin", *options, stdin=PASSWORD)


def test_tells_what_the_box_has_to_run(box: BoxRig) -> None:
    made = create(box)
    assert made.exit_code == 0, made.stderr
    assert "new: example.com" in made.stderr
    assert "run: sudo /root/mailinabox/management/mailconfig.py update" in made.stderr
    assert "mailconfig" not in made.stdout
    second = create(box, "eve@example.com")
    assert (second.exit_code, second.stderr) == (0, "")


def test_says_nothing_after_a_rehearsal_or_a_refusal(box: BoxRig) -> None:
    create(box)
    rehearsed = call(box, "account", "delete", BOB, "--dry-run")
    assert (rehearsed.exit_code, rehearsed.stderr) == (0, "")
    refused = create(box)
    assert refused.exit_code == 6
    assert "mailconfig" not in refused.stderr


def test_keeping_for_days_takes_our_tables(box: BoxRig) -> None:
    create(box)
    refused = call(box, "account", "delete", BOB, "--keep-days", "30")
    assert (refused.exit_code, "schema add-retention-table" in refused.stderr) == (9, True)
    assert call(box, "deleted", "list").exit_code == 9
    assert call(box, "schema", "add-retention-table").exit_code == 0
    assert call(box, "account", "delete", BOB, "--keep-days", "30").exit_code == 0
    (record,) = json.loads(call(box, "deleted", "list", form="json").stdout)
    assert record["address"] == BOB
    assert call(box, "deleted", "restore", str(record["id"])).exit_code == 0
    assert call(box, "account", "verify-password", BOB, "--password-stdin", stdin=PASSWORD).exit_code == 0


def test_archive_and_purge(box: BoxRig) -> None:
    call(box, "schema", "add-retention-table")
    create(box)
    create(box, "eve@example.com")
    call(box, "account", "delete", BOB, "--keep-days", "0")
    box.execute("DELETE FROM users")
    shown = json.loads(call(box, "deleted", "archived", form="json").stdout)
    assert [(entry["address"], entry["id"] > 0) for entry in shown] == [(BOB, True), ("eve@example.com", False)]
    purged = call(box, "purge", "--yes")
    assert (purged.exit_code, "purged" in purged.stdout) == (0, True)
    shown = json.loads(call(box, "deleted", "archived", "--domain", "example.com", form="json").stdout)
    assert [entry["address"] for entry in shown] == ["eve@example.com"]


def test_aliases_of_all_kinds(box: BoxRig) -> None:
    create(box)
    assert call(box, "alias", "create", "@example.com", "--member", BOB).exit_code == 0
    done = call(box, "alias", "create", "boss@example.com", "--member", BOB, "--permitted-sender", BOB, form="json")
    assert json.loads(done.stdout)["permitted_senders"] == [BOB]
    assert call(box, "domain", "alias-add", "example.com", "alias.com").exit_code == 0
    domains = json.loads(call(box, "domain", "list", form="json").stdout)
    assert [(item["domain"], item["alias_domains"], item["catch_all"]) for item in domains] == [
        ("example.com", ["alias.com"], [BOB])
    ]


def test_what_a_box_lacks(box: BoxRig) -> None:
    create(box)
    for command in (
        ("domain", "create", "other.com"),
        ("domain", "delete", "example.com", "--yes"),
        ("account", "rename", BOB, "robert@example.com"),
        ("account", "disable", BOB),
        ("account", "update", BOB, "--name", "Bob"),
        ("admin", "promote", BOB),
        ("schema", "create"),
        ("lookups", "dovecot", "--version", "2.4"),
    ):
        done = call(box, *command)
        assert done.exit_code == 9, (command, done.stdout, done.stderr)
        assert done.stderr.startswith("mailstore: ")


def test_schema_check_tells_the_stage(new_box: Callable[..., BoxRig]) -> None:
    done = call(new_box(13), "schema", "check")
    assert done.stdout.splitlines() == [
        "auto_aliases\tabsent",
        "users.quota\tabsent",
        "mailstore_deleted_mailboxes\tabsent",
        "mailstore_deleted\tabsent",
    ]
