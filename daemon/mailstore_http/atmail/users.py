"""Admin users, their roles and permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailstore.errors import NotFound
from mailstore_http.atmail import rows
from mailstore_http.atmail.envelope import Elements, numbered
from mailstore_http.atmail.parameters import Call, Done, FailedError, Table, megabytes, text

if TYPE_CHECKING:
    from mailstore.sql.atmail.admins.roles import Role

__all__ = [
    "authenticate", "change", "create", "delete", "list_all", "permission_list", "rights", "role_list", "show",
]  # fmt: skip


def _accounts(name: str, value: str) -> int | None:
    if not (value.strip().isascii() and value.strip().isdecimal() and len(value) < 10):
        raise FailedError(f"{name} must be a number")
    return None if int(value) == rows.UNLIMITED_ACCOUNTS else int(value)


_FIELDS: Table = {
    "fullname": ("name", text),
    "numUsers": ("max_accounts", _accounts),
    "quota": ("max_quota", megabytes),
}
_SETTINGS: Table = {"company": ("company", text), "emailAddress": ("email_address", text)}


def authenticate(call: Call) -> Done:  # noqa: ARG001 who got so far is authenticated
    """users/authenticate."""
    return Done("Authentication success")


def permission_list(call: Call) -> Done:
    """users/permissionlist: each with the roles that have it, by their numbers."""
    numbers = {role.name: role.id for role in call.store.roles.list()}
    return Done(
        results=numbered(
            [
                ("permissionId", str(found.id)), ("permissionName", found.name),
                ("permissionDescription", found.description),
                ("roles", [(f"key_{numbers[name]}", name) for name in found.roles if name in numbers]),
            ]
            for found in call.store.permissions.list()
        )
    )  # fmt: skip


def role_list(call: Call) -> Done:
    """users/rolelist: the topmost roles with those below them."""
    mine = call.store.admins.rights(call.admin).roles
    return Done(results=[(f"key_{role.id}", _role(role, mine)) for role in call.store.roles.tree()])


def _role(role: Role, mine: tuple[str, ...]) -> Elements:
    shown = [
        ("roleId", str(role.id)), ("roleName", role.name), ("roleDescription", role.description),
        ("roleHierarchy", f"|{'|'.join(map(str, role.ancestors))}|" if role.ancestors else ""),
        ("roleEnabled", str(int(role.enabled))),
        ("createdByUserId", "" if role.created_by is None else str(role.created_by)),
        ("myRole", str(int(role.name in mine))),
    ]  # fmt: skip
    below = [(f"key_{child.id}", _role(child, mine)) for child in role.children]
    return [*shown, *([("children", below)] if below else [])]


def create(call: Call) -> Done:
    """users/create. The page calls quota and roleId required, and its own command line has neither: none is meant then."""
    given = call.parameters
    name, password = given.required("username"), given.required("password")
    given.required("domainIds")
    if given.number("roleId") == 0 and not given.numbers("permissionIds"):
        raise FailedError("permissionIds is required unless a role is given")
    found = call.store.admins.create(name, password=password, **_fields(call))
    number = found.settings["userId"]
    return Done(number, number)


def change(call: Call) -> Done:
    """users/update. Whatever the page says in one place, only userId is required: its list and its command line say so."""
    name = _named(call, "User does not exist")
    password = call.parameters.get("password")
    secret: dict[str, Any] = {} if password is None else {"password": password}
    fields = _fields(call)  # a domain that is not there is another failure
    try:
        found = call.store.admins.update(name, **secret, **fields)
    except NotFound as error:
        if error.subject != name:
            raise
        raise FailedError("User does not exist") from error
    return Done(results=found.settings["userId"])


def list_all(call: Call) -> Done:
    """users/list."""
    found = sorted(call.store.admins.list(), key=lambda one: int(one.settings["userId"]))
    return Done(results=numbered(rows.admin(one) for one in found))


def show(call: Call) -> Done:
    """users/view. Who may do everything is in charge of all domains."""
    name = _named(call, "No matches found")
    found = call.store.admins.get(name)
    domains = [one.domain for one in call.store.domains.list()] if found.global_admin else found.domains
    return Done(results=[*rows.admin(found), ("Domains", list(numbered(domains)))])


def rights(call: Call) -> Done:
    """users/userpermissionrole: the permissions that an admin has by its roles and besides, and its roles."""
    name = _named(call, "No matches found")
    found = call.store.admins.rights(name)
    numbers = {role.name: role.id for role in call.store.roles.list()}
    roles = [(f"key_{numbers[role]}", role) for role in found.roles if role in numbers]
    return Done(results=[("permission", list(numbered(found.effective))), ("role", roles)])


def delete(call: Call) -> Done:
    """users/delete; what it answers is how many there were."""
    call.store.admins.delete(_named(call, "No users selected."))
    return Done(results="1")


def _named(call: Call, absent: str) -> str:
    """Return the login name of the admin whose number is given. Raises FailedError with what is said if there is none."""
    call.parameters.required("userId")
    number = call.parameters.number("userId")
    try:
        return call.store.admins.name_of(number or 0)
    except NotFound as error:
        raise FailedError(absent) from error


def _fields(call: Call) -> dict[str, Any]:
    given = call.parameters
    fields = given.fields(_FIELDS)
    settings = given.fields(_SETTINGS)
    domains, role, permissions = given.numbers("domainIds"), given.number("roleId"), given.numbers("permissionIds")
    if domains is not None:
        fields["domains"] = [call.store.domains.name_of(number) for number in domains]
    if role is not None:
        settings["role"] = role
    if permissions is not None:
        settings["permissions"] = _permissions(call, permissions)
    if settings:
        fields["settings"] = call.store.admins.Settings(**settings)
    return fields


def _permissions(call: Call, numbers: tuple[int, ...]) -> list[str]:
    names = {found.id: found.name for found in call.store.permissions.list()}
    absent = [number for number in numbers if number not in names]
    if absent:
        raise FailedError(f"there is no permission number {absent[0]}")
    return [names[number] for number in numbers]
