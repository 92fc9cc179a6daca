"""Mail users."""

from __future__ import annotations

from typing import Any

from mailstore.errors import AlreadyExists
from mailstore.model import Edit
from mailstore_http.iredadmin import profiles
from mailstore_http.iredadmin.parameters import (
    Call,
    RefusedError,
    Table,
    edit_of,
    keep_days,
    megabytes,
    status,
    switch,
    text,
    together,
)

__all__ = ["change", "change_all", "create", "delete", "list_all", "rename", "show", "verify"]

_NEW: Table = {
    "name": ("name", text),
    "gn": ("first_name", text),
    "sn": ("last_name", text),
    "language": ("language", text),
    "quota": ("quota", megabytes),
    "accountStatus": ("enabled", status),
    "employeeid": ("employee_id", text),
    "transport": ("transport", text),
    "mobile": ("mobile", text),
    "telephoneNumber": ("telephone", text),
    "mailboxFormat": ("mailbox_format", text),
    "mailboxFolder": ("mailbox_folder", text),
}
_FIELDS: Table = {**_NEW, "senderBcc": ("sender_bcc", text), "recipientBcc": ("recipient_bcc", text)}
_ALL: Table = {
    "accountStatus": ("enabled", status),
    "language": ("language", text),
    "transport": ("transport", text),
}


def show(call: Call) -> Any:
    """GET user/M."""
    return profiles.account(call, call.store.accounts.get(call.path["mail"]))


def list_all(call: Call) -> Any:
    """GET users/D."""
    given, name = call.parameters, call.path["domain"]
    call.store.domains.get(name)
    enabled = False if switch(given.get("disabled_only") or "no") else None
    found = call.store.accounts.list(domain=name, enabled=enabled)
    if switch(given.get("email_only") or "no"):
        return (account.address for account in found)
    return profiles.each(call, profiles.account, found)


def create(call: Call) -> None:
    """POST user/M."""
    given = call.parameters
    fields = given.fields(_NEW)
    if "maildir" in given:
        fields["home"] = given.get("maildir")
    call.store.accounts.create(call.path["mail"], **given.password(needed=True), **fields)


def delete(call: Call) -> None:
    """DELETE user/M, and the same with the days that the mailbox is kept."""
    call.store.accounts.delete(call.path["mail"], keep_mailbox_days=keep_days(call.path.get("days", "0")))


def change(call: Call) -> None:
    """PUT user/M."""
    given, mail = call.parameters, call.path["mail"]
    fields = {**given.fields(_FIELDS), **given.password(needed=False), **_forwarding(call)}
    services = edit_of(call, "services", "addService", "removeService")
    if services is not None:
        fields["services"] = services
    aliases = edit_of(call, "aliases", "addAlias", "removeAlias")
    rank = switch(given.get("isGlobalAdmin") or "") if "isGlobalAdmin" in given else None
    with together(call.store):
        call.store.accounts.update(mail, **fields)
        if aliases is not None:
            _set_aliases(call, aliases)
        if rank:
            call.store.admins.promote(mail, global_admin=True)
        elif rank is False and call.store.accounts.get(mail).global_admin:
            call.store.admins.demote(mail)


def rename(call: Call) -> None:
    """POST user/M/change_email/NEW."""
    call.store.accounts.rename(call.path["mail"], call.path["new"])


def change_all(call: Call) -> None:
    """PUT users/D."""
    fields = {**call.parameters.fields(_ALL), **call.parameters.password(needed=False)}
    call.store.accounts.update_all(call.path["domain"], **fields)


def verify(call: Call) -> None:
    """POST verify_password/user/M."""
    mail, password = call.path["mail"], call.parameters.password(needed=True).get("password")
    if password is None or not call.verify(mail, lambda: call.store.accounts.verify_password(mail, password)):
        raise RefusedError("INVALID_CREDENTIALS")


def _forwarding(call: Call) -> dict[str, Any]:
    """Return where mail goes, and whether a copy stays: it does if the user's own address is one of the destinations."""
    mail, wanted = call.path["mail"], edit_of(call, "forwarding", "addForwarding", "removeForwarding")
    if wanted is None:
        return {}
    if not isinstance(wanted, Edit):
        others = [address for address in wanted if address != mail]
        return {"forwarding": others, "keep_copy": mail in wanted or not others}
    fields: dict[str, Any] = {}
    add = [address for address in wanted.add if address != mail]
    remove = [address for address in wanted.remove if address != mail]
    if add or remove:
        fields["forwarding"] = Edit(add=add, remove=remove)
    if mail in wanted.add or mail in wanted.remove:
        fields["keep_copy"] = mail in wanted.add
    return fields


def _set_aliases(call: Call, wanted: tuple[str, ...] | Edit) -> None:
    """Set the further addresses of a user, without those that are in use: these "won't be assigned"."""
    mail = call.path["mail"]
    add = list(wanted.add if isinstance(wanted, Edit) else wanted)
    while True:
        aliases = Edit(add=add, remove=wanted.remove) if isinstance(wanted, Edit) else add
        try:
            call.store.accounts.update(mail, aliases=aliases)
        except AlreadyExists as error:
            if error.subject not in add:
                raise
            add.remove(error.subject)
        else:
            return
