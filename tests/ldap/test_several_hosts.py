"""Several providers in a URL: one that answers is connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import ConfigurationError, StoreUnavailable, open_store
from tests.ldap.rig import LdapRig, store_url
from tests.servers.process import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable


def url_of(rig: LdapRig, *ports: int | str) -> str:
    own = f"127.0.0.1:{rig.server.port}"
    url = store_url(rig.server)
    assert own in url
    return url.replace(own, ",".join([*(f"127.0.0.1:{port}" for port in ports), own]))


@pytest.fixture
def ldap(rigs: Callable[[str], LdapRig]) -> LdapRig:
    rig = rigs("ldap")
    assert rig.shared
    return rig


def test_one_that_answers_is_connected_to(ldap: LdapRig) -> None:
    with open_store(url_of(ldap, *free_ports(2)), **ldap.options) as store:
        assert store.key == ldap.shared.key
        assert store.domains.count() == ldap.shared.domains.count()


def test_none_that_answers_is_temporary(ldap: LdapRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailstore.ldap.retry.PATIENCE_SECONDS", 0)
    one, other = free_ports(2)
    own = f"127.0.0.1:{ldap.server.port}"
    with pytest.raises(StoreUnavailable):
        open_store(url_of(ldap, one).replace(own, f"127.0.0.1:{other}"), **ldap.options)


def test_each_host_is_looked_at(ldap: LdapRig) -> None:
    with pytest.raises(ConfigurationError):
        open_store(url_of(ldap, "x"), **ldap.options)
