"""A record of every change: who made it, from where, what it was, when, and what became of it. Secrets are never in it.

`Trail` writes entries where the configuration says (`[audit]`); `watched` gives a store whose changes are written there,
whoever makes them: the command line, the daemon and the HTTP service hand on such stores. `docs/audit.md` has the schema.
"""

from __future__ import annotations

from mailstore.audit.trail import Trail, Who
from mailstore.audit.watching import note_outcome, watched

__all__ = ["Trail", "Who", "note_outcome", "watched"]
