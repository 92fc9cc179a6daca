"""Every hash that is taken for slapd lets its owner in by a bind, and those that slapd cannot verify are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from mailstore.errors import InvalidPassword
from mailstore.passwords import READERS, read
from tests.stores import StoreRig, empty_homes
from tests.test_hashes import FORMS, PASSWORD, taken

if TYPE_CHECKING:
    from tests.ldap.rig import LdapRig

ANN = "ann@example.com"


def test_slapd_verifies_what_is_taken_for_it(rigs: Callable[[str], StoreRig]) -> None:
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    empty_homes(rig)
    forms = {stored for given in FORMS if (stored := taken(given)) is not None}
    schemes: set[str] = set()
    with rig.open(verify_by_bind=True) as store:
        store.domains.create("example.com")
        store.accounts.create(ANN, password="x")
        for given in sorted(forms):
            if READERS["slapd"].verifies(read(given)):
                store.accounts.update(ANN, password_hash=given)
                assert store.accounts.verify_password(ANN, PASSWORD), given
                schemes.add(read(given).scheme)
            else:
                with pytest.raises(InvalidPassword, match="slapd cannot verify"):
                    store.accounts.update(ANN, password_hash=given)
    assert schemes >= {"SSHA256", "SMD5", "SHA1", "PLAIN-MD5", "MD5-CRYPT", "BLF-CRYPT", "YESCRYPT", "DES-CRYPT"}
