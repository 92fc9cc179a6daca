"""Where the mail of an account goes after a change, whatever the store: to itself, to others, never to nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstore.driver.forwarding import Forwarding
from mailstore.errors import InvalidValue
from mailstore.model import Edit

BOB = "bob@example.com"
PLACES = [BOB, "eve@example.com", "ann@other.org", "carl@other.org"]
places = st.lists(st.sampled_from(PLACES), unique=True).map(tuple)
edits = st.builds(Edit, add=places, remove=places)


def after(present: tuple[str, ...], **fields: Any) -> tuple[tuple[str, ...], bool]:
    return Forwarding.parse(fields).after(BOB, present, lambda _: {})


@pytest.mark.parametrize(
    ("present", "fields", "others", "keeps"),
    [
        ((), {"forwarding": ["a@other.org"]}, ("a@other.org",), True),
        ((), {"forwarding": Edit(add=["a@other.org"])}, ("a@other.org",), True),
        ((), {"forwarding": ["A@Other.org"], "keep_copy": False}, ("a@other.org",), False),
        (("a@other.org",), {"forwarding": ["b@other.org"]}, ("b@other.org",), False),
        (("a@other.org",), {"forwarding": [BOB, "b@other.org"]}, ("b@other.org",), True),
        (("a@other.org",), {"forwarding": [BOB, "b@other.org"], "keep_copy": False}, ("b@other.org",), True),
        (("a@other.org",), {"forwarding": []}, (), True),
        ((BOB, "a@other.org"), {"forwarding": Edit(remove=[BOB])}, ("a@other.org",), False),
        ((BOB, "a@other.org"), {"keep_copy": False}, ("a@other.org",), False),
        ((BOB,), {"keep_copy": False}, (), True),
    ],
)
def test_what_becomes_of_it(
    present: tuple[str, ...], fields: dict[str, Any], others: tuple[str, ...], *, keeps: bool
) -> None:
    assert after(present, **fields) == (others, keeps)


@given(present=places, wanted=st.one_of(places, edits), keep_copy=st.sampled_from([True, False, None]))
def test_mail_always_goes_somewhere_and_a_second_call_changes_nothing(
    present: tuple[str, ...], wanted: Any, keep_copy: bool | None
) -> None:
    fields: dict[str, Any] = {"forwarding": wanted} | ({} if keep_copy is None else {"keep_copy": keep_copy})
    others, keeps = after(present, **fields)
    assert BOB not in others
    assert len(set(others)) == len(others)
    assert others or keeps
    again = (*([BOB] if keeps else []), *others)
    assert after(again) == (others, keeps)
    repeated, kept = after(again, **fields)
    assert set(repeated) == set(others)
    # A copy that stays only because nothing else is left is no wish of the caller's.
    assert kept == keeps or not others


@given(present=places, edit=edits)
def test_an_edit_names_all_that_it_touches(present: tuple[str, ...], edit: Edit) -> None:
    others, _ = after(present, forwarding=edit)
    touched = {*edit.add, *edit.remove}
    assert set(others) - touched == set(present) - touched - {BOB}


@pytest.mark.parametrize("value", ["no", 0, None])
def test_a_copy_is_kept_or_not(value: Any) -> None:
    with pytest.raises(InvalidValue, match="keep_copy"):
        Forwarding.parse({"keep_copy": value})


def test_a_text_is_no_list() -> None:
    with pytest.raises(InvalidValue):
        Forwarding.parse({"forwarding": "a@other.org"})
