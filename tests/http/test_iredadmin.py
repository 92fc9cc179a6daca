"""iRedAdmin-Pro's API on a real store: the document's samples by curl, what clients do beside it, and the traps."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mailstore import Quota
from tests.http.conftest import PASSWORD, READY, ROOT
from tests.http.iredadmin_samples import CALLS, filled
from tests.servers.process import program

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore import Store
    from tests.http.rig import Client, Service
    from tests.rigs import Rig

DOMAIN, BOB = "example.com", "bob@example.com"
OK = {"_success": True}


def refused(word: str) -> dict[str, Any]:
    return {"_success": False, "_msg": word}


def curl(*arguments: str) -> str:
    done = subprocess.run([program("curl"), "-sS", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_document_by_curl(service: Service, accounts: Store, workdir: Path) -> None:
    base, jar = (
        f"http://127.0.0.1:{service.port}/iredadmin/api",
        ["-b", str(workdir / "jar"), "-c", str(workdir / "jar")],
    )
    login = ["--data-urlencode", f"username={ROOT}", "--data-urlencode", f"password={PASSWORD}"]
    assert curl(*jar, *login, f"{base}/login") == '{"_success": true}'
    seen = set()
    for call, verb, path, form in CALLS:
        data = ["-d", filled(form)] if form else []
        answer = curl(*jar, "-X", verb, *data, f"{base}/{filled(path)}")
        if verb == "GET":
            assert json.loads(answer).keys() == {"_success", "_data"}, (call, answer)
        assert answer.startswith('{"_success": true'), (call, verb, path, form, answer)
        assert verb == "GET" or answer == '{"_success": true}'
        seen.add(call)
    assert seen == {f"A{number:02}" for number in [*range(2, 21), *range(25, 30)]}
    assert not accounts.domains.exists("google.com")


def test_the_profile_is_the_row_and_what_the_panel_adds(panel: Client, accounts: Store, sqlite_rig: Rig) -> None:
    accounts.domains.create(DOMAIN, max_accounts=5, default_account_quota="1G", catch_all=["all@example.org"])
    accounts.accounts.create(BOB, password_hash=READY, quota="10M", forwarding=["x@example.org"], keep_copy=True)
    accounts.aliases.create("sales@example.com", members=[BOB])
    accounts.admins.promote(BOB, max_domains=3)
    answer = panel.call("GET", f"/user/{BOB}")["_data"]
    [row] = sqlite_rig.rows("mailbox", username=BOB)
    assert answer.keys() == row.keys() - {"password"} | {
        "forwardings",
        "stored_bytes",
        "stored_messages",
        "managed_domains",
    }
    assert (answer["quota"], answer["active"], answer["stored_bytes"]) == (10, 1, 0)
    assert sorted(answer["forwardings"]) == [BOB, "x@example.org"]
    assert answer["managed_domains"] == [DOMAIN]
    assert answer["settings"]["create_max_domains"] == 3
    domain = panel.call("GET", f"/domain/{DOMAIN}")["_data"]
    assert (domain["mailboxes"], domain["catchall"], domain["num_existing_users"]) == (5, ["all@example.org"], 1)
    assert domain["settings"]["default_user_quota"] == 1024
    assert panel.call("GET", "/alias/sales@example.com")["_data"]["members"] == [BOB]
    admin = panel.call("GET", f"/admin/{ROOT}")["_data"]
    assert (admin["username"], admin["isglobaladmin"], "password" in admin) == (ROOT, 1, False)
    assert panel.call("GET", "/domains?name_only=yes")["_data"] == [DOMAIN]
    assert panel.call("GET", f"/users/{DOMAIN}", email_only="yes")["_data"] == [BOB]
    assert panel.call("GET", f"/aliases/{DOMAIN}")["_data"][0]["address"] == "sales@example.com"


class TestTraps:
    """Where the wire and the library mean different things by the same number."""

    @pytest.fixture(autouse=True)
    def domain(self, accounts: Store) -> None:
        accounts.domains.create(DOMAIN)

    def test_zero_days_are_for_ever(self, panel: Client, accounts: Store) -> None:
        for number, path in enumerate(
            (f"/user/{BOB}/keep_mailbox_days/0", f"/user/{BOB}", f"/domain/{DOMAIN}/keep_mailbox_days/0")
        ):
            if number < 2 or not accounts.accounts.exists(BOB):
                accounts.accounts.create(BOB, password_hash=READY)
            assert panel.call("DELETE", path) == OK
        years = {record.due.year for record in accounts.deleted.list() if record.due}
        assert len(years) == 1
        assert min(years) > 2100

    def test_zero_is_unlimited_and_minus_one_none(self, panel: Client, accounts: Store) -> None:
        assert (
            panel.call("PUT", f"/domain/{DOMAIN}", numberOfUsers=0, numberOfAliases=-1, quota=0, maxUserQuota=7) == OK
        )
        found = accounts.domains.get(DOMAIN)
        assert (found.max_accounts, found.max_aliases, found.quota) == (None, 0, Quota(None))
        assert found.max_account_quota == Quota.parse("7M")
        assert panel.call("POST", "/alias/a@example.com") == refused("EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
        for bad in ("x", "", "1.5", "-2", "9" * 400):
            assert panel.call("PUT", f"/domain/{DOMAIN}", numberOfUsers=bad) == refused("INVALID_NUMBER")

    def test_a_copy_is_kept_if_the_own_address_is_named(self, panel: Client, accounts: Store) -> None:
        accounts.accounts.create(BOB, password_hash=READY)
        for sent, forwarding, copy in (
            (f"x@example.org, {BOB}", ("x@example.org",), True),
            ("x@example.org,X@example.org", ("x@example.org",), False),
            ("", (), True),
        ):
            assert panel.call("PUT", f"/user/{BOB}", forwarding=sent) == OK
            found = accounts.accounts.get(BOB)
            assert (found.forwarding, found.keep_copy) == (forwarding, copy)

    def test_aliases_in_use_are_left_out(self, panel: Client, accounts: Store) -> None:
        accounts.accounts.create(BOB, password_hash=READY, aliases=["old@example.com"])
        accounts.accounts.create("eve@example.com", password_hash=READY)
        assert panel.call("PUT", f"/user/{BOB}", aliases="a@example.com,eve@example.com,b@example.com") == OK
        assert accounts.accounts.get(BOB).aliases == ("a@example.com", "b@example.com")
        assert panel.call("PUT", f"/user/{BOB}", aliases="") == OK
        assert accounts.accounts.get(BOB).aliases == ()
        answer = panel.call("PUT", f"/user/{BOB}", aliases="c@example.com", addAlias="d@example.com", name="No")
        assert not answer["_success"]
        assert accounts.accounts.get(BOB).name == ""

    def test_a_refused_call_leaves_nothing(self, panel: Client, accounts: Store) -> None:
        accounts.domains.create("other.example")
        answer = panel.call("PUT", f"/domain/{DOMAIN}", name="New", addAliasDomain="other.example")
        assert answer == refused("ALREADY_EXISTS")
        assert accounts.domains.get(DOMAIN).name == ""


class TestHabitsOfClients:
    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_parameters_stand_anywhere(self, panel: Client, accounts: Store, method: str) -> None:
        if method == "PUT":
            accounts.domains.create(DOMAIN)
        path = f"/domain/{DOMAIN}"
        body = b"cn=old&cn=J\xc3\xb8rn"  # raw UTF-8, a name of 2016, twice, and no Content-Type
        assert panel.send(method, f"//{path}/?name=query&unknown=1", body).json == OK
        assert accounts.domains.get(DOMAIN).name == "query"  # the new name comes before the old one
        assert panel.send("PUT", path, b"name=a%2Bb+c", {"Content-Type": "application/json"}).json == OK
        assert accounts.domains.get(DOMAIN).name == "a+b c"
        form = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nin parts\r\n--x--\r\n'
        assert panel.send("PUT", path, form, {"Content-Type": "multipart/form-data; boundary=x"}).json == OK
        assert accounts.domains.get(DOMAIN).name == "in parts"

    def test_names_in_paths(self, panel: Client, accounts: Store) -> None:
        accounts.domains.create(DOMAIN)
        assert panel.call("POST", "/user/BOB%40Example.COM", password="AsTr0ng@") == OK
        assert accounts.accounts.exists(BOB)
        assert panel.call("GET", "/user/nobody") == refused("INVALID_MAIL")
        assert panel.call("GET", "/domain/nodot") == refused("INVALID_DOMAIN_NAME")
        assert panel.call("GET", "/user/%FF@example.com") == refused("INVALID_MAIL")
        assert panel.call("GET", "/user/eve@example.com") == refused("NO_SUCH_ACCOUNT")
        assert panel.call("GET", "/domain/absent.example") == refused("NO_SUCH_DOMAIN")
        assert panel.call("POST", f"/user/{BOB}", password="AsTr0ng@") == refused("ALREADY_EXISTS")
        assert panel.call("POST", "/user/eve@example.com") == refused("EMPTY_PASSWORD")

    def test_passwords_are_as_long_as_the_domain_wants(self, panel: Client, accounts: Store) -> None:
        accounts.domains.create(DOMAIN, min_password_length=8, max_password_length=9)
        for password, word in (("short", "PW_SHORTER_THAN_MIN_LENGTH"), ("0123456789", "PW_GREATER_THAN_MAX_LENGTH")):
            assert panel.call("POST", f"/user/{BOB}", password=password) == refused(word)

    def test_what_is_unknown_is_said_in_the_envelope(self, panel: Client) -> None:
        for method, path, status, word in (
            ("GET", "/nothing", 404, "NOT_FOUND"),
            ("DELETE", "/user/b@x.org/keep_mailbox_days/soon", 404, "NOT_FOUND"),
            ("PATCH", f"/domain/{DOMAIN}", 405, "METHOD_NOT_ALLOWED"),
            ("GET", "/login", 405, "METHOD_NOT_ALLOWED"),
        ):
            reply = panel.send(method, path)
            assert (reply.status, reply.json) == (status, refused(word))
        reply = panel.send("PUT", f"/domain/{DOMAIN}", b"name=" + b"x" * (1 << 20))
        assert (reply.status, reply.json) == (413, refused("REQUEST_TOO_LARGE"))
        reply = panel.send("PUT", f"/domain/{DOMAIN}", b"name=%FF")
        assert (reply.status, reply.json["_success"]) == (400, False)

    def test_a_directory_is_needed_for_lists(self, panel: Client) -> None:
        for path in ("/maillist/l@example.com", "/ldif/user/bob@example.com", "/spampolicy/global"):
            answer = panel.call("GET", path)
            assert not answer["_success"]
            assert "this store" in answer["_msg"]
            assert "sqlite" not in answer["_msg"]


def test_long_lists_are_sent_while_they_are_read(panel: Client, accounts: Store) -> None:
    accounts.domains.create(DOMAIN)
    addresses = [f"a{number:03}@example.com" for number in range(450)]
    accounts.accounts.create_many({"address": address, "password_hash": READY} for address in addresses)
    reply = panel.send("GET", f"/users/{DOMAIN}?email_only=yes")
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.body == json.dumps({"_success": True, "_data": addresses}).encode()
    profiles = panel.send("GET", f"/users/{DOMAIN}").json["_data"]
    assert [profile["username"] for profile in profiles] == addresses
