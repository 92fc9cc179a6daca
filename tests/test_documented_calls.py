"""Every documented call of every product is in its page, and both columns of the table run on a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailstore import Domain
from tests.documented_calls import DOCS, PAGES, Page, calls_of, content, run_commands, run_expressions
from tests.stores import StoreRig, empty_homes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_all_calls_are_in_the_page(page: Page) -> None:
    assert {call.id for call in calls_of(page)} == page.ids


def test_every_page_with_a_table_is_run() -> None:
    found = {path.name for path in DOCS.glob("*.md") if "\n## Documented calls\n" in path.read_text(encoding="utf-8")}
    policies = {"policies.md"}  # needs two more databases: tests/policies/test_docs.py runs it
    assert found == {page.name for page in PAGES} | policies


@pytest.mark.parametrize(
    ("page", "rig_name"),
    [(page, name) for page in PAGES for name in page.rigs],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_both_columns_run_and_leave_the_same(page: Page, rig_name: str, rigs: Callable[[str], StoreRig]) -> None:
    rig, calls = rigs(rig_name), calls_of(page)
    left = []
    for column in (lambda: run_expressions(calls, rig.shared), lambda: run_commands(calls, rig)):
        rig.clear()
        empty_homes(rig)
        column()
        left.append(content(rig.shared))
        assert [finding for finding in rig.shared.check() if finding.severity == "error"] == []
    assert left[0] == left[1]
    assert any(left[0].values())


class TestTheHarness:
    """It would notice what it is there to notice."""

    @pytest.fixture
    def page(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
        monkeypatch.setattr("tests.documented_calls.DOCS", tmp_path)
        return Page("page.md", frozenset({"X01"}), ("sqlite",))

    @staticmethod
    def write(page: Page, *rows: str) -> None:
        head = "# Page\n\n## Documented calls\n\nText.\n\n| Id | Call | Python | Command line |\n|---|---|---|---|\n"
        page.path.write_text(head + "\n".join(rows) + "\n\nMore text.\n\n## More\n")

    def test_a_line_of_another_form(self, page: Page) -> None:
        self.write(page, "| X01 | GET x | `store` | `mailstore check` |", "| X02 | GET y | `store` | mailstore check |")
        with pytest.raises(AssertionError, match="X02"):
            calls_of(page)

    def test_an_expression_that_fails(self, page: Page, rigs: Callable[[str], StoreRig]) -> None:
        self.write(page, '| X01 | GET x | `store.domains.get("nowhere.com")` | `mailstore domain list` |')
        with pytest.raises(Exception, match=r"nowhere\.com") as caught:
            run_expressions(calls_of(page), rigs("sqlite").shared)
        assert "X01" in str(caught.value.__notes__)

    def test_a_command_that_fails(self, page: Page, rigs: Callable[[str], StoreRig]) -> None:
        self.write(page, "| X01 | GET x | `Domain` | `mailstore domain show nowhere.com` |")
        run_expressions(calls_of(page), rigs("sqlite").shared)
        with pytest.raises(AssertionError, match=r"nowhere\.com"):
            run_commands(calls_of(page), rigs("sqlite"))

    def test_columns_that_do_not_do_the_same(self, rigs: Callable[[str], StoreRig]) -> None:
        rig = rigs("sqlite")
        rig.clear()
        before = content(rig.shared)
        assert isinstance(rig.shared.domains.create("example.com"), Domain)
        assert content(rig.shared) != before
