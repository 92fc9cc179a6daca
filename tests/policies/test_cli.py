"""The commands about policies, in the words and units that people use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import URL, make_url

from mailstore import Store
from tests.policies.rig import NAMES, PolicyRig, shipped
from tests.test_cli_rig import run

BOB = "bob@example.com"
Command = Callable[..., str]


def store_url(rig: PolicyRig) -> str:
    companions = {option: rig.url(option) for option in NAMES}
    url: URL = make_url(rig.accounts.url).update_query_dict(companions)
    return url.render_as_string(hide_password=False)


@pytest.fixture
def command(pstore: Store, prig: PolicyRig) -> Command:
    """A function that runs a command line, which has to end with `code`, and returns its standard output."""

    def call(line: str, form: str = "lines", code: int = 0) -> str:
        result: Result = run("--url", store_url(prig), "--format", form, *line.split())
        assert result.exit_code == code, (line, result.output)
        return result.output if code else result.stdout

    return call


def test_policy(command: Command, prig: PolicyRig) -> None:
    shipped(prig)
    stored = json.loads(command("policy set example.com --spam-score 5.5 --quarantine-spam yes", "json"))
    assert (stored["level"], stored["spam_score"], stored["quarantine_spam"]) == ("example.com", 5.5, True)
    assert stored["bypass_spam_checks"] is None
    command(f"policy update {BOB} --quarantine-spam no --prefix-spam-in-subject yes")
    command(f"policy update {BOB} --prefix-spam-in-subject inherit")
    shown = dict(line.split("\t") for line in command(f"policy show {BOB}").splitlines())
    assert (shown["quarantine_spam"], shown["prefix_spam_in_subject"], shown["spam_score"]) == (
        "no",
        "inherit",
        "inherit",
    )
    effective = command(f"policy effective {BOB}").splitlines()
    assert {"quarantine_spam\tno\tbob@example.com\t", "spam_score\t5.5\texample.com\t"} <= set(effective)
    assert {"quarantine_virus\tyes\tglobal\t", "always_insert_x_spam_headers\t\t\t"} <= set(effective)
    assert command("policy list").splitlines() == [
        "global\tinherit\tno\tyes\tno", "example.com\t5.5\tyes\tinherit\tinherit",
        "bob@example.com\tinherit\tno\tinherit\tinherit",
    ]  # fmt: skip
    assert command("policy delete example.com --dry-run", "table") == "would have deleted the policy of example.com\n"
    assert len(prig.rows("policy")) == 3
    command("policy delete example.com")
    assert len(prig.rows("policy")) == 2


def test_throttle(command: Command, prig: PolicyRig) -> None:
    command("throttle set example.com outbound --period 1h --max-msgs 100 --msg-size 10M --max-recipients unlimited")
    command(f"throttle set {BOB} outbound --period 10m --max-quota 1G")
    command(f"throttle update {BOB} outbound --max-quota 2G --period 15m")
    assert command("throttle list").splitlines() == [
        "example.com\toutbound\t1h\t10M\t100\tinherit\tunlimited", f"{BOB}\toutbound\t15m\tinherit\tinherit\t2G\tinherit",
    ]  # fmt: skip
    overflows = "counts up to 4G in a period, and no message after that" if prig.name == "mysql" else ""
    assert command(f"throttle effective {BOB} outbound").splitlines() == [
        "msg_size\t10M\t1h\texample.com\t", f"max_msgs\t100\t1h\texample.com\t{overflows}",
        f"max_quota\t2G\t15m\t{BOB}\t", "max_recipients\tunlimited\t1h\texample.com\t",
    ]  # fmt: skip
    shown: Any = json.loads(command(f"throttle show {BOB} outbound", "json"))
    assert (shown["period"], shown["max_quota"], shown["max_msgs"]) == (900, 2 << 30, "inherit")
    command(f"throttle reset {BOB}")
    command(f"throttle delete {BOB} outbound")
    assert "no limit" in command("throttle set global inbound --period 1h --max-msgs 10M", code=2)
    assert "no period" in command("throttle set global inbound --period 0", code=4)
    assert "no account" in command("throttle set nobody@example.com inbound --period 1h", code=5)


def test_greylisting(command: Command, prig: PolicyRig) -> None:
    shipped(prig)
    command("greylisting set example.com --disabled")
    command("greylisting set example.com --whitelist @b.org --whitelist 192.0.2.0/24")
    command("greylisting set example.com --add-whitelist c@d.org --remove-whitelist @b.org")
    assert command("greylisting list").splitlines() == ["global\tyes\t\t", "example.com\tno\t192.0.2.0/24 c@d.org\t"]
    found = json.loads(command(f"greylisting effective {BOB} --sender a@b.org --client 192.0.2.7", "json"))
    assert found == {
        "greylisted": False, "level": "example.com", "sender": "192.0.2.0/24", "whitelisted": True, "undefined": False,
    }  # fmt: skip
    command("greylisting delete example.com")
    assert json.loads(command("greylisting show example.com", "json"))["enabled"] is None
    assert command("greylisting spf-domains --add b.org --add c.org") == "b.org\nc.org\n"
    assert command("greylisting spf-domains --remove b.org") == "c.org\n"


def test_access_list(command: Command) -> None:
    command(f"access-list set {BOB} inbound --whitelist a@b.org --blacklist @.spam.example")
    command(f"access-list set {BOB} inbound --add-blacklist x@y.org")
    shown = json.loads(command(f"access-list show {BOB} inbound", "json"))
    assert (shown["whitelist"], shown["blacklist"]) == (["a@b.org"], ["@.spam.example", "x@y.org"])
    found = command(f"access-list effective {BOB} inbound --peer z@spam.example")
    assert found.splitlines()[0] == "verdict\treject"
    command(f"access-list delete {BOB} inbound")
    assert json.loads(command(f"access-list show {BOB} inbound", "json"))["blacklist"] == []


def test_a_dry_run_of_a_deletion_leaves_everything(command: Command, prig: PolicyRig) -> None:
    command(f"policy set {BOB} --spam-score 4")
    before = prig.everything()
    command(f"account delete {BOB} --dry-run")
    assert prig.everything() == before
    command(f"account delete {BOB}")
    assert prig.rows("policy") == []


def test_check_reports_what_is_wrong(command: Command, prig: PolicyRig) -> None:
    prig.insert("throttle", account="gone@example.com", kind="inbound", priority=10, period=60)
    lines = command("check", code=1).splitlines()
    assert {line.split("\t")[0] for line in lines} == {"left-over", "policy-priority"}
    prig.execute("throttle", "DELETE FROM throttle")
