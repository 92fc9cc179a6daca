"""Options of a store, and the TOML file that names several of them.

`StoreConfig` is the one list of options: `mailstore.open_store` takes them as parameters, the file as keys, the URL as its
query string. The reference page is generated from the descriptions here.
"""

from __future__ import annotations

import os
import pwd
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from mailstore.driver.urls import shown
from mailstore.errors import ConfigurationError, InvalidPassword, InvalidQuota
from mailstore.passwords import WRITABLE_SCHEMES, check_scheme
from mailstore.quota import Quota

__all__ = [
    "AtmailConfig",
    "AuditConfig",
    "Config",
    "DaemonConfig",
    "DialectConfig",
    "HttpConfig",
    "LayoutConfig",
    "StoreConfig",
    "V1Config",
    "convert",
    "default_path",
    "load",
    "user_path",
]

_T = TypeVar("_T")
_DURATION = "^[1-9][0-9]{0,5}[smhd]$"


class LayoutConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the path of a new home is made from the address. Existing accounts keep their path."""

    hashed: Annotated[bool, Meta(description="Three directory levels from the first characters of the address.")] = True
    domain: Annotated[bool, Meta(description="Begin with a directory for the domain.")] = True
    timestamp: Annotated[
        bool, Meta(description="End with the time of creation, so that a re-used address gets a new home.")
    ] = True
    domain_hashed: Annotated[
        bool, Meta(description="Two directory levels from the first characters of the domain.")
    ] = False


class AtmailConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only for atmail: what its documentation leaves open, and what mailstore then assumes. See docs/atmail.md."""

    tables: Annotated[
        dict[str, str],
        Meta(description="Names of tables that are called otherwise on this server, by the default name."),
    ] = msgspec.field(default_factory=dict)
    columns: Annotated[
        dict[str, str],
        Meta(description="Names of columns that are called otherwise, by the default TABLE.COLUMN."),
    ] = msgspec.field(default_factory=dict)
    fill: Annotated[
        dict[str, str | int],
        Meta(
            description="Values for new rows in columns that mailstore does not know or shall not choose, by TABLE.COLUMN."
        ),
    ] = msgspec.field(default_factory=dict)
    home_rule: Annotated[
        str,
        Meta(
            description="How the three levels above a new home are chosen: md5 (of the address), prefix (of the local "
            "part), or auto: as the existing accounts show, else md5.",
            pattern="^(auto|md5|prefix)$",
        ),
    ] = "auto"
    short_name_pad: Annotated[
        str, Meta(description="Stands for the missing characters of short names under prefix.", pattern="^[a-z0-9_]$")
    ] = "_"
    default_quota: Annotated[str, Meta(description="Quota of new accounts created without one.")] = "1G"
    created_by: Annotated[
        int, Meta(description="userId that new rows name as their creator when no admin acts.", ge=1)
    ] = 1
    provision: Annotated[
        int,
        Meta(description="As PROVISION in api.conf: the sum of 1 mail, 2 calendar, 4 contacts.", ge=1, le=7),
    ] = 7

    def __post_init__(self) -> None:
        try:
            Quota.parse(self.default_quota).whole_units(1 << 20)
        except InvalidQuota as error:
            raise ValueError(f"default_quota: {error}") from error


_HOME_ROOTS = {"afterlogic": "/opt/afterlogic/data", "atmail": "/var/atmail/users"}
"""Where homes lie by the kind of the store, if not in iRedMail's place."""


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One store: where it is, and how mailstore writes to it."""

    url: Annotated[
        str, Meta(description="Kind and place, such as iredmail+postgresql://vmailadmin@127.0.0.1/vmail.", min_length=1)
    ]
    password_file: Annotated[
        str,
        Meta(description="File whose first line is the database password; a relative name is a systemd credential."),
    ] = ""
    homes: Annotated[
        list[str],
        Meta(description="Directories below which the homes lie; the first takes new ones. Empty: no disk access."),
    ] = msgspec.field(default_factory=list)
    home_root: Annotated[
        str,
        Meta(
            description="Where new homes are recorded. Default: the first of homes, else /var/vmail/vmail1 "
            "(atmail: /var/atmail/users, AfterLogic: /opt/afterlogic/data)."
        ),
    ] = ""
    home_owner: Annotated[
        str, Meta(description="user:group (names or numbers) that homes must belong to. Default: owner of the root.")
    ] = ""
    identity: Annotated[
        str,
        Meta(
            description="A name of your own for the store, the same on all hosts. Default: what its server says of itself, "
            "so that a copy is another store. Give one where servers are replaced or renamed, as in containers."
        ),
    ] = ""
    layout: Annotated[LayoutConfig, Meta(description="How the path of a new home is made.")] = LayoutConfig()
    password_scheme: Annotated[
        str,
        Meta(
            description=f"Scheme for new passwords: {', '.join(WRITABLE_SCHEMES)}; with its cost if wanted: "
            "SHA512-CRYPT:20000 (rounds, 5000 if not given), BLF-CRYPT:12 (doublings, 10), ARGON2ID:3 (passes, 2)."
        ),
    ] = "SSHA256"  # noqa: S105 the name of a scheme
    dovecot: Annotated[
        Literal["2.3", "2.4"],
        Meta(description="Dovecot that verifies passwords; 2.4 refuses weak hashes, and so does mailstore for it."),
    ] = "2.3"
    default_transport: Annotated[str, Meta(description="Postfix transport of new domains.", min_length=1)] = "dovecot"
    primary_hostname: Annotated[
        str, Meta(description="Mail-in-a-Box: name of the box. Default: PRIMARY_HOSTNAME in /etc/mailinabox.conf.")
    ] = ""
    min_password_length: Annotated[
        int, Meta(description="Mail-in-a-Box: least length of new passwords; its panel demands 8.", ge=1)
    ] = 8
    tls_ca: Annotated[
        str,
        Meta(
            description="CA file to verify the database server with; encrypts the connection. Empty: no TLS demanded."
        ),
    ] = ""
    socket: Annotated[str, Meta(description="Unix socket of the database server (PostgreSQL: its directory).")] = ""
    start_tls: Annotated[bool, Meta(description="LDAP: encrypt a connection to an ldap:// server.")] = False
    tls_verify: Annotated[bool, Meta(description="LDAP: verify the server's certificate.")] = True
    login_by: Annotated[
        Literal["bind", "bind-without-sha2", "lookup"],
        Meta(
            description="LDAP: who verifies passwords at a login. bind: slapd, with its module pw-sha2; "
            "bind-without-sha2: slapd without it; lookup: Dovecot, which reads the hash."
        ),
    ] = "bind"
    verify_by_bind: Annotated[
        bool, Meta(description="LDAP: verify passwords by logging in to the directory instead of by the stored hash.")
    ] = False
    retention: Annotated[
        str,
        Meta(
            description="LDAP: SQL database for the records of deleted mailboxes, as a rule iRedMail's: "
            "mysql://user@host/iredadmin. Default: a file below /var/lib/mailstore."
        ),
    ] = ""
    retention_password_file: Annotated[
        str, Meta(description="File whose first line is the password of that database; as password_file.")
    ] = ""
    apiserver: Annotated[
        str,
        Meta(description="atmail: URL of the API server's database, such as mysql://mailstore@127.0.0.1/apiserver."),
    ] = ""
    atmail: Annotated[AtmailConfig, Meta(description="atmail: names and values that are not documented.")] = (
        AtmailConfig()
    )
    table_prefix: Annotated[
        str, Meta(description="AfterLogic: what the names of its tables begin with.", pattern="^[A-Za-z0-9_]{0,30}$")
    ] = ""
    webmail_data: Annotated[
        str,
        Meta(
            description="AfterLogic: the webmail's data folder; its settings are the default domain, "
            "and hold the administrator's login."
        ),
    ] = ""
    webmail_edition: Annotated[str, Meta(description="AfterLogic: lite or aurora.", pattern="^(lite|aurora)$")] = "lite"
    mta: Annotated[
        str,
        Meta(
            description="AfterLogic: the mail server that serves new domains: none of its own, or the bundle that reads the "
            "webmail's tables.",
            pattern="^(none|bundle)$",
        ),
    ] = "none"
    amavisd: Annotated[
        str,
        Meta(description="Database of amavisd, such as mysql://amavisd@127.0.0.1/amavisd. Empty: no spam policies."),
    ] = ""
    amavisd_password_file: Annotated[str, Meta(description="As password_file, for the database of amavisd.")] = ""
    iredapd: Annotated[
        str, Meta(description="Database of iRedAPD, such as mysql://iredapd@127.0.0.1/iredapd. Empty: no throttles.")
    ] = ""
    iredapd_password_file: Annotated[str, Meta(description="As password_file, for the database of iRedAPD.")] = ""

    def __post_init__(self) -> None:
        try:
            check_scheme(self.password_scheme)
        except InvalidPassword as error:
            raise ValueError(f"password_scheme: {error}") from error
        for root in [*self.homes, *([self.home_root] if self.home_root else [])]:
            if not root.startswith("/"):
                raise ValueError(f"{root!r} is not an absolute path")

    @property
    def password_reader(self) -> str:
        """Who verifies passwords where Dovecot does, by the name that it has in `passwords.READERS`."""
        return f"dovecot-{self.dovecot}"

    def __repr__(self) -> str:
        urls = {name: shown(getattr(self, name)) for name in ("url", "retention", "apiserver", "amavisd", "iredapd")}
        values = {name: urls.get(name, getattr(self, name)) for name in self.__struct_fields__}
        return f"StoreConfig({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    def new_home_root(self) -> str:
        """Return the directory under which new homes are recorded."""
        usual = _HOME_ROOTS.get(self.url.partition("+")[0], "/var/vmail/vmail1")
        return (self.home_root or (self.homes[0] if self.homes else usual)).rstrip("/")

    def owner_ids(self) -> tuple[int, int] | None:
        """Return uid and gid of `home_owner`; None if it is not given. Raises ConfigurationError for unknown names."""
        if not self.home_owner:
            return None
        user, _, group = self.home_owner.partition(":")
        try:
            account = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            uid, gid = account.pw_uid, account.pw_gid
        except KeyError:
            if not user.isdigit():
                raise ConfigurationError(f"home_owner: there is no user {user!r} on this machine") from None
            uid = gid = int(user)
        return uid, _group_id(group) if group else gid


def _group_id(name: str) -> int:
    import grp

    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigurationError(f"home_owner: there is no group {name!r} on this machine") from None


class DaemonConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service `mailstored`."""

    purge: Annotated[
        str, Meta(description="When to purge due mailboxes: a crontab line, or an interval such as 'every 15m'.")
    ] = "17 3 * * *"
    check: Annotated[str, Meta(description="When to look for drift: likewise. Empty: never.")] = "47 4 * * 0"
    timezone: Annotated[
        str,
        Meta(
            description="Time zone of the crontab lines, such as Europe/Berlin. Empty: UTC. What falls into the hour that "
            "is left out in spring runs an hour later; what falls into the one that comes twice runs twice."
        ),
    ] = ""
    stores: Annotated[list[str], Meta(description="Names of the stores to serve. Empty: all of this file.")] = (
        msgspec.field(default_factory=list)
    )
    metrics_listen: Annotated[
        str, Meta(description="address:port for Prometheus, such as 127.0.0.1:9475. Empty: no metrics.")
    ] = ""
    log_format: Annotated[str, Meta(description="json or text.", pattern="^(json|text)$")] = "json"
    log_level: Annotated[
        str, Meta(description="debug, info, warning or error.", pattern="^(debug|info|warning|error)$")
    ] = "info"
    retry_first: Annotated[
        str,
        Meta(
            description="How soon to try again when a store is not available: a number and s, m, h or d. "
            "Doubled each time.",
            pattern=_DURATION,
        ),
    ] = "5m"
    retry_max: Annotated[str, Meta(description="The longest pause between two such attempts.", pattern=_DURATION)] = (
        "1h"
    )
    stuck_after: Annotated[
        str,
        Meta(
            description="A purge that removes nothing for so long is stuck: systemd's watchdog is told no more.",
            pattern=_DURATION,
        ),
    ] = "1h"
    on_trouble: Annotated[
        list[str],
        Meta(
            description="Program, by its absolute path, and its arguments: run without a shell, with JSON on its standard "
            "input, after a run that kept a mailbox, found errors or failed. See docs/start/operator.md."
        ),
    ] = msgspec.field(default_factory=list)
    on_trouble_timeout: Annotated[
        str, Meta(description="How long it may take before it is ended.", pattern=_DURATION)
    ] = "30s"


class DialectConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One API that `mailstore-http` answers, on one store. See docs/http.md."""

    api: Annotated[
        Literal["iredadmin", "mailinabox", "atmail", "afterlogic"],
        Meta(
            description="Whose API: iRedAdmin-Pro's RESTful API, the mail API of Mail-in-a-Box, that of atmail's mail "
            "server, or the REST API of AfterLogic WebMail."
        ),
    ]
    store: Annotated[str, Meta(description="Name of the store that it works on. Empty: the default one.")] = ""
    prefixes: Annotated[
        list[str],
        Meta(
            description="Paths below which it is served. Default: /api, /iredadmin/api and /admin/api for iredadmin, /admin "
            "for mailinabox, /admin/index.php/api for atmail, /rest.php for afterlogic."
        ),
    ] = msgspec.field(default_factory=list)
    clients: Annotated[
        list[str], Meta(description="Addresses and networks that may use it, to log in, too. Empty: all.")
    ] = msgspec.field(default_factory=list)
    session_idle: Annotated[
        str,
        Meta(
            description="A session ends when it is not used for so long: a number and s, m, h or d. Default: 30m for "
            "iredadmin, 2d for mailinabox.",
            pattern=f"{_DURATION}|^$",
        ),
    ] = ""
    session_keeps_address: Annotated[
        bool, Meta(description="iredadmin: whether a session ends when the client's address changes.")
    ] = True
    cookie: Annotated[
        str,
        Meta(
            description="iredadmin: name of the cookie. Default: iRedAdmin-Pro-MYSQL, -PGSQL, -LDAP or -SQLITE.",
            pattern=r"^[A-Za-z0-9_.-]*$",
        ),
    ] = ""
    secure_cookie: Annotated[bool, Meta(description="iredadmin: whether the cookie is for TLS only.")] = False
    old_envelope: Annotated[
        bool, Meta(description="iredadmin: success and msg, as before 2.5.0, instead of _success and _msg.")
    ] = False
    provision: Annotated[
        Literal["first-login", "creation"],
        Meta(
            description="atmail: when a new account becomes a user of the API server: when it first logs in there, which "
            "that server sees to, or when accounts/create makes it, which takes the option apiserver of the store."
        ),
    ] = "first-login"
    xml_one_line: Annotated[
        bool, Meta(description="atmail: answers on one line, as the product's framework writes them.")
    ] = False
    fault_status: Annotated[
        bool,
        Meta(description="atmail: status 400 for an accounts/update of an unknown account, as that framework does."),
    ] = False
    api_key_file: Annotated[
        str,
        Meta(
            description="mailinabox: file with the key of the box's own tools, /var/lib/mailinabox/api.key. Empty: no such "
            "key opens anything."
        ),
    ] = ""
    rest_api: Annotated[
        bool,
        Meta(description="afterlogic: whether the API is on; off, it answers 711 to everything, as labs.rest does."),
    ] = True


class V1Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The API of mailstore itself, the same for every store. See docs/api.md."""

    prefix: Annotated[str, Meta(description="Path below which it is served.", pattern="^(/[A-Za-z0-9._-]+)*$")] = "/v1"
    stores: Annotated[list[str], Meta(description="Names of the stores that it is for. Empty: all of this file.")] = (
        msgspec.field(default_factory=list)
    )
    admins: Annotated[
        bool, Meta(description="Whether admins may use it with their passwords; without, tokens only.")
    ] = True
    clients: Annotated[list[str], Meta(description="Addresses and networks that may use it. Empty: all.")] = (
        msgspec.field(default_factory=list)
    )
    cors: Annotated[
        list[str],
        Meta(description="Origins of web pages that may use it, such as https://panel.example.com. Empty: none."),
    ] = msgspec.field(default_factory=list)
    replay: Annotated[
        str, Meta(description="For how long the answer to an Idempotency-Key is known.", pattern=_DURATION)
    ] = "24h"


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service `mailstore-http`. See docs/http.md."""

    listen: Annotated[
        str, Meta(description="address:port, or unix:/path/of/a/socket that its user and group may use.", min_length=1)
    ] = "127.0.0.1:8025"
    plain_http_outside: Annotated[
        bool, Meta(description="Allow another address than that of the machine itself, where passwords can be read.")
    ] = False
    trusted_proxies: Annotated[
        list[str],
        Meta(description="Addresses and networks, or unix, whose X-Forwarded-For tells the address of the client."),
    ] = msgspec.field(default_factory=list)
    threads: Annotated[int, Meta(description="So many calls are worked on at once.", ge=1, le=15)] = 8
    connections: Annotated[int, Meta(description="So many connections are held at once.", ge=10, le=10_000)] = 200
    max_body: Annotated[int, Meta(description="The largest body of a request, in bytes.", ge=1024)] = 1 << 20
    max_header: Annotated[int, Meta(description="The largest header of a request, in bytes.", ge=1024)] = 1 << 16
    idle_timeout: Annotated[
        str, Meta(description="A connection on which nothing comes for so long is closed.", pattern=_DURATION)
    ] = "30s"
    stop_timeout: Annotated[
        str, Meta(description="How long calls in hand may take when the service stops.", pattern=_DURATION)
    ] = "30s"
    metrics_listen: Annotated[
        str, Meta(description="address:port for Prometheus, such as 127.0.0.1:9476. Empty: no metrics.")
    ] = ""
    state: Annotated[
        str,
        Meta(description="Directory for the sessions. Default: $STATE_DIRECTORY, which systemd sets."),
    ] = ""
    log_format: Annotated[str, Meta(description="json or text.", pattern="^(json|text)$")] = "json"
    log_level: Annotated[
        str, Meta(description="debug, info, warning or error.", pattern="^(debug|info|warning|error)$")
    ] = "info"
    tokens: Annotated[
        str,
        Meta(
            description="File with the tokens of programs, absolute. Default: tokens.json in state, which is then "
            "/var/lib/mailstore-http if nothing says otherwise."
        ),
    ] = ""
    v1: Annotated[V1Config | None, Meta(description="The API of mailstore itself: [http.v1]. Absent: not served.")] = (
        None
    )
    dialects: Annotated[
        dict[str, DialectConfig], Meta(description="The APIs by a name of your own: [http.dialects.NAME].")
    ] = msgspec.field(default_factory=dict)


class AuditConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who changed what: written by mailstore, mailstored and mailstore-http. See docs/audit.md."""

    to: Annotated[
        list[str],
        Meta(
            description="Where to: the absolute path of a file, syslog or journal; several if wanted. Empty: nowhere."
        ),
    ] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        for place in self.to:
            if place not in {"syslog", "journal"} and not place.startswith("/"):
                raise ValueError(f"{place!r} is neither syslog nor journal nor an absolute path")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration file."""

    default: Annotated[str, Meta(description="Name of the store that commands use without --store.")] = ""
    stores: Annotated[dict[str, StoreConfig], Meta(description="The stores by name: [stores.NAME].")] = msgspec.field(
        default_factory=dict
    )
    daemon: Annotated[DaemonConfig, Meta(description="The service mailstored.")] = DaemonConfig()
    http: Annotated[HttpConfig, Meta(description="The service mailstore-http.")] = HttpConfig()
    audit: Annotated[AuditConfig, Meta(description="The audit log, which all three programs write.")] = AuditConfig()

    def __post_init__(self) -> None:
        served = [dialect.store for dialect in self.http.dialects.values()]
        served += self.http.v1.stores if self.http.v1 else []
        for name in [*self.daemon.stores, *served, self.default]:
            if not name:
                continue
            if name not in self.stores:
                raise ValueError(f"there is no [stores.{name}]")

    def token_file(self) -> Path:
        """Return where the tokens of programs are kept."""
        # systemd joins several directories with colons.
        state = self.http.state or os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/mailstore-http"
        return Path(self.http.tokens or f"{state}/tokens.json")

    def store(self, name: str | None = None) -> StoreConfig:
        """Return the named store, or the default one. Raises ConfigurationError if there is none, or no clear one."""
        name = name or self.default or (next(iter(self.stores)) if len(self.stores) == 1 else "")
        if name in self.stores:
            return self.stores[name]
        known = ", ".join(sorted(self.stores)) or "none"
        raise ConfigurationError(
            f"there is no store {name!r} in the configuration (known: {known})"
            if name
            else f"which store? Give --store or --url, or set 'default' in the configuration (known: {known})"
        )


def default_path() -> Path:
    """Return the path of the configuration file: $MAILSTORE_CONFIG, else /etc/mailstore/mailstore.toml."""
    return Path(os.environ.get("MAILSTORE_CONFIG", "/etc/mailstore/mailstore.toml"))


def user_path() -> Path | None:
    """Return the configuration file of the user, in ``mailstore`` below $XDG_CONFIG_HOME or ``~/.config``, if there is one.

    Commands look there between $MAILSTORE_CONFIG and /etc; services do not.
    """
    if "MAILSTORE_CONFIG" in os.environ:
        return None
    given = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(given) if given.startswith("/") else Path(os.path.expanduser("~/.config"))  # noqa: PTH111 home may be unknown
    path = home / "mailstore" / "mailstore.toml"
    return path if path.is_file() else None


def load(path: Path | None = None) -> Config:
    """Read a configuration file. Raises ConfigurationError that names the file, the place in it, and what is wrong."""
    path = path or default_path()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:  # without the cause, which is a thousand lines long
        raise ConfigurationError(f"{path} is nested too deeply") from None
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no configuration file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    return convert(data, Config, str(path))


def convert(data: Mapping[str, Any], kind: type[_T], where: str, *, strict: bool = True) -> _T:
    """Return `data` as a configuration object. Raises ConfigurationError that says `where` the mistake is.

    Without `strict`, texts may stand for numbers, as they do in a URL.
    """
    try:
        return msgspec.convert(data, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
