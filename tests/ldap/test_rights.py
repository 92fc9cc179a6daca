"""Servers that limit answers, accounts that lack rights, parts that are elsewhere, certificates that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest

from mailstore import ConfigurationError, StoreDenied, StoreError, open_store
from mailstore.ldap.iredmail.store import IRedMailDirectory
from tests.ldap.faults import HASH, make_rig, problems, state_of
from tests.ldap.rig import LdapRig, counting, store_url
from tests.servers.slapd import STOCK_LIMIT, Slapd

BOB = "bob@example.com"
Work = Callable[[IRedMailDirectory], object]
WRITES: dict[str, Work] = {
    "create": lambda store: store.accounts.create("new@example.com", password_hash=HASH, aliases=["n@other.com"]),
    "create-many": lambda store: store.accounts.create_many([{"address": "n@example.com", "password_hash": HASH}]),
    "update": lambda store: store.accounts.update(BOB, name="Bob"),
    "aliases": lambda store: store.accounts.add_aliases(BOB, ["b2@example.com"]),
    "update-all": lambda store: store.accounts.update_all("example.com", language="de_DE"),
    "rename": lambda store: store.accounts.rename(BOB, "robert@other.com"),
    "delete": lambda store: store.accounts.delete(BOB),
    "create-domain": lambda store: store.domains.create("new.com"),
    "update-domain": lambda store: store.domains.update("example.com", enabled=False),
    "add-alias-domain": lambda store: store.domains.add_alias_domains("example.com", ["second.com"]),
    "remove-alias-domain": lambda store: store.domains.remove_alias_domains("example.com", ["alias.com"]),
    "delete-domain": lambda store: store.domains.delete("example.com"),
    "create-alias": lambda store: store.aliases.create("a@example.com", members=[BOB]),
    "members": lambda store: store.aliases.add_members("all@example.com", ["x@ext.org"]),
    "create-list": lambda store: store.lists.create("l@example.com", members=[BOB]),
    "delete-list": lambda store: store.lists.delete("staff@example.com"),
    "promote": lambda store: store.admins.promote(BOB, domains=["other.com"]),
    "create-admin": lambda store: store.admins.create("root@ext.org", password="x"),
}


@pytest.fixture(scope="module")
def rig(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[LdapRig]:
    """A small tree; its tests change nothing in it."""
    with Slapd(scratch_root / "rights") as server:
        made = make_rig(server, scratch_root / "rights", vmail_owner)
        populate(made.shared)
        yield made
        made.close()


def populate(store: IRedMailDirectory) -> None:
    for domain in ("example.com", "other.com"):
        store.domains.create(domain)
    store.domains.add_alias_domains("example.com", ["alias.com"])
    for address in (BOB, "eve@example.com"):
        store.accounts.create(address, password_hash=HASH, home=f"/var/vmail/{address}")
    store.accounts.update(BOB, aliases=["b@other.com"], forwarding=["x@ext.org"])
    store.accounts.update("eve@example.com", forwarding=[BOB])
    store.aliases.create("all@example.com", members=[BOB])
    store.lists.create("staff@example.com", members=[BOB, "x@ext.org"], moderators=[BOB])


@contextmanager
def opened(
    rig: LdapRig, login: str = "vmailadmin", server: Slapd | None = None, **options: Any
) -> Iterator[IRedMailDirectory]:
    """Open the store as one of the accounts of the directory."""
    server = server or rig.server
    name, password = server.bind(login)
    url = f"iredmail+ldap://{quote(name)}:{quote(password)}@127.0.0.1:{server.port}/{quote(server.suffix)}"
    store = cast("IRedMailDirectory", open_store(url, **{**rig.options, **options}))
    try:
        yield store
    finally:
        store.close()


@pytest.mark.parametrize("operation", WRITES)
def test_an_account_that_may_only_read(rig: LdapRig, operation: str) -> None:
    before = state_of(rig)
    with opened(rig, "vmail") as store:
        assert store.accounts.get(BOB).forwarding == ("x@ext.org",)
        with (
            counting(store) as operations,
            pytest.raises(StoreDenied, match=r"cn=vmail,.* lacks the right to") as caught,
        ):
            WRITES[operation](store)
    assert not caught.value.temporary
    assert caught.value.state is None
    # Asked once: what is not allowed now will not be allowed in a moment.
    assert len([kind for kind in operations.kinds if kind != "search"]) == 1
    assert state_of(rig) == before


@pytest.fixture(scope="module")
def restricted(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Callable[[Sequence[str]], LdapRig]]:
    """Make a server on which the account of the panel may not write some attributes, as old access rules have it."""
    with Slapd(scratch_root / "restricted") as server:
        rig = make_rig(server, scratch_root / "restricted", vmail_owner)
        populate(rig.shared)
        original = server.config.read_text()

        def restrict(attributes: Sequence[str]) -> LdapRig:
            rule = (  # of itself slapd lets those who may add entries fill them with anything
                f'add_content_acl on\naccess to dn.subtree="o=domains,{server.suffix}" attrs={",".join(attributes)}\n'
                f'    by dn.exact="{server.bind("vmailadmin").dn}" read\n    by * break\n\n'
            )
            start = original.index("access to ")
            server.config.write_text(original[:start] + rule + original[start:])
            server.restart()
            return rig

        yield restrict
        rig.close()


@pytest.mark.parametrize(
    ("attribute", "operations"),
    [
        ("userPassword", {"create": None, "password": None}),
        ("shadowAddress", {"aliases": BOB, "rename": BOB, "add-alias-domain": None}),
        ("accountSetting", {"create": "example.com", "rename": "example.com", "add-alias-domain": "example.com"}),
        ("mailForwardingAddress", {"rename": "eve@example.com", "delete": "eve@example.com"}),
        ("listModerator", {"rename": "staff@example.com", "delete": "staff@example.com"}),
        ("domainAliasName", {"add-alias-domain": "example.com", "remove-alias-domain": "example.com"}),
        ("domainStatus", {"update-domain": None}),
        ("homeDirectory", {"create": "new@example.com"}),
        ("mail", {"rename": BOB}),
    ],
)
def test_a_right_that_is_missing_for_one_attribute(
    restricted: Callable[[Sequence[str]], LdapRig], attribute: str, operations: dict[str, str | None]
) -> None:
    """What was done before is taken back; the error says what right is missing."""
    rig = restricted([attribute])
    store = rig.shared
    before = state_of(rig)
    works: dict[str, Work] = {**WRITES, "password": lambda store: store.accounts.update(BOB, password="another")}
    for operation, subject in operations.items():
        with pytest.raises(StoreDenied, match="lacks the right to") as caught:
            works[operation](store)
        assert attribute in str(caught.value) or "to rename it" in str(caught.value)
        assert subject is None or subject in str(caught.value)
        assert caught.value.state is None, operation
        assert "SSHA" not in str(caught.value)
        assert state_of(rig) == before, operation
    assert problems(store) == []


def test_a_referral(rig: LdapRig) -> None:
    """A part of the tree is on another server: nothing is done by halves."""
    with rig.server.connect() as connection:
        dn = f"domainName=elsewhere.com,o=domains,{rig.server.suffix}"
        attributes = {"objectClass": ["referral", "extensibleObject"], "ref": ["ldap://other.example.org/"]}
        assert connection.add(dn, attributes=attributes), connection.result
        before = state_of(rig)
        with opened(rig) as store:
            refused: list[Work] = [
                lambda store: store.domains.get("elsewhere.com"),
                lambda store: store.accounts.create("bob@elsewhere.com", password_hash=HASH),
                lambda store: store.accounts.create("new@example.com", password_hash=HASH),
                lambda store: store.accounts.delete(BOB),
                lambda store: list(store.accounts.list()),
                lambda store: store.domains.delete("example.com"),
            ]
            for work in refused:
                with pytest.raises(StoreError, match="this server does not hold it"):
                    work(store)
            assert store.accounts.verify_password("eve@example.com", "secret")
        assert state_of(rig) == before
        controls = [("2.16.840.1.113730.3.4.2", True, None)]  # ManageDsaIT: the entry itself
        assert connection.delete(dn, controls=controls), connection.result


@pytest.fixture(scope="module")
def limited(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[LdapRig]:
    """A server like a stock one, with more accounts than it gives out."""
    with Slapd(scratch_root / "limited", size_limit=STOCK_LIMIT) as server:
        rig = make_rig(server, scratch_root / "limited", vmail_owner)
        rig.shared.domains.create("example.com", max_accounts=1000)
        rig.shared.close()
        server.load(_own_part(server) + _accounts(server, 600))
        yield rig
        rig.close()


class TestSizeLimit:
    @pytest.mark.parametrize(
        "work",
        [
            lambda store: list(store.accounts.list()),
            lambda store: next(store.accounts.list(domain="example.com")),
            lambda store: store.accounts.count(),
            lambda store: store.accounts.update_all("example.com", language="de_DE"),
            lambda store: store.accounts.create("new@example.com", password_hash=HASH),
            lambda store: store.domains.update("example.com", enabled=False),
            lambda store: store.domains.add_alias_domains("example.com", ["alias.com"]),
            lambda store: store.domains.delete("example.com"),
            lambda store: list(store.accounts.homes()),
            lambda store: list(store.check()),
        ],
        ids=[
            "list",
            "first",
            "count",
            "update-all",
            "create",
            "disable",
            "add-alias-domain",
            "delete",
            "homes",
            "check",
        ],
    )
    def test_a_part_is_never_taken_for_the_whole(self, limited: LdapRig, work: Work) -> None:
        before = limited.server.dump()
        with pytest.raises(StoreDenied, match="limits cut the answer; lift them") as caught:
            work(limited.shared)
        assert caught.value.state is None
        assert _lasting(limited.server.dump()) == _lasting(before)
        assert limited.shared.deleted.count() == 0

    def test_what_needs_one_entry_works(self, limited: LdapRig) -> None:
        store = limited.shared
        assert store.accounts.update("u7@example.com", name="Seven").name == "Seven"
        assert store.accounts.get("u8@example.com").enabled


def _own_part(server: Slapd) -> str:
    """Return what the test has made so far, as LDIF."""
    records = [f"{record}\n\n" for record in server.dump().split("\n\n") if "domainName=" in record.partition("\n")[0]]
    return "".join(records)


def _accounts(server: Slapd, count: int) -> str:
    base = f"ou=Users,domainName=example.com,o=domains,{server.suffix}"
    return "".join(
        f"dn: mail=u{number}@example.com,{base}\nobjectClass: inetOrgPerson\nobjectClass: mailUser\n"
        f"mail: u{number}@example.com\nuid: u{number}\ncn: u{number}\nsn: u{number}\naccountStatus: active\n"
        f"enabledService: mail\nhomeDirectory: /var/vmail/u{number}/\nuserPassword: {HASH}\n\n"
        for number in range(count)
    )


def _lasting(dump: str) -> list[str]:
    """Return what a dump says of the entries themselves."""
    changing = ("entryCSN:", "modifyTimestamp:", "modifiersName:", "contextCSN:")
    return sorted(line for line in dump.splitlines() if not line.startswith(changing))


class TestEncryption:
    @pytest.mark.parametrize("way", ["StartTLS", "ldaps"])
    def test_a_wrong_certificate_is_refused(self, rig: LdapRig, way: str) -> None:
        server = rig.server
        options: dict[str, Any] = {**rig.options, "tls_ca": str(server.wrong_ca)}
        url = store_url(server, server.ldaps_url if way == "ldaps" else server.url)
        options |= {"start_tls": True} if way == "StartTLS" else {}
        with pytest.raises(ConfigurationError, match="the server's certificate is not accepted") as caught:
            open_store(url, **options)
        assert server.bind("vmailadmin").password not in str(caught.value)
        right = open_store(url, **{**options, "tls_ca": str(server.ca)})
        assert right.accounts.exists(BOB)
        right.close()
