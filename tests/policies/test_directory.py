"""What an account store has to offer so that the databases beside it keep to its accounts: no more than a `Directory`.

Here the accounts are a set, as they could be entries of a directory server that knows neither transactions nor locks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import NotFound
from mailstore.config import StoreConfig
from mailstore.driver.companions import Companions, Directory, levels, open_companions
from mailstore.driver.rights import Operation
from mailstore.policies import Level

if TYPE_CHECKING:
    from mailstore.store import SpamPolicies, Throttles
    from tests.policies.rig import PolicyRig

BOB, NEW = "bob@example.com", "rob@example.com"


@dataclass
class Entries:
    """Names without a database; it satisfies `Directory`."""

    names: set[str] = field(default_factory=lambda: {BOB, "example.com"})

    @contextmanager
    def holding(self, level: Level, operation: Operation, *, accounts_only: bool = False) -> Iterator[None]:  # noqa: ARG002
        if level.kind != "global" and level.name not in self.names:
            raise NotFound(f"there is no {level}")
        yield

    @contextmanager
    def unheld(self, names: Collection[Level]) -> Iterator[Collection[Level]]:
        yield [name for name in names if name.name not in self.names]

    def known(self, names: Collection[Level]) -> Collection[Level]:
        return {name for name in names if name.name in self.names}

    def sees(self, domain: str) -> bool:  # noqa: ARG002
        return True

    def require_everything(self, what: str) -> None:
        pass

    def target_domain(self, domain: str) -> str | None:
        return domain if domain in self.names else None

    def join(self, database: Any, called: str) -> None:
        pass


@dataclass
class Beside:
    """The databases beside a set of names."""

    entries: Entries
    companions: Companions
    policies: SpamPolicies
    throttles: Throttles


@pytest.fixture
def beside(prig: PolicyRig) -> Iterator[Beside]:
    entries = Entries()
    directory: Directory = entries
    config = StoreConfig(url="iredmail+ldap://x", amavisd=prig.url("amavisd"), iredapd=prig.url("iredapd"))
    companions = open_companions(config).seen_by(directory)
    assert companions.amavisd
    assert companions.iredapd
    yield Beside(
        entries, companions, companions.amavisd.spam_policies(directory), companions.iredapd.throttles(directory)
    )
    companions.close()


def test_settings_follow_names_without_transactions(beside: Beside, prig: PolicyRig) -> None:
    beside.policies.set(BOB, spam_score=4)
    beside.throttles.set(BOB, "inbound", period=60, max_msgs=3)
    with pytest.raises(NotFound):
        beside.policies.set(NEW, spam_score=4)
    finish = beside.companions.renaming(BOB, NEW)
    assert beside.policies.get(BOB) != beside.policies.get(NEW)  # the level differs, the values do not
    assert beside.policies.get(BOB).spam_score == beside.policies.get(NEW).spam_score == 4
    beside.entries.names ^= {BOB, NEW}
    finish()
    assert [row["email"] for row in prig.rows("users")] == [row["account"] for row in prig.rows("throttle")] == [NEW]
    finish = beside.companions.removing(levels([NEW]))
    beside.entries.names.remove(NEW)
    finish()
    assert prig.rows("users") == prig.rows("throttle") == []


def test_what_is_left_is_found_and_removed(beside: Beside, prig: PolicyRig) -> None:
    prig.insert("throttle", account=NEW, kind="inbound", priority=100, period=60)
    assert [(finding.code, finding.subject) for finding in beside.companions.findings()] == [("left-over", NEW)]
    with pytest.raises(NotFound), beside.companions.finishing(levels([NEW])):
        raise NotFound(NEW)
    assert prig.rows("throttle") == []
    prig.insert("throttle", account=NEW, kind="inbound", priority=100, period=60)
    beside.companions.claiming(levels([NEW]))
    assert prig.rows("throttle") == []


def test_a_removal_that_comes_too_late_spares_the_new_holder(beside: Beside, prig: PolicyRig) -> None:
    beside.policies.set(BOB, spam_score=4)
    finish = beside.companions.removing(levels([BOB]))
    finish()  # the name is held, by a new account
    assert len(prig.rows("policy")) == 1
