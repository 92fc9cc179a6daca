"""The calls of iRedAdmin-Pro's document and every sample of a parameter in it, in an order in which they can be made.

A line is: the id of the call, the verb, the path, and the form as the document writes it. Names in braces are
filled in.
"""

from __future__ import annotations

__all__ = ["CALLS", "DIRECTORY_CALLS", "POLICY_CALLS", "filled"]

_DOMAIN = """\
name=Google Inc
accountStatus=active
quota=2048
language=en_US
transport=dovecot
minPasswordLength=8
maxPasswordLength=20
defaultQuota=1024
maxUserQuota=2048
numberOfUsers=20
numberOfAliases=30
senderBcc=user@domain.com
recipientBcc=user@domain.com
is_backupmx=yes&primarymx=202.96.134.133
is_backupmx=yes&primarymx=[mail.iredmail.org]:25
is_backupmx=no
catchall=user@domain.com,user2@domain.com
catchall=
outboundRelay=smtp:[192.168.1.2]:25
outboundRelay=
enableService=self-service
disableService=self-service
removeAllServices=
disableDomainProfile=bcc,relay,aliases
enableDomainProfile=bcc,relay,aliases
disableUserProfile=bcc,relay,aliases
enableUserProfile=bcc,relay,aliases
disableUserPreference=forwarding,wblist
enableUserPreference=forwarding,wblist
"""
_ADMIN = """\
name=My Admin Name
password=AsTr0ng@
accountStatus=active
language=en_US
isGlobalAdmin=yes
isGlobalAdmin=no
maxDomains=5
maxQuota=2&quotaUnit=TB
maxUsers=100
maxAliases=200
maxLists=300
"""
_USER = """\
name=My New Name
password=u0tBF82cIV@vi8Gme
quota=1024
accountStatus=active
language=en_US
employeeid=My Employee ID
transport=dovecot
forwarding=user1@domain.com,user2@domain.com,user3@domain.com
aliases=user1@{domain},user2@{domain},user3@{domain}
addAlias=user4@{domain}
removeAlias=user1@{domain},user2@{domain}
"""
_MEMBERS = """\
name=My List Name
accessPolicy=public
members=user1@domain.com,user2@domain.com
addMember=user1@domain.com,user2@domain.com
removeMember=user1@domain.com,user2@domain.com
"""
_SPAM = """\
bypass_spam_checks=yes
bypass_virus_checks=yes
bypass_banned_checks=yes
bypass_header_checks=yes
quarantine_spam=yes
quarantine_virus=no
quarantine_banned=yes
quarantine_bad_header=yes
prefix_spam_in_subject=yes
always_insert_x_spam_headers=yes
spam_score=4
"""
_THROTTLE = "period=3600&msg_size=10485760&max_msgs=20&max_quota=1048576000"

Line = tuple[str, str, str, str]


def _each(call: str, verb: str, path: str, samples: str) -> list[Line]:
    return [(call, verb, path, sample) for sample in samples.splitlines()]


CALLS: list[Line] = [
    ("A03", "POST", "domain/{domain}", "name=Google Inc&quota=20480&language=en_US&transport=dovecot&defaultQuota=1024"
     "&maxUserQuota=2048&numberOfUsers=20&numberOfAliases=30&numberOfLists=40&senderBcc=user@domain.com"
     "&recipientBcc=user@domain.com"),
    ("A02", "GET", "domain/{domain}", ""),
    *_each("A06", "PUT", "domain/{domain}", _DOMAIN),
    ("A14", "POST", "user/{mail}", "name=My New Name&password=AsTr0ng@&language=en_US&quota=1024"),
    ("A13", "GET", "user/{mail}", ""),
    *_each("A17", "PUT", "user/{mail}", _USER),
    ("A20", "POST", "verify_password/user/{mail}", "password=u0tBF82cIV@vi8Gme"),
    ("A19", "PUT", "users/{domain}", "accountStatus=active&language=en_US&transport=dovecot&password=AsTr0ng@"),
    ("A07", "PUT", "domain/admins/{domain}", "addAdmin={mail}"),
    ("A07", "PUT", "domain/admins/{domain}", "removeAdmin={mail}"),
    ("A07", "PUT", "domain/admins/{domain}", "removeAllAdmins="),
    ("A18", "POST", "user/{mail}/change_email/new_{mail}", ""),
    ("A15", "DELETE", "user/new_{mail}", ""),
    ("A14", "POST", "user/{mail}", "password=AsTr0ng@&quota=100"),
    ("A16", "DELETE", "user/{mail}/keep_mailbox_days/30", ""),
    ("A26", "POST", "alias/{alias}", "name=My List Name&accessPolicy=public&members=user1@domain.com,user2@domain.com"),
    ("A25", "GET", "alias/{alias}", ""),
    *_each("A28", "PUT", "alias/{alias}", _MEMBERS),
    ("A29", "POST", "alias/{alias}/change_email/new_{alias}", ""),
    ("A27", "DELETE", "alias/new_{alias}", ""),
    ("A09", "POST", "admin/{admin}", "name=My Admin Name&password=AsTr0ng@&accountStatus=active&language=en_US&maxDomains=5"
     "&maxQuota=2&quotaUnit=TB&maxUsers=100&maxAliases=200&maxLists=300"),
    ("A08", "GET", "admin/{admin}", ""),
    *_each("A11", "PUT", "admin/{admin}", _ADMIN),
    ("A12", "POST", "verify_password/admin/{admin}", "password=AsTr0ng@"),
    ("A10", "DELETE", "admin/{admin}", ""),
    ("A04", "DELETE", "domain/{domain}", ""),
    ("A03", "POST", "domain/{domain}", ""),
    ("A05", "DELETE", "domain/{domain}/keep_mailbox_days/30", ""),
]  # fmt: skip
"""For every store."""

DIRECTORY_CALLS: list[Line] = [
    (
        "A22",
        "POST",
        "maillist/{list}",
        "name=My List Name&accessPolicy=public&members=user1@domain.com,user2@domain.com",
    ),
    ("A21", "GET", "maillist/{list}", ""),
    *_each("A24", "PUT", "maillist/{list}", _MEMBERS),
    ("A51", "GET", "ldif/domain/{domain}", ""),
    ("A52", "GET", "ldif/catchall/{domain}", ""),
    ("A53", "GET", "ldif/admin/{admin}", ""),
    ("A54", "GET", "ldif/user/{mail}", ""),
    ("A55", "GET", "ldif/maillist/{list}", ""),
    ("A56", "GET", "ldif/alias/{alias}", ""),
    ("A23", "DELETE", "maillist/{list}", ""),
]
"""For a directory, which has {domain}, {mail}, {alias} and {admin}."""


def _policy(level: str, calls: tuple[str, str, str]) -> list[Line]:
    path = f"spampolicy/{level}"
    return [
        *_each(calls[1], "PUT", path, _SPAM),
        (calls[0], "GET", path, ""),
        (calls[2], "DELETE", path, ""),
    ]


def _throttle(level: str, direction: str, calls: tuple[str, str]) -> list[Line]:
    path = f"throttle/{level}/{direction}"
    return [(calls[1], "POST", path, _THROTTLE), (calls[0], "GET", path, "")]


POLICY_CALLS: list[Line] = [
    *_policy("global", ("A30", "A31", "A32")),
    *_policy("domain/{domain}", ("A33", "A34", "A35")),
    *_policy("user/{mail}", ("A36", "A37", "A38")),
    *_throttle("global", "inbound", ("A39", "A40")),
    *_throttle("global", "outbound", ("A41", "A42")),
    *_throttle("{domain}", "inbound", ("A43", "A44")),
    *_throttle("{domain}", "outbound", ("A45", "A46")),
    *_throttle("{mail}", "inbound", ("A47", "A48")),
    *_throttle("{mail}", "outbound", ("A49", "A50")),
]
"""For a store with the databases of amavisd and iRedAPD, which has {domain} and {mail}."""

_NAMES = {
    "{domain}": "google.com",
    "{mail}": "user@google.com",
    "{alias}": "sales@google.com",
    "{list}": "news@google.com",
    "{admin}": "admin@elsewhere.com",
}


def filled(text: str) -> str:
    """Return a path or form with names in it; those with a word before them keep it before the @."""
    for place, name in _NAMES.items():
        text = text.replace(place, name)
    return text
