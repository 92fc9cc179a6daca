"""The calls of AfterLogic's REST API one by one: what each leaves in the tables, answers, and refuses.

Where the product's own API does something else than its documentation says, the documentation decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailstore import AlreadyExists, InvalidPassword, InvalidValue
from mailstore.sql.afterlogic import codec
from mailstore.sql.afterlogic.accounts.pages import AccountEntry
from mailstore.sql.afterlogic.domains import DomainEntry
from mailstore.sql.afterlogic.rest_errors import (
    AccountNotFound,
    BadLogin,
    DomainNotFound,
    InvalidParameters,
    TokenExpired,
    code_of,
)
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only
from tests.afterlogic.rig import PASSWORD

if TYPE_CHECKING:
    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

BOB, ANN, EXTERNAL = "bob@example.com", "ann@elsewhere.org", "bob@gmail.com"
OUTSIDE = AccountSettings(default_domain=True)


@pytest.fixture
def domain(store: AfterLogicStore) -> str:
    """A domain that is served by another mail server."""
    store.domains.create("example.com", settings=DomainSettings(internal=False))
    return "example.com"


@pytest.fixture
def bob(store: AfterLogicStore, domain: str) -> str:
    store.accounts.create(BOB, password="secret", name="Bob")
    return BOB


# --- D01 GET /token


def test_d01_token(store: AfterLogicStore) -> None:
    token = store.rest.token("mailadm", PASSWORD, now=1_000)
    grant = store.rest.check(token, now=1_000)
    assert (grant.login, grant.tenant_id) == ("mailadm", 0)
    with pytest.raises(TokenExpired):
        store.rest.check(token, now=1_000 + 3601)
    for login, password in (("mailadm", "wrong"), ("nobody", PASSWORD)):
        with pytest.raises(BadLogin) as caught:
            store.rest.token(login, password)
        assert code_of(caught.value, "GET /token") == 714
    for login, password in (("", PASSWORD), ("mailadm", "")):
        with pytest.raises(InvalidParameters) as missing:
            store.rest.token(login, password)
        assert code_of(missing.value, "GET /token") == 713


# --- D02 POST /account


def test_d02_account_in_a_domain(rig: Rig, store: AfterLogicStore, domain: str) -> None:
    made = store.accounts.create(BOB, password="secret", name="Bob", quota="1G")
    assert made == store.accounts.get(BOB)
    row, of_domain = rig.row("awm_accounts"), rig.row("awm_domains")
    assert (row["email"], row["mail_inc_login"], row["mail_inc_pass"]) == (BOB, BOB, codec.encode(b"secret"))
    assert (row["id_domain"], row["def_acct"], row["deleted"], row["quota"]) == (of_domain["id_domain"], 1, 0, 1 << 20)
    for column in ("mail_inc_host", "mail_inc_port", "mail_inc_ssl", "mail_out_host", "mail_out_port", "mail_out_auth"):
        assert row[column] == of_domain[column]
    assert rig.row("a_users")["id_user"] == row["id_user"] == rig.row("awm_settings")["id_user"]
    contact = rig.row("awm_addr_book")
    assert (contact["type"], contact["type_id"], contact["id_user"]) == (2, str(row["id_user"]), 0)
    assert (contact["view_email"], contact["b_email"], contact["fullname"]) == (BOB, BOB, "Bob")


def test_d02_account_outside_of_all_domains(rig: Rig, store: AfterLogicStore) -> None:
    settings = AccountSettings(
        default_domain=True, incoming_login="ann", incoming_server="IMAP.Elsewhere.org", incoming_port=143,
        incoming_ssl=False, outgoing_server="smtp.elsewhere.org", outgoing_port=25, outgoing_ssl=True, outgoing_auth=1,
        outgoing_login="ann-out", outgoing_password="out",
    )  # fmt: skip
    made = store.accounts.create(ANN, password="secret", settings=settings)
    assert made == store.accounts.get(ANN)
    assert AccountSettings.of(made).incoming_server == "imap.elsewhere.org"
    row = rig.row("awm_accounts")
    told = (
        "id_domain",
        "mail_inc_login",
        "mail_inc_host",
        "mail_inc_port",
        "mail_inc_ssl",
        "mail_out_host",
        "mail_out_port",
    )
    assert [row[name] for name in told] == [0, "ann", "imap.elsewhere.org", 143, 0, "smtp.elsewhere.org", 25]
    told = ("mail_out_port", "mail_out_ssl", "mail_out_auth", "mail_out_login")
    assert [row[name] for name in told] == [25, 1, 1, "ann-out"]
    assert codec.decode(row["mail_out_pass"]) == b"out"
    assert made.home is None


def test_d02_what_is_not_given_is_inherited_from_the_default_domain(rig: Rig, store: AfterLogicStore) -> None:
    store.accounts.create(ANN, password="secret", settings=OUTSIDE)
    row, settings = rig.row("awm_accounts"), rig.row("awm_settings")
    told = ("mail_inc_host", "mail_inc_port", "mail_inc_ssl", "mail_out_host", "mail_out_port", "mail_out_auth")
    assert [row[name] for name in told] == ["imap.example.net", 993, 1, "smtp.example.net", 587, 2]
    assert (row["mail_out_login"], codec.decode(row["mail_out_pass"])) == ("relay", b"secret")
    assert [settings[name] for name in ("def_skin", "def_lang", "msgs_per_page", "save_mail", "def_time_fmt")] == [
        "DeepForest", "German", 50, 2, "0",
    ]  # fmt: skip


def test_d02_linked_account(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    settings = AccountSettings(parent="Bob@example.com", incoming_server="imap.gmail.com")
    made = store.accounts.create(EXTERNAL, password="other", name="Bob at G", settings=settings)
    assert (made.address, made.settings["incoming_server"]) == (EXTERNAL, "imap.gmail.com")
    assert list(store.accounts.linked(bob)) == [made]
    row, primary = rig.row("awm_accounts", email=EXTERNAL), rig.row("awm_accounts", email=BOB)
    assert (row["id_user"], row["def_acct"], row["id_domain"]) == (primary["id_user"], 0, 0)
    assert len(rig.rows("a_users")) == len(rig.rows("awm_settings")) == len(rig.rows("awm_addr_book")) == 1
    assert not store.accounts.exists(EXTERNAL)
    assert store.accounts.count() == 1


def test_d02_refused(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    before = rig.everything()
    linked = AccountSettings(parent=BOB)
    own_server = AccountSettings(incoming_server="imap.other.org")
    refusals: list[tuple[Any, type[Exception], int]] = [
        (lambda: store.accounts.create("BOB@example.com", password="x"), AlreadyExists, 710),
        (lambda: store.accounts.create(ANN, password="x"), DomainNotFound, 718),
        (lambda: store.accounts.create(ANN, password="", settings=OUTSIDE), InvalidPassword, 713),
        (lambda: store.accounts.create(ANN, password=None, settings=OUTSIDE), InvalidPassword, 713),
        (lambda: store.accounts.create("eve@example.com", password="x", settings=own_server), InvalidValue, 710),
        (
            lambda: store.accounts.create(EXTERNAL, password="x", settings=AccountSettings(parent="no@example.com")),
            AccountNotFound,
            717,
        ),
        (
            lambda: store.accounts.create(
                ANN, password="x", settings=AccountSettings(default_domain=True, incoming_port=65355)
            ),
            InvalidValue,
            710,
        ),
    ]
    for call, kind, code in refusals:
        with pytest.raises(kind) as caught:
            call()
        assert code_of(caught.value, "POST /account") == code  # type: ignore[arg-type]
        assert "incoming" not in str(caught.value) or "secret" not in str(caught.value)
    assert rig.everything() == before
    store.accounts.create(EXTERNAL, password="x", settings=linked)
    with pytest.raises(AlreadyExists):
        store.accounts.create(EXTERNAL, password="x", settings=linked)


# --- D03 PUT /account/update


def test_d03_update(rig: Rig, store: AfterLogicStore) -> None:
    store.accounts.create(ANN, password="secret", settings=OUTSIDE)
    before = rig.row("awm_accounts")
    settings = AccountSettings(
        incoming_login="ann", incoming_server="imap2.elsewhere.org", incoming_port=144, outgoing_server="smtp2.org",
        outgoing_port=26, outgoing_auth=0, signature="<b>Ann</b>", signature_html=True, signature_use=2,
        capabilities="files",
    )  # fmt: skip
    after = store.accounts.update(ANN, name="Ann", settings=settings)
    assert after == store.accounts.get(ANN)
    row = rig.row("awm_accounts")
    told = ("friendly_nm", "mail_inc_login", "mail_inc_host", "mail_inc_port", "mail_out_host", "mail_out_port")
    assert [row[name] for name in told] == ["Ann", "ann", "imap2.elsewhere.org", 144, "smtp2.org", 26]
    assert [row[name] for name in ("mail_out_auth", "signature", "signature_type", "signature_opt")] == [
        0, "<b>Ann</b>", 1, 2,
    ]  # fmt: skip
    assert rig.row("awm_settings")["capa"] == "FILES"
    kept = {"mail_inc_pass", "mail_out_pass", "mail_out_login", "quota", "email", "mail_inc_ssl"}
    assert {name: row[name] for name in kept} == {name: before[name] for name in kept}


def test_d03_what_is_not_given_stays(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    before = rig.everything()
    store.accounts.update(bob)
    store.accounts.update(bob, settings=AccountSettings())
    assert rig.everything() == before
    store.accounts.update(bob, settings=AccountSettings(signature="plain", signature_html=False))
    row = rig.row("awm_accounts")
    assert (row["signature"], row["signature_type"], row["friendly_nm"]) == ("plain", 0, "Bob")


def test_d03_refused(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    before = rig.everything()
    with pytest.raises(AccountNotFound) as caught:
        store.accounts.update("nobody@example.com", name="x")
    assert code_of(caught.value, "PUT /account/update") == 717
    changes: list[Any] = [
        AccountSettings(incoming_server="imap.other.org"), AccountSettings(incoming_port=0),
        AccountSettings(outgoing_auth=3), AccountSettings(signature_use=3), AccountSettings(incoming_login=""),
        AccountSettings(parent="x@example.com"), AccountSettings(default_domain=True),
    ]  # fmt: skip
    for settings in changes:
        with pytest.raises(InvalidValue):
            store.accounts.update(bob, settings=settings)
    assert rig.everything() == before


# --- D04 DELETE /account


def test_d04_delete(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    store.accounts.create("eve@example.com", password="x", name="Eve")
    others = {name: rows for name, rows in rig.everything().items() if name.startswith(("a", "mta"))}
    store.accounts.create("gone@example.com", password="x")
    store.accounts.create(EXTERNAL, password="x", settings=AccountSettings(parent="gone@example.com"))
    assert store.accounts.delete("gone@example.com") is None  # its mailbox is another server's
    assert {name: rows for name, rows in rig.everything().items() if name in others} == others
    with pytest.raises(AccountNotFound) as caught:
        store.accounts.delete("gone@example.com")
    assert code_of(caught.value, "DELETE /account") == 717


def test_d04_linked_account(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    before = rig.everything()
    store.accounts.create(EXTERNAL, password="x", settings=AccountSettings(parent=bob))
    with pytest.raises(AccountNotFound):
        store.accounts.delete(EXTERNAL)
    for parent in ("nobody@example.com", bob):
        with pytest.raises(AccountNotFound):
            store.accounts.delete("other@gmail.com", parent=parent)
    assert store.accounts.delete(EXTERNAL, parent=bob) is None
    assert rig.everything() == before


# --- D05 and D06 PUT /account/enable, /account/disable


def test_d05_enable(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    store.accounts.update(bob, enabled=False)
    assert store.accounts.update(bob, enabled=True).enabled
    assert rig.row("awm_accounts")["deleted"] == 0
    with pytest.raises(AccountNotFound):
        store.accounts.update("nobody@example.com", enabled=True)


def test_d06_disable(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    before = rig.row("awm_accounts")
    assert not store.accounts.update(bob, enabled=False).enabled
    assert rig.row("awm_accounts") == before | {"deleted": 1}
    assert [account.address for account in store.accounts.list(enabled=False)] == [bob]
    with pytest.raises(AccountNotFound):
        store.accounts.update("nobody@example.com", enabled=False)


# --- D07 PUT /account/password


def test_d07_password(rig: Rig, store: AfterLogicStore, bob: str) -> None:
    before = rig.row("awm_accounts")
    store.accounts.update(bob, password="näu")
    assert rig.row("awm_accounts") == before | {"mail_inc_pass": codec.encode("näu".encode())}
    assert store.accounts.verify_password(bob, "näu")
    assert not store.accounts.verify_password(bob, "secret")
    with pytest.raises(InvalidPassword):
        store.accounts.update(bob, password="")
    with pytest.raises(AccountNotFound):
        store.accounts.update("nobody@example.com", password="x")


# --- D08 GET /account/list


def test_d08_list(rig: Rig, store: AfterLogicStore, domain: str) -> None:
    for number, (local, name) in enumerate((("b", "Zoe"), ("a", "Yan"), ("c", "Xia"), ("d", "50%"))):
        store.accounts.create(f"{local}@example.com", password="x", name=name)
        user = rig.row("awm_accounts", email=f"{local}@example.com")["id_user"]
        moment = f"2026-01-{10 - number:02} 00:00:00.000000"
        rig.execute("UPDATE awm_settings SET last_login = :moment WHERE id_user = :user", moment=moment, user=user)
    store.accounts.create(ANN, password="x", settings=OUTSIDE)
    store.accounts.create(EXTERNAL, password="x", settings=AccountSettings(parent=ANN))

    def listed(*page: int, **wanted: Any) -> list[str]:
        return [entry.email[0] for entry in store.accounts.page(*page, domain="example.com", **wanted)]

    assert listed() == ["a", "b", "c", "d"]
    assert listed(descending=True) == ["d", "c", "b", "a"]
    assert listed(order_by="name") == ["d", "c", "a", "b"]
    assert listed(order_by="last login") == ["d", "c", "a", "b"]
    assert [listed(page, size=3) for page in (0, 1, 2, 3)] == [["a", "b", "c"], ["a", "b", "c"], ["d"], []]
    assert listed(search="ZO") == ["b"]
    assert listed(search="%") == ["d"]
    assert listed(search="c@ex") == ["c"]
    number = rig.row("awm_accounts", email=ANN)["id_acct"]
    assert store.accounts.page() == [AccountEntry(number, ANN, "")]
    with pytest.raises(DomainNotFound):
        store.accounts.page(domain="nowhere.com")
    bad: list[Any] = [{"order_by": "id"}, {"size": 0}, {"size": 1_000_000}]
    for wanted in bad:
        with pytest.raises(InvalidValue):
            store.accounts.page(**wanted)


# --- D09 GET /account/exists


def test_d09_exists(store: AfterLogicStore, bob: str) -> None:
    assert store.accounts.exists(bob)
    assert store.accounts.exists("BOB@Example.com")
    assert not store.accounts.exists("nobody@example.com")
    assert not store.accounts.exists("bob@nowhere.com")


# --- D10 GET /account


def test_d10_account(store: AfterLogicStore, bob: str) -> None:
    account = store.accounts.get("BOB@example.com")
    settings = AccountSettings.of(account)
    assert (account.name, settings.incoming_login, settings.incoming_port) == ("Bob", bob, 993)
    assert (settings.incoming_server, settings.outgoing_server) == ("imap.example.net", "smtp.example.net")
    assert (settings.outgoing_auth, settings.outgoing_port) == (2, 587)
    assert (settings.signature, settings.signature_html, settings.signature_use) == ("", True, 0)
    assert settings.outgoing_password is None
    with pytest.raises(AccountNotFound) as caught:
        store.accounts.get("nobody@example.com")
    assert code_of(caught.value, "GET /account") == 717


# --- D11 POST /domain


def test_d11_domain(rig: Rig, store: AfterLogicStore) -> None:
    settings = DomainSettings(internal=False, incoming_server="imap.example.com")
    made = store.domains.create(" Example.COM", settings=settings)
    assert made == store.domains.get("example.com")
    row = rig.row("awm_domains")
    told = ("name", "override_settings", "is_internal", "id_tenant", "site_name", "url", "disabled", "collaboration")
    assert [row[name] for name in told] == ["example.com", 1, 0, 0, "", "", 0, 1]
    copied = ("mail_inc_host", "mail_inc_port", "mail_out_host", "mail_out_auth", "mail_out_login", "skin", "lang")
    assert [row[name] for name in copied] == [
        "imap.example.com", 993, "smtp.example.net", 2, "relay", "DeepForest", "German",
    ]  # fmt: skip
    assert codec.decode(row["mail_out_pass"]) == b"secret"
    assert (row["allow_new_users_register"], row["cal_default_tab"], row["default_tab"]) == (0, 3, "")
    for name in ("example.com", "EXAMPLE.com"):
        with pytest.raises(AlreadyExists) as caught:
            store.domains.create(name)
        assert code_of(caught.value, "POST /domain") == 710
    with pytest.raises(InvalidValue):
        store.domains.create("other.com", settings=DomainSettings(incoming_server=""))


# --- D12 PUT /domain/update

FOURTEEN: dict[str, tuple[str, Any]] = {
    "allow_users_change_email_settings": ("allow_change_account_settings", False),
    "allow_webmail": ("allow_webmail", False),
    "allow_contacts": ("allow_contacts", False),
    "allow_calendar": ("allow_calendar", True),
    "allow_files": ("allow_files", True),
    "allow_helpdesk": ("allow_helpdesk", True),
    "allow_new_users_register": ("allow_new_users_register", True),
    "allow_users_change_interface_settings": ("allow_change_interface_settings", False),
    "allow_users_add_new_accounts": ("allow_users_add_acounts", True),
    "site_name": ("site_name", "Bücher & mehr"),
    "url": ("url", "https://mail.example.com"),
    "use_threads": ("use_threads", False),
    "default_skin": ("skin", "OpenWater"),
    "default_tab": ("default_tab", "files"),
    "default_language": ("lang", "Italian"),
}


def test_d12_update(rig: Rig, store: AfterLogicStore, domain: str) -> None:
    before = rig.row("awm_domains")
    settings = DomainSettings(**{name: value for name, (_, value) in FOURTEEN.items()})
    after = store.domains.update(domain, settings=settings)
    assert after == store.domains.get(domain)
    changed = {column: int(value) if isinstance(value, bool) else value for column, value in FOURTEEN.values()}
    assert rig.row("awm_domains") == before | changed
    for name, (_, value) in FOURTEEN.items():
        assert getattr(DomainSettings.of(after), name) == value


@pytest.mark.parametrize("name", sorted(FOURTEEN))
@only("sqlite")
def test_d12_one_changes_nothing_else(rig: Rig, store: AfterLogicStore, domain: str, name: str) -> None:
    column, value = FOURTEEN[name]
    if name == "default_tab":
        store.domains.update(domain, settings=DomainSettings(allow_files=True))
    before = rig.row("awm_domains")
    changes: Any = {name: value}
    store.domains.update(domain, settings=DomainSettings(**changes))
    assert rig.row("awm_domains") == before | {column: int(value) if isinstance(value, bool) else value}


def test_d12_applies_to_the_accounts_of_the_domain(store: AfterLogicStore, domain: str, bob: str) -> None:
    store.accounts.create(ANN, password="x", settings=OUTSIDE)
    store.domains.update(domain, settings=DomainSettings(incoming_server="new.example.com", outgoing_auth=0))
    settings = AccountSettings.of(store.accounts.get(bob))
    assert (settings.incoming_server, settings.outgoing_auth) == ("new.example.com", 0)
    assert AccountSettings.of(store.accounts.get(ANN)).incoming_server == "imap.example.net"


def test_d12_refused(rig: Rig, store: AfterLogicStore, domain: str) -> None:
    before = rig.everything()
    with pytest.raises(DomainNotFound) as caught:
        store.domains.update("nowhere.com", settings=DomainSettings(url="x"))
    assert code_of(caught.value, "PUT /domain/update") == 718
    bad: list[Any] = [
        {"default_tab": "inbox"}, {"default_tab": "files", "allow_files": False}, {"default_skin": "../x"},
        {"site_name": "x" * 256},
        {"site_name": "é" * 128}, {"allow_webmail": "false"}, {"incoming_port": 70000}, {"default_language": ""},
        {"tenant": "acme"}, {"internal": True}, {"url": "a\nb"},
    ]  # fmt: skip
    for changes in bad:
        with pytest.raises(InvalidValue):
            store.domains.update(domain, settings=DomainSettings(**changes))
    assert rig.everything() == before


# --- D13 DELETE /domain


def test_d13_delete(rig: Rig, store: AfterLogicStore, bob: str, domain: str) -> None:
    with pytest.raises(InvalidValue, match=BOB) as caught:
        store.domains.delete(domain, only_empty=True)
    assert code_of(caught.value, "DELETE /domain") == 710
    store.accounts.delete(bob)
    assert store.domains.delete(domain, only_empty=True) == 0
    assert rig.rows("awm_domains") == []
    with pytest.raises(DomainNotFound) as missing:
        store.domains.delete(domain, only_empty=True)
    assert code_of(missing.value, "DELETE /domain") == 718


def test_d13_delete_with_everything_in_it(rig: Rig, store: AfterLogicStore, bob: str, domain: str) -> None:
    store.domains.create("hosted.com")
    store.accounts.create("bob@hosted.com", password="x", aliases=["b@hosted.com"])
    store.accounts.create("linked@example.com", password="x", settings=AccountSettings(parent="bob@hosted.com"))
    assert store.domains.delete(domain) == 1
    assert [row["email"] for row in rig.rows("awm_accounts")] == ["bob@hosted.com"]
    assert store.domains.delete("hosted.com") == 1
    left = {name for name, rows in rig.everything().items() if rows}
    assert left == {"mailstore_deleted", "mailstore_deleted_mailboxes"}


# --- D14 GET /domain/list


def test_d14_list(store: AfterLogicStore) -> None:
    for name in ("b.com", "a.com", "c.org"):
        store.domains.create(name, settings=DomainSettings(internal=name == "a.com"))

    def listed(*page: int, **wanted: Any) -> list[str]:
        return [entry.name for entry in store.domains.page(*page, **wanted)]

    assert listed() == ["a.com", "b.com", "c.org"]
    assert listed(descending=True) == ["c.org", "b.com", "a.com"]
    assert [listed(page, size=2) for page in (1, 2, 3)] == [["a.com", "b.com"], ["c.org"], []]
    assert listed(search=".COM") == ["a.com", "b.com"]
    assert listed(search="%") == []
    first = store.domains.page()[0]
    assert isinstance(first, DomainEntry)
    assert (first.is_internal, first.name) == (True, "a.com")
    with pytest.raises(InvalidValue):
        store.domains.page(size=0)


# --- D15 GET /domain/exists


def test_d15_exists(store: AfterLogicStore, domain: str) -> None:
    assert store.domains.exists("EXAMPLE.com")
    assert not store.domains.exists("nowhere.com")
    assert code_of(DomainNotFound("x"), "GET /domain/exists") == 710


# --- D16 GET /domain


def test_d16_domain(store: AfterLogicStore, domain: str) -> None:
    settings = DomainSettings.of(store.domains.get("Example.com"))
    assert (settings.allow_webmail, settings.allow_contacts, settings.use_threads) == (True, True, True)
    assert (settings.default_skin, settings.default_language, settings.site_name) == ("DeepForest", "German", "")
    assert all(getattr(settings, name) is not None for name in FOURTEEN)
    assert settings.outgoing_password is None
    with pytest.raises(DomainNotFound) as caught:
        store.domains.get("nowhere.com")
    assert code_of(caught.value, "GET /domain") == 717
