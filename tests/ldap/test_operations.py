"""How many operations a call sends, whatever stands in the tree; and that long lists stay out of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailstore.ldap.iredmail.store import IRedMailDirectory
from tests.faults.children import fork
from tests.ldap.faults import HASH, make_rig
from tests.ldap.rig import LdapRig, counting
from tests.servers.slapd import Slapd

BOB, EVE = "bob@example.com", "eve@other.com"
SIZES = (10, 1200)
MANY = 20_000
PAGE = 500


@pytest.fixture(scope="module")
def server(scratch_root: Path) -> Iterator[Slapd]:
    with Slapd(scratch_root / "operations") as running:
        yield running


@pytest.fixture(scope="module")
def module_rig(server: Slapd, scratch_root: Path, vmail_owner: tuple[int, int]) -> Iterator[LdapRig]:
    rig = make_rig(server, scratch_root / "operations", vmail_owner)
    yield rig
    rig.close()


@pytest.fixture(scope="module", params=SIZES)
def store(request: pytest.FixtureRequest, module_rig: LdapRig) -> IRedMailDirectory:
    """Three domains, two accounts, and many others."""
    module_rig.clear()
    fill(module_rig, request.param)
    return module_rig.shared


def fill(rig: LdapRig, count: int) -> None:
    store = rig.shared
    for domain in ("example.com", "other.com", "large.com"):
        store.domains.create(domain)
    for address in (BOB, EVE):
        store.accounts.create(address, password_hash=HASH, home=f"/var/vmail/{address}")
    own = [f"{record}\n\n" for record in rig.server.dump().split("\n\n") if ",o=domains," in record.partition("\n")[0]]
    base = f"ou=Users,domainName=large.com,o=domains,{rig.server.suffix}"
    others = (
        f"dn: mail=u{number:05}@large.com,{base}\nobjectClass: inetOrgPerson\nobjectClass: mailUser\n"
        f"mail: u{number:05}@large.com\nuid: u{number:05}\ncn: Number {number}\nsn: u{number:05}\n"
        f"accountStatus: active\nenabledService: mail\nenabledService: deliver\nhomeDirectory: /var/vmail/l/u{number}/\n"
        f"userPassword: {HASH}\n\n"
        for number in range(count)
    )
    store.close()
    rig.server.load("".join([*own, *others]))
    store.accounts.exists(BOB)  # connects, so that no count has that in it


def sent(store: IRedMailDirectory, work: Callable[[], object]) -> list[str]:
    with counting(store) as operations:
        work()
    return operations.kinds


def test_create_and_delete(store: IRedMailDirectory) -> None:
    kinds = sent(store, lambda: store.accounts.create("new@example.com", password_hash=HASH))
    assert kinds == ["modify", "search", "add", "modify"]
    # The lock, the entry, who refers to it.
    kinds = sent(store, lambda: store.accounts.delete("new@example.com"))
    assert kinds == ["modify", "search", "search", "delete", "modify"]


def test_create_with_aliases_in_another_domain(store: IRedMailDirectory) -> None:
    kinds = sent(store, lambda: store.accounts.create("fresh@example.com", password_hash=HASH, aliases=["n@other.com"]))
    assert sorted(kinds) == ["add", *["modify"] * 4, *["search"] * 3]
    store.accounts.delete("fresh@example.com")


def test_create_under_a_limit_reads_only_its_domain(store: IRedMailDirectory) -> None:
    store.domains.update("example.com", max_accounts=5)
    kinds = sent(store, lambda: store.accounts.create("newer@example.com", password_hash=HASH))
    assert kinds == ["modify", "search", "search", "add", "modify"]
    store.accounts.delete("newer@example.com")
    store.domains.update("example.com", max_accounts=None)


def test_reading(store: IRedMailDirectory) -> None:
    assert sent(store, lambda: store.accounts.get(BOB)) == ["search"]
    assert sent(store, lambda: store.accounts.exists(BOB)) == ["search"]
    assert sent(store, lambda: store.accounts.password_hash(BOB)) == ["search"]
    assert sent(store, lambda: store.domains.get("example.com")) == ["search", "search"]
    # By hash, in this process, or by a bind over a connection of its own, which is not counted.
    assert sent(store, lambda: store.accounts.verify_password(BOB, "secret")) == ["search"]


def test_updates(store: IRedMailDirectory) -> None:
    assert sent(store, lambda: store.accounts.update(BOB, name="Bob", enabled=False)) == ["search", "modify"]
    assert sent(store, lambda: store.accounts.update(BOB, name="Bob", enabled=True)) == ["search", "modify"]
    kinds = sent(store, lambda: store.accounts.add_aliases(BOB, ["b@example.com"]))
    assert kinds.count("modify") == 3
    assert kinds.count("search") <= 5
    store.accounts.remove_aliases(BOB, ["b@example.com"])
    assert sent(store, lambda: store.domains.update("example.com", name="Example")).count("modify") == 3


def test_rename(store: IRedMailDirectory) -> None:
    """One more for each entry that refers to the account."""
    for referring in (0, 1):
        if referring:
            store.accounts.update(EVE, forwarding=[BOB])
        kinds = sent(store, lambda: store.accounts.rename(BOB, "robert@example.com"))
        assert kinds.count("modify") == 4 + referring
        assert kinds.count("rename") == 1
        assert kinds.count("search") <= 5 + referring
        store.accounts.rename("robert@example.com", BOB)
    store.accounts.update(EVE, forwarding=[])


def test_lists_are_read_in_pages(store: IRedMailDirectory) -> None:
    entries = store.accounts.count(domain="large.com")
    pages = -(-entries // PAGE)
    assert sent(store, lambda: list(store.accounts.list(domain="large.com"))) == ["search"] * (pages + 1)
    assert sent(store, lambda: list(store.accounts.list(domain="example.com"))) == ["search"] * 2
    assert sent(store, lambda: list(store.accounts.list(search="eve@"))) == ["search"] * 2


def test_a_long_list_in_little_memory(module_rig: LdapRig) -> None:
    """What is held does not grow with the list: a run of entries that is sorted, and the names that were given out."""
    module_rig.clear()
    fill(module_rig, MANY)

    def peak() -> tuple[int, str, int]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = memory("VmRSS")
        listing = module_rig.shared.accounts.list(domain="large.com")
        first = next(listing).address
        return sum(1 for _ in listing), first, memory("VmHWM") - before

    rest, first, kilobytes = fork(module_rig, peak).wait()
    assert (rest, first) == (MANY - 1, "u00000@large.com")
    assert kilobytes < 40_000  # a fourth of the list takes 25 MB


def memory(name: str) -> int:
    """Return what the kernel says about the memory of this process, in KB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
