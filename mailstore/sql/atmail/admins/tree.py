"""The nested set of admin users: everybody below an admin has edges between its own.

The first admin has the left edge 0; there are no gaps. Whoever changes the tree locks all of its rows first, by rising
number, so that two changes wait for each other; atmail's panel is kept out by the same row locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, case, cast, select, update

from mailstore.sql.atmail.context import Context, labelled
from mailstore.sql.engine import Transaction

__all__ = ["Node", "Tree", "faults", "parent_of"]

_LOCK = "atmail admins"
"""For the very first admin: there is no row yet that could be locked."""


@dataclass(frozen=True)
class Node:
    """An admin in the tree."""

    user_id: int
    left: int
    right: int
    created_by: int | None = None


class Tree:
    """Changes the tree."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = context.table("users")

    def lock(self, tx: Transaction) -> dict[int, Node]:
        """Lock the whole tree; return its nodes by number."""
        self._context.db.lock_name(tx, _LOCK)
        columns = labelled(self._table, "userId", "leftEdge", "rightEdge", "createdByUserId")
        rows = tx.execute(select(*columns).order_by(self._table.c.userId).with_for_update()).all()
        return {row[0]: Node(*row) for row in rows}

    def open_place(self, tx: Transaction, nodes: dict[int, Node], parent: int | None) -> tuple[int, int]:
        """Make room for a new last child of `parent` and return its edges; without a parent, those behind the last root."""
        if parent is None:
            left = max((node.right for node in nodes.values()), default=-1) + 1
            return left, left + 1
        right = nodes[parent].right
        columns = self._table.c
        # One statement for both edges: MySQL evaluates the assignments from left to right, but they are independent.
        moved = {
            "leftEdge": case((columns.leftEdge > right, columns.leftEdge + 2), else_=columns.leftEdge),
            "rightEdge": columns.rightEdge + 2,
        }
        tx.execute(update(self._table).where(columns.rightEdge >= right).values(moved))
        return right, right + 1

    def close_place(self, tx: Transaction, gone: Node, parent: int | None) -> None:
        """Close the gap of an admin whose row is deleted already; those below it move up to its parent."""
        columns = self._table.c
        moved: dict[str, Any] = {}
        for name in ("leftEdge", "rightEdge"):
            # The columns are unsigned, and a CASE must not be negative in any branch.
            edge = cast(columns[name], Integer)
            moved[name] = case(
                (columns[name] > gone.right, edge - 2), (columns[name] > gone.left, edge - 1), else_=columns[name]
            )
        tx.execute(update(self._table).where(columns.rightEdge > gone.left).values(moved))
        below = columns.createdByUserId == gone.user_id
        tx.execute(update(self._table).where(below).values(createdByUserId=parent))


def parent_of(nodes: Iterable[Node], node: Node) -> Node | None:
    """Return the innermost node around a node; None for a root."""
    around = [other for other in nodes if other.left < node.left and node.right < other.right]
    return max(around, key=lambda other: other.left, default=None)


def faults(nodes: Iterable[Node]) -> Sequence[str]:
    """Return what is wrong with a tree, in words: edges that stand twice, gaps, and nodes that overlap."""
    ordered = sorted(nodes, key=lambda node: node.left)
    edges = sorted(edge for node in ordered for edge in (node.left, node.right))
    found = []
    if edges != list(range(len(edges))):
        found.append("the edges are not the numbers from 0 on, each once")
    stack: list[Node] = []
    for node in ordered:
        if node.left >= node.right:
            found.append(f"the edges of user {node.user_id} are in the wrong order")
        while stack and stack[-1].right < node.left:
            stack.pop()
        if stack and stack[-1].right < node.right:
            found.append(f"user {node.user_id} overlaps with user {stack[-1].user_id}")
        stack.append(node)
    return found
