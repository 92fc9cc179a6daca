"""The documentation says what is true: pages made from the code are current, and every call in them runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from mailstore import Edit, config, open_store, purge_due
from mailstore.config import StoreConfig
from mailstore.registry import DRIVERS
from mailstore.sql.iredmail.store import create_schema
from tests.documented_calls import PAGES, calls_of, run_expressions
from tests.servers.process import make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailstore.store import Store
    from tests.servers.mariadb import MariaDB
    from tests.servers.postgresql import PostgreSQL

PROJECT = Path(__file__).resolve().parent.parent
STORE_PAGE = PROJECT / "docs" / "iredmail.md"
PASSWORD = "correct horse battery"
SOON = date.today() + timedelta(days=2)  # noqa: DTZ011 whatever the zone, this is later

_LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")


def _grants(engine: str) -> str:
    found = re.search(
        rf"<!-- grants: {engine} -->\n```sql\n(.*?)```", STORE_PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None
    return found[1]


def _populate(store: Store) -> None:
    """Make what the examples assume."""
    store.domains.create("example.com", name="Example")
    store.accounts.create("bob@example.com", password=PASSWORD, aliases=["bobby@example.com"])
    store.accounts.create("eve@example.com", password=PASSWORD)
    store.aliases.create("sales@example.com", members=["bob@example.com"])
    store.admins.create("admin@example.net", password=PASSWORD, domains=["example.com"])


def test_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _run_everything(store: Store) -> None:
    """Run every documented call, and what the table does not show."""
    run_expressions(calls_of(next(page for page in PAGES if page.path == STORE_PAGE)), store)
    _populate(store)
    store.domains.create("example.org", sender_bcc="audit@example.com", outbound_relay="[smtp.example.net]:25")
    store.domains.add_alias_domains("example.com", ["example.info"])
    store.accounts.update(
        "bob@example.com", sender_bcc="audit@example.com", outbound_relay="[smtp.example.net]:25",
        forwarding=["eve@example.com"], aliases=Edit(add=["bob.s@example.info"]),
    )  # fmt: skip
    store.aliases.update("sales@example.com", moderators=["bob@example.com"])
    store.admins.promote("bob@example.com")
    store.accounts.create_many([{"address": f"a{n}@example.org", "password": PASSWORD} for n in range(3)])
    store.accounts.rename("bob@example.com", "bob@example.org")
    record = store.accounts.delete("bob@example.org", keep_mailbox_days=30)
    assert record is not None
    assert store.deleted.reschedule(record.id, keep_mailbox_days=1).restorable
    restored = store.deleted.restore(record.id)
    assert restored.aliases == ("bob.s@example.info", "bobby@example.com")
    assert (restored.admin, restored.sender_bcc) == (True, "audit@example.com")
    store.domains.remove_alias_domains("example.com", ["example.info"])
    store.domains.delete("example.org", keep_mailbox_days=0)
    assert [finding for finding in store.check() if finding.severity == "error"] == []


@pytest.fixture(params=["mysql", "postgresql"])
def limited_urls(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """URLs of a database for the accounts of docs/iredmail.md, made as that page says."""
    kind: str = request.param
    name = "vmail_documented"
    server: MariaDB | PostgreSQL = request.getfixturevalue("mariadb" if kind == "mysql" else "postgresql")
    server.create_database(name)
    url = server.url(name)
    create_schema(StoreConfig(url=url), None)
    server.execute(_grants(kind).replace("vmail.", f"{name}.").replace("'localhost'", "'%'"), name)
    words = {"mailstore": "change-me", "mailstore_purge": "change-me-too"}
    plain = make_url(url)
    yield {
        user: plain.set(username=user, password=word).render_as_string(hide_password=False)
        for user, word in words.items()
    }
    server.drop_database(name)
    for user in words:
        server.execute(f"DROP USER {user}@'%'" if kind == "mysql" else f"DROP ROLE {user}")


def test_the_documented_rights_are_enough(
    limited_urls: dict[str, str], workdir: Path, vmail_owner: tuple[int, int]
) -> None:
    homes = make_directory(workdir / "homes")
    shutil.chown(homes, *vmail_owner)
    with open_store(limited_urls["mailstore"], homes=homes) as store:
        _run_everything(store)
    with open_store(limited_urls["mailstore_purge"], homes=homes) as store:
        outcomes = sorted(outcome.action for outcome in purge_due(store, today=SOON))
        # What the documented calls deleted is due later.
        assert outcomes == ["purged"] * 4
        assert [finding for finding in store.check() if finding.severity == "error"] == []


def test_the_sample_configuration_is_good() -> None:
    sample = config.load(PROJECT / "daemon" / "systemd" / "mailstore.toml")
    assert sample.stores
    assert {make_url(store.url).drivername for store in sample.stores.values()} <= set(DRIVERS)


def _anchor(heading: str) -> str:
    """Return the anchor that a heading gets when the page is shown."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in PROJECT.glob("docs/*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    path = PROJECT / page
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, fragment in _LINK.findall(text):
        if target.startswith(("http:", "https:")):
            continue
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert fragment in {_anchor(heading) for heading in headings}, fragment


def test_the_library_example_of_the_readme_runs(workdir: Path) -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"<!-- library -->\n```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    (workdir / "homes").mkdir()
    url = f"iredmail+sqlite:///{workdir}/vmail.db"
    create_schema(StoreConfig(url=url), None)
    program = (
        example[1]
        .replace("iredmail+postgresql://mailstore@127.0.0.1/vmail", url)
        .replace("/var/vmail/vmail1", f"{workdir}/homes")
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sales@example.com" in done.stdout
