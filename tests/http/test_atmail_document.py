"""atmail's document by curl: its own command lines, cut out of it, against the service, with the answers that it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree

import pytest

from mailstore.passwords import hash_password
from tests.http.rig import serving, toml
from tests.servers.process import make_directory, program
from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstore.sql.atmail.store import AtmailStore
    from tests.atmail.rig import AtmailRig
    from tests.http.rig import Service
    from tests.stores import StoreRig

DOCUMENT = (Path(__file__).parent / "atmail_document.txt").read_text()
READY = hash_password("changeme", "SSHA256")
STEPS = [
    *((call, "failure") for call in ("B05", "B09", "B10", "B11", "B12", "B13", "B20")),
    *((call, "success") for call in ("B18", "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10")),
    *((call, "success") for call in ("B11", "B12", "B14", "B15", "B16", "B13")),
    ("B18", "failure"),
    ("B19", "failure"),
    ("B20", "success"),
]  # fmt: skip
"""The calls in an order in which all can be made, and all of the failures that the lines themselves can meet come about."""
KEY = re.compile(r"key_\d+")


def sections() -> dict[str, str]:
    return {part[:3]: part for part in re.split(r"\n(?=B\d\d\n)", DOCUMENT)}


def line_of(call: str) -> str:
    """Return the command line of a call, as it is printed."""
    return next(line for line in sections()[call].splitlines() if line.startswith("curl "))


def sample_of(call: str, kind: str) -> str:
    """Return an answer that the document shows."""
    found = re.search(rf"^\[{kind}\]\n(<\?xml.*?</api>\n)", sections()[call] + "\n", re.DOTALL | re.MULTILINE)
    assert found, (call, kind)
    return found[1]


def shape(element: ElementTree.Element) -> Any:
    """Return the names in an element, in order; of the items of a list, which are alike, each form once."""
    inner: list[Any] = []
    for child in element:
        form = shape(child)
        if form not in inner or not KEY.fullmatch(child.tag):
            inner.append(form)
    return KEY.sub("key", element.tag), inner


def said(xml: str) -> tuple[str, str]:
    """Return status and message, with N for numbers and a whole name for the one that the document cuts."""
    tree = ElementTree.fromstring(xml)  # noqa: S314 what was just made here
    message = tree.findtext("*/response/message") or ""
    return tree.findtext("*/status") or "", re.sub(
        r"\byourdomain is", "yourdomain.com is", re.sub(r"\d+\b", "N", message)
    )


def without_values(xml: str) -> str:
    return re.sub(r">[^<\n]+<", "><", xml)


@pytest.fixture(scope="module")
def rig(rigs: Callable[[str], StoreRig]) -> AtmailRig:
    return cast("AtmailRig", rigs("atmail"))


@pytest.fixture(scope="module")
def service(rig: AtmailRig, scratch_root: Path) -> Iterator[Service]:
    directory = make_directory(scratch_root / "http-atmail")
    owner = f"{rig.owner[0]}:{rig.owner[1]}"
    store = f'url = "{rig.url}"\nhomes = ["{rig.root}"]\nhome_owner = "{owner}"'
    with serving(directory, toml(store, directory / "state", '[http.dialects.mail]\napi = "atmail"\n')) as running:
        yield running
    assert [line for line in running.lines if "changeme" in line or "internal error" in line] == []


@pytest.fixture
def store(rig: AtmailRig) -> AtmailStore:
    rig.clear()
    empty_homes(rig)
    # In the samples the highest role has each permission by itself, too.
    rig.shared.roles.update("god", permissions=[found.name for found in rig.shared.permissions.list()])
    rig.shared.admins.create("admin", password_hash=READY, settings=rig.shared.admins.Settings(role="god"))
    return rig.shared


def run(service: Service, line: str) -> subprocess.CompletedProcess[str]:
    """Run a command line, with the host replaced."""
    here = line.replace("https://yourdomain.com/", f"http://127.0.0.1:{service.port}/")
    command = [program("curl"), "-sS", *shlex.split(here)[1:]]
    return subprocess.run(command, capture_output=True, text=True)


def answered(service: Service, line: str) -> str:
    done = run(service, line)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK"), done
    assert "Content-Type: text/xml" in head
    return body


def test_each_line_is_answered_as_shown(service: Service, store: AtmailStore) -> None:
    for call, kind in STEPS:
        sample, body = sample_of(call, kind), answered(service, line_of(call))
        assert said(body)[0] == said(sample)[0], (call, kind, body)
        if call != "B19":  # its line is broken, see below
            assert said(body)[1] == said(sample)[1], (call, kind)
        ours, theirs = (shape(ElementTree.fromstring(text)) for text in (body, sample))  # noqa: S314 likewise
        assert ours == theirs, (call, kind, body)
        if body.count("<") == sample.count("<"):  # as long a list
            assert without_values(KEY.sub("key", body)) == without_values(KEY.sub("key", sample)), (call, kind)


def test_wrong_credentials_and_the_other_failures(service: Service, store: AtmailStore) -> None:
    done = run(service, line_of("B01").replace("changeme", "wrong"))
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    assert "401" in head.splitlines()[0]
    assert 'www-authenticate: basic realm="atmail"' in head.lower()
    assert body == sample_of("B01", "failure")
    assert answered(service, line_of("B07").replace("userId=1", "userId=99")) == sample_of("B07", "failure")
    mended = line_of("B19").replace("-u --data", "--data")
    assert answered(service, mended) == sample_of("B19", "failure")
    store.domains.create("yourdomain.com")
    assert answered(service, mended) == sample_of("B19", "success")


def test_two_lines_do_not_do_what_their_headings_say(service: Service, store: AtmailStore) -> None:
    """One option is none, and curl sends nothing; another swallows the parameter, so that the call comes without it."""
    store.domains.create("yourdomain.com")
    store.alias_rows.create("test1@yourdomain.com", "test2@yourdomain.com")
    assert run(service, line_of("B17")).stdout == ""
    assert said(answered(service, line_of("B19"))) == ("failed", " does not exist")
    mended = line_of("B17").replace("--data=", "--data ").replace("aliases/list", "aliases/delete")
    assert answered(service, mended) == sample_of("B17", "success")
    assert list(store.alias_rows.list()) == []
