"""The words by which this API says why a call failed: those of the panel, else the library's own sentence."""

from __future__ import annotations

from mailstore.address import any_address, domain_name
from mailstore.errors import (
    AlreadyExists,
    InvalidAddress,
    InvalidPassword,
    LimitExceeded,
    MailstoreError,
    NotFound,
    PermissionDenied,
    Refused,
)
from mailstore.store import Store
from mailstore_http.iredadmin.parameters import Call

__all__ = ["word_for"]

_WORDS: dict[type[MailstoreError], str] = {
    PermissionDenied: "PERMISSION_DENIED",
    AlreadyExists: "ALREADY_EXISTS",
    LimitExceeded: "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
}
_NAMES = frozenset({"domain", "mail", "new", "level", "name"})
"""The places in a path that hold a domain or an address."""


def word_for(error: Refused, call: Call, everything: Store) -> str:
    """Return ``_msg`` for what the library refused. `everything` is the store without an acting admin."""
    if isinstance(error, NotFound):
        return _not_found(error, call, everything)
    if isinstance(error, InvalidAddress):
        return _malformed(call) or "INVALID_MAIL"
    if isinstance(error, InvalidPassword):
        return _password(error, call, everything)
    return next((word for kind, word in _WORDS.items() if isinstance(error, kind)), str(error))


def _malformed(call: Call) -> str:
    """Return what is wrong with a name in the path, empty for nothing. What a store holds can be named all the same."""
    for key, value in call.path.items():
        if key not in _NAMES or (key == "level" and value == "global"):
            continue
        is_mail = key in {"mail", "new"} or "@" in value
        try:
            any_address(value) if is_mail else domain_name(value)
        except InvalidAddress:
            return "INVALID_MAIL" if is_mail else "INVALID_DOMAIN_NAME"
    return ""


def _not_found(error: NotFound, call: Call, everything: Store) -> str:
    """Return that something is not there only to who would manage it: for others it is not theirs, there or not."""
    subject = error.subject or ""
    if word := _malformed(call):
        return word
    try:
        admin = everything.admins.get(call.admin)
    except NotFound:
        return "LOGIN_REQUIRED"
    named = (subject, *(value for key, value in call.path.items() if key in _NAMES))
    domains = {name.rpartition("@")[2] for name in named if "." in name}
    if not admin.global_admin and not domains <= set(admin.domains):
        return "PERMISSION_DENIED"
    return "NO_SUCH_ACCOUNT" if "@" in subject else "NO_SUCH_DOMAIN"


def _password(error: InvalidPassword, call: Call, everything: Store) -> str:
    """Return which rule of the domain a password breaks, if it is one that the panel has a word for."""
    password, name = call.parameters.get("password"), (call.path.get("mail") or call.path.get("domain") or "")
    if password is None:
        return str(error)
    try:
        domain = everything.domains.get(name.rpartition("@")[2])
    except Refused:
        return str(error)
    if domain.min_password_length and len(password) < domain.min_password_length:
        return "PW_SHORTER_THAN_MIN_LENGTH"
    if domain.max_password_length and len(password) > domain.max_password_length:
        return "PW_GREATER_THAN_MAX_LENGTH"
    return str(error)
