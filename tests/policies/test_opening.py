"""Options that name the databases: what is wrong with them is told, without any password."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from mailstore import Capability, ConfigurationError, SchemaMismatch, StoreDenied
from mailstore.driver.companions import BESIDE

if TYPE_CHECKING:
    from mailstore import Store
    from mailstore.sql.iredmail.store import IRedMailStore
    from tests.policies.rig import PolicyRig


@pytest.mark.parametrize(
    "url", ["amavisd", "sqlite:///x", "user:geheim@host/x", "//u:geheim@h/x", "mysql://u:geheim@h:x/y"]
)
def test_urls_that_are_none(prig: PolicyRig, url: str) -> None:
    with pytest.raises(ConfigurationError, match="amavisd") as caught:
        prig.open(amavisd=url)
    assert "geheim" not in str(caught.value)


def test_capabilities_are_those_of_the_databases(prig: PolicyRig) -> None:
    assert prig.shared.capabilities >= BESIDE
    with prig.open(iredapd="") as store:
        assert store.capabilities & BESIDE == {Capability.SPAM_POLICIES, Capability.ACCESS_LISTS}
    with prig.open(amavisd="", iredapd="") as store:
        assert not store.capabilities & BESIDE


def test_the_wrong_database(prig: PolicyRig) -> None:
    with prig.open(amavisd=prig.url("iredapd"), iredapd=prig.url("amavisd")) as store:
        with pytest.raises(SchemaMismatch, match="users"):
            store.spam_policies.get("global")
        with pytest.raises(SchemaMismatch, match="throttle"):
            store.throttles.get("global", "inbound")


def test_passwords_from_files_and_from_the_environment(
    prig: PolicyRig, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(prig.url("amavisd"))
    bare = url._replace(password=None).render_as_string(hide_password=False)
    (workdir / "secret").write_text(f"{url.password}\nnot this\n")
    with prig.open(amavisd=bare, amavisd_password_file=str(workdir / "secret")) as store:
        store.spam_policies.get("global")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(workdir))
    with prig.open(amavisd=bare, amavisd_password_file="secret") as store:
        store.spam_policies.get("global")
    with pytest.raises(ConfigurationError, match="amavisd_password_file"):
        prig.open(amavisd=bare, amavisd_password_file="absent")
    monkeypatch.setenv("MAILSTORE_AMAVISD_PASSWORD", str(url.password))
    with prig.open(amavisd=bare) as store:
        store.spam_policies.get("global")
    monkeypatch.setenv("MAILSTORE_AMAVISD_PASSWORD", "wrong")
    with prig.open(amavisd=bare) as store, pytest.raises(StoreDenied, match="database amavisd") as caught:
        store.spam_policies.get("global")
    assert "wrong" not in str(caught.value)


def test_nothing_shows_a_password(pstore: Store, prig: PolicyRig) -> None:
    secret = make_url(prig.url("amavisd")).password
    assert secret
    assert str(secret) not in repr(pstore) + pstore.name + repr(pstore.companions)  # type: ignore[attr-defined]


@pytest.mark.parametrize("policy_rig", ["mysql"], indirect=True)
def test_tables_without_rollback_beside_the_accounts(prig: PolicyRig, pstore: IRedMailStore) -> None:
    """One database that cannot be rolled back stops what would change both, before anything is changed."""
    pstore.greylisting.set("bob@example.com", enabled=False)
    prig.execute("greylisting", "ALTER TABLE greylisting ENGINE=MyISAM")
    try:
        before = prig.everything()
        with prig.open() as opened:
            for refused in (
                lambda: opened.accounts.rename("bob@example.com", "robert@example.com"),
                lambda: opened.throttles.set("bob@example.com", "inbound", period="1h", max_msgs=1),
            ):
                with pytest.raises(SchemaMismatch, match=r"greylisting \(MyISAM\)"):
                    refused()
            with pytest.raises(SchemaMismatch, match=r"greylisting \(MyISAM\)"), opened.rehearsal() as tried:
                tried.greylisting.set("bob@example.com", enabled=True)
            assert opened.accounts.exists("bob@example.com")
            assert opened.greylisting.get("bob@example.com").enabled is False
        assert prig.everything() == before
    finally:
        prig.execute("greylisting", "ALTER TABLE greylisting ENGINE=InnoDB")
