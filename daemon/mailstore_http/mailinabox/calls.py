"""The calls of the API by verb and path, and how each is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mailstore.address import domain_part
from mailstore.errors import AlreadyExists, InvalidAddress, NotFound
from mailstore.model import Capability
from mailstore_http.mailinabox import listings, sentences
from mailstore_http.messages import Answer, Pairs

if TYPE_CHECKING:
    from mailstore.sql.mailinabox.store import MailInABoxStore

__all__ = ["CALLS", "Call", "Handler", "json_answer", "text_answer"]

_SEPARATORS = re.compile(r"[,\n]")


@dataclass(frozen=True)
class Call:
    """One call: the store as its admin may use it, and the parameters in the query and in the body."""

    store: MailInABoxStore
    hostname: str
    query: Pairs
    form: Pairs

    def sent(self, *names: str) -> str | None:
        """Return a parameter of the body: of a repeated name the first value counts. None if it is absent."""
        return _first(self.form, names)

    def asked(self, *names: str) -> str | None:
        """Return a parameter of the query, else of the body, where the page of the panel says it stands."""
        found = _first(self.query, names)
        return _first(self.form, names) if found is None else found


Handler: TypeAlias = Callable[[Call], Answer]


def _first(pairs: Pairs, names: tuple[str, ...]) -> str | None:
    return next((value for wanted in names for name, value in pairs if name == wanted), None)


def text_answer(text: str) -> Answer:
    """Return text, which the panel calls HTML."""
    return Answer(200, text.encode(), "text/html; charset=utf-8")


def json_answer(content: object) -> Answer:
    """Return JSON. Clients compare the type: there must be no charset."""
    return Answer(200, listings.as_json(content), "application/json")


def _wants_json(call: Call) -> bool:
    return call.asked("format") == "json"


def _users(call: Call) -> Answer:
    if _wants_json(call):
        return json_answer(listings.users(call.store, call.hostname))
    found: dict[str, list[str]] = {}
    for account in call.store.accounts.list():
        found.setdefault(domain_part(account.address), []).append(account.address)
    order = listings.in_order(found, call.hostname)
    return text_answer("".join(f"{address}\n" for domain in order for address in sorted(found[domain])))


def _add_user(call: Call) -> Answer:
    first = call.store.accounts.count() == 0
    email = sentences.new_user(call.sent("email") or "", first=first)
    password = sentences.password(call.sent("password") or "")
    lines = (call.sent("privileges", "privilege") or "").split("\n")
    is_admin = sentences.privilege([line for line in lines if line.strip()])
    quota = sentences.quota(call.sent("quota") or "0")
    keeps_quotas = Capability.ACCOUNT_QUOTAS in call.store.capabilities
    fields = {"quota": quota} if keeps_quotas or quota != "unlimited" else {}
    try:
        with call.store.transaction():
            call.store.accounts.create(email, password=password, **fields)  # type: ignore[arg-type]
            if is_admin:
                call.store.admins.promote(email, global_admin=True)
    except AlreadyExists as error:
        raise sentences.RefusedError("User already exists.") from error
    except InvalidAddress as error:
        raise sentences.RefusedError("Invalid email address.") from error
    return text_answer("mail user added\n")


def _remove_user(call: Call) -> Answer:
    email = _user_of(call)
    call.store.accounts.delete(email)
    return text_answer("mail user removed\n")


def _set_password(call: Call) -> Answer:
    password = sentences.password(call.sent("password") or "")
    call.store.accounts.update(_user_of(call), password=password)
    return text_answer("OK")


def _privileges(call: Call) -> Answer:
    account = call.store.accounts.get(_known(call, call.asked("email") or ""))
    return text_answer("\n".join(listings.privileges(account)))


def _add_privilege(call: Call) -> Answer:
    _checked_privilege(call.sent("privilege", "privileges") or "")
    call.store.admins.promote(_user_of(call), global_admin=True)
    return text_answer("OK")


def _remove_privilege(call: Call) -> Answer:
    given = call.sent("privilege", "privileges")
    _checked_privilege("admin" if given is None else given)  # the page of the panel says that only email is needed
    email = _user_of(call)
    if call.store.accounts.get(email).admin:
        call.store.admins.demote(email)
    return text_answer("OK")


def _checked_privilege(name: str) -> None:
    sentences.privilege([name])


def _quota(call: Call) -> Answer:
    account = call.store.accounts.get(_known(call, call.asked("email") or ""))
    quota = listings.quota_text(account)
    if call.asked("text"):
        return text_answer(quota)
    return json_answer({"email": account.address, "quota": quota})


def _set_quota(call: Call) -> Answer:
    quota = sentences.quota(call.sent("quota") or "")
    call.store.accounts.update(_user_of(call), quota=quota)
    return text_answer("OK")


def _user_of(call: Call) -> str:
    return _known(call, call.sent("email") or "")


def _known(call: Call, email: str) -> str:
    """Return the address of a user; like the panel, take it as it is written. Raises RefusedError if there is none."""
    try:
        if email == email.lower() and call.store.accounts.exists(email):
            return email
    except InvalidAddress:
        pass
    raise sentences.no_user(email)


def _aliases(call: Call) -> Answer:
    if _wants_json(call):
        return json_answer(listings.aliases(call.store, call.hostname))
    rows = listings.alias_rows(call.store, call.hostname)
    lines = ("\t".join((row.source, ",".join(row.members), ",".join(row.senders))) for row in rows)
    return text_answer("".join(f"{line}\n" for line in lines))


def _add_alias(call: Call) -> Answer:
    address = sentences.address(call.sent("address") or "").lower()
    members, senders = _listed(call.sent("forwards_to")), _listed(call.sent("permitted_senders"))
    if not members and not senders:
        raise sentences.RefusedError("The alias must either forward to an address or have a permitted sender.")
    fields = {"members": members} | ({"permitted_senders": senders} if senders else {})
    try:
        call.store.aliases.create(address, **fields)  # type: ignore[arg-type]
    except AlreadyExists as error:
        if call.sent("update_if_exists") != "1" or not call.store.aliases.exists(address):
            raise sentences.RefusedError(f"Alias already exists ({address}).") from error
        call.store.aliases.update(address, members=members, permitted_senders=senders)
        return text_answer("alias updated\n")
    except InvalidAddress as error:
        raise sentences.RefusedError(_bad_address(error, address)) from error
    except NotFound as error:
        raise sentences.RefusedError(
            f"Invalid permitted sender: {error.subject} is not a user on this system."
        ) from error
    return text_answer("alias added\n")


def _bad_address(error: InvalidAddress, address: str) -> str:
    is_own = (error.subject or "").lower().strip() == address
    return f"Invalid email address ({address})." if is_own else f"Invalid receiver email address ({error.subject})."


def _remove_alias(call: Call) -> Answer:
    address = call.sent("address") or ""
    try:
        call.store.aliases.delete(address)
    except (NotFound, InvalidAddress) as error:
        raise sentences.no_alias(address) from error
    return text_answer("alias removed\n")


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in _SEPARATORS.split(text or "") if item.strip())


def _domains(call: Call) -> Answer:
    found = [name for domain in call.store.domains.list() for name in (domain.domain, *domain.alias_domains)]
    return text_answer("".join(f"{name}\n" for name in listings.in_order(found, call.hostname)))


CALLS: Mapping[str, Mapping[str, Handler]] = {
    "/mail/users": {"GET": _users},
    "/mail/users/add": {"POST": _add_user},
    "/mail/users/remove": {"POST": _remove_user},
    "/mail/users/password": {"POST": _set_password},
    "/mail/users/privileges": {"GET": _privileges},
    "/mail/users/privileges/add": {"POST": _add_privilege},
    "/mail/users/privileges/remove": {"POST": _remove_privilege},
    "/mail/users/quota": {"GET": _quota, "POST": _set_quota},
    "/mail/aliases": {"GET": _aliases},
    "/mail/aliases/add": {"POST": _add_alias},
    "/mail/aliases/remove": {"POST": _remove_alias},
    "/mail/domains": {"GET": _domains},
}
"""What can be done at a path by verb."""
