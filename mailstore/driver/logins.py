"""Comparing the password of a login so that the time taken tells nothing about who has an account.

How long a comparison takes is in the hash: its scheme, and what stands in it about the cost. Every login is compared once
with a hash of each kind that admins have here, the one in question among them or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from mailstore import passwords
from mailstore.errors import InvalidPassword

__all__ = ["is_right", "kind_of"]

_COST = re.compile(
    r"(?:\{[^}]*\})?"
    r"(?:\$2[abxy]?\$\d+\$"  # bcrypt
    r"|\$[56]\$(?:rounds=\d+\$)?"  # SHA-2 of crypt(3)
    r"|\$argon2[a-z]*\$(?:v=\d+\$)?[^$]*\$"
    r"|\$\w+\$)?"
)


def kind_of(stored: str) -> str:
    """Return what a stored hash costs to compare with, as the part of it that says so."""
    found = _COST.match(stored)
    return found[0].upper() if found else ""


def is_right(
    password: str,
    stored: Collection[str] | None,
    others: Iterable[str],
    scheme: str,
    *,
    verify: Callable[[], bool] | None = None,
) -> bool:
    """Tell whether a password belongs to one of the hashes of somebody; None stands for nobody.

    Parameters
    ----------
    others: the hashes of all who may log in, which say how long it has to take.
    scheme: what to compare with if there are none that can be read.
    verify: asks somebody else whether the password is right, who compares the hashes there.

    A hash that cannot be read is nobody's password.
    """
    kinds = {kind_of(other): other for other in others} or {"": passwords.hash_password("nobody", scheme)}
    own = set() if stored is None else {kind_of(each) for each in stored} or {""}
    for kind, other in kinds.items():
        if kind not in own:
            _compared(password, other)
    if verify is not None:
        return verify() and stored is not None
    return True in [_compared(password, each) for each in stored or ()]  # all of them, whichever is right


def _compared(password: str, stored: str) -> bool:
    try:
        return passwords.verify_password(password, stored)
    except InvalidPassword:
        return False
