"""Mail-in-a-Box's mail API on a box's file: the panel's own curl lines, answers to the byte, sentences, and who may ask."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import subprocess
import time
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

import pytest

from mailstore.passwords import hash_password
from mailstore.sql.mailinabox.second_factors import one_time_code
from mailstore_http.mailinabox.calls import CALLS
from tests.http.inprocess import patience, running
from tests.http.rig import Client, Reply, serving, toml
from tests.mailinabox.rig import HOSTNAME, BoxRig
from tests.servers.process import make_directory, program
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore import Store
    from tests.http.inprocess import Caller
    from tests.http.rig import Service
    from tests.stores import StoreRig

ROUNDS = int(os.environ.get("MAILSTORE_FUZZ", "600"))
"""So many odd requests are sent to an API."""
ME, PASSWORD, BOB = "me@mydomain.com", "yourpassword", "bob@example.com"
__all__ = ["patience"]
SECRET = "JBSWY3DPEHPK3PXP"
READY = hash_password(PASSWORD, "SHA512-CRYPT")
DIALECT = '[http.dialects.box]\napi = "mailinabox"\n'
CURL = """\
curl -X GET https://{{hostname}}/admin/mail/users?format=json
curl -X POST -d "email=new_user@mydomail.com" -d "password=s3curE_pa5Sw0rD" https://{{hostname}}/admin/mail/users/add
curl -X POST -d "email=new_user@mydomail.com" -d "privilege=admin" https://{{hostname}}/admin/mail/users/privileges/add
curl -X POST -d "email=new_user@mydomail.com" https://{{hostname}}/admin/mail/users/privileges/remove
curl -X POST -d "email=new_user@mydomail.com" https://{{hostname}}/admin/mail/users/remove
"""
"""The command lines that the panel shows, in an order in which they can be run."""


@pytest.fixture(scope="module")
def box(rigs: Callable[[str], StoreRig]) -> BoxRig:
    return cast("BoxRig", rigs("mailinabox"))


def config(box: BoxRig, directory: Path, *options: str) -> str:
    kept = {"homes": [str(box.root)], "home_owner": f"{box.owner[0]}:{box.owner[1]}", "primary_hostname": HOSTNAME}
    lines = [f'url = "{box.url}"', *(f"{name} = {json.dumps(value)}" for name, value in kept.items())]
    dialect = "\n".join([DIALECT.rstrip("\n"), *options, ""])
    return toml("\n".join(lines), directory / "state", dialect, 'trusted_proxies = ["127.0.0.1"]')


@pytest.fixture(scope="module")
def service(box: BoxRig, scratch_root: Path) -> Iterator[Service]:
    directory = make_directory(scratch_root / "http-box")
    with serving(directory, config(box, directory)) as found:
        yield found
    assert [line for line in found.lines if PASSWORD in line or "internal error" in line] == []


@pytest.fixture
def store(box: BoxRig) -> Store:
    box.clear()
    empty_homes(box)
    box.shared.accounts.create(ME, password_hash=READY)
    box.shared.admins.promote(ME, global_admin=True)
    return box.shared


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"}


@pytest.fixture
def panel(service: Service, store: Store) -> Client:
    client = service.client("/admin")
    client.headers = basic(ME, PASSWORD)
    return client


def post(client: Client | Caller, path: str, **form: str) -> Reply:
    return client.send("POST", path, urlencode(form).encode())


def said(client: Client, path: str, **form: str) -> tuple[int, str]:
    reply = post(client, path, **form)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    return reply.status, reply.body.decode()


def test_the_command_lines_of_the_panel(service: Service, store: Store) -> None:
    answers = []
    for line in CURL.splitlines():
        url = line.replace("https://{{hostname}}", f"http://127.0.0.1:{service.port}")
        command = url.replace("curl", f"{program('curl')} -sS --user {ME}:{PASSWORD}", 1)
        answers.append(subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout)
    assert json.loads(answers[0])[0]["users"][0]["email"] == ME
    assert answers[1:] == ["mail user added\n", "OK", "OK", "mail user removed\n"]


def test_answers_to_the_byte(panel: Client, store: Store) -> None:
    assert said(panel, "/mail/users/add", email=BOB, password="long enough", quota="10g") == (200, "mail user added\n")
    reply = panel.send("GET", "/mail/users?format=json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.body.endswith(b"\n]\n")
    assert reply.body == json.dumps(reply.json, indent=2, sort_keys=True).encode() + b"\n"
    users = {user["email"]: user for group in reply.json for user in group["users"]}
    assert users[BOB].items() >= {"quota": "10G", "privileges": [], "status": "active"}.items()
    assert users[ME].items() >= {"quota": "0", "privileges": ["admin"]}.items()
    assert panel.send("GET", "/mail/users").body == f"{BOB}\n{ME}\n".encode()
    assert panel.send("GET", f"/mail/users/quota?email={BOB}").json == {"email": BOB, "quota": "10G"}
    assert panel.send("GET", "/mail/users/quota", f"email={BOB}&text=1".encode()).body == b"10G"
    assert said(panel, "/mail/users/quota", email=BOB, quota="0") == (200, "OK")
    assert panel.send("GET", f"/mail/users/quota?email={BOB}&text=1").body == b"0"
    assert said(panel, "/mail/users/password", email=BOB, password="another one") == (200, "OK")
    assert store.accounts.verify_password(BOB, "another one")
    assert said(panel, "/mail/users/privileges/add", email=BOB, privileges="admin") == (200, "OK")
    assert panel.send("GET", f"/mail/users/privileges?email={BOB}").body == b"admin"
    assert said(panel, "/mail/users/privileges/remove", email=BOB, privilege="admin") == (200, "OK")
    assert said(panel, "/mail/users/remove", email=BOB) == (200, "mail user removed\n")
    group = next(
        group for group in panel.send("GET", "/mail/users?format=json").json if group["domain"] == "example.com"
    )
    assert [(user["status"], "quota" in user, "mailbox" in user) for user in group["users"]] == [
        ("inactive", False, True)
    ]


def test_aliases_and_domains(panel: Client, store: Store) -> None:
    add = {"address": "Info@Example.com", "forwards_to": f"{ME},x@example.org"}
    assert said(panel, "/mail/aliases/add", **add, permitted_senders=ME) == (200, "alias added\n")
    assert said(panel, "/mail/aliases/add", **add) == (400, "Alias already exists (info@example.com).")
    assert said(panel, "/mail/aliases/add", **add, update_if_exists="1") == (200, "alias updated\n")
    lines = panel.send("GET", "/mail/aliases").body.decode().splitlines()
    assert f"info@example.com\t{ME},x@example.org\t" in lines
    to_administrator = f"\tadministrator@{HOSTNAME}\t"
    assert [line for line in lines if line.startswith("abuse@")] == [
        f"abuse@{domain}{to_administrator}" for domain in ("example.com", "mydomain.com")
    ]
    groups = {group["domain"]: group["aliases"] for group in panel.send("GET", "/mail/aliases?format=json").json}
    made, *automatic = groups["example.com"]
    assert made == {
        "address": "info@example.com", "address_display": "info@example.com", "auto": False, "required": False,
        "forwards_to": [ME, "x@example.org"], "permitted_senders": None,
    }  # fmt: skip
    assert [(alias["address"], alias["auto"], alias["forwards_to"]) for alias in automatic] == [
        (f"{name}@example.com", True, [f"administrator@{HOSTNAME}"]) for name in ("abuse", "admin", "postmaster")
    ]
    assert panel.send("GET", "/mail/domains").body == b"example.com\nmydomain.com\n"
    for form, sentence in (
        ({"address": ""}, "No email address provided."),
        ({"address": "x@example.com"}, "The alias must either forward to an address or have a permitted sender."),
        ({"address": "x", "forwards_to": ME}, "Invalid email address (x)."),
        ({"address": "x@example.com", "forwards_to": "y"}, "Invalid receiver email address (y)."),
        ({"address": "x@example.com", "forwards_to": ME, "permitted_senders": "n@example.com"},
         "Invalid permitted sender: n@example.com is not a user on this system."),
    ):  # fmt: skip
        assert said(panel, "/mail/aliases/add", **form) == (400, sentence)
    assert said(panel, "/mail/aliases/remove", address="info@example.com") == (200, "alias removed\n")
    assert said(panel, "/mail/aliases/remove", address="postmaster@mydomain.com") == (
        400,
        "That's not an alias (postmaster@mydomain.com).",
    )


LONG = "User account email addresses may only use the lowercase ASCII letters a-z"


@pytest.mark.parametrize(
    ("path", "form", "sentence"),
    [
        ("add", {}, "No email address provided."),
        ("add", {"email": "nobody"}, "Invalid email address."),
        ("add", {"email": "Bob@example.com", "password": "x"}, LONG),
        ("add", {"email": "postmaster@example.com"}, "You may not make a user account for that address"),
        ("add", {"email": BOB, "password": " "}, "No password provided."),
        ("add", {"email": BOB, "password": "short"}, "Passwords must be at least eight characters."),
        ("add", {"email": BOB, "password": "x" * 8, "privileges": "root"}, "That's not a valid privilege (root)."),
        ("add", {"email": ME, "password": "x" * 8, "quota": "1.5G"}, "Quotas cannot contain spaces"),
        ("add", {"email": BOB, "password": "x" * 8, "quota": "10K"}, "Invalid quota."),
        ("add", {"email": ME, "password": "x" * 8}, "User already exists."),
        ("add", {"email": "bob@example.test", "password": "x" * 8}, "Invalid email address."),
        ("remove", {"email": BOB}, f"That's not a user ({BOB})."),
        ("password", {"email": BOB, "password": "short"}, "Passwords must be at least eight characters."),
        ("password", {"email": BOB, "password": "x" * 8}, f"That's not a user ({BOB})."),
        ("privileges/add", {"email": ME}, "That's not a valid privilege ()."),
        ("privileges/remove", {"email": BOB}, f"That's not a user ({BOB})."),
        ("quota", {"email": BOB}, "No quota provided."),
        ("quota", {"email": BOB, "quota": "1G"}, f"That's not a user ({BOB})."),
    ],
)
def test_sentences(panel: Client, box: BoxRig, path: str, form: dict[str, str], sentence: str) -> None:
    before = box.everything()
    status, body = said(panel, f"/mail/users/{path}", **form)
    assert (status, body[: len(sentence)]) == (400, sentence)
    assert box.everything() == before


class TestWhoAsks:
    @pytest.fixture
    def anyone(self, service: Service, store: Store) -> Client:
        store.accounts.create(BOB, password_hash=READY)
        client = service.client("/admin")
        client.headers["X-Forwarded-For"] = "203.0.113.9"
        return client

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({}, "Authorization header invalid."),
            ({"Authorization": "Bearer x"}, "Authorization header invalid."),
            ({"Authorization": "Basic !!"}, "Authorization header invalid."),
            (basic(ME, ""), "Enter a password."),
            (basic(ME, "wrong"), "Incorrect email address or password."),
            (basic("x@x.org", PASSWORD), "Incorrect email address or password."),
            (basic(BOB, PASSWORD), "You are not an administrator."),
        ],
    )
    def test_nobody_else(self, patient: Caller, box: BoxRig, headers: dict[str, str], reason: str) -> None:
        before, anyone = box.everything(), patient
        for method, path in ((method, path) for path, handlers in CALLS.items() for method in handlers):
            reply = anyone.send(method, path, f"email={BOB}&password=12345678".encode(), headers)
            assert (reply.status, reply.body) == (401, f"{reason}\n".encode())
            assert reply.headers["www-authenticate"] == 'Basic realm="Mail-in-a-Box Management Server"'
            assert reply.headers["x-reason"] == reason
        assert box.everything() == before
        asked = {**headers, "X-Requested-With": "XMLHttpRequest", "Accept": "application/json"}
        reply = anyone.send("GET", "/mail/users", None, asked)
        assert (reply.status, reply.json) == (403, {"status": "error", "reason": reason})
        assert "www-authenticate" not in reply.headers

    @pytest.fixture
    def patient(
        self,
        box: BoxRig,
        store: Store,
        workdir: Path,
        patience: None,  # noqa: ARG002 what it changes counts
    ) -> Iterator[Caller]:
        """A client that is not slowed down, of a service of its own."""
        store.accounts.create(BOB, password_hash=READY)
        with running(workdir, config(box, workdir)) as inside:
            yield inside.caller("/admin")

    def test_sessions(self, panel: Client, store: Store) -> None:
        answer = post(panel, "/login").json
        assert answer.keys() == {"api_key", "email", "privileges", "status"}
        assert (answer["status"], answer["email"], answer["privileges"]) == ("ok", ME, ["admin"])
        panel.headers = basic(ME, answer["api_key"])
        assert panel.send("GET", "/mail/domains").status == 200
        assert panel.send("GET", "/mail/domains", None, basic(BOB, answer["api_key"])).status == 401
        store.accounts.update(ME, password="something else")
        assert panel.send("GET", "/mail/domains").status == 401
        panel.headers = basic(ME, "something else")
        panel.headers = basic(ME, post(panel, "/login").json["api_key"])
        assert post(panel, "/logout").json == {"status": "ok"}
        assert panel.send("GET", "/mail/domains").status == 401
        assert post(panel, "/login").json == {"reason": "Incorrect email address or password.", "status": "invalid"}

    def test_a_second_factor_is_asked_for(self, patient: Caller, box: BoxRig) -> None:
        [user] = box.rows("users", email=ME)
        box.insert("mfa", user_id=user["id"], type="totp", secret=SECRET)
        panel = patient
        panel.headers = basic(ME, PASSWORD)

        def asked(code: str) -> tuple[int, str]:
            reply = panel.send("GET", "/mail/users", None, {"X-Auth-Token": code} if code else {})
            return reply.status, reply.headers.get("x-reason", "")

        good = one_time_code(SECRET, time.time())
        assert asked("") == (401, "missing-totp-token")
        assert post(panel, "/login").json == {"reason": "missing-totp-token", "status": "missing-totp-token"}
        assert asked("abcdef") == (401, "invalid-totp-token")
        assert asked(good) == (200, "")
        assert asked(good) == (401, "invalid-totp-token")  # a code is good once
        assert box.rows("mfa")[0]["mru_token"] == good
        panel.headers["X-Auth-Token"] = one_time_code(SECRET, time.time() + 30)
        key = post(panel, "/login").json["api_key"]
        panel.headers = basic(ME, key)
        assert panel.send("GET", "/mail/users").status == 200
        box.execute("UPDATE mfa SET secret = 'AAAAAAAAAAAAAAAA'")  # a session is not good beyond a change of the factor
        assert panel.send("GET", "/mail/users").status == 401

    @pytest.mark.usefixtures("store")
    def test_guessing_codes_gets_slow(self, box: BoxRig, workdir: Path) -> None:
        [user] = box.rows("users", email=ME)
        box.insert("mfa", user_id=user["id"], type="totp", secret=SECRET)
        wrong = next(code for code in ("000000", "111111", "222222", "333333")
                     if code not in {one_time_code(SECRET, time.time() + step) for step in range(-60, 120, 30)})  # fmt: skip
        with running(workdir, config(box, workdir)) as inside:
            panel = inside.caller("/admin")
            panel.headers = {**basic(ME, PASSWORD), "X-Auth-Token": wrong}
            reasons = [panel.send("GET", "/mail/users").headers["x-reason"] for _ in range(12)]
        assert reasons[0] == "invalid-totp-token"
        assert reasons[-1] == "Incorrect email address or password."

    @pytest.mark.usefixtures("store")
    def test_the_key_of_the_box(self, box: BoxRig, workdir: Path) -> None:
        key = workdir / "api.key"
        key.write_text("k3y/+of=the-box\n")
        with running(workdir, config(box, workdir, f'api_key_file = "{key}"')) as inside:
            caller = inside.caller("/admin")
            for name, status in (("k3y/+of=the-box", 200), ("k3y", 401), ("", 401)):
                caller.headers = basic(name, "")
                assert caller.send("GET", "/mail/users").status == status
            caller.headers = basic("k3y/+of=the-box", "any")
            assert caller.send("POST", "/mail/users/add", f"email={BOB}&password=12345678".encode()).status == 200
            key.unlink()
            assert caller.send("GET", "/mail/users").status == 401
        assert "k3y" not in inside.log

    def test_the_boxs_own_filter_finds_failures(self, service: Service, anyone: Client) -> None:
        anyone.headers["X-Forwarded-For"] = "198.51.100.4"
        anyone.send("GET", "/mail/users", None, basic("guess@x.org", "wrong"))
        line = "Mail-in-a-Box Management Daemon: Failed login attempt from ip 198.51.100.4 - timestamp "
        assert [told for told in service.lines if told.startswith(line) and float(told.removeprefix(line))]


def test_each_call_leaves_the_rows_of_the_librarys_own(panel: Client, store: Store, box: BoxRig) -> None:
    def rows() -> dict[str, list[str]]:
        own = re.compile(r"""(['"])(?:id\1: \d+|password\1: \1[^'"]*\1)|\d{4}-\d\d-\d\d \d\d:[^'"]*""")
        return {name: [own.sub("", str(row)) for row in found] for name, found in box.everything().items()}

    me = store.acting_as(ME)
    me.accounts.create(BOB, password="long enough", quota="5G")
    me.admins.promote(BOB, global_admin=True)
    me.accounts.update(BOB, quota="6G")
    me.aliases.create("info@example.com", members=[BOB, "x@example.org"], permitted_senders=[BOB])
    me.accounts.create("eve@other.example", password="long enough")
    me.accounts.delete("eve@other.example")
    expected = rows()
    box.clear()
    empty_homes(box)
    store.accounts.create(ME, password_hash=READY)
    store.admins.promote(ME, global_admin=True)
    for path, form in (
        ("users/add", {"email": BOB, "password": "long enough", "quota": "5G"}),
        ("users/privileges/add", {"email": BOB, "privilege": "admin"}),
        ("users/quota", {"email": BOB, "quota": "6G"}),
        (
            "aliases/add",
            {"address": "info@example.com", "forwards_to": f"{BOB},x@example.org", "permitted_senders": BOB},
        ),
        ("users/add", {"email": "eve@other.example", "password": "long enough"}),
        ("users/remove", {"email": "eve@other.example"}),
    ):
        assert said(panel, f"/mail/{path}", **form)[0] == 200, path
    assert rows() == expected


def test_odd_requests_are_never_our_fault(box: BoxRig, store: Store, workdir: Path) -> None:
    store.accounts.create(BOB, password_hash=READY)
    chance = random.Random(7)  # noqa: S311 to be the same in each run
    paths = [*CALLS, "/login", "/mail/x", ""]
    values = ["", "a@b", "@", "@example.com", BOB, "x" * 300, "\u202e@x.org", "1e9", "0G", "9" * 40, "\x00", "a,b\nc", "%",
              "admin", "json", "new@example.com", "5G", "info@example.com", "\U0001f40c", "٣"]  # fmt: skip
    names = ["email", "password", "quota", "privilege", "privileges", "address", "forwards_to", "permitted_senders",
             "format", "text", "update_if_exists"]  # fmt: skip
    with running(workdir, config(box, workdir)) as inside:
        panel = inside.caller("/admin")
        panel.headers = basic(ME, json.loads(post_login(panel))["api_key"])
        for number in range(ROUNDS):
            form = [(chance.choice(names), chance.choice(values)) for _ in range(chance.randint(0, 5))]
            body = chance.choice([urlencode(form).encode(), bytes(chance.randrange(256) for _ in range(30))])
            method = chance.choice(["GET", "POST", "POST", "PUT"])
            kind = chance.choice(["", "application/json", "multipart/form-data; boundary=x"])
            path = f"{chance.choice(paths)}?{urlencode(form)}"
            before = box.everything() if number % 10 == 0 else None
            reply = panel.send(method, path, body, {"Content-Type": kind} if kind else {})
            assert reply.status in {200, 400, 404, 405}, (method, path, body, reply)
            if before and reply.status != 200:
                assert box.everything() == before, (method, path, body)
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def post_login(panel: Caller) -> bytes:
    return panel.send("POST", "/login", None, basic(ME, PASSWORD)).body
