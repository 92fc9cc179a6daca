"""Mail addresses and domain names: parse, normalise, refuse.

Everything is stored in lower case with the domain in its A-label (punycode) form, because that is the only form that
every reader finds: Postfix and Dovecot fold their lookup keys to lower case before they ask.
The syntax is left to the packages `email-validator` (local part) and `idna` (domain); what is added here is what mail
stores need beyond syntax.

Two rules are kept apart. What may be *created* is strict, and each store's own. What may be *named*, to read, change or
remove it, is whatever a store may hold (`held_address`, `held_domain`): other tools write by other rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from mailstore.errors import InvalidAddress

__all__ = [
    "account_address",
    "addresses",
    "alias_address",
    "any_address",
    "domain_name",
    "domain_part",
    "held_address",
    "held_domain",
    "local_part",
    "login_address",
    "moderator",
    "spellings",
    "unserved",
]

_HOSTED_LOCAL_PART = re.compile(r"[a-z0-9_#][a-z0-9_.&#-]*")
"""What iRedAdmin accepts for new users, restricted to ASCII and without a leading `-`, which Postfix refuses."""
_NOT_FOR_LOGIN = re.compile(r"[&#]")
"""What iRedAdmin accepts as well, but Dovecot (``auth_username_chars``) does not: no login, no delivery."""
_SERVED = re.compile(r"[a-z0-9._@-]")
"""What may stand in the name of a user, by Dovecot's default of ``auth_username_chars``, which no installation changes."""
_SINGLE_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?|\[[0-9a-f:.]+\]|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_MOST_HELD = 512
"""Characters: more than any column of a store holds."""
_DOMAIN = re.compile(r"(?=.*[a-z-][^.]*$)[a-z0-9-]+(?:\.[a-z0-9-]+)+")
"""Two labels or more, the last one not all digits (that would be an IP address)."""
_PLAIN_LOCAL_PART = re.compile(r"(?=.{1,64}$)[A-Za-z0-9_#&-]+(?:\.[A-Za-z0-9_#&-]+)*")
"""Local parts that are valid by the very definition of a dot-atom: nearly all, and not worth a full parse."""
_PLAIN_ACCOUNT = re.compile(r"(?=[^@]{1,64}@)[a-z0-9_][a-z0-9_-]*(?:\.[a-z0-9_-]+)*@([a-z0-9.-]+)")
"""What is the normal form of an account's address, if its domain is: nearly all, and all rules below would say the same."""
_MAX_DOMAIN = 253
_MAX_ADDRESS = 254


def any_address(text: str) -> str:
    """Return the normal form of an address that may live anywhere (a member, a destination, a bcc address).

    Raises InvalidAddress for bad syntax, quoted or non-ASCII local parts, address literals and single-label domains.
    """
    return _parse(_as_text(text))


def account_address(text: str) -> str:
    """Return the normal form of the address of a new account.

    Stricter than `alias_address`: what Dovecot refuses in the name of a user could neither log in nor get mail.
    Raises InvalidAddress.
    """
    plain = _PLAIN_ACCOUNT.fullmatch(text) if type(text) is str and len(text) <= _MAX_ADDRESS else None
    if plain and _is_normal_domain(plain[1]):
        return text
    address = alias_address(text)
    if _NOT_FOR_LOGIN.search(local_part(address)):
        raise InvalidAddress(
            f"{address}: Dovecot serves no user with & or # in the name; it could neither log in nor get mail",
            subject=address,
        )
    return address


def alias_address(text: str) -> str:
    """Return the normal form of an address that this store is to serve (an alias, a list).

    Stricter than `any_address`: the local part holds only ``a-z 0-9 . _ - & #`` and does not start with ``.`` or ``-``,
    because it becomes part of lookup keys (``+`` starts a subaddress there).
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


def login_address(text: str) -> str:
    """Return the normal form of an address that somebody logs in with at any server: as `any_address`, but the domain may be
    a single label or an IP address. Raises InvalidAddress.
    """
    text = _as_text(text)
    local, _, domain = text.rpartition("@")
    if not _SINGLE_LABEL.fullmatch(domain.lower()):
        return _parse(text)
    return f"{_parse_local_part(local, text)}@{domain.lower()}"


def held_address(text: str) -> str:
    """Return the name of an address that a store may hold, whoever wrote it there: to read, change or remove it.

    That is its normal form if it has one, and otherwise the text in lower case, as readers fold it. Raises InvalidAddress
    only for what no store can hold: no text on both sides of an ``@``, control characters, more than 512 characters.
    """
    text = _as_text(text)
    local, at, domain = text.rpartition("@")
    if not (local and at and domain):
        raise _refused(text, "it is no address: there must be something on both sides of an @")
    try:
        return _parse(text)
    except InvalidAddress:
        _refuse_unstorable(text)
        return f"{local.lower()}@{_held_domain(domain)}"


def held_domain(text: str) -> str:
    """Return the name of a domain that a store may hold, as `held_address` does. Raises InvalidAddress."""
    text = _as_text(text)
    try:
        return _parse_domain(text, text)
    except InvalidAddress:
        if not text or "@" in text:
            raise
        _refuse_unstorable(text)
        return text.lower()


def spellings(text: str, name: str) -> tuple[str, ...]:
    """Return how something may stand in a store that was asked for as `text` and is `name` to readers: as given first."""
    return tuple(dict.fromkeys((_as_text(text), name)))


def unserved(address: str) -> str | None:
    """Return why mail servers serve no account of this name, for `check`; None if they do. Capitals are not its concern."""
    odd = _SERVED.sub("", address.lower())
    if odd:
        shown = " ".join(dict.fromkeys(odd))
        return f"Dovecot serves no user with {shown} in the name: it can neither log in nor get mail; rename it"
    if address.startswith("-"):
        return "Postfix accepts no recipient that begins with -; rename it"
    return None


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


def _held_domain(domain: str) -> str:
    try:
        return _parse_domain(domain, domain)
    except InvalidAddress:
        return domain.lower()


def _refuse_unstorable(text: str) -> None:
    if len(text) > _MOST_HELD:
        raise _refused(text, f"it is longer than {_MOST_HELD} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise _refused(text, "it holds control characters, or bytes that are no text")


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
def _is_normal_domain(domain: str) -> bool:
    try:
        return _parse_domain(domain, domain) == domain
    except InvalidAddress:
        return False


@lru_cache(maxsize=1024)
def _to_ascii(domain: str) -> str:
    import idna

    return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()
