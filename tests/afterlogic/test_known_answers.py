"""What other programs compute the same way: stored passwords, tokens, logins, and the numbers of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstore.errors import (
    AlreadyExists,
    ConfigurationError,
    InvalidPassword,
    LimitExceeded,
    MailstoreError,
    NotFound,
    PermissionDenied,
)
from mailstore.sql.afterlogic import codec, rest_errors, tenants
from mailstore.sql.afterlogic.installation import Installation
from mailstore.sql.afterlogic.rest_errors import InvalidToken, TokenExpired, code_of
from mailstore.sql.afterlogic.tokens import php, xxtea
from mailstore.sql.afterlogic.tokens.token import LIFETIME, Salt, make_token, read_token

if TYPE_CHECKING:
    from pathlib import Path

SALT_FILE = b"<?php #" + b"0123456789abcdef" * 4
SALT = Salt.from_file(SALT_FILE)
ISSUED = 1_500_000_000
TOKEN = (
    "wwcfvQELom75YB9nSyxGglfjDhQEiBEJeN4PB-d7demVncHhpzsWn0BsaBhp_L_LZwQbRmiPFfd8ejSUuQ9Elz219RUXZUQ7uNVpkOF1U15WfMp-"
    "1ZH2k377X2Vjcyy887AT1UQ2QccfN5P2LyN5CQ.."
)


class TestStoredPasswords:
    @pytest.mark.parametrize(
        ("password", "stored"),
        [
            ("secret", "731610011607"), ("12345", "3103020504"), ("a", "61"), ("aaaa", "61000000"),
            ("pässwörd", "70b3d4030307b3c60214"), ("", ""), ("0", ""),
        ],
    )  # fmt: skip
    def test_known(self, password: str, stored: str) -> None:
        assert codec.encode(password.encode()) == stored
        if password != "0":
            assert codec.decode(stored) == password.encode()
            assert codec.decode(stored.upper()) == password.encode()

    @given(st.binary(max_size=127).filter(lambda data: data != b"0"))
    def test_any_bytes_come_back(self, data: bytes) -> None:
        stored = codec.encode(data)
        assert codec.decode(stored) == data
        assert len(stored) <= 255

    @pytest.mark.parametrize("stored", ["6", "616", "zz", "61zz"])
    def test_what_is_no_stored_password_is_none(self, stored: str) -> None:
        assert codec.decode(stored) == b""

    @pytest.mark.parametrize("password", ["", "0", " x", "x ", "x\n", "a\x00b", "x" * 128, "ä" * 64])
    def test_a_password_that_would_come_back_as_another_is_refused(self, password: str) -> None:
        with pytest.raises(InvalidPassword) as caught:
            codec.storable(password)
        assert len(password) < 2 or password not in str(caught.value)

    @given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40))
    def test_what_is_taken_comes_back(self, password: str) -> None:
        try:
            stored = codec.storable(password)
        except InvalidPassword:
            return
        assert codec.password_of(stored) == password.encode()

    def test_white_space_that_others_stored_does_not_count(self) -> None:
        assert codec.password_of(codec.encode(b" secret\r\n")) == b"secret"


class TestToken:
    def test_key_and_salt(self) -> None:
        assert SALT.key == b"65169a7aa1137110c554e696838601c9"
        assert SALT.bcrypt_salt == b"$2y$07$e9b56404de40cb62be0eeO"

    def test_known(self) -> None:
        assert make_token(SALT, "mailadm", "12345", now=ISSUED) == TOKEN
        grant = read_token(SALT, TOKEN, now=ISSUED)
        assert (grant.login, grant.password, grant.tenant_id, grant.issued) == ("mailadm", "12345", 0, ISSUED)
        assert "12345" not in repr(grant)
        assert "e9b56404" not in repr(SALT)

    def test_is_good_for_an_hour(self) -> None:
        assert read_token(SALT, TOKEN, now=ISSUED + LIFETIME).login == "mailadm"
        assert read_token(SALT, TOKEN, now=ISSUED - 10).login == "mailadm"  # a clock that goes wrong
        with pytest.raises(TokenExpired) as caught:
            read_token(SALT, TOKEN, now=ISSUED + LIFETIME + 1)
        assert caught.value.code == 716

    def test_padding_may_be_missing(self) -> None:
        assert read_token(SALT, TOKEN.rstrip("."), now=ISSUED).login == "mailadm"

    @pytest.mark.parametrize(
        "token",
        ["", "x", "....", TOKEN[:-6], "A" + TOKEN[1:], TOKEN[:40] + "AAAA" + TOKEN[44:], "é" * 8, "A" * 100_000],
    )
    def test_damaged(self, token: str) -> None:
        with pytest.raises(InvalidToken) as caught:
            read_token(SALT, token, now=ISSUED)
        assert caught.value.code == 715
        assert "12345" not in str(caught.value)

    def test_of_another_installation(self) -> None:
        with pytest.raises(InvalidToken):
            read_token(Salt.from_file(b"other"), TOKEN, now=ISSUED)

    @pytest.mark.parametrize(
        "values", [{"login": "x"}, {"login": "", "password": "x"}, {"login": 1, "password": "x"}, {}]
    )
    def test_without_login_or_password(self, values: Any) -> None:
        import base64

        data = xxtea.encrypt(php.dump(values), SALT.key)
        token = base64.b64encode(data).decode().translate(str.maketrans("+/=", "-_."))
        with pytest.raises(InvalidToken):
            read_token(SALT, token)

    @given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60), st.integers(0, 2**31))
    def test_any_login_comes_back(self, login: str, password: str, tenant: int) -> None:
        if any(0xD800 <= ord(character) <= 0xDFFF for character in login + password):
            return
        grant = read_token(SALT, make_token(SALT, login, password, tenant))
        assert (grant.login, grant.password, grant.tenant_id) == (login, password, tenant)

    @given(st.binary(min_size=1, max_size=300), st.binary(min_size=16, max_size=32))
    def test_any_bytes_come_back_from_the_cipher(self, data: bytes, key: bytes) -> None:
        assert xxtea.decrypt(xxtea.encrypt(data, key), key) == data

    @given(st.binary(max_size=200))
    def test_whatever_is_sent_is_refused_as_invalid(self, data: bytes) -> None:
        with pytest.raises(InvalidToken):
            read_token(SALT, data.hex())


class TestLogins:
    def test_administrator(self, data_folder: Path) -> None:
        installation = Installation(data_folder)
        assert installation.is_administrator("mailadm", "12345")
        for login, password in (("mailadm", "wrong"), ("Mailadm", "12345"), ("", "12345"), ("mailadm", "")):
            assert not installation.is_administrator(login, password)

    def test_an_installation_without_a_password_refuses_all(self, data_folder: Path) -> None:
        file = data_folder / "settings" / "settings.xml"
        for shipped in ("<AdminPassword />", "<AdminPassword></AdminPassword>", ""):
            text = file.read_text()
            start, end = text.index("<AdminPassword"), text.index("</AdminPassword>") + len("</AdminPassword>")
            (changed := data_folder / "settings.xml").write_text(text[:start] + shipped + text[end:])
            file_before = file.read_text()
            file.write_text(changed.read_text())
            assert not Installation(data_folder).is_administrator("mailadm", "12345")
            assert not Installation(data_folder).is_administrator("mailadm", "")
            file.write_text(file_before)

    def test_without_a_data_folder(self) -> None:
        with pytest.raises(ConfigurationError, match="webmail_data"):
            Installation().is_administrator("mailadm", "12345")

    def test_tenant(self) -> None:
        assert tenants.hashed("tpw") == "fec43dd73edd07d3ec525e54e0143917"
        assert tenants.hashed("") == ""


class TestSettingsFile:
    def test_values_of_the_file_and_built_in_ones_for_the_rest(self, data_folder: Path) -> None:
        values = Installation(data_folder, lite=False).default_domain
        told = ("mail_inc_host", "mail_inc_port", "mail_inc_ssl", "mail_out_auth", "site_name", "lang", "msgs_per_page")
        assert [values[name] for name in told] == ["imap.example.net", 993, 1, 2, "Mail & more", "German", 50]
        built_in = (
            "allow_files",
            "allow_users_add_acounts",
            "cal_workday_ends",
            "cal_week_starts_on",
            "check_interval",
        )
        assert [values[name] for name in built_in] == [1, 1, 17, 0, 0]
        assert (values["allow_new_users_register"], values["global_addr_book"]) == (0, 1)
        assert Installation(data_folder).save_mail == 2

    def test_keys_and_words_are_read_as_the_product_reads_them(self, data_folder: Path) -> None:
        file = data_folder / "settings" / "settings.xml"
        text = file.read_text().replace("IncomingMailPort", "INCOMINGmailport").replace(">On</Incoming", ">1</Incoming")
        file.write_text(text)
        values = Installation(data_folder).default_domain
        assert (values["mail_inc_port"], values["mail_inc_ssl"]) == (993, 1)

    def test_lite_switches_off_what_it_has_not(self, data_folder: Path) -> None:
        values = Installation(data_folder).default_domain
        assert [values[name] for name in ("allow_calendar", "allow_files", "allow_helpdesk")] == [0, 0, 0]

    def test_without_a_file_what_is_shipped_counts(self) -> None:
        values = Installation(lite=False).default_domain
        told = (
            "mail_inc_host",
            "skin",
            "lang",
            "allow_change_account_settings",
            "def_user_timeformat",
            "cal_default_tab",
        )
        assert [values[name] for name in told] == ["127.0.0.1", "AfterLogic", "Autodetect", 0, 1, 3]
        assert Installation().save_mail == 1

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("<Settings>", "<Settings", "not valid XML"), (">993<", ">many<", "IncomingMailPort"),
            (">On</IncomingMailUseSSL>", ">perhaps</IncomingMailUseSSL>", "IncomingMailUseSSL"),
        ],
    )  # fmt: skip
    def test_bad_file(self, data_folder: Path, old: str, new: str, message: str) -> None:
        file = data_folder / "settings" / "settings.xml"
        file.write_text(file.read_text().replace(old, new))
        with pytest.raises(ConfigurationError, match=message):
            assert Installation(data_folder).default_domain

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"settings\.xml"):
            assert Installation(tmp_path).default_domain


class TestErrors:
    def test_every_number_has_a_type(self) -> None:
        kinds = [getattr(rest_errors, name) for name in rest_errors.__all__ if name != "code_of"]
        assert sorted(kind.code for kind in kinds) == list(range(710, 720))

    @pytest.mark.parametrize(
        ("error", "call", "code"),
        [
            (AlreadyExists("x"), "POST /account", 710),
            (LimitExceeded("x"), "POST /account", 710),
            (InvalidPassword("x"), "POST /account", 713),
            (rest_errors.AccountNotFound("x"), "PUT /account/update", 717),
            (rest_errors.DomainNotFound("x"), "PUT /domain/update", 718),
            (rest_errors.DomainNotFound("x"), "GET /domain", 717),
            (rest_errors.DomainNotFound("x"), "GET /domain/exists", 710),
            (rest_errors.TenantNotFound("x"), "POST /domain", 719),
            (rest_errors.BadLogin("x"), "GET /token", 714),
            (rest_errors.NothingListed("x"), "GET /account/list", 710),
        ],
    )  # fmt: skip
    def test_number_of_an_error(self, error: MailstoreError, call: str, code: int) -> None:
        assert code_of(error, call) == code

    def test_they_are_what_other_callers_expect(self) -> None:
        for kind in (rest_errors.AccountNotFound, rest_errors.DomainNotFound, rest_errors.TenantNotFound):
            assert issubclass(kind, NotFound)
        for kind in (rest_errors.BadLogin, rest_errors.InvalidToken, rest_errors.TokenExpired):
            assert issubclass(kind, PermissionDenied)
