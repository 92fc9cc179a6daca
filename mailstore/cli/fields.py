"""Options made from the parameters of create and update, as `mailstore.fields` lists them.

A parameter of several names becomes ``--member`` (repeatable, the whole set) and, where something exists that can be
changed, ``--add-member``, ``--remove-member`` and ``--no-members``. A command gets only what was given on its line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
from click.core import ParameterSource

from mailstore.errors import InvalidQuota, InvalidValue
from mailstore.fields import AccountFields, AdminFields, BulkAccountFields, DomainFields, MailingListFields
from mailstore.model import UNSET, Edit
from mailstore.policies import GreylistingFields, Limit, Throttle, ThrottleFields
from mailstore.quota import Quota

__all__ = ["parameter_types", "require_change", "takes_fields"]

_HELP: Mapping[str, str] = {
    "name": "A description, or a person's name.",
    "enabled": "Whether it works at all.",
    "quota": "Size of the mailbox: 500M, 2G, or 'unlimited'.",
    "default_account_quota": "For accounts created without a quota.",
    "max_account_quota": "The most that one account may get.",
    "max_accounts": "How many accounts.",
    "max_aliases": "How many alias accounts.",
    "max_lists": "How many mailing lists.",
    "default_language": "Of new accounts, like en_US.",
    "language": "Of the panel, like en_US.",
    "transport": "Postfix transport; empty for the default.",
    "backup_mx": "Only relay its mail, to the primary MX.",
    "primary_mx": "Where a backup MX relays to: HOST, [HOST] or [HOST]:PORT.",
    "min_password_length": "Of passwords in this domain.",
    "max_password_length": "Of passwords in this domain.",
    "disclaimer": "Footer of outgoing mail.",
    "sender_bcc": "Address that gets a copy of what is sent.",
    "recipient_bcc": "Address that gets a copy of what is received.",
    "outbound_relay": "Relay for outgoing mail: [HOST]:PORT.",
    "catch_all": "Address that gets the mail for names that do not exist.",
    "services": "A service that is switched on.",
    "disabled_services": "A service that new accounts do not get.",
    "disabled_domain_profiles": "A page of the domain's profile that its admins may not edit in the panel.",
    "disabled_user_profiles": "A page of the accounts' profile that admins may not edit in the panel.",
    "disabled_user_preferences": "A preference that users may not edit in the panel.",
    "first_name": "First name.",
    "last_name": "Last name.",
    "employee_id": "Employee number.",
    "department": "Department.",
    "mobile": "Mobile phone number.",
    "telephone": "Phone number.",
    "recovery_email": "Address to recover the account with.",
    "timezone": "Time zone, like Europe/Rome.",
    "forwarding": "Address that gets the account's mail.",
    "keep_copy": "Whether the mailbox gets forwarded mail too.",
    "aliases": "A further address of the account.",
    "allow_nets": "Network (CIDR) from which it may log in; none given means all.",
    "mailbox_format": "maildir, mdbox or sdbox; mail is not converted.",
    "mailbox_folder": "Folder of the mail below the home; mail is not moved.",
    "access_policy": "public, domain, subdomain, membersonly, moderatorsonly or membersandmoderatorsonly.",
    "members": "Address that gets the alias's mail.",
    "moderators": "Address, or *@DOMAIN, that the access policy calls moderator.",
    "owners": "Address that answers for the list, and may send to it.",
    "permitted_senders": "Account that may send mail as the alias.",
    "global_admin": "Whether it may do everything.",
    "domains": "A domain that it manages.",
    "max_domains": "How many domains it may create; 0 for none.",
    "max_quota": "Quota that it may allocate in total.",
    "may_view_mail_log": "Whether it sees the mail log in the panel.",
    "may_manage_quarantine": "Whether it manages the quarantine in the panel.",
    "bypass_spam_checks": "Leave out the check for spam.",
    "bypass_virus_checks": "Leave out the check for viruses.",
    "bypass_banned_checks": "Leave out the check for forbidden kinds of files.",
    "bypass_header_checks": "Leave out the check for bad headers.",
    "quarantine_spam": "Quarantine spam; no delivers it.",
    "quarantine_virus": "Quarantine infected mail; no delivers it.",
    "quarantine_banned": "Quarantine mail with forbidden files; no delivers it.",
    "quarantine_bad_header": "Quarantine mail with bad headers; no delivers it.",
    "prefix_spam_in_subject": "Begin the subject of spam with [SPAM].",
    "always_insert_x_spam_headers": "Insert X-Spam headers however low the score.",
    "spam_score": "From which score on mail is spam.",
    "msg_size": "Of one message: 10M.",
    "max_msgs": "Messages in the period, one for each recipient.",
    "max_recipients": "Of one message.",
    "whitelist": "An address, @DOMAIN, @.DOMAIN, @., IP address or network that is always accepted.",
    "blacklist": "An address, @DOMAIN, @.DOMAIN, @., IP address or network that is refused.",
}
_SPECIAL_HELP: Mapping[tuple[type, str], str] = {
    (DomainFields, "quota"): "For all accounts together: 100G, or 'unlimited'.",
    (AccountFields, "services"): "A service that it may use, such as imap, pop3, smtp or sieve.",
    (AdminFields, "max_accounts"): "How many accounts it may allocate in total.",
    (AdminFields, "max_aliases"): "How many alias accounts it may allocate in total.",
    (AdminFields, "max_lists"): "How many mailing lists it may allocate in total.",
    (MailingListFields, "enabled"): "Whether mail to it is accepted; not every reader looks at it.",
    (MailingListFields, "members"): "Address that gets the list's mail.",
    (MailingListFields, "moderators"): "Address, or *@DOMAIN, that may send whatever the access policy is.",
    (BulkAccountFields, "enabled"): "Whether they work at all.",
    (ThrottleFields, "max_quota"): "Size of all messages in the period: 1G.",
    (GreylistingFields, "enabled"): "Whether unknown senders are told to try again.",
    (
        GreylistingFields,
        "whitelist",
    ): "An address, @DOMAIN, @.DOMAIN, @., IP address or network that is never greylisted.",
}
_NAMED_ONE_BY_ONE = {"catch_all": "catch-all", "forwarding": "forwarding", "aliases": "alias"}

_Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class _QuotaType(click.ParamType[Quota]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Quota:
        try:
            return Quota.parse(value)
        except InvalidQuota as error:
            self.fail(str(error), param, ctx)


class _LimitType(click.ParamType["int | None"]):
    name = "number|unlimited"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if str(value).lower() in {"unlimited", "none"}:
            return None
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither a number nor 'unlimited'", param, ctx)
        return int(value)


class _SwitchType(click.ParamType["bool | None"]):
    name = "yes|no|inherit"
    _WORDS: Mapping[str, bool | None] = {"yes": True, "no": False, "inherit": None}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool | None:
        if str(value).lower() not in self._WORDS:
            self.fail(f"{value!r} is neither yes nor no nor inherit", param, ctx)
        return self._WORDS[str(value).lower()]


class _ScoreType(click.ParamType["float | None"]):
    name = "number|inherit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        try:
            return None if str(value).lower() == "inherit" else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'inherit'", param, ctx)


class _LimitOrInheritType(click.ParamType[Limit]):
    name = "limit|unlimited|inherit"

    def __init__(self, *, in_bytes: bool) -> None:
        self._in_bytes = in_bytes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Limit:
        try:
            return Limit.parse(value, in_bytes=self._in_bytes)
        except InvalidValue as error:
            self.fail(str(error), param, ctx)


def parameter_types(kind: type) -> dict[str, str]:
    """Return the parameters that a TypedDict lists, with their types as they are written there."""
    return {name: getattr(type_, "__forward_arg__", str(type_)) for name, type_ in kind.__annotations__.items()}


def takes_fields(kind: type, *, editing: bool, without: Collection[str] = ()) -> _Decorator:
    """Give a command an option for every parameter in `kind`; those given reach it as the parameter `fields`.

    Parameters
    ----------
    kind: one of the TypedDicts of `mailstore.fields`.
    editing: whether sets of names can be changed, and not only be set.
    without: parameters that get no option.
    """
    chosen = [
        _field(kind, name, type_, editing) for name, type_ in parameter_types(kind).items() if name not in without
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_fields(*args: Any, **values: Any) -> None:
            given = _given(values)
            for field in chosen:
                for name in field.parameters:
                    values.pop(name)
            fields = {field.name: value for field in chosen if (value := field.value(given)) is not UNSET}
            command(*args, fields=fields, **values)

        decorated: Callable[..., None] = with_fields
        for option in reversed([option for field in chosen for option in field.options()]):
            decorated = option(decorated)
        return decorated

    return decorate


def require_change(*changes: Mapping[str, Any]) -> None:
    """Refuse an update that changes nothing."""
    if not any(changes):
        raise click.UsageError("nothing to change: give at least one option", click.get_current_context())


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of those options that stood on the command line."""
    source = click.get_current_context().get_parameter_source
    return {name: value for name, value in values.items() if source(name) is ParameterSource.COMMANDLINE}


def _field(kind: type, name: str, annotation: str, editing: bool) -> _Field:
    help_text = _SPECIAL_HELP.get((kind, name)) or _HELP[name]
    if annotation in {"Names", "Iterable[str]"}:
        return _NamesField(name, help_text, editing=editing, edits=editing and annotation == "Names")
    return _Field(name, help_text, annotation)


@dataclass(frozen=True)
class _Field:
    """A parameter with one value."""

    name: str
    help: str
    annotation: str = "str"

    @property
    def dashed(self) -> str:
        return self.name.replace("_", "-")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names under which click hands over its options."""
        return (self.name,)

    def options(self) -> Iterator[_Decorator]:
        match self.annotation:
            case "bool" if self.name == "enabled":
                yield click.option("--enabled/--disabled", default=None, help=self.help)
            case "bool":
                yield click.option(f"--{self.dashed}/--no-{self.dashed}", default=None, help=self.help)
            case "QuotaLike":
                yield click.option(f"--{self.dashed}", type=_QuotaType(), help=self.help)
            case "bool | None":
                yield click.option(f"--{self.dashed}", type=_SwitchType(), help=self.help)
            case "float | None":
                yield click.option(f"--{self.dashed}", type=_ScoreType(), help=self.help)
            case "LimitLike":
                limit = _LimitOrInheritType(in_bytes=Throttle.LIMITS[self.name])
                yield click.option(f"--{self.dashed}", type=limit, help=self.help)
            case "int | None":
                yield click.option(f"--{self.dashed}", type=_LimitType(), help=self.help)
            case _:
                yield click.option(f"--{self.dashed}", help=self.help)

    def value(self, given: Mapping[str, Any]) -> Any:
        """Return what was given for the parameter, else UNSET."""
        return given.get(self.name, UNSET)


@dataclass(frozen=True)
class _NamesField(_Field):
    """A parameter that is a set of names; `edits` tells whether it takes an `Edit` too."""

    editing: bool = False
    edits: bool = False

    @property
    def singular(self) -> str:
        return _NAMED_ONE_BY_ONE.get(self.name) or self.dashed.removesuffix("s")

    @property
    def parameters(self) -> tuple[str, ...]:
        edits = (f"add_{self.name}", f"remove_{self.name}") if self.edits else ()
        return (self.name, *edits, *([f"no_{self.name}"] if self.editing else []))

    def options(self) -> Iterator[_Decorator]:
        whole = " (repeatable; the whole new set)" if self.editing else " (repeatable)"
        yield self._repeatable("", self.help.removesuffix(".") + whole + ".")
        if self.edits:
            yield self._repeatable("add-", "Add one (repeatable).")
            yield self._repeatable("remove-", "Remove one (repeatable).")
        if self.editing:
            yield click.option(f"--no-{self.dashed}", is_flag=True, help="Remove all.")

    def _repeatable(self, prefix: str, help_text: str) -> _Decorator:
        destination = prefix.replace("-", "_") + self.name
        return click.option(f"--{prefix}{self.singular}", destination, multiple=True, metavar="NAME", help=help_text)

    def value(self, given: Mapping[str, Any]) -> Any:
        whole, none = given.get(self.name), given.get(f"no_{self.name}")
        add, remove = given.get(f"add_{self.name}", ()), given.get(f"remove_{self.name}", ())
        if (whole is not None) + bool(none) + bool(add or remove) > 1:
            raise click.UsageError(
                f"--{self.singular} and --no-{self.dashed} set everything, and go neither together nor with "
                f"--add-{self.singular} and --remove-{self.singular}",
                click.get_current_context(),
            )
        if add or remove:
            return Edit(add=add, remove=remove)
        return () if none else UNSET if whole is None else whole
