"""Domains with letters beyond ASCII: the webmail keeps and looks up what was typed, and both forms are one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import AlreadyExists, NotFound
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from mailstore.sql.afterlogic.spelling import as_typed, canonical, spellings

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

TYPED, NAME = "müller.example", "xn--mller-kva.example"
BOB = f"bob@{NAME}"
ELSEWHERE = DomainSettings(internal=False)


def as_the_product(rig: Rig, store: AfterLogicStore, *names: str) -> None:
    """Make accounts as the product does when somebody types the domain with its letters."""
    store.domains.create(NAME, settings=ELSEWHERE)
    for name in names:
        store.accounts.create(f"{name}@{NAME}", password="x", name=name.title())
    assert [row["email"] for row in rig.rows("awm_accounts")] == [f"{name}@{TYPED}" for name in names]


def test_what_is_written_is_what_its_readers_ask_for(rig: Rig, store: AfterLogicStore) -> None:
    """A user of the webmail types the letters; SMTP brings A-labels to a domain that the mail server serves."""
    as_the_product(rig, store, "bob")
    row = rig.row("awm_accounts")
    assert (row["email"], row["mail_inc_login"]) == (f"bob@{TYPED}",) * 2
    assert rig.row("awm_addr_book")["view_email"] == f"bob@{TYPED}"
    assert rig.row("awm_domains")["name"] == TYPED
    store.accounts.create("eve@żółw.example", password="x", settings=AccountSettings(default_domain=True))
    assert rig.rows("awm_accounts")[-1]["email"] == "eve@żółw.example"
    store.domains.create("bücher.example")
    store.accounts.create("ann@bücher.example", password="x", aliases=["a@bücher.example"])
    assert rig.rows("awm_domains")[-1]["name"] == "xn--bcher-kva.example"
    assert rig.rows("awm_accounts")[-1]["email"] == "ann@xn--bcher-kva.example"
    alias = rig.row("awm_mailaliases")
    assert (alias["alias_domain"], alias["alias_to"]) == ("xn--bcher-kva.example", "ann@xn--bcher-kva.example")


def test_what_the_product_made_can_be_shown_changed_and_deleted(rig: Rig, store: AfterLogicStore) -> None:
    as_the_product(rig, store, "bob", "eve")
    for spelt in (BOB, f"Bob@{TYPED}", "BOB@MÜLLER.example"):
        assert store.accounts.get(spelt).address == BOB
        assert store.accounts.exists(spelt)
        assert store.accounts.verify_password(spelt, "x")
    assert [account.address for account in store.accounts.list(domain=TYPED)] == [BOB, f"eve@{NAME}"]
    assert store.accounts.count(domain=NAME) == 2
    assert store.accounts.update(BOB, password="y", name="Robert").name == "Robert"
    assert store.accounts.update_all(NAME, enabled=False) == 2
    assert store.domains.get(TYPED).domain == NAME
    assert [domain.domain for domain in store.domains.list()] == [NAME]
    rig.insert("adav_calendars", principaluri=f"principals/bob@{TYPED}")
    store.accounts.delete(BOB)
    assert [row["email"] for row in rig.rows("awm_accounts")] == [f"eve@{TYPED}"]
    assert rig.rows("adav_calendars") == []
    assert store.domains.delete(NAME) == 1


def test_both_forms_are_one_name(rig: Rig, store: AfterLogicStore) -> None:
    as_the_product(rig, store, "bob")
    with pytest.raises(AlreadyExists):
        store.accounts.create(BOB, password="x")
    with pytest.raises(AlreadyExists):
        store.domains.create(NAME)
    rig.execute("UPDATE awm_domains SET name = :name", name=NAME)
    rig.execute("UPDATE awm_accounts SET email = :email", email=BOB)
    with pytest.raises(AlreadyExists):
        store.accounts.create(f"bob@{TYPED}", password="x")


def test_with_both_present_the_one_that_is_shown_goes(rig: Rig, store: AfterLogicStore) -> None:
    """As the product's login made a second account beside ours."""
    as_the_product(rig, store, "bob")
    first = rig.row("awm_accounts")
    user = rig.insert("a_users")
    rig.insert("awm_settings", id_user=user)
    second = {name: value for name, value in first.items() if name != "id_acct"}
    rig.insert("awm_accounts", **{**second, "id_user": user, "email": BOB, "friendly_nm": "The other"})
    for spelt in (TYPED, NAME):
        rig.insert("adav_calendars", principaluri=f"principals/bob@{spelt}")
    assert ("address-twice", BOB) in {(finding.code, finding.subject) for finding in store.check()}
    assert store.accounts.get(BOB).name == "Bob"
    assert [account.name for account in store.accounts.list()] == ["Bob", "The other"] or rig.name.endswith("mysql")
    store.accounts.delete(BOB)
    assert store.accounts.get(BOB).name == "The other"
    assert [row["principaluri"] for row in rig.rows("adav_calendars")] == [f"principals/{BOB}"]
    store.accounts.delete(BOB)
    assert rig.rows("adav_calendars") == []
    with pytest.raises(NotFound):
        store.accounts.get(BOB)


def test_an_internal_domain_with_letters_is_restored_with_its_mail(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    rig.execute("UPDATE awm_domains SET name = :name", name=TYPED)  # as an administrator typed it in the panel
    made = store.accounts.create(BOB, password="x", aliases=[f"b@{NAME}"])
    assert (made.address, made.home) == (BOB, f"{rig.root}/{TYPED}/bob")
    assert list(store.accounts.homes()) == [(BOB, made.home)]
    record = store.accounts.delete(BOB)
    assert record is not None
    assert (record.address, record.home) == (BOB, made.home)
    with pytest.raises(AlreadyExists, match="deleted"):
        store.accounts.create(f"bob@{TYPED}", password="x")
    back = store.deleted.restore(record.id)
    assert (back.address, back.aliases, back.home) == (BOB, (f"b@{NAME}",), made.home)
    assert rig.row("awm_accounts")["email"] == f"bob@{TYPED}"


def test_lists_go_on_after_such_a_name(rig: Rig, store: AfterLogicStore) -> None:
    """Its place in the list is that of what is stored."""
    store.domains.create(NAME, settings=ELSEWHERE)
    store.domains.create("zz.example")
    store.accounts.create_many({"address": f"u{number:03}@{NAME}", "password": "x"} for number in range(500))
    store.accounts.create_many({"address": f"u{number:03}@zz.example", "password": "x"} for number in range(500))
    assert len({account.address for account in store.accounts.list()}) == 1000
    rig.clear()


def test_spellings() -> None:
    assert canonical(f"Bob@{TYPED}") == BOB
    assert canonical("bob@müller") == "bob@müller"  # no domain of mail; it stays what it is
    assert as_typed(BOB) == f"bob@{TYPED}"
    assert as_typed("bob@xn--a.example") == "bob@xn--a.example"  # not decodable
    assert spellings([NAME, "a.example"]) == ["a.example", TYPED, NAME]
