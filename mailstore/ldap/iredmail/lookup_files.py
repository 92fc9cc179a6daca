"""What `mailstore lookups` asks this driver for: see `mailstore.driver.lookups.LookupOptions`."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from mailstore.config import StoreConfig
from mailstore.driver.lookups import LookupFile, LookupOptions
from mailstore.driver.urls import each_host
from mailstore.errors import NotSupported
from mailstore.ldap.iredmail.lookups import dovecot as lookups_dovecot
from mailstore.ldap.iredmail.lookups import postfix as lookups_postfix
from mailstore.ldap.iredmail.lookups.reader import LdapReader
from mailstore.ldap.iredmail.store import places_of
from mailstore.ldap.names import dn

__all__ = ["dovecot", "postfix"]


class _Store(Protocol):
    """All that is needed of a store."""

    @property
    def config(self) -> StoreConfig: ...


def postfix(store: _Store, options: LookupOptions) -> list[LookupFile]:
    """Return Postfix's map files, and the lines of main.cf that use them."""
    directory = options.directory or lookups_postfix.POSTFIX_DIRECTORY
    reader = _reader(store.config, options)
    return lookups_postfix.postfix(reader, directory=directory, uid=options.uid, gid=options.gid)


def dovecot(store: _Store, options: LookupOptions) -> list[LookupFile]:
    """Return the file to include at the end of dovecot.conf, and those that it names."""
    if options.writer_user:
        raise NotSupported(
            "Dovecot notes no usage or logins in a directory: there is nothing for another account to write"
        )
    return lookups_dovecot.dovecot(
        _reader(store.config, options),
        version="2.4" if options.version == "2.4" else "2.3",
        auth_bind=store.config.login_by != "lookup",
        uid=options.uid,
        gid=options.gid,
        directory=options.directory or lookups_dovecot.DOVECOT_DIRECTORY,
    )


def _reader(config: StoreConfig, options: LookupOptions) -> LdapReader:
    """Return the account to read with: a DN, or the name of one of the accounts directly below the suffix."""
    parts, places = urlsplit(each_host(config.url)[0]), places_of(config)
    return LdapReader(
        server=f"{parts.scheme.partition('+')[2]}://{parts.netloc.rpartition('@')[2]}",
        bind_dn=options.user if "=" in options.user else dn(("cn", options.user), base=places.suffix),
        password=options.password,
        base=places.domains,
        start_tls=config.start_tls,
        tls_ca=config.tls_ca,
        tls_verify=config.tls_verify,
    )
