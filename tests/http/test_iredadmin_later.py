"""iRedAdmin-Pro's API beyond its first document: the vendor's page of curl lines, and calls of later versions."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from mailstore import open_store
from tests.http.conftest import PASSWORD, READY, ROOT
from tests.http.test_iredadmin_directory import DOMAIN, MAIL, ldap, panel, policies
from tests.ldap.test_lists import managed
from tests.servers.process import program
from tests.stores import empty_homes

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore import Store
    from tests.http.rig import Client, Service
    from tests.ldap.rig import LdapRig
    from tests.policies.rig import PolicyRig
    from tests.rigs import Rig

__all__ = ["ldap", "panel", "policies"]  # fixtures on a directory; `conftest` has another panel, on tables

CURL = """\
curl -X POST -c cookie.txt -d "username=<username>&password=<password>" https://<server>/iredadmin/api/login
curl -X POST -i -b cookie.txt -d "cn=ABC Inc.&quota=20480" https://<server>/iredadmin/api/domain/<domain>
curl -X POST -i -b cookie.txt -d "password=A@StrongPassword2&cn=Zhang Huangbin&mailQuota=1024" https://<server>/iredadmin/api/user/<mail>
curl -X PUT -i -b cookie.txt -d "cn=John Smith&mailQuota=2048" https://<server>/iredadmin/api/user/<mail>
curl -X PUT -i -b cookie.txt --data-urlencode "cn=J\u00f8rn" https://<server>/iredadmin/api/user/<mail>
curl -X DELETE -i -b cookie.txt https://<server>/iredadmin/api/user/<mail>
curl -X POST -i -b cookie.txt -d "cn=My Alias" https://<server>/iredadmin/api/alias/<mail>
curl -X DELETE -i -b cookie.txt https://<server>/iredadmin/api/alias/<mail>
curl -X DELETE -i -b cookie.txt https://<server>/iredadmin/api/domain/<domain>
"""
"""The vendor's lines for tables, whose names of parameters are those of 2016, in an order in which they can be run."""


def test_the_vendors_page_of_curl_lines(service: Service, accounts: Store, workdir: Path) -> None:
    values = {"<server>": f"127.0.0.1:{service.port}", "<username>": ROOT, "<password>": PASSWORD,
              "<domain>": "example.com", "<mail>": "zhang@example.com"}  # fmt: skip
    names = []
    for line in CURL.splitlines():
        command = line.replace("https://", "http://")
        for place, value in values.items():
            command = command.replace(place, value)
        arguments = [program("curl"), "-sS", *shlex.split(command)[1:]]
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=workdir, check=True)
        assert done.stdout.replace("\r", "").rpartition("\n\n")[2] == '{"_success": true}', line
        names += [account.name for account in accounts.accounts.list()]
    assert names == ["Zhang Huangbin", "John Smith", "J\u00f8rn"]


def test_greylisting(panel: Client, ldap: LdapRig, policies: PolicyRig) -> None:
    ldap.shared.domains.create(DOMAIN)
    ldap.shared.accounts.create(MAIL, password_hash=READY)
    for level in ("global", DOMAIN, MAIL):
        place = f"/greylisting/{level}"
        assert panel.call("GET", place)["_data"] == {"status": None}
        assert panel.call("POST", place, status="disable")["_success"]
        assert panel.call("GET", place)["_data"] == {"status": "disable"}
        assert panel.call("POST", place, status="enable")["_success"]
        assert panel.call("POST", place)["_success"] is False
        assert panel.call("POST", place, status="soon")["_success"] is False
        white = f"{place}/whitelists"
        assert panel.call("POST", white, senders="192.168.1.0/24,172.16.10.1,@example.com")["_success"]
        assert panel.call("POST", white, addSenders="@.example.org", removeSenders="172.16.10.1")["_success"]
        assert set(panel.call("GET", white)["_data"]) == {"192.168.1.0/24", "@example.com", "@.example.org"}
        answer = panel.call("POST", white, senders="a@example.com", addSenders="b@example.com")
        assert "conflict" in answer["_msg"]
    everything = panel.call("GET", "/greylisting/all")["_data"]
    assert {level: found["status"] for level, found in everything.items()} == {
        "global": "enable", f"@{DOMAIN}" if f"@{DOMAIN}" in everything else DOMAIN: "enable", MAIL: "enable",
    }  # fmt: skip
    assert panel.call("DELETE", f"/greylisting/{MAIL}")["_success"]
    assert panel.call("GET", f"/greylisting/{MAIL}")["_data"] == {"status": None}
    assert panel.call("PUT", "/greylisting/global/whitelist/192.0.2.7")["_success"]
    assert "192.0.2.7" in panel.call("GET", "/greylisting/global/whitelists")["_data"]
    assert panel.call("PUT", "/greylisting/global/whitelist/rubbish")["_success"] is False
    spf = "/greylisting/whitelist_spf_domains"
    assert panel.call("POST", spf, domains="iredmail.org,gmail.com")["_success"]
    assert panel.call("POST", spf, addDomains="example.net", removeDomains="gmail.com")["_success"]
    assert policies.shared.greylisting.spf_domains() == ("example.net", "iredmail.org")


def test_lists_of_the_list_manager(panel: Client, ldap: LdapRig) -> None:
    ldap.shared.domains.create("example.com")
    news = managed(ldap)
    ldap.shared.lists.create("plain@example.com", members=["x@example.org"])
    assert panel.call("GET", "/mls/example.com?email_only=yes")["_data"] == [news]
    assert panel.call("GET", "/mls/example.com")["_data"][0]["mail"] == [news]
    assert panel.call("GET", f"/ml/{news}")["_data"]["members"] == []
    form = {"name": "News", "accountStatus": "disabled", "accessPolicy": "membersonly", "owner": "o@example.org",
            "moderators": "m@example.org, n@example.org"}  # fmt: skip
    assert panel.call("PUT", f"/ml/{news}", **form)["_success"]
    found = ldap.shared.lists.get(news)
    assert (found.name, found.enabled, found.access_policy, found.owners) == (
        "News", False, "membersonly", ("o@example.org",),
    )  # fmt: skip
    assert set(found.moderators) == {"m@example.org", "n@example.org"}
    for refused in ({"add_subscribers": "x@example.org", "name": "No"}, {"close_list": "yes"}, {"moderated": "yes"}):
        assert "mlmmjadmin" in panel.call("PUT", f"/ml/{news}", **refused)["_msg"]
    assert ldap.shared.lists.get(news).name == "News"
    assert "mlmmjadmin" in panel.call("GET", f"/ml/{news}?with_subscribers=yes")["_msg"]
    assert "mlmmjadmin" in panel.call("POST", "/ml/new@example.com")["_msg"]
    assert "mlmmjadmin" in panel.call("DELETE", f"/ml/{news}")["_msg"]
    assert panel.call("GET", "/ml/plain@example.com")["_msg"] == "NO_SUCH_ACCOUNT"
    assert panel.call("POST", "/ml/new@nowhere.example")["_msg"] == "NO_SUCH_DOMAIN"


ADMIN, STRANGER = "admin@elsewhere.com", "other@elsewhere.com"
LATER: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", f"/greylisting/{DOMAIN}", {}),
    ("POST", f"/greylisting/{DOMAIN}", {"status": "enable"}),
    ("POST", f"/greylisting/{DOMAIN}/whitelists", {"senders": "@example.com"}),
    ("GET", f"/greylisting/{MAIL}/whitelists", {}),
    ("DELETE", f"/greylisting/{DOMAIN}", {}),
    ("POST", f"/wblist/inbound/whitelist/{DOMAIN}", {"addresses": "a@example.org"}),
    ("PUT", f"/wblist/inbound/whitelist/{MAIL}", {"addresses": "a@example.org"}),
    ("PUT", f"/spampolicy/user/{MAIL}", {"spam_score": "5"}),
    ("POST", f"/throttle/{DOMAIN}/outbound", {"period": "60"}),
    ("GET", f"/mls/{DOMAIN}", {}),
    ("POST", f"/maillist/l@{DOMAIN}", {"members": "x@example.org"}),
    ("GET", f"/maillist/l@{DOMAIN}", {}),
    ("PUT", f"/maillist/l@{DOMAIN}", {"addMember": "y@example.org"}),
    ("DELETE", f"/maillist/l@{DOMAIN}", {}),
    ("GET", f"/spampolicy/domain/{DOMAIN}", {}),
    ("DELETE", f"/spampolicy/domain/{DOMAIN}", {}),
    ("GET", f"/throttle/{MAIL}/inbound", {}),
    ("GET", f"/wblist/outbound/blacklist/{DOMAIN}", {}),
    ("GET", f"/aliases/{DOMAIN}", {}),
    ("GET", f"/users/{DOMAIN}", {}),
)
"""An admin of the domain may make them, as far as the domain's profile lets it."""
OF_ALL: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "/greylisting/all", {}),
    ("POST", "/greylisting/global", {"status": "enable"}),
    ("DELETE", "/greylisting/global", {}),
    ("POST", "/greylisting/whitelist_spf_domains", {"domains": "example.net"}),
    ("PUT", "/greylisting/global/whitelist/192.0.2.7", {}),
    ("DELETE", "/wblist/outbound/blacklist/global", {}),
    ("DELETE", "/spampolicy/global", {}),
    ("POST", "/throttle/global/outbound", {"period": "60"}),
    *(
        ("GET", f"/ldif/{kind}/{name}", {})
        for kind, name in (
            ("domain", DOMAIN),
            ("catchall", DOMAIN),
            ("admin", STRANGER),
            ("user", MAIL),
            ("alias", f"a@{DOMAIN}"),
        )
    ),
    ("GET", f"/admin/{ROOT}", {}),
    ("PUT", f"/admin/{ROOT}", {"name": "x"}),
)


@pytest.mark.parametrize("who", [ROOT, ADMIN, STRANGER, MAIL, "nobody", "wrong password"])
def test_cell(panel: Client, ldap: LdapRig, who: str) -> None:
    store = ldap.shared
    for domain in (DOMAIN, "other.example"):
        store.domains.create(domain)
    store.accounts.create(MAIL, password_hash=READY)
    store.aliases.create(f"a@{DOMAIN}", members=[MAIL])
    store.admins.create(ADMIN, password_hash=READY, domains=[DOMAIN])
    store.admins.create(STRANGER, password_hash=READY, domains=["other.example"])
    panel.headers.pop("Cookie")
    if who != "nobody":
        is_wrong = who == "wrong password"
        logged_in = panel.login(ROOT if is_wrong else who, "wrong" if is_wrong else PASSWORD)
        assert logged_in["_success"] is (who in {ROOT, ADMIN, STRANGER})
    for calls, allowed in ((LATER, {ROOT, ADMIN}), (OF_ALL, {ROOT})):
        for method, path, form in calls:
            answer = panel.call(method, path, **form)
            word = None if who in allowed else "PERMISSION_DENIED" if who in {ADMIN, STRANGER} else "LOGIN_REQUIRED"
            assert answer.get("_msg") == word, (method, path)


def test_each_call_leaves_the_rows_of_the_librarys_own(service: Service, accounts: Store, sqlite_rig: Rig) -> None:
    def rows() -> dict[str, list[str]]:
        own = re.compile(r"\{SSHA[^']*|datetime\.datetime\([^)]*\)|-\d{4}\.\d\d\.\d\d\.\d\d\.\d\d\.\d\d|^\(\d+")
        return {name: sorted(own.sub("", str(row)) for row in found) for name, found in sqlite_rig.everything().items()}

    bob, here = "bob@example.com", "example.com"
    god = open_store(sqlite_rig.url).acting_as(ROOT)  # without access to the disk, as the service has it
    god.domains.create(here, name="N", quota="20G", default_account_quota="1G", max_accounts=20, max_aliases=0)
    god.domains.update(here, catch_all=["c@example.org"], sender_bcc="s@example.org", max_aliases=None)
    god.accounts.create(bob, password="AsTr0ng@", name="Bob", quota="100M", language="en_US")
    god.accounts.update(bob, forwarding=["x@example.org"], keep_copy=True, employee_id="7", enabled=False)
    god.accounts.update(bob, aliases=["b@example.com"])
    god.aliases.create("info@example.com", members=[bob], access_policy="domain")
    god.aliases.rename("info@example.com", "sales@example.com")
    god.admins.create("a@elsewhere.example", password="AsTr0ng@", max_domains=5, max_quota="2T", max_accounts=0)
    god.admins.add_to_domain(here, ["a@elsewhere.example"])
    god.accounts.create("gone@example.com", password="AsTr0ng@", quota="1M")
    god.accounts.delete("gone@example.com", keep_mailbox_days=30)
    expected = rows()
    god.close()
    sqlite_rig.clear()
    empty_homes(sqlite_rig)
    accounts.admins.create(ROOT, password_hash=READY, global_admin=True)
    client = service.client()
    assert client.login(ROOT, PASSWORD)["_success"]
    for method, path, form in (
        ("POST", f"/domain/{here}", {"name": "N", "quota": 20480, "defaultQuota": 1024, "numberOfUsers": 20,
                                     "numberOfAliases": -1}),
        ("PUT", f"/domain/{here}", {"catchall": "c@example.org", "senderBcc": "s@example.org", "numberOfAliases": 0}),
        ("POST", f"/user/{bob}", {"password": "AsTr0ng@", "name": "Bob", "quota": 100, "language": "en_US"}),
        ("PUT", f"/user/{bob}", {"forwarding": f"x@example.org,{bob}", "employeeid": "7", "accountStatus": "disabled"}),
        ("PUT", f"/user/{bob}", {"addAlias": "b@example.com"}),
        ("POST", "/alias/info@example.com", {"members": bob, "accessPolicy": "domain"}),
        ("POST", "/alias/info@example.com/change_email/sales@example.com", {}),
        ("POST", "/admin/a@elsewhere.example", {"password": "AsTr0ng@", "maxDomains": 5, "maxQuota": 2, "quotaUnit": "TB",
                                                "maxUsers": -1}),
        ("PUT", f"/domain/admins/{here}", {"addAdmin": "a@elsewhere.example"}),
        ("POST", "/user/gone@example.com", {"password": "AsTr0ng@", "quota": 1}),
        ("DELETE", "/user/gone@example.com/keep_mailbox_days/30", {}),
    ):  # fmt: skip
        assert client.call(method, path, **form) == {"_success": True}, (method, path)
    assert rows() == expected


def test_the_habits_of_a_billing_module(service: Service, accounts: Store) -> None:
    """It puts everything in the query, of POST and PUT too, and reads limits and rights of the admin whom it made."""
    client, admin = service.client("/iredadmin/api"), "customer@elsewhere.example"
    client.headers["X-Forwarded-For"] = "203.0.113.210"
    reply = client.send("POST", f"//login/?{urlencode({'username': ROOT, 'password': PASSWORD})}", b"")
    client.headers["Cookie"] = reply.headers["set-cookie"].partition(";")[0]
    assert client.send("GET", f"/admin/{admin}").json == {"_success": False, "_msg": "NO_SUCH_ACCOUNT"}
    given = {"name": "Customer 7", "password": "AsTr0ng@", "accountStatus": "active", "language": "en_US",
             "isGlobalAdmin": "no", "maxDomains": 1, "maxQuota": 0, "maxUsers": 0, "maxAliases": 0}  # fmt: skip
    assert client.send("POST", f"/admin/{admin}?{urlencode(given)}").json == {"_success": True}
    found = client.send("GET", f"/admin/{admin}").json["_data"]
    assert (found["settings"]["create_max_domains"], found["managed_domains"], found["isglobaladmin"]) == (1, [], 0)
    assert client.send("PUT", f"/admin/{admin}?maxDomains=3").json == {"_success": True}
    accounts.acting_as(admin).domains.create("shop.example", max_accounts=5)
    found = client.send("GET", f"/admin/{admin}").json["_data"]
    assert (found["settings"]["create_max_domains"], found["managed_domains"]) == (3, ["shop.example"])
    assert client.send("GET", "/domain/shop.example").json["_data"]["mailboxes"] == 5
    assert client.send("PUT", f"/admin/{admin}?accountStatus=disabled").json == {"_success": True}
    assert accounts.admins.login(admin, "AsTr0ng@") is None
    assert client.send("DELETE", f"/admin/{admin}").json == {"_success": True}
