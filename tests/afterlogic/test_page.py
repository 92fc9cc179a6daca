"""What docs/afterlogic.md says about rights is enough, and no more than it says is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from mailstore import StoreDenied, open_store, purge_due
from mailstore.sql.afterlogic.settings import AccountSettings, DomainSettings
from tests.afterlogic.conftest import only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.sql.afterlogic.store import AfterLogicStore
    from tests.afterlogic.rig import Rig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "afterlogic.md"
WORDS = {"mailstore": "change-me", "mailstore_purge": "change-me-too"}

pytestmark = only("mysql", "postgresql")


def grants(kind: str) -> str:
    found = re.search(rf"<!-- grants: {kind} -->\n```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def urls(rig: Rig, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """URLs of the rig's database for the accounts of the page, made as it says."""
    kind = "postgresql" if rig.name.endswith("postgresql") else "mysql"
    server: Any = request.getfixturevalue("mariadb" if kind == "mysql" else "postgresql")
    database = str(make_url(rig.native).database)
    server.execute(grants(kind).replace("webmail.", f"{database}.").replace("'localhost'", "'%'"), database)
    place, options = rig.url.split("?")
    try:
        yield {user: re.sub("//.*?@", f"//{user}:{word}@", place) + f"?{options}" for user, word in WORDS.items()}
    finally:
        for user in WORDS:
            if kind == "mysql":
                server.execute(f"DROP USER {user}@'%'")
            else:
                server.execute(f"DROP OWNED BY {user}; DROP ROLE {user}", database)


def everything(store: AfterLogicStore) -> None:
    """Do everything that the page says is done."""
    store.domains.create("example.com")
    store.domains.create("other.com")
    store.domains.update("example.com", settings=DomainSettings(default_skin="White"), enabled=True)
    store.accounts.create("bob@example.com", password="x", aliases=["b@example.com"])
    store.accounts.create_many({"address": f"u{number}@example.com", "password": "x"} for number in range(3))
    store.accounts.create("bob@gmail.com", password="x", settings=AccountSettings(parent="bob@example.com"))
    store.accounts.create("ann@elsewhere.org", password="x", settings=AccountSettings(default_domain=True))
    store.accounts.update(
        "bob@example.com", name="Bob", password="y", quota="1G", aliases=["c@example.com"],
        settings=AccountSettings(capabilities="x", signature="x"),
    )  # fmt: skip
    store.accounts.update_all("example.com", password="z", enabled=True)
    record = store.accounts.delete("bob@example.com", keep_mailbox_days=30)
    assert record is not None
    assert store.deleted.reschedule(record.id, keep_mailbox_days=1).restorable
    assert store.deleted.restore(record.id).aliases == ("c@example.com",)
    store.accounts.delete("bob@gmail.com", parent="bob@example.com")
    store.accounts.delete("ann@elsewhere.org")
    if store.config.webmail_edition == "aurora":
        store.tenants.create("acme", password="x")
        store.tenants.update("acme", max_accounts=3, enabled=False)
        store.tenants.delete("acme")
    assert store.domains.delete("example.com", keep_mailbox_days=0) == 4
    assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_the_documented_rights_are_enough(rig: Rig, urls: dict[str, str]) -> None:
    options: Any = {"homes": str(rig.root), "home_owner": f"{rig.owner[0]}:{rig.owner[1]}"}
    with open_store(urls["mailstore"], **options) as store:
        everything(store)  # type: ignore[arg-type]
    with open_store(urls["mailstore_purge"], **options) as store:
        assert [outcome.action for outcome in purge_due(store)] == ["purged"] * 4
        assert [finding for finding in store.check() if finding.severity == "error"] == []
        with pytest.raises(StoreDenied):
            store.domains.create("new.com")
