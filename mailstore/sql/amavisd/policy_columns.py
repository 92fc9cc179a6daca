"""The parameters of a spam policy as columns of amavisd's table `policy`, and back.

NULL asks the next level; '' and 'N' are values that end the search. Two columns often mean something only together, and
are always written together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailstore.errors import InvalidValue
from mailstore.policies import parse_score

__all__ = [
    "HEADERS",
    "MANAGED",
    "SCORES",
    "TEXTS",
    "columns_of",
    "deciding_columns",
    "hides_spam",
    "loses_mail",
    "scores_differ",
    "values_of",
    "with_headers",
]

_BYPASSES = ("bypass_spam_checks", "bypass_virus_checks", "bypass_banned_checks", "bypass_header_checks")
_QUARANTINES: Mapping[str, tuple[str, str, str]] = {
    "quarantine_spam": ("spam_lover", "spam_quarantine_to", "spam-quarantine"),
    "quarantine_virus": ("virus_lover", "virus_quarantine_to", "virus-quarantine"),
    "quarantine_banned": ("banned_files_lover", "banned_quarantine_to", "banned-quarantine"),
    "quarantine_bad_header": ("bad_header_lover", "bad_header_quarantine_to", "bad-header-quarantine"),
}
"""Whether such mail is delivered, where a copy goes, and the name that goes there.

Not delivered and no copy would lose the mail: the two are never set apart from each other.
"""
_PREFIX_COLUMN = "spam_subject_tag2"
"""The tag of mail that is spam. The column without a digit would also mark mail that is not."""
_PREFIX = "[SPAM] "
HEADERS = "spam_tag_level"
_ALWAYS, _FROM_TWO = -999.0, 2.0
"""From which score on X-Spam headers are inserted: always, or as iRedMail configures it."""
_ALWAYS_BELOW = -100
_SCORE_COLUMNS = ("spam_tag2_level", "spam_kill_level")
"""From which score on mail is marked as spam, and is dealt with as spam: apart, mail is quarantined unmarked, or marked
and never quarantined."""

TEXTS = (*_BYPASSES, *(name for lover, target, _ in _QUARANTINES.values() for name in (lover, target)), _PREFIX_COLUMN)
SCORES = (HEADERS, *_SCORE_COLUMNS)
MANAGED = (*TEXTS, *SCORES)
"""All columns that policies are made of here; the others are left alone."""


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns for parameters of a policy. Raises InvalidValue."""
    columns: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "spam_score":
            score = None if value is None else parse_score(value)
            columns |= dict.fromkeys(_SCORE_COLUMNS, score)
        else:
            columns |= _switched(name, _flag(name, value))
    return columns


def with_headers(
    columns: Mapping[str, Any], present: Mapping[Any, Any], inherited: Callable[[], float | None]
) -> dict[str, Any]:
    """Return columns with headers from the same score on as spam, where that is lower than what is said of headers.

    The header by which iRedMail files spam is one of them. `present` is the row as it is, and `inherited` asks for the
    score of headers that the levels above say.
    """
    if not {HEADERS, _SCORE_COLUMNS[0]} & columns.keys():
        return dict(columns)
    row = {**dict.fromkeys(SCORES), **present, **columns}
    score, headers = row[_SCORE_COLUMNS[0]], row[HEADERS]
    if HEADERS not in columns and headers is not None and _follows_score(headers, present.get(_SCORE_COLUMNS[0])):
        headers = None
    if score is not None and score < _FROM_TWO:
        said = inherited() if headers is None else headers
        if said is None or said > score:
            headers = score
    return {**columns, HEADERS: headers}


def _follows_score(headers: float, score: float | None) -> bool:
    return score is not None and _ALWAYS_BELOW < score < _FROM_TWO and round(headers, 3) == round(score, 3)


def hides_spam(row: Mapping[Any, Any]) -> bool:
    """Tell whether mail is spam from a score on from which it has no header yet, so that nobody files it."""
    headers, score = row[HEADERS], row[_SCORE_COLUMNS[0]]
    return headers is not None and score is not None and round(headers, 3) > round(score, 3)


def _flag(name: str, value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise InvalidValue(f"{name}: True, False or None (inherit) is wanted, not {value!r}", field=name)
    return value


def _switched(name: str, on: bool | None) -> dict[str, Any]:
    if name in _QUARANTINES:
        lover, target, quarantine = _QUARANTINES[name]
        if on is None:
            return {lover: None, target: None}
        return {lover: "N", target: quarantine} if on else {lover: "Y", target: ""}
    if name == "prefix_spam_in_subject":
        return {_PREFIX_COLUMN: None if on is None else _PREFIX if on else ""}
    if name == "always_insert_x_spam_headers":
        return {HEADERS: None if on is None else _ALWAYS if on else _FROM_TWO}
    return {name: None if on is None else "Y" if on else "N"}


def values_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the parameters that a row of `policy`, or what several rows amount to, means."""
    values: dict[str, Any] = {name: _is_true(row[name]) for name in _BYPASSES}
    for name, (_, target, _) in _QUARANTINES.items():
        values[name] = None if row[target] is None else bool(row[target].strip())
    prefix, headers, score = row[_PREFIX_COLUMN], row[HEADERS], row[_SCORE_COLUMNS[0]]
    values["prefix_spam_in_subject"] = None if prefix is None else bool(prefix)
    follows = headers is None or _follows_score(headers, score)
    values["always_insert_x_spam_headers"] = None if follows else headers <= _ALWAYS_BELOW
    values["spam_score"] = None if score is None else round(score, 3)
    return values


def _is_true(value: str | None) -> bool | None:
    # As amavisd reads it: any other text is true. On PostgreSQL '' comes back as a blank.
    return None if value is None else value.strip(" \0") not in {"N", "n", "F", "f", "0", ""}


def deciding_columns() -> dict[str, str]:
    """Return for each parameter the column whose level tells where it comes from."""
    quarantines = {name: target for name, (_, target, _) in _QUARANTINES.items()}
    others = {
        "prefix_spam_in_subject": _PREFIX_COLUMN, "always_insert_x_spam_headers": HEADERS,
        "spam_score": _SCORE_COLUMNS[0],
    }  # fmt: skip
    return {**{name: name for name in _BYPASSES}, **quarantines, **others}


def loses_mail(row: Mapping[Any, Any]) -> list[str]:
    """Return the parameters for which a row has mail neither delivered nor kept."""
    return [
        name
        for name, (lover, target, _) in _QUARANTINES.items()
        if _is_true(row[lover]) is False and row[target] is not None and not row[target].strip()
    ]


def scores_differ(row: Mapping[Any, Any]) -> bool:
    """Tell whether mail is marked from another score on than it is dealt with as spam."""
    marked, killed = (row[name] for name in _SCORE_COLUMNS)
    return (marked is None) != (killed is None) or (marked is not None and round(marked, 3) != round(killed, 3))
