"""The database of records is looked at like any other: what cannot be rolled back there stops a deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from mailstore import SchemaMismatch
from mailstore.passwords import hash_password
from tests.ldap.rig import LdapRig
from tests.servers.mariadb import MariaDB
from tests.stores import StoreRig, empty_homes

BOB = "bob@example.com"


def test_records_without_rollback(rigs: Callable[[str], StoreRig], mariadb: MariaDB) -> None:
    rig = cast("LdapRig", rigs("ldap-starttls"))
    rig.clear()
    empty_homes(rig)
    rig.shared.domains.create("example.com")
    rig.shared.accounts.create(BOB, password_hash=hash_password("secret"))
    mariadb.execute("ALTER TABLE deleted_mailboxes ENGINE=MyISAM", "vmail_iredadmin")
    try:
        with rig.open() as opened:
            with pytest.raises(SchemaMismatch, match=r"deleted_mailboxes \(MyISAM\)"):
                opened.accounts.delete(BOB)
            assert opened.accounts.exists(BOB)
        with (
            rig.open_without_disk() as opened,
            pytest.raises(SchemaMismatch, match="deleted_mailboxes"),
            opened.rehearsal() as tried,
        ):
            tried.accounts.delete(BOB)
    finally:
        mariadb.execute("ALTER TABLE deleted_mailboxes ENGINE=InnoDB", "vmail_iredadmin")
