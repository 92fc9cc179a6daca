"""How domains with letters beyond ASCII are spelt here: the webmail keeps what was typed, its readers ask in another form.

WebMail neither encodes nor decodes: whoever types a domain with such letters at its login is looked for in just this form.
Its mail server asks for what comes over SMTP, which is ``xn--...``. Both are one name; what is used here is the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from mailstore.address import domain_name
from mailstore.errors import InvalidAddress

__all__ = ["as_typed", "canonical", "spellings"]


def canonical(stored: str) -> str:
    """Return the name of an address or domain that is stored in any form: lower case, the domain with A-labels.

    What cannot be a domain stays as it is.
    """
    stored = stored.lower()
    if stored.isascii():
        return stored
    local, at, domain = stored.rpartition("@")
    try:
        return f"{local}{at}{domain_name(domain)}"
    except InvalidAddress:
        return stored


@lru_cache(maxsize=1024)
def as_typed(name: str) -> str:
    """Return the form with Unicode letters of an address or domain; the name itself if it has none."""
    if "xn--" not in name:
        return name
    import idna

    local, at, domain = name.rpartition("@")
    try:
        return f"{local}{at}{idna.decode(domain)}"
    except idna.IDNAError:
        return name


def spellings(names: Iterable[str]) -> list[str]:
    """Return every form in which one of these addresses or domains may be stored, in lower case and sorted."""
    return sorted({form for name in names for form in (name, as_typed(name))})
