"""LDIF is what slapadd and ldapadd read and slapcat writes; the tree and the schema are what iRedMail's readers expect."""

from __future__ import annotations

import contextlib
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstore.errors import InvalidValue
from mailstore.ldap import ldif
from mailstore.ldap.iredmail.schema.tree import Tls, empty_tree, schema_files, server_configuration
from mailstore.ldap.names import DN, dn
from tests.ldap_schema_facts import ATTRIBUTE_ARC, ATTRIBUTES, CLASS_ARC, CLASSES, EQUALITY, SUBSTR, SYNTAX_ARC
from tests.servers.process import ENVIRONMENT, program
from tests.servers.slapd import MANAGER, Login, Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ldap_schema_facts import Attribute, ObjectClass

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}(;[a-z0-9-]{1,4})?", fullmatch=True).filter(
    lambda name: name.lower() not in {"dn", "version", "changetype", "control"}
)
VALUES = st.lists(st.binary() | TEXT | st.text("ab :<#\n ", max_size=200), min_size=1, max_size=4)
ENTRIES = st.tuples(TEXT, st.dictionaries(NAMES, VALUES, min_size=1, max_size=5))
HASHES = {"reader_hash": "{SSHA}reader", "writer_hash": "{SSHA}writer"}


def octets(values: list[str | bytes]) -> list[bytes]:
    return [value if isinstance(value, bytes) else value.encode() for value in values]


def merged(attributes: dict[str, list[str | bytes]]) -> dict[str, list[bytes]]:
    """What is to be read back: spellings of one name together, in the order in which they are written."""
    result: dict[str, list[bytes]] = {}
    for name in sorted(attributes, key=str.lower):
        result.setdefault(name.lower(), []).extend(octets(attributes[name]))
    return result


@given(st.lists(ENTRIES, max_size=4))
def test_what_is_written_is_read(entries: list[tuple[str, dict[str, list[str | bytes]]]]) -> None:
    text = "".join(ldif.document(ldif.record(*entry) for entry in entries))
    assert text.isascii()
    assert all(len(line) <= 76 for line in text.split("\n"))
    for lines in (
        text.split("\n"),
        text.splitlines(keepends=True),
        text.replace("\n", "\r\n").splitlines(keepends=True),
    ):
        read = [(name, {key.lower(): values for key, values in found.items()}) for name, found in ldif.parse(lines)]
        assert read == [(name, merged(attributes)) for name, attributes in entries]


@given(st.lists(st.text("adn:<# \t=é\n-", max_size=30)))
def test_any_file_is_read_or_refused(lines: list[str]) -> None:
    with contextlib.suppress(InvalidValue):
        list(ldif.parse(lines))


def test_the_form_of_a_record() -> None:
    attributes: dict[str, list[str | bytes]] = {
        "userPassword": ["{SSHA}x"],
        "mail": ["a@b", ""],
        "cn": ["ä", " x", "x ", ":x", "<x", "#x", "x" * 80],
        "objectClass": ["top", b"person"],
    }
    assert ldif.record("mail=a@b,dc=c", attributes) == (
        "dn: mail=a@b,dc=c\n"
        "objectClass: top\nobjectClass: person\n"
        "cn:: w6Q=\ncn:: IHg=\ncn:: eCA=\ncn:: Ong=\ncn:: PHg=\ncn: #x\n"
        f"cn: {'x' * 72}\n {'x' * 8}\n"
        "mail: a@b\nmail:\n"
        "userPassword:: e1NTSEF9eA==\n"
    )
    assert ldif.record("dc=ä", {"o": ["x"]}).startswith("dn:: ZGM9w6Q=\n")


def test_the_form_of_a_document() -> None:
    assert "".join(ldif.document(["dn: a\n", "dn: b\n"])) == "version: 1\n\ndn: a\n\ndn: b\n"
    assert "".join(ldif.document(["dn: a\n", "dn: b\n"], version=False)) == "dn: a\n\ndn: b\n"
    assert "".join(ldif.document([])) == "version: 1\n"


@pytest.mark.parametrize("attributes", [{}, {"o": []}, {"o: x\ndn": ["x"]}, {"": ["x"]}, {"o": ["\ud800"]}])
def test_what_cannot_be_written_is_refused(attributes: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidValue):
        ldif.record("dc=x", attributes)


def test_reading_unfolds_and_skips_comments() -> None:
    text = "# a\n comment\nversion: 1\ndn: dc=\n x\n#\nO:x\no:   y z \no::\n\n\n#\n\ndn:: ZGM9w6Q=\no: \n"
    assert list(ldif.parse(text.splitlines())) == [("dc=x", {"O": [b"x", b"y z ", b""]}), ("dc=ä", {"o": [b""]})]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (" x", 1, "continues no line"),
        ("dn: a\no: b\n\n x", 4, "continues no line"),
        ("version: 2\ndn: a\no: b", 1, "version 1"),
        ("version: 1\n\nversion: 1\ndn: a\no: b", 3, "has to start with dn:"),
        ("o: b", 1, "has to start with dn:"),
        ("dn: a\no: b\ndn: c\no: d", 3, "a blank line is missing"),
        ("dn: a", 1, "no attributes"),
        ("dn: a\nchangetype: add\no: b", 2, "changes are not read"),
        ("dn: a\ncontrol: 1.2.3\nchangetype: delete", 2, "changes are not read"),
        ("dn: a\no:< file:///etc/passwd", 2, "a URL"),
        ("dn:< file:///etc/passwd\no: b", 1, "a URL"),
        ("dn: a\n-", 2, "no colon"),
        ("dn: a\no=b: c", 2, "no name of an attribute"),
        ("dn: a\n: c", 2, "no name of an attribute"),
        ("dn: a\no:: Y*==", 2, "invalid base64"),
        ("dn: a\no:: Y", 2, "invalid base64"),
        ("dn: a\no:: é", 2, "invalid base64"),
        ("dn: a\no: é", 2, "in base64"),
        ("dn: a\no: b\rc", 2, "in base64"),
        ("dn:: /w==\no: b", 1, "not UTF-8"),
    ],
)
def test_what_is_no_entry_is_refused(text: str, line: int, problem: str) -> None:
    with pytest.raises(InvalidValue, match=f"^LDIF line {line}: .*{re.escape(problem)}") as caught:
        list(ldif.parse(text.split("\n")))
    assert "passwd" not in str(caught.value)


@pytest.fixture(scope="module")
def slapd(scratch_root: Path) -> Iterator[Slapd]:
    with Slapd(scratch_root / "slapd-ldif") as server:
        yield server


def odd_entries(texts: list[str], passwords: list[bytes]) -> dict[str, dict[str, list[str | bytes]]]:
    base = DN("o=domains,dc=mailstore,dc=test")
    return {
        dn(("cn", text), base=base): {
            "objectClass": ["person"],
            "cn": [text],
            "sn": ["x"],
            "description": [text * 40],
            "userPassword": [password],
        }
        for text, password in zip(texts, passwords, strict=True)
    }


def described(server: Slapd) -> list[tuple[bytes, bytes]]:
    """Return the odd attributes of all entries on a server, in a fixed order."""
    found = (attributes for _, attributes in ldif.parse(server.dump().splitlines()))
    return sorted((entry["description"][0], entry["userPassword"][0]) for entry in found if "description" in entry)


# Blanks at the ends and repeated ones do not tell names apart, and compatible characters (NFKC) do not either.
ODD = st.text(st.characters(codec="ascii", exclude_characters=" ") | st.sampled_from("äß€漢😀\u0301"), min_size=1)
LISTS = st.lists(st.tuples(ODD, st.binary(min_size=1, max_size=99)), min_size=30, max_size=60)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=LISTS)
def test_slapd_reads_what_is_written(slapd: Slapd, rows: list[tuple[str, bytes]]) -> None:
    entries = odd_entries([f"{number} {text}" for number, (text, _) in enumerate(rows)], [row[1] for row in rows])
    slapd.load("".join(ldif.document((ldif.record(*entry) for entry in entries.items()), version=False)))
    expected = sorted(tuple(octets(facts["description"] + facts["userPassword"])) for facts in entries.values())
    assert described(slapd) == expected


def test_ldapadd_reads_what_is_written(slapd: Slapd) -> None:
    slapd.clear()
    texts = ["a,b+c", '#"x"', "< é=;\\ >", "mit\nUmbruch", "tab\tund\0nichts", "x*()"]
    entries = odd_entries(texts, [text.encode() for text in texts])
    text = "".join(ldif.document(ldif.record(*entry) for entry in entries.items()))
    manager = slapd.bind(MANAGER)
    command = [program("ldapadd"), "-x", "-H", slapd.ldapi_url, "-D", manager.dn, "-w", manager.password]
    subprocess.run(command, input=text, check=True, capture_output=True, text=True, env=ENVIRONMENT, timeout=30)
    assert described(slapd) == sorted(((text * 40).encode(), text.encode()) for text in texts)
    slapd.clear()


@pytest.mark.parametrize("suffix", ["dc=x", "DC=a,dc=b,dc=c", "o=Müller\\, Söhne", "o=a$1 \\+ \\22b\\22]%,c=DE"])
def test_any_suffix_will_do(workdir: Path, suffix: str) -> None:
    """The tree loads, and what depends on the suffix in the access rules works."""
    domain = f"domainName=example.org,o=domains,{suffix}"
    user, admin = f"mail=a@example.org,ou=Users,{domain}", f"mail=a@example.org,o=domainAdmins,{suffix}"
    with Slapd(workdir / "slapd", suffix=suffix) as server:
        assert len(list(ldif.parse(server.dump().splitlines()))) == 5
        server.load(one_domain(domain, user, admin))
        for who in (server.bind("vmail"), Login(user, "p"), Login(admin, "p")):
            with server.connect(who) as client:
                client.search(domain, "(mail=a@example.org)", attributes=["mail"])
                assert len(client.response) == 1, who


def one_domain(domain: str, user: str, admin: str) -> str:
    person = {"mail": ["a@example.org"], "userPassword": ["p"]}
    entries = {
        domain: {"objectClass": ["mailDomain"], "domainName": ["example.org"]},
        f"ou=Users,{domain}": {"objectClass": ["organizationalUnit"], "ou": ["Users"]},
        user: {"objectClass": ["inetOrgPerson", "mailUser"], "uid": ["a"], "cn": ["a"], "sn": ["a"], **person},
        admin: {"objectClass": ["mailAdmin"], **person},
    }
    return "".join(ldif.document((ldif.record(*entry) for entry in entries.items()), version=False))


def test_the_empty_tree() -> None:
    entries = dict(ldif.parse(empty_tree("dc=example, dc=org", **HASHES).splitlines()))
    assert list(entries) == [
        "dc=example,dc=org",
        "cn=vmail,dc=example,dc=org",
        "cn=vmailadmin,dc=example,dc=org",
        "o=domains,dc=example,dc=org",
        "o=domainAdmins,dc=example,dc=org",
    ]
    top, reader, _, domains, _ = entries.values()
    assert top == {"objectClass": [b"dcObject", b"organization"], "dc": [b"example"], "o": [b"example"]}
    assert domains == {"objectClass": [b"organization"], "o": [b"domains"]}
    assert reader["objectClass"] == [b"person", b"shadowAccount"]
    assert reader["userPassword"] == [b"{SSHA}reader"]
    company = dict(ldif.parse(empty_tree("o=A\\, B", **HASHES).splitlines()))
    assert company["o=A\\, B"] == {"objectClass": [b"organization"], "o": [b"A, B"]}


@pytest.mark.parametrize("suffix", ["", "x", "cn=x", "ou=x,dc=y", "dc=x+o=y,dc=z", "dc="])
def test_a_suffix_has_to_name_a_domain_or_organization(suffix: str) -> None:
    with pytest.raises(InvalidValue):
        empty_tree(suffix, **HASHES)


def configuration(directory: str = "/d", **options: Any) -> str:
    return server_configuration("dc=x", directory, schema_directory="/s", **options)


def test_the_plain_configuration() -> None:
    text = configuration()
    assert "\nsizelimit unlimited\n" in text
    assert "\nmoduleload pw-sha2\n" in text
    assert "\nmaxsize 2147483648\n" in text
    assert not re.search("^(rootpw|TLS|dbnosync)", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("size_limit", 500, "sizelimit 500"),
        ("manager_hash", "{SSHA}x=", 'rootpw "{SSHA}x="'),
        ("tls", Tls("/ca", "/cert", "/key"), "TLSCertificateKeyFile /key"),
        ("sync", False, "dbnosync"),
        ("directory", '/a "b" \\c', 'directory "/a \\"b\\" \\\\c"'),
        ("standard_schemas", "/x", "include /x/nis.schema"),
    ],
)
def test_the_configuration_says_what_is_asked(option: str, value: Any, line: str) -> None:
    assert f"\n{line}\n" in configuration(**{option: value})


def test_modules_may_be_built_in() -> None:
    assert "module" not in configuration(modules=())


def test_nothing_can_be_smuggled_into_the_configuration() -> None:
    with pytest.raises(InvalidValue):
        configuration("/d\nrootpw x")


def test_the_schema_files_are_ascii() -> None:
    assert set(schema_files()) == {"amavis.schema", "iredmail.schema"}
    assert all(text.isascii() for text in schema_files().values())


@pytest.fixture(scope="module")
def subschema(slapd: Slapd) -> dict[str, str]:
    """The server's definitions by name, as text with one blank between words and no descriptions."""
    with slapd.connect() as client:
        client.search("cn=subschema", "(objectClass=subschema)", "BASE", attributes=["attributeTypes", "objectClasses"])
        values = client.response[0]["raw_attributes"]
    definitions = [value.decode() for value in values["attributeTypes"] + values["objectClasses"]]
    return {match[1]: text for text in definitions if (match := re.search(r" NAME \(? ?'([^']+)'", text))}


def part(definition: str, keyword: str) -> str:
    match = re.search(rf" {keyword} (?:\( ([^)]*) \)|(\S+))", definition)
    return (match[1] or match[2]) if match else ""


@pytest.mark.parametrize("facts", ATTRIBUTES, ids=lambda facts: facts.name)
def test_attribute_types(subschema: dict[str, str], facts: Attribute) -> None:
    definition = subschema[facts.name]
    assert definition.startswith(f"( {ATTRIBUTE_ARC}.{facts.oid} ")
    assert part(definition, "EQUALITY") == EQUALITY[facts.equality]
    assert part(definition, "SUBSTR") == SUBSTR[facts.substr]
    assert part(definition, "SYNTAX") == f"{SYNTAX_ARC}.{facts.syntax}"
    assert ("SINGLE-VALUE" in definition) == (facts.values == "1")


@pytest.mark.parametrize("facts", CLASSES, ids=lambda facts: facts.name)
def test_object_classes(subschema: dict[str, str], facts: ObjectClass) -> None:
    definition = subschema[facts.name]
    assert definition.startswith(f"( {CLASS_ARC}.{facts.number} ")
    assert f" SUP top {facts.kind} " in definition
    assert set(part(definition, "MUST").split(" $ ")) == set(facts.must.split())
    assert set(part(definition, "MAY").split(" $ ")) == set(facts.may.split())


def test_what_is_taken_from_amavisd(subschema: dict[str, str]) -> None:
    local, account = subschema["amavisLocal"], subschema["amavisAccount"]
    assert local.startswith("( 1.3.6.1.4.1.15312.2.2.1.19 ")
    assert (part(local, "EQUALITY"), part(local, "SYNTAX")) == ("booleanMatch", f"{SYNTAX_ARC}.7")
    assert "SINGLE-VALUE" in local
    assert account.startswith("( 1.3.6.1.4.1.15312.2.2.2.1 ")
    assert " AUXILIARY " in account


def test_all_of_our_definitions_are_checked() -> None:
    text = schema_files()["iredmail.schema"]
    assert set(re.findall(r"^attributetype .* NAME '(\w+)'", text, re.MULTILINE)) == {
        facts.name for facts in ATTRIBUTES
    }
    assert set(re.findall(r"^objectclass .* NAME '(\w+)'", text, re.MULTILINE)) == {facts.name for facts in CLASSES}
