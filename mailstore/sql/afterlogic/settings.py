"""What only AfterLogic has, as typed parameters: ``settings=AccountSettings(...)`` and ``settings=DomainSettings(...)``.

None leaves a value as it is, or takes it from where the product would: the domain, or the default domain. The names are the
product's REST names in this library's spelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from mailstore.driver.values import Column, flag, long_text
from mailstore.errors import InvalidValue
from mailstore.model import Account, Domain
from mailstore.sql.afterlogic import codec

__all__ = ["ACCOUNT_COLUMNS", "DOMAIN_COLUMNS", "INHERITED", "AccountSettings", "DomainSettings", "columns_of"]

_MOST_BYTES = 255
_LAST_PORT = 65_354  # sic: the product refuses higher ones
_WORD = re.compile(r"[\w .()-]{1,255}")
_TABS = ("mailbox", "contacts", "calendar", "files", "helpdesk", "")
_T = TypeVar("_T", "AccountSettings", "DomainSettings")


@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """Settings of an account.

    Parameters
    ----------
    parent: address of a primary account, to which this one is linked; without it the account is a primary one itself.
    default_domain: create the account outside of all domains if there is none of its name ("users not in domain").
    incoming_login: user name at the IMAP server; the address if not given.
    incoming_server, incoming_port, incoming_ssl, outgoing_server, outgoing_port, outgoing_ssl, outgoing_auth: the servers;
        `outgoing_auth` is 0 for none, 1 for `outgoing_login` and `outgoing_password`, 2 for the incoming ones.
        The domain decides these for the accounts in it; only those outside of all domains have their own.
    signature, signature_html, signature_use: `signature_use` is 0 for never, 1 for all messages, 2 for new ones.
    capabilities: the product's ``capa``.
    """

    parent: str | None = None
    default_domain: bool | None = None
    incoming_login: str | None = None
    incoming_server: str | None = None
    incoming_port: int | None = None
    incoming_ssl: bool | None = None
    outgoing_server: str | None = None
    outgoing_port: int | None = None
    outgoing_ssl: bool | None = None
    outgoing_auth: int | None = None
    outgoing_login: str | None = None
    outgoing_password: str | None = field(default=None, repr=False)
    signature: str | None = None
    signature_html: bool | None = None
    signature_use: int | None = None
    capabilities: str | None = None

    @staticmethod
    def of(account: Account) -> AccountSettings:
        """Return the settings of an account that was read; passwords are never among them."""
        return _typed(AccountSettings, account.settings)


@dataclass(frozen=True, kw_only=True)
class DomainSettings:
    """Settings of a domain: the fourteen and the site's name of the REST API, its mail servers, and its tenant.

    Parameters
    ----------
    tenant: login of the tenant that a new domain belongs to (Aurora).
    internal: whether the product's own mail server serves the domain; decides for new ones only.
    override: whether the domain has settings of its own; without, those of the default domain count.
    """

    tenant: str | None = None
    internal: bool | None = None
    override: bool | None = None
    incoming_server: str | None = None
    incoming_port: int | None = None
    incoming_ssl: bool | None = None
    outgoing_server: str | None = None
    outgoing_port: int | None = None
    outgoing_ssl: bool | None = None
    outgoing_auth: int | None = None
    outgoing_login: str | None = None
    outgoing_password: str | None = field(default=None, repr=False)
    allow_users_change_email_settings: bool | None = None
    allow_webmail: bool | None = None
    allow_contacts: bool | None = None
    allow_calendar: bool | None = None
    allow_files: bool | None = None
    allow_helpdesk: bool | None = None
    allow_new_users_register: bool | None = None
    allow_users_change_interface_settings: bool | None = None
    allow_users_add_new_accounts: bool | None = None
    site_name: str | None = None
    url: str | None = None
    use_threads: bool | None = None
    default_skin: str | None = None
    default_tab: str | None = None
    default_language: str | None = None

    @staticmethod
    def of(domain: Domain) -> DomainSettings:
        """Return the settings of a domain that was read; passwords are never among them."""
        return _typed(DomainSettings, domain.settings)


def _string(name: str, *, empty: bool = True) -> Any:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not value.isprintable():
            raise InvalidValue(f"{name}: one line of text is wanted, not {value!r}", field=name)
        line = str(value).strip()
        if len(line.encode()) > _MOST_BYTES:  # the product would cut it off there, silently
            raise InvalidValue(f"{name}: longer than {_MOST_BYTES} bytes", field=name)
        if not (line or empty):
            raise InvalidValue(f"{name}: it must not be empty", field=name)
        return line

    return check


def _host(name: str) -> Any:
    check = _string(name, empty=False)
    return lambda value: check(value).lower()


def _port(name: str) -> Any:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LAST_PORT:
            raise InvalidValue(f"{name}: a number from 1 to {_LAST_PORT} is wanted, not {value!r}", field=name)
        return value

    return check


def _one_of(name: str, *values: Any) -> Any:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or value not in values:
            raise InvalidValue(f"{name}: it must be one of {', '.join(map(repr, values))}, not {value!r}", field=name)
        return value

    return check


def _word(name: str) -> Any:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise InvalidValue(f"{name}: {value!r} is no name", field=name)
        return value

    return check


def _secret(value: str) -> str:
    return codec.storable(value) if value else ""


_SERVERS: Mapping[str, Column] = {
    "incoming_server": ("mail_inc_host", _host("incoming_server")),
    "incoming_port": ("mail_inc_port", _port("incoming_port")),
    "incoming_ssl": ("mail_inc_ssl", flag("incoming_ssl")),
    "outgoing_server": ("mail_out_host", _host("outgoing_server")),
    "outgoing_port": ("mail_out_port", _port("outgoing_port")),
    "outgoing_ssl": ("mail_out_ssl", flag("outgoing_ssl")),
    "outgoing_auth": ("mail_out_auth", _one_of("outgoing_auth", 0, 1, 2)),
}
INHERITED = tuple(_SERVERS)
"""What the domain decides for its accounts."""
_SMTP_LOGIN: Mapping[str, Column] = {
    "outgoing_login": ("mail_out_login", _string("outgoing_login")),
    "outgoing_password": ("mail_out_pass", _secret),
}
ACCOUNT_COLUMNS: Mapping[str, Column] = {
    "incoming_login": ("mail_inc_login", _string("incoming_login", empty=False)),
    **_SERVERS,
    **_SMTP_LOGIN,
    "signature": ("signature", long_text("signature")),
    "signature_html": ("signature_type", flag("signature_html")),
    "signature_use": ("signature_opt", _one_of("signature_use", 0, 1, 2)),
}
DOMAIN_COLUMNS: Mapping[str, Column] = {
    "override": ("override_settings", flag("override")),
    **_SERVERS,
    **_SMTP_LOGIN,
    "allow_users_change_email_settings": (
        "allow_change_account_settings",
        flag("allow_users_change_email_settings"),
    ),
    "allow_webmail": ("allow_webmail", flag("allow_webmail")),
    "allow_contacts": ("allow_contacts", flag("allow_contacts")),
    "allow_calendar": ("allow_calendar", flag("allow_calendar")),
    "allow_files": ("allow_files", flag("allow_files")),
    "allow_helpdesk": ("allow_helpdesk", flag("allow_helpdesk")),
    "allow_new_users_register": ("allow_new_users_register", flag("allow_new_users_register")),
    "allow_users_change_interface_settings": (
        "allow_change_interface_settings",
        flag("allow_users_change_interface_settings"),
    ),
    "allow_users_add_new_accounts": ("allow_users_add_acounts", flag("allow_users_add_new_accounts")),
    "site_name": ("site_name", _string("site_name")),
    "url": ("url", _string("url")),
    "use_threads": ("use_threads", flag("use_threads")),
    "default_skin": ("skin", _word("default_skin")),
    "default_tab": ("default_tab", _one_of("default_tab", *_TABS)),
    "default_language": ("lang", _word("default_language")),
}
CAPABILITIES = _string("capabilities")


def columns_of(settings: AccountSettings | DomainSettings, columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return the checked values by column of those settings that are given. Raises InvalidValue, InvalidPassword."""
    given = {name: getattr(settings, name) for name in columns}
    return {columns[name][0]: columns[name][1](value) for name, value in given.items() if value is not None}


def _typed(kind: type[_T], texts: Mapping[str, str]) -> _T:
    values: dict[str, Any] = {}
    for one in fields(kind):
        if one.name in texts:
            values[one.name] = _read(str(one.type), texts[one.name])
    return kind(**values)


def _read(kind: str, text: str) -> Any:
    if kind == "bool | None":
        return text == "true"
    return int(text) if kind == "int | None" else text
