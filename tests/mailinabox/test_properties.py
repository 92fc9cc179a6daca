"""Automatic aliases and domains after any sequence of changes, against the box's rule written down once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstore import Refused
from mailstore.passwords import hash_password
from tests.mailinabox.rig import HOSTNAME, BoxRig, make_box
from tests.servers.process import make_directory

if TYPE_CHECKING:
    from mailstore.sql.mailinabox.store import MailInABoxStore

READY = hash_password("secret")
DOMAINS = ("a.com", "b.org", "xn--bcher-kva.example", HOSTNAME)
SHOWN = {"xn--bcher-kva.example": "bücher.example"}
ADMINISTRATOR = f"administrator@{HOSTNAME}"

names = st.sampled_from(["ann", "bob", "abuse", "postmaster", "admin", "hostmaster", "sales", ""])
addresses = st.builds("{}@{}".format, names, st.sampled_from(DOMAINS))
steps = st.tuples(
    st.sampled_from(["user", "alias", "remove user", "remove alias", "rename", "panel"]), addresses, addresses
)


@pytest.fixture(scope="module")
def box(scratch_root: Path) -> Iterator[BoxRig]:
    owner = (0, 0)
    directory = make_directory(scratch_root / "box-properties")
    rig = BoxRig("properties", make_box(directory, owner), owner)
    rig.shared = rig.open(homes=[])
    yield rig
    rig.close()


def apply(store: MailInABoxStore, box: BoxRig, step: tuple[str, str, str]) -> None:
    kind, address, other = step
    with suppress(Refused):
        match kind:
            case "user":
                store.accounts.create(address, password_hash=READY)
            case "alias":
                store.aliases.create(address, members=["postmaster@elsewhere.org"])
            case "remove user":
                store.accounts.delete(address)
            case "remove alias":
                store.aliases.delete(address)
            case "rename":
                store.aliases.rename(address, other)
            case "panel":  # of a time before automatic aliases had a table of their own
                box.execute("INSERT OR IGNORE INTO aliases (source, destination) VALUES (?, ?)", address, ADMINISTRATOR)


def expected(users: Sequence[str], aliases: Sequence[str]) -> dict[str, str]:
    def domain(address: str) -> str:
        return address.split("@")[1]

    counted = [address for address in aliases if not address.startswith(("postmaster@", "admin@", "abuse@", "@"))]
    real = {domain(address) for address in [*users, *counted]}
    made = {f"{name}@{served}": ADMINISTRATOR for served in real for name in ("postmaster", "admin", "abuse")}
    made[f"hostmaster@{HOSTNAME}"] = ADMINISTRATOR
    for served in {domain(address) for address in [*users, *aliases]} & SHOWN.keys():
        made[f"@{SHOWN[served]}"] = f"@{served}"
    return made


def served(store: MailInABoxStore, box: BoxRig) -> tuple[list[str], set[str]]:
    """Return the domains, and those with users."""
    users = {row["email"].split("@")[1] for row in box.rows("users")}
    return [item.domain for item in store.domains.list()], users


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=15))
def test_automatic_aliases_are_always_those_of_the_rule(box: BoxRig, sequence: list[tuple[str, str, str]]) -> None:
    box.clear()
    store = box.shared
    for step in sequence:
        before = served(store, box)
        apply(store, box, step)
        notices = store.take_notices()
        if step[0] != "panel":
            assert bool(notices) == (served(store, box) != before)
    # One more change, so that what the panel did last is looked at as well.
    store.accounts.create("last@last.com", password_hash=READY)
    users, aliases = [row["email"] for row in box.rows("users")], [row["source"] for row in box.rows("aliases")]
    found = {row["source"]: row["destination"] for row in box.rows("auto_aliases")}
    wanted = expected(users, aliases)
    # Names of domains that went with the aliases which the box removes last stay until the next change, as there.
    assert {key: value for key, value in found.items() if not key.startswith("@")} == {
        key: value for key, value in wanted.items() if not key.startswith("@")
    }
    assert found.items() >= wanted.items()
    if "panel" not in {kind for kind, _, _ in sequence}:  # which allows an alias over a user
        assert not set(users) & set(aliases)
