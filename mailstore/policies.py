"""What applies to mail of the whole server, of a domain or of an address: records and values in neutral terms.

A `Level` says to whom a setting belongs. Settings of an address come before those of its domain, these before the global
ones; what a level does not set (None, `INHERIT`) is looked for at the next one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, TypedDict

from mailstore.address import account_address, domain_name
from mailstore.errors import InvalidAddress, InvalidQuota, InvalidValue
from mailstore.model import Names
from mailstore.quota import Quota

__all__ = [
    "DIRECTIONS",
    "INHERIT",
    "NO_LIMIT",
    "AccessList",
    "AccessListFields",
    "AccessVerdict",
    "Direction",
    "EffectivePolicy",
    "EffectiveThrottle",
    "GreylistingFields",
    "GreylistingSetting",
    "GreylistingVerdict",
    "Level",
    "Limit",
    "LimitLike",
    "Origin",
    "PeriodLike",
    "SpamPolicy",
    "SpamPolicyFields",
    "Throttle",
    "ThrottleFields",
    "direction_of",
    "parse_period",
    "parse_score",
    "period_text",
]

Direction: TypeAlias = Literal["inbound", "outbound"]
"""Which way mail goes."""
DIRECTIONS: tuple[Direction, ...] = ("inbound", "outbound")
"""Both of them, in the order in which they are shown."""
_MOST_SCORE = 1000
_LARGEST = (1 << 63) - 1
_PERIOD = re.compile(r"([0-9]{1,10})\s*([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_SECONDS = (1 << 32) - 1
"""What the columns for periods hold on MySQL, in iRedAPD's rule and in its counter."""


@dataclass(frozen=True, slots=True)
class Level:
    """To whom a setting belongs: the whole server, a domain, or an address. ``str()`` gives what `parse` reads."""

    kind: Literal["global", "domain", "address"]
    name: str = ""

    @classmethod
    def parse(cls, text: str | Level) -> Level:
        """Read ``global``, a domain or an address. Raises InvalidValue for anything else."""
        if isinstance(text, Level):
            return text
        if not isinstance(text, str):
            raise InvalidValue(f"a level is text, not {type(text).__name__}")
        if text.strip().lower() == "global":
            return cls("global")
        try:
            if "@" in text:
                return cls("address", account_address(text))
            return cls("domain", domain_name(text))
        except InvalidAddress as error:
            raise InvalidAddress(f"{error}; a level is 'global', a domain or an address", subject=text) from error

    @property
    def domain(self) -> str:
        """The domain that the level is, or is in; empty for the global level."""
        return self.name.rpartition("@")[2]

    def __str__(self) -> str:
        return self.name or "global"


def direction_of(text: str) -> Direction:
    """Return a direction. Raises InvalidValue for anything but ``inbound`` and ``outbound``."""
    for direction in DIRECTIONS:
        if text == direction:
            return direction
    raise InvalidValue(f"{text!r} is no direction; it must be inbound or outbound")


# --- limits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """How many: ``inherit`` asks the next level, ``unlimited`` stops there, ``limit`` allows up to `value`.

    ``in_bytes`` is only for `parse` and ``str()``: such a limit is written ``500M`` or ``2G`` (powers of 1024).
    """

    kind: Literal["inherit", "unlimited", "limit"]
    value: int = 0
    in_bytes: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if (self.kind == "limit") != (0 < self.value <= _LARGEST):
            raise InvalidValue(
                f"a limit must lie between 1 and {_LARGEST}, not {self.value}; "
                "for none say 'unlimited', for that of the next level 'inherit'"
            )

    @classmethod
    def parse(cls, value: LimitLike, *, in_bytes: bool = False) -> Limit:
        """Read a limit: a number from 1 on, a size, ``"unlimited"`` or ``"inherit"``. Raises InvalidValue."""
        if isinstance(value, Limit):
            return cls(value.kind, value.value, in_bytes)
        if value in ("inherit", "unlimited"):
            return cls("inherit" if value == "inherit" else "unlimited", in_bytes=in_bytes)
        return cls("limit", _number(value, in_bytes), in_bytes)

    def __str__(self) -> str:
        if self.kind != "limit":
            return self.kind
        return str(Quota(self.value)) if self.in_bytes else str(self.value)


def _number(value: int | str, in_bytes: bool) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        if isinstance(value, str) and (in_bytes or value.isdecimal()):
            return Quota.parse(value).bytes or 0
    except InvalidQuota as error:
        raise InvalidValue(f"{value!r} is no limit: {error}; or inherit") from error
    raise InvalidValue(f"{value!r} is no limit; write a number, unlimited or inherit")


LimitLike: TypeAlias = "Limit | int | str"
"""What `Limit.parse` reads."""
INHERIT = Limit("inherit")
"""What the next level says."""
NO_LIMIT = Limit("unlimited")
"""As much as anybody likes."""
_INHERITED_SIZE = Limit("inherit", in_bytes=True)
_ANY_SIZE = Limit("unlimited", in_bytes=True)

PeriodLike: TypeAlias = "int | str"
"""Seconds, or a number with ``s``, ``m``, ``h`` or ``d`` behind."""


def parse_period(value: PeriodLike) -> int:
    """Return a period in seconds, given so or as ``90s``, ``15m``, ``1h`` or ``7d``. Raises InvalidValue, also for 0.

    iRedAPD takes a period of 0 as "this rule is switched off", limits on single messages included.
    """
    seconds = None
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (match := _PERIOD.fullmatch(value.strip().lower())):
        seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds is None or not 0 < seconds <= _MOST_SECONDS:
        raise InvalidValue(
            f"{value!r} is no period; write seconds from 1 to {_MOST_SECONDS}, or for example 15m, 1h, 7d"
        )
    return seconds


def period_text(seconds: int) -> str:
    """Return a period in its largest whole unit, as `parse_period` reads it."""
    for unit in ("d", "h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


# --- spam policies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamPolicy:
    """What one level says about scanned mail; None is inherited.

    The meaning of the parameters stands at `mailstore.store.SpamPolicies.set`.
    """

    level: str
    bypass_spam_checks: bool | None = None
    bypass_virus_checks: bool | None = None
    bypass_banned_checks: bool | None = None
    bypass_header_checks: bool | None = None
    quarantine_spam: bool | None = None
    quarantine_virus: bool | None = None
    quarantine_banned: bool | None = None
    quarantine_bad_header: bool | None = None
    prefix_spam_in_subject: bool | None = None
    always_insert_x_spam_headers: bool | None = None
    spam_score: float | None = None


class SpamPolicyFields(TypedDict, total=False):
    """Parameters of `SpamPolicies.set` and `SpamPolicies.update`. None inherits."""

    bypass_spam_checks: bool | None
    bypass_virus_checks: bool | None
    bypass_banned_checks: bool | None
    bypass_header_checks: bool | None
    quarantine_spam: bool | None
    quarantine_virus: bool | None
    quarantine_banned: bool | None
    quarantine_bad_header: bool | None
    prefix_spam_in_subject: bool | None
    always_insert_x_spam_headers: bool | None
    spam_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """What applies to mail for one address. ``levels`` names the level of each value; what is not in it is the
    scanner's own configuration, and None in ``policy``. ``undefined`` names the values on which levels of one priority
    disagree: which one counts is not defined, and the one shown is a guess.
    """

    address: str
    policy: SpamPolicy
    levels: Mapping[str, str] = field(default_factory=dict)
    undefined: tuple[str, ...] = ()


def parse_score(value: Any) -> float:
    """Check a spam score: a number above 0 and up to 1000. Raises InvalidValue."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not 0 < round(value, 3) <= _MOST_SCORE:
        raise InvalidValue(f"spam_score: a number above 0 and up to {_MOST_SCORE} is wanted, not {value!r}")
    return round(float(value), 3)


# --- throttles --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """What one level allows in one direction. ``period`` in seconds; None means that this level sets nothing.

    The meaning of the limits stands at `mailstore.store.Throttles.set`.
    """

    level: str
    direction: Direction
    period: int | None = None
    msg_size: Limit = _INHERITED_SIZE
    max_msgs: Limit = INHERIT
    max_quota: Limit = _INHERITED_SIZE
    max_recipients: Limit = INHERIT

    LIMITS: ClassVar[Mapping[str, bool]] = {
        "msg_size": True, "max_msgs": False, "max_quota": True, "max_recipients": False,
    }  # fmt: skip
    """The names of the limits, and whether each counts bytes."""


class ThrottleFields(TypedDict, total=False):
    """Optional parameters of `Throttles.set` and `Throttles.update`."""

    msg_size: LimitLike
    max_msgs: LimitLike
    max_quota: LimitLike
    max_recipients: LimitLike


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a limit comes from: the level, and the period of its rule in seconds."""

    level: str
    period: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveThrottle:
    """What applies to one address in one direction. ``origins`` has those limits that some level sets; the others are
    ``unlimited``. ``undefined`` names the limits on which rules of one priority disagree: which one counts is not defined,
    and the one shown is a guess. ``counts_up_to`` is the number of bytes in a period after which the daemon's counters
    overflow and it counts messages no more; None if that cannot happen.
    """

    address: str
    direction: Direction
    msg_size: Limit = _ANY_SIZE
    max_msgs: Limit = NO_LIMIT
    max_quota: Limit = _ANY_SIZE
    max_recipients: Limit = NO_LIMIT
    origins: Mapping[str, Origin] = field(default_factory=dict)
    undefined: tuple[str, ...] = ()
    counts_up_to: int | None = None


# --- greylisting and access lists -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GreylistingSetting:
    """Whether mail for one level is greylisted; None inherits. ``whitelist`` are senders that never are.

    ``exceptions`` are settings for single senders that other tools made.
    """

    level: str
    enabled: bool | None = None
    whitelist: tuple[str, ...] = ()
    exceptions: Mapping[str, bool] = field(default_factory=dict)


class GreylistingFields(TypedDict, total=False):
    """Optional parameters of `Greylisting.set`."""

    enabled: bool
    whitelist: Names


@dataclass(frozen=True, slots=True)
class GreylistingVerdict:
    """Whether a delivery would be greylisted, and which entry decides: level and sender of it, empty for none.

    ``undefined``: entries of one priority disagree, which one counts is not defined, and the one shown is a guess.
    """

    greylisted: bool
    level: str = ""
    sender: str = ""
    whitelisted: bool = False
    undefined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessList:
    """Senders (inbound) or recipients (outbound) that a level accepts and refuses. ``custom`` are entries of other tools
    with a score or another mark instead.
    """

    level: str
    direction: Direction
    whitelist: tuple[str, ...] = ()
    blacklist: tuple[str, ...] = ()
    custom: Mapping[str, str] = field(default_factory=dict)


class AccessListFields(TypedDict, total=False):
    """Optional parameters of `AccessLists.set`."""

    whitelist: Names
    blacklist: Names


@dataclass(frozen=True, slots=True)
class AccessVerdict:
    """What the lists say about a delivery, and which entry decides: its level and address, empty for none.

    ``undefined``: entries of one priority disagree, which one counts is not defined, and the one shown is a guess.
    ``after_greylisting``: an accepted sender may still be told to try again, because iRedAPD asks the settings of
    greylisting before the lists; only their own whitelist exempts from it.
    """

    verdict: Literal["accept", "reject", "none"]
    level: str = ""
    entry: str = ""
    undefined: bool = False
    after_greylisting: bool = False
