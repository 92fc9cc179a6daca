"""Domains and addresses that are called otherwise on their way: everywhere, and never two by one name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mailstore import InvalidValue
from mailstore.transfer import Loader, Renaming, dump, read_entries, within
from tests.test_cli_rig import Cli, run
from tests.transfer.filled import fill, text_of, timeless
from tests.transfer.test_loading import account, lines
from tests.transfer.test_migration import sides, url  # noqa: F401 sides is a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    from tests.stores import StoreRig

MAPPING = ("example.com=new.example", "bob@example.com=rob@new.example", "other.org=another.org")


def renamed(text: str) -> set[str]:
    """Return the lines of a dump in which everything was renamed by hand."""
    for old, new in (
        ("bob@example.com", "rob@new.example"),
        ("example.com", "new.example"),
        ("other.org", "another.org"),
    ):
        text = text.replace(old, new)
    return set(timeless(text).splitlines())


def comparable(text: Iterable[str]) -> list[str]:
    """Return the lines of a dump without homes, in an order that names do not decide about."""
    rows = [{**json.loads(line), "home": None} for line in text]
    return sorted(
        str({name: sorted(value) if isinstance(value, list) else value for name, value in row.items()}) for row in rows
    )


@pytest.mark.parametrize("name", ["sqlite", "mailinabox", "ldap", "atmail"])
def test_a_name_is_another_wherever_it_stands(name: str, emptied: Callable[[str], StoreRig]) -> None:
    rig = emptied(name)
    fill(rig.shared)
    text = text_of(rig.shared)
    rig = emptied(name)
    entries = read_entries(text.splitlines())
    outcomes = list(Loader(rig.shared, keep_homes=False, renaming=Renaming.parse(MAPPING)).load(entries))
    assert [one for one in outcomes if one.action == "refused"] == []
    assert next(one.entry.was for one in outcomes if one.entry.key == "rob@new.example") == "bob@example.com"
    assert comparable(timeless(text_of(rig.shared)).splitlines()) == comparable(renamed(text))
    again = Loader(rig.shared, keep_homes=False, renaming=Renaming.parse(MAPPING)).load(read_entries(text.splitlines()))
    assert {one.action for one in again} == {"unchanged"}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (
            {"record": "access-list", "level": "bob@example.com", "direction": "inbound",
             "whitelist": ["@example.com", "@.example.com", "ann@example.com", "a@elsewhere.org", "10.0.0.1"]},
            {"level": "rob@new.example",
             "whitelist": ["@new.example", "@.new.example", "ann@new.example", "a@elsewhere.org", "10.0.0.1"]},
        ),
        (
            {"record": "greylisting", "level": "example.com", "whitelist": ["@OTHER.org", "2001:db8::/32"]},
            {"level": "new.example", "whitelist": ["@another.org", "2001:db8::/32"]},
        ),
        ({"record": "throttle", "level": "global", "direction": "outbound"}, {"level": "global"}),
        ({"record": "spam-policy", "level": "example.com"}, {"level": "new.example"}),
        (
            {"record": "list", "address": "crew@example.com", "owners": ["bob@example.com"],
             "moderators": ["bob+x@example.com"]},
            {"address": "crew@new.example", "owners": ["rob@new.example"], "moderators": ["rob+x@new.example"]},
        ),
        (
            {"record": "account", "address": "ann@example.com", "outbound_relay": "[example.com]:25",
             "transport": "smtp:example.com", "recovery_email": "bob@example.com", "home": "/srv/example.com/ann",
             "forwarding": ["x@sub.example.com"]},
            {"address": "ann@new.example", "outbound_relay": "[example.com]:25", "transport": "smtp:example.com",
             "recovery_email": "rob@new.example", "home": "/srv/example.com/ann", "forwarding": ["x@sub.example.com"]},
        ),
    ],
)  # fmt: skip
def test_names_are_told_from_hosts_and_paths(values: dict[str, Any], wanted: dict[str, Any]) -> None:
    (entry,) = Renaming.parse(MAPPING).entries(read_entries(lines(values)))
    assert {name: entry.to_dict()[name] for name in wanted} == wanted


def test_two_names_change_places() -> None:
    entries = read_entries(lines(account("a", forwarding=["b@example.com"]), account("b")))
    mapping = Renaming.parse(["a@example.com=b@example.com", "# the other way", "", "b@example.com=a@example.com"])
    assert [(one.key, one.value("forwarding"), one.clash) for one in mapping.entries(entries)] == [
        ("b@example.com", ("a@example.com",), ""),
        ("a@example.com", (), ""),
    ]


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        (["a.example"], "old=new"),
        (["a.example=b@c.example"], "a domain becomes a domain"),
        (["a.example=b.example", "A.example=c.example"], "cannot become both"),
        (["a.example=b example"], "a.example=b example"),
    ],
)
def test_a_mapping_that_is_none_is_refused(mapping: list[str], why: str) -> None:
    with pytest.raises(InvalidValue, match=why):
        Renaming.parse(mapping)


def _two_domains() -> list[str]:
    rows = [{"record": "domain", "domain": name} for name in ("first.example", "second.example")]
    info = {**account("info"), "address": "info@first.example"}
    other = {"record": "alias", "address": "info@second.example", "members": ["kim@second.example"]}
    return lines(*rows, info, {**info, "address": "kim@second.example"}, other)


def test_of_two_with_one_name_the_second_is_refused(emptied: Callable[[str], StoreRig]) -> None:
    store = emptied("sqlite").open(homes=[])
    both, mapping = _two_domains(), ["first.example=one.example", "second.example=one.example"]
    loader = Loader(store, go_on=True, renaming=Renaming.parse(mapping))
    with store.rehearsal() as rehearsed:
        plan = Loader(rehearsed, go_on=True, rehearsed=True, renaming=Renaming.parse(mapping))
        planned = [(one.entry.origin, one.action) for one in plan.load(read_entries(both))]
    outcomes = list(loader.load(read_entries(both)))
    assert [(one.entry.origin, one.action) for one in outcomes] == planned == [
        ("first.example", "created"), ("second.example", "refused"),
        ("info@first.example", "created"), ("kim@second.example", "refused"), ("info@second.example", "refused"),
    ]  # fmt: skip
    assert "first.example and second.example would both become one.example" in outcomes[1].reason
    # Told to leave what is there, both domains come together, and only what has one name does not.
    together = Loader(store, go_on=True, if_exists="skip", renaming=Renaming.parse(mapping))
    assert [(one.entry.origin, one.action) for one in together.load(read_entries(both))] == [
        ("first.example", "unchanged"), ("second.example", "skipped"),
        ("info@first.example", "unchanged"), ("kim@second.example", "created"), ("info@second.example", "refused"),
    ]  # fmt: skip


def test_some_domains_of_a_file(emptied: Callable[[str], StoreRig]) -> None:
    rig = emptied("sqlite")
    fill(rig.shared)
    text = text_of(rig.shared).splitlines()
    for names in (["example.com"], ["second.example", "example.com"]):
        chosen = [one.to_dict() for one in within(read_entries(text), names)]
        assert chosen == [one.to_dict() for one in dump(rig.shared, domains=names)]


def test_a_migration_under_other_names(sides: tuple[Cli, Cli], workdir: Path) -> None:  # noqa: F811
    source, target = sides
    mapping = workdir / "names"
    mapping.write_text("# the merger\nanna@example.com=ann@example.com\n")
    where = (
        "migrate",
        "--from",
        url(source),
        "--to",
        url(target),
        "--yes",
        "--format",
        "json",
        "--map-from",
        str(mapping),
    )
    done = run(*where)
    assert done.exit_code == 0, done.stderr
    assert [(row["name"], row["was"]) for row in json.loads(done.stdout)] == [
        ("example.com", ""), ("ann@example.com", "anna@example.com"), ("bob@example.com", "")
    ]  # fmt: skip
    collision = run(*where, "--map", "bob@example.com=ann@example.com", "--plan")
    assert collision.exit_code == 3
    assert "would both become ann@example.com" in collision.stdout
