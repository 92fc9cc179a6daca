"""What an admin of some domains may read of what is wrong in a whole store."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from mailstore.model import Finding

__all__ = ["seen_by_admin"]

_WORD = re.compile(r"[^\s,;()'\"]+")
_SOMETHING = "something in another domain"


def seen_by_admin(findings: Iterable[Finding], mine: Collection[str], hosted: Collection[str]) -> Iterator[Finding]:
    """Iterate over the findings that are about an admin's domains, without what they say about others.

    Parameters
    ----------
    mine: the domains that it manages, with their alias domains.
    hosted: those of the whole store. What is not among them is no secret of this server.

    What is about a path, an entry or the whole server is left out: only those who may do everything can mend it.
    """
    others = set(hosted) - set(mine)
    for finding in findings:
        if finding.subject.rpartition("@")[2].lower() in mine:
            yield replace(finding, message=_WORD.sub(lambda word: _shown(word[0], others), finding.message))


def _shown(word: str, others: Collection[str]) -> str:
    """Return a word of a message, unless it is, or leads into, one of the `others`."""
    parts = (part.rstrip(".:").lower() for part in re.split("[@/]", word))
    return _SOMETHING if any(part in others for part in parts) else word
