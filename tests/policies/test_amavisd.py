"""What Debian's amavisd does with mail under the policies that are written: the documented effect, on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from tests.policies.rig import NAMES, PolicyRig, shipped
from tests.servers.amavisd import BANNED, VIRUS, Amavisd
from tests.servers.database import PASSWORDS
from tests.servers.process import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore import Store

BOB, EVE, OTHER = "bob@example.com", "eve@example.com", "u@example.org"
LEVELS = ("global", "example.com", BOB)
DSN = {
    "mysql": "DBI:mysql:database={name};host={host};port={port}",
    "postgresql": "DBI:Pg:dbname={name};host={host};port={port}",
}


@pytest.fixture(scope="module")
def scanners(scratch_root: Path) -> Iterator[Callable[[PolicyRig], Amavisd]]:
    """A function that returns the amavisd that reads the policies of a rig; each is started when first asked for."""
    started: dict[str, Amavisd] = {}
    with ExitStack() as stack:

        def get(rig: PolicyRig) -> Amavisd:
            if rig.name not in started:
                dsn = DSN[rig.name].format(name=NAMES["amavisd"], host=LOOPBACK, port=rig.server.port)
                amavisd = Amavisd(scratch_root / f"amavisd-{rig.name}", dsn, "vmail", PASSWORDS["vmail"])
                started[rig.name] = stack.enter_context(amavisd)
            return started[rig.name]

        yield get


@pytest.fixture
def scanner(policy_rig: PolicyRig, scanners: Callable[[PolicyRig], Amavisd]) -> Amavisd:
    """The amavisd that reads the policies of one engine."""
    return scanners(policy_rig)


@pytest.fixture(autouse=True)
def accounts(pstore: Store) -> None:
    pstore.accounts.create(OTHER, password_hash="{SSHA512}" + "A" * 96)


@dataclass(frozen=True)
class Outcome:
    """What became of a message for one recipient."""

    delivered: bool
    quarantined: tuple[str, ...] = ()
    subject: str = ""
    headers: bool = False
    flagged: bool = False


def message(kind: str) -> bytes:
    """Return a message of a kind; a number is a spam score."""
    made = EmailMessage()
    made["From"], made["To"], made["Date"] = "a@b.org", BOB, "Mon, 01 Jan 2024 00:00:00 +0000"
    made["Message-ID"], made["Subject"] = "<1@b.org>", f"score-{kind}" if kind.isdecimal() else "hello"
    made.set_content(VIRUS if kind == "virus" else "text")
    if kind == "banned":
        made.add_attachment(b"MZ", maintype="application", subtype="octet-stream", filename=BANNED)
    data = made.as_bytes()
    return data.replace(b"Subject: hello", b"Subject: h\xe4llo") if kind == "bad_header" else data


def outcome(scanner: Amavisd, kind: str, recipient: str = BOB) -> Outcome:
    """Send a message and return what became of it."""
    scanner.empty()
    scanner.send(message(kind), recipient)
    received = [one.message for one in scanner.sink.received if one.recipient == recipient]
    kept = tuple(scanner.quarantined())
    if not received:
        return Outcome(False, kept)
    (only,) = received
    flagged = only["X-Spam-Flag"] == "YES"
    return Outcome(True, kept, str(only["Subject"]).partition("score")[0], "X-Spam-Status" in only, flagged)


def kept(kind: str) -> Outcome:
    """Return what becomes of mail that is discarded with a copy in the quarantine."""
    return Outcome(False, (kind,))


KINDS = {"spam": "7", "virus": "virus", "banned": "banned", "bad_header": "bad_header"}
PASSED = {
    "spam": Outcome(True, headers=True, flagged=True, subject="[SPAM] "), "virus": Outcome(True, subject="hello"),
    "banned": Outcome(True, subject="hello"), "bad_header": Outcome(True, subject="h\ufffdllo"),
}  # fmt: skip
BYPASSES = {
    "bypass_spam_checks": "spam", "bypass_virus_checks": "virus", "bypass_banned_checks": "banned",
    "bypass_header_checks": "bad_header",
}  # fmt: skip


def under(level: str, store: Store, opposite: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Set a policy at a level, and the opposite at all levels that come after it."""
    for other in LEVELS[: LEVELS.index(level)]:
        store.spam_policies.update(other, **opposite)  # type: ignore[typeddict-item]
    store.spam_policies.update(level, **own)  # type: ignore[typeddict-item]


def passed(scanner: Amavisd, category: str, recipient: str = BOB) -> bool:
    """Tell whether mail of a category arrives; if not, it must be in the quarantine, and if so, not."""
    found = outcome(scanner, KINDS[category], recipient)
    assert found.quarantined == (() if found.delivered else (category,))
    return found.delivered


def test_without_a_policy_the_configuration_rules(pstore: Store, scanner: Amavisd) -> None:
    for category, kind in KINDS.items():
        assert outcome(scanner, kind) == kept(category)
    assert outcome(scanner, "1") == Outcome(True)
    assert outcome(scanner, "3") == Outcome(True, headers=True)


@pytest.mark.parametrize("level", LEVELS)
def test_bypassing_checks(pstore: Store, scanner: Amavisd, level: str) -> None:
    for name, category in BYPASSES.items():
        for bypassed in (True, False):
            under(level, pstore, {name: not bypassed}, {name: bypassed})
            assert passed(scanner, category) is bypassed
            # Who is outside of the level has what the levels below it say.
            outside = {"global": None, "example.com": OTHER, BOB: EVE}[level]
            if outside:
                assert passed(scanner, category, outside) is not bypassed
    pstore.spam_policies.set(level, bypass_spam_checks=True)
    assert outcome(scanner, "7") == Outcome(True)  # untouched: not even marked


@pytest.mark.parametrize("level", LEVELS)
def test_quarantine_or_delivery(pstore: Store, scanner: Amavisd, level: str) -> None:
    for category, kind in KINDS.items():
        name = f"quarantine_{category}"
        for wanted in (True, False):
            under(level, pstore, {name: not wanted}, {name: wanted})
            found = outcome(scanner, kind)
            assert found.delivered is not wanted
            assert found.quarantined == ((category,) if wanted else ())
            outside = {"global": None, "example.com": OTHER, BOB: EVE}[level]
            if outside:
                assert passed(scanner, category, outside) is wanted
    assert outcome(scanner, KINDS["spam"]) == PASSED["spam"]


@pytest.mark.parametrize("level", LEVELS)
def test_prefix_of_the_subject(pstore: Store, scanner: Amavisd, level: str) -> None:
    pstore.spam_policies.set("global", quarantine_spam=False)
    for wanted in (False, True):
        under(level, pstore, {"prefix_spam_in_subject": not wanted}, {"prefix_spam_in_subject": wanted})
        spam = outcome(scanner, "7")
        assert (spam.delivered, spam.flagged) == (True, True)
        assert spam.subject == ("[SPAM] " if wanted else "")
        assert outcome(scanner, "3").subject == outcome(scanner, "1").subject == ""  # ham never has it


@pytest.mark.parametrize("level", LEVELS)
def test_headers_however_low_the_score(pstore: Store, scanner: Amavisd, level: str) -> None:
    name = "always_insert_x_spam_headers"
    for wanted in (True, False):
        under(level, pstore, {name: not wanted}, {name: wanted})
        assert outcome(scanner, "1") == Outcome(True, headers=wanted)
        assert outcome(scanner, "3").headers


@pytest.mark.parametrize("level", LEVELS)
def test_score(pstore: Store, scanner: Amavisd, level: str) -> None:
    for score, opposite in ((4, 12), (12.5, 4)):
        under(level, pstore, {"spam_score": opposite, "quarantine_spam": False}, {"spam_score": score})
        pstore.spam_policies.update("global", quarantine_spam=False)
        for sent in (3, 4, 5, 12, 13):
            assert outcome(scanner, str(sent)).flagged is (sent >= score)
        # What is marked is exactly what the quarantine would take.
        pstore.spam_policies.update(level, quarantine_spam=True)
        for sent in (3, 4, 5, 12, 13):
            assert outcome(scanner, str(sent)).delivered is (sent < score)
        pstore.spam_policies.update(level, quarantine_spam=None)


def test_each_value_of_an_account_over_its_domain_over_global_over_the_configuration(
    pstore: Store, prig: PolicyRig, scanner: Amavisd
) -> None:
    shipped(prig)
    assert outcome(scanner, "7") == PASSED["spam"]
    assert passed(scanner, "bad_header")
    assert not passed(scanner, "virus")
    pstore.spam_policies.set("example.com", spam_score=4, quarantine_spam=True)
    assert outcome(scanner, "5") == kept("spam")
    assert outcome(scanner, "5", OTHER) == Outcome(True, headers=True)
    pstore.spam_policies.set(BOB, quarantine_spam=False, prefix_spam_in_subject=False)
    assert outcome(scanner, "5") == Outcome(True, headers=True, flagged=True)  # the domain's score, the account's rest
    assert outcome(scanner, "5", EVE) == kept("spam")
    assert not passed(scanner, "virus")  # still the global policy
    effective = pstore.spam_policies.effective(BOB)
    assert (effective.levels["spam_score"], effective.levels["quarantine_virus"]) == ("example.com", "global")
    pstore.spam_policies.update(BOB, quarantine_spam=None)
    assert outcome(scanner, "5") == kept("spam")
    pstore.spam_policies.delete("example.com")
    assert outcome(scanner, "5") == Outcome(True, headers=True)
    pstore.spam_policies.delete("global")
    assert outcome(scanner, "7") == kept("spam")  # as amavisd is configured


def test_recipients_of_one_message_each_have_their_own(pstore: Store, scanner: Amavisd) -> None:
    pstore.spam_policies.set("example.com", bypass_spam_checks=True)
    pstore.spam_policies.set(EVE, bypass_spam_checks=False, quarantine_spam=False, spam_score=2)
    scanner.empty()
    scanner.send(message("7"), BOB, EVE, OTHER)
    received = {one.recipient: one.message for one in scanner.sink.received}
    assert sorted(received) == [BOB, EVE]
    assert received[EVE]["X-Spam-Flag"] == "YES"
    assert "X-Spam-Status" not in received[BOB]
    assert scanner.quarantined() == ["spam"]


def test_a_list_alone_does_not_bring_a_policy_with_it(pstore: Store, prig: PolicyRig, scanner: Amavisd) -> None:
    """The column for the policy defaults to 1, mostly the global policy, which would come before the domain's."""
    shipped(prig)
    pstore.spam_policies.set("example.com", quarantine_spam=True)
    pstore.access_lists.set(BOB, "inbound", whitelist=["friend@b.org"])
    assert outcome(scanner, "7") == kept("spam")


def test_white_and_black_senders(pstore: Store, scanner: Amavisd) -> None:
    def delivered(kind: str, sender: str) -> bool:
        scanner.empty()
        scanner.send(message(kind).replace(b"From: a@b.org", f"From: {sender}".encode()), BOB, sender=sender)
        return bool(scanner.sink.received)

    pstore.access_lists.set(BOB, "inbound", whitelist=["friend@c.org"], blacklist=["@d.org"])
    assert delivered("7", "friend@c.org")
    assert not delivered("7", "other@c.org")
    assert not delivered("1", "x@d.org")
    pstore.access_lists.delete(BOB, "inbound")
    assert not delivered("7", "friend@c.org")
    assert delivered("1", "x@d.org")


def test_policies_follow_a_renamed_account_and_end_with_it(pstore: Store, scanner: Amavisd) -> None:
    pstore.spam_policies.set(BOB, bypass_spam_checks=True)
    pstore.access_lists.set(BOB, "inbound", whitelist=["friend@c.org"])
    pstore.accounts.rename(BOB, "robert@example.org")
    assert passed(scanner, "spam", "robert@example.org")
    assert not passed(scanner, "spam")
    pstore.accounts.delete("robert@example.org")
    pstore.accounts.create("robert@example.org", password_hash="{SSHA512}" + "A" * 96)
    assert not passed(scanner, "spam", "robert@example.org")
