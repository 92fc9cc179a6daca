"""Who may make which call: a matrix of callers and calls. What is refused leaves everything as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.conftest import PASSWORD, READY, ROOT

if TYPE_CHECKING:
    from mailstore import Store
    from tests.http.rig import Client, Service
    from tests.rigs import Rig

HERE, ELSEWHERE = "example.com", "other.example"
ADMIN, STRANGER, USER = "admin@one.example", "admin@two.example", "user@example.com"
CALLERS = (ROOT, ADMIN, STRANGER, USER, "nobody", "expired")

OF_DOMAIN_ADMINS = (
    ("GET", f"domain/{HERE}", {}),
    ("PUT", f"domain/{HERE}", {"name": "x"}),
    ("PUT", f"domain/{HERE}", {"catchall": "a@x.org"}),
    ("PUT", f"domain/admins/{HERE}", {"addAdmin": "eve@example.com"}),
    ("GET", f"users/{HERE}", {"email_only": "yes"}),
    ("GET", "user/eve@example.com", {}),
    ("POST", "user/new@example.com", {"password": "AsTr0ng@"}),
    ("PUT", "user/eve@example.com", {"password": "AsTr0ng@", "forwarding": "x@example.org"}),
    ("POST", "user/new@example.com/change_email/newer@example.com", {}),
    ("DELETE", "user/newer@example.com/keep_mailbox_days/3", {}),
    ("PUT", f"users/{HERE}", {"language": "de_DE"}),
    ("POST", "alias/new@example.com", {"members": "x@example.org"}),
    ("GET", "alias/new@example.com", {}),
    ("PUT", "alias/new@example.com", {"addMember": "y@example.org"}),
    ("DELETE", "alias/new@example.com", {}),
)
"""An admin of the domain may make them, in this order."""
OF_GLOBAL_ADMINS = (
    ("POST", "domain/new.example", {}),
    ("PUT", f"domain/{HERE}", {"quota": "5"}),
    ("PUT", f"domain/{HERE}", {"accountStatus": "active"}),
    ("POST", "admin/new@three.example", {"password": "AsTr0ng@"}),
    ("PUT", "admin/new@three.example", {"maxUsers": "3"}),
    ("POST", "verify_password/admin/new@three.example", {"password": "AsTr0ng@"}),
    ("DELETE", "admin/new@three.example", {}),
    ("PUT", "user/eve@example.com", {"isGlobalAdmin": "yes"}),
    ("POST", "verify_password/user/eve@example.com", {"password": "AsTr0ng@"}),
    ("DELETE", f"domain/{HERE}", {}),
)
"""Only who may do everything may make them."""


@pytest.fixture
def scene(accounts: Store) -> Store:
    for domain in (HERE, ELSEWHERE):
        accounts.domains.create(domain)
    accounts.admins.create(ADMIN, password_hash=READY, domains=[HERE])
    accounts.admins.create(STRANGER, password_hash=READY, domains=[ELSEWHERE])
    for address in (USER, "eve@example.com"):
        accounts.accounts.create(address, password_hash=READY)
    return accounts


def logged_in(service: Service, store: Store, who: str) -> Client:
    client = service.client()
    if who == "expired":
        store.admins.create("gone@one.example", password_hash=READY, global_admin=True)
        assert client.login("gone@one.example", PASSWORD)["_success"]
        store.admins.delete("gone@one.example")
    elif who != "nobody":
        assert client.login(who, PASSWORD)["_success"] is (who != USER)
    return client


def expected(who: str, *, for_global: bool) -> str | None:
    if who == ROOT or (who == ADMIN and not for_global):
        return None
    return "PERMISSION_DENIED" if who in {ADMIN, STRANGER} else "LOGIN_REQUIRED"


@pytest.mark.parametrize("who", CALLERS)
def test_cell(service: Service, scene: Store, sqlite_rig: Rig, who: str) -> None:
    client = logged_in(service, scene, who)
    for for_global, calls in ((False, OF_DOMAIN_ADMINS), (True, OF_GLOBAL_ADMINS)):
        word = expected(who, for_global=for_global)
        for method, path, form in calls:
            before = sqlite_rig.everything() if word else {}
            answer: dict[str, Any] = client.call(method, f"/{path}", **form)
            assert answer.get("_msg") == word, (method, path, form)
            assert answer["_success"] is (word is None)
            assert not word or sqlite_rig.everything() == before


def test_nobody_deletes_itself(panel: Client, accounts: Store) -> None:
    assert panel.call("DELETE", f"/admin/{ROOT}") == {"_success": False, "_msg": "PERMISSION_DENIED"}
    assert accounts.admins.exists(ROOT)


def test_of_other_domains_nothing_is_told(service: Service, scene: Store) -> None:
    client = logged_in(service, scene, STRANGER)
    for path in (f"/user/{USER}", "/user/absent@example.com", "/domain/absent.example", f"/alias/a@{HERE}"):
        assert client.call("GET", path)["_msg"] == "PERMISSION_DENIED"
    assert client.call("GET", f"/user/absent@{ELSEWHERE}")["_msg"] == "NO_SUCH_ACCOUNT"
    assert client.call("GET", "/domains?name_only=yes")["_data"] == [ELSEWHERE]


class TestLogin:
    @pytest.mark.usefixtures("accounts")
    def test_a_session_is_a_cookie_that_scripts_cannot_read(self, service: Service) -> None:
        reply = service.client().send("POST", "/login", f"username={ROOT}&password={PASSWORD}".encode())
        cookie = reply.headers["set-cookie"]
        assert cookie.startswith("iRedAdmin-Pro-SQLITE=")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
        assert reply.headers["cache-control"] == "no-store"
        assert "server" not in reply.headers

    @pytest.mark.usefixtures("scene")
    def test_what_is_wrong_is_not_told(self, service: Service) -> None:
        client = service.client()
        client.headers["X-Forwarded-For"] = "203.0.113.7"
        for name, password in ((ROOT, "wrong"), ("x@x.org", "p"), (USER, PASSWORD), ("", ""), ("no address", "p")):
            assert client.login(name, password) == {"_success": False, "_msg": "INVALID_CREDENTIALS"}
        assert "Cookie" not in client.headers

    def test_other_pages_cannot_use_a_session(self, panel: Client, accounts: Store) -> None:
        reply = panel.send("POST", "/domain/evil.example", headers={"Origin": "https://evil.example"})
        assert (reply.status, reply.json["_msg"]) == (403, "NOT_AUTHORIZED")
        assert not accounts.domains.exists("evil.example")

    def test_guessing_gets_slow(self, service: Service, accounts: Store) -> None:
        victim = "victim@admin.example"
        accounts.admins.create(victim, password_hash=READY, global_admin=True)
        client, form = service.client(), f"username={victim}&password=wrong".encode()
        client.headers["X-Forwarded-For"] = "203.0.113.8"
        replies = [client.send("POST", "/login", form) for _ in range(12)]
        assert {reply.body for reply in replies} == {b'{"_success": false, "_msg": "INVALID_CREDENTIALS"}'}
        slowed = ["retry-after" in reply.headers for reply in replies]  # refused without a look at the password
        assert not any(slowed[:5])
        assert any(slowed[5:])
        told = {line.partition(",")[0] for line in service.lines if line.endswith(f"username={victim}")}
        assert told == {"Web login failed: client_address=203.0.113.8"}
