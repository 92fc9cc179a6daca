"""People from a CSV file or a directory as a state: who left there is switched off or goes, and half a source is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from mailstore import Store, open_store
from mailstore.config import StoreConfig
from mailstore.errors import ConfigurationError, InvalidValue, LimitExceeded, MailstoreError, StoreError
from mailstore.passwords import hash_password
from mailstore.sql.iredmail.store import create_schema
from mailstore.state import Applier, check_removals, plan, read_state
from mailstore.state.sources import read_source
from tests.ldap.rig import LdapRig
from tests.stores import StoreRig

READY = hash_password("correct horse", "SSHA512")
A, B, C = (f"{name}@example.com" for name in "abc")


@pytest.fixture
def store(workdir: Path) -> Store:
    config = StoreConfig(url=f"iredmail+sqlite:///{workdir}/vmail.db")
    create_schema(config, None)
    made = open_store(config.url, home_root=str(workdir))
    made.domains.create("example.com")
    for address in (A, B, C):
        made.accounts.create(address, password_hash=READY)
    return made


def outcome(store: Store, path: Path, limit: str = "100%") -> list[tuple[str, str]]:
    state = read_state(path, sources=read_source)
    made = plan(store, state)
    check_removals(made, limit)
    return [(one.name, one.action) for one in Applier(store, state, made).run()]


HEADER = 'manage = "domain"\ndomains = ["example.com"]\nabsent = "disable"\n'
CSV = f"""{HEADER}
[[source]]
type = "csv"
file = "people.csv"
delimiter = ";"
fields = {{address = "Mail", name = "Name", enabled = {{from = "State", is = "Active"}}}}
values = {{quota = "1G"}}
[end]
"""


def test_rows_of_a_file_are_people(store: Store, workdir: Path) -> None:
    (workdir / "state.toml").write_text(CSV)
    (workdir / "people.csv").write_text(
        f"\ufeffMail;Name;State\n{A};Anna, A;active\n{B};Bob;left\n;;\n", encoding="utf-8"
    )
    assert outcome(store, workdir / "state.toml") == [(A, "updated"), (B, "updated"), (C, "disabled")]
    anna, bob = store.accounts.get(A), store.accounts.get(B)
    assert (anna.name, str(anna.quota), anna.enabled, bob.enabled) == ("Anna, A", "1G", True, False)
    assert outcome(store, workdir / "state.toml", "0") == []


@pytest.mark.parametrize(
    "data",
    [
        "",
        "Mail;Name;State\n",
        f"Mail;Name\n{A};Anna\n",
        f"Mail;Name;State\n{A};Anna;active",
        f"Mail;Name;State\n{A};Anna;active\n{B};Bo\n",
        f'Mail;Name;State\n"{A};Anna;active\n',
        f"Mail;Name;State\n{A};Ann\udce4;active\n",
        "Mail;Name;State\nnonsense;Anna;active\n",
        f"Mail;Name;State\n{A};Anna;active\n{A};Anna;active\n",
        f"Mail;Name;State\n{A};Anna;active\nx@elsewhere.org;X;active\n",
    ],
)
def test_half_a_file_is_none(store: Store, workdir: Path, data: str) -> None:
    (workdir / "state.toml").write_text(CSV)
    (workdir / "people.csv").write_bytes(data.encode("utf-8", "surrogateescape"))
    with pytest.raises(MailstoreError):
        outcome(store, workdir / "state.toml")
    assert all(account.enabled for account in store.accounts.list())


def test_a_file_that_is_not_there_and_too_few_rows(store: Store, workdir: Path) -> None:
    path = workdir / "state.toml"
    path.write_text(CSV)
    with pytest.raises(OSError, match=r"people\.csv"):
        outcome(store, path)
    (workdir / "people.csv").write_text(f"Mail;Name;State\n{A};Anna;active\n")
    with pytest.raises(LimitExceeded, match="2 of 3"):
        outcome(store, path, "50%")
    path.write_text(CSV.replace("values =", "at_least = 2\nvalues ="))
    with pytest.raises(InvalidValue, match="at least 2"):
        outcome(store, path)


@pytest.fixture
def directory(rigs: Callable[[str], StoreRig]) -> LdapRig:
    rig = cast("LdapRig", rigs("ldap"))
    rig.clear()
    with rig.open_without_disk() as people:
        people.domains.create("example.com")
        people.accounts.create(A, password_hash=READY, name="Anna")
        people.accounts.create(B, password_hash=READY, enabled=False)
    return rig


def of_directory(rig: LdapRig, **changes: str) -> str:
    login = rig.server.bind("vmailadmin")
    said = {
        "url": rig.server.url, "bind_dn": login.dn, "base": rig.server.suffix, "filter": "(objectClass=mailUser)", **changes,
    }  # fmt: skip
    keys = "".join(f'{name} = "{value}"\n' for name, value in said.items())
    return (
        f'{HEADER}[[source]]\ntype = "ldap"\npassword_file = "secret"\n{keys}'
        'fields = {address = "mail", name = "cn", enabled = {from = "accountStatus", is = "active"}}\n[end]\n'
    )


def test_entries_of_a_directory_are_people(store: Store, directory: LdapRig, workdir: Path) -> None:
    path = workdir / "state.toml"
    (workdir / "secret").write_text(f"{directory.server.bind('vmailadmin').password}\n")
    path.write_text(of_directory(directory))
    assert outcome(store, path) == [(A, "updated"), (B, "updated"), (C, "disabled")]
    assert (store.accounts.get(A).name, store.accounts.get(B).enabled) == ("Anna", False)
    assert outcome(store, path, "0") == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"url": "ldap://127.0.0.1:9"}, StoreError),
        ({"bind_dn": "cn=nobody,dc=example,dc=com"}, StoreError),
        ({"base": "ou=gone,dc=example,dc=com"}, InvalidValue),
        ({"filter": "(objectClass=nothing)"}, InvalidValue),
        ({"filter": "(&(mail=*)"}, MailstoreError),
        ({"filter": "mail=*"}, InvalidValue),
        ({"colour": "red"}, InvalidValue),
        ({"bind_dn": ""}, ConfigurationError),
    ],
)
def test_a_directory_that_does_not_answer_wholly_removes_nobody(
    store: Store, directory: LdapRig, workdir: Path, changes: dict[str, str], kind: type[MailstoreError]
) -> None:
    path = workdir / "state.toml"
    (workdir / "secret").write_text(f"{directory.server.bind('vmailadmin').password}\n")
    path.write_text(of_directory(directory, **changes))
    with pytest.raises(kind):
        outcome(store, path)
    assert all(account.enabled for account in store.accounts.list())
