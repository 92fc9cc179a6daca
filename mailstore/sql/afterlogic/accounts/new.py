"""A new account as the rows that it will be, checked before the database is asked anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mailstore.address import (
    account_address,
    alias_address,
    any_address,
    domain_part,
    held_address,
    local_part,
    login_address,
)  # fmt: skip
from mailstore.driver.holders import refuse_self
from mailstore.driver.values import Column, checked, flag, now, text
from mailstore.errors import InvalidPassword, InvalidValue, NotSupported
from mailstore.fields import AccountFields, first_names, reject_unknown, reject_unsupported
from mailstore.model import Account
from mailstore.passwords import check_hash
from mailstore.quota import Quota, QuotaLike
from mailstore.sql.afterlogic import codec
from mailstore.sql.afterlogic.installation import Installation
from mailstore.sql.afterlogic.settings import (
    ACCOUNT_COLUMNS,
    CAPABILITIES,
    INHERITED,
    AccountSettings,
    columns_of,
)
from mailstore.sql.afterlogic.spelling import as_typed

__all__ = [
    "COLUMNS",
    "SUPPORTED",
    "NewAccount",
    "from_kilobytes",
    "require_supported",
    "stored_password",
    "to_kilobytes",
]

_UNIT = 1024
_UNLIMITED = 104_857_600
"""What the product writes for "no limit"; everything from there on reads back as none."""
_NEVER = datetime(1970, 1, 1)  # noqa: DTZ001 naive UTC, as everywhere in stores
SUPPORTED = frozenset({"name", "enabled", "quota", "aliases"})
_BLANK = Account(address="", mailbox_folder="")
"""What an account always is, in what the webmail does not keep; its home itself is the Maildir."""
_NO_LANGUAGE = "Autodetect"


def to_kilobytes(quota: QuotaLike) -> int:
    """Return a quota as the column holds it. Raises InvalidQuota, NotSupported for what would read back as unlimited."""
    size = Quota.parse(quota)
    kilobytes = size.whole_units(_UNIT)
    if kilobytes >= _UNLIMITED:
        raise NotSupported(f"{size}: the webmail takes a quota of {Quota(_UNLIMITED * _UNIT)} or more for none")
    return kilobytes or _UNLIMITED


def from_kilobytes(kilobytes: int) -> Quota:
    """Return what the column says."""
    return Quota(kilobytes * _UNIT if 0 < kilobytes < _UNLIMITED else None)


COLUMNS: Mapping[str, Column] = {
    "name": ("friendly_nm", text("name")),
    "enabled": ("deleted", lambda value: 1 - flag("enabled")(value)),  # sic: deleted means disabled
    "quota": ("quota", to_kilobytes),
}
"""The neutral parameters that are one column of `awm_accounts` each: the column and the check."""


def require_supported(fields: Mapping[str, Any]) -> None:
    """Raise TypeError for an unknown parameter, NotSupported for one that the webmail has no room for."""
    reject_unknown(fields, AccountFields)
    reject_unsupported(fields, SUPPORTED, _BLANK, "AfterLogic", instead="see AccountSettings for what it keeps")


def stored_password(password: str | None, password_hash: str | None) -> str | None:
    """Return the stored form of a password, None if there is none. Raises InvalidPassword, NotSupported for a ready hash."""
    if password is not None and password_hash is not None:
        raise InvalidPassword("give a password or a ready hash, not both")
    if password_hash is not None:
        check_hash(password_hash)
        raise NotSupported("AfterLogic logs in to the mail server with the password itself; a hash is of no use to it")
    return None if password is None else codec.storable(password)


@dataclass
class NewAccount:
    """An account to be created; `finish` completes it with what only its domain knows."""

    address: str
    stored: str = field(repr=False)
    columns: dict[str, Any] = field(repr=False)
    aliases: tuple[str, ...]
    settings: AccountSettings
    parent: str
    restored: bool = False
    """Whether its address was there before, by whatever rule."""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    home: str | None = None
    internal: bool = False

    @classmethod
    def parse(
        cls,
        address: str,
        stored: str | None,
        fields: Mapping[str, Any],
        home: str | None = None,
        *,
        restored: bool = False,
    ) -> NewAccount:
        """Check the parameters of `Accounts.create`. Raises InvalidValue, InvalidPassword, NotSupported, TypeError.

        `stored` is the stored form of its password; one that is `restored` need not have an address that may be new.
        """
        if home is not None:
            raise NotSupported("the webmail has no column for homes; the mail server derives them from the address")
        fields = dict(fields)
        settings = fields.pop("settings", None) or AccountSettings()
        # Outside of all domains it is somebody's mailbox anywhere; `finish` is stricter with the product's own server.
        anywhere = settings.default_domain or settings.parent
        named = held_address if restored else login_address if anywhere else any_address
        address = named(address)
        if stored is None:
            raise InvalidPassword(f"{address}: a new account needs a password", subject=address)
        require_supported(fields)
        aliases = first_names(fields, "aliases", alias_address)
        if settings.parent and aliases:
            raise InvalidValue(f"{address}: a linked account has no aliases", subject=address)
        refuse_self(address, aliases)
        columns = checked(fields, COLUMNS) | columns_of(settings, ACCOUNT_COLUMNS)
        parent = any_address(settings.parent) if settings.parent else ""
        return cls(address, stored, columns, aliases, settings, parent, restored)

    @property
    def domain(self) -> str:
        """The domain of the account."""
        return domain_part(self.address)

    @property
    def names(self) -> tuple[str, ...]:
        """All addresses that it takes."""
        return (self.address, *self.aliases)

    @property
    def may_be_outside(self) -> bool:
        """Whether it may stand outside of all domains, if there is none of its name."""
        return bool(self.parent or self.settings.default_domain)

    @property
    def served(self) -> bool:
        """Whether it is a mailbox of the product's own mail server."""
        return self.internal and not self.parent

    def finish(self, domain: Mapping[str, Any], installation: Installation) -> None:
        """Make the rows, with what `domain` (its values in effect) and the default domain lay down.

        Raises InvalidValue for mail servers of its own in a domain, which decides them.
        """
        outside = not domain["id_domain"]
        if not outside:
            self._refuse_inherited(domain["name"])
        default = installation.default_domain
        email = as_typed(self.address) if outside else f"{local_part(self.address)}@{domain['name'].lower()}"
        self.internal = bool(domain["is_internal"])
        if self.internal and not self.restored:
            account_address(self.address)
        servers = {column: domain[column] for column in _SERVER_COLUMNS}
        self.rows = {
            "awm_accounts": {
                "id_domain": domain["id_domain"], "id_tenant": domain["id_tenant"], "def_acct": int(not self.parent),
                "deleted": 0, "quota": _UNLIMITED, "email": email, "friendly_nm": "", **servers,
                "mail_inc_login": email, "mail_inc_pass": self.stored,
                # sic: the default domain's SMTP password, whatever domain the account is in.
                "mail_out_pass": codec.encode(str(default["mail_out_pass"]).encode()), "signature": "",
                "signature_type": 1, "signature_opt": 0, "mailing_list": 0, "hide_in_gab": 0, "custom_fields": "",
                "is_password_specified": 1, "allow_mail": 1, **self.columns,
            },
            "awm_settings": _settings_row(domain, installation.save_mail, self.settings),
            "awm_addr_book": self.contact_row(domain, email, self.columns.get("friendly_nm", "")),
        }  # fmt: skip

    def _refuse_inherited(self, domain: str) -> None:
        for name in (*INHERITED, "incoming_login", "outgoing_login"):
            if getattr(self.settings, name) is not None:
                raise InvalidValue(
                    f"{self.address}: {name} is decided by the domain {domain}; update that", subject=self.address
                )

    @staticmethod
    def contact_row(place: Mapping[str, Any], address: str, name: str) -> dict[str, Any]:
        """Return the entry of an account in the global address book; ``type_id`` is the user's number, once it has one."""
        moment = now()
        return {
            "id_user": 0, "id_domain": place["id_domain"], "id_tenant": place["id_tenant"], "type": 2,
            "fullname": name, "b_email": address, "view_email": address, "primary_email": 1, "use_friendly_nm": 1,
            "date_created": moment, "date_modified": moment,
        }  # fmt: skip


_SERVER_COLUMNS = (
    "mail_protocol", "mail_inc_host", "mail_inc_port", "mail_inc_ssl", "mail_out_host", "mail_out_port",
    "mail_out_login", "mail_out_auth", "mail_out_ssl",
)  # fmt: skip


def _settings_row(domain: Mapping[str, Any], save_mail: int, settings: AccountSettings) -> dict[str, Any]:
    """Return the settings of a new user; what is not a default of the domain stands as the product writes it."""
    texts = (
        "last_login_ip last_login_ip_now last_login_ua last_login_ua_now question_1 answer_1 question_2 answer_2 "
        "custom_fields client_timezone sip_impi sip_password twilio_number helpdesk_signature email_notification "
        "password_reset_hash"
    )
    off = (
        "id_subscription id_helpdesk_user logins_count def_timezone twilio_default_number helpdesk_signature_enable "
        "save_replied_messages_to_current_folder compose_plain_text_default desktop_notifications "
        "allow_change_input_direction allow_helpdesk_notifications enable_open_pgp autosign_outgoing_emails"
    )
    on = "def_editor sip_enable twilio_enable files_enable allow_autosave_in_drafts"
    language = domain["lang"] or ""
    return {
        **dict.fromkeys(texts.split(), ""), **dict.fromkeys(off.split(), 0), **dict.fromkeys(on.split(), 1),
        "msgs_per_page": domain["msgs_per_page"], "contacts_per_page": domain["contacts_per_page"],
        "auto_checkmail_interval": domain["check_interval"], "created_time": now(), "last_login": _NEVER,
        "last_login_now": _NEVER, "def_skin": domain["skin"] or "", "layout": domain["layout"], "save_mail": save_mail,
        "def_time_fmt": str(domain["def_user_timeformat"]), "def_date_fmt": domain["def_user_dateformat"],
        # The product asks the browser; nobody's browser is there to be asked.
        "def_lang": "English" if language == _NO_LANGUAGE else language, "incoming_charset": "iso-8859-1",
        "use_threads": domain["use_threads"], "capa": CAPABILITIES(settings.capabilities or "").upper(),
    }  # fmt: skip
