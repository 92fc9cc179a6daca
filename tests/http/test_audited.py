"""What is done through the APIs of products stands in the audit log: by whom, from where, and without secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from mailstore.passwords import hash_password
from tests.afterlogic.rig import PASSWORD
from tests.http import test_afterlogic, test_atmail
from tests.http.inprocess import running
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.afterlogic.rig import Rig
    from tests.atmail.rig import AtmailRig
    from tests.stores import StoreRig

BOB = "bob@one.example"


def entries(directory: Path) -> list[dict[str, Any]]:
    text = (directory / "audit.log").read_text()
    assert "s3cret" not in text
    return [json.loads(line) for line in text.splitlines()]


def test_of_afterlogic(rigs: Callable[[str], StoreRig], workdir: Path) -> None:
    rig = cast("Rig", rigs("afterlogic-mysql"))
    rig.clear()
    empty_homes(rig)
    rig.shared.tenants.create("one", password=PASSWORD, login_enabled=True)
    with running(workdir, test_afterlogic.config(rig, workdir)) as service:
        api = test_afterlogic.logged_in(service, "mailadm", PASSWORD)
        assert api.ok("POST", "/domain", domain="one.example", tenant="one")
        tenant = test_afterlogic.logged_in(service, "one", PASSWORD)
        assert tenant.ok("POST", "/account", email=BOB, password="s3cret", outgoingMailPassword="s3cret")
        assert tenant.failed("POST", "/domain", domain="one.example")[0] == 710
        assert tenant.ok("GET", "/account", email=BOB)
    found = [(each["caller"], each["operation"], each["subject"], each["result"]) for each in entries(workdir)]
    assert found == [
        ("mailadm", "domains.create", "one.example", "done"),
        ("one", "accounts.create", BOB, "done"),
        ("one", "domains.create", "one.example", "refused"),
    ]
    assert {each["client"] for each in entries(workdir)} == {"127.0.0.1"}


def test_of_atmail(rigs: Callable[[str], StoreRig], workdir: Path) -> None:
    rig = cast("AtmailRig", rigs("atmail"))
    rig.clear()
    empty_homes(rig)
    ready = hash_password(PASSWORD, "SSHA256")
    rig.shared.admins.create("admin", password_hash=ready, settings=rig.shared.admins.Settings(role="god"))
    with running(workdir, test_atmail.config(rig, workdir, 'provision = "creation"')) as service:
        panel = service.caller(test_atmail.PREFIX)
        panel.headers = test_atmail.basic("admin", PASSWORD)
        for path, form in (
            ("domain/create", {"domainName": "one.example"}),
            ("accounts/create", {"username": BOB, "password": "s3cret"}),
            ("accounts/create", {"username": BOB, "password": "s3cret"}),
            ("aliases/create", {"AliasName": "i@one.example", "AliasTo": BOB, "AliasType": "Local"}),
            ("users/create", {"username": "sub", "password": "s3cret", "domainIds": "1", "roleId": "2", "quota": "1"}),
            ("users/list", {}),
        ):
            panel.send("POST", f"/{path}", urlencode(form).encode())
    found = [(each["operation"], each["result"]) for each in entries(workdir)]
    assert found == [
        ("domains.create", "done"), ("accounts.create", "done"), ("provisioning.provision", "done"),
        ("accounts.create", "refused"), ("alias_rows.create", "done"), ("admins.create", "done"),
    ]  # fmt: skip
    assert {each["admin"] for each in entries(workdir)} == {"admin"}
    assert entries(workdir)[-1]["parameters"]["settings"] == {"role": 2}
