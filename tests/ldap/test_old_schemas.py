"""Directories whose schema was never updated: everything that it has a place for works, the rest is refused by name.

What the schemas of iRedMail's releases allowed stands here as facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from mailstore import open_store
from mailstore.errors import NotSupported
from mailstore.ldap.iredmail.store import create_schema
from mailstore.model import Edit
from tests.ldap.test_setup import PASSWORDS, Bare
from tests.servers.slapd import SUFFIX, Login

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.store import IRedMailDirectory

_SINCE_1_7_3 = {"mailUser": ("birthday", "recoveryEmail"), "mailAlias": ("accessPolicy", "listModerator")}
ABSENT: dict[str, dict[str, tuple[str, ...]]] = {
    "0.9.8": {
        "mailUser": (*_SINCE_1_7_3["mailUser"], "mailboxFormat", "mailboxFolder"),
        "mailAlias": _SINCE_1_7_3["mailAlias"],
        "mailList": ("listModerator", "listOwner"),
    },
    "1.0": {**_SINCE_1_7_3, "mailList": ("listModerator", "listOwner")},
    "1.4.0": _SINCE_1_7_3,
}
"""By release: what its object classes did not allow. ``listModerator`` itself was known all the time."""


class Old(Bare):
    """A slapd with the schema of an earlier release."""

    def __init__(self, directory: Path, release: str) -> None:
        super().__init__(directory)
        self._absent = ABSENT[release]

    def _configuration(self) -> str:
        file = self.directory / "iredmail.schema"
        file.write_text(_reduced(file.read_text(), self._absent))
        text = super()._configuration()
        gone = {"mailboxFormat", "mailboxFolder", "recoveryEmail"} & set(self._absent["mailUser"])
        for name in gone:  # slapd starts with no rule or index for what it does not know
            text = re.sub(rf",{name}\b|\b{name},", "", text)
        return text


def _reduced(schema: str, absent: dict[str, tuple[str, ...]]) -> str:
    for name, attributes in absent.items():
        start = re.search(rf"^objectclass \([^\n]*NAME '{name}'", schema, re.MULTILINE)
        assert start
        end = schema.find("\nobjectclass", start.end())
        body = schema[start.start() : end if end > 0 else None]
        smaller = body
        for attribute in attributes:
            smaller, changed = re.subn(rf"\b{attribute}\s*\$\s*", "", smaller)
            assert changed, (name, attribute)
        schema = schema.replace(body, smaller)
    for attribute in {"mailboxFormat", "mailboxFolder", "recoveryEmail"} & set(absent["mailUser"]):
        definition = rf"^attributetype \([^\n]*NAME '{attribute}'.*?(?=^\S|\Z)"
        schema, changed = re.subn(definition, "", schema, flags=re.MULTILINE | re.DOTALL)
        assert changed, attribute
    return schema


@pytest.fixture(params=sorted(ABSENT), scope="module")
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def store(scratch_root: Path, release: str) -> Iterator[IRedMailDirectory]:
    place = scratch_root / f"schema{release}"
    with Old(place, release) as server:
        create_schema(server.config_of(), None, passwords=PASSWORDS)
        url = server.config_of(Login(f"cn=vmailadmin,{SUFFIX}", "writing")).url
        with cast("IRedMailDirectory", open_store(url, retention=f"sqlite:///{place}/deleted.db")) as opened:
            opened.domains.create("example.com", catch_all=["ann@example.com"])
            yield opened


def test_accounts_are_kept_with_defaults(store: IRedMailDirectory, release: str) -> None:
    made = store.accounts.create("ann@example.com", password="x", mailbox_format="maildir", mailbox_folder="Maildir")
    assert (made.mailbox_format, made.mailbox_folder) == ("maildir", "Maildir")
    store.accounts.update("ann@example.com", mailbox_format="maildir", name="Ann", recovery_email="")
    store.accounts.create_many([{"address": "many@example.com", "password": "x", "mailbox_folder": "Maildir"}])
    with pytest.raises(NotSupported, match="recoveryEmail"):
        store.accounts.update("ann@example.com", recovery_email="ann@elsewhere.net")
    if release == "0.9.8":
        with pytest.raises(NotSupported, match="mailboxFormat"):
            store.accounts.create("bob@example.com", password="x", mailbox_format="mdbox")
        assert not store.accounts.exists("bob@example.com")
    renamed = store.accounts.rename("many@example.com", "few@example.com")
    record = store.accounts.delete("few@example.com")
    assert record is not None
    assert store.deleted.restore(record.id).home == renamed.home
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_lists_and_aliases_have_what_their_classes_allow(store: IRedMailDirectory, release: str) -> None:
    store.lists.create("team@example.com", members=["far@elsewhere.net"], access_policy="membersonly", moderators=[])
    store.aliases.create("all@example.com", members=["far@elsewhere.net"], access_policy="public", moderators=())
    for name, attribute in (("moderators", "listModerator"), ("owners", "listOwner")):
        if attribute in ABSENT[release].get("mailList", ()):
            with pytest.raises(NotSupported, match=attribute):
                store.lists.update("team@example.com", **{name: ["far@elsewhere.net"]})  # type: ignore[misc]
            store.lists.update("team@example.com", **{name: []})  # type: ignore[misc]
        else:
            store.lists.update("team@example.com", **{name: Edit(add=["far@elsewhere.net"])})  # type: ignore[misc]
    with pytest.raises(NotSupported, match="listModerator"):
        store.aliases.update("all@example.com", moderators=["far@elsewhere.net"])
    with pytest.raises(NotSupported, match="accessPolicy"):
        store.aliases.update("all@example.com", access_policy="membersonly")
    assert store.lists.get("team@example.com").members == ("far@elsewhere.net",)
