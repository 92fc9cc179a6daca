"""Several operations in one transaction: all of them come about, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailstore.errors import MailstoreError
from mailstore.records import plain_value
from mailstore.store import Store
from mailstore_http.v1.operations import Call, Operation
from mailstore_http.v1.problems import ProblemError, problem_of
from mailstore_http.v1.requests import read_query
from mailstore_http.v1.values import FieldError, Parameters

__all__ = ["BODY", "MOST", "OPERATION", "Step", "run", "steps_of"]

MOST = 1000
_STEP = {
    "type": "object",
    "properties": {
        "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
        "path": {"type": "string", "description": "below the store, such as /accounts/bob@example.com"},
        "query": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {"type": "object"},
    },
    "required": ["method", "path"],
    "additionalProperties": False,
}
OPERATION = Operation(
    "batch", "POST", "/batch", "batch",
    "Do several operations in one transaction: all of them come about, or none.\n\n"
    "Lists, the purge, and bulk creation are not among them. What is refused names its number from 0 in `operation`.",
    lambda _call: None, "object",
    {"type": "object", "required": ["results"], "properties": {"results": {"type": "array", "items": {
        "type": "object", "properties": {"status": {"type": "integer"}, "body": {}}, "required": ["status"]}}}},
)  # fmt: skip
BODY = {
    "type": "object",
    "properties": {"operations": {"type": "array", "items": _STEP, "maxItems": MOST}},
    "required": ["operations"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Step:
    """One operation of a batch, and what it was given."""

    operation: Operation
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]


def steps_of(body: Any, found: Callable[[str, str], tuple[Operation, Mapping[str, str]]]) -> Sequence[Step]:
    """Return the operations that a body asks for. Raises FieldError, ProblemError."""
    steps = body.get("operations") if isinstance(body, dict) and body.keys() == {"operations"} else None
    if not isinstance(steps, list) or len(steps) > MOST:
        raise FieldError("operations", f"an object with an array of up to {MOST} operations is wanted")
    return [_step(f"operations.{number}", step, found) for number, step in enumerate(steps)]


def _step(place: str, step: Any, found: Callable[[str, str], tuple[Operation, Mapping[str, str]]]) -> Step:
    if not isinstance(step, dict) or step.keys() - {"method", "path", "query", "body"}:
        raise FieldError(place, "an object with method, path, query and body is wanted")
    method, path, query = step.get("method"), step.get("path"), step.get("query", {})
    if not isinstance(method, str) or not isinstance(path, str):
        raise FieldError(place, "method and path are texts")
    if not isinstance(query, dict) or not all(isinstance(value, str) for value in query.values()):
        raise FieldError(f"{place}.query", "an object of texts is wanted")
    try:
        operation, names = found(method, path)
    except ProblemError as error:
        raise FieldError(f"{place}.path", str(error)) from error
    if operation.shape == "page" or operation.on_disk or operation.rows:
        raise FieldError(f"{place}.path", "this operation cannot be part of a batch")
    asked = read_query(query, operation)
    if asked.dry_run:
        raise FieldError(f"{place}.query.dry_run", "a batch is tried out as a whole")
    parameters = operation.parameters or Parameters({})
    try:
        return Step(operation, names, asked.query, parameters.read(step.get("body", {})))
    except FieldError as error:
        raise error.within(f"{place}.body") from error


def run(steps: Sequence[Step], store: Store) -> list[dict[str, Any]]:
    """Do the steps, and return what each answers. Raises ProblemError, which is to end the transaction."""
    results = []
    for number, step in enumerate(steps):
        try:
            result = step.operation.run(Call(store, step.path, step.query, step.body))
        except MailstoreError as error:
            if error.temporary:
                raise
            given = {**step.path, **step.query, **step.body}
            problem = {**problem_of(error, given, store.name), "operation": number}
            refused = ProblemError(problem["status"], problem["class"], problem["detail"])
            refused.whole = problem
            raise refused from error
        if step.operation.shape == "nothing":
            results.append({"status": 204})
        else:
            results.append({"status": step.operation.status, "body": plain_value(result)})
    return results
