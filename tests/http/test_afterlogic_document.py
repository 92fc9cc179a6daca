"""AfterLogic's document by curl: its own command lines, cut out of it, with the results that it shows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.afterlogic.rig import PASSWORD
from tests.http.rig import serving, toml
from tests.servers.process import make_directory, program
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig
    from tests.http.rig import Service
    from tests.stores import StoreRig

DOCUMENT = (Path(__file__).parent / "afterlogic_document.txt").read_text()
STEPS = (
    "POST /domain", "GET /domain/exists", "GET /domain", "PUT /domain/update", "GET /domain/list", "POST /account",
    "GET /account/exists", "PUT /account/update", "PUT /account/disable", "PUT /account/enable", "PUT /account/password",
    "GET /account", "GET /account/list", "DELETE /account", "DELETE /domain",
)  # fmt: skip
"""The methods in an order in which all can be called."""
EMAIL, DOMAIN = "user@outside.example", "inside.example"
"""The document's lists are of accounts outside of all domains."""


def sections() -> dict[str, str]:
    parts = re.split(r"\n\n", DOCUMENT.strip())
    return {part.splitlines()[0]: part for part in parts[1:]}


def lines_of(method: str) -> list[str]:
    """Return the command lines of a method; an address alone is what a browser would be given."""
    lines = sections()[method].partition("[sample]")[0].splitlines()[1:]
    return [line if line.startswith("curl") else f"curl '{line}'" for line in lines]


def sample_of(method: str) -> Any:
    """Return the result that the document shows, whose names are not always quoted."""
    text = sections()[method].partition("[sample]\n")[2] or "true"
    return json.loads(re.sub(r"^(\w+):", r'"\1":', re.sub(r'^"?result"?:', "", text), flags=re.MULTILINE))


def form(value: Any) -> Any:
    """Return names, in order, and types."""
    if isinstance(value, dict):
        return [(name, form(inner)) for name, inner in value.items()]
    return [form(inner) for inner in value[:1]] if isinstance(value, list) else type(value)


@pytest.fixture(scope="module")
def rig(rigs: Callable[[str], StoreRig]) -> Rig:
    return cast("Rig", rigs("afterlogic-sqlite"))


@pytest.fixture(scope="module")
def service(rig: Rig, scratch_root: Path) -> Iterator[Service]:
    directory = make_directory(scratch_root / "http-afterlogic")
    dialect = '[http.dialects.webmail]\napi = "afterlogic"\n'
    with serving(directory, toml(f'url = "{rig.url}"', directory / "state", dialect)) as running:
        yield running
    assert [line for line in running.lines if PASSWORD in line or "internal error" in line] == []


@pytest.fixture
def store(rig: Rig) -> AfterLogicStore:
    rig.clear()
    empty_homes(rig)
    return rig.shared


def answer(service: Service, line: str, **values: str) -> Any:
    """Run a command line, with the host and what stands for values replaced; return what JSON says."""
    line = line.replace("http://yourdomain/", f"http://127.0.0.1:{service.port}/")
    for name, value in values.items():
        line = line.replace(name, value.replace(" ", "%20"))
    command = [program("curl"), "-sS", *shlex.split(line)[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def token_of(service: Service) -> str:
    return str(answer(service, lines_of("GET /token")[1], yourLogin="mailadm", yourPassword=PASSWORD)["result"])


def test_a_token(service: Service, store: AfterLogicStore) -> None:
    for line in lines_of("GET /token"):
        found = answer(service, line, yourLogin="mailadm", yourPassword=PASSWORD)
        assert found == {"method": "GET /token", "result": found["result"], "message": "ok"}
        assert form(found["result"]) == form(sample_of("GET /token"))
        grant = store.rest.check(found["result"])
        assert (grant.login, grant.password, grant.tenant_id) == ("mailadm", PASSWORD, 0)
    wrong = answer(service, lines_of("GET /token")[1], yourLogin="mailadm", yourPassword="wrong")
    assert (wrong["errorCode"], wrong["message"], wrong["result"]) == (714, "incorrect login or password", False)


def test_each_line_is_answered_as_shown(service: Service, store: AfterLogicStore) -> None:
    values = {
        "yourToken": token_of(service), "yourLogin": EMAIL, "yourEmail": EMAIL, "accountEmail": EMAIL, "domainName": DOMAIN,
        "yourFriendlyName": "Name", "yourPassword": "secret", "accountPassword": "another",
    }  # fmt: skip
    for method in STEPS:
        for line in lines_of(method):
            found = answer(service, line, **values)
            assert list(found) == ["method", "result", "message"]
            assert (found["method"], found["message"]) == (method, "ok")
            if method != "GET /domain/list":  # sic: true in the document, which also calls it an array
                assert form(found["result"]) == form(sample_of(method)), (method, found)
        if method == "PUT /account/password":
            assert store.accounts.verify_password(EMAIL, "another")
            assert store.accounts.get(EMAIL).enabled
    assert (list(store.accounts.list()), list(store.domains.list())) == ([], [])


def test_the_line_that_is_broken_into_four(service: Service, store: AfterLogicStore) -> None:
    """What is between its quotes is sent with the ends of lines in it, in the middle of the token, too."""
    line = sections()["GET /account/exists (line broken)"].partition("\n")[2]
    store.accounts.create(EMAIL, password="p", settings=store.accounts.Settings(default_domain=True))
    token = token_of(service)
    broken = f"{token[:60]}\n{token[60:]}"
    mended = re.sub(r"token=[^\"]*", f"token={broken}", line).replace("user@domain.com", EMAIL)
    assert answer(service, mended) == {"method": "GET /account/exists", "result": True, "message": "ok"}
    assert answer(service, line)["errorCode"] == 715  # a token of another installation
