"""When something is to happen: crontab lines, intervals and durations, as triggers of APScheduler."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeAlias

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from mailstore.errors import ConfigurationError

__all__ = ["Trigger", "duration", "trigger"]

Trigger: TypeAlias = Any
"""A trigger of APScheduler 3, which has no types."""

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""By the numbers of crontab, which counts Sunday twice."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EVERY = "every "


def duration(text: str) -> timedelta:
    """Return what ``30s``, ``15m``, ``2h`` or ``1d`` says. Raises ValueError."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in _UNITS or not number.isdecimal() or not int(number):
        raise ValueError(f"{text!r} is no duration such as 30s, 15m, 2h or 1d")
    try:
        return timedelta(**{_UNITS[unit]: int(number)})
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def trigger(key: str, text: str, zone: tzinfo = UTC) -> Trigger:
    """Return the trigger for a crontab line in a zone, or an interval. Raises ConfigurationError that names the `key`."""
    try:
        found = _interval(text) if text.startswith(_EVERY) else _crontab(text, zone)
    except ValueError as error:
        raise ConfigurationError(f"{key}: {text!r} is neither a crontab line nor like 'every 15m': {error}") from error
    if found.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise ConfigurationError(f"{key}: there is no day on which {text!r} comes")
    return found


def _interval(text: str) -> Trigger:
    return IntervalTrigger(seconds=int(duration(text.removeprefix(_EVERY)).total_seconds()), timezone=UTC)


def _crontab(text: str, zone: tzinfo) -> Trigger:
    """Return a trigger that means what cron means by the line.

    `CronTrigger.from_crontab` does not: it counts weekdays from Monday, and of a day of the month and a weekday it wants
    both where cron wants either.
    """
    fields = text.split()
    if len(fields) != len(("minute", "hour", "day", "month", "weekday")):
        raise ValueError(f"it has {len(fields)} fields instead of 5")
    minute, hour, day, month, weekday = fields
    time = {"minute": minute, "hour": hour, "month": month, "timezone": zone}
    weekday = _weekdays(weekday)
    if day.startswith("*") or fields[4].startswith("*"):
        return CronTrigger(**time, day=day, day_of_week=weekday)
    return OrTrigger([CronTrigger(**time, day=day), CronTrigger(**time, day_of_week=weekday)])


def _weekdays(field: str) -> str:
    """Return the days of a crontab field by their names, which mean the same everywhere."""
    return ",".join(dict.fromkeys(_DAYS[number] for part in field.split(",") for number in _numbers(part)))


def _numbers(part: str) -> range:
    span, has_step, step = part.partition("/")
    first, is_span, last = ("0", "-", "6") if span == "*" else span.partition("-")
    begin = _day_number(first)
    end = _day_number(last) if is_span else 6 if has_step else begin
    if begin > end or (has_step and not (step.isdecimal() and int(step))):
        raise ValueError(f"{part!r} is no range of weekdays")
    return range(begin, end + 1, int(step or 1))


def _day_number(text: str) -> int:
    if text.lower() in _DAYS:
        return _DAYS.index(text.lower())
    if not text.isdecimal() or int(text) >= len(_DAYS):
        raise ValueError(f"{text!r} is no weekday: 0 to 7, or mon to sun")
    return int(text)
