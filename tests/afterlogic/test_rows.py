"""The rows themselves, as the product writes and reads them; nothing here is read back by the library unless it says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import AlreadyExists, Edit, InvalidValue, NotFound, NotSupported
from mailstore.sql.afterlogic import codec
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

BOB, EVE = "bob@example.com", "eve@example.com"
NEVER = datetime(1970, 1, 1)  # noqa: DTZ001 as the product writes it


@pytest.fixture(autouse=True)
def domain(store: AfterLogicStore) -> str:
    store.domains.create("example.com")
    return "example.com"


class TestEveryColumn:
    """A new account differs from the defaults of the schema where the product's does."""

    @pytest.fixture(autouse=True)
    def account(self, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="secret")

    def test_account(self, rig: Rig) -> None:
        row = rig.row("awm_accounts")
        numbers = {name: row.pop(name) for name in ("id_acct", "id_user", "id_domain")}
        assert all(numbers.values())
        assert row == {
            "id_tenant": 0, "def_acct": 1, "deleted": 0, "quota": 104857600, "email": BOB, "friendly_nm": "",
            "mail_protocol": 1, "mail_inc_host": "127.0.0.1", "mail_inc_port": 143, "mail_inc_login": BOB,
            "mail_inc_pass": "731610011607", "mail_inc_ssl": 0, "mail_out_host": "smtp.example.net",
            "mail_out_port": 587, "mail_out_login": "relay", "mail_out_pass": codec.encode(b"secret"),
            "mail_out_auth": 2, "mail_out_ssl": 0, "signature": "", "signature_type": 1, "signature_opt": 0,
            "mailbox_size": 0, "mailing_list": 0, "hide_in_gab": 0, "custom_fields": "", "is_password_specified": 1,
            "allow_mail": 1,
        }  # fmt: skip

    def test_settings(self, rig: Rig) -> None:
        row = rig.row("awm_settings")
        assert row.pop("id_setting")
        assert row.pop("id_user") == rig.row("a_users")["id_user"]
        created = row.pop("created_time")
        assert abs(created - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
        texts = (
            "last_login_ip last_login_ip_now last_login_ua last_login_ua_now question_1 answer_1 question_2 answer_2 "
            "capa custom_fields client_timezone sip_impi sip_password twilio_number helpdesk_signature "
            "email_notification password_reset_hash"
        )
        zeros = (
            "id_subscription id_helpdesk_user logins_count def_timezone layout mailbox_limit twilio_default_number "
            "helpdesk_signature_enable save_replied_messages_to_current_folder compose_plain_text_default "
            "desktop_notifications allow_change_input_direction allow_helpdesk_notifications enable_open_pgp "
            "autosign_outgoing_emails"
        )
        ones = "def_editor sip_enable twilio_enable files_enable use_threads allow_autosave_in_drafts"
        assert row == {
            **dict.fromkeys(texts.split(), ""), **dict.fromkeys(zeros.split(), 0), **dict.fromkeys(ones.split(), 1),
            "msgs_per_page": 50, "contacts_per_page": 20, "auto_checkmail_interval": 0, "last_login": NEVER,
            "last_login_now": NEVER, "def_skin": "DeepForest", "save_mail": 2, "def_time_fmt": "0", "def_lang": "German",
            "def_date_fmt": "MM/DD/YYYY", "incoming_charset": "iso-8859-1",
        }  # fmt: skip

    def test_contact(self, rig: Rig) -> None:
        row = rig.row("awm_addr_book")
        moment = row.pop("date_created")
        assert row.pop("date_modified") == moment
        set_here = {
            "id_user": 0, "id_domain": rig.row("awm_domains")["id_domain"], "id_tenant": 0, "type": 2, "fullname": "",
            "type_id": str(rig.row("a_users")["id_user"]), "b_email": BOB, "view_email": BOB, "primary_email": 1,
            "use_friendly_nm": 1,
        }  # fmt: skip
        assert {name: row[name] for name in set_here} == set_here
        rest = {name: value for name, value in row.items() if name not in set_here and name != "id_addr"}
        assert set(rest.values()) <= {None, "", 0, 1}

    def test_many_at_once_have_the_same_rows(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create_many([{"address": f"u{number}@example.com", "password": "secret"} for number in range(3)])
        names = {
            "a_users": "id_user",
            "awm_accounts": "email",
            "awm_settings": "id_user",
            "awm_addr_book": "view_email",
        }
        for table, key in names.items():
            first, *others = sorted(rig.rows(table), key=lambda row: str(row[key]).zfill(30))
            own = {"id_acct", "id_user", "id_setting", "id_addr", "email", "mail_inc_login", "type_id", "b_email"}
            own |= {"view_email", "created_time", "date_created", "date_modified"}
            shared = {name: value for name, value in first.items() if name not in own}
            assert all({name: row[name] for name in shared} == shared for row in others), table
        users = {row["id_user"] for row in rig.rows("a_users")}
        assert len(users) == 4
        assert users == {row["id_user"] for row in rig.rows("awm_accounts")}
        assert users == {int(row["type_id"]) for row in rig.rows("awm_addr_book")}


class TestInheritance:
    def test_a_domain_without_settings_of_its_own_lives_by_the_default_domain(
        self, rig: Rig, store: AfterLogicStore, domain: str
    ) -> None:
        rig.execute("UPDATE awm_domains SET override_settings = 0, skin = 'Funny', url = 'own', mail_inc_host = 'own'")
        settings = DomainSettings.of(store.domains.get(domain))
        assert (settings.default_skin, settings.url, settings.incoming_server) == ("DeepForest", "own", "own")
        assert settings.override is False
        with pytest.raises(InvalidValue, match="override"):
            store.domains.update(domain, settings=DomainSettings(default_skin="White"))
        store.domains.update(domain, settings=DomainSettings(url="https://x", incoming_server="imap.x.org"))
        after = store.domains.update(domain, settings=DomainSettings(override=True, default_skin="White"))
        assert DomainSettings.of(after).default_skin == "White"

    def test_new_users_get_the_values_in_effect(self, rig: Rig, store: AfterLogicStore) -> None:
        rig.execute("UPDATE awm_domains SET override_settings = 0, skin = 'Funny', msgs_per_page = 7")
        store.accounts.create(BOB, password="x")
        rig.execute("UPDATE awm_domains SET override_settings = 1")
        store.accounts.create(EVE, password="x")
        assert sorted((row["def_skin"], row["msgs_per_page"]) for row in rig.rows("awm_settings")) == [
            ("DeepForest", 50), ("Funny", 7),
        ]  # fmt: skip

    def test_later_changes_of_the_domain_do_not_reach_users(
        self, rig: Rig, store: AfterLogicStore, domain: str
    ) -> None:
        store.accounts.create(BOB, password="x")
        store.domains.update(domain, settings=DomainSettings(default_skin="White"))
        assert rig.row("awm_settings")["def_skin"] == "DeepForest"

    def test_the_domain_decides_the_servers(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x")
        rig.execute("UPDATE awm_accounts SET mail_inc_host = 'decoration', mail_out_login = 'mine'")
        rig.execute("UPDATE awm_domains SET mail_out_auth = 1, mail_out_login = 'domain'")
        settings = AccountSettings.of(store.accounts.get(BOB))
        assert (settings.incoming_server, settings.outgoing_login) == ("127.0.0.1", "domain")
        rig.execute("UPDATE awm_domains SET is_default_for_tenant = 1")
        settings = AccountSettings.of(store.accounts.get(BOB))
        assert (settings.incoming_server, settings.outgoing_login) == ("decoration", "mine")


class TestDeletion:
    def test_linked_account_goes_without_its_user(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x")
        before = rig.everything()
        store.accounts.create("bob@gmail.com", password="x", settings=AccountSettings(parent=BOB))
        number = rig.row("awm_accounts", email="bob@gmail.com")["id_acct"]
        user = rig.row("a_users")["id_user"]
        rig.insert("awm_messages", id_acct=number)
        rig.insert("awm_social", id_acct=number)
        store.accounts.delete("bob@gmail.com", parent=BOB)
        assert rig.everything() == before
        assert rig.row("awm_settings")["id_user"] == user

    def test_account_of_a_helpdesk_is_refused(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x")
        rig.insert("awm_tenants", login="acme", hd_admin_email_account="Bob@Example.com")
        before = rig.everything()
        with pytest.raises(InvalidValue, match="helpdesk"):
            store.accounts.delete(BOB)
        assert rig.everything() == before

    def test_lists_go_with_their_domain(self, rig: Rig, store: AfterLogicStore, domain: str) -> None:
        number = rig.row("awm_domains")["id_domain"]
        made = rig.insert("awm_accounts", id_domain=number, def_acct=1, mailing_list=1, email="all@example.com")
        rig.insert("awm_mailinglists", id_acct=made, list_name="all@example.com", list_to=BOB)
        rig.insert("awm_addr_book", type=3, type_id=str(made))
        rig.insert("awm_domain_quotas", name=domain)
        with pytest.raises(AlreadyExists):
            store.accounts.create("all@example.com", password="x")
        assert store.domains.delete(domain) == 0
        assert [name for name, rows in rig.everything().items() if rows] == ["mailstore_deleted"]


class TestAliases:
    def test_rows(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x", aliases=["b@example.com"])
        table = "awm_mailaliases"
        row = rig.row(table)
        assert row["id_acct"] == rig.row("awm_accounts")["id_acct"]
        assert (row["alias_name"], row["alias_domain"], row["alias_to"]) == ("b", "example.com", BOB)
        store.accounts.update(BOB, aliases=Edit(add=["c@example.com"], remove=["b@example.com"]))
        assert [row["alias_name"] for row in rig.rows(table)] == ["c"]
        store.accounts.update(BOB, aliases=[])
        assert rig.rows(table) == []

    def test_refused(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x", aliases=["b@example.com"])
        store.domains.create("elsewhere.com", settings=DomainSettings(internal=False))
        store.accounts.create("eve@elsewhere.com", password="x")
        before = rig.everything()
        for taken in (BOB.replace("bob", "b"), "B@example.com"):
            with pytest.raises(AlreadyExists):
                store.accounts.create(taken, password="x")
        with pytest.raises(InvalidValue):
            store.accounts.add_aliases(BOB, [BOB])
        with pytest.raises(NotFound):
            store.accounts.add_aliases(BOB, ["b@nowhere.com"])
        for account, alias in ((BOB, "b@elsewhere.com"), ("eve@elsewhere.com", "e@example.com")):
            with pytest.raises(NotSupported):
                store.accounts.add_aliases(account, [alias])
        outside = AccountSettings(default_domain=True)
        with pytest.raises(NotSupported):
            store.accounts.create("x@y.org", password="x", aliases=["x@example.com"], settings=outside)
        assert rig.everything() == before

    def test_an_address_that_is_linked_is_no_mailbox(self, rig: Rig, store: AfterLogicStore) -> None:
        store.accounts.create(BOB, password="x")
        with pytest.raises(NotSupported, match="two mailboxes"):
            store.accounts.create(EVE, password="x", settings=AccountSettings(parent=BOB))
        user = rig.row("a_users")["id_user"]
        rig.insert("awm_accounts", id_user=user, def_acct=0, email=EVE, id_domain=rig.row("awm_domains")["id_domain"])
        with pytest.raises(AlreadyExists, match="linked"):
            store.accounts.create(EVE, password="x")


class TestCheck:
    """What the schema does not forbid is found."""

    def found(self, store: AfterLogicStore) -> set[tuple[str, str, str]]:
        return {(finding.code, finding.subject, finding.severity) for finding in store.check()}

    @pytest.fixture(autouse=True)
    def bob(self, rig: Rig, store: AfterLogicStore) -> Any:
        store.accounts.create(BOB, password="x", aliases=["b@example.com"])
        assert self.found(store) == set()
        yield
        rig.clear()

    def test_twice(self, rig: Rig, store: AfterLogicStore) -> None:
        row = rig.row("awm_accounts")
        row.pop("id_acct")
        rig.insert("awm_accounts", **row)
        rig.insert("awm_domains", name="Example.com")
        assert {("address-twice", BOB, "error"), ("domain-twice", "example.com", "error")} <= self.found(store)

    def test_hidden(self, rig: Rig, store: AfterLogicStore) -> None:
        rig.execute("DELETE FROM awm_settings")
        assert ("account-hidden", BOB, "error") in self.found(store)
        with pytest.raises(NotFound):
            store.accounts.get(BOB)
        with pytest.raises(AlreadyExists):
            store.accounts.create(BOB, password="x")

    def test_orphans(self, rig: Rig, store: AfterLogicStore) -> None:
        user = rig.insert("a_users")
        rig.insert("awm_settings", id_user=user)
        assert self.found(store) == {("user-left", str(user), "notice"), ("settings-left", str(user), "notice")}

    def test_aliases(self, rig: Rig, store: AfterLogicStore) -> None:
        table = "awm_mailaliases"
        rig.insert(table, id_acct=0, alias_name="bob", alias_domain="example.com", alias_to="x")
        assert self.found(store) >= {("alias-nowhere", BOB, "error"), ("alias-taken", BOB, "error")}

    @only("sqlite", "postgresql")
    def test_capitals(self, rig: Rig, store: AfterLogicStore) -> None:
        rig.execute("UPDATE awm_accounts SET email = 'Bob@Example.com'")
        assert ("address-case", "Bob@Example.com", "notice") in self.found(store)
        assert store.accounts.get(BOB).address == BOB
        with pytest.raises(AlreadyExists):
            store.accounts.create(BOB, password="x")


@pytest.mark.parametrize("address", ["o'neil@imap.example", "a+b@localhost", "bob@192.0.2.7", "bob@[192.0.2.7]"])
def test_an_account_outside_is_a_mailbox_anywhere(store: AfterLogicStore, address: str) -> None:
    store.accounts.create(address, password="x", settings=AccountSettings(default_domain=True))
    assert store.accounts.exists(address)
    assert store.accounts.get(address).address == address
    store.accounts.delete(address)
    assert not store.accounts.exists(address)
