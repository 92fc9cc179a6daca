"""What iRedMail's schema says, as its readers rely on it; the live server's schema is compared with this."""

from __future__ import annotations

from typing import NamedTuple

ATTRIBUTE_ARC = "1.3.6.1.4.1.32349.1.2"
CLASS_ARC = "1.3.6.1.4.1.32349.1.2.4"
SYNTAX_ARC = "1.3.6.1.4.1.1466.115.121.1"
EQUALITY = {
    "ci": "caseIgnoreIA5Match",
    "ce": "caseExactIA5Match",
    "cid": "caseIgnoreMatch",
    "int": "integerMatch",
    "gt": "generalizedTimeMatch",
}
SUBSTR = {"s": "caseIgnoreSubstringsMatch", "a": "caseIgnoreIA5SubstringsMatch", "-": ""}


class Attribute(NamedTuple):
    """One attribute type: number below the arc, name, abbreviated rules, syntax with length, 1 if single-valued."""

    oid: str
    name: str
    equality: str
    substr: str
    syntax: str
    values: str


class ObjectClass(NamedTuple):
    """One object class; names of attributes are separated by blanks."""

    number: int
    name: str
    kind: str
    must: str
    may: str


ATTRIBUTES = [
    Attribute(*line.split())
    for line in """\
1.1 domainName ci s 26{255} 1
1.2 mtaTransport ci s 26 1
1.3 domainStatus ci s 26 1
1.4 domainAdmin ci s 26{320} *
1.5 domainGlobalAdmin ci s 26 1
1.6 domainBackupMX ci s 26 1
1.7 domainSenderBccAddress ci s 26{320} 1
1.8 domainRecipientBccAddress ci s 26{320} 1
1.9 domainMaxQuotaSize int - 27 1
1.10 domainCurrentQuotaSize ci s 26 1
1.11 domainMaxUserNumber int - 27 1
1.12 domainCurrentUserNumber int - 27 1
1.13 domainMaxAliasNumber int - 27 1
1.14 domainCurrentAliasNumber int - 27 1
1.15 domainMaxListNumber int - 27 1
1.16 domainCurrentListNumber int - 27 1
1.17 disclaimer cid s 15 1
1.18 domainDefaultUserQuota int - 27 1
1.19 domainAliasName ci s 26{255} *
1.20 domainWhitelistIP ci s 26 *
1.21 domainWhitelistSender ci s 26 *
1.22 domainBlacklistIP ci s 26 *
1.23 domainBlacklistSender ci s 26 *
1.24 domainPendingAliasName ci s 26{255} *
2.1 mailUID int - 27 1
2.2 mailGID int - 27 1
2.3 storageBaseDirectory ce - 26 1
2.4 mailMessageStore ce - 26 1
2.5 mailQuota int - 27 1
2.6 mailQuotaMessageLimit int - 27 1
2.7 mailHost ci - 26 1
2.8 mailForwardingAddress ci a 26{320} *
2.9 accountStatus ci s 26 1
2.10 userRecipientBccAddress ci s 26{320} 1
2.11 userSenderBccAddress ci s 26{320} 1
2.12 backupMailAddress ci s 26{320} 1
2.13 enabledService ci s 26 *
2.14 memberOfGroup ci s 26{320} *
2.18 expiredDate gt - 24 1
2.19 shadowAddress ci s 26{320} *
2.20 accountSetting ci s 26 *
2.21 userManager ci s 26{320} *
2.22 mailWhitelistRecipient ci s 26 *
2.23 mailBlacklistRecipient ci s 26 *
2.24 disabledService ci s 26 *
2.25 allowNets cid s 15{1024} 1
2.26 senderRelayHost ci s 26{255} 1
2.27 maxMessageSize int - 27 1
2.28 mailboxFormat ci s 26{50} 1
2.29 mailboxFolder ci s 26{50} 1
2.30 recoveryEmail ci s 26{320} 1
2.31 birthday ci s 26{10} 1
3.1 accessPolicy ci s 26 1
3.2 hasMember ci s 26 1
3.3 listAllowedUser ci s 26{320} *
3.4 listModerator ci s 26{320} *
3.5 listOwner ci s 26{320} *
3.6 mailingListID ci s 26{36} *
""".splitlines()
]

CLASSES = [
    ObjectClass(
        1,
        "mailDomain",
        "STRUCTURAL",
        "domainName",
        """
        cn mtaTransport domainAdmin enabledService disabledService domainBackupMX accountStatus mailHost
        domainSenderBccAddress domainRecipientBccAddress domainMaxQuotaSize domainCurrentQuotaSize
        domainMaxUserNumber domainCurrentUserNumber domainMaxAliasNumber domainCurrentAliasNumber
        domainMaxListNumber domainCurrentListNumber domainDefaultUserQuota domainAliasName
        domainPendingAliasName disclaimer description street telephoneNumber facsimileTelephoneNumber
        expiredDate accountSetting domainWhitelistIP domainWhitelistSender domainBlacklistIP
        domainBlacklistSender preferredLanguage senderRelayHost
        """,
    ),
    ObjectClass(
        2,
        "mailAdmin",
        "STRUCTURAL",
        "mail",
        """
        domainGlobalAdmin description enabledService disabledService userPassword accountStatus cn sn
        preferredLanguage givenName expiredDate mailHost accountSetting shadowLastChange
        """,
    ),
    ObjectClass(
        3,
        "mailUser",
        "AUXILIARY",
        "mail uid",
        """
        storageBaseDirectory mailMessageStore homeDirectory userPassword mailHost mailUID mailGID mailQuota
        mailQuotaMessageLimit mailForwardingAddress shadowAddress accountStatus userRecipientBccAddress
        userSenderBccAddress enabledService disabledService telephoneNumber backupMailAddress mtaTransport
        memberOfGroup expiredDate preferredLanguage disclaimer accountSetting title userManager
        mailWhitelistRecipient mailBlacklistRecipient domainGlobalAdmin allowNets senderRelayHost domainStatus
        maxMessageSize mailboxFormat mailboxFolder recoveryEmail birthday
        """,
    ),
    ObjectClass(
        4,
        "mailAlias",
        "STRUCTURAL",
        "mail",
        """
        accountStatus description cn memberOfGroup enabledService disabledService mailForwardingAddress
        shadowAddress expiredDate accountSetting mailHost domainStatus accessPolicy listModerator
        """,
    ),
    ObjectClass(
        5,
        "mailList",
        "STRUCTURAL",
        "mail",
        """
        cn accountStatus description accessPolicy shadowAddress enabledService disabledService memberOfGroup
        hasMember listAllowedUser expiredDate accountSetting mailHost member uniqueMember memberUid gidNumber
        domainStatus listModerator listOwner mtaTransport mailingListID maxMessageSize
        """,
    ),
    ObjectClass(
        6,
        "mailExternalUser",
        "STRUCTURAL",
        "memberOfGroup",
        """
        cn accountStatus mail enabledService disabledService description mailHost accountSetting shadowAddress
        domainStatus
        """,
    ),
]
