"""Fixtures of the AfterLogic tests: its rigs, emptied, and an installation's data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.stores import empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig
    from tests.stores import StoreRig

KINDS = ("sqlite", "mysql", "postgresql", "connector")

SALT_FILE = b"<?php #" + b"0123456789abcdef" * 4
SETTINGS = """\
<?xml version="1.0" encoding="utf-8"?>
<Settings>
  <Common>
    <SiteName>Mail &amp; more</SiteName>
    <AdminLogin>mailadm</AdminLogin>
    <AdminPassword>$2y$07$e9b56404de40cb62be0eeOjZlft3BOShhFo.ikD37QUTGxjNWzWwi</AdminPassword>
    <DefaultLanguage>German</DefaultLanguage>
    <DefaultTimeFormat>F24</DefaultTimeFormat>
  </Common>
  <WebMail>
    <IncomingMailServer>imap.example.net</IncomingMailServer>
    <IncomingMailPort>993</IncomingMailPort>
    <IncomingMailUseSSL>On</IncomingMailUseSSL>
    <OutgoingMailServer>smtp.example.net</OutgoingMailServer>
    <OutgoingMailPort>587</OutgoingMailPort>
    <OutgoingMailAuth>AuthCurrentUser</OutgoingMailAuth>
    <OutgoingMailLogin>relay</OutgoingMailLogin>
    <OutgoingMailPassword>secret</OutgoingMailPassword>
    <MailsPerPage>50</MailsPerPage>
    <DefaultSkin>DeepForest</DefaultSkin>
    <AllowNewUsersRegister>Off</AllowNewUsersRegister>
    <SaveMail>DefaultOff</SaveMail>
  </WebMail>
  <Calendar><AllowCalendar>On</AllowCalendar></Calendar>
</Settings>
"""
"""Its administrator has the password 12345."""


@pytest.fixture(scope="session", params=KINDS)
def shared_rig(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Rig:
    """A database with AfterLogic's schema on each engine, and with the connector."""
    return cast("Rig", rigs(f"afterlogic-{request.param}"))


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    """The database and the homes of one kind, emptied."""
    shared_rig.clear()
    empty_homes(shared_rig)
    return shared_rig


@pytest.fixture
def store(rig: Rig) -> Iterator[AfterLogicStore]:
    """A store of each kind, with homes on disk; afterwards nothing may be wrong in it, and no connection lost."""
    yield rig.shared
    assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []
    assert rig.busy_connections() == 0


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """The data folder of an installation."""
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "settings.xml").write_text(SETTINGS)
    (tmp_path / "salt.php").write_bytes(SALT_FILE)
    return tmp_path


def only(*kinds: str) -> pytest.MarkDecorator:
    """Run a test on these kinds of rig."""
    return pytest.mark.parametrize("shared_rig", kinds, indirect=True)
