"""Whatever the webmail keeps for a user besides the account: where it lies, and how it leads back to its owner.

The product's own deletion forgets some of it (folder orders, fetchers, columns, calendars in Lite, social links of linked
accounts) and all that hangs on calendar events; here everything goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["BELONGINGS", "DATA_KEYS", "Belonging", "Owner", "Through"]

Owner: TypeAlias = Literal["account", "user", "user as text", "principal", "address"]
"""What a column names: ``awm_accounts.id_acct``, ``a_users.id_user`` (as a number or as text), ``principals/ADDRESS``, or
the address itself."""


class Through(NamedTuple):
    """A table between: `key` is what the column refers to, `column` names the owner, or leads on through another table."""

    table: str
    key: str
    column: str
    through: Through | None = None


class Belonging(NamedTuple):
    """Rows of a table that belong to somebody; ``types`` limits them by the column ``type``."""

    table: str
    column: str
    owner: Owner
    through: Through | None = None
    types: tuple[int, ...] = ()


_FOLDERS = Through("awm_folders", "id_folder", "id_acct")
_GROUPS = Through("awm_addr_groups", "id_group", "id_user")
_CALENDARS = Through("acal_calendars", "calendar_id", "user_id")
_EVENTS = Through("acal_events", "event_id", "calendar_id", _CALENDARS)
_OF_EVENT = ("acal_eventrepeats", "acal_exclusions", "acal_reminders", "acal_appointments")
_BOOKS = Through("adav_addressbooks", "id", "principaluri")
_DAV_CALENDARS = Through("adav_calendars", "id", "principaluri")
_PRINCIPALS = Through("adav_principals", "id", "uri")

_OF_ACCOUNT = (
    "awm_messages", "awm_messages_body", "awm_filters", "awm_reads", "awm_folders", "awm_identities", "awm_folders_order",
    "awm_folders_order_names", "awm_system_folders", "awm_fetchers", "awm_social", "twofa_accounts", "awm_mailaliases",
    "awm_mailforwards", "awm_mailinglists",
)  # fmt: skip

BELONGINGS: tuple[Belonging, ...] = (
    Belonging("awm_folders_tree", "id_folder", "account", _FOLDERS),
    *(Belonging(table, "id_acct", "account") for table in _OF_ACCOUNT),
    Belonging("awm_identities", "id_user", "user"),
    Belonging("awm_senders", "id_user", "user"),
    Belonging("awm_columns", "id_user", "user"),
    *(Belonging(table, "id_event", "user", _EVENTS) for table in _OF_EVENT),
    *(Belonging(table, "id_user", "user") for table in ("acal_reminders", "acal_appointments")),
    Belonging("acal_events", "calendar_id", "user", _CALENDARS),
    Belonging("acal_publications", "id_user", "user"),
    Belonging("acal_sharing", "id_user", "user"),
    Belonging("acal_sharing", "id_to_user", "user"),
    Belonging("acal_calendars", "user_id", "user"),
    Belonging("acal_users_data", "user_id", "user"),
    Belonging("awm_addr_groups_contacts", "id_group", "user", _GROUPS),
    Belonging("awm_addr_groups", "id_user", "user"),
    Belonging("awm_addr_book", "id_user", "user"),
    Belonging("awm_addr_book", "type_id", "user as text", None, (2,)),
    Belonging("adav_cards", "addressbookid", "principal", _BOOKS),
    Belonging("adav_addressbooks", "principaluri", "principal"),
    Belonging("adav_calendarobjects", "calendarid", "principal", _DAV_CALENDARS),
    Belonging("adav_calendarshares", "calendarid", "principal", _DAV_CALENDARS),
    Belonging("adav_calendarshares", "member", "principal", _PRINCIPALS),
    Belonging("adav_calendars", "principaluri", "principal"),
    Belonging("adav_groupmembers", "principal_id", "principal", _PRINCIPALS),
    Belonging("adav_groupmembers", "member_id", "principal", _PRINCIPALS),
    Belonging("adav_principals", "uri", "principal"),
    Belonging("adav_reminders", "user", "address"),
    Belonging("adav_cache", "user", "address"),
    Belonging("awm_account_quotas", "name", "address"),
    Belonging("ahd_users", "id_system_user", "user"),
    Belonging("awm_settings", "id_user", "user"),
)
"""In the order in which they can be removed: what leads back through another table before that table."""

_Kind: TypeAlias = Literal["id", "number", "text"]


def _keys(text: str) -> dict[str, _Kind]:
    """Read ``column:kind`` words; a kind that is left out is a number."""
    kinds: Mapping[str, _Kind] = {"id": "id", "text": "text", "": "number"}
    return {column: kinds[kind] for column, _, kind in (word.partition(":") for word in text.split())}


DATA_KEYS: Mapping[str, Mapping[str, _Kind]] = {
    table: _keys(text)
    for table, text in {
        "awm_messages": "id:id id_acct", "awm_messages_body": "id:id id_acct", "awm_filters": "id_filter:id id_acct",
        "awm_reads": "id_read:id id_acct", "awm_folders": "id_folder:id id_acct", "awm_folders_tree": "id:id id_folder",
        "awm_folders_order": "id:id id_acct", "awm_folders_order_names": "id_acct", "awm_system_folders": "id:id id_acct",
        "awm_fetchers": "id_fetcher:id id_acct", "awm_social": "id:id id_acct", "twofa_accounts": "id:id id_acct",
        "awm_identities": "id_identity:id id_user id_acct email:text", "awm_senders": "id:id id_user email:text",
        "awm_columns": "id:id id_user", "acal_calendars": "calendar_id:id user_id", "acal_events": "event_id:id calendar_id",
        "acal_exclusions": "id_exclusion:id id_event id_calendar", "acal_eventrepeats": "id_repeat:id id_event",
        "acal_reminders": "id_reminder:id id_event id_user", "acal_appointments": "id_appointment:id id_event id_user",
        "acal_publications": "id_publication:id id_user", "acal_sharing": "id_share:id id_user id_to_user",
        "acal_users_data": "settings_id:id user_id", "awm_addr_groups": "id_group:id id_user",
        "awm_addr_groups_contacts": "id_addr id_group", "adav_addressbooks": "id:id principaluri:text",
        "adav_cards": "id:id addressbookid", "adav_calendars": "id:id principaluri:text",
        "adav_calendarobjects": "id:id calendarid", "adav_calendarshares": "id:id calendarid member",
        "adav_principals": "id:id uri:text", "adav_groupmembers": "id:id principal_id member_id",
        "adav_reminders": "id:id user:text", "adav_cache": "id:id user:text",
        "ahd_users": "id_helpdesk_user:id id_system_user",
    }.items()
}  # fmt: skip
"""The tables of which only the keys are known here, and what these are."""
