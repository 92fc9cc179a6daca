"""All calls of the API by verb and path, which are compared exactly, with what is said when they fail without a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mailstore_http.afterlogic import accounts, domains
from mailstore_http.afterlogic.parameters import Call

__all__ = ["CALLS", "TOKEN", "Handler", "Method"]

Handler: TypeAlias = Callable[[Call], Any]
TOKEN = "GET /token"  # noqa: S105 the name of a call
_NO_DOMAIN = "domain does not exist"


@dataclass(frozen=True)
class Method:
    """One call. ``absent`` is said of a domain or account that is not there, where that differs from other calls."""

    make: Handler
    absent: str = ""


CALLS: Mapping[str, Method] = {
    "POST /account": Method(accounts.create),
    "PUT /account/update": Method(accounts.change),
    "DELETE /account": Method(accounts.delete),
    "PUT /account/enable": Method(accounts.enable),
    "PUT /account/disable": Method(accounts.disable),
    "PUT /account/password": Method(accounts.change_password),
    "GET /account/list": Method(accounts.list_page),
    "GET /account/exists": Method(accounts.exists),
    "GET /account": Method(accounts.show),
    "POST /domain": Method(domains.create),
    "PUT /domain/update": Method(domains.change),
    "DELETE /domain": Method(domains.delete),
    "GET /domain/list": Method(domains.list_page),
    "GET /domain/exists": Method(domains.exists, _NO_DOMAIN),
    "GET /domain": Method(domains.show, _NO_DOMAIN),
}
