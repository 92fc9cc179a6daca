"""Rights and limits that an admin lost do not come back with the next right, whoever took them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import Capability, NotFound, Store
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stores import StoreRig

BOB = "bob@own.org"


def remove_from_domain(store: Store) -> None:
    store.admins.remove_from_domain("foreign.org", [BOB])


def remove_all(store: Store) -> None:
    store.admins.remove_from_domain("foreign.org")


def delete_domain(store: Store) -> None:
    store.domains.delete("foreign.org")
    store.domains.create("foreign.org")


def demote(store: Store) -> None:
    store.admins.demote(BOB)


def recreate(store: Store) -> None:
    store.accounts.delete(BOB)
    store.accounts.create(BOB, password="x")


LOSSES = [remove_from_domain, remove_all, delete_domain, demote, recreate]


def again(store: Store) -> None:
    """Give the account the right for its own domain, and look that it is all it has."""
    fresh = store.admins.promote(BOB)
    assert (fresh.domains, fresh.global_admin) == (("own.org",), False)
    assert (fresh.max_domains, fresh.max_accounts, fresh.may_view_mail_log) == (0, None, True)
    assert store.domains.get("foreign.org").admins == ()


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_they_stay_lost(store: Store, lose: Callable[[Store], None]) -> None:
    limits: Any = {"max_domains": 7, "max_accounts": 5, "may_view_mail_log": False}
    given = limits if Capability.ACCOUNT_ADMIN_LIMITS in store.capabilities else {}
    store.admins.promote(BOB, domains=["foreign.org"], **given)
    lose(store)
    with pytest.raises(NotFound):
        store.admins.get(BOB)
    again(store)


class TestOtherTools:
    """They take the mark or the rows of an admin, and leave the rest."""

    @pytest.fixture
    def sql(self, rigs: Callable[[str], StoreRig]) -> Any:
        rig = rigs("sqlite")
        rig.clear()
        empty_homes(rig)
        for domain in ("own.org", "foreign.org"):
            rig.shared.domains.create(domain)
        rig.shared.accounts.create(BOB, password="x")
        rig.shared.admins.promote(BOB, domains=["foreign.org"], max_domains=7, may_view_mail_log=False)
        return rig

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE mailbox SET isadmin = 0",
            "DELETE FROM domain_admins",
            "UPDATE mailbox SET isadmin = 0, settings = 'create_new_domains:yes;create_max_domains:7;kept:1;'",
            "UPDATE domain_admins SET domain = 'ALL'",
        ],
    )
    @pytest.mark.parametrize("give", ["promote", "add_to_domain"])
    def test_sql(self, sql: Any, statement: str, give: str) -> None:
        sql.execute(statement)
        sql.execute("UPDATE mailbox SET isadmin = 0 WHERE EXISTS (SELECT 1 FROM domain_admins WHERE domain = 'ALL')")
        if give == "add_to_domain":
            sql.shared.admins.add_to_domain("own.org", [BOB])
        again(sql.shared)
        (row,) = sql.rows("mailbox")
        assert row["settings"] in {"", "kept:1;"}

    def test_removal_leaves_no_limits_for_other_tools_to_wake(self, sql: Any) -> None:
        sql.shared.admins.remove_from_domain("foreign.org", [BOB])
        (row,) = sql.rows("mailbox")
        assert "create_" not in row["settings"]

    def test_directory(self, rigs: Callable[[str], StoreRig]) -> None:
        from ldap3 import MODIFY_DELETE

        rig = cast("Any", rigs("ldap"))
        rig.clear()
        store = rig.shared
        for domain in ("own.org", "foreign.org"):
            store.domains.create(domain)
        store.accounts.create(BOB, password="x")
        store.admins.promote(BOB, domains=["foreign.org"])
        with rig.server.connect() as connection:
            dn = store.context.places.account(BOB)
            assert connection.modify(dn, {"enabledService": [(MODIFY_DELETE, ["domainadmin"])]}), connection.result
        again(store)
