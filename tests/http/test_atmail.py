"""atmail's API on a real store: life cycles, who may do what, and each call leaves the rows of the library's own call."""

from __future__ import annotations

import configparser
import os
import random
import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from sqlalchemy import text

from mailstore.errors import ConfigurationError
from mailstore.passwords import hash_password
from mailstore_http.settings import load
from tests.http.inprocess import patience, running
from tests.http.rig import toml
from tests.servers.process import make_directory
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig
    from tests.http.inprocess import Caller, InProcess
    from tests.http.rig import Reply
    from tests.stores import StoreRig

PASSWORD, HERE, ELSEWHERE, BOB = "changeme", "example.com", "other.example", "bob@example.com"
READY = hash_password(PASSWORD, "SSHA256")
__all__ = ["patience"]
pytestmark = pytest.mark.usefixtures("patience")

ROUNDS = int(os.environ.get("MAILSTORE_FUZZ", "600"))
"""So many odd requests are sent to an API."""
FILTER = Path(__file__).resolve().parents[2] / "daemon" / "fail2ban" / "filter.d" / "mailstore-http.conf"
PREFIX = "/admin/index.php/api"


def dialect(*options: str) -> str:
    return "\n".join(["[http.dialects.mail]", 'api = "atmail"', *options]) + "\n"


def config(rig: AtmailRig, directory: Path, *options: str) -> str:
    owner = f"{rig.owner[0]}:{rig.owner[1]}"
    lines = [
        f'url = "{rig.url}"',
        f'apiserver = "{rig.apiserver}"',
        f'homes = ["{rig.root}"]',
        f'home_owner = "{owner}"',
    ]
    return toml("\n".join(lines), directory / "state", dialect(*options), 'trusted_proxies = ["127.0.0.1"]')


@pytest.fixture(scope="module")
def rig(rigs: Callable[[str], StoreRig]) -> AtmailRig:
    return cast("AtmailRig", rigs("atmail"))


@pytest.fixture(scope="module")
def service(rig: AtmailRig, scratch_root: Path) -> Iterator[InProcess]:
    directory = make_directory(scratch_root / "http-atmail-inside")
    with running(directory, config(rig, directory)) as found:
        yield found
    assert PASSWORD not in found.log


@pytest.fixture
def store(rig: AtmailRig) -> AtmailStore:
    rig.clear()
    empty_homes(rig)
    rig.shared.admins.create("admin", password_hash=READY, settings=rig.shared.admins.Settings(role="god"))
    return rig.shared


def basic(name: str, secret: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"}


@pytest.fixture
def panel(service: InProcess, store: AtmailStore) -> Caller:
    caller = service.caller(PREFIX)
    caller.headers = basic("admin")
    return caller


def post(caller: Caller, path: str, **form: Any) -> Reply:
    reply = caller.send("POST", f"/{path}/", urlencode(form, doseq=True).encode())
    assert reply.headers["content-type"] == "text/xml", reply
    return reply


def said(caller: Caller, path: str, **form: Any) -> tuple[str, str]:
    """Return status and message of an answer."""
    reply = post(caller, path, **form)
    tree = ElementTree.fromstring(reply.body)  # noqa: S314 what was just made here
    return tree.findtext("*/status") or "", tree.findtext("*/response/message") or ""


def results(caller: Caller, path: str, **form: Any) -> ElementTree.Element:
    tree = ElementTree.fromstring(post(caller, path, **form).body)  # noqa: S314 likewise
    assert tree.findtext("*/status") == "success", ElementTree.tostring(tree)
    found = tree.find("*/response/results")
    assert found is not None
    return found


def fields(element: ElementTree.Element) -> dict[str, str]:
    return {child.tag: child.text or "" for child in element}


def test_a_life_of_domain_account_alias_and_admin(panel: Caller, store: AtmailStore, rig: AtmailRig) -> None:
    number = results(panel, "domain/create", domainName=HERE).text
    assert number == store.domains.get(HERE).settings["domainId"]
    made = results(panel, "accounts/create", username=BOB, password="s3cret", firstName="Bob", quota=20)
    row = fields(made[0])
    assert (row["username"], row["password"], row["quota"], row["userStatus"]) == (BOB, "CHANGEME", "20", "0")
    assert row["homeDir"] == rig.row("accounts", username=BOB)["homeDir"]
    assert row["dateCreate"] == f"{rig.row('accounts', username=BOB)['dateCreate']:%Y-%m-%d %H:%M:%S}"
    assert store.accounts.verify_password(BOB, "s3cret")
    seen = fields(results(panel, "accounts/view", accountId=row["accountId"]))
    assert (seen["UsedQuota"], seen["TotalMessages"], seen["firstName"]) == ("0", "0", "Bob")
    changed = results(
        panel, "accounts/update", accountId=row["accountId"], userStatus=1, quota=0, lastName="B", passowrd="n3w"
    )
    assert fields(changed) == {"accountId": row["accountId"], "username": BOB}
    found = store.accounts.get(BOB)
    assert (found.enabled, found.quota.unlimited, found.name) == (False, True, "Bob B")
    assert store.accounts.verify_password(BOB, "n3w")
    alias = fields(results(panel, "aliases/create", AliasName=f"i@{HERE}", AliasTo=BOB, AliasType="local")[0])["id"]
    listed = fields(results(panel, "alises/list", filter="I@EX")[0])
    assert listed.items() >= {"id": alias, "aliasType": "Local", "DomainPart": HERE, "AliasTo": BOB}.items()
    admin = results(panel, "users/create", username="sub", password="pw", quota=100, domainIds=number, roleId=2).text
    view = results(panel, "users/view", userId=admin)
    assert [domain.text for domain in view.findall("Domains/*")] == [HERE]
    assert fields(view).items() >= {"numUsers": "16777215", "quota": "100", "password": "CHANGEME"}.items()
    held = results(panel, "users/userpermissionrole", userId=admin)
    assert [role.text for role in held.findall("role/*")] == ["subadmin"]
    assert said(panel, "users/update", userId=admin, roleId=0, permissionIds=[1]) == ("success", "")
    assert store.admins.get("sub").global_admin
    assert said(panel, "users/delete", userId=admin) == ("success", "")
    assert said(panel, "aliases/delete", id=alias) == ("success", "Alias(s) removed")
    assert fields(results(panel, "accounts/delete", username=BOB))["accountId"] == row["accountId"]
    assert fields(results(panel, "domain/delete", domainId=number)) == {"DeletedAccount": "0"}
    assert (rig.rows("accounts"), rig.rows("domains"), rig.rows("aliases"), len(rig.rows("users"))) == ([], [], [], 1)


class TestAccounts:
    @pytest.fixture(autouse=True)
    def domain(self, store: AtmailStore) -> None:
        store.domains.create(HERE)

    def test_an_empty_password_is_made_up_and_told_once(self, panel: Caller, store: AtmailStore) -> None:
        row = fields(results(panel, "accounts/create", username=BOB, password="")[0])
        assert store.accounts.verify_password(BOB, row["password"])
        assert fields(results(panel, "accounts/view", username=BOB))["password"] == "CHANGEME"
        assert said(panel, "accounts/create", username=f"eve@{HERE}")[0] == "failed"
        assert said(panel, "accounts/update", username=BOB, password="")[0] == "failed"

    def test_usage_is_what_lies_on_disk(self, panel: Caller, store: AtmailStore) -> None:
        home = store.accounts.create(BOB, password_hash=READY).home
        folder = make_directory(Path(home or "") / "Maildir" / "new")
        (folder / "1.x").write_bytes(b"x" * 8192)
        seen = fields(results(panel, "accounts/view", username=BOB))
        assert (seen["UsedQuota"], seen["TotalMessages"]) == ("0.0078125", "1")

    def test_lists_come_in_pages(self, panel: Caller, store: AtmailStore) -> None:
        store.domains.create(ELSEWHERE)
        for name in ("c@example.com", "a@example.com", "d@other.example", "b@example.com"):
            store.accounts.create(name, password_hash=READY)

        def names(**form: Any) -> list[str]:
            return [fields(item)["username"][0] for item in results(panel, "accounts/list", **form)]

        assert names() == ["a", "b", "c", "d"]
        assert names(start=0, volume=3) == ["a", "b", "c"]
        assert names(start=1, volume=3) == ["d"]
        assert names(start=5, volume=3) == []
        assert names(volume=2, domainId=2) == ["d"]
        assert said(panel, "accounts/list", domainId=9) == ("failed", "Domain does not exist")

    def test_long_lists_are_sent_while_they_are_read(self, panel: Caller, store: AtmailStore) -> None:
        store.accounts.create_many(
            {"address": f"a{number:03}@example.com", "password_hash": READY} for number in range(450)
        )
        reply = post(panel, "accounts/list")
        assert "content-length" not in reply.headers
        found = ElementTree.fromstring(reply.body).find("*/response/results")  # noqa: S314 what was just made here
        assert found is not None
        assert [item.tag for item in found] == [f"key_{number}" for number in range(450)]
        assert (found[449].findtext("username"), reply.body[-7:]) == ("a449@example.com", b"</api>\n")

    def test_an_account_is_named_once(self, panel: Caller, store: AtmailStore, rig: AtmailRig) -> None:
        for name in (BOB, f"eve@{HERE}"):
            store.accounts.create(name, password_hash=READY)
        before = rig.everything()
        for form in ({"accountId": 1, "username": f"eve@{HERE}"}, {"accountId": "x"}, {}, {"accountId": "9" * 30}):
            for action in ("delete", "view", "update"):
                assert said(panel, f"accounts/{action}", **form)[0] == "failed"
        assert rig.everything() == before


class TestProvisioning:
    """When a new account becomes a user of the API server."""

    def test_with_its_creation(self, rig: AtmailRig, store: AtmailStore, workdir: Path) -> None:
        store.domains.create(HERE)
        store.accounts.create(BOB, password_hash=READY)
        old = store.provisioning.provision(BOB)
        store.accounts.delete(BOB)
        with running(workdir, config(rig, workdir, 'provision = "creation"')) as service:
            panel = service.caller(PREFIX)
            panel.headers = basic("admin")
            assert said(panel, "accounts/create", username=BOB, password="pw") == ("success", f"{BOB} added")
            assert said(panel, "accounts/create", username=BOB, password="pw")[0] == "failed"
        new = store.provisioning.get(BOB)
        assert new.services == old.services
        assert len(rig.api_rows("ServiceAccounts")) == 3
        numbers = {old.mail_account_id, old.calendar_account_id, old.contact_account_id}
        assert not numbers & {new.mail_account_id, new.calendar_account_id, new.contact_account_id}

    def test_wholly_or_not_at_all(self, rig: AtmailRig, store: AtmailStore, workdir: Path) -> None:
        store.domains.create(HERE)
        with running(workdir, config(rig, workdir, 'provision = "creation"')) as service:
            panel = service.caller(PREFIX)
            panel.headers = basic("admin")
            assert said(panel, "domain/check", domainName=HERE)[0] == "success"  # its store is open now
            before = rig.everything()
            with rig.api_engine.begin() as connection:
                connection.execute(text("RENAME TABLE ServiceAccounts TO away"))
            try:
                reply = post(panel, "accounts/create", username=BOB, password="pw")
            finally:
                with rig.api_engine.begin() as connection:
                    connection.execute(text("RENAME TABLE away TO ServiceAccounts"))
        assert (reply.status, b"<status>failed</status>" in reply.body) == (500, True)
        assert (rig.everything(), rig.api_rows("Accounts"), rig.api_rows("Users")) == (before, [], [])
        assert list(rig.root.rglob("*@*")) == []

    def test_else_at_its_first_login_there(self, panel: Caller, store: AtmailStore, rig: AtmailRig) -> None:
        store.domains.create(HERE)
        assert said(panel, "accounts/create", username=BOB, password="pw")[0] == "success"
        assert rig.api_rows("Accounts") == []

    def test_it_takes_the_database(self, rig: AtmailRig, workdir: Path) -> None:
        file = workdir / "http.toml"
        file.write_text(toml(f'url = "{rig.url}"', workdir / "state", dialect('provision = "creation"')))
        with pytest.raises(ConfigurationError, match="apiserver"):
            load(file)


class TestHabitsOfClients:
    def test_parameters_stand_anywhere(self, panel: Caller, store: AtmailStore) -> None:
        for number, (method, path, body) in enumerate(
            (
                ("GET", "/domain/create/domainName/d0.example", b""),
                ("GET", "/domain/create?DOMAINNAME=d1.example", b""),
                ("PUT", "//domain/create//", b"domainName=d2.example"),
                ("POST", "/Domain/Create", b"domainName=x.example&domainName=d3.example"),
            )
        ):
            assert b"<status>success</status>" in panel.send(method, path, body).body
            assert store.domains.exists(f"d{number}.example")
        shapes = (b"domainIds=1,2", b"domainIds[]=1&domainIds[]=2", b"domainIds[0]=1&domainIds[1]=2",
                  b"domainIds=1&domainIds=2", b"domainids%5B%5D=1&domainIds=2")  # fmt: skip
        for number, shape in enumerate(shapes):
            form = b"username=u%d&password=p&quota=0&roleId=2&" % number + shape
            assert b"<status>success</status>" in panel.send("POST", "/users/create/", form).body
            assert store.admins.get(f"u{number}").domains == ("d0.example", "d1.example")

    @pytest.mark.usefixtures("store")
    def test_layouts(self, rig: AtmailRig, workdir: Path) -> None:
        with running(workdir, config(rig, workdir, "xml_one_line = true", "fault_status = true")) as service:
            panel = service.caller(PREFIX)
            panel.headers = basic("admin")
            reply = post(panel, "accounts/update", username=BOB)
        assert reply.status == 400
        assert reply.body.decode().splitlines()[1] == (
            '<api generator="zend" version="1.0"><accountUpdate><response><message>User does not exist</message></response>'
            "<status>failed</status></accountUpdate></api>"
        )

    def test_what_stands_in_xml_cannot_break_it(self, panel: Caller, store: AtmailStore, rig: AtmailRig) -> None:
        store.domains.create(HERE)
        odd = "<&>\"'\x01\ufffe\r\n]]> ü"
        store.accounts.create(BOB, password_hash=READY)
        rig.execute("UPDATE accounts SET firstName = :odd", odd=odd)
        seen = fields(results(panel, "accounts/view", username=BOB))
        assert seen["firstName"] == odd.replace("\x01", "\ufffd").replace("\ufffe", "\ufffd")
        assert said(panel, "domain/check", domainName="<b>&") == ("failed", "<b>& does not exist")

    def test_what_is_unknown(self, panel: Caller) -> None:
        for method, path, status in (
            ("GET", "/nothing", 404), ("GET", "/users/nothing", 404), ("FOO", "/users/list", 405), ("GET", "/", 404),
        ):  # fmt: skip
            reply = panel.send(method, path)
            assert (reply.status, b"<status>failed</status>" in reply.body) == (status, True)

    def test_other_pages_cannot_use_remembered_credentials(self, panel: Caller, store: AtmailStore) -> None:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            reply = panel.send("GET", "/domain/create/domainName/evil.example", None, headers)
            assert reply.status == 403
        assert not store.domains.exists("evil.example")


# --- who may do what

CALLERS = ("admin", "sub", "stranger", "weak", "plain user", "nobody", "wrong password", "gone")
DENIED, ANYBODY = "Permission denied", "anybody"
CALLS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("users/authenticate", {}, ANYBODY),
    ("users/permissionlist", {}, ANYBODY),
    ("users/rolelist", {}, ANYBODY),
    ("users/list", {}, ANYBODY),
    ("accounts/create", {"username": f"new@{HERE}", "password": "pw"}, "Local domain does not exist"),
    ("accounts/update", {"username": f"new@{HERE}", "firstName": "N"}, "User does not exist"),
    ("accounts/view", {"username": f"new@{HERE}"}, "Account does not exist"),
    ("accounts/delete", {"username": f"new@{HERE}"}, "Single match for User id was not found."),
    (
        "aliases/create",
        {"AliasName": f"a@{HERE}", "AliasTo": BOB, "AliasType": "Local"},
        f"there is no domain {HERE} that",
    ),
    ("domain/check", {"domainName": HERE}, f"{HERE} does not exist"),
)
"""Calls with what an admin of another domain is told; an admin of the domain may make them."""
OF_GOD: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("domain/create", {"domainName": "new.example"}, DENIED),
    ("users/create", {"username": "n", "password": "p", "quota": 1, "domainIds": 1, "roleId": 2}, DENIED),
    ("users/update", {"userId": 2, "company": "C"}, DENIED),
    ("users/delete", {"userId": 4}, DENIED),
    ("domain/delete", {"domainName": HERE}, DENIED),
)
"""Calls that take who may do everything; an admin to whom something does not exist is told so instead."""


@pytest.fixture
def scene(store: AtmailStore) -> AtmailStore:
    settings = store.admins.Settings
    for name in (HERE, ELSEWHERE):
        store.domains.create(name)
    store.admins.create("sub", password_hash=READY, domains=[HERE])
    store.admins.create("stranger", password_hash=READY, domains=[ELSEWHERE])
    weak = settings(role=0, permissions=["account.view", "domain.view"])
    store.admins.create("weak", password_hash=READY, domains=[HERE], settings=weak)
    store.accounts.create(BOB, password_hash=READY)
    return store


def called_by(service: InProcess, who: str) -> Caller:
    caller = service.caller(PREFIX)
    caller.headers = {
        "nobody": {}, "wrong password": basic("admin", "wrong"), "plain user": basic(BOB), "gone": basic("gone"),
    }.get(who, basic(who))  # fmt: skip
    caller.headers["X-Forwarded-For"] = f"203.0.113.{random.randrange(1, 255)}"  # noqa: S311
    return caller


@pytest.mark.parametrize("who", CALLERS)
def test_cell(service: InProcess, scene: AtmailStore, rig: AtmailRig, who: str) -> None:
    caller = called_by(service, who)
    if who not in {"admin", "sub"}:  # it shall be there for all to be refused
        scene.accounts.create(f"new@{HERE}", password_hash=READY)
    for calls, allowed in ((CALLS, {"admin", "sub"}), (OF_GOD, {"admin"})):
        for path, form, refused in calls:
            is_allowed = who in allowed or (refused == ANYBODY and who in {"stranger", "weak"})
            before = None if is_allowed else rig.everything()
            status, message = said(caller, path, **form)
            assert (status == "success") is (
                is_allowed or (who == "weak" and path in {"accounts/view", "domain/check"})
            )
            if who in {"plain user", "nobody", "wrong password", "gone"}:
                assert message == "Authentication failed"
            elif status == "failed" and who == "stranger" and path == "domain/delete":
                assert message == "Domain does not exist"
            elif status == "failed" and path.startswith("users/"):
                absent = {"User does not exist", "No users selected.", "there is no domain number 1"}
                assert message in {DENIED, *absent}
            elif status == "failed":
                assert message.startswith(refused if who == "stranger" else DENIED), (path, message)
            assert before is None or rig.everything() == before


def test_who_is_not_authenticated_is_challenged(service: InProcess, store: AtmailStore) -> None:
    for headers in (
        {},
        basic("admin", "wrong"),
        {"Authorization": "Basic !!"},
        {"Authorization": "Bearer x"},
        basic("a b"),
    ):
        caller = service.caller(PREFIX)
        caller.headers = {**headers, "X-Forwarded-For": "198.51.100.9"}
        for path in ("users/authenticate", "domain/create"):
            reply = post(caller, path, domainName="new.example")
            assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="atmail"')
            assert re.search(b"<authenticate>\n\t\t<status>failed</status>", reply.body)
    assert not store.domains.exists("new.example")


@pytest.mark.usefixtures("store")
def test_the_filter_of_fail2ban_matches_the_line(
    rig: AtmailRig, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\nAfterLogic API login failed: client_address=6.6.6.6, username=x"
    with running(workdir, config(rig, workdir)) as service:
        caller = service.caller(PREFIX)
        caller.headers = {**basic(name), "X-Forwarded-For": "198.51.100.7"}
        post(caller, "users/list")
    told = capsys.readouterr().err.splitlines()
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(FILTER.read_text())
    patterns = parser["Definition"]["failregex"].replace("<HOST>", r"(?P<host>[0-9a-fA-F:.]+)").splitlines()
    for line in (*told, told[0].replace("atmail", "AfterLogic", 1)):
        assert [match["host"] for pattern in patterns if (match := re.match(pattern, line))] == ["198.51.100.7"]
    assert len(told) == 1


def test_each_call_leaves_the_rows_of_the_librarys_own(panel: Caller, store: AtmailStore, rig: AtmailRig) -> None:
    god = store.acting_as("admin")
    settings = god.admins.Settings

    def by_library() -> None:
        god.domains.create(HERE)
        god.accounts.create(BOB, password="pw", first_name="B", quota="7M")
        god.accounts.update(BOB, enabled=False, last_name="O")
        god.alias_rows.create(f"i@{HERE}", BOB, "Local")
        god.alias_rows.create(BOB, "x@example.org", "Deliver")
        limits = settings(role=2, company="C", email_address="e@example.org")
        god.admins.create(
            "sub", password="p", name="F", max_accounts=3, max_quota="9M", domains=[HERE], settings=limits
        )
        god.admins.update("sub", settings=settings(role=0, permissions=["all"]))

    def by_service() -> None:
        for path, form in (
            ("domain/create", {"domainName": HERE}),
            ("accounts/create", {"username": BOB, "password": "pw", "firstName": "B", "quota": 7}),
            ("accounts/update", {"username": BOB, "userStatus": 1, "lastName": "O"}),
            ("aliases/create", {"AliasName": f"i@{HERE}", "AliasTo": BOB, "AliasType": "Local"}),
            ("aliases/create", {"AliasName": BOB, "AliasTo": "x@example.org", "AliasType": "Deliver"}),
            ("users/create", {"username": "sub", "password": "p", "fullname": "F", "numUsers": 3, "quota": 9, "domainIds": 1,
                              "roleId": 2, "company": "C", "emailAddress": "e@example.org"}),
            ("users/update", {"userId": 2, "roleId": 0, "permissionIds": 1}),
        ):  # fmt: skip
            assert said(panel, path, **form)[0] == "success", path

    def rows() -> Any:
        moments = re.compile(r"datetime\.datetime\([^)]*\)|\{SSHA256\}[^']*|/\d+/'")
        return {name: [moments.sub("", str(row)) for row in found] for name, found in rig.everything().items()}

    by_library()
    expected = rows()
    rig.clear()
    empty_homes(rig)
    store.admins.create("admin", password_hash=READY, settings=settings(role="god"))
    by_service()
    assert rows() == expected


def test_odd_requests_are_never_our_fault(panel: Caller, scene: AtmailStore, rig: AtmailRig) -> None:
    chance = random.Random(3)  # noqa: S311 to be the same in each run
    paths = [f"/{group}/{action}" for group in ("users", "accounts", "aliases", "domain", "x")
             for action in ("authenticate", "create", "update", "view", "delete", "list", "check", "rolelist")]  # fmt: skip
    names = ["username", "password", "userId", "accountId", "domainName", "domainId", "quota", "numUsers", "domainIds[]",
             "domainIds", "roleId", "permissionIds", "AliasName", "AliasTo", "AliasType", "id", "filter", "start", "volume",
             "userStatus", "firstName", "company", "emailAddress", "[", "a[]"]  # fmt: skip
    values = ["", "0", "1", "2", "-1", "9" * 30, "2147483647", "4294967296", "x", BOB, f"n@{HERE}", HERE, "Local", "Domain",
              "Deliver", "\x00", "\u202e", "ß@ü.de", "%", "'; --", "]]>", "<x/>", "1,2,,3", "\ud7ff", "\U0001f40c", "1e9",
              "x" * 3000, "@", "٣"]  # fmt: skip
    for number in range(ROUNDS):
        form = [(chance.choice(names), chance.choice(values)) for _ in range(chance.randint(0, 5))]
        body = chance.choice(
            [urlencode(form).encode(), bytes(chance.randrange(256) for _ in range(40)), b'{"username": 1}']
        )
        path = chance.choice(paths) + chance.choice(["", "/", "/username/bob@example.com", "/id", "/%FF/x", "?id=1&x"])
        kind = chance.choice(["", "application/xml", "application/json", "multipart/form-data; boundary=x"])
        method = chance.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
        before = rig.everything() if number % 10 == 0 else None
        reply = panel.send(method, path, body, {"Content-Type": kind} if kind else {})
        assert reply.status in {200, 400, 404, 405}, (method, path, body, reply)
        status = ElementTree.fromstring(reply.body).findtext("*/status")  # noqa: S314 it must be XML
        if before and status == "failed":
            assert rig.everything() == before, (method, path, body)
    assert [finding for finding in scene.check() if finding.severity == "error"] == []
