"""All operations on what is not an address: deleted mailboxes, checks, the purge, and the databases beside the accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from mailstore import fields, policies, store
from mailstore.errors import NotSupported
from mailstore.model import Account, DeletedDomain, DeletedMailbox, Domain, Finding
from mailstore.purge import Outcome, purge_due
from mailstore_http.v1.operations import Call, Operation, Query
from mailstore_http.v1.resources import FILTERS
from mailstore_http.v1.values import FieldError, Parameters, types_of

__all__ = ["OPERATIONS"]

_DOMAIN = {"domain": FILTERS["domain"]}


def _deleted(call: Call) -> DeletedMailbox:
    return call.store.deleted.get(int(call.path["id"]))


def _listed(call: Call) -> Iterable[DeletedMailbox]:
    query = dict(call.query)
    try:
        due = date.fromisoformat(query.pop("due")) if "due" in query else None
    except ValueError as error:
        raise FieldError("due", str(error)) from error
    return call.store.deleted.list(**query, due=due)


def _purged(call: Call) -> Iterable[Mapping[str, Any]]:
    if call.store.homes is None:
        raise NotSupported("this service was given no homes of the store, so that it can purge nothing")
    today = datetime.now(UTC).date()
    for outcome in purge_due(call.store, today=today, dry_run=call.query.get("dry_run", False)):
        call.note(outcome)
        yield _told(outcome)


def _told(outcome: Outcome) -> dict[str, Any]:
    record = outcome.record
    return {
        "id": record.id if record else None,
        "address": record.address if record else "",
        "action": outcome.action,
        "reason": outcome.reason,
        "files": outcome.files,
        "bytes": outcome.bytes,
    }


_OUTCOME = {
    "type": "object",
    "properties": {
        "id": {"type": ["integer", "null"]},
        **{name: {"type": "string"} for name in ("address", "action", "reason")},
        **{name: {"type": "integer"} for name in ("files", "bytes")},
    },
}
_DELETED = (
    Operation(
        "listDeleted", "GET", "/deleted", "deleted", store.DeletedMailboxes.list, _listed, "page", DeletedMailbox, key="id",
        query={
            **_DOMAIN,
            "address": Query("str", "only of this address"),
            "due": Query("str", "only those that are due on this day"),
        },
    ),
    Operation("getDeleted", "GET", "/deleted/{id}", "deleted", store.DeletedMailboxes.get, _deleted, answer=DeletedMailbox,
              record=_deleted),
    Operation(
        "rescheduleDeleted", "PATCH", "/deleted/{id}", "deleted", store.DeletedMailboxes.reschedule,
        lambda call: call.store.deleted.reschedule(int(call.path["id"]), **call.body),
        answer=DeletedMailbox, record=_deleted,
        parameters=Parameters({"keep_mailbox_days": "int | None"}, ("keep_mailbox_days",)),
    ),
    Operation(
        "restoreDeleted", "POST", "/deleted/{id}/restore", "deleted", store.DeletedMailboxes.restore,
        lambda call: call.store.deleted.restore(int(call.path["id"]), **call.body), answer=Account, record=_deleted,
        parameters=Parameters({"password": "str", "password_hash": "str", **types_of(fields.AccountFields)}),
    ),
    Operation("listArchived", "GET", "/archived", "deleted", store.DeletedMailboxes.archived,
              lambda call: call.store.deleted.archived(**call.query), "page", DeletedMailbox, query=_DOMAIN),
    Operation("listDeletedDomains", "GET", "/deleted-domains", "deleted", store.DeletedMailboxes.domains,
              lambda call: call.store.deleted.domains(**call.query), "page", DeletedDomain, query=_DOMAIN),
    Operation("restoreDomain", "POST", "/deleted-domains/{domain}/restore", "deleted", store.DeletedMailboxes.restore_domain,
              lambda call: call.store.deleted.restore_domain(call.path["domain"]), answer=Domain),
    Operation(
        "purge", "POST", "/purge", "deleted",
        "Remove the mailboxes that are due today, and answer what became of each.\n\n"
        "With `dry_run` nothing is touched. As NDJSON it is told while it goes on; if the client goes away, the mailbox in "
        "hand is finished and the next call goes on.",
        _purged, "page", _OUTCOME, query={"dry_run": Query("bool", "only tell what would be done")}, on_disk=True,
    ),
    Operation("listFindings", "GET", "/findings", "checks", store.Store.check,
              lambda call: call.store.check(), "page", Finding),
)  # fmt: skip

# --- policies ---------------------------------------------------------------------------------------------------------

_LEVEL = ("spam-policies", "spam_policies", store.SpamPolicies, policies.SpamPolicy, policies.SpamPolicyFields)
_THROTTLE = ("throttles", "throttles", store.Throttles, policies.Throttle, policies.ThrottleFields)
_ACCESS = ("access-lists", "access_lists", store.AccessLists, policies.AccessList, policies.AccessListFields)
_GREY = ("greylisting", "greylisting", store.Greylisting, policies.GreylistingSetting, policies.GreylistingFields)
_PEER = {"peer": Query("str", "who is on the other side"), "client": Query("str", "the IP address of the other side")}


def _levels(
    noun: str, attribute: str, kind: Any, answer: type, given: type, *,
    directed: bool = False, put: bool = True, patch: bool = False, more: Mapping[str, str] = {}, needs: tuple[str, ...] = (),
) -> Iterable[Operation]:  # fmt: skip
    one = f"/{noun}/{{level}}" + ("/{direction}" if directed else "")

    def of(call: Call) -> Any:
        return getattr(call.store, attribute)

    def names(call: Call) -> list[Any]:
        return [call.path["level"], *([policies.direction_of(call.path["direction"])] if directed else [])]

    def get(call: Call) -> Any:
        return of(call).get(*names(call))

    parameters = Parameters({**more, **types_of(given)}, needs)
    title = answer.__name__.removesuffix("Setting")

    def operation(
        verb: str, method: Any, explained: Any, run: Callable[[Call], Any], given: Parameters | None
    ) -> Operation:
        return Operation(
            f"{verb}{title}", method, one, noun, explained, run, answer=answer, parameters=given, record=get
        )

    yield Operation(f"list{title}", "GET", f"/{noun}", noun, kind.list, lambda call: of(call).list(), "page", answer)
    yield operation("get", "GET", kind.get, get, None)
    if put:
        yield operation("set", "PUT", kind.set, lambda call: of(call).set(*names(call), **call.body), parameters)
    if patch:
        update = "update" if hasattr(kind, "update") else "set"
        yield operation(
            "update", "PATCH", getattr(kind, update),
            lambda call: getattr(of(call), update)(*names(call), **call.body), Parameters(parameters.types),
        )  # fmt: skip
    yield replace(
        operation("delete", "DELETE", kind.delete, lambda call: of(call).delete(*names(call)), None), shape="nothing"
    )


def _direction(call: Call) -> policies.Direction:
    return policies.direction_of(call.path["direction"])


def _effective(
    noun: str, path: str, kind: Any, run: Callable[[Call], Any], answer: type, query: Mapping[str, Query]
) -> Operation:
    return Operation(f"effective{answer.__name__.removeprefix('Effective')}", "GET", f"/effective/{noun}/{path}", noun,
                     kind.effective, run, answer=answer, query=query)  # fmt: skip


_SPF = {
    "type": "object",
    "properties": {"domains": {"type": "array", "items": {"type": "string"}}},
    "required": ["domains"],
}


def _required(call: Call, name: str) -> str:
    if name not in call.query:
        raise FieldError(name, "give it in the query")
    return str(call.query[name])


_POLICIES = (
    *_levels(*_LEVEL, patch=True),
    _effective("spam-policies", "{address}", store.SpamPolicies,
               lambda call: call.store.spam_policies.effective(call.path["address"]), policies.EffectivePolicy, {}),
    *_levels(*_THROTTLE, directed=True, patch=True, more={"period": "PeriodLike"}, needs=("period",)),
    _effective("throttles", "{address}/{direction}", store.Throttles,
               lambda call: call.store.throttles.effective(call.path["address"], _direction(call), **call.query),
               policies.EffectiveThrottle, {"client": _PEER["client"]}),
    Operation("resetThrottle", "POST", "/throttles/{address}/reset", "throttles", store.Throttles.reset,
              lambda call: call.store.throttles.reset(call.path["address"]), "nothing"),
    *_levels(*_GREY, put=False, patch=True),
    _effective("greylisting", "{address}", store.Greylisting,
               lambda call: call.store.greylisting.effective(
                   call.path["address"], sender=_required(call, "peer"), client=_required(call, "client")),
               policies.GreylistingVerdict, _PEER),
    Operation("getSpfDomains", "GET", "/greylisting-spf-domains", "greylisting", store.Greylisting.spf_domains,
              lambda call: {"domains": call.store.greylisting.spf_domains()}, "object", _SPF),
    Operation("setSpfDomains", "PATCH", "/greylisting-spf-domains", "greylisting", store.Greylisting.set_spf_domains,
              lambda call: {"domains": call.store.greylisting.set_spf_domains(call.body["domains"])}, "object", _SPF,
              parameters=Parameters({"domains": "Names"}, ("domains",))),
    *_levels(*_ACCESS, directed=True, put=False, patch=True),
    _effective("access-lists", "{address}/{direction}", store.AccessLists,
               lambda call: call.store.access_lists.effective(
                   call.path["address"], _direction(call), peer=_required(call, "peer"),
                   client=call.query.get("client")),
               policies.AccessVerdict, _PEER),
)  # fmt: skip

OPERATIONS: tuple[Operation, ...] = (*_DELETED, *_POLICIES)
