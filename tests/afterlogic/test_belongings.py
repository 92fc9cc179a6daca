"""What belongs to an account goes with it, wherever it stands, and reaches nobody who gets its name or number next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore.sql.afterlogic.schema.tables import LEDGER
from mailstore.sql.afterlogic.schema.user_data import BELONGINGS, KEPT_OF_ACCOUNTS, KEPT_OF_USERS, NOT_KEPT
from mailstore.sql.afterlogic.settings import AccountSettings
from tests.afterlogic.conftest import only
from tests.afterlogic.schema_facts import NAMES, facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

FACTS = facts_of("7.7.9")
BOB, EVE = "bob@example.com", "eve@example.com"
NOBODY = 99_999
ITSELF = {"a_users", "awm_accounts", "awm_settings"}
HELPDESK = ("ahd_threads", "ahd_posts", "ahd_attachments")
"""What was said there stays, but is nobody's any more."""


def named() -> Iterator[tuple[str, str, str]]:
    """Iterate over what columns name, with their table and their own name."""
    for what, columns in NAMES.items():
        for name in columns.split():
            table, _, column = name.partition(".")
            if table not in ITSELF and column != "alias_to":
                yield what, table, column


def fill(rig: Rig, address: str) -> None:
    """Insert a row of an account in every table and for every column that may name it, as the product spells it."""
    account = rig.row("awm_accounts", email=address)
    spelt = address.title()
    known: dict[str, Any] = {
        "account": account["id_acct"],
        "user": account["id_user"],
        "principal": f"principals/{spelt}",
        "address": spelt,
    }
    for what, table, column in named():
        facts = FACTS[table]
        required = {name: NOBODY for name, fact in facts.columns.items() if not fact.nullable and fact.default is None}
        required = {name: spelt if facts.columns[name].kind == "VC" else value for name, value in required.items()}
        row = {name: value for name, value in required.items() if name not in facts.primary or len(facts.primary) > 1}
        made = rig.insert(table, **{**row, column: known[what]})
        known.setdefault(f"{table}.{'_'.join(facts.primary)}", made)
    entry = rig.row("awm_addr_book", type=2, type_id=str(account["id_user"]))["id_addr"]
    shadow = rig.insert("awm_addr_book", id_user=NOBODY, type=1, type_id=str(entry))
    for contact in (entry, shadow):
        rig.insert("awm_addr_groups_contacts", id_addr=contact, id_group=NOBODY)
    link = f'{{"Account":{account["id_acct"]},"Type":"personal","Path":"","Name":"salaries.xls"}}'
    rig.insert("awm_min", hash_id="0" * 32, hash="abcdefghij", data=link)


def kept(rig: Rig) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything but the record of the deletion and what stays in the helpdesk without an owner."""
    return {name: rows for name, rows in rig.everything().items() if name not in {*LEDGER, *HELPDESK}}


def clear_pointers(rig: Rig) -> None:
    """Remove the lists and forwards that were made here without an account of theirs, which the check would name."""
    for table in ("awm_mailinglists", "awm_mailforwards"):
        rig.execute(f"DELETE FROM {table}")  # noqa: S608 one of two


def test_removes_everything_of_that_user_and_nothing_of_another(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(EVE, password="x", name="Eve", aliases=["e@example.com"])
    store.accounts.create("eve@gmail.com", password="x", settings=AccountSettings(parent=EVE))
    fill(rig, EVE)
    before = kept(rig)
    store.accounts.create(BOB, password="x", aliases=["b@example.com", "bo@example.com"])
    store.accounts.create("bob@gmail.com", password="x", settings=AccountSettings(parent=BOB))
    fill(rig, BOB)
    filled = kept(rig)
    assert {table for _, table, _ in named() if table in filled and len(filled[table]) <= len(before[table])} == set()
    store.accounts.delete(BOB)
    assert kept(rig) == before
    for table in HELPDESK:
        owners = {row["id_owner"] for row in rig.rows(table)} - {0, None}
        assert len(owners) == 1, table  # Eve's
    clear_pointers(rig)


@only("sqlite")
def test_the_next_account_gets_nothing_of_the_former_one(rig: Rig, store: AfterLogicStore) -> None:
    """SQLite gives the same numbers away again."""
    store.domains.create("example.com")
    store.accounts.create(BOB, password="x")
    fresh = kept(rig)
    fill(rig, BOB)
    store.accounts.delete(BOB, keep_mailbox_days=0)
    rig.execute("DELETE FROM mailstore_deleted")
    rig.execute("DELETE FROM mailstore_deleted_mailboxes")
    (rig.root / "example.com" / "bob").rename(rig.root / "gone")
    store.accounts.create(BOB, password="x")
    moments = {"awm_settings": "created_time", "awm_addr_book": "date_created"}
    assert {name: len(rows) for name, rows in kept(rig).items()} == {name: len(rows) for name, rows in fresh.items()}
    assert rig.row("awm_accounts")["id_acct"] == 1
    assert {name: rig.row(name)["id_user"] for name in moments} == {"awm_settings": 1, "awm_addr_book": 0}
    assert all(row["id_owner"] in {0, None} for table in HELPDESK for row in rig.rows(table))


@only("sqlite", "mysql")
def test_a_second_factor_goes_with_its_account(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    for address in (BOB, EVE):
        store.accounts.create(address, password="x")
        number = rig.row("awm_accounts", email=address)["id_acct"]
        rig.insert("twofa_accounts", account_id=number, auth_type="google", data_value=f"secret of {address}")
    store.accounts.delete(BOB)
    assert [row["data_value"] for row in rig.rows("twofa_accounts")] == [f"secret of {EVE}"]


@only("sqlite", "postgresql")
@pytest.mark.parametrize("written", [BOB, "Bob@Example.COM", "b@example.com"])
def test_lists_and_forwards_of_others_do_not_reach_the_next_holder(
    rig: Rig, store: AfterLogicStore, written: str
) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password="x", aliases=["b@example.com"])
    store.accounts.create(EVE, password="x")
    board = rig.insert("awm_accounts", mailing_list=1, def_acct=1, id_domain=1, email="board@example.com")
    for member in (written, EVE):
        rig.insert("awm_mailinglists", id_acct=board, list_name="board@example.com", list_to=member)
        rig.insert("awm_mailforwards", id_acct=board, forward_name="x", forward_domain="example.com", forward_to=member)
    store.accounts.delete(BOB)
    assert [row["list_to"] for row in rig.rows("awm_mailinglists")] == [EVE]
    assert [row["forward_to"] for row in rig.rows("awm_mailforwards")] == [EVE]


@only("sqlite")
def test_who_is_named_before_the_account_exists_stays_named(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    rig.insert("awm_mailinglists", id_acct=NOBODY, list_name="board@example.com", list_to=BOB)
    rig.insert("adav_cache", user=BOB)
    store.accounts.create(BOB, password="x")
    assert len(rig.rows("awm_mailinglists")) == 1
    assert rig.rows("adav_cache") == []
    clear_pointers(rig)


@only("sqlite")
def test_to_ask_for_what_no_version_has_is_an_error(store: AfterLogicStore) -> None:
    """It used to be left out without a word."""
    with pytest.raises(LookupError, match="id_acct"):
        store._context.schema.has("twofa_accounts", "id_acct")
    with pytest.raises(LookupError):
        store._context.present("awm_accounts", {"e_mail": BOB})


def test_every_table_comes_back_or_says_why_not() -> None:
    answered = [*KEPT_OF_USERS, *KEPT_OF_ACCOUNTS, *NOT_KEPT, "awm_mailaliases", "awm_mailinglists"]
    assert len(answered) == len(set(answered))
    assert {one.table for one in BELONGINGS} <= set(answered)


def test_what_is_kept_comes_back_under_new_numbers(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password="x")
    store.accounts.create("bob@gmail.com", password="x", settings=AccountSettings(parent=BOB))
    fill(rig, BOB)
    linked = rig.row("awm_accounts", email="bob@gmail.com")["id_acct"]
    rig.insert("awm_fetchers", id_acct=linked, inc_login="linked")
    rig.insert("twofa_accounts", account_id=linked, data_value="secret")
    names = {*KEPT_OF_USERS, *KEPT_OF_ACCOUNTS} - {"awm_addr_book", "awm_accounts", "awm_settings"}

    def of(accounts: set[int], user: int) -> dict[str, int]:
        """Return how many rows of each table name these accounts, or where they name none the user."""
        return {
            name: sum(
                row[account] in accounts if account in row else user in {row.get("id_user"), row.get("user_id")}
                for row in rig.rows(name)
            )
            for name in names
            for account in ("account_id" if name == "twofa_accounts" else "id_acct",)
        }

    account = rig.row("awm_accounts", email=BOB)
    before = of({account["id_acct"], linked}, account["id_user"])
    assert min(before.values()) > 0
    record = store.accounts.delete(BOB)
    store.accounts.create(EVE, password="x")  # takes the numbers where they are given away again
    assert record is not None
    store.deleted.restore(record.id)
    account, linked = rig.row("awm_accounts", email=BOB), rig.row("awm_accounts", email="bob@gmail.com")["id_acct"]
    assert of({account["id_acct"], linked}, account["id_user"]) == before
    eve = rig.row("awm_accounts", email=EVE)
    assert set(of({eve["id_acct"]}, eve["id_user"]).values()) == {0}
    assert rig.row("awm_fetchers", inc_login="linked")["id_acct"] == linked
    assert rig.row("twofa_accounts", data_value="secret")["account_id"] == linked


def test_what_others_wrote_comes_back_while_it_is_theirs(rig: Rig, store: AfterLogicStore) -> None:
    store.domains.create("example.com")
    store.accounts.create(BOB, password="x", aliases=["b@example.com"])
    store.accounts.create(EVE, password="x")
    eve = rig.row("awm_accounts", email=EVE)["id_acct"]
    boards = [
        rig.insert("awm_accounts", mailing_list=1, def_acct=1, id_domain=1, email=f"{name}@example.com")
        for name in ("board", "other", "gone")
    ]
    for name, board in zip(("board", "other", "gone"), boards, strict=True):
        rig.insert("awm_mailinglists", id_acct=board, list_name=f"{name}@example.com", list_to="b@example.com")
    rig.insert("awm_mailforwards", id_acct=eve, forward_name="eve", forward_domain="example.com", forward_to=BOB)
    record = store.accounts.delete(BOB)
    assert record is not None
    assert rig.rows("awm_mailinglists") == rig.rows("awm_mailforwards") == []
    rig.execute("UPDATE awm_accounts SET email = 'new@example.com' WHERE email = 'other@example.com'")
    rig.execute("DELETE FROM awm_accounts WHERE email = 'gone@example.com'")
    rig.insert("awm_mailforwards", id_acct=eve, forward_name="eve", forward_domain="example.com", forward_to=BOB)
    store.deleted.restore(record.id)
    assert [row["list_name"] for row in rig.rows("awm_mailinglists")] == ["board@example.com"]
    assert len(rig.rows("awm_mailforwards")) == 1
