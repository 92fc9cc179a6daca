"""`mailstore lookups` for a directory: real Dovecot and Postfix read an iRedMail tree."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest

from mailstore.config import StoreConfig
from mailstore.driver.lookups import MAIN_CF, MASTER_CF, PASSWORD_PLACEHOLDER, LookupOptions
from mailstore.errors import ConfigurationError, NotSupported
from mailstore.ldap.iredmail import lookup_files
from mailstore.ldap.iredmail.lookups.dovecot import dovecot as dovecot_files
from mailstore.ldap.iredmail.lookups.postfix import postfix
from mailstore.ldap.iredmail.lookups.reader import LdapReader
from tests.ldap.lookup_rig import (
    BASE,
    INNER_SERVICES,
    LOGIN_SERVICES,
    ODD,
    PASSWORD,
    SERVICES,
    LdapMaps,
    Site,
    dovecot_for,
    entry_dn,
    lacking,
    site_in,
    stored_passwords,
    usual_hash,
)
from tests.readers import Answers
from tests.servers.dovecot import Dovecot
from tests.servers.process import ServerError
from tests.servers.slapd import SUFFIX

MESSAGE = b"From: a@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
BOB = "bob@example.com"


@pytest.fixture(scope="module")
def site(scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[Site]:
    with site_in(scratch_root / "ldaplookups", vmail_owner) as running:
        yield running


@pytest.fixture(scope="module")
def maps(site: Site) -> LdapMaps:
    return LdapMaps(site.directory / "postfix", site.reader())


def dovecot_of(site: Site, directory: Path, *, auth_bind: bool = True, **values: Any) -> Dovecot:
    """Return a Dovecot that reads the site, with other `values` of the reader."""
    return dovecot_for(directory, site.reader(**values), site.owner, auth_bind=auth_bind)


@pytest.fixture(scope="module", params=["bind", "lookup"])
def verifier(request: pytest.FixtureRequest) -> str:
    """Who verifies passwords: the directory, or Dovecot."""
    return str(request.param)


@pytest.fixture(scope="module")
def dovecot(site: Site, verifier: str) -> Iterator[Dovecot]:
    with dovecot_of(site, site.directory / verifier, auth_bind=verifier == "bind") as server:
        yield server


# --- Postfix ----------------------------------------------------------------------------------------------------------

DOMAINS = (
    *("example.com", "alias.example", "off.example", "ofoff.example", "offmx.example", "mx.example", "ofmx.example"),
    *("other.example", "unproved.example", "nomail.example", "nomailmx.example", "mx2.example", "unprovedmx.example"),
    "unknown.example",
)
LOCAL_PARTS = (
    *("bob", "robert", "kim", "eve", "cut", "nostatus", "moved", "sales", "oldsales", "team", "crew", "oldcrew"),
    *("empty", "list", "oldlist", "nobody", "no+body", "bob+x", "o'brien", ""),
)
UNDER_ALIAS = tuple(f"{name}@alias.example" for name in ("bob", "robert", "sales", "team", "list", "nobody", ""))
ELSEWHERE = (
    *("zoe@other.example", "@other.example", "mia@mx.example", "bob@nomail.example", "bob@unproved.example"),
    *("dan@off.example", "sales@off.example", "@off.example"),
)
IN_EXAMPLE = tuple(f"{name}@example.com" for name in LOCAL_PARTS)
KEYS = (*DOMAINS, *IN_EXAMPLE, *UNDER_ALIAS, *ELSEWHERE)

HAS_MAIL = {  # key and account; moved has no other address
    **{f"{name}@example.com": f"{name}@example.com" for name in ("bob", "kim", "eve", "moved")},
    **dict.fromkeys(("robert@example.com", "bob@alias.example", "robert@alias.example"), BOB),
    **{name: name for name in ("zoe@other.example", "mia@mx.example")},
}
BY_DOMAIN = {key: key.rpartition("@")[2] for key in KEYS if "@" in key}
RELAYED = ("example.com", "alias.example", "other.example", "unproved.example")
SINGLE: dict[str, dict[str, str]] = {
    "virtual_mailbox_domains": {
        "example.com": "example.com",
        "alias.example": "example.com",
        "other.example": "other.example",
    },
    "relay_domains": {"mx.example": "mx.example", "ofmx.example": "mx.example", "mx2.example": "mx2.example"},
    "transport_user": {"moved@example.com": "smtp:[other.example.net]", "list@example.com": "mlmmj:example.com/list"},
    "transport_domain": {
        **dict.fromkeys(("example.com", "alias.example", "other.example", "unproved.example"), "dovecot"),
        **dict.fromkeys(("mx.example", "ofmx.example", "mx2.example", "unprovedmx.example"), "relay:[mx.example.net]"),
    },
    "sender_login": HAS_MAIL,
    "virtual_member": HAS_MAIL,
    "virtual_holder": {
        **HAS_MAIL,
        **dict.fromkeys(("sales@example.com", "sales@alias.example"), "sales@example.com"),
        **dict.fromkeys(("team@example.com", "team@alias.example"), "team@example.com"),
        **dict.fromkeys(("list@example.com", "list@alias.example"), "list@example.com"),
        # Switched off, or nobody's: they get no mail, but are there.
        **{
            f"{name}@example.com": f"{name}@example.com"
            for name in ("cut", "nostatus", "oldsales", "crew", "oldcrew", "empty", "oldlist")
        },
        **{name: name for name in ("dan@off.example", "sales@off.example")},
    },
    # Where there is a catch-all; that of off.example is off with its domain.
    "virtual_holder+virtual_caught": {
        **{key: account for key, account in HAS_MAIL.items() if account.endswith("@example.com")},
        **dict.fromkeys(("sales@example.com", "sales@alias.example"), "sales@example.com"),
        **dict.fromkeys(("team@example.com", "team@alias.example"), "team@example.com"),
        **dict.fromkeys(("list@example.com", "list@alias.example"), "list@example.com"),
        **{
            f"{name}@example.com": f"{name}@example.com"
            for name in ("cut", "nostatus", "oldsales", "crew", "oldcrew", "empty", "oldlist")
        },
    },
    **{
        f"{direction}_bcc_user": dict.fromkeys((BOB, "robert@example.com"), f"{direction}-bob@log.example")
        for direction in ("sender", "recipient")
    },
    **{
        f"{direction}_bcc_domain": {
            key: f"{direction}-all@log.example"
            for key, domain in BY_DOMAIN.items()
            if domain in ("example.com", "alias.example")  # the others lack the service
        }
        for direction in ("sender", "recipient")
    },
    "relayhost_user": {BOB: "[bob.relay.example]:587"},
    "relayhost_domain": {key: "[all.relay.example]:587" for key, domain in BY_DOMAIN.items() if domain in RELAYED},
}


@pytest.mark.parametrize("name", SINGLE)
def test_postfix_map(maps: LdapMaps, name: str) -> None:
    assert maps.ask(name, KEYS) == {key: frozenset({value}) for key, value in SINGLE[name].items()}


def test_postfix_mailboxes(site: Site, maps: LdapMaps) -> None:
    expected: Answers = {}
    for key, account in HAS_MAIL.items():
        local, _, domain = account.partition("@")
        expected[key] = frozenset({f"{site.mail_root}/{domain}/{local}-Stamp//Maildir/"})
    assert maps.ask("virtual_mailbox", KEYS) == expected


FORWARDED: Answers = {
    "kim@example.com": frozenset({"kim@example.com", "kim@other.org"}),
    "eve@example.com": frozenset({"eve@other.org"}),
    **dict.fromkeys(("sales@example.com", "sales@alias.example"), frozenset({BOB, "ann@other.org"})),
}
TEAM = frozenset({BOB, "x@other.org", "y@other.org"})
GROUPS: Answers = {
    "team@example.com": TEAM | {"zoe@other.example", "crew@example.com", "sales@example.com"},
    # The others have not been told of the alias domain.
    "team@alias.example": TEAM,
    "crew@example.com": frozenset({"eve@example.com"}),
    "oldcrew@example.com": frozenset({"mia@mx.example"}),
    **dict.fromkeys(("robert@example.com", "bob@alias.example", "robert@alias.example"), frozenset({BOB})),
    **dict.fromkeys(("list@example.com", "list@alias.example"), frozenset({"list@example.com"})),
}
CATCH_ALL: Answers = dict.fromkeys(("@example.com", "@alias.example"), frozenset({"kim@example.com"}))


def test_postfix_aliases(maps: LdapMaps) -> None:
    assert maps.ask("virtual_alias", KEYS) == FORWARDED
    assert maps.ask("catchall", KEYS) == {**CATCH_ALL, **{key: FORWARDED[key] for key in FORWARDED if key in HAS_MAIL}}


def test_postfix_groups(maps: LdapMaps) -> None:
    """What counts are the entries of the members: a list that is off is no longer a member, but still has its own."""
    assert maps.ask("virtual_group", KEYS) == GROUPS


def test_postfix_keys_are_folded(maps: LdapMaps) -> None:
    assert maps.ask("virtual_group", ["ROBERT@Example.COM"]) == {"ROBERT@Example.COM": frozenset({BOB})}


def expand(maps: LdapMaps, addresses: Iterable[str]) -> dict[str, set[str]]:
    """Return where mail for addresses goes in the end, by the rules of Postfix's virtual(5)."""
    targets: dict[str, frozenset[str]] = {}
    while todo := {*addresses, *chain.from_iterable(targets.values())} - set(targets):
        found = maps.resolve("virtual_alias_maps", todo)
        by_domain = {address: f"@{address.rpartition('@')[2]}" for address in todo - set(found)}
        others = maps.resolve("virtual_alias_maps", set(by_domain.values()))
        targets |= {address: others.get(key, frozenset({address})) for address, key in by_domain.items()} | found
    return {address: _ends(targets, address, set()) for address in addresses}


def _ends(targets: Answers, address: str, seen: set[str]) -> set[str]:
    seen.add(address)
    further = [_ends(targets, target, seen) for target in targets[address] - seen]
    return set(targets[address] & {address}).union(*further)


EXPANDED = {
    BOB: {BOB},
    "bob@alias.example": {BOB},
    "kim@alias.example": {"kim@example.com", "kim@other.org"},  # through the catch-all: kim is not told of alias.example
    "sales@alias.example": {BOB, "ann@other.org"},
    # Members here and in another domain, external ones, an alias, and a list with a member of its own.
    "team@example.com": {BOB, "zoe@other.example", "x@other.org", "y@other.org", "ann@other.org", "eve@other.org"},
    "oldcrew@example.com": {"mia@mx.example"},
    "list@alias.example": {"list@example.com"},
    # A disabled account, a disabled alias, a list without members, a disabled list of mlmmj: none has a mailbox.
    **{f"{name}@example.com": {f"{name}@example.com"} for name in ("cut", "oldsales", "empty", "oldlist")},
    lacking("deliver"): {lacking("deliver")},
    "nobody@example.com": {"kim@example.com", "kim@other.org"},
    "nobody@alias.example": {"kim@example.com", "kim@other.org"},
    "dan@off.example": {"dan@off.example"},
    "mia@mx.example": {"mia@mx.example"},
    "any@mx.example": {"any@mx.example"},
}  # fmt: skip


def test_postfix_expands(maps: LdapMaps) -> None:
    assert expand(maps, EXPANDED) == EXPANDED


def test_postfix_order(maps: LdapMaps) -> None:
    """What is set for a user comes before what is set for the domain, forwarding before the mailbox."""
    assert maps.order("virtual_alias_maps") == (
        *("virtual_alias", "virtual_group", "virtual_member", "virtual_holder+virtual_caught", "catchall"),
    )
    assert maps.order("transport_maps") == ("transport_user", "transport_domain")
    assert maps.order("smtpd_sender_login_maps") == ("sender_login",)
    used = {name for parameter in PARAMETERS for table in maps.order(parameter) for name in table.split("+")}
    assert set(maps.names) - used == {"relayhost_user"}  # what users might write is for the administrator to switch on
    for parameter, name in (("sender_bcc_maps", "sender"), ("recipient_bcc_maps", "recipient")):
        assert maps.resolve(parameter, [BOB, "kim@example.com"]) == {
            BOB: frozenset({f"{name}-bob@log.example"}),
            "kim@example.com": frozenset({f"{name}-all@log.example"}),
        }
    assert maps.resolve("sender_dependent_relayhost_maps", [BOB, "eve@example.com", "@example.com"]) == dict.fromkeys(
        (BOB, "eve@example.com", "@example.com"), frozenset({"[all.relay.example]:587"})
    )


PARAMETERS = (
    *("virtual_mailbox_domains", "relay_domains", "transport_maps", "virtual_mailbox_maps", "virtual_alias_maps"),
    *("sender_bcc_maps", "recipient_bcc_maps", "sender_dependent_relayhost_maps", "smtpd_sender_login_maps"),
)
NEEDED: dict[str, set[str]] = {
    "transport_user": {"mail"},
    "virtual_mailbox": {"mail", "deliver"},
    "virtual_alias": {"mail", "deliver", "forward"},
    "virtual_member": {"mail", "deliver"},
    "catchall": set(),
    "sender_login": {"mail", "smtp"},
    "sender_bcc_user": {"mail", "senderbcc"},
    "recipient_bcc_user": {"mail", "recipientbcc"},
    "relayhost_user": {"mail"},
}
"""The services without which a map does not know an account."""


@pytest.mark.parametrize("name", NEEDED)
def test_postfix_asks_for_services(maps: LdapMaps, name: str) -> None:
    answers = maps.ask(name, map(lacking, SERVICES))
    assert {service for service in SERVICES if lacking(service) not in answers} == NEEDED[name]


@pytest.mark.parametrize("name", ["virtual_group", "virtual_member", "virtual_mailbox", "sender_login"])
def test_alias_addresses_need_no_service(maps: LdapMaps, name: str) -> None:
    """As with iRedMail since 1.7.2; only logins ask for it."""
    assert maps.ask(name, [f"alias-{lacking('shadowaddress')}"])


@pytest.mark.parametrize(
    "change", [{"accountStatus": "disabled"}, {"accountStatus": None}, {"domainStatus": "disabled"}]
)
def test_postfix_knows_nothing_of_what_is_off(site: Site, maps: LdapMaps, change: dict[str, str | None]) -> None:
    address = lacking("sogo")
    keys = (address, f"alias-{address}")
    assert all(maps.ask(name, keys) for name in NEEDED)
    with site.changed(entry_dn(address), **change):
        assert {name: found for name in NEEDED if (found := maps.ask(name, keys))} == {}
        # That it is there at all keeps its mail from the catch-all.
        assert expand(maps, keys) == {key: {address} for key in keys}


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({"enabledService": "mail"}, {"virtual_mailbox_domains", "transport_domain", "relayhost_domain"}),
        ({"accountStatus": "disabled"}, set()),
        ({"enabledService": None}, set()),
        (
            {"domainBackupMX": "yes"},
            {"relay_domains", "transport_domain", "relayhost_domain", "sender_bcc_domain", "recipient_bcc_domain"},
        ),
    ],
)
def test_postfix_asks_for_the_domain(
    site: Site, maps: LdapMaps, change: dict[str, str | None], still: set[str]
) -> None:
    of_domains = ("virtual_mailbox_domains", "relay_domains", "transport_domain")
    keys = {name: "example.com" if name in of_domains else BOB for name in maps.names if "domain" in name}
    with site.changed(f"domainName=example.com,{BASE}", **change):
        assert {name for name, key in keys.items() if maps.ask(name, [key])} == still
        assert set(maps.ask("virtual_mailbox_domains", ["alias.example"])) == set()


SPECIAL = ("star*@example.com", "paren(@example.com", "back\\slash@example.com", ODD)


@pytest.mark.parametrize("key", SPECIAL)
def test_special_characters_mean_themselves(maps: LdapMaps, key: str) -> None:
    assert maps.ask("virtual_member", [key]) == {key: frozenset(key.split(","))}
    assert maps.ask("sender_login", [key])


PATTERNS = (
    *("*@example.com", "bo*@example.com", "*", "bob@*", "b(ob@example.com", ")(mail=*", "bob)(|(mail=*@example.com"),
    *("\\2a@example.com", "bo\\62@example.com", "bob\\@example.com", "+bob@example.com"),
    *("moved@*", "moved@example.com,o=domains", "moved@example.com+x", "moved@\\65xample.com", "moved@ex\\ample.com"),
)


def test_special_characters_match_nothing_else(maps: LdapMaps) -> None:
    """Of an address that holds an asterisk or a bracket, nothing is left to guess, in the filter or in the base."""
    # By what follows @; virtual_caught is asked only for what virtual_holder has found.
    by_domain = {name for name in maps.names if name.endswith(("bcc_domain", "relayhost_domain", "virtual_caught"))}
    asked = [*(name for name in maps.names if name not in by_domain), "virtual_holder+virtual_caught"]
    found = {name: maps.ask(name, PATTERNS) for name in asked}
    assert {name: answers for name, answers in found.items() if answers} == {}


def test_a_pattern_in_a_domain_names_no_catch_all(maps: LdapMaps) -> None:
    """The map that asks for a domain's catch-all takes the domain literally, and gives back what it was asked for."""
    caught = tuple(key for key in PATTERNS if key.endswith("@example.com"))
    assert maps.ask("virtual_caught", PATTERNS) == {key: frozenset({key}) for key in caught}


# --- Dovecot ----------------------------------------------------------------------------------------------------------

KNOWN = {
    "bind": {"ssha512", "cryptbcrypt", "plain"},
    "lookup": {"ssha512", "cryptbcrypt", "blfcrypt", "sha512crypt"},
}


def login(dovecot: Dovecot, user: str, service: str, *facts: str, password: str = PASSWORD) -> str:
    """Return what came of an auth: ok, refused or failed (temporarily)."""
    options = [word for fact in (f"service={service}", *facts) for word in ("-x", fact)]
    result = dovecot.doveadm("auth", "test", *options, user, password)
    if "temp_fail" in result.stdout:
        return "failed"
    return "refused" if result.returncode else "ok"


def logins(dovecot: Dovecot, cases: list[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Try logins at once: each refusal takes half a second."""
    with ThreadPoolExecutor(min(len(cases), 40)) as pool:
        return dict(zip(cases, pool.map(lambda case: login(dovecot, *case), cases), strict=True))


def test_who_verifies_which_scheme(dovecot: Dovecot, verifier: str) -> None:
    found = logins(dovecot, [(f"{name}@example.com", "imap") for name in stored_passwords()])
    assert {user.partition("@")[0] for (user, _), result in found.items() if result == "ok"} == KNOWN[verifier]
    assert "failed" not in found.values()
    assert login(dovecot, BOB, "imap", password="wrong") == "refused"


LOGINS: dict[tuple[str, ...], str] = {
    (BOB, "imap"): "ok",
    ("BOB@Example.com", "imap"): "ok",
    ("robert@example.com", "imap"): "ok",
    ("bob@alias.example", "imap"): "ok",
    (BOB, "imap", "secured"): "ok",
    (BOB, "imap", "secured=tls"): "ok",
    (BOB, "smtp", "secured"): "ok",
    (BOB, "unheard-of"): "refused",
    ("bob@other.example", "imap"): "refused",
    ("bob", "imap"): "refused",
    ("cut@example.com", "imap"): "refused",
    ("nostatus@example.com", "imap"): "refused",
    ("dan@off.example", "imap"): "refused",
    # The domain is for Postfix to judge, which relays its mail; a switched off domain is marked on its accounts.
    ("mia@mx.example", "imap"): "ok",
    ("sales@example.com", "imap"): "refused",
    ("@example.com", "imap"): "refused",
    ("*@example.com", "imap"): "refused",
    (ODD, "imap"): "refused",
    (f"alias-{lacking('sogo')}", "imap"): "ok",
    (f"alias-{lacking('shadowaddress')}", "imap"): "refused",
    (lacking("shadowaddress"), "imap"): "ok",
    ("net@example.com", "imap", "rip=10.1.2.3"): "ok",
    ("net@example.com", "imap", "rip=192.0.2.7"): "ok",
    ("net@example.com", "imap", "rip=192.0.2.8"): "refused",
}


def test_dovecot_logins(dovecot: Dovecot) -> None:
    assert logins(dovecot, list(LOGINS)) == LOGINS


SECURITY = {"": (), "secured": ("secured",), "tls": ("secured=tls",)}


def protocol(service: str) -> tuple[str, str]:
    """Return what a service is called by Dovecot, and the security of the connection."""
    found = re.fullmatch("(.*?)(secured|tls|)", service)
    assert found
    return found[1], found[2]


def test_dovecot_asks_for_services(dovecot: Dovecot) -> None:
    """Each way to log in is switched off by one service, and by no other."""
    cases = {
        service: (lacking(service), name, *SECURITY[kind])
        for service in LOGIN_SERVICES
        for name, kind in [protocol(service)]
    }
    cases["mail"] = (lacking("mail"), "imap")
    others = {service: (lacking(service), "imap") for service in SERVICES if service not in ("imap", "mail")}
    found = logins(dovecot, [*cases.values(), *others.values()])
    assert {service for service, case in cases.items() if found[case] != "refused"} == set()
    assert {service for service, case in others.items() if found[case] != "ok"} == set()


def test_dovecot_asks_for_inner_services(dovecot: Dovecot) -> None:
    for service in INNER_SERVICES:
        assert dovecot.user(lacking(service), service) is None, service
    assert dovecot.user(lacking("sogo"), "lmtp") is not None


def test_dovecot_userdb(site: Site, dovecot: Dovecot) -> None:
    home = f"{site.mail_root}/example.com/bob-stamp/"  # it lies where Dovecot takes it to be: in lower case
    expected = {"home": home, "mail": "maildir:~/Maildir", "quota_rule": "*:bytes=1048576"}
    for name in ("Bob@Example.com", "robert@example.com", "bob@alias.example"):
        fields = dovecot.user(name, "lmtp")
        assert fields is not None
        assert {key: fields[key] for key in expected} == expected
    assert (dovecot.user("robert@example.com") or {})["user"] == BOB
    assert (dovecot.user("kim@example.com") or {})["quota_rule"] == "*:bytes=0"
    for address in ("cut@example.com", "dan@off.example", "sales@example.com", "team@example.com", "@example.com"):
        assert dovecot.user(address) is None, address


def test_dovecot_mail_location(site: Site, dovecot: Dovecot) -> None:
    with site.changed(entry_dn("kim@example.com"), mailboxFormat="mdbox", mailboxFolder="Boxes"):
        assert (dovecot.user("kim@example.com") or {})["mail"] == "mdbox:~/Boxes"
    with site.changed(entry_dn("kim@example.com"), mailboxFormat=None, mailboxFolder=None):
        assert (dovecot.user("kim@example.com") or {})["mail"] == "maildir:~/Maildir"


def test_dovecot_iterates(dovecot: Dovecot) -> None:
    listed = dovecot.doveadm("user", "*").stdout.split()
    assert len(listed) == len(set(listed))
    assert {BOB, "kim@example.com", "mia@mx.example", lacking("imap"), ODD} <= set(listed)
    assert not {"cut@example.com", "dan@off.example", "@example.com", lacking("mail")} & set(listed)


def test_dovecot_delivers(site: Site, dovecot: Dovecot) -> None:
    assert dovecot.deliver("Eve+work@example.com", MESSAGE)[0] == 250
    assert dovecot.deliver(lacking("lmtp"), MESSAGE)[0] == 550
    assert dovecot.deliver("cut@example.com", MESSAGE)[0] == 550
    assert (site.mail_root / "example.com" / "eve-stamp" / "Maildir" / "new").is_dir()
    with dovecot.imap("eve@example.com", PASSWORD) as client:
        messages = int((client.select()[1][0] or b"0").decode())
        assert "Subject: hello" in str(client.fetch(str(messages), "(RFC822)")[1])
    with pytest.raises(imaplib.IMAP4.error), dovecot.imap("eve@example.com", "wrong"):
        pass
    assert "Error" not in dovecot.log_tail()


def test_quota_is_enforced(site: Site, dovecot: Dovecot) -> None:
    big = MESSAGE + (b"y" * 70 + b"\r\n") * 30000
    code, reply = dovecot.deliver("robert@example.com", big)
    assert (code, "Quota exceeded" in reply) == (552, True)
    assert dovecot.quota(BOB)["STORAGE"][1] == 1024
    with site.changed(entry_dn(BOB), mailQuota=None):
        assert dovecot.quota(BOB)["STORAGE"][1] is None
        assert dovecot.deliver(BOB, big)[0] == 250


def test_mail_waits_for_a_home(dovecot: Dovecot, maps: LdapMaps) -> None:
    """The entry is wrong, not the address: nothing may be refused for good, or be written somewhere."""
    assert expand(maps, ["homeless@example.com"]) == {"homeless@example.com": {"homeless@example.com"}}
    assert dovecot.deliver("homeless@example.com", MESSAGE)[0] == 451


def test_two_entries_for_one_login(site: Site, dovecot: Dovecot) -> None:
    with site.changed(entry_dn("kim@example.com"), shadowAddress="moved@example.com"):
        assert login(dovecot, "moved@example.com", "imap") == "failed"
    assert login(dovecot, "moved@example.com", "imap") == "ok"


# --- Connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["starttls", "ldaps", "ldapi", "unverified"])
def test_connections(site: Site, workdir: Path, how: str) -> None:
    slapd = site.slapd
    ways: dict[str, dict[str, Any]] = {
        "starttls": {"server": slapd.url, "start_tls": True, "tls_ca": str(slapd.ca)},
        "ldaps": {"server": slapd.ldaps_url, "tls_ca": str(slapd.ca)},
        "ldapi": {"server": slapd.ldapi_url},
        "unverified": {"server": slapd.ldaps_url, "tls_ca": str(slapd.wrong_ca), "tls_verify": False},
    }
    values = ways[how]
    assert LdapMaps(workdir / "postfix", site.reader(**values)).ask("virtual_member", [BOB])
    with dovecot_of(site, workdir / "dovecot", **values) as dovecot:
        assert dovecot.auth(BOB, PASSWORD)
        assert dovecot.user(BOB)


@pytest.mark.parametrize("how", ["starttls", "ldaps"])
def test_a_wrong_server_is_not_asked(site: Site, workdir: Path, how: str) -> None:
    url = site.slapd.url if how == "starttls" else site.slapd.ldaps_url
    values: dict[str, Any] = {"server": url, "start_tls": how == "starttls", "tls_ca": str(site.slapd.wrong_ca)}
    with pytest.raises(ServerError):
        LdapMaps(workdir / "postfix", site.reader(**values)).ask("virtual_member", [BOB])
    with dovecot_of(site, workdir / "dovecot", **values) as dovecot:
        assert login(dovecot, BOB, "imap") == "failed"


def test_odd_password(site: Site, workdir: Path) -> None:
    odd = """a#b"c'd\\e$f%s;h=i j"""
    with site.changed(f"cn=vmail,{SUFFIX}", userPassword=odd):
        assert LdapMaps(workdir / "postfix", site.reader(password=odd)).ask("virtual_member", [BOB])
        with dovecot_of(site, workdir / "dovecot", password=odd) as dovecot:
            assert dovecot.auth(BOB, PASSWORD)


def test_odd_account(site: Site, workdir: Path) -> None:
    """Any account will do that may read; users may read the addresses of their domain."""
    values: dict[str, Any] = {"bind_dn": entry_dn(ODD), "password": PASSWORD, "base": f"domainName=example.com,{BASE}"}
    assert LdapMaps(workdir / "postfix", site.reader(**values)).ask("sender_login", [ODD])
    with dovecot_of(site, workdir / "dovecot", **values) as dovecot:
        assert dovecot.auth(BOB, PASSWORD)
        assert dovecot.user(BOB)


# --- What the files say -----------------------------------------------------------------------------------------------


def filters_of(text: str) -> dict[str, str]:
    """The filters of a file for Dovecot 2.4, with its variables replaced as Dovecot would for an IMAP login by TLS."""
    values = {"user | lower": "robert@example.com", "protocol | lower": "imap", "secured | lower": "tls"}
    found = re.findall(r"(?m)^  (\w*filter) = (.*)$", text)
    return {name: re.sub(r"%{(.*?)}", lambda match: values[match[1]], one) for name, one in found}


@pytest.mark.parametrize("auth_bind", [True, False])
def test_dovecot24(site: Site, auth_bind: bool) -> None:
    """Dovecot 2.4 is not here; but its filters must find who they shall, and its blocks be complete."""
    (file,) = dovecot_files(site.reader(), version="2.4", auth_bind=auth_bind)
    filters = filters_of(file.text)
    with site.slapd.connect(site.slapd.bind("vmail")) as connection:
        connection.search(BASE, filters["filter"], attributes=["mail"])
        assert [entry["attributes"]["mail"] for entry in connection.response] == [[BOB]]
        connection.search(BASE, filters["iterate_filter"], attributes=["mail"])
        listed = {entry["attributes"]["mail"][0] for entry in connection.response}
    assert BOB in listed
    assert not {"cut@example.com", "@example.com"} & listed
    attributes = set(re.findall(r"%{ldap:(\w+)", file.text))
    expected = {"mail", "allowNets", "homeDirectory", "mailboxFormat", "mailboxFolder", "mailQuota"}
    assert attributes == (expected if auth_bind else expected | {"userPassword"})
    assert ("  bind = yes\n" in file.text) == auth_bind
    blocks = re.sub(r"%{[^}]*}", "", file.text)
    assert blocks.count("{") == blocks.count("}") == len(re.findall(r"(?m) {$", blocks))
    assert not re.search(r"{\w+}", blocks)
    assert (file.mode, file.group) == (0o640, "dovecot")


def test_dovecot24_over_tls(site: Site) -> None:
    reader = site.reader(start_tls=True, tls_ca="/etc/ssl/ca.pem")
    (file,) = dovecot_files(reader, version="2.4", auth_bind=True)
    assert file.text.count("  ldap_starttls = yes\n  ssl_client_ca_file = /etc/ssl/ca.pem\n") == 2
    assert file.text.count("  ssl_client_require_valid_cert = yes\n") == 2
    (file,) = dovecot_files(replace(reader, tls_verify=False), version="2.4", auth_bind=True)
    assert file.text.count("  ssl_client_require_valid_cert = no\n") == 2
    for values in ({"password": "a%b"}, {"password": "a$b"}, {"bind_dn": "cn=a%b"}, {"base": "o=a%b"}):
        with pytest.raises(ConfigurationError, match="%"):
            dovecot_files(replace(reader, **values), version="2.4", auth_bind=True)  # type: ignore[arg-type]


def all_files(reader: LdapReader, version: Literal["2.3", "2.4"] = "2.3") -> dict[str, str]:
    files = [*postfix(reader), *dovecot_files(reader, version=version, auth_bind=True)]
    public = {file.name for file in files if file.mode == 0o644}
    snippets = {MAIN_CF, MASTER_CF}
    assert public == (snippets if version == "2.4" else {*snippets, "mailstore.conf"})
    assert {(file.mode, file.group) for file in files if file.name not in public} == {
        (0o640, "postfix"),
        (0o640, "dovecot"),
    }
    return {file.name: file.text for file in files if file.name not in public}


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_missing_password_is_marked(site: Site, version: Literal["2.3", "2.4"]) -> None:
    texts = all_files(site.reader(password=None), version)
    assert {text.count(PASSWORD_PLACEHOLDER) for text in texts.values()} == {2}  # in a comment, and in place
    assert all(PASSWORD_PLACEHOLDER not in text for text in all_files(site.reader(), version).values())


def test_percent_in_the_base_is_no_variable(site: Site) -> None:
    texts = all_files(site.reader(base="o=domains,o=100%d"))
    assert "search_base = ou=Users,domainName=%d,o=domains,o=100%%d\n" in texts["sender_bcc_user.cf"]
    assert 'base = "o=domains,o=100%%d"\n' in texts["dovecot-ldap.conf.ext"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"server": "http://127.0.0.1"}, "ldap://"),
        ({"server": "ldap://a b"}, "ldap://"),
        ({"server": "ldap://a\nbind = no"}, "ldap://"),
        ({"server": "ldap://user@host"}, "ldap://"),
        ({"bind_dn": "vmail"}, "account"),
        ({"bind_dn": "cn=a\nb"}, "account"),
        ({"base": ""}, "base"),
        ({"base": "o=a "}, "base"),
        ({"password": "a\nb"}, "password"),
        ({"password": ""}, "password"),
        ({"server": "ldaps://h", "start_tls": True}, "StartTLS"),
        ({"tls_ca": "ca.pem"}, "absolute"),
        ({"tls_ca": "/a\nb"}, "absolute"),
    ],
)
def test_unusable_readers(values: dict[str, Any], message: str) -> None:
    usable: dict[str, Any] = {"server": "ldap://h", "bind_dn": "cn=r", "password": "secret", "base": "o=domains"}
    with pytest.raises(ConfigurationError, match=message) as caught:
        LdapReader(**{**usable, **values})
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(LdapReader(**usable))


def test_what_a_syntax_cannot_hold(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="begins or ends"):
        postfix(site.reader(password=" a"))
    with pytest.raises(ConfigurationError, match="absolute path"):
        postfix(site.reader(), directory="conf")
    with pytest.raises(ConfigurationError, match="owner of mail"):
        dovecot_files(site.reader(), version="2.3", auth_bind=True, uid="a b")
    with pytest.raises(ConfigurationError, match=r"2\.2"):
        dovecot_files(site.reader(), version="2.2", auth_bind=True)  # type: ignore[arg-type]


def test_nothing_shows_passwords(site: Site) -> None:
    reader = site.reader()
    assert reader.password
    for file in [*postfix(reader), *dovecot_files(reader, version="2.3", auth_bind=False)]:
        assert reader.password not in repr(file)
        assert usual_hash() not in file.text


# --- The command line's module ----------------------------------------------------------------------------------------


@dataclass
class Opened:
    """As much of a store as is asked for."""

    config: StoreConfig


def url(scheme: str, place: str) -> str:
    return f"iredmail+{scheme}://{quote(f'cn=vmailadmin,{SUFFIX}', safe='')}@{place}/{quote(SUFFIX)}"


def test_files_of_a_store(site: Site) -> None:
    slapd, reader = site.slapd, site.reader()
    store = Opened(StoreConfig(url=url("ldap", f"127.0.0.1:{slapd.port}"), start_tls=True, tls_ca=str(slapd.ca)))
    options = LookupOptions(password=reader.password, uid=5000, gid="mail", directory="/etc/here")
    reader = replace(reader, start_tls=True, tls_ca=str(slapd.ca))
    assert lookup_files.postfix(store, options) == postfix(reader, directory="/etc/here", uid=5000, gid="mail")
    expected = dovecot_files(reader, version="2.3", auth_bind=True, uid=5000, gid="mail", directory="/etc/here")
    assert lookup_files.dovecot(store, options) == expected
    with pytest.raises(NotSupported, match="usage"):
        lookup_files.dovecot(store, replace(options, writer_user="vmailadmin"))


@pytest.mark.parametrize(("login_by", "auth_bind"), [("bind", True), ("bind-without-sha2", True), ("lookup", False)])
def test_who_verifies_is_the_stores_option(
    site: Site, login_by: Literal["bind", "bind-without-sha2", "lookup"], auth_bind: bool
) -> None:
    store = Opened(StoreConfig(url=url("ldaps", "ldap.example:1636"), login_by=login_by, tls_verify=False))
    reader = site.reader(server="ldaps://ldap.example:1636", tls_verify=False, password=None)
    expected = dovecot_files(reader, version="2.4", auth_bind=auth_bind)
    assert lookup_files.dovecot(store, LookupOptions(version="2.4")) == expected


def test_other_readers_and_sockets(site: Site) -> None:
    user = f"cn=a\\+b,{SUFFIX}"
    expected = postfix(site.reader(server="ldapi://%2Frun%2Fs", bind_dn=user, password=None))
    store = Opened(StoreConfig(url=url("ldapi", "%2Frun%2Fs")))
    for name in (user, "a+b"):
        assert lookup_files.postfix(store, LookupOptions(user=name)) == expected
