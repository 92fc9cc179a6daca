"""The same API on a directory, with the databases of amavisd and iRedAPD beside it: every call of the document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import pytest

from tests.http.conftest import PANEL, PASSWORD, READY, ROOT
from tests.http.iredadmin_samples import CALLS, DIRECTORY_CALLS, POLICY_CALLS, Line, filled
from tests.http.rig import serving, toml
from tests.policies.rig import PolicyRig
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.http.rig import Client
    from tests.ldap.rig import LdapRig
    from tests.rigs import Rig
    from tests.servers.mariadb import MariaDB
    from tests.stores import StoreRig

DOMAIN, MAIL, ALIAS, ADMIN = "google.com", "user@google.com", "sales@google.com", "admin@elsewhere.com"
# What is said of services and of access policies differs; the document names those of each.
OTHER = {
    "enableService=self-service": "enableService=domainalias",
    "disableService=self-service": "disableService=domainalias",
}


@pytest.fixture(scope="module")
def ldap(rigs: Callable[[str], StoreRig]) -> LdapRig:
    return cast("LdapRig", rigs("ldap"))


@pytest.fixture(scope="module")
def policies(ldap: LdapRig, mariadb: MariaDB) -> Iterator[PolicyRig]:
    rig = PolicyRig("mysql", cast("Rig", ldap), mariadb)
    yield rig
    rig.close()


@pytest.fixture
def panel(ldap: LdapRig, policies: PolicyRig, workdir: Path) -> Iterator[Client]:
    policies.clear()
    empty_homes(ldap)
    ldap.shared.admins.create(ROOT, password_hash=READY, global_admin=True)
    options = {"home_root": str(ldap.root), **ldap.options} | {
        name: policies.url(name) for name in ("amavisd", "iredapd")
    }
    store = "\n".join([f'url = "{ldap.url}"', *(f"{name} = {json.dumps(value)}" for name, value in options.items())])
    with serving(workdir, toml(store, workdir / "state", PANEL)) as service:
        client = service.client()
        assert client.login(ROOT, PASSWORD) == {"_success": True}
        assert client.headers["Cookie"].startswith("iRedAdmin-Pro-LDAP=")
        yield client
    assert [line for line in service.lines if PASSWORD in line or "internal error" in line] == []


def made(panel: Client, calls: list[Line]) -> set[str]:
    """Make calls, and return which ones of the document they are."""
    for call, verb, path, form in calls:
        body = quote(filled(OTHER.get(form, form)), safe="=&,@+").encode() or None
        reply = panel.send(verb, f"/{filled(path)}", body)
        assert reply.json["_success"], (call, verb, path, form, reply)
        assert ("_data" in reply.json) is (verb == "GET")
    return {call for call, *_ in calls}


def test_the_document(panel: Client, ldap: LdapRig, policies: PolicyRig) -> None:
    seen = made(panel, CALLS)
    store = ldap.shared
    store.domains.create(DOMAIN)
    store.accounts.create(MAIL, password_hash=READY, quota="10M")
    store.aliases.create(ALIAS, members=[MAIL])
    store.admins.create(ADMIN, password_hash=READY)
    seen |= made(panel, DIRECTORY_CALLS)
    seen |= made(panel, POLICY_CALLS)
    assert seen | {"A01"} == {f"A{number:02}" for number in range(1, 57)}
    throttle = panel.call("GET", f"/throttle/{MAIL}/inbound")["_data"]
    assert throttle == {"period": 3600, "msg_size": 10485760, "max_msgs": 20, "max_quota": 1048576000}
    assert panel.call("POST", f"/throttle/{MAIL}/inbound", period=60, msg_size=0)["_success"]
    assert panel.call("GET", f"/throttle/{MAIL}/inbound")["_data"] == {
        "period": 60, "msg_size": 0, "max_msgs": -1, "max_quota": -1,
    }  # fmt: skip
    assert panel.call("GET", "/throttle/gmail.com/inbound")["_data"] == {}


def test_records_of_a_directory(panel: Client, ldap: LdapRig, policies: PolicyRig) -> None:
    store = ldap.shared
    store.domains.create(DOMAIN, default_account_quota="1G", max_accounts=9)
    store.accounts.create(MAIL, password_hash=READY, name="J\xf8rn", quota="10M", forwarding=["x@example.org"])
    user = panel.call("GET", f"/user/{MAIL}")["_data"]
    assert (user["mail"], user["cn"], user["mailQuota"]) == ([MAIL], ["J\xf8rn"], [str(10 << 20)])
    assert "userPassword" not in user
    assert (user["stored_bytes"], user["last_login"], user["mailing_lists"]) == (0, "", [])
    domain = panel.call("GET", f"/domain/{DOMAIN}")["_data"]
    assert domain["accountSetting"]["numberOfUsers"] == 9
    assert domain["num_existing_users"] == 1
    text = panel.call("GET", f"/ldif/user/{MAIL}")["_data"]
    assert text.startswith("dn: mail=user@google.com,")
    assert "userPassword:" in text
    assert panel.call("PUT", f"/spampolicy/user/{MAIL}", spam_score="4", quarantine_spam="yes")["_success"]
    assert panel.call("PUT", f"/spampolicy/user/{MAIL}", quarantine_virus="no")["_success"]
    policy = panel.call("GET", f"/spampolicy/user/{MAIL}")["_data"]
    assert (policy["spam_score"], policy["quarantine_spam"], policy["quarantine_virus"]) == (4.0, "yes", "no")
    assert policy["bypass_spam_checks"] is None
    lists = f"/wblist/inbound/blacklist/{DOMAIN}"
    assert panel.call("POST", lists, addresses="a@example.org,@.example.net")["_success"]
    assert panel.call("PUT", lists, addresses="a@example.org")["_success"]
    assert panel.call("GET", lists)["_data"] == ["@.example.net"]
    assert panel.call("POST", "/wblist/outbound/whitelist/global", addresses="rubbish")["_success"] is False
    assert panel.call("DELETE", lists)["_success"]
    assert panel.call("GET", lists)["_data"] == []
    assert panel.call("PUT", f"/alias/none@{DOMAIN}", accessPolicy="domain")["_msg"] == "NO_SUCH_ACCOUNT"


def test_hashes_are_for_global_admins(panel: Client, ldap: LdapRig, policies: PolicyRig) -> None:
    ldap.shared.domains.create(DOMAIN)
    ldap.shared.accounts.create(MAIL, password_hash=READY)
    ldap.shared.admins.create(ADMIN, password_hash=READY, domains=[DOMAIN])
    assert panel.login(ADMIN, PASSWORD)["_success"]
    assert panel.call("GET", f"/user/{MAIL}")["_success"]
    assert panel.call("GET", f"/ldif/user/{MAIL}") == {"_success": False, "_msg": "PERMISSION_DENIED"}
    assert panel.call("PUT", "/spampolicy/global", spam_score=3) == {"_success": False, "_msg": "PERMISSION_DENIED"}
