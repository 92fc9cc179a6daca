"""Client libraries of others, unchanged: the one of Mail-in-a-Box on PyPI, and requests as iRedAdmin-Pro's page uses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore.passwords import hash_password
from tests.http.rig import serving, toml
from tests.mailinabox.rig import HOSTNAME, BoxRig
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.rigs import Rig
    from tests.stores import StoreRig

requests = pytest.importorskip("requests", reason="install the extra dev")
mailinabox_api = pytest.importorskip("mailinabox_api", reason="install the extra dev")

mail_api = pytest.importorskip("mailinabox_api.api.mail_api")
PASSWORD, ME, BOB = "the password of root", "me@mydomain.com", "bob@example.com"


def test_mailinabox_api(rigs: Callable[[str], StoreRig], workdir: Path) -> None:
    box = cast("BoxRig", rigs("mailinabox"))
    box.clear()
    empty_homes(box)
    store = box.shared
    store.accounts.create(ME, password_hash=hash_password(PASSWORD, "SHA512-CRYPT"))
    store.admins.promote(ME, global_admin=True)
    url = f'url = "{box.url}"\nprimary_hostname = "{HOSTNAME}"'
    with serving(workdir, toml(url, workdir / "state", '[http.dialects.box]\napi = "mailinabox"\n')) as service:
        place = f"http://127.0.0.1:{service.port}/admin"
        access = mailinabox_api.Configuration(host=place, username=ME, password=PASSWORD)
        with mailinabox_api.ApiClient(access) as client:
            mail = mail_api.MailApi(client)
            assert mail.add_mail_user(BOB, "long enough", "") == "mail user added\n"
            assert mail.add_mail_user_privilege(BOB, "admin") == "OK"
            assert mail.get_mail_user_privileges(email=BOB) == "admin"
            assert mail.remove_mail_user_privilege(BOB, "admin") == "OK"
            assert mail.set_mail_user_password(BOB, "another one") == "OK"
            assert store.accounts.verify_password(BOB, "another one")
            assert mail.upsert_mail_alias(0, "info@example.com", BOB, "") == "alias added\n"
            assert mail.upsert_mail_alias(1, "info@example.com", ME, "") == "alias updated\n"
            groups = {group.domain: group.aliases for group in mail.get_mail_aliases(format="json")}
            assert (groups["example.com"][0].address, groups["example.com"][0].required) == ("info@example.com", False)
            assert mail.get_mail_domains().split() == ["example.com", "mydomain.com"]
            users = {user["email"]: user for group in mail.get_mail_users(format="json") for user in group["users"]}
            assert (users[BOB]["status"], users[ME]["privileges"]) == ("active", ["admin"])
            with pytest.raises(mailinabox_api.ApiException) as caught:
                mail.add_mail_user(BOB, "long enough", "")
            assert (caught.value.status, caught.value.body) == (400, "User already exists.")
            assert mail.remove_mail_alias("info@example.com") == "alias removed\n"
            assert mail.remove_mail_user(BOB) == "mail user removed\n"
    assert [account.address for account in store.accounts.list()] == [ME]


def test_requests_as_the_vendors_page_uses_it(rigs: Callable[[str], StoreRig], workdir: Path) -> None:
    """It logs in, hands the cookies on by itself, and still calls parameters by their names of 2016."""
    rig = cast("Rig", rigs("sqlite"))
    rig.clear()
    empty_homes(rig)
    root = "postmaster@a.example"
    rig.shared.admins.create(root, password_hash=hash_password(PASSWORD), global_admin=True)
    dialect = '[http.dialects.panel]\napi = "iredadmin"\n'
    with serving(workdir, toml(f'url = "{rig.url}"', workdir / "state", dialect)) as service:
        url = f"http://127.0.0.1:{service.port}/iredadmin/api"
        login = requests.post(f"{url}/login", data={"username": root, "password": PASSWORD}, timeout=30)
        assert login.json()["_success"]
        cookies = login.cookies

        def made(verb: str, path: str, **data: Any) -> Any:
            answer = requests.request(verb, f"{url}/{path}", cookies=cookies, data=data, timeout=30)
            return json.loads(answer.text)

        assert made("POST", "domain/example.com", cn="An example", preferredLanguage="en_US")["_success"]
        user = {"cn": "Bob", "password": "AsTr0ng@", "mailQuota": "1024", "preferredLanguage": "en_US"}
        assert made("POST", f"user/{BOB}", **user)["_success"]
        assert made("POST", f"user/{BOB}", **user) == {"_success": False, "_msg": "ALREADY_EXISTS"}
        assert (
            made("GET", f"user/{BOB}")["_data"].items() >= {"name": "Bob", "quota": 1024, "language": "en_US"}.items()
        )
        # A client joins lists by itself, deletes with a body, and keeps mail for ever by asking for no days.
        assert made("PUT", f"user/{BOB}", forwarding=f"x@example.org,{BOB}", givenName="B")["_success"]
        assert rig.shared.accounts.get(BOB).forwarding == ("x@example.org",)
        assert made("GET", "users/example.com?email_only=yes")["_data"] == [BOB]
        assert made("DELETE", f"user/{BOB}/keep_mailbox_days/0")["_success"]
        assert made("DELETE", "domain/example.com")["_success"]
    assert list(rig.shared.domains.list()) == []
