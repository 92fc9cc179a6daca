"""All operations of the API in one list."""

from __future__ import annotations

from mailstore_http.v1 import beside, resources
from mailstore_http.v1.operations import Operation

__all__ = ["OPERATIONS"]

OPERATIONS: tuple[Operation, ...] = (*resources.OPERATIONS, *beside.OPERATIONS)
