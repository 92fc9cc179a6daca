"""Addresses, quotas and passwords by themselves."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstore import InvalidAddress, InvalidPassword, InvalidQuota, Quota
from mailstore.address import account_address, addresses, any_address, domain_name, moderator
from mailstore.passwords import (
    WRITABLE_SCHEMES,
    check_hash,
    hash_many,
    hash_password,
    needs_rehash,
    scheme_of,
    verify_password,
)
from mailstore.quota import UNLIMITED
from mailstore.sql.iredmail.schema.settings import Settings

ATMAIL_SAMPLE = "{SSHA256}diItlPkdWkA18C2u6tAkeX58S1wkmp2zxvjDxgSk0k2+cZ06mCoHNA+j+LZiHAxz3qZ0goVeCkSvc6AMNxgryw=="


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            ("Bob@Example.COM", "bob@example.com"), ("bob+tag@example.com", "bob+tag@example.com"),
            ("o'brien@example.com", "o'brien@example.com"), ("x@corp.local", "x@corp.local"),
            ("x@bücher.example", "x@xn--bcher-kva.example"), ("a_b-c.d@sub.example.com", "a_b-c.d@sub.example.com"),
        ],
    )  # fmt: skip
    def test_normal_form(self, text: str, normal: str) -> None:
        assert any_address(text) == normal

    def test_lists(self) -> None:
        assert addresses(["B@x.org", "a@x.org", "b@X.org"]) == ("b@x.org", "a@x.org")
        with pytest.raises(InvalidAddress):
            addresses("a@x.org")

    def test_moderator(self) -> None:
        assert moderator("*@Example.com") == "*@example.com"
        assert moderator("A@example.com") == "a@example.com"

    def test_wrong_type(self) -> None:
        wrong: Any = 5
        with pytest.raises(InvalidAddress):
            any_address(wrong)

    @given(st.text(max_size=40))
    def test_whatever_is_accepted_is_safe_in_paths_and_keys(self, text: str) -> None:
        try:
            address = account_address(f"{text}@example.com")
        except InvalidAddress:
            return
        local = address.removesuffix("@example.com")
        assert local == local.lower()
        assert local.isascii()
        assert not set(local) & set("/\\'\"%+ ;:*?<>|\x00\n")
        assert ".." not in local
        assert account_address(address) == address

    @given(st.text(max_size=30))
    def test_domains_are_stable(self, text: str) -> None:
        try:
            name = domain_name(text)
        except InvalidAddress:
            return
        assert domain_name(name) == name
        assert name.isascii()
        assert "/" not in name


class TestQuota:
    @pytest.mark.parametrize(
        ("value", "size"),
        [
            ("1G", 1 << 30),
            ("500M", 500 << 20),
            ("2t", 2 << 40),
            ("10 KB", 10240),
            ("5MiB", 5 << 20),
            (4096, 4096),
            ("123", 123),
        ],
    )
    def test_parse(self, value: Any, size: int) -> None:
        assert Quota.parse(value).bytes == size

    def test_unlimited(self) -> None:
        assert Quota.parse("Unlimited") == UNLIMITED
        assert str(UNLIMITED) == "unlimited"
        assert UNLIMITED.whole_units(1 << 20) == 0

    @given(st.integers(min_value=1, max_value=(1 << 63) - 1))
    def test_text_form_is_read_back(self, size: int) -> None:
        assert Quota.parse(str(Quota(size))) == Quota(size)

    def test_nothing_is_rounded(self) -> None:
        assert Quota.parse("3M").whole_units(1 << 20) == 3
        with pytest.raises(InvalidQuota):
            Quota.parse("3000").whole_units(1 << 20)


class TestPasswords:
    @pytest.mark.parametrize("scheme", WRITABLE_SCHEMES)
    def test_round_trip(self, scheme: str) -> None:
        hashed = hash_password("pässwörd ✓", scheme)
        assert hashed.startswith(f"{{{scheme}}}")
        assert verify_password("pässwörd ✓", hashed)
        assert not verify_password("passwort", hashed)
        assert not verify_password("", hashed)
        assert check_hash(hashed) == hashed
        assert scheme_of(hashed) == scheme
        assert hashed != hash_password("pässwörd ✓", scheme)

    def test_known_answer(self) -> None:
        salt = b"\x01\x02\x03\x04"
        digest = hashlib.sha256(b"secret" + salt).digest()
        stored = "{SSHA256}" + base64.b64encode(digest + salt).decode()
        assert verify_password("secret", stored)
        assert check_hash(ATMAIL_SAMPLE) == ATMAIL_SAMPLE
        assert not verify_password("secret", ATMAIL_SAMPLE)

    @pytest.mark.parametrize("salt_bytes", [4, 8, 16, 32, 64])
    def test_salt_lengths(self, salt_bytes: int) -> None:
        hashed = hash_password("x", salt_bytes=salt_bytes)
        assert len(base64.b64decode(hashed.removeprefix("{SSHA256}"))) == 32 + salt_bytes
        assert verify_password("x", hashed)

    @pytest.mark.parametrize(
        "stored",
        [
            "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69", "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{sha256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            "$1$saltsalt$Wfs55YR1cTRMqd7n6Ff8a1", "{CRYPT}$1$saltsalt$Wfs55YR1cTRMqd7n6Ff8a1",
        ],
    )  # fmt: skip
    def test_what_old_servers_hold(self, stored: str) -> None:
        assert isinstance(verify_password("secret", stored), bool)
        assert not verify_password("Secret", stored)
        assert needs_rehash(stored)

    def test_old_hashes_verify(self) -> None:
        md5 = hashlib.md5(b"secret", usedforsecurity=False)
        sha = hashlib.sha1(b"secret", usedforsecurity=False)
        for stored in (
            "{PLAIN-MD5}" + md5.hexdigest(),
            "{LDAP-MD5}" + base64.b64encode(md5.digest()).decode(),
            "{SHA}" + base64.b64encode(sha.digest()).decode(),
            "{SHA512}" + base64.b64encode(hashlib.sha512(b"secret").digest()).decode(),
        ):
            assert verify_password("secret", stored)

    @pytest.mark.parametrize("password", ["", "a\nb", "a\x00b", "\x7f"])
    def test_unusable(self, password: str) -> None:
        with pytest.raises(InvalidPassword):
            hash_password(password)

    def test_bcrypt_never_cuts(self) -> None:
        with pytest.raises(InvalidPassword, match="72"):
            hash_password("ü" * 37, "BLF-CRYPT")
        assert not verify_password("x" * 73, hash_password("x" * 72, "BLF-CRYPT"))

    def test_unknown_scheme(self) -> None:
        for scheme in ("PLAIN", "MD5", "", "SSHA"):
            with pytest.raises(InvalidPassword):
                hash_password("x", scheme)
        for stored in ("{PLAIN}x", "{CRAM-MD5}abc", "plain", "{X", ""):
            with pytest.raises(InvalidPassword):
                verify_password("x", stored)

    def test_errors_do_not_show_the_hash(self) -> None:
        for stored in ("{SSHA256}S3cretS3cret", "S3cretS3cret", "{PLAIN}S3cretS3cret", "{CRYPT}$6$S3cret$S3cret"):
            with pytest.raises(InvalidPassword) as caught:
                check_hash(stored)
            assert "S3cret" not in f"{caught.value!r} {caught.value}"

    def test_many(self) -> None:
        for scheme in ("SSHA512", "SHA512-CRYPT"):
            hashes = hash_many(["a", "b"], scheme, workers=2)
            assert [verify_password(password, hashed) for password, hashed in zip("ab", hashes, strict=True)] == [
                True,
                True,
            ]


class TestSettings:
    TEXTS = st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.from_regex(r"[a-z0-9, ]{1,8}", fullmatch=True)
    )

    @given(TEXTS)
    def test_what_is_not_changed_stays_as_it_is(self, values: dict[str, str]) -> None:
        text = "".join(f"{key}:{value};" for key, value in values.items())
        settings = Settings(text)
        assert str(settings) == text
        settings.put("zz_new", 5)
        assert str(settings) == text + "zz_new:5;"
        settings.put("zz_new", 0)
        assert str(settings) == text

    def test_null(self) -> None:
        assert str(Settings(None)) == ""
        assert Settings("a:b").number("a") is None
