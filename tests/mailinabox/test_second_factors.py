"""One-time codes: the vectors of RFC 6238, windows, and that each is good once."""

from __future__ import annotations

from base64 import b32encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mailstore.sql.mailinabox.second_factors import one_time_code

if TYPE_CHECKING:
    from mailstore.sql.mailinabox.store import MailInABoxStore
    from tests.mailinabox.rig import BoxRig

SECRET = b32encode(b"12345678901234567890").decode()
ME = "me@example.com"
NOW = 1_111_111_109


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (20_000_000_000, "353130")],
)
def test_vectors(moment: int, code: str) -> None:
    """Those of the RFC have eight digits; the panel's codes are the last six."""
    assert one_time_code(SECRET, moment) == code


@pytest.fixture(autouse=True)
def admin(store: MailInABoxStore, box: BoxRig) -> None:
    store.accounts.create(ME, password="long enough")
    [user] = box.rows("users", email=ME)
    box.insert("mfa", user_id=user["id"], type="totp", secret=SECRET)


def test_codes_of_neighbouring_steps_and_no_others(store: MailInABoxStore, box: BoxRig) -> None:
    for steps, expected in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        code = one_time_code(SECRET, NOW + 30 * steps)
        assert store.second_factors.accept(ME, code, now=NOW) is expected
    assert [row["mru_token"] for row in box.rows("mfa")] == [one_time_code(SECRET, NOW + 30)]
    for odd in ("", " 081804", "08180", "0818041", "٠٨١٨٠٤", "\udcff"):
        assert not store.second_factors.accept(ME, odd, now=NOW)


def test_one_of_two_at_once(store: MailInABoxStore) -> None:
    code = one_time_code(SECRET, NOW)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: store.second_factors.accept(ME, code, now=NOW), range(4)))
    assert sorted(taken) == [False, False, False, True]


def test_what_cannot_be_a_secret_lets_nobody_in(store: MailInABoxStore, box: BoxRig) -> None:
    before = store.second_factors.fingerprint(ME)
    for secret in ("", "!", "A", "Ω"):
        box.execute("UPDATE mfa SET secret = ?", secret)
        assert not store.second_factors.accept(ME, "000000", now=NOW)
    assert store.second_factors.kinds(ME) == ["totp"]
    assert store.second_factors.fingerprint(ME) != before
    assert (store.second_factors.kinds("x@example.com"), store.second_factors.accept("x@example.com", "000000")) == (
        [],
        False,
    )
