"""Names of the services that an account may use, the same for both backends.

A family name (``imap``) stands for all its variants, because cutting a protocol needs all of them; a single variant is
called ``imapplain``, ``imapsecured``, ``imaptls``. Everything else is a service of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailstore.errors import InvalidValue

__all__ = ["FAMILIES", "collapsed", "expanded", "neutral", "switched_off", "translated", "word"]

FAMILIES = {
    "smtp": ("smtpplain", "smtpsecured", "smtptls"),
    "pop3": ("pop3plain", "pop3secured", "pop3tls"),
    "imap": ("imapplain", "imapsecured", "imaptls"),
    "sieve": (
        "sieveplain", "sievesecured", "sievetls", "managesieve", "managesievesecured", "managesievetls",
    ),
}  # fmt: skip
_PLAIN = {"smtp", "pop3", "imap", "sieve"}


def neutral(stored: str) -> str:
    """Return the name of a service that iRedMail calls ``imap``, ``imaptls``, ``lmtp`` ..."""
    return f"{stored}plain" if stored in _PLAIN else stored


def word(name: str) -> str:
    """Return what iRedMail calls a service, from its `neutral` name."""
    plain = name.removesuffix("plain")
    return plain if plain in _PLAIN else name


def expanded(names: Iterable[str], known: Collection[str]) -> set[str]:
    """Return services with every family replaced by its `known` variants; other names stay as they are."""
    if isinstance(names, str):
        raise InvalidValue(f"services: a list of names is wanted, not the text {names!r}")
    services: set[str] = set()
    for name in names:
        services |= {variant for variant in FAMILIES[name] if variant in known} if name in FAMILIES else {name}
    return services


def collapsed(services: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """Return services sorted, with the name of the family where all its `known` variants are there."""
    names = set(services)
    for family, variants in FAMILIES.items():
        present = {variant for variant in variants if variant in known}
        if present and present <= names:
            names = names - present | {family}
    return tuple(sorted(names))


def translated(services: Iterable[str], theirs: Collection[str] | None, ours: Collection[str]) -> tuple[str, ...]:
    """Return services of another store as ours; see `mailstore.store.Accounts.services_here`."""
    new = set() if theirs is None else {*ours} - {*theirs}
    return collapsed(expanded(services, ours if theirs is None else theirs) & {*ours} | new, ours)


def switched_off(disabled: Iterable[str]) -> set[str]:
    """Return the words that a domain's list of disabled services (``imap``, ``imapsecured`` ...) switches off.

    That list knows no TLS variants; one is off where both the others are, because it serves the same port.
    """
    words = set(disabled)
    return words | {f"{name}tls" for name in _PLAIN if {name, f"{name}secured"} <= words}
