"""Single values on their way into a store: checked, and in the form that mail servers and panels understand."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from mailstore import address
from mailstore.errors import InvalidValue, Refused

__all__ = [
    "ACCESS_POLICIES",
    "Column",
    "access_policy",
    "checked",
    "due_date",
    "either",
    "flag",
    "language",
    "long_text",
    "mailbox_folder",
    "mailbox_format",
    "networks",
    "next_hop",
    "now",
    "optional_address",
    "sought",
    "text",
    "timezone",
    "transport",
]

_DEFAULT_KEEP_DAYS = 36_500
_TEXT_BYTES = 65_535
_LONGEST_SOUGHT = 1000
_LANGUAGE = re.compile(r"[a-z]{2}(_[A-Z]{2})?")
_TRANSPORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(:[\x21-\x7e]*)?")
_NEXT_HOP = re.compile(r"(\[[0-9A-Fa-f:.]+\]|\[[A-Za-z0-9.-]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5}|:[a-z]+)?")
_TIMEZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What makes a name look like another one: embeddings, overrides and isolates of directions."""
ACCESS_POLICIES = (
    "public", "domain", "subdomain", "membersonly", "moderatorsonly", "membersandmoderatorsonly",
)  # fmt: skip


Column: TypeAlias = "tuple[str, Callable[[Any], Any]]"
"""The column, attribute or settings key that a parameter is kept in, and the check that makes its value storable."""


def checked(fields: Mapping[str, Any], columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return the values by column of those parameters in `fields` that `columns` lists. Raises InvalidValue."""
    found: dict[str, Any] = {}
    for name, (column, check) in columns.items():
        if name in fields:
            try:
                found[column] = check(fields[name])
            except Refused as error:
                error.field = error.field or name
                raise
    return found


def now() -> datetime:
    """Return the present time as the stores keep it: naive UTC in whole seconds."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def due_date(keep_mailbox_days: int | None) -> date:
    """Return the day (UTC) on which a mailbox is due; None means 100 years. Raises InvalidValue."""
    days = _DEFAULT_KEEP_DAYS if keep_mailbox_days is None else keep_mailbox_days
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= 2_000_000:
        raise InvalidValue(f"keep_mailbox_days must be 0 or more days, not {days!r}", field="keep_mailbox_days")
    return now().date() + timedelta(days=days)


def text(name: str, limit: int = 255) -> Callable[[str], str]:
    """Return a check for one-line text of up to `limit` characters."""

    def check(value: str) -> str:
        if not isinstance(value, str):
            raise InvalidValue(f"{name}: text is wanted, not {type(value).__name__}", field=name)
        value = value.strip()
        if len(value) > limit:
            raise InvalidValue(f"{name}: longer than {limit} characters", field=name)
        _refuse_unseen(name, value)
        return value

    return check


def sought(text: str, field: str = "search") -> str:
    """Return the text to look for in names. Raises InvalidValue for what no name holds, and databases stumble over."""
    if not isinstance(text, str):
        raise InvalidValue(f"{field}: text is wanted, not {type(text).__name__}", field=field)
    _refuse_halves(field, text)
    if "\0" in text or len(text) > _LONGEST_SOUGHT:
        raise InvalidValue(
            f"{field}: it holds a NUL character or is longer than {_LONGEST_SOUGHT} characters", field=field
        )
    return text


def either(value: bool | None, field: str = "enabled") -> bool | None:
    """Return whether those that are so are wanted, or the others; None for all. Raises InvalidValue for anything else."""
    if value is not None and not isinstance(value, bool):
        raise InvalidValue(f"{field}: True, False or None is wanted, not {value!r}", field=field)
    return value


def long_text(name: str) -> Callable[[str], str]:
    """Return a check for text of several lines, up to what a TEXT column of MySQL holds."""

    def check(value: str) -> str:
        if not isinstance(value, str):
            raise InvalidValue(f"{name}: text is wanted, not {type(value).__name__}", field=name)
        _refuse_halves(name, value)
        if "\0" in value or len(value.encode()) > _TEXT_BYTES:
            raise InvalidValue(f"{name}: it holds a NUL character or is longer than {_TEXT_BYTES} bytes", field=name)
        return value

    return check


def _refuse_unseen(name: str, value: str) -> None:
    """Refuse what breaks lines or turns their order around; joiners, wide and unbreakable blanks belong to names."""
    _refuse_halves(name, value)
    for character in value:
        if character in _TURNS or unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            raise InvalidValue(
                f"{name}: control characters are not allowed, and U+{ord(character):04X} is one", field=name
            )


def _refuse_halves(name: str, value: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidValue(f"{name}: it holds bytes that are no text, or half a character", field=name)


def language(value: str) -> str:
    """Check a language like ``en`` or ``en_US``; iRedMail's column holds five characters."""
    if value and not _LANGUAGE.fullmatch(value):
        raise InvalidValue(f"language {value!r}: write it like en_US")
    return value


def timezone(value: str) -> str:
    """Check a time zone name like ``Europe/Rome``; an offset has a colon, which settings cannot hold."""
    if value and not _TIMEZONE.fullmatch(value):
        raise InvalidValue(f"time zone {value!r}: write a name like Europe/Rome", field="timezone")
    return value


def transport(value: str) -> str:
    """Check a Postfix transport: ``dovecot``, ``lmtp:unix:private/dovecot-lmtp``, ``relay:[192.0.2.1]:25``."""
    if value and not (_TRANSPORT.fullmatch(value) and len(value) <= 255):
        raise InvalidValue(f"transport {value!r}: write it like dovecot, or lmtp:inet:127.0.0.1:24", field="transport")
    return value


def next_hop(value: str) -> str:
    """Check a relay host, ``host`` or ``[host]`` with ``:port`` if wanted; addresses get the brackets Postfix needs.

    A leading ``smtp:`` is dropped: it makes Postfix's SMTP client die.
    """
    value = value.strip().removeprefix("smtp:")
    try:
        value = f"[{ipaddress.ip_address(value)}]"
    except ValueError:
        if value and not _NEXT_HOP.fullmatch(value):
            raise InvalidValue(f"relay host {value!r}: write it like [mail.example.com]:25") from None
    return value


def networks(values: Iterable[str]) -> str | None:
    """Return networks as Dovecot reads them, with commas; None for none, because '' would lock the account out."""
    if isinstance(values, str):
        raise InvalidValue(f"allow_nets: a list of networks is wanted, not the text {values!r}", field="allow_nets")
    try:
        parsed = [ipaddress.ip_network(value.strip(), strict=False) for value in values]
    except ValueError as error:
        raise InvalidValue(f"allow_nets: {error}", field="allow_nets") from error
    unique = dict.fromkeys(parsed)
    return ",".join(str(net.network_address if net.num_addresses == 1 else net) for net in unique) or None


def optional_address(value: str) -> str:
    """Return an address in normal form, or '' for none."""
    return address.any_address(value) if value else ""


def mailbox_format(value: str) -> str:
    """Check the name of a Dovecot mailbox format."""
    if value not in {"maildir", "mdbox", "sdbox"}:
        raise InvalidValue(f"mailbox format {value!r}: it must be maildir, mdbox or sdbox", field="mailbox_format")
    return value


def mailbox_folder(value: str) -> str:
    """Check the name of the folder below the home; an empty one makes Dovecot 2.3 unable to open the mailbox."""
    if not re.fullmatch(r"[A-Za-z0-9]{1,20}", value):
        raise InvalidValue(f"mailbox folder {value!r}: 1 to 20 letters and digits", field="mailbox_folder")
    return value


def access_policy(value: str) -> str:
    """Check who may send to an alias."""
    policy = value.lower()
    if policy not in ACCESS_POLICIES:
        raise InvalidValue(
            f"access policy {value!r}: it must be one of {', '.join(ACCESS_POLICIES)}", field="access_policy"
        )
    return policy


def flag(name: str) -> Callable[[Any], int]:
    """Return a check for a yes or no; columns hold 1 and 0."""

    def check(value: Any) -> int:
        if not isinstance(value, bool):
            raise InvalidValue(f"{name}: True or False is wanted, not {value!r}", field=name)
        return int(value)

    return check
