"""Entries of any directory as values, for a state that takes people from there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mailstore.errors import ConfigurationError, InvalidValue
from mailstore.ldap.connection import Directory, Endpoint
from mailstore.ldap.names import parse_dn, written

__all__ = ["people"]

_KEYS: Final = ("url", "bind_dn", "password_file", "base", "filter", "scope", "start_tls", "tls_ca")


def people(
    source: Mapping[str, Any], attributes: Sequence[str], folder: Path
) -> Iterable[tuple[str, Mapping[str, Sequence[str]]]]:
    """Return the entries that a search finds: where each stands, and all values of the attributes by name.

    Parameters
    ----------
    source: ``url``, ``bind_dn``, ``password_file`` (else $MAILSTORE_SOURCE_PASSWORD), ``base``, ``filter``, ``scope``
        (``subtree`` or ``one``), ``start_tls``, ``tls_ca``.
    folder: what relative paths are relative to.

    The whole answer or an error: a size limit, a part on another server and a base that is not there are errors. Raises
    ConfigurationError, InvalidValue, StoreError.
    """
    unknown = sorted(source.keys() - {*_KEYS})
    if unknown:
        raise InvalidValue(f"source: {unknown[0]!r} is unknown; known are {', '.join(_KEYS)}", field=unknown[0])
    base, scope = parse_dn(str(source.get("base", ""))), source.get("scope", "subtree")
    if scope not in ("subtree", "one"):
        raise InvalidValue("source: scope is subtree or one", field="scope")
    endpoint = Endpoint(
        url=str(source.get("url", "")),
        bind_dn=str(source.get("bind_dn", "")),
        password=_password(source, folder),
        start_tls=source.get("start_tls") is True,
        tls_ca=str(source.get("tls_ca", "")),
    )
    directory = Directory(endpoint)
    try:
        if directory.read(base, ["objectClass"]) is None:
            raise InvalidValue(f"source: there is no entry {base}, or it may not be seen", subject=base, field="base")
        found = directory.search(
            base, written(str(source.get("filter", "(objectClass=*)"))), scope=scope, attributes=attributes
        )
        return [(f"source, entry {entry.dn}", {name: entry.values(name) for name in attributes}) for entry in found]
    finally:
        directory.close()


def _password(source: Mapping[str, Any], folder: Path) -> str | None:
    if "password_file" not in source:
        return os.environ.get("MAILSTORE_SOURCE_PASSWORD")
    path = folder / str(source["password_file"])
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"source: cannot read {path}: {type(error).__name__}") from None
