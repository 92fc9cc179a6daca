"""An installation's data folder: the settings that stand for the default domain, the administrator, the salt.

The default domain has no row. Its values stand in ``settings/settings.xml``: accounts outside of all domains live by
them, and a new domain is a copy of them as they are at that moment.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import bcrypt

from mailstore.errors import ConfigurationError, NotSupported
from mailstore.sql.afterlogic.tokens.token import Salt

__all__ = ["Installation"]

_SETTINGS = "settings/settings.xml"
_SALT = "salt.php"
_FLAG = {"off": 0, "on": 1, "0": 0, "1": 1}
_PROTOCOL = {"pop3": 0, "imap4": 1}
_AUTH = {"noauth": 0, "authspecified": 1, "authcurrentuser": 2}
_METHOD = {"local": 0, "specified": 1, "phpmail": 2}
_TIME = {"f24": 0, "f12": 1}
_WEEK = {"sunday": 0, "monday": 1, "saturday": 6}
_TAB = {"day": 1, "week": 2, "month": 3}
_LAYOUT = {"side": 0, "bottom": 1}
_SAVE = {"always": 0, "defaulton": 1, "defaultoff": 2}
_VISIBILITY = {"off": 0, "domainwide": 1, "systemwide": 2, "tenantwide": 3}


class _Default(NamedTuple):
    """Where a column of the default domain stands: its key, what it may say, and its value without key and without file.

    The product's built-in value counts where the file lacks the key; what it ships counts where we have no file.
    """

    key: str
    kind: Mapping[str, int] | type
    built_in: str
    shipped: str


def _same(key: str, kind: Mapping[str, int] | type, value: str) -> _Default:
    return _Default(key, kind, value, value)


_COLUMNS: Mapping[str, _Default] = {
    "mail_protocol": _same("WebMail/IncomingMailProtocol", _PROTOCOL, "IMAP4"),
    "mail_inc_host": _same("WebMail/IncomingMailServer", str, "127.0.0.1"),
    "mail_inc_port": _same("WebMail/IncomingMailPort", int, "143"),
    "mail_inc_ssl": _same("WebMail/IncomingMailUseSSL", _FLAG, "Off"),
    "mail_out_host": _same("WebMail/OutgoingMailServer", str, "127.0.0.1"),
    "mail_out_port": _same("WebMail/OutgoingMailPort", int, "25"),
    "mail_out_ssl": _same("WebMail/OutgoingMailUseSSL", _FLAG, "Off"),
    "mail_out_auth": _same("WebMail/OutgoingMailAuth", _AUTH, "AuthCurrentUser"),
    "mail_out_login": _same("WebMail/OutgoingMailLogin", str, ""),
    "mail_out_pass": _same("WebMail/OutgoingMailPassword", str, ""),
    "mail_out_method": _same("WebMail/OutgoingSendingMethod", _METHOD, "Specified"),
    "def_user_timezone": _same("Common/DefaultTimeZone", int, "0"),
    "def_user_timeformat": _same("Common/DefaultTimeFormat", _TIME, "F12"),
    "def_user_dateformat": _same("Common/DefaultDateFormat", str, "MM/DD/YYYY"),
    "msgs_per_page": _same("WebMail/MailsPerPage", int, "20"),
    "contacts_per_page": _same("Contacts/ContactsPerPage", int, "20"),
    "cal_show_weekends": _same("Calendar/ShowWeekEnds", _FLAG, "Off"),
    "cal_show_workday": _same("Calendar/ShowWorkDay", _FLAG, "On"),
    "cal_workday_starts": _same("Calendar/WorkdayStarts", int, "9"),
    "cal_workday_ends": _Default("Calendar/WorkdayEnds", int, "17", "18"),
    "cal_week_starts_on": _Default("Calendar/WeekStartsOn", _WEEK, "Sunday", "Monday"),
    "cal_default_tab": _same("Calendar/DefaultTab", _TAB, "Month"),
    "layout": _same("WebMail/Layout", _LAYOUT, "Side"),
    "xlist": _same("WebMail/DetectSpecialFoldersWithXList", _FLAG, "On"),
    "global_addr_book": _Default("Contacts/GlobalAddressBookVisibility", _VISIBILITY, "DomainWide", "Off"),
    "check_interval": _Default("WebMail/AutoCheckMailInterval", int, "0", "1"),
    "allow_registration": _same("Common/AllowRegistration", _FLAG, "Off"),
    "allow_pass_reset": _same("Common/AllowPasswordReset", _FLAG, "Off"),
    "allow_open_pgp": _same("WebMail/AllowOpenPGP", _FLAG, "Off"),
    "allow_change_account_settings": _Default("WebMail/AllowUsersChangeEmailSettings", _FLAG, "On", "Off"),
    "allow_webmail": _same("WebMail/AllowWebMail", _FLAG, "On"),
    "allow_contacts": _same("Contacts/AllowContacts", _FLAG, "On"),
    "allow_calendar": _Default("Calendar/AllowCalendar", _FLAG, "On", "Off"),
    "allow_files": _same("Files/AllowFiles", _FLAG, "On"),
    "allow_helpdesk": _same("Helpdesk/AllowHelpdesk", _FLAG, "On"),
    "allow_new_users_register": _Default("WebMail/AllowNewUsersRegister", _FLAG, "Off", "On"),
    "allow_change_interface_settings": _same("WebMail/AllowUsersChangeInterfaceSettings", _FLAG, "On"),
    "allow_users_add_acounts": _Default("WebMail/AllowUsersAddNewAccounts", _FLAG, "On", "Off"),
    "site_name": _Default("Common/SiteName", str, "AfterLogic", "AfterLogic WebMail Lite"),
    "use_threads": _same("WebMail/UseThreadsIfSupported", _FLAG, "On"),
    "skin": _Default("WebMail/DefaultSkin", str, "Default", "AfterLogic"),
    "default_tab": _same("Common/DefaultTab", str, ""),
    "lang": _Default("Common/DefaultLanguage", str, "English", "Autodetect"),
}
_FORCED_BY_LITE = {
    "allow_calendar": 0, "allow_files": 0, "allow_helpdesk": 0, "allow_users_add_acounts": 0, "global_addr_book": 0,
}  # fmt: skip
_SAVE_MAIL = _same("WebMail/SaveMail", _SAVE, "Always")
_ADMIN_LOGIN = "common/adminlogin"
_ADMIN_PASSWORD = "common/adminpassword"  # noqa: S105 the name of a setting


@dataclass(frozen=True)
class Installation:
    """What a data folder says; without one, what the product ships with.

    Parameters
    ----------
    data: the data folder; None for the shipped values, and no administrator login.
    lite: whether this is WebMail Lite, which switches off what only the paid editions have, whatever its settings say.
    """

    data: Path | None = None
    lite: bool = True

    @cached_property
    def default_domain(self) -> Mapping[str, Any]:
        """The columns of the default domain. Raises ConfigurationError for settings that cannot be read."""
        columns = {column: self._value(default) for column, default in _COLUMNS.items()}
        return columns | (_FORCED_BY_LITE if self.lite else {})

    @cached_property
    def save_mail(self) -> int:
        """Whether new users' sent mail is kept: 1 by default, 2 not by default; the product makes "always" a default."""
        return int(self._value(_SAVE_MAIL)) or 1

    @property
    def salt(self) -> Salt:
        """The installation's salt. Raises ConfigurationError without a data folder, or if it has none yet."""
        return Salt.from_file(self._read(_SALT))

    def is_administrator(self, login: str, password: str) -> bool:
        """Tell whether this is the administrator's login and password; an installation without one refuses all."""
        known, hashed = self._settings.get(_ADMIN_LOGIN, "mailadm"), self._settings.get(_ADMIN_PASSWORD, "")
        if not (hashed and password) or "\0" in password:
            return False
        # Compared always, so that the time taken does not tell whether the login was right. More than 72 bytes do not count.
        given = bcrypt.hashpw(password.encode()[:72], self.salt.bcrypt_salt).decode()
        return hmac.compare_digest(hashed.encode(), given.encode()) and hmac.compare_digest(
            known.encode(), login.encode()
        )

    def _value(self, default: _Default) -> Any:
        text = default.shipped if self.data is None else self._settings.get(default.key.lower(), default.built_in)
        try:
            return default.kind[text.lower()] if isinstance(default.kind, Mapping) else default.kind(text)
        except (KeyError, ValueError) as error:
            raise ConfigurationError(f"{self.data}/{_SETTINGS}: {default.key} cannot be {text!r}") from error

    @cached_property
    def _settings(self) -> Mapping[str, str]:
        try:
            root = ElementTree.fromstring(self._read(_SETTINGS))  # noqa: S314 the installation's own file
        except ElementTree.ParseError as error:
            raise ConfigurationError(f"{self.data}/{_SETTINGS} is not valid XML: {error}") from error
        # The product does not look at the case of keys.
        return {f"{group.tag}/{entry.tag}".lower(): (entry.text or "").strip() for group in root for entry in group}

    def _read(self, name: str) -> bytes:
        if self.data is None:
            raise ConfigurationError("give webmail_data, the data folder of the webmail: the login is kept there")
        try:
            return (self.data / name).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read {self.data / name}: {error}") from error

    def require_tenants(self) -> None:
        """Raise NotSupported in WebMail Lite, which writes every domain without a tenant."""
        if self.lite:
            raise NotSupported("WebMail Lite has no tenants; with Aurora set webmail_edition to aurora")
