"""Names that people have, and texts that are none."""

from __future__ import annotations

import pytest

from mailstore.address import any_address, domain_name
from mailstore.driver.values import long_text, text
from mailstore.errors import InvalidAddress, InvalidValue

NAMES = [
    "山田\u3000太郎",
    "علی\u200cرضا",  # noqa: RUF001
    "क्\u200dष",
    "Jean\u00a0Paul",
    "Donau\u00addampf",
    "👩\u200d💻",
    "\u200fאבי",  # noqa: RUF001
    "ﷺ",
    "e\u0301",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_people_have(name: str) -> None:
    assert text("name")(name) == name


@pytest.mark.parametrize(
    "name", ["a\nb", "a\tb", "a\x00", "a\x7fb", "a\x85b", "a\u2028b", "a\u202eb", "\u2066a", "a\ud800", "\udcff"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidValue, match=r"control characters|no text") as caught:
        text("name")(name)
    str(caught.value).encode()


def test_half_characters_elsewhere() -> None:
    with pytest.raises(InvalidValue, match="no text"):
        long_text("disclaimer")("a\udc80")
    for check, value in (
        (any_address, "a\udc80@example.com"),
        (any_address, "a@ex\udc80.com"),
        (domain_name, "\udc80.org"),
    ):
        with pytest.raises(InvalidAddress) as caught:
            check(value)
        str(caught.value).encode()
