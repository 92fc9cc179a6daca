"""A declared state: what a store shall hold, compared with what it holds, and made so.

`read_state` reads a file, `plan` compares, `Applier` does it. Only what a state manages is looked at and touched, and
`check_removals` raises if more would be removed than is allowed.
"""

from __future__ import annotations

from mailstore.state.applying import Applied, Applier
from mailstore.state.declaration import State, read_state, write_state
from mailstore.state.form import schema
from mailstore.state.planning import Change, Plan, check_removals, plan

__all__ = [
    "Applied",
    "Applier",
    "Change",
    "Plan",
    "State",
    "check_removals",
    "plan",
    "read_state",
    "schema",
    "write_state",
]
