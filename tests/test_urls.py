"""Odd URLs are configuration errors that show no password, however it is written."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mailstore import ConfigurationError, MailstoreError, open_store
from mailstore.config import Config, StoreConfig, load
from mailstore.driver.urls import shown
from mailstore.sql.connect import native_url, open_server

SECRET = "S3cr3t"
RAW = ["{}/x", "x/{}", "12/{}", "{}#x", "x#{}", "12#{}", "{}?x", "x?{}", "12?{}", "12?a={}", "{}@x", "x@{}", "{}[x", "x]{}",
       "{}\n", "\x00{}", "{}\udcff", "x@y/{}", "x@y?{}", "x@y?start_tls={}", "x@y#{}", ":{}/", "{}%00"]  # fmt: skip
SERVERS = ["iredmail+mysql", "iredmail+postgresql", "iredmail+ldap", "atmail+mysql", "afterlogic+mysql"]
OPTIONS = {"amavisd": "mysql", "iredapd": "postgresql", "apiserver": "mysql", "retention": "mysql"}


def everything(error: BaseException) -> str:
    """Return all that may get into a log."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(error.__context__)


def opened(url: str, **options: Any) -> BaseException:
    with pytest.raises(MailstoreError) as caught:
        open_store(url, **options)
    assert SECRET not in everything(caught.value).replace(url, "") or url == SECRET
    return caught.value


@pytest.mark.parametrize("raw", RAW)
@pytest.mark.parametrize("scheme", SERVERS)
def test_passwords_that_are_not_encoded(scheme: str, raw: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(f"{scheme}://root:{raw.format(SECRET)}@127.0.0.1:1/vmail")
    for text in (str(caught.value), repr(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__)):
        assert SECRET not in text
    assert SECRET not in shown(f"{scheme}://root:{raw.format(SECRET)}@127.0.0.1:1/vmail")


@pytest.mark.parametrize("option", OPTIONS)
def test_further_databases(option: str) -> None:
    scheme = "atmail+mysql" if option == "apiserver" else "iredmail+mysql"
    for raw in [raw for raw in RAW if "start_tls" not in raw]:
        url = f"{OPTIONS[option]}://root:{raw.format(SECRET)}@127.0.0.1:1/x"
        with pytest.raises(ConfigurationError, match=option) as caught:
            open_store(f"{scheme}://root@127.0.0.1:1/vmail", **{option: url})
        assert SECRET not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)


def test_encoded_passwords_work_and_are_not_shown() -> None:
    password = f"{SECRET}/#?@[]:% ü"
    url = f"iredmail+mysql://root:{quote(password, safe='')}@127.0.0.1:1/vmail"
    assert native_url("mysql", url.partition(":")[2]).password == password
    error = opened(url)
    assert error.temporary  # type: ignore[attr-defined]
    assert "S3cr3t" not in everything(error)


@pytest.mark.parametrize(
    "url",
    [
        "iredmail+sqlite://:memory:", "iredmail+sqlite://u:S3cr3t@h/x.db", "iredmail+mysql://h:abc/vmail",
        "iredmail+mysql://h:99999/vmail", "iredmail+mysql://[::1/vmail", "iredmail+mysql://h:1,h:a/vmail", "iredmail+mysql:",
        "iredmail+mysql://a..b/vmail", f"iredmail+mysql://{'x' * 70}.org/vmail", "iredmail+ldap://h", "x", "", "mailinabox://u:S3cr3t@h/x",
        "iredmail+postgresql://u@h/\x07", "iredmail+mysql://u@h/vmail?x@S3cr3t", "://", "iredmail+sqlite:x.db", "\ud800",
    ],
)  # fmt: skip
def test_odd_urls(url: str) -> None:
    with pytest.raises(MailstoreError) as caught:
        open_store(url)
    assert isinstance(caught.value, ConfigurationError), caught.value
    assert SECRET not in everything(caught.value).replace(url, "")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("password", [f"{SECRET}\udcff", f"{SECRET}\0"])
@pytest.mark.parametrize("scheme", SERVERS)
def test_passwords_that_no_server_can_be_given(scheme: str, password: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(f"{scheme}://cn%3Droot@127.0.0.1:1/dc%3Dx", password=password)
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
@pytest.mark.parametrize(
    "content", [None, "no certificates", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_missing_ca_file(scheme: str, content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        open_store(f"iredmail+{scheme}://u@127.0.0.1:1/vmail", tls_ca=str(file))


def test_representations_show_no_password(tmp_path: Path) -> None:
    url = f"iredmail+mysql://u:{SECRET}@h/vmail?amavisd=mysql%3A//u%3A{SECRET}%40h/a"
    options = {name: f"{kind}://u:{SECRET}@h/x" for name, kind in OPTIONS.items()}
    config = StoreConfig(url=url, **options)
    assert SECRET not in repr(config) + repr(Config(stores={"x": config}))
    assert "mysql://u@h/x" in repr(config)
    file = tmp_path / "mailstore.toml"
    file.write_text(f'[stores.x]\nurl = "{url}"\n')
    assert SECRET not in repr(load(file))
    database = open_server("mysql", native_url("mysql", f"//u:{SECRET}@h/x"), None)
    assert SECRET not in repr(database.engine) + repr(database) + repr(database.url)
