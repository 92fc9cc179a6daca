"""What may be stored as a hash is what its readers verify: every form is put before Dovecot itself, and before crypt(3).

A hash that Dovecot verifies and this library refuses could not be moved in; one that it takes and Dovecot does not verify
would lock somebody out.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import subprocess
import time
from collections.abc import Sequence

import pytest

from mailstore.errors import InvalidPassword, NotSupported
from mailstore.passwords import (
    READABLE_SCHEMES,
    READERS,
    WRITABLE_SCHEMES,
    check_hash,
    hash_password,
    needs_rehash,
    scheme_of,
    verified_by,
    verify_password,
)
from tests.servers.process import program

PASSWORD = "pässword"
USER = "bob@x.org"
_CLEARTEXT = {"PLAIN", "CLEAR", "CLEARTEXT", "PLAIN-TRUNC"}
_ONLY_DOVECOT = {"CRAM-MD5", "HMAC-MD5", "DIGEST-MD5", "OTP"}


def doveadm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("doveadm"), "-c", "/dev/null", "pw", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def dovecot_verifies(stored: str, password: str = PASSWORD) -> bool:
    return "(verified)" in doveadm("-t", stored, "-p", password, "-u", USER).stdout


def crypt(setting: str, password: str = PASSWORD) -> str:
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    made: bytes = library.crypt(password.encode(), setting.encode())
    return made.decode()


def schemes_of_dovecot() -> Sequence[str]:
    return doveadm("-l").stdout.split()


def taken(stored: str) -> str | None:
    """Return what would be stored; None for what is refused."""
    try:
        return check_hash(stored)
    except InvalidPassword:
        return None


def salted(algorithm: str, salt: bytes = b"\x00salt") -> bytes:
    return hashlib.new(algorithm, PASSWORD.encode() + salt).digest() + salt


def pbkdf2(salt: str, rounds: str) -> str:
    made = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt.encode(), int(rounds) or 1)
    return f"{{PBKDF2}}$1${salt}${rounds}${made.hex()}"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


MD5 = hashlib.md5(PASSWORD.encode(), usedforsecurity=False).digest()
SHA1 = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).digest()
SSHA256 = salted("sha256")
SETTINGS = [
    "$1$ab+cdEFG$", "$1$$", "$1$a.b-_/,=@%&#()<>?^~`'\"{}[]|$", "$5$sa=lt$", "$5$rounds=1000$$", "$6$$", "$6$s+a@l#t$",
    "$6$rounds=1000$x$", "$6$rounds=5000$x$", "$2a$04$abcdefghijklmnopqrstuu", "$2b$04$abcdefghijklmnopqrstuu",
    "$2y$04$abcdefghijklmnopqrstuu", "$2x$04$abcdefghijklmnopqrstuu", "$y$j75$abcdefghabcdefgh$", "$y$j75$$",
    "$gy$j75$abcdefgh.bcdefgh$", "$7$7U..../....abcdefghabcdefgh$", "$7$7U..../....$", "$sha1$1000$abcdefgh$",
    "$md5$abcdefgh$", "$md5,rounds=1000$abcdefgh$", "$3$", "_J9..abcd", "ab",
]  # fmt: skip
BCRYPT = crypt("$2y$04$abcdefghijklmnopqrstuu")
SHA512_CRYPT = crypt("$6$rounds=1000$x$")
MD5_CRYPT = crypt("$1$abcdefgh$")
ARGON2 = "$argon2id$v=19$m=64,t=3,p=1$c3Nzc3Nzc3Nzc3Nzc3Nzcw$"
ODD_SALTS = ("ab cdefg", "ab:cdefg", "ab!cdefg", "abcdefghi", "a\\bcdefg")
FORMS = [
    *(f"{{{prefix}}}{crypt(setting)}" for setting in SETTINGS for prefix in ("CRYPT", "sha512-crypt")),
    *(f"{{BLF-CRYPT}}{crypt(setting)}" for setting in SETTINGS),
    *(f"{{{prefix}}}{MD5_CRYPT}" for prefix in ("MD5", "MD5-CRYPT", "SHA256-CRYPT", "DES-CRYPT")),
    *(f"{{{name}}}{data}" for name in ("MD5", "PLAIN-MD5", "LDAP-MD5") for data in (MD5.hex(), MD5.hex().upper(), b64(MD5))),
    *(f"{{{name}}}{data}" for name in ("SHA", "sha1") for data in (SHA1.hex(), b64(SHA1), b64(SHA1).rstrip("="))),
    "{SHA1.HEX}" + SHA1.hex(), "{SHA1.b64}" + SHA1.hex(), "{SHA.base64}" + b64(SHA1), "{SHA.base32}" + b64(SHA1),
    "{SSHA256}" + b64(SSHA256), "{SSHA256.hex}" + SSHA256.hex(), "{SSHA256.HEX}" + SSHA256.hex().upper(),
    "{SSHA256.B64}" + b64(SSHA256), "{SSHA256}" + SSHA256.hex(), "{ssha256} " + b64(SSHA256),
    "{SSHA256}" + b64(SSHA256) + "\n",
    "{SSHA256}" + b64(SSHA256)[:9] + "\n" + b64(SSHA256)[9:], "{SSHA256}" + b64(SSHA256) + "==", "{SSHA256}",
    "{SSHA256}" + b64(hashlib.sha256(PASSWORD.encode()).digest()), "{SMD5}" + b64(salted("md5")), "{SMD5}" + b64(MD5),
    "{SSHA}" + b64(salted("sha1")), "{SSHA512}" + b64(salted("sha512", b"x" * 64)),
    "{SHA512-CRYPT.B64}" + b64(SHA512_CRYPT.encode()), "{CRYPT.HEX}" + SHA512_CRYPT.encode().hex(),
    "{SHA512-CRYPT} " + SHA512_CRYPT,
    "{CRYPT}" + BCRYPT.replace("$04", "$03"),
    "{CRYPT}" + BCRYPT.replace("$2y", "$2c"), "{CRYPT}" + BCRYPT[:-1], "{BLF-CRYPT}" + BCRYPT + "x",
    *("{CRYPT}" + MD5_CRYPT.replace("abcdefgh", salt) for salt in ODD_SALTS),
    *("{CRYPT}" + SHA512_CRYPT.replace("=1000", rounds) for rounds in ("=999", "=01000", "=10x0", "=")),
    "{CRYPT}", "{CRYPT}x", "{CRYPT}$6$x", "{CRYPT}*0", "{CRYPT}$8$x$y", "{SHA512-CRYPT}" + SHA512_CRYPT[:-3],
    *(pbkdf2(*given) for given in (("abc", "10"), ("", "10"), ("a b+ü", "10"), ("abc", "010"), ("abc", "0"))),
    pbkdf2("abc", "10").replace("$10$", "$+10$"), pbkdf2("abc", "10")[:-1], pbkdf2("abc", "10") + "$",
    ARGON2, "{ARGON2ID}", "{ARGON2ID}$argon2id$v=19$m=64,t=3,p=1$c3Nz$" + "A" * 43,
    "{NTLM}" + MD5.hex(), "{BCRYPT}" + BCRYPT, "{SHA384}" + b64(hashlib.sha384(PASSWORD.encode()).digest()),
    "{DIGEST-MD5}" + hashlib.md5(f"bob:x.org:{PASSWORD}".encode(), usedforsecurity=False).hexdigest(),
]  # fmt: skip

WEAK = {
    "{MD5}" + MD5.hex(), "{PLAIN-MD5}" + MD5.hex(), "{LDAP-MD5}" + b64(MD5), "{SMD5}" + b64(salted("md5")),
    "{CRYPT}" + MD5_CRYPT, "{MD5-CRYPT}" + MD5_CRYPT, "{CRYPT}" + crypt("ab"), "{DES-CRYPT}" + crypt("ab"),
    "{CRYPT}" + crypt("_J9..abcd"), "{HMAC-MD5}" + "0f" * 32,
}  # fmt: skip
COSTLY = [
    "{BLF-CRYPT}" + BCRYPT.replace("$04$", "$31$"), "{CRYPT}" + SHA512_CRYPT.replace("=1000", "=999999999"),
    "{ARGON2ID}" + ARGON2.replace("m=64", "m=4194304") + "x" * 43,
    "{ARGON2ID}" + ARGON2.replace("t=3", "t=999999999") + "x" * 43,
    "{PBKDF2}$1$a$4000000000$" + "0f" * 20, "{SCRAM-SHA-256}2000000000,c2FsdA==," + "A" * 43 + "=," + "A" * 43 + "=",
    "{CRYPT}$7$MU..../....abcdefgh$" + "x" * 43, "{CRYPT}$y$jFT$abcdefgh$" + "x" * 43,
    "{CRYPT}$y$zzzzzzzzzz$abcdefgh$" + "x" * 43,
    "{CRYPT}$sha1$4000000000$abcdefgh$" + "x" * 28, "{CRYPT}$md5,rounds=4000000000$abcdefgh$$" + "x" * 22,
    "{CRYPT}_zzzzabcd" + "x" * 10 + ".",
]  # fmt: skip


class TestDovecot:
    def test_every_scheme_of_the_installed_one(self) -> None:
        for scheme in schemes_of_dovecot():
            made = doveadm("-s", scheme, "-p", PASSWORD, "-u", USER).stdout.strip()
            if scheme in _CLEARTEXT:
                with pytest.raises(InvalidPassword, match="set the password instead"):
                    check_hash(made)
                continue
            stored = check_hash(made)
            assert dovecot_verifies(stored)
            assert verified_by(stored, "dovecot-2.3")
            if scheme in _ONLY_DOVECOT:
                with pytest.raises(NotSupported, match=scheme):
                    verify_password(PASSWORD, stored)
            else:
                assert verify_password(PASSWORD, stored)
                assert not verify_password("other", stored)

    def test_no_scheme_but_its(self) -> None:
        assert set(READABLE_SCHEMES) - set(schemes_of_dovecot()) == {"ARGON2", "SHA384", "SSHA384"}
        assert set(schemes_of_dovecot()) - set(READABLE_SCHEMES) == _CLEARTEXT

    @pytest.mark.parametrize("given", FORMS)
    def test_every_form(self, given: str) -> None:
        stored = taken(given)
        assert (stored is not None) == dovecot_verifies(given)
        if stored is None:
            return
        assert dovecot_verifies(stored)
        assert check_hash(stored) == stored
        if scheme_of(stored) not in _ONLY_DOVECOT:
            assert verify_password(PASSWORD, stored)
            assert not verify_password("x" + PASSWORD, stored)

    def test_argon2_of_other_systems(self) -> None:
        from argon2.low_level import Type, hash_secret

        for kind, version, lanes, size in (
            (Type.I, 19, 1, 16),
            (Type.ID, 19, 4, 64),
            (Type.D, 19, 1, 32),
            (Type.ID, 16, 1, 32),
        ):
            made = hash_secret(PASSWORD.encode(), b"salt" * 4, 3, 64, lanes, size, kind, version).decode()
            for prefix in ("ARGON2ID", "ARGON2I"):
                stored = taken(f"{{{prefix}}}{made}")
                assert (stored is not None) == dovecot_verifies(f"{{{prefix}}}{made}")
                assert stored is None or verify_password(PASSWORD, stored)
            stored = taken("{ARGON2}" + made)  # only 2.4 knows this name: it is stored under one that 2.3 knows
            assert stored is None or dovecot_verifies(stored)

    def test_without_a_prefix(self) -> None:
        assert verify_password(PASSWORD, MD5_CRYPT)
        assert verify_password(PASSWORD, MD5_CRYPT + "$ignored")
        assert verify_password(PASSWORD, BCRYPT)

    def test_md5_crypt_takes_salts_that_crypt_refuses(self) -> None:
        made = doveadm("-s", "MD5-CRYPT", "-p", PASSWORD).stdout.strip()
        assert dovecot_verifies(made)
        odd = "{MD5-CRYPT}$1$a:b c!d$" + "x" * 21 + "."
        assert check_hash(odd) == odd
        assert taken(odd.replace("MD5-CRYPT", "CRYPT")) is None

    @pytest.mark.parametrize("scheme", [*WRITABLE_SCHEMES, "SHA512-CRYPT:20000", "BLF-CRYPT:4", "ARGON2ID:1"])
    def test_what_is_written(self, scheme: str) -> None:
        stored = hash_password(PASSWORD, scheme)
        assert dovecot_verifies(stored)
        assert check_hash(stored) == stored
        assert not needs_rehash(stored, scheme)
        assert not needs_rehash(stored, scheme.partition(":")[0])


class TestReaders:
    def test_dovecot_2_4_refuses_weak_ones(self) -> None:
        """As its source says: those marked weak, and what crypt(3) makes without a dollar sign or with $1$."""
        for stored in WEAK:
            assert check_hash(stored)
            assert not verified_by(stored, "dovecot-2.4")
            with pytest.raises(InvalidPassword, match=r"Dovecot 2\.4 cannot verify"):
                check_hash(stored, "dovecot-2.4")
        for stored in ("{SSHA}" + b64(salted("sha1")), "{CRYPT}" + crypt("$y$j75$$"), "{CRAM-MD5}" + "0f" * 32):
            assert check_hash(stored, "dovecot-2.4") == stored

    @pytest.mark.parametrize(
        ("given", "stored"),
        [
            ("{SHA512-CRYPT}" + SHA512_CRYPT, "{CRYPT}" + SHA512_CRYPT), ("{BLF-CRYPT}" + BCRYPT, "{CRYPT}" + BCRYPT),
            ("{PLAIN-MD5}" + MD5.hex(), "{MD5}" + b64(MD5)), ("{MD5}" + b64(MD5), "{MD5}" + b64(MD5)),
            ("{MD5}" + MD5_CRYPT, "{CRYPT}" + MD5_CRYPT), ("{SHA1}" + SHA1.hex(), "{SHA}" + b64(SHA1)),
            ("{SSHA256.HEX}" + SSHA256.hex(), "{SSHA256}" + b64(SSHA256)), ("{PBKDF2}$1$a$1$" + "0f" * 20, None),
            ("{MD5-CRYPT}$1$a:b$" + "x" * 21 + ".", None), ("{ARGON2ID}" + ARGON2 + "x" * 43, None),
        ],
    )  # fmt: skip
    def test_forms_for_slapd(self, given: str, stored: str | None) -> None:
        if stored is None:
            with pytest.raises(InvalidPassword, match="slapd cannot verify"):
                check_hash(given, "slapd")
        else:
            assert check_hash(given, "slapd") == stored

    def test_names(self) -> None:
        assert set(READERS) == {"dovecot-2.3", "dovecot-2.4", "slapd", "slapd-without-sha2"}


class TestCosts:
    @pytest.mark.parametrize("stored", COSTLY)
    def test_a_hash_is_no_weapon(self, stored: str) -> None:
        start = time.process_time()
        for refuse in (check_hash, scheme_of, lambda text: verify_password(PASSWORD, text)):
            with pytest.raises(InvalidPassword, match=r"is refused|well-formed"):
                refuse(stored)
        assert time.process_time() - start < 0.5

    @pytest.mark.parametrize("given", ["{CRYPT}" + crypt(s) for s in ("$y$j9T$abcdefgh$", "$7$CU..../....abcdefgh$")])
    def test_usual_costs_are_borne(self, given: str) -> None:
        assert check_hash(given) == given

    @pytest.mark.parametrize(
        "rest",
        [
            "",
            "$",
            "argon2",
            "$argon2id$",
            "$argon2id$v=19$m=1,t=1$a$b",
            ARGON2,
            ARGON2 + "\x00" * 43,
            ARGON2 + "é" * 43,
        ],
    )
    def test_malformed_argon2(self, rest: str) -> None:
        for refuse in (check_hash, lambda text: verify_password(PASSWORD, text)):
            with pytest.raises(InvalidPassword):
                refuse("{ARGON2ID}" + rest)

    def test_what_is_written_is_modest(self) -> None:
        assert hash_password("x", "SHA512-CRYPT").count("rounds=") == 0  # 5000, as crypt(3) itself
        assert hash_password("x", "BLF-CRYPT").startswith("{BLF-CRYPT}$2b$10$")
        assert ",t=2,p=1$" in hash_password("x", "ARGON2ID")
        assert "$rounds=20000$" in hash_password("x", "SHA512-CRYPT:20000")
        assert needs_rehash(hash_password("x", "SHA512-CRYPT"), "SHA512-CRYPT:20000")

    @pytest.mark.parametrize(
        "scheme", ["SSHA256:5", "BLF-CRYPT:31", "SHA512-CRYPT:", "SHA512-CRYPT:x", "BLF-CRYPT:3", "X:5"]
    )
    def test_costs_that_there_are_not(self, scheme: str) -> None:
        with pytest.raises(InvalidPassword):
            hash_password("x", scheme)


class TestPasswordsThemselves:
    @pytest.mark.parametrize(
        ("password", "scheme"),
        [("x" * 512, "SHA512-CRYPT"), ("x" * 4097, "SSHA256"), ("x" * 5000, "ARGON2ID"), ("\udc80x", "SSHA256")],
    )
    def test_that_could_not_log_in(self, password: str, scheme: str) -> None:
        with pytest.raises(InvalidPassword):
            hash_password(password, scheme)
        assert not verify_password(password, hash_password("x", scheme))

    def test_the_longest_that_can(self) -> None:
        for size, scheme in ((511, "SHA512-CRYPT"), (4096, "SSHA256"), (4096, "ARGON2ID")):
            assert dovecot_verifies(hash_password("x" * size, scheme), "x" * size)
            assert verify_password("x" * size, hash_password("x" * size, scheme))
