"""URLs of stores and databases. What cannot be understood is refused without being shown: it may hold a password.

A password with ``/``, ``?``, ``#`` or ``@`` that is not percent-encoded ends up in the host, the path or the options, from
where it would get into every message about them. No such URL gets past `require`.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import parse_qsl, unquote, urlsplit

from mailstore.errors import ConfigurationError

__all__ = ["each_host", "options_of", "require", "require_password", "shown"]

_AUTHORITY = re.compile(r"(?P<before>[^/?#]*//(?:[^/?#]*@)?)(?P<hosts>[^/?#@]*)")
_ENCODE = "percent-encode special characters: @ as %40, / as %2F, # as %23, ? as %3F, [ as %5B"


def require(what: str, url: str) -> None:
    """Raise ConfigurationError, naming `what` it is but not showing it, if a URL cannot be understood in one way only."""
    problem = _problem(url)
    if problem:
        raise ConfigurationError(f"{what} {problem}; {_ENCODE}")


def require_password(what: str, password: str | None) -> None:
    """Raise ConfigurationError, naming `what` it is for, if no server could be given a password."""
    if password is not None and ("\0" in password or not _encodable(password)):
        raise ConfigurationError(f"the password of {what} is no UTF-8 text")


def shown(url: str) -> str:
    """Return a URL without its password and without options, which may hold another one."""
    if _problem(url):
        return f"{url.partition(':')[0]}:..." if _encodable(url) else "..."
    bare, parts = url.partition("?")[0], urlsplit(url)
    return bare if parts.password is None else bare.replace(f":{parts.password}@", "@", 1)


def options_of(url: str) -> list[tuple[str, str]]:
    """Return the options in the query string of a URL that has passed `require`, in their order."""
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def each_host(url: str) -> list[str]:
    """Return a URL for each of the hosts that one names, ``h1:port,h2`` behind the account; a URL itself if it is one."""
    found = _AUTHORITY.match(url)
    if found is None or "," not in found["hosts"]:
        return [url]
    return [f"{found['before']}{host}{url[found.end() :]}" for host in found["hosts"].split(",")]


def _problem(url: str) -> str | None:
    return next((problem for problem in map(_problem_of_one, each_host(url)) if problem), None)


def _problem_of_one(url: str) -> str | None:
    if not _encodable(url):
        return "is no UTF-8 text"
    if any(unicodedata.category(character) == "Cc" for character in url + unquote(url)):
        return "holds control characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        return "cannot be read: its host or its port is wrong"
    account, at, _ = parts.netloc.rpartition("@")
    if not parts.netloc:
        return None  # a file
    if "@" in account or "@" in parts.path or parts.fragment or (not at and "@" in parts.query):
        return "holds @ or # where none can be"
    if not all(key.isidentifier() for key, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return "holds something after its ? that is no option"
    return None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
