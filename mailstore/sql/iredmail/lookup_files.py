"""What `mailstore lookups` asks this driver for: see `mailstore.driver.lookups.LookupOptions`."""

from __future__ import annotations

from mailstore.driver.lookups import LookupFile, LookupOptions, Reader
from mailstore.sql.iredmail import lookups
from mailstore.sql.iredmail.store import IRedMailStore

__all__ = ["dovecot", "postfix"]


def postfix(store: IRedMailStore, options: LookupOptions) -> list[LookupFile]:
    """Return Postfix's map files, and the lines of main.cf that use them."""
    reader = Reader.from_config(store.config, options.user, options.password)
    directory = options.directory or lookups.POSTFIX_DIRECTORY
    return lookups.postfix(reader, directory=directory, uid=options.uid, gid=options.gid)


def dovecot(store: IRedMailStore, options: LookupOptions) -> list[LookupFile]:
    """Return the file to include at the end of dovecot.conf, and those that it names."""
    writer = None
    if options.writer_user:
        writer = Reader.from_config(store.config, options.writer_user, options.writer_password)
    return lookups.dovecot(
        Reader.from_config(store.config, options.user, options.password),
        store.schema_report(),
        version="2.4" if options.version == "2.4" else "2.3",
        uid=options.uid,
        gid=options.gid,
        writer=writer,
        directory=options.directory or lookups.DOVECOT_DIRECTORY,
    )
