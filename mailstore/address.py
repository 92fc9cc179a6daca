"""Mail addresses and domain names: parse, normalise, refuse.

Everything is stored in lower case with the domain in its A-label (punycode) form, because that is the only form that
every reader finds: Postfix and Dovecot fold their lookup keys to lower case before they ask.
The syntax is left to the packages `email-validator` (local part) and `idna` (domain); what is added here is what mail
stores need beyond syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from mailstore.errors import InvalidAddress

__all__ = [
    "account_address",
    "addresses",
    "any_address",
    "domain_name",
    "domain_part",
    "local_part",
    "moderator",
]

_HOSTED_LOCAL_PART = re.compile(r"[a-z0-9_#][a-z0-9_.&#-]*")
"""What iRedAdmin accepts for new users, restricted to ASCII and without a leading `-`, which Postfix refuses."""
_DOMAIN = re.compile(r"(?=.*[a-z-][^.]*$)[a-z0-9-]+(?:\.[a-z0-9-]+)+")
"""Two labels or more, the last one not all digits (that would be an IP address)."""
_PLAIN_LOCAL_PART = re.compile(r"(?=.{1,64}$)[A-Za-z0-9_#&-]+(?:\.[A-Za-z0-9_#&-]+)*")
"""Local parts that are valid by the very definition of a dot-atom: nearly all, and not worth a full parse."""
_MAX_DOMAIN = 253
_MAX_ADDRESS = 254


def any_address(text: str) -> str:
    """Return the normal form of an address that may live anywhere (a member, a destination, a bcc address).

    Raises InvalidAddress for bad syntax, quoted or non-ASCII local parts, address literals and single-label domains.
    """
    return _parse(_as_text(text))


def account_address(text: str) -> str:
    """Return the normal form of an address that this store is to serve (an account, an alias, a list).

    Stricter than `any_address`: the local part holds only ``a-z 0-9 . _ - & #`` and does not start with ``.`` or ``-``,
    because it becomes part of a directory name and of lookup keys (``+`` starts a subaddress there).
    Raises InvalidAddress.
    """
    address = any_address(text)
    if not _HOSTED_LOCAL_PART.fullmatch(local_part(address)):
        raise InvalidAddress(
            f"{address}: the part before @ may hold only a-z 0-9 . _ - & # and must not start with . or -",
            subject=address,
        )
    return address


def domain_name(text: str) -> str:
    """Return the normal form of a mail domain: lower case, A-labels, no trailing dot. Raises InvalidAddress."""
    text = _as_text(text)
    return _parse_domain(text, text)


def moderator(text: str) -> str:
    """Return the normal form of a moderator: an address, or ``*@domain`` for everybody of a domain."""
    text = _as_text(text)
    if text.startswith("*@"):
        return "*@" + domain_name(text[2:])
    return any_address(text)


def addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the normal forms of several addresses of any kind, without repetition, in the order given."""
    if isinstance(texts, str):
        raise _refused(texts, "a list of addresses is wanted, not one text")
    return tuple(dict.fromkeys(any_address(text) for text in texts))


def domain_part(address: str) -> str:
    """Return what stands behind the last ``@``."""
    return address.rpartition("@")[2]


def local_part(address: str) -> str:
    """Return what stands before the last ``@``."""
    return address.rpartition("@")[0]


def _as_text(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidAddress(f"an address must be text, not {type(text).__name__}")
    return text.strip(" ")


def _refused(text: str, why: object) -> InvalidAddress:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return InvalidAddress(f"{shown!r} cannot be used: {why}", subject=text)


def _parse(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at:
        raise _refused(text, "there is no @ in it")
    address = f"{_parse_local_part(local, text)}@{_parse_domain(domain, text)}"
    if len(address) > _MAX_ADDRESS:
        raise _refused(text, f"it is longer than {_MAX_ADDRESS} characters")
    return address


def _parse_local_part(local: str, shown: str) -> str:
    if _PLAIN_LOCAL_PART.fullmatch(local):
        return local.lower()
    import email_validator  # imported on demand so that `import mailstore` stays light

    # Only the local part is left to this package: it refuses domains like "corp.local", which private servers do use.
    try:
        found = email_validator.validate_email(
            f"{local}@example.com", check_deliverability=False, allow_smtputf8=False, strict=True
        )
    except email_validator.EmailSyntaxError as error:
        raise _refused(shown, error) from error
    return found.local_part.lower()


def _parse_domain(domain: str, shown: str) -> str:
    import idna

    try:
        name = _to_ascii(domain)
    except idna.IDNAError as error:
        raise _refused(shown, f"{domain!r} is not a domain name: {error}") from error
    if not _DOMAIN.fullmatch(name) or len(name) > _MAX_DOMAIN:
        raise _refused(shown, "the domain needs two or more labels of letters, digits and hyphens")
    return name


@lru_cache(maxsize=1024)
def _to_ascii(domain: str) -> str:
    import idna

    return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()
