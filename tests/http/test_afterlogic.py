"""AfterLogic's API on a real store: where parameters stand, tokens, all numbers, tenants, rows like the library's own."""

from __future__ import annotations

import json
import os
import random
import re
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import pytest

from mailstore.errors import ConfigurationError
from mailstore.sql.afterlogic.tokens.token import Salt, make_token, read_token
from mailstore_http.settings import load
from tests.afterlogic.rig import PASSWORD
from tests.http.inprocess import patience, running
from tests.http.rig import toml
from tests.servers.process import make_directory
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig
    from tests.http.inprocess import Caller, InProcess
    from tests.stores import StoreRig

__all__ = ["patience"]
pytestmark = pytest.mark.usefixtures("patience")

ROUNDS = int(os.environ.get("MAILSTORE_FUZZ", "600"))
"""So many odd requests are sent to an API."""
HERE, BOB, OUTSIDE = "example.com", "bob@example.com", "eve@outside.example"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def config(rig: Rig, directory: Path, *options: str) -> str:
    dialect = "\n".join(["[http.dialects.webmail]", 'api = "afterlogic"', *options]) + "\n"
    owner = f"{rig.owner[0]}:{rig.owner[1]}"
    lines = [f'url = "{rig.url}"', f'homes = ["{rig.root}"]', f'home_owner = "{owner}"']
    return toml("\n".join(lines), directory / "state", dialect, 'trusted_proxies = ["127.0.0.1"]')


@pytest.fixture(scope="module", params=["sqlite"])
def rig(rigs: Callable[[str], StoreRig], request: pytest.FixtureRequest) -> Rig:
    return cast("Rig", rigs(f"afterlogic-{request.param}"))


@pytest.fixture(scope="module")
def service(rig: Rig, scratch_root: Path) -> Iterator[InProcess]:
    directory = make_directory(scratch_root / f"http-{rig.name}-inside")
    with running(directory, config(rig, directory)) as found:
        yield found
    assert PASSWORD not in found.log


@pytest.fixture
def store(rig: Rig) -> AfterLogicStore:
    rig.clear()
    empty_homes(rig)
    return rig.shared


class Api:
    """A client that sends its token with each call."""

    def __init__(self, caller: Caller, token: str) -> None:
        self.caller = caller
        self.token = token

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        reply = self.caller.send(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
        assert not reply.body.endswith(b"\n")
        assert b": " not in reply.body.replace(b": trying", b"")[:60]
        return reply.json

    def call(self, method: str, path: str, **form: Any) -> Any:
        return self.raw(method, path, urlencode({"token": self.token, **form}).encode(), **FORM)

    def ok(self, method: str, path: str, **form: Any) -> Any:
        found = self.call(method, path, **form)
        assert (found["method"], found["message"]) == (f"{method} {path}", "ok"), found
        return found["result"]

    def failed(self, method: str, path: str, **form: Any) -> tuple[int, str]:
        found = self.call(method, path, **form)
        assert list(found) == ["method", "message", "errorCode", "result"], found
        assert found["result"] in (False, [])
        return found["errorCode"], found["message"]


def logged_in(service: InProcess, login: str, password: str) -> Api:
    caller = service.caller("/rest.php")
    reply = caller.send("GET", "/token", urlencode({"login": login, "password": password}).encode())
    return Api(caller, reply.json["result"])


@pytest.fixture
def api(service: InProcess, store: AfterLogicStore) -> Api:
    return logged_in(service, "mailadm", PASSWORD)


def test_a_life_of_domain_and_accounts(api: Api, store: AfterLogicStore, rig: Rig) -> None:
    assert api.ok("POST", "/domain", domain=HERE)
    assert api.ok("PUT", "/domain/update", domain=HERE, allowContacts=0, useThreads="false", siteName="S", allowFiles=1)
    shown = api.ok("GET", "/domain", domain=HERE)
    assert (shown["allowContacts"], shown["useThreads"], shown["allowFiles"], shown["siteName"]) == (
        False,
        False,
        True,
        "S",
    )
    assert api.ok("GET", "/domain/list") == [{"Id": 1, "IsInternal": True, "Name": HERE}]
    # The domain decides the servers: what is sent for them has no effect, as in the product.
    assert api.ok(
        "POST", "/account", email=BOB, password=" s3cret ", friendlyName="Bob", incomingMailServer="x.example"
    )
    assert store.accounts.verify_password(BOB, "s3cret")
    servers = {"incomingMailServer": "imap.example", "incomingMailPort": 144, "incomingMailUseSSL": 0}
    assert api.ok("POST", "/account", email=OUTSIDE, password="p", outgoingMailAuth=1, **servers)
    shown = api.ok("GET", "/account", email=OUTSIDE)
    assert (shown["incomingMailServer"], shown["incomingMailPort"], shown["outgoingMailAuth"]) == (
        "imap.example",
        144,
        2,
    )
    assert api.ok("PUT", "/account/update", email=BOB, signature="<b>", signatureType="plain", signatureOptions=1,
                  incomingMailPort=1, friendlyName="J\u00f8rn/")  # fmt: skip
    shown = api.ok("GET", "/account", email=BOB)
    assert (shown["friendlyName"], shown["signature"], shown["signatureType"]) == ("J\u00f8rn/", "<b>", "plain")
    assert b'"J\xc3\xb8rn\\/"' in api.caller.send("GET", f"/account?token={api.token}&email={BOB}").body
    assert api.ok("PUT", "/account/update", email=OUTSIDE, incomingMailPort=145)
    assert store.accounts.get(OUTSIDE).settings["incoming_port"] == "145"
    for action, enabled in (("disable", False), ("enable", True)):  # as the document says, not as the product does
        assert api.ok("PUT", f"/account/{action}", email=BOB)
        assert store.accounts.get(BOB).enabled is enabled
    assert api.ok("POST", "/account", email="other@far.example", password="p", parent=BOB)
    assert [linked.address for linked in store.accounts.linked(BOB)] == ["other@far.example"]
    assert [entry["Email"] for entry in api.ok("GET", "/account/list", domain=HERE)] == [BOB]
    assert [entry["Email"] for entry in api.ok("GET", "/account/list", searchDesc="EVE")] == [OUTSIDE]
    assert api.ok("DELETE", "/account", email="other@far.example", parent=BOB)
    assert api.failed("DELETE", "/domain", domain=HERE)[0] == 710
    for email in (BOB, OUTSIDE):
        assert api.ok("DELETE", "/account", email=email)
    assert api.ok("DELETE", "/domain", domain=HERE)
    assert (rig.rows("awm_accounts"), rig.rows("a_users"), rig.rows("awm_domains")) == ([], [], [])


class TestNumbers:
    """Each number that the API answers with, and its text."""

    @pytest.mark.parametrize(
        ("method", "path", "form", "expected"),
        [
            ("GET", "/nothing", {}, (712, "unknown method")),
            ("GET", "/", {}, (712, "unknown method")),
            ("POST", "/account/exists", {}, (712, "unknown method")),
            ("GET", "/account/exists", {}, (713, "invalid input parameters")),
            ("POST", "/account", {"email": BOB}, (713, "invalid input parameters")),
            ("POST", "/account", {"email": BOB, "password": ""}, (713, "invalid input parameters")),
            ("GET", "/account/list", {"page": "x"}, (713, "invalid input parameters")),
            ("GET", "/account/exists", {"email": BOB}, (717, "cannot find account")),
            ("GET", "/account", {"email": BOB}, (717, "cannot find account")),
            ("PUT", "/account/update", {"email": BOB}, (717, "cannot find account")),
            ("DELETE", "/account", {"email": BOB}, (717, "cannot find account")),
            ("PUT", "/account/enable", {"email": BOB}, (717, "cannot find account")),
            ("PUT", "/account/password", {"email": BOB, "password": "x"}, (717, "cannot find account")),
            ("POST", "/account", {"email": BOB, "password": "x", "parent": "a@x.org"}, (717, "cannot find account")),
            ("GET", "/domain", {"domain": HERE}, (717, "domain does not exist")),
            ("GET", "/domain/exists", {"domain": HERE}, (710, "domain does not exist")),
            ("PUT", "/domain/update", {"domain": HERE}, (718, "cannot find domain")),
            ("DELETE", "/domain", {"domain": HERE}, (718, "cannot find domain")),
            ("GET", "/account/list", {}, (710, "cannot get account list")),
            ("GET", "/domain/list", {}, (710, "cannot get domain list")),
        ],
    )
    def test_of_calls(self, api: Api, rig: Rig, method: str, path: str, form: Any, expected: tuple[int, str]) -> None:
        before = rig.everything()
        assert api.failed(method, path, **form) == expected
        assert rig.everything() == before

    def test_an_empty_list_is_a_failure_with_a_list(self, api: Api) -> None:
        assert api.call("GET", "/account/list")["result"] == []

    def test_what_is_there_already(self, api: Api, store: AfterLogicStore) -> None:
        store.domains.create(HERE)
        store.accounts.create(BOB, password="p")
        code, text = api.failed("POST", "/domain", domain=HERE.upper())
        assert (code, HERE in text) == (710, True)
        code, text = api.failed("POST", "/account", email=BOB, password="x")
        assert (code, BOB in text) == (710, True)

    def test_of_tokens(self, api: Api) -> None:
        good, salt = api.token, service_salt(api)
        for token, expected in (
            ("", (715, "invalid token")), ("x", (715, "invalid token")), (good[:-9], (715, "invalid token")),
            (make_token(salt, "mailadm", PASSWORD, now=int(time.time()) - 3601), (716, "token expired")),
            (make_token(salt, "", PASSWORD), (715, "invalid token")),
            (make_token(Salt.from_file(b"other"), "mailadm", PASSWORD), (715, "invalid token")),
        ):  # fmt: skip
            api.token = token
            for method, path in (("GET", "/account/list"), ("POST", "/domain"), ("DELETE", "/account")):
                assert api.failed(method, path, domain=HERE) == expected
        assert read_token(salt, good).login == "mailadm"

    @pytest.mark.usefixtures("store")
    def test_of_logins(self, service: InProcess) -> None:
        caller = service.caller("/rest.php")
        caller.headers["X-Forwarded-For"] = "203.0.113.77"
        for form, code in (
            ({}, 713), ({"login": "mailadm"}, 713), ({"login": "mailadm", "password": "x"}, 714),
            ({"login": BOB, "password": "x"}, 714),
        ):  # fmt: skip
            found = caller.send("GET", "/token", urlencode(form).encode()).json
            assert (found["errorCode"], found["result"]) == (code, False)

    def test_switched_off(self, rig: Rig, workdir: Path) -> None:
        with running(workdir, config(rig, workdir, "rest_api = false")) as service:
            for path in ("/token?login=mailadm&password=x", "/nothing", "/account"):
                found = service.caller("/rest.php").send("GET", path).json
                assert (found["errorCode"], found["message"]) == (711, "rest api disabled")

    def test_not_for_every_client(self, rig: Rig, workdir: Path) -> None:
        with running(workdir, config(rig, workdir, 'clients = ["192.0.2.0/24"]')) as service:
            assert service.caller("/rest.php").send("GET", "/token").json["errorCode"] == 710

    def test_a_database_that_is_down(self, rig: Rig, workdir: Path) -> None:
        url = rig.url.partition("?")[2]
        away = f"afterlogic+postgresql://webmail:pw-of-it@127.0.0.1:1/webmail?{url}".replace("&mta=bundle", "")
        (workdir / "state").mkdir()
        with running(workdir, config(rig, workdir).replace(rig.url, away)) as service:
            reply = service.caller("/rest.php").send("GET", "/token?login=a&password=b")
        assert (reply.status, reply.json["errorCode"]) == (200, 710)
        assert "127.0.0.1" not in reply.json["message"]

    def test_the_data_folder_is_needed(self, rig: Rig, workdir: Path) -> None:
        file = workdir / "http.toml"
        file.write_text(re.sub(r"webmail_data=[^&\"]*&?", "", config(rig, workdir)))
        with pytest.raises(ConfigurationError, match="webmail_data"):
            load(file)


def service_salt(api: Api) -> Salt:
    """Return the salt of the rigs' installation."""
    from tests.afterlogic import rig

    return Salt.from_file(rig._SALT_FILE)


class TestWhereParametersStand:
    def test_a_body_hides_the_query(self, api: Api, store: AfterLogicStore) -> None:
        found = api.raw("POST", f"/domain?token={api.token}", b"domain=evil.example", **FORM)
        assert found["errorCode"] == 715
        found = api.raw("POST", f"/domain?token=x&domain=evil.example&{urlencode({'token': api.token})}")
        assert found["result"] is True
        found = api.raw("POST", f"/domain?token={api.token}", json.dumps({"domain": HERE}).encode())
        assert found["errorCode"] == 715
        assert [domain.domain for domain in store.domains.list()] == ["evil.example"]

    def test_in_the_query_with_a_type_of_json_and_no_body(self, api: Api, store: AfterLogicStore) -> None:
        """As jQuery sends the document's sample."""
        store.domains.create(HERE)
        query = urlencode({"token": api.token, "domain": HERE})
        headers = {"Content_Type": "application/json", "Accept": "application/json, text/javascript, */*; q=0.01"}
        assert api.raw("GET", f"/domain/exists?{query}", **headers)["result"] is True

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_in_a_body_of_any_verb_whatever_its_type(self, api: Api, store: AfterLogicStore, method: str) -> None:
        store.domains.create(HERE)
        path = {"GET": "/domain/exists/", "DELETE": "//domain"}[method]
        body = urlencode({"token": api.token, "domain": HERE}).encode()
        assert api.raw(method, path, body, Content_Type="text/plain")["result"] is True

    def test_as_php_reads_them(self, api: Api, store: AfterLogicStore) -> None:
        store.domains.create(HERE)
        body = f"domain[]=x&domain=y&domain= {HERE} &\n token={api.token[:9]}\n{api.token[9:]}&unknown=1".encode()
        assert api.raw("GET", "/domain/exists", body)["result"] is True
        assert api.raw("GET", "/domain/exists", b"domain=%FF&token=x")["errorCode"] == 713


# --- tenants


@pytest.fixture(scope="module")
def aurora(rigs: Callable[[str], StoreRig]) -> Rig:
    return cast("Rig", rigs("afterlogic-mysql"))


@pytest.fixture
def tenants(aurora: Rig, workdir: Path) -> Iterator[InProcess]:
    """An installation of Aurora with two tenants, one and two, each with a domain and an account."""
    aurora.clear()
    empty_homes(aurora)
    store = aurora.shared
    for name in ("one", "two"):
        store.tenants.create(name, password=PASSWORD, login_enabled=True)
        store.domains.create(f"{name}.example", settings=store.domains.Settings(tenant=name))
        store.accounts.create(f"bob@{name}.example", password="p")
    store.accounts.create(OUTSIDE, password="p", settings=store.accounts.Settings(default_domain=True))
    with running(workdir, config(aurora, workdir)) as service:
        yield service


OF_TENANT = (
    ("GET", "/domain", {"domain": "one.example"}),
    ("GET", "/domain/exists", {"domain": "one.example"}),
    ("PUT", "/domain/update", {"domain": "one.example", "siteName": "x"}),
    ("POST", "/account", {"email": "new@one.example", "password": "p"}),
    ("GET", "/account", {"email": "new@one.example"}),
    ("GET", "/account/exists", {"email": "new@one.example"}),
    ("GET", "/account/list", {"domain": "one.example"}),
    ("PUT", "/account/update", {"email": "new@one.example", "friendlyName": "N"}),
    ("PUT", "/account/disable", {"email": "new@one.example"}),
    ("PUT", "/account/enable", {"email": "new@one.example"}),
    ("PUT", "/account/password", {"email": "new@one.example", "password": "q"}),
    ("POST", "/account", {"email": "linked@far.example", "password": "p", "parent": "new@one.example"}),
    ("DELETE", "/account", {"email": "linked@far.example", "parent": "new@one.example"}),
    ("DELETE", "/account", {"email": "new@one.example"}),
    ("DELETE", "/account", {"email": "bob@one.example"}),
    ("DELETE", "/domain", {"domain": "one.example"}),
)
"""What may be done by the administrator, and by the tenant except for accounts outside of domains."""
CALLERS = ("mailadm", "one", "two", "disabled", "wrong password", "nobody", "user", "expired")


@pytest.mark.parametrize("who", CALLERS)
def test_cell(tenants: InProcess, aurora: Rig, who: str) -> None:
    login = {"disabled": "one", "user": "bob@one.example", "wrong password": "one"}.get(who, who)
    api = logged_in(tenants, login, "wrong" if who == "wrong password" else PASSWORD)
    store = aurora.shared
    if who == "disabled":
        store.tenants.update("one", enabled=False)
    if who == "expired":
        api.token = make_token(service_salt(api), "one", PASSWORD, 1, now=int(time.time()) - 4000)
    if who not in {"mailadm", "one"}:  # it shall be there for all to be refused
        store.accounts.create("new@one.example", password="p")
        store.accounts.create(
            "linked@far.example", password="p", settings=store.accounts.Settings(parent="new@one.example")
        )
    everything = aurora.everything()
    for method, path, form in OF_TENANT:
        allowed = who == "mailadm" or (who == "one" and "linked@far.example" not in form.values())
        before = aurora.everything() if who == "one" and not allowed else everything
        found = api.call(method, path, **form)
        if allowed:
            assert found["message"] == "ok", (method, path, found)
            continue
        expected = {"expired": {716}, "one": {717, 718}, "two": {710, 717, 718}}.get(who, {715})
        assert found["errorCode"] in expected, (method, path, found)
        assert who != "one" or aurora.everything() == before
    assert who in {"mailadm", "one"} or aurora.everything() == everything


def test_a_tenant_sees_and_makes_its_own_only(tenants: InProcess, aurora: Rig) -> None:
    api = logged_in(tenants, "one", PASSWORD)
    assert [entry["Name"] for entry in api.ok("GET", "/domain/list")] == ["one.example"]
    assert [entry["Name"] for entry in api.ok("GET", "/domain/list", tenant="one")] == ["one.example"]
    assert api.failed("GET", "/domain/list", tenant="two") == (719, "cannot find tenant")
    assert api.failed("GET", "/domain/list", tenant="three") == (719, "cannot find tenant")
    assert api.failed("GET", "/account/list") == (710, "cannot get account list")  # those outside of all domains
    assert api.failed("GET", "/account/exists", email=OUTSIDE) == (717, "cannot find account")
    assert api.failed("POST", "/account", email="x@nowhere.example", password="p") == (718, "cannot find domain")
    assert api.failed("POST", "/domain", domain="new.example", tenant="two") == (719, "cannot find tenant")
    assert api.failed("POST", "/domain", domain="two.example")[0] == 710
    assert api.ok("POST", "/domain", domain="new.example")
    number = aurora.row("awm_tenants", login="one")["id_tenant"]
    assert aurora.row("awm_domains", name="new.example")["id_tenant"] == number


def test_each_call_leaves_the_rows_of_the_librarys_own(api: Api, store: AfterLogicStore, rig: Rig) -> None:
    account, domain = store.accounts.Settings, store.domains.Settings

    def rows() -> Any:
        moments = re.compile(r"datetime\.datetime\([^)]*\)")
        found = {name: [moments.sub("", str(row)) for row in content] for name, content in rig.everything().items()}
        return {name: [re.sub(r"^\(\d+", "(", row) for row in content] for name, content in found.items()}

    store.domains.create(HERE)
    store.domains.update(HERE, settings=domain(site_name="S", allow_contacts=False, default_language="German"))
    store.accounts.create(BOB, password="p", name="B")
    servers = account(default_domain=True, incoming_login="l", incoming_port=9, incoming_ssl=True, outgoing_auth=2)
    store.accounts.create(OUTSIDE, password="p", settings=servers)
    store.accounts.update(BOB, enabled=False, password="q", settings=account(signature="s", signature_use=2))
    expected = rows()
    rig.clear()
    empty_homes(rig)
    api.ok("POST", "/domain", domain=HERE)
    api.ok("PUT", "/domain/update", domain=HERE, siteName="S", allowContacts=0, defaultLanguage="German")
    api.ok("POST", "/account", email=BOB, password="p", friendlyName="B")
    api.ok("POST", "/account", email=OUTSIDE, password="p", incomingMailLogin="l", incomingMailPort=9, incomingMailUseSSL=1,
           outgoingMailAuth=1)  # fmt: skip
    api.ok("PUT", "/account/disable", email=BOB)
    api.ok("PUT", "/account/password", email=BOB, password="q")
    api.ok("PUT", "/account/update", email=BOB, signature="s", signatureOptions=2)
    assert rows() == expected


def test_odd_requests_are_never_our_fault(api: Api, store: AfterLogicStore, rig: Rig) -> None:
    store.domains.create(HERE)
    store.accounts.create(BOB, password="p")
    chance = random.Random(5)  # noqa: S311 to be the same in each run
    paths = ["/account", "/account/update", "/account/list", "/account/exists", "/account/password", "/account/enable",
             "/domain", "/domain/update", "/domain/list", "/domain/exists", "/token", "/x", ""]  # fmt: skip
    names = ["email", "password", "domain", "parent", "friendlyName", "incomingMailLogin", "incomingMailServer",
             "incomingMailPort", "outgoingMailAuth", "outgoingMailPassword", "signature", "signatureOptions", "page",
             "usersPerPage", "domainsPerPage", "orderBy", "orderType", "searchDesc", "tenant", "siteName", "defaultTab",
             "defaultSkin", "allowFiles", "login", "a[]", "."]  # fmt: skip
    values = ["", "0", "1", "-1", "9" * 30, "2147483647", "x", BOB, f"n@{HERE}", HERE, OUTSIDE, "\x00", "\u202e", "ß@ü.de",
              "%", "'; --", "\ud7ff", "\U0001f40c", "1e9", "x" * 3000, "@", "mailbox", "٣", "last login"]  # fmt: skip
    for number in range(ROUNDS):
        form = [(chance.choice(names), chance.choice(values)) for _ in range(chance.randint(0, 5))]
        pairs = [*form, ("token", api.token)] if chance.random() < 0.9 else form
        body = chance.choice(
            [urlencode(pairs).encode(), b"", bytes(chance.randrange(256) for _ in range(40)), b'{"a": 1}']
        )
        path = f"{chance.choice(paths)}?{urlencode(pairs)}"
        headers = chance.choice(
            [{}, FORM, {"Content-Type": "application/json"}, {"Content-Type": "multipart/form-data"}]
        )
        before = rig.everything() if number % 10 == 0 else None
        reply = api.caller.send(chance.choice(["GET", "POST", "PUT", "DELETE", "PATCH"]), path, body, headers)
        assert (reply.status, reply.json.get("message") == "internal error") == (200, False), (path, body, reply)
        if before and reply.json["message"] != "ok":
            assert rig.everything() == before, (path, body)
    assert [finding for finding in store.check() if finding.severity == "error"] == []
