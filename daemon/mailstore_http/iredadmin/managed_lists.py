"""Lists of the list manager mlmmj: what of them stands in a directory. Subscribers and settings are the manager's own."""

from __future__ import annotations

from typing import Any

from mailstore.model import MailingList
from mailstore_http.iredadmin import profiles
from mailstore_http.iredadmin.parameters import Call, RefusedError, Table, names, status, switch, text

__all__ = ["change", "list_all", "refuse", "show"]

_MANAGED = "managed"
_FIELDS: Table = {
    "name": ("name", text),
    "accountStatus": ("enabled", status),
    "accessPolicy": ("access_policy", text),
    "owner": ("owners", names),
    "moderators": ("moderators", names),
}
_OF_THE_MANAGER = frozenset({
    "add_subscribers", "archive", "close_list", "custom_headers", "disable_archive", "disable_digest_subscription",
    "disable_digest_text", "disable_nomail_subscription", "disable_retrieving_old_posts",
    "disable_retrieving_subscribers", "disable_send_copy_to_sender", "disable_subscription",
    "disable_subscription_confirm", "extra_addresses", "footer_html", "footer_text", "is_newsletter",
    "max_message_size", "members", "moderate_non_subscriber_post", "moderate_subscription", "moderated",
    "newsletter_description", "notify_owner_when_sub_unsub", "notify_sender_when_moderated",
    "only_moderator_can_post", "only_subscriber_can_get_old_posts", "only_subscriber_can_post", "remove_headers",
    "remove_subscribers", "require_confirm", "subject_prefix", "subscribers", "subscription",
    "subscription_moderators",
})  # fmt: skip
"""Parameters that mlmmjadmin keeps in files beside the list."""


def list_all(call: Call) -> Any:
    """GET mls/D."""
    name = call.path["domain"]
    call.store.domains.get(name)
    found = (one for one in call.store.lists.list(domain=name) if one.kind == _MANAGED)
    if switch(call.parameters.get("email_only") or "no"):
        return (one.address for one in found)
    return profiles.each(call, profiles.mailing_list, found)


def show(call: Call) -> Any:
    """GET ml/M. Who has subscribed is not in the directory."""
    if switch(call.parameters.get("with_subscribers") or "no"):
        raise RefusedError("subscribers are kept by the list manager; ask mlmmjadmin for them")
    return profiles.mailing_list(call, _require(call))


def change(call: Call) -> None:
    """PUT ml/M: what the directory holds. Anything else that is given is refused, and nothing is changed."""
    for name in sorted(_OF_THE_MANAGER):
        if name in call.parameters:
            raise RefusedError(f"{name} is kept by the list manager; change it with mlmmjadmin")
    _require(call)
    call.store.lists.update(call.path["mail"], **call.parameters.fields(_FIELDS))


def refuse(call: Call) -> None:
    """POST and DELETE ml/M."""
    call.store.domains.get(call.path["mail"].rpartition("@")[2])
    raise RefusedError("lists are made and deleted by the list manager; use mlmmjadmin")


def _require(call: Call) -> MailingList:
    """Return the list. Raises RefusedError for one whose members are in the directory: that is ``maillist``."""
    found = call.store.lists.get(call.path["mail"])
    if found.kind != _MANAGED:
        raise RefusedError("NO_SUCH_ACCOUNT")
    return found
