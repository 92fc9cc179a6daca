"""Reading and writing: what is sent arrives as it is, and every refusal becomes the right error."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import islice
from threading import Thread

import pytest

from mailstore.errors import (
    AlreadyExists,
    ConfigurationError,
    Conflict,
    InvalidValue,
    StoreDenied,
)
from mailstore.ldap import _ldap3
from mailstore.ldap.connection import Change, Directory, Endpoint, Entry
from mailstore.ldap.failures import result_code
from mailstore.ldap.names import DN, dn, equals, present, same_dn
from tests.ldap.conftest import Connect
from tests.ldap.server import CROWD, LIMIT, MANY, PASSWORD, READER, SIZES, SUFFIX, WRITER, Server, person

EVERYBODY = present("cn")
HASH = "{SSHA512}c2VjcmV0LXNlY3JldC1zZWNyZXQ="
Names = list[tuple[str, str]]


def operations(directory: Directory) -> Names:
    seen: Names = []
    directory.observers.append(lambda operation, dn: seen.append((operation, dn)))
    return seen


def test_entries_come_back_as_they_were_sent(directory: Directory, base: DN) -> None:
    photo = bytes(range(256))
    bob = person(directory, base, jpegPhoto=[photo], userPassword=[HASH], mail=["B@x", "a@x"], description=[])
    entry = directory.read(bob)
    assert entry is not None
    assert entry.dn == bob
    assert entry.raw["JPEGphoto"] == (photo,)
    assert entry.values("MAIL") == ("B@x", "a@x")
    assert (entry.first("mail"), entry.first("title"), entry.first("title", "none")) == ("B@x", "", "none")
    assert set(entry.raw) == {"objectClass", "cn", "sn", "jpegPhoto", "userPassword", "mail"}
    assert entry.has("mail")
    assert entry.has("Mail", "b@X")
    assert not entry.has("mail", "c@x")
    assert not entry.has("description")


def test_octets_that_are_no_text_survive_being_read_as_text(directory: Directory, base: DN) -> None:
    bob = person(directory, base, userPassword=[b"\xff\xfe\x00"])
    entry = directory.read(bob)
    assert entry is not None
    directory.modify(bob, [Change.replace("userPassword", entry.first("userPassword"))])
    again = directory.read(bob)
    assert again == entry
    with pytest.raises(InvalidValue, match="surrogate"):
        Change.add("cn", "\ud800")


def test_entries_and_changes_show_no_values() -> None:
    entry = Entry(DN("cn=bob"), {"userPassword": [HASH.encode()], "employeeNumber": [b"12"], "sn": [b"x"]})
    assert repr(entry) == "Entry('cn=bob', attributes: userPassword, employeeNumber, sn)"
    assert HASH not in repr(Change.add("userPassword", HASH))
    assert (entry.number("employeenumber"), entry.number("sn"), entry.number("cn")) == (12, None, None)
    assert PASSWORD not in repr(Endpoint("ldap://localhost", "cn=x", PASSWORD))


def test_attributes_can_be_chosen(directory: Directory, base: DN) -> None:
    bob = person(directory, base)
    for attributes, found in ((("sn", "entryUUID"), {"sn", "entryUUID"}), ((), set())):
        entry = directory.read(bob, attributes)
        assert entry is not None
        assert set(entry.raw) == found
        assert [set(each.raw) for each in directory.search(base, EVERYBODY, attributes=attributes)] == [found]


def test_what_is_absent_is_no_error_when_read(directory: Directory, base: DN) -> None:
    absent = dn(("cn", "nobody"), base=base)
    assert directory.read(absent) is None
    assert list(directory.search(absent, EVERYBODY)) == []
    assert list(directory.search(base, equals("noSuchAttribute", "x"))) == []


def test_one_level_is_not_the_subtree(directory: Directory, base: DN) -> None:
    bob = person(directory, base)
    below = person(directory, bob, "below")
    assert [entry.dn for entry in directory.search(base, EVERYBODY, scope="one")] == [bob]
    assert {entry.dn for entry in directory.search(base, EVERYBODY)} == {bob, below}


def test_long_lists_are_whole(directory: Directory) -> None:
    seen = operations(directory)
    found = Counter(entry.dn for entry in directory.search(MANY, EVERYBODY, attributes=("cn",), page_size=100))
    assert len(found) == found.total() == SIZES[MANY]
    assert Counter(seen) == {("bind", WRITER): 1, ("search", MANY): 6}


def test_a_list_that_the_server_would_cut_is_an_error(connect: Connect) -> None:
    reader = connect(READER)
    with pytest.raises(StoreDenied, match="limits") as caught:
        list(reader.search(MANY, EVERYBODY))
    assert f'limits dn.exact="{READER}" size=unlimited' in str(caught.value)
    assert len(list(islice(reader.search(MANY, EVERYBODY, page_size=100), LIMIT))) == LIMIT


def test_lists_are_read_while_others_are(directory: Directory) -> None:
    """Pages of one list must not share a connection with another search: slapd remembers one place for each."""
    outer = directory.search(MANY, EVERYBODY, attributes=("cn",), page_size=200)
    count = 0
    for entry in islice(outer, 401):
        inner = directory.search(MANY, EVERYBODY, attributes=(), page_size=2)
        assert directory.read(entry.dn) is not None
        assert next(inner).dn
        count += 1
    outer.close()  # type: ignore[attr-defined]
    assert count == 401


def test_a_long_list_needs_little_memory(directory: Directory) -> None:
    people = directory.search(CROWD, EVERYBODY, attributes=("cn",))
    first = next(people)
    tracemalloc.start()
    try:
        count = len({first.dn}) + sum(1 for _ in people)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == SIZES[CROWD]
    assert peak < 1_500_000  # all entries at once take 2.6 MB


def test_changes_are_made_in_order(directory: Directory, base: DN) -> None:
    bob = person(directory, base, mail=["a@x", "b@x"], title=["boss"])
    changes = [Change.delete("mail", "a@x"), Change.add("mail", "c@x", "d@x"), Change.replace("sn", "y", "z")]
    assert directory.modify(bob, [*changes, Change.delete("title"), Change.replace("description")]) is None
    entry = directory.read(bob)
    assert entry is not None
    assert {name: set(entry.values(name)) for name in entry.raw if name not in {"objectClass", "cn"}} == {
        "mail": {"b@x", "c@x", "d@x"},
        "sn": {"y", "z"},
    }


def test_a_change_can_depend_on_the_entry(directory: Directory, base: DN) -> None:
    bob = person(directory, base, title=["boss"])
    with pytest.raises(Conflict, match="changed meanwhile") as caught:
        directory.modify(bob, [Change.replace("title", "clerk")], only_if=equals("title", "*(x)"))
    assert result_code(caught.value) == 122
    directory.modify(bob, [Change.replace("title", "clerk")], only_if=equals("title", "boss"))
    assert directory.read(bob, ("title",)) == Entry(bob, {"title": [b"clerk"]})


def test_writes_can_return_the_entry(directory: Directory, base: DN) -> None:
    bob = person(directory, base, userPassword=[b"\xff\xfe"])
    seen = operations(directory)
    after = directory.modify(bob, [Change.add("sn", "y")], return_entry=("sn", "userPassword"))
    assert after == Entry(bob, {"sn": [b"x", b"y"], "userPassword": [b"\xff\xfe"]})
    assert [operation for operation, _ in seen] == ["modify"]
    new = dn(("cn", "new"), base=base)
    added = directory.add(new, {"objectClass": ["person"], "cn": ["new"], "sn": ["x"]}, return_entry=("sn",))
    assert added == Entry(new, {"sn": [b"x"]})
    assert [operation for operation, _ in seen] == ["modify", "add"]
    assert directory.modify(bob, [], return_entry=("sn",)) == Entry(bob, {"sn": [b"x", b"y"]})
    assert directory.modify(bob, []) is None


def test_names_can_change_and_move(directory: Directory, base: DN) -> None:
    bob, alice = person(directory, base), person(directory, base, "alice")
    for new in (dn(("cn", "Bob"), base=base), dn(("cn", "b+b"), base=base), dn(("cn", "b+b"), base=alice)):
        directory.rename(bob, new)
        entry = directory.read(new)
        assert entry is not None
        assert entry.dn == new
        assert len(entry.values("cn")) == 1
        assert same_dn(bob, new) or directory.read(bob) is None
        bob = new
    carol = person(directory, base, "carol")
    with pytest.raises(AlreadyExists):
        directory.rename(bob, carol)


def test_logging_in_needs_the_right_password(connect: Connect) -> None:
    for options in ({"password": "wr0ng"}, {"bind_dn": dn(("cn", "nobody"), base=SUFFIX)}):
        with pytest.raises(StoreDenied, match="cannot log in") as caught:
            connect(**options).read(SUFFIX)
        assert "wr0ng" not in str(caught.value)
        assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(("bind_dn", "password"), [("", PASSWORD), (WRITER, ""), (WRITER, None), ("", None)])
def test_nobody_is_not_an_account(slapd: Server, bind_dn: str, password: str | None) -> None:
    with pytest.raises(ConfigurationError, match="bind DN and its password"):
        Endpoint(slapd.url, bind_dn, password)


def test_passwords_are_verified(directory: Directory, base: DN) -> None:
    ligature = "\ufb01nd \u00b2"  # what RFC 4013 would make "find 2" of
    bob = person(directory, base, userPassword=[ligature])
    seen = operations(directory)
    assert directory.verify(bob, ligature)
    assert not directory.verify(bob, "find 2")
    assert not directory.verify(base, "x")
    assert not directory.verify(dn(("cn", "nobody"), base=base), "x")
    assert seen == [("bind", bob), ("bind", bob), ("bind", base), ("bind", dn(("cn", "nobody"), base=base))]
    assert not directory.verify(bob, "")
    assert len(seen) == 4


def test_the_server_tells_what_it_can(directory: Directory) -> None:
    seen = operations(directory)
    assert directory.supports(controls=(_ldap3.PAGED, _ldap3.ASSERTION, _ldap3.POST_READ))
    assert directory.supports(extensions=(_ldap3.START_TLS,), features=("1.3.6.1.1.14",))
    assert not directory.supports(controls=("1.2.3",))
    assert _ldap3.PAGED in directory.supported_controls
    assert directory.facts.suffixes == (SUFFIX,)
    assert {"inetorgperson", "person"} <= directory.object_classes
    assert {"mail", "rfc822mailbox", "cn", "commonname", "userpassword"} <= directory.attribute_types
    assert not {"", "desc", "maildir"} & directory.attribute_types
    assert [name for operation, name in seen if operation == "search"] == ["", "cn=Subschema"]


def test_threads_share_a_directory(directory: Directory, base: DN) -> None:
    seen = operations(directory)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            mine = person(directory, base, f"thread{number}")
            for turn in range(10):
                directory.modify(mine, [Change.replace("title", f"{number} {turn}")])
                assert directory.read(mine, ("title",)) == Entry(mine, {"title": [f"{number} {turn}".encode()]})
                assert mine in {entry.dn for entry in directory.search(base, EVERYBODY, page_size=2)}
        except BaseException as error:  # noqa: BLE001 shown in the main thread
            failures.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert 1 <= Counter(operation for operation, _ in seen)["bind"] <= 6
