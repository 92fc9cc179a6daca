"""Spam policies, throttles, greylisting and access lists, as every store keeps them; see `mailstore.store` for the rules.

They live in databases beside the accounts. For all of them:

- A level is ``"global"``, a domain or an address; what one level leaves open is looked for at the next: address, domain,
  global. Levels are named as `mailstore.policies.Level` reads them; an unknown form raises InvalidValue.
- Changing a level that is not in this store, or that the acting admin does not manage, raises NotFound; the global level
  takes a global admin (PermissionDenied). Reading it takes no more than reading its domain; everybody may read the global
  level. Whoever may do everything may also delete what an account left behind that is gone.
- Deleting an account, alias or domain removes what it has here, renaming takes it along, counters included, and a new one
  of that name starts with nothing.
- ``get`` answers for every level, with nothing set where nothing is; deleting what is not there is no error.
- A change acts on the next message.
- Inside `Store.transaction` changes here come about with it. They are committed just before the store is: only if that
  last commit fails, they have come about alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Unpack

from mailstore.model import Names
from mailstore.policies import (
    AccessList,
    AccessListFields,
    AccessVerdict,
    Direction,
    EffectivePolicy,
    EffectiveThrottle,
    GreylistingFields,
    GreylistingSetting,
    GreylistingVerdict,
    PeriodLike,
    SpamPolicy,
    SpamPolicyFields,
    Throttle,
    ThrottleFields,
)

__all__ = ["AccessLists", "Greylisting", "SpamPolicies", "Throttles"]


class SpamPolicies(ABC):
    """What the content scanner does with mail for somebody."""

    @abstractmethod
    def get(self, level: str) -> SpamPolicy:
        """Return what a level itself says; None is inherited."""

    @abstractmethod
    def list(self) -> Iterator[SpamPolicy]:
        """Iterate over the policies of all levels, sorted by level key. Takes a global admin."""

    @abstractmethod
    def set(self, level: str, **fields: Unpack[SpamPolicyFields]) -> SpamPolicy:
        """Set the whole policy of a level: what is not given, or None, is inherited from then on.

        Parameters
        ----------
        bypass_spam_checks, bypass_virus_checks, bypass_banned_checks, bypass_header_checks: whether that check is left
            out; mail that it would have found is then delivered untouched.
        quarantine_spam, quarantine_virus, quarantine_banned, quarantine_bad_header: True keeps such mail in the
            quarantine, False delivers it, infected mail too.
        prefix_spam_in_subject: whether the subject of delivered spam begins with ``[SPAM]``.
        always_insert_x_spam_headers: whether X-Spam headers are there however low the score.
        spam_score: from this score on mail is spam; above 0 and up to 1000, with three decimals. Below 2 the X-Spam
            headers, by which spam is filed, come from this score on, too.

        Returns the policy as stored. An alias has no policy: mail is scanned for the accounts behind it (NotFound).
        """

    @abstractmethod
    def update(self, level: str, **fields: Unpack[SpamPolicyFields]) -> SpamPolicy:
        """Change what is given, as for `set`, and leave the rest. Returns the policy as stored."""

    @abstractmethod
    def delete(self, level: str) -> None:
        """Remove the policy of a level, which then inherits everything.

        Without a global policy the scanner's own configuration rules, which with iRedMail quarantines spam instead of
        delivering it.
        """

    @abstractmethod
    def effective(self, address: str) -> EffectivePolicy:
        """Return what applies to mail for an address, and which level each value comes from."""


class Throttles(ABC):
    """How much may be sent or received in a period. Limits of domains and of the server count for each address alone."""

    @abstractmethod
    def get(self, level: str, direction: Direction) -> Throttle:
        """Return what a level itself says."""

    @abstractmethod
    def list(self) -> Iterator[Throttle]:
        """Iterate over the throttles of all levels, in the order in which they were made. Takes a global admin."""

    @abstractmethod
    def set(
        self, level: str, direction: Direction, *, period: PeriodLike, **limits: Unpack[ThrottleFields]
    ) -> Throttle:
        """Set the whole throttle of a level: limits that are not given are inherited from then on.

        Parameters
        ----------
        direction: ``inbound`` counts for the recipient, ``outbound`` for the authenticated sender.
        period: in which all limits of this level are counted, in seconds or as ``1h``.
        msg_size: of one message, in bytes or as ``10M``. max_msgs: messages, one for each recipient. max_quota: of all
            messages together; the one that passes it is still let through. max_recipients: of one message.

        A limit is a number from 1 on, ``"unlimited"`` (which lower levels cannot narrow) or ``"inherit"``. Counters go
        on. Raises InvalidValue for limits that the daemon's counters cannot hold.
        """

    @abstractmethod
    def update(
        self, level: str, direction: Direction, *, period: PeriodLike | None = None, **limits: Unpack[ThrottleFields]
    ) -> Throttle:
        """Change what is given, and leave the rest. A new throttle needs a period (InvalidValue)."""

    @abstractmethod
    def delete(self, level: str, direction: Direction) -> None:
        """Remove the throttle of a level, with its counters."""

    @abstractmethod
    def reset(self, address: str) -> None:
        """Let an address start again from zero, whichever level its limits come from."""

    @abstractmethod
    def effective(self, address: str, direction: Direction, *, client: str | None = None) -> EffectiveThrottle:
        """Return what applies to an address, and where each limit comes from.

        `client` is the IP address of the other side; limits of other tools may be bound to it.
        """


class Greylisting(ABC):
    """Whether unknown senders are first told to try again."""

    @abstractmethod
    def get(self, level: str) -> GreylistingSetting:
        """Return what a level itself says."""

    @abstractmethod
    def list(self) -> Iterator[GreylistingSetting]:
        """Iterate over the levels that have anything set, sorted by level key. Takes a global admin."""

    @abstractmethod
    def set(self, level: str, **fields: Unpack[GreylistingFields]) -> GreylistingSetting:
        """Switch greylisting on or off, and tell which senders are never greylisted; what is not given is left.

        Parameters
        ----------
        enabled: whether unknown senders are told to try again.
        whitelist: the whole list, or an `Edit` of it: addresses, ``@domain``, ``@.domain`` (with subdomains), ``@.``
            (everybody), IP addresses and networks. What the daemon itself whitelisted stays unless an `Edit` removes it.

        Exceptions that other tools made stay. Returns the setting as stored.
        """

    @abstractmethod
    def delete(self, level: str) -> None:
        """Let a level inherit again whether it is greylisted; its whitelist stays."""

    @abstractmethod
    def spf_domains(self) -> tuple[str, ...]:
        """Return the domains whose servers, as their SPF records name them, are never greylisted."""

    @abstractmethod
    def set_spf_domains(self, domains: Names) -> tuple[str, ...]:
        """Set or `Edit` those domains; a job of iRedAPD resolves them. Takes a global admin. Returns them as stored."""

    @abstractmethod
    def effective(self, recipient: str, *, sender: str, client: str) -> GreylistingVerdict:
        """Return whether a first delivery from `sender` through the IP address `client` would be greylisted, and why.

        What is decided elsewhere is not in it: authenticated clients, known triplets, SPF of the sender's domain.
        """


class AccessLists(ABC):
    """Senders that are always, or never, accepted (inbound), and recipients that may, or may not, be sent to (outbound)."""

    @abstractmethod
    def get(self, level: str, direction: Direction) -> AccessList:
        """Return the lists of a level."""

    @abstractmethod
    def list(self) -> Iterator[AccessList]:
        """Iterate over the lists of all levels that have any, the inbound ones first, sorted by level key.

        Takes a global admin.
        """

    @abstractmethod
    def set(self, level: str, direction: Direction, **fields: Unpack[AccessListFields]) -> AccessList:
        """Set the lists of a level, or `Edit` them; what is not given is left.

        Entries are addresses, ``@domain``, ``@.domain`` (with subdomains), ``@.`` (everybody), and inbound IP addresses and
        IPv4 networks. What the daemon would never find raises InvalidValue; an `Edit` may remove it. One that is set in
        one list leaves the other; in both at once raises InvalidValue. Returns the lists as stored.
        """

    @abstractmethod
    def delete(self, level: str, direction: Direction) -> None:
        """Empty both lists of a level; entries with scores, which other tools made, stay."""

    @abstractmethod
    def effective(self, address: str, direction: Direction, *, peer: str, client: str | None = None) -> AccessVerdict:
        """Return what the lists say about mail between an `address` of this store and a `peer`, and which entry decides.

        `client` is the IP address that the mail comes from; inbound entries may name it.
        """
