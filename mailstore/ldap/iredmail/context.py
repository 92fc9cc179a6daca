"""What all parts of the driver share: the directory, the places in it, the options, the records, and the acting admin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailstore.config import StoreConfig
from mailstore.driver.base import Keyed
from mailstore.driver.companions import Companions
from mailstore.driver.iredmail.policy import DomainPolicy
from mailstore.driver.notices import Notices
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret
from mailstore.errors import Conflict, NotFound, NotSupported
from mailstore.ldap.changes import Changes, changing
from mailstore.ldap.connection import Change, Directory, Entry
from mailstore.ldap.entry import applied
from mailstore.ldap.iredmail.places import Places
from mailstore.ldap.names import DN, equals
from mailstore.maildir import Homes
from mailstore.model import Notice

if TYPE_CHECKING:
    from mailstore.ldap.iredmail.records_database import Companion
    from mailstore.ldap.iredmail.rights import Actor

__all__ = ["EVERYTHING", "IDENTITY", "STAMPS", "Context"]

STAMPS = ("createTimestamp", "modifyTimestamp", "entryCSN")
"""What the server itself notes in every write. All else that an entry has after it is known to who wrote it."""
IDENTITY = "entryUUID"
"""What tells an entry from an earlier one of its name."""
EVERYTHING = ("*", *STAMPS, IDENTITY)
"""All attributes, with the operational ones that this driver reads."""
_TRIES = 20


@dataclass(frozen=True)
class Context(Keyed):
    """One opened directory as one user of the library sees it.

    ``companion`` is the SQL database beside it: records of deleted mailboxes, and what Dovecot notes there. ``actor`` is
    the admin on whose behalf everything happens; None may do everything. ``policies`` are amavisd's and iRedAPD's databases.
    """

    directory: Directory
    places: Places
    config: StoreConfig
    name: str
    companion: Companion
    homes: Homes | None = None
    actor: Actor | None = None
    policies: Companions = field(default_factory=Companions)
    notices: Notices = field(default_factory=Notices)

    @property
    def identity(self) -> str:
        """What the tree is, whichever server answers for it."""
        return self.companion.identity

    @property
    def deleted_by(self) -> str:
        """Who is recorded as having deleted something."""
        return self.actor.address if self.actor else ""

    def knows(self, attribute: str, *classes: str) -> bool:
        """Tell whether an entry of one of these object classes may have an attribute; iRedMail's schema grew over the years.

        That the attribute itself is known says little: it may have been there for other entries long before.
        """
        allowed = self.directory.schema.allowed
        return any(attribute.lower() in allowed.get(name.lower(), ()) for name in classes)

    def require(self, attributes: Sequence[str], *classes: str, release: str = "") -> None:
        """Raise NotSupported if an entry of these classes cannot have one of the attributes on this server.

        `release` is the one of iRedMail that brought them.
        """
        for attribute in attributes:
            if not self.knows(attribute, *classes):
                kinds, to = ", ".join(classes), f" to {release}" if release else ""
                raise NotSupported(
                    f"the schema of this server does not allow {attribute} for {kinds}; update iRedMail's schema{to} first"
                )

    def require_right(self, subject: str, *operations: Operation) -> None:
        """Raise unless the actor sees a domain, or that of an address, and may do all of `operations` to it."""
        if self.actor:
            self.actor.require(subject, *operations)

    def refuse_stronger(self, other: Entry) -> None:
        """Raise PermissionDenied if an account or admin may do more than the actor."""
        if self.actor:
            self.actor.refuse_stronger(other)

    def check_secret(self, policy: DomainPolicy, secret: Secret, address: str) -> None:
        """Raise InvalidPassword, or PermissionDenied for a hash, if the domain's limits do not allow a new password."""
        policy.check_password(secret.password, address)
        if self.actor:
            self.actor.refuse_ready_hash(policy, secret, address)

    def notify(self, changes: Changes, notice: Notice) -> None:
        """Tell what is left to be done, unless the changes are taken back."""
        changes.on_undo("a notice", self.notices.add(notice))

    def bases(self, domain: str | None, unit: str) -> list[DN]:
        """Return where to search for what a unit of one domain holds, or of all domains that the actor sees."""
        if domain is not None:
            visible = self.actor is None or self.actor.sees(domain)
            return [self.places.unit(domain, unit)] if visible else []
        managed = self.actor.bases() if self.actor else None
        return [self.places.domains] if managed is None else managed

    @contextmanager
    def changing(self, subject: str) -> Iterator[Changes]:
        """Collect the writes of one operation; they are taken back if it fails."""
        with changing(self.directory, subject) as changes:
            yield changes

    def edit(
        self,
        changes: Changes,
        dn: DN,
        build: Callable[[Entry], Sequence[Change]],
        missing: NotFound,
        *,
        known: Entry | None = None,
    ) -> tuple[Entry, Entry]:
        """Change an entry on condition that nobody else changes it meanwhile. Returns it as it was and as it is.

        `build` returns the changes for what the entry has; it is called again if somebody was faster, so that their change
        is kept. `known` is the entry if it was read with `EVERYTHING` just before. Raises `missing` if there is no such
        entry, Conflict if somebody is always faster.
        """
        for _ in range(_TRIES):
            entry, known = known or self.directory.read(dn, EVERYTHING), None
            if entry is None:
                raise missing
            wanted = build(entry)
            if not wanted:
                return entry, entry
            unchanged = equals("entryCSN", entry.first("entryCSN"))
            try:
                stamps = changes.modify(dn, wanted, old=entry, only_if=unchanged, return_entry=STAMPS)
            except Conflict:
                continue
            return entry, Entry(dn, {**applied(entry, wanted), **(stamps.raw if stamps else {})})
        raise Conflict(f"{changes.subject}: somebody else keeps changing {dn}; try again", subject=changes.subject)
