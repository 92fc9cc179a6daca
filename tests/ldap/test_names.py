"""Names and filters: escaped so that slapd understands them, whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailstore.errors import InvalidValue
from mailstore.ldap.connection import Directory
from mailstore.ldap.names import (
    DN,
    all_of,
    any_of,
    contains,
    dn,
    ends_with,
    equals,
    negate,
    parent,
    parse_dn,
    present,
    rdn,
    rdn_value,
    same_dn,
    starts_with,
)

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
# What is special to one of the RFCs, what their parsers may trip over, and some innocent characters.
TRICKY_CHARACTERS = st.sampled_from([*',+"\\<>;=#*()&|!~:/ \t\n\x00\x7f', "\u00a0", "ü", "ß", "\u0301", "😀", *"aZ09"])
TRICKY = st.text(TRICKY_CHARACTERS, min_size=1)
PUBLIC = DN("o=domains,dc=example,dc=com")


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("bob@example.com", "bob@example.com"),
        ("a+b", r"a\+b"),
        ('",+;<>\\=', r"\"\,\+\;\<\>\\\="),
        ("#1", r"\#1"),
        ("1#", "1#"),
        (" a ", r"\ a\ "),
        (" ", r"\ "),
        ("  ", r"\ \ "),
        ("a\x00b\n", r"a\00b\0A"),
        ("Jürgen 😀", "Jürgen 😀"),
    ],
)
def test_values_of_names_are_escaped(value: str, escaped: str) -> None:
    name = dn(("mail", value), ("ou", "Users"), base=PUBLIC)
    assert name == f"mail={escaped},ou=Users,{PUBLIC}"
    assert rdn_value(name) == value
    assert rdn(name) == f"mail={escaped}"
    assert parent(name) == f"ou=Users,{PUBLIC}"


@given(TEXTS | TRICKY, TEXTS | TRICKY)
def test_names_are_read_as_they_were_written(value: str, other: str) -> None:
    name = dn(("mail", value), ("cn", other), base=PUBLIC)
    assert parse_dn(name) == name
    assert rdn_value(name) == value
    assert rdn_value(parent(name)) == other
    assert parent(parent(name)) == PUBLIC
    octets = "".join(f"\\{octet:02x}" for octet in value.encode())
    assert parse_dn(f"mail={octets},{parent(name)}") == name
    assert same_dn(f"MAIL = {octets} , {parent(name)}", name)


@given(st.text(TRICKY_CHARACTERS).map("cn=".__add__) | TEXTS)
def test_what_is_read_as_a_name_is_stable(text: str) -> None:
    try:
        name = parse_dn(text)
    except InvalidValue:
        return
    assert parse_dn(name) == name
    assert same_dn(name, text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("dc=example, dc=com", "dc=example,dc=com"),
        (" CN = Manager , DC=example", "CN=Manager,DC=example"),
        (r"mail=a\2Bb\40c,ou=Users", r"mail=a\+b@c,ou=Users"),
        (r"cn=\c3\bc", "cn=ü"),
        (r"cn=a\ ", r"cn=a\ "),
        (r"cn=a\\ ", r"cn=a\\"),
        (r"cn=\20a b ,dc=x", r"cn=\ a b,dc=x"),
        ("cn=a+sn=b,dc=x", "cn=a+sn=b,dc=x"),
        ("2.5.4.3=a", "2.5.4.3=a"),
        (r"cn=\ff", r"cn=\FF"),
    ],
)
def test_names_from_outside_get_their_normal_form(text: str, normal: str) -> None:
    assert parse_dn(text) == normal
    assert same_dn(text, normal)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example",
        "=x",
        "cn=",
        "cn= ",
        "cn=a,",
        ",cn=a",
        "cn=a,,cn=b",
        "cn=a;b",
        'cn="a"',
        "cn=a\\",
        "cn=\\zz",
        "cn=#04",
        "c n=a",
        "cn=a\x00",
        "cn=a+",
        "ü=a",
        "-a=b",
        "cn=a+b@x",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="not a distinguished name"):
        parse_dn(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mail=a@x,dc=Example", "MAIL=A@X, DC=example", True),
        (r"mail=a\2Bb,dc=x", r"mail=a\+b,dc=x", True),
        ("cn=a+sn=b", "SN=b+cn=a", True),
        ("cn=a  b", "cn=a b", True),
        ("cn=a,dc=x", "cn=a", False),
        ("cn=a", "sn=a", False),
        (r"cn=a\,dc\=x", "cn=a,dc=x", False),
        ("no name", "No  Name", True),
    ],
)
def test_names_are_compared_by_what_they_mean(one: str, other: str, same: bool) -> None:
    assert same_dn(one, other) is same


def test_parts_that_no_name_can_have_are_refused() -> None:
    for pair in (("", "x"), ("a b", "x"), ("cn=", "x"), ("cn", ""), ("cn", "\ud800")):
        with pytest.raises(InvalidValue):
            dn(pair)


def test_filters() -> None:
    assert equals("mail", "a+b@example.com") == r"(mail=a\2bb@example.com)"
    assert equals("cn", "*()\\\x00 ü") == r"(cn=\2a\28\29\5c\00\20\c3\bc)"
    assert equals("mail", "") == "(mail=)"
    assert contains("cn", "a*b") == r"(cn=*a\2ab*)"
    assert starts_with("cn;lang-de", "a") == "(cn;lang-de=a*)"
    assert ends_with("mail", "@x") == "(mail=*@x)"
    one, two = present("cn"), negate(equals("sn", "x"))
    assert all_of(one, two) == "(&(cn=*)(!(sn=x)))"
    assert any_of(one, two) == "(|(cn=*)(!(sn=x)))"
    assert all_of(one) == any_of(one) == one


def test_filters_that_mean_nothing_are_refused() -> None:
    for combine in (all_of, any_of):
        with pytest.raises(ValueError, match="no filters"):
            combine()
    for match in (contains, starts_with, ends_with):
        with pytest.raises(ValueError, match="nothing to search for"):
            match("cn", "")
    for attribute in ("", "c n", "cn=a)(cn", "*"):
        with pytest.raises(InvalidValue):
            present(attribute)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TRICKY.filter(lambda value: value.strip(" ") != ""))
@example("\\")
@example(" #, ")
@example("*)(cn=*")
def test_the_server_understands_what_is_escaped(directory: Directory, base: DN, value: str) -> None:
    name = dn(("cn", value), base=base)
    directory.add(name, {"objectClass": ["person"], "cn": [value], "sn": ["x"]})
    try:
        assert_found(directory, base, name, value)
    finally:
        directory.delete(name)


def assert_found(directory: Directory, base: DN, name: DN, value: str) -> None:
    entry = directory.read(name)
    assert entry is not None
    assert entry.dn == name
    assert rdn_value(entry.dn) == value
    assert entry.values("cn") == (value,)
    # Parts are matched without repeated blanks and those at their ends (RFC 4518, 2.6.1).
    matches = (equals, contains, starts_with, ends_with) if value == " ".join(value.split()) else (equals,)
    for match in matches:
        assert [found.dn for found in directory.search(base, match("cn", value))] == [name]
    assert list(directory.search(base, all_of(present("cn"), negate(equals("cn", value))))) == []
