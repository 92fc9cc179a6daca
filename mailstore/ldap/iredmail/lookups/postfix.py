"""Postfix's configuration for an iRedMail directory: see `mailstore.ldap.iredmail.lookups.reader`.

Postfix folds keys to lower case, escapes them for filter and base each in its way, and takes a base that does not exist for
"not found". Where ``%d`` would be empty it does not ask. Several values make one answer, separated by commas.

Under iRedMail's access rules users may write two attributes of their own entry that are asked for here. To forward one's
mail is a user's right, which the service ``forward`` gives. ``senderRelayHost`` would let a user connect Postfix to any
host and port; its map is therefore made, but not used until an administrator who knows the directory's rules says so.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from mailstore.driver.lookups import LookupFile, PostfixTable, checked_directory, postfix_main
from mailstore.errors import ConfigurationError
from mailstore.ldap.iredmail.lookups.reader import (
    ACTIVE,
    DOMAIN_ACTIVE,
    FILE_MODE,
    LdapReader,
    has,
    kind,
    lines,
    live,
    serves,
)
from mailstore.ldap.names import Filter, all_of, any_of, negate

__all__ = ["POSTFIX_DIRECTORY", "postfix"]

POSTFIX_DIRECTORY = "/etc/postfix/mailstore"

_TIMEOUT = "10"
_ANYWHERE, _AT_TOP = ("{base}", "sub"), ("{base}", "one")
_IN_DOMAIN, _AMONG_USERS = ("domainName=%d,{base}", "sub"), ("ou=Users,domainName=%d,{base}", "one")


class _Map(NamedTuple):
    """A lookup: its file's name without suffix, the main.cf parameter that it serves or none, and the search."""

    name: str
    parameter: str
    place: tuple[str, str]
    filter: Filter
    result: str
    format: str = "%s"
    caution: str = ""
    """Why main.cf does not use it by itself."""
    after: str = ""
    """The map whose answer this one is asked for, instead of the key: both answer, or neither."""

    def table(self, directory: str) -> str:
        """Return how main.cf names it. Through proxymap, which is not chrooted: it sees sockets and certificates."""
        own = f"ldap:{directory}/{self.name}.cf"
        return f"proxy:pipemap:{{ldap:{directory}/{self.after}.cf,{own}}}" if self.after else f"proxy:{own}"


def _domain(*conditions: Filter) -> Filter:
    return all_of(kind("mailDomain"), ACTIVE, *serves("mail"), *conditions)


def _named(value: str) -> Filter:
    return any_of(has("domainName", value), has("domainAliasName", value))


_ADDRESSED = any_of(has("mail", "%s"), has("shadowAddress", "%s"))
_ACCEPTED = any_of(has("domainName", "%s"), all_of(has("domainAliasName", "%s"), *serves("domainalias")))
_CATCH_ALL = any_of(has("mail", "@%d"), has("shadowAddress", "@%d"))
_BACKUP_MX = has("domainBackupMX", "yes")
_FORWARDS = any_of(kind("mailAlias"), all_of(kind("mailUser"), *serves("forward")))
_MLMMJ_LIST = all_of(kind("mailList"), *serves("mlmmj"))
_IN_GROUP = any_of(
    all_of(kind("mailUser", "mailExternalUser"), any_of(has("memberOfGroup", "%s"), has("shadowAddress", "%s"))),
    # One that answers to the address itself would be a member of itself.
    all_of(kind("mailAlias", "mailList"), has("memberOfGroup", "%s"), negate(has("shadowAddress", "%s"))),
    # Its subscribers are mlmmj's affair: it stands for itself, so that its transport is used.
    all_of(_MLMMJ_LIST, _ADDRESSED),
)


def _bcc(direction: Literal["sender", "recipient"]) -> tuple[_Map, _Map]:
    parameter, service, suffix = f"{direction}_bcc_maps", f"{direction}bcc", f"{direction.title()}BccAddress"
    user = all_of(kind("mailUser"), _ADDRESSED, *live(service))
    domain = _domain(_named("%d"), *serves(service))
    return (
        _Map(f"{direction}_bcc_user", parameter, _AMONG_USERS, user, f"user{suffix}"),
        _Map(f"{direction}_bcc_domain", parameter, _AT_TOP, domain, f"domain{suffix}"),
    )


# In the order in which Postfix tries the maps of one parameter for the same key.
_MAPS = (
    _Map(
        "virtual_mailbox_domains", "virtual_mailbox_domains", _AT_TOP,
        _domain(_ACCEPTED, negate(_BACKUP_MX)), "domainName",
    ),
    _Map("relay_domains", "relay_domains", _AT_TOP, _domain(_ACCEPTED, _BACKUP_MX), "domainName"),
    _Map(
        "transport_user", "transport_maps", _IN_DOMAIN,
        all_of(any_of(kind("mailUser"), _MLMMJ_LIST), _ADDRESSED, *live()), "mtaTransport",
    ),
    _Map("transport_domain", "transport_maps", _AT_TOP, _domain(_named("%s")), "mtaTransport"),
    # Only that there is an answer matters: the mail itself goes where the transport and its userdb say.
    _Map(
        "virtual_mailbox", "virtual_mailbox_maps", _ANYWHERE,
        all_of(kind("mailUser"), _ADDRESSED, *live("deliver")), "homeDirectory", "%s/Maildir/",
    ),
    _Map(
        "virtual_alias", "virtual_alias_maps", _ANYWHERE,
        all_of(_ADDRESSED, *live("deliver"), _FORWARDS), "mailForwardingAddress",
    ),
    _Map("virtual_group", "virtual_alias_maps", _ANYWHERE, all_of(*live("deliver"), _IN_GROUP), "mail"),
    # Whoever gets mail stands for himself: what all maps are silent about is asked for once more, as @domain.
    _Map(
        "virtual_member", "virtual_alias_maps", _ANYWHERE,
        all_of(kind("mailUser"), _ADDRESSED, *live("deliver")), "mail",
    ),
    # So does who is there without getting any, switched off or a list that nobody belongs to, where a catch-all would get
    # the mail: it bounces. Where there is none the maps stay silent, and the mail is refused before it is sent.
    _Map(
        "virtual_holder", "", _ANYWHERE,
        all_of(kind("mailUser", "mailAlias", "mailList"), _ADDRESSED, negate(_CATCH_ALL)), "mail",
    ),
    _Map(
        "virtual_caught", "virtual_alias_maps", ("mail=@%d,ou=Users,domainName=%d,{base}", "base"),
        all_of(ACTIVE, DOMAIN_ACTIVE), "mail", "%S", after="virtual_holder",
    ),
    # A catch-all is a user whose address is @domain, and who has no services.
    _Map(
        "catchall", "virtual_alias_maps", _ANYWHERE,
        all_of(kind("mailUser"), ACTIVE, DOMAIN_ACTIVE, _ADDRESSED), "mailForwardingAddress",
    ),
    *_bcc("sender"),
    *_bcc("recipient"),
    # Postfix asks for the sender, then for @domain; %d is the domain of both.
    _Map(
        "relayhost_user", "sender_dependent_relayhost_maps", _AMONG_USERS,
        all_of(kind("mailUser"), has("mail", "%s"), *live()), "senderRelayHost",
        caution=(
            "Under iRedMail's access rules users may write senderRelayHost of their own entry. Where they may not, as\n"
            "# under those of 'mailstore schema create', remove the # of the next line, so that accounts may have their own."
        ),
    ),
    _Map("relayhost_domain", "sender_dependent_relayhost_maps", _AT_TOP, _domain(_named("%d")), "senderRelayHost"),
    _Map(
        "sender_login", "smtpd_sender_login_maps", _ANYWHERE,
        all_of(kind("mailUser"), _ADDRESSED, *live("smtp")), "mail",
    ),
)  # fmt: skip


def postfix(
    reader: LdapReader,
    *,
    directory: str | os.PathLike[str] = POSTFIX_DIRECTORY,
    uid: int | str = "vmail",
    gid: int | str = "vmail",
) -> list[LookupFile]:
    """Return Postfix's map files, and those with the lines of main.cf and master.cf that use them.

    Parameters
    ----------
    reader: the account that Postfix binds as; iRedMail's ``cn=vmail`` may read all that is needed.
    directory: where the files will lie.
    uid, gid: who owns the mail, by name.

    Raises ConfigurationError for a reader or a directory that Postfix's syntax cannot express.
    """
    place = checked_directory(directory)
    if reader.shown_password != reader.shown_password.strip():
        raise ConfigurationError("Postfix cannot hold a password that begins or ends with a blank")
    head = reader.note + lines(_connect(reader))
    files = [LookupFile(f"{one.name}.cf", head + lines(_search(one, reader)), FILE_MODE, "postfix") for one in _MAPS]
    tables = (PostfixTable(one.parameter, one.table(place), one.caution) for one in _MAPS if one.parameter)
    return [*files, *postfix_main(tables, uid, gid)]


def _connect(reader: LdapReader) -> dict[str, str]:
    """Return where the directory is; Postfix takes these values literally."""
    found = {
        "server_host": reader.server,
        "version": "3",
        "timeout": _TIMEOUT,
        "bind": "yes",
        "bind_dn": reader.bind_dn,
        "bind_pw": reader.shown_password,
    }
    if reader.start_tls:
        found["start_tls"] = "yes"
    if reader.encrypted and reader.tls_ca:
        found["tls_ca_cert_file"] = reader.tls_ca
    if reader.encrypted:
        found["tls_require_cert"] = "yes" if reader.tls_verify else "no"
    return found


def _search(one: _Map, reader: LdapReader) -> dict[str, str]:
    base, scope = one.place
    found = {
        "search_base": base.format(base=reader.base.replace("%", "%%")),  # here Postfix expands variables
        "scope": scope,
        "query_filter": one.filter,
        "result_attribute": one.result,
    }
    return found if one.format == "%s" else {**found, "result_format": one.format}
