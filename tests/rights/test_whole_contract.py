"""Every operation of the contract keeps to an admin's own domains: none is forgotten, whatever is added to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailstore import BulkRefused, Capability, NotFound, NotSupported, PermissionDenied, Store
from mailstore.passwords import hash_password
from mailstore.store import Accounts, Admins, Aliases, DeletedMailboxes, Domains, MailingLists
from mailstore.transfer import dump
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from tests.atmail.rig import AtmailRig

READY = hash_password("secret")
FOREIGN = "foreign.org"
BOB, NEW, ALL, CREW = (f"{name}@{FOREIGN}" for name in ("bob", "new", "all", "crew"))
ROOMS: Mapping[str, type] = {
    "domains": Domains,
    "accounts": Accounts,
    "aliases": Aliases,
    "lists": MailingLists,
    "admins": Admins,
    "deleted": DeletedMailboxes,
}

REFUSED: dict[str, Callable[[Store, int], object]] = {
    "domains.create": lambda store, _: store.domains.create("brand-new.org"),
    "domains.get": lambda store, _: store.domains.get(FOREIGN),
    "domains.update": lambda store, _: store.domains.update(FOREIGN, name="Mine"),
    "domains.add_alias_domains": lambda store, _: store.domains.add_alias_domains(FOREIGN, ["third.org"]),
    "domains.remove_alias_domains": lambda store, _: store.domains.remove_alias_domains(FOREIGN, [f"alias-{FOREIGN}"]),
    "domains.rename": lambda store, _: store.domains.rename(FOREIGN, "mine.org"),
    "domains.delete": lambda store, _: store.domains.delete(FOREIGN, keep_mailbox_days=9),
    "accounts.create": lambda store, _: store.accounts.create(NEW, password_hash=READY),
    "accounts.create_many": lambda store, _: store.accounts.create_many([{"address": NEW, "password_hash": READY}]),
    "accounts.get": lambda store, _: store.accounts.get(BOB),
    "accounts.update": lambda store, _: store.accounts.update(BOB, name="Mine"),
    "accounts.update_all": lambda store, _: store.accounts.update_all(FOREIGN, enabled=False),
    "accounts.add_aliases": lambda store, _: store.accounts.add_aliases(BOB, [NEW]),
    "accounts.remove_aliases": lambda store, _: store.accounts.remove_aliases(BOB, [f"robert@{FOREIGN}"]),
    "accounts.rename": lambda store, _: store.accounts.rename(BOB, NEW),
    "accounts.delete": lambda store, _: store.accounts.delete(BOB, keep_mailbox_days=9),
    "accounts.update_many": lambda store, _: store.accounts.update_many([{"address": BOB, "enabled": False}]),
    "accounts.delete_many": lambda store, _: store.accounts.delete_many([BOB], keep_mailbox_days=9),
    "accounts.verify_password": lambda store, _: store.accounts.verify_password(BOB, "secret"),
    "accounts.password_hash": lambda store, _: store.accounts.password_hash(BOB),
    "aliases.create": lambda store, _: store.aliases.create(NEW, members=["x@own.org"]),
    "aliases.get": lambda store, _: store.aliases.get(ALL),
    "aliases.update": lambda store, _: store.aliases.update(ALL, members=["x@own.org"]),
    "aliases.add_members": lambda store, _: store.aliases.add_members(ALL, ["x@own.org"]),
    "aliases.remove_members": lambda store, _: store.aliases.remove_members(ALL, [BOB]),
    "aliases.rename": lambda store, _: store.aliases.rename(ALL, NEW),
    "aliases.delete": lambda store, _: store.aliases.delete(ALL),
    "lists.create": lambda store, _: store.lists.create(NEW),
    "lists.get": lambda store, _: store.lists.get(CREW),
    "lists.update": lambda store, _: store.lists.update(CREW, name="Mine"),
    "lists.add_members": lambda store, _: store.lists.add_members(CREW, ["x@own.org"]),
    "lists.remove_members": lambda store, _: store.lists.remove_members(CREW, [BOB]),
    "lists.rename": lambda store, _: store.lists.rename(CREW, NEW),
    "lists.delete": lambda store, _: store.lists.delete(CREW),
    "admins.create": lambda store, _: store.admins.create("new@admins.org", password_hash=READY, domains=[FOREIGN]),
    "admins.promote": lambda store, _: store.admins.promote(BOB, domains=[FOREIGN]),
    "admins.demote": lambda store, _: store.admins.demote(BOB),
    "admins.get": lambda store, _: store.admins.get("peer@admins.org"),
    "admins.update": lambda store, _: store.admins.update("peer@admins.org", max_domains=3),
    "admins.delete": lambda store, _: store.admins.delete("peer@admins.org"),
    "admins.add_to_domain": lambda store, _: store.admins.add_to_domain(FOREIGN, ["one@admins.org"]),
    "admins.remove_from_domain": lambda store, _: store.admins.remove_from_domain(FOREIGN, ["peer@admins.org"]),
    "admins.verify_password": lambda store, _: store.admins.verify_password("peer@admins.org", "secret"),
    "admins.password_hash": lambda store, _: store.admins.password_hash("peer@admins.org"),
    "deleted.get": lambda store, record: store.deleted.get(record),
    "deleted.reschedule": lambda store, record: store.deleted.reschedule(record, keep_mailbox_days=30),
    "deleted.restore": lambda store, record: store.deleted.restore(record),
    "deleted.restore_domain": lambda store, _: store.deleted.restore_domain("lost.org"),
    "record": lambda store, _: store.record("account", BOB),
    "ldif": lambda store, _: store.ldif("account", BOB),
}
"""Calls about what belongs to a domain of others."""

SHOWN: dict[str, Callable[[Store], object]] = {
    "domains.list": lambda store: list(store.domains.list()),
    "domains.count": lambda store: store.domains.count(search="foreign"),
    "domains.exists": lambda store: store.domains.exists(FOREIGN),
    "accounts.list": lambda store: [*store.accounts.list(), *store.accounts.list(domain=FOREIGN)],
    "accounts.find": lambda store: store.accounts.find([BOB]),
    "accounts.password_hashes": lambda store: store.accounts.password_hashes([BOB]),
    "accounts.count": lambda store: store.accounts.count(domain=FOREIGN),
    "accounts.exists": lambda store: store.accounts.exists(BOB),
    "accounts.homes": lambda store: list(store.accounts.homes()),
    "aliases.list": lambda store: [*store.aliases.list(), *store.aliases.list(domain=FOREIGN)],
    "aliases.count": lambda store: store.aliases.count(domain=FOREIGN),
    "aliases.exists": lambda store: store.aliases.exists(ALL),
    "lists.list": lambda store: [*store.lists.list(), *store.lists.list(domain=FOREIGN)],
    "lists.count": lambda store: store.lists.count(domain=FOREIGN),
    "lists.exists": lambda store: store.lists.exists(CREW),
    "admins.list": lambda store: list(store.admins.list()),
    "admins.count": lambda store: store.admins.count(domain=FOREIGN),
    "admins.exists": lambda store: store.admins.exists("peer@admins.org"),
    "deleted.list": lambda store: [*store.deleted.list(), *store.deleted.list(domain=FOREIGN)],
    "deleted.count": lambda store: store.deleted.count(domain=FOREIGN),
    "deleted.archived": lambda store: list(store.deleted.archived()),
    "deleted.domains": lambda store: list(store.deleted.domains()),
    "check": lambda store: list(store.check()),
    "repair_counters": lambda store: store.repair_counters(),
}
"""Calls that show something, which is never of a domain of others."""

OF_THE_PURGE = {"deleted.claim", "deleted.places", "deleted.note_failure"}
"""What a purge uses; it decides on the whole store, and claims what the admin sees: `tests/contract/test_kept_mail.py`."""
OPEN = {"admins.login", "accounts.services_here"}
"""One proves who somebody is, whoever asks; the other looks at nothing that the store holds."""
OF_THE_STORE = {
    *("name", "key", "former_keys", "capabilities", "homes", "collections"),
    *("transaction", "at_one_moment", "rehearsal", "acting_as", "unrestricted", "take_notices", "close"),
    *("spam_policies", "access_lists", "throttles", "greylisting"),  # `tests/policies/test_rights.py`
}


def operations() -> set[str]:
    """Return all operations of the contract."""
    found = {name for name in vars(Store) if not name.startswith("_")} - ROOMS.keys() - OF_THE_STORE
    for room, kind in ROOMS.items():
        found |= {f"{room}.{name}" for name, what in vars(kind).items() if inspect.isfunction(what) and name[0] != "_"}
    return found


def test_no_operation_is_forgotten() -> None:
    assert operations() == REFUSED.keys() | SHOWN.keys() | OF_THE_PURGE | OPEN


@dataclass(frozen=True)
class Scene:
    """A store, the same as an admin of another domain uses it, the number of a record, and all that is there."""

    store: Store
    acting: Store
    record: int
    content: list[str]


@pytest.fixture(scope="module", params=["sqlite", "ldap", "atmail"])
def scene(request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig]) -> Iterator[Scene]:
    """A store that nobody changes."""
    rig: Any = rigs(request.param)
    rig.clear()
    empty_homes(rig)
    with rig.open(homes=[], home_root=str(rig.root)) as store:
        for domain in ("own.org", FOREIGN):
            store.domains.create(domain)
            store.domains.add_alias_domains(domain, [f"alias-{domain}"])
        store.accounts.create(BOB, password_hash=READY, aliases=[f"robert@{FOREIGN}"])
        store.accounts.create(f"gone@{FOREIGN}", password_hash=READY)
        store.accounts.create("x@own.org", password_hash=READY)
        store.aliases.create(ALL, members=[BOB, "nobody@missing.own.org"])
        if Capability.LISTS in store.capabilities:
            store.lists.create(CREW, members=[BOB])
        record = store.accounts.delete(f"gone@{FOREIGN}", keep_mailbox_days=0)
        store.domains.create("lost.org")
        store.accounts.create("u@lost.org", password_hash=READY)
        store.domains.delete("lost.org", keep_mailbox_days=30)
        if request.param == "atmail":
            _admins_of_atmail(cast("AtmailRig", rig), store)
        else:
            store.admins.create("one@admins.org", password_hash=READY, domains=["own.org"], max_domains=0)
            store.admins.create("peer@admins.org", password_hash=READY, domains=[FOREIGN])
        yield Scene(store, store.acting_as("one@admins.org"), record.id, content(store))


def _admins_of_atmail(rig: AtmailRig, store: Any) -> None:
    from mailstore.sql.atmail.admins.changes import AdminSettings
    from mailstore.sql.atmail.schema.permissions import KNOWN_PERMISSIONS

    store.admins.create("root@admins.org", password_hash=READY, global_admin=True)
    everything_but = [name for name in KNOWN_PERMISSIONS if name not in {"all", "domain.all", "domain.add"}]
    for name, domain in (("one@admins.org", "own.org"), ("peer@admins.org", FOREIGN)):
        settings = AdminSettings(parent="root@admins.org", permissions=everything_but)
        store.admins.create(name, password_hash=READY, domains=[domain], settings=settings)


def content(store: Store) -> list[str]:
    return [repr(entry) for entry in dump(store)]


@pytest.mark.parametrize("operation", REFUSED)
def test_nothing_of_a_domain_of_others_can_be_read_or_changed(scene: Scene, operation: str) -> None:
    with pytest.raises((NotFound, PermissionDenied, BulkRefused, NotSupported)) as refused:
        REFUSED[operation](scene.acting, scene.record)
    if isinstance(refused.value, NotSupported):
        with pytest.raises(NotSupported):
            REFUSED[operation](scene.store, scene.record)
    assert content(scene.store) == scene.content


@pytest.mark.parametrize("operation", SHOWN)
def test_nothing_of_a_domain_of_others_is_shown(scene: Scene, operation: str) -> None:
    try:
        shown = SHOWN[operation](scene.acting)
    except (NotFound, PermissionDenied, NotSupported):
        return
    assert shown in (False, 0) or (FOREIGN not in repr(shown) and "lost.org" not in repr(shown) and shown is not True)
