"""Whatever the webmail keeps for a user besides the account: where it lies, and how it leads back to its owner.

The product's own deletion forgets some of it (folder orders, fetchers, columns, calendars in Lite, social links of linked
accounts, second factors, links to files) and all that hangs on calendar events; here everything goes. SQLite, and other
engines after a restart, give numbers away again: what a deleted user leaves behind is the next one's.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

__all__ = [
    "BELONGINGS",
    "DISOWNED",
    "KEPT_OF_ACCOUNTS",
    "KEPT_OF_USERS",
    "NOT_KEPT",
    "POINTERS",
    "Belonging",
    "Owner",
    "Through",
]

Owner: TypeAlias = Literal["account", "account in a link", "user", "user as text", "principal", "address", "named"]
"""What a column names: ``awm_accounts.id_acct`` (as a number, or at the beginning of a link's JSON), ``a_users.id_user`` (as
a number or as text), ``principals/ADDRESS``, or the address itself. "named" is an address that others wrote down, be it the
account's or that of an alias: it may be written before there is such an account, and goes when the account goes."""


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
_CONTACTS = Through("awm_addr_book", "id_addr", "id_user")
_HELPDESK = Through("ahd_users", "id_helpdesk_user", "id_system_user")

_OF_ACCOUNT = (
    "awm_messages", "awm_messages_body", "awm_filters", "awm_reads", "awm_folders", "awm_identities", "awm_folders_order",
    "awm_folders_order_names", "awm_system_folders", "awm_fetchers", "awm_social", "awm_mailaliases",
    "awm_mailforwards", "awm_mailinglists",
)  # fmt: skip

BELONGINGS: tuple[Belonging, ...] = (
    Belonging("awm_folders_tree", "id_folder", "account", _FOLDERS),
    *(Belonging(table, "id_acct", "account") for table in _OF_ACCOUNT),
    Belonging("twofa_accounts", "account_id", "account"),
    Belonging("awm_min", "data", "account in a link"),
    *(Belonging(table, "id_user", "user") for table in ("awm_identities", "awm_system_folders", "awm_fetchers")),
    Belonging("awm_senders", "id_user", "user"),
    Belonging("awm_columns", "id_user", "user"),
    Belonging("awm_mailinglists", "list_to", "named"),
    Belonging("awm_mailforwards", "forward_to", "named"),
    *(Belonging(table, "id_event", "user", _EVENTS) for table in _OF_EVENT),
    *(Belonging(table, "id_user", "user") for table in ("acal_reminders", "acal_appointments")),
    Belonging("acal_appointments", "email", "named"),
    Belonging("acal_events", "calendar_id", "user", _CALENDARS),
    Belonging("acal_publications", "id_user", "user"),
    Belonging("acal_sharing", "id_user", "user"),
    Belonging("acal_sharing", "id_to_user", "user"),
    Belonging("acal_sharing", "str_to_email", "named"),
    *(Belonging(table, "id_calendar", "user", _CALENDARS) for table in ("acal_publications", "acal_sharing")),
    Belonging("acal_calendars", "user_id", "user"),
    Belonging("acal_users_data", "user_id", "user"),
    Belonging("awm_addr_groups_contacts", "id_group", "user", _GROUPS),
    Belonging("awm_addr_groups_contacts", "id_addr", "user", _CONTACTS),
    Belonging("awm_addr_groups_events", "id_group", "user", _GROUPS),
    Belonging("awm_addr_groups", "id_user", "user"),
    Belonging("awm_addr_book", "id_user", "user"),
    Belonging("awm_addr_book", "type_id", "user as text", None, (2,)),
    Belonging("adav_cards", "addressbookid", "principal", _BOOKS),
    Belonging("adav_addressbooks", "principaluri", "principal"),
    Belonging("adav_calendarobjects", "calendarid", "principal", _DAV_CALENDARS),
    Belonging("adav_calendarshares", "calendarid", "principal", _DAV_CALENDARS),
    Belonging("adav_calendarshares", "member", "principal", _PRINCIPALS),
    Belonging("adav_calendarshares", "principaluri", "principal"),
    Belonging("adav_calendars", "principaluri", "principal"),
    Belonging("adav_groupmembers", "principal_id", "principal", _PRINCIPALS),
    Belonging("adav_groupmembers", "member_id", "principal", _PRINCIPALS),
    Belonging("adav_principals", "uri", "principal"),
    Belonging("adav_reminders", "user", "address"),
    Belonging("adav_cache", "user", "address"),
    Belonging("awm_account_quotas", "name", "address"),
    Belonging("ahd_reads", "id_owner", "user", _HELPDESK),
    Belonging("ahd_online", "id_helpdesk_user", "user", _HELPDESK),
    Belonging("ahd_users", "id_system_user", "user"),
    Belonging("awm_settings", "id_user", "user"),
)
"""In the order in which they can be removed: what leads back through another table before that table."""

DISOWNED: tuple[Belonging, ...] = tuple(
    Belonging(table, column, "user", _HELPDESK)
    for table, column in (
        ("ahd_threads", "id_owner"), ("ahd_threads", "last_post_owner_id"), ("ahd_posts", "id_owner"),
        ("ahd_attachments", "id_owner"),
    )
)  # fmt: skip
"""What was said in the helpdesk stays with whoever answered; it only ceases to be the user's: the owner becomes 0."""

KEPT_OF_USERS: dict[str, str] = {
    "awm_settings": "id_setting", "awm_accounts": "id_acct", "awm_identities": "id_identity", "awm_addr_book": "id_addr",
    "awm_senders": "id", "awm_columns": "id", "acal_users_data": "settings_id",
}  # fmt: skip
KEPT_OF_ACCOUNTS: dict[str, str] = {
    "awm_mailforwards": "id", "awm_fetchers": "id_fetcher", "awm_social": "id", "twofa_accounts": "id",
    "awm_system_folders": "id", "awm_folders_order": "id", "awm_folders_order_names": "",
}  # fmt: skip
"""What a record keeps and a restore brings back, with the columns that number the rows; these count anew."""

_CACHE = "a copy of what is in the mailbox; the webmail reads it again"
_CHAINED = "hangs on rows that get new numbers; not kept yet"
NOT_KEPT: dict[str, str] = {
    **dict.fromkeys(
        ("awm_messages", "awm_messages_body", "awm_reads", "awm_folders", "awm_folders_tree", "adav_cache"), _CACHE
    ),
    **dict.fromkeys(
        (
            "awm_filters", "awm_addr_groups", "awm_addr_groups_contacts", "awm_addr_groups_events", "acal_calendars",
            "acal_events", "acal_eventrepeats", "acal_exclusions", "acal_reminders", "acal_appointments",
            "acal_publications", "acal_sharing", "adav_addressbooks", "adav_cards", "adav_calendars",
            "adav_calendarobjects", "adav_calendarshares", "adav_principals", "adav_groupmembers", "adav_reminders",
        ),
        _CHAINED,
    ),
    "awm_min": "a public link is found by the number of the account, which is another one then",
    "awm_account_quotas": "the mail server counts again",
    "ahd_users": "the helpdesk makes its user again",
    "ahd_reads": "of that user",
    "ahd_online": "of that user",
}  # fmt: skip
"""Why the rest is not kept, table by table; aliases and what others wrote about the address are kept by name."""

POINTERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("awm_mailinglists", "list_to", ("list_name",)),
    ("awm_mailforwards", "forward_to", ("forward_name", "forward_domain")),
)
"""Where others name an address, and the columns that say whose row it is: it comes back while that is still there."""
