"""Hashes of those who log in to iRedMail's panel: whatever stores one, the panel can verify it, or somebody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import Store
from mailstore.driver.iredmail.panel import panel_verifies
from mailstore.passwords import hash_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stores import StoreRig

BOB = "bob@own.org"
ARGON = "ARGON2ID"


@pytest.fixture
def by_argon(store: Store, iredmail_rig: StoreRig) -> Iterator[Store]:
    """The store, with a scheme that the panel cannot verify."""
    assert store.domains.exists("own.org")
    with iredmail_rig.open(
        password_scheme=ARGON, **({"login_by": "lookup"} if "ldap" in iredmail_rig.name else {})
    ) as own:
        yield own


def told(store: Store) -> list[str]:
    return [notice.code for notice in store.take_notices()]


def test_a_verified_password_of_an_admin_is_not_hashed_for_dovecot_alone(by_argon: Store) -> None:
    by_argon.admins.promote(BOB, password="secret")
    assert panel_verifies(by_argon.accounts.password_hash(BOB))
    assert by_argon.accounts.verify_password(BOB, "secret", rehash=True)
    assert panel_verifies(by_argon.accounts.password_hash(BOB))
    by_argon.accounts.update(BOB, password_hash=hash_password("secret", "SHA512-CRYPT"))
    assert told(by_argon) == ["panel-password"]
    assert by_argon.accounts.verify_password(BOB, "secret", rehash=True)
    assert panel_verifies(by_argon.accounts.password_hash(BOB))
    assert by_argon.accounts.verify_password("bob@foreign.org", "secret", rehash=True)
    assert by_argon.accounts.password_hash("bob@foreign.org").startswith("{ARGON2ID}")


def test_every_path_stores_what_the_panel_verifies(by_argon: Store) -> None:
    by_argon.admins.create("root@admins.org", password="secret", global_admin=True)
    by_argon.admins.update("root@admins.org", password="another")
    assert panel_verifies(by_argon.admins.password_hash("root@admins.org"))
    by_argon.admins.promote(BOB, password="secret")
    for change in (
        lambda: by_argon.accounts.update(BOB, password="one"),
        lambda: by_argon.admins.update(BOB, password="two"),
        lambda: by_argon.accounts.update_all("own.org", password="three"),
    ):
        change()
        assert panel_verifies(by_argon.accounts.password_hash(BOB))
    record = by_argon.accounts.delete(BOB)
    assert record is not None
    by_argon.deleted.restore(record.id, password="four")
    assert panel_verifies(by_argon.accounts.password_hash(BOB))
    assert told(by_argon) == []


def test_who_is_promoted_with_a_hash_that_the_panel_refuses_is_named(by_argon: Store) -> None:
    by_argon.accounts.update(BOB, password="secret")
    by_argon.take_notices()
    by_argon.admins.promote(BOB)
    (notice,) = by_argon.take_notices()
    assert (notice.code, BOB in notice.message, BOB in notice.command) == ("panel-password", True, True)
    by_argon.admins.demote(BOB)
    by_argon.admins.add_to_domain("own.org", [BOB])
    assert told(by_argon) == ["panel-password"]
    assert any(finding.code == "admin-password" for finding in by_argon.check())
    by_argon.admins.update(BOB, password="secret")
    assert told(by_argon) == []
    assert not any(finding.code == "admin-password" for finding in by_argon.check())


@pytest.mark.parametrize(
    ("stored", "verified"),
    [
        ("{SSHA512}" + "a" * 96, True),
        ("{ssha}" + "a" * 32, True),
        ("{SHA}" + "a" * 28, True),
        ("{BLF-CRYPT}$2y$05$" + "a" * 53, True),
        ("{CRYPT}$2b$05$" + "a" * 53, True),
        ("{CRYPT}$2y$05$" + "a" * 53, False),
        ("$2b$05$" + "a" * 53, False),
        ("{CRYPT}$1$saltsalt$" + "a" * 22, True),
        ("{CRYPT}$1$salt$" + "a" * 22, False),
        ("{MD5-CRYPT}$1$saltsalt$" + "a" * 22, False),
        ("{CRYPT}$6$salt$" + "a" * 86, True),
        ("{SHA512-CRYPT}$6$salt$" + "a" * 86, False),
        ("{SSHA256}" + "a" * 64, False),
    ],
)
def test_what_the_panel_verifies(stored: str, verified: bool) -> None:
    """As the panel's own code decides, by the first characters."""
    assert panel_verifies(stored) is verified
