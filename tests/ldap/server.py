"""A private slapd with the schemas that come with it, a tree, and what a test wants of its configuration."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from signal import Signals
from typing import Any, Self

from mailstore.ldap.connection import Directory, Endpoint
from mailstore.ldap.names import DN, dn, rdn_value
from tests.servers.process import (
    ENVIRONMENT,
    LOOPBACK,
    Process,
    as_user,
    connects,
    free_ports,
    is_root,
    make_directory,
    program,
    run_tool,
    wait_for,
)

SUFFIX = DN("dc=example,dc=org")
MANAGER = dn(("cn", "manager"), base=SUFFIX)
WRITER = dn(("cn", "writer"), base=SUFFIX)
READER = dn(("cn", "reader"), base=SUFFIX)
"""May read all but passwords, and write nothing; the server's size limit holds for it."""
PASSWORD = "s3cret"
LIMIT = 500
MANY, CROWD, ELSEWHERE = (dn(("ou", name), base=SUFFIX) for name in ("many", "crowd", "elsewhere"))
SIZES = {MANY: 600, CROWD: 4_000}
"""How many entries are below."""
SCHEMA = Path("/etc/ldap/schema")

CONFIGURATION = f"""\
modulepath /usr/lib/ldap
moduleload back_mdb
sizelimit {LIMIT}
referral ldap://provider.example.org
{{extra}}
database mdb
suffix "{SUFFIX}"
rootdn "{MANAGER}"
rootpw {PASSWORD}
directory {{data}}
maxsize 1073741824
dbnosync
index objectClass,cn,mail eq
limits dn.exact="{WRITER}" size=unlimited
access to attrs=userPassword by dn.exact="{WRITER}" write by anonymous auth by * none
access to * by dn.exact="{WRITER}" write by * read
"""


class Server:
    """A slapd that can be crashed; its data and its ports stay."""

    def __init__(self, directory: Path, *, tls: bool = True, large: bool = True, extra: str = "") -> None:
        self.directory = make_directory(directory, self.user)
        self.tls = tls
        self.large = large
        self.extra = extra
        self.port, self.tls_port = free_ports(2)
        self.socket = directory / "s"
        self.ca = directory / "ca.pem"
        self._process = self._make_process()

    @property
    def user(self) -> str | None:
        """The system user to run as."""
        return "openldap" if is_root() else None

    @property
    def url(self) -> str:
        """The URL of the plain port."""
        return f"ldap://{LOOPBACK}:{self.port}"

    def endpoint(self, bind_dn: str = WRITER, **options: Any) -> Endpoint:
        """Return how to connect; to the plain port, if nothing else is said."""
        return Endpoint(**{"url": self.url, "bind_dn": bind_dn, "password": PASSWORD, **options})

    def directory_for(self, bind_dn: str = WRITER, **options: Any) -> Directory:
        """Return a directory, to be closed by the caller."""
        return Directory(self.endpoint(bind_dn, **options))

    def _make_process(self) -> Process:
        urls = [f"{self.url}/", f"ldapi://{str(self.socket).replace('/', '%2F')}/"]
        urls += [f"ldaps://{LOOPBACK}:{self.tls_port}/"] if self.tls else []
        slapd = [program("slapd"), "-f", str(self.directory / "slapd.conf"), "-h", " ".join(urls), "-d", "0"]
        # Its memory grows with the number of files that it might open.
        return Process([program("prlimit"), "--nofile=1024", *slapd], self.directory / "log", user=self.user)

    def prepare(self) -> None:
        """Write the configuration and the tree."""
        (self.directory / "slapd.conf").write_text(self._configuration())
        make_directory(self.directory / "data", self.user)
        top = _record(SUFFIX, "domain", dc="example")
        referral = (
            f"dn: {ELSEWHERE}\nobjectClass: referral\nobjectClass: extensibleObject\nref: ldap://other.example.org/\n\n"
        )
        self._load(top, referral, *(_account(name) for name in (WRITER, READER)))
        for base, size in SIZES.items() if self.large else ():
            self._load(_record(base, "organizationalUnit", ou=rdn_value(base)), *_people(base, size))

    def _configuration(self) -> str:
        schemas = [f"include {SCHEMA / name}.schema" for name in ("core", "cosine", "inetorgperson")]
        lines = [*schemas, *(self._certificates() if self.tls else [])]
        return "\n".join(lines) + "\n" + CONFIGURATION.format(data=self.directory / "data", extra=self.extra)

    def _certificates(self) -> list[str]:
        _make_certificate(self.directory, "ca", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        _make_certificate(self.directory, "wrong", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        _make_certificate(self.directory, "server", "subjectAltName=DNS:localhost,IP:127.0.0.1", issuer="ca")
        if self.user:
            shutil.chown(self.directory / "server.key", self.user)
        return [
            f"TLSCACertificateFile {self.ca}",
            f"TLSCertificateFile {self.directory / 'server.pem'}",
            f"TLSCertificateKeyFile {self.directory / 'server.key'}",
        ]

    def _load(self, *records: str) -> None:
        command = [*as_user(self.user), program("slapadd"), "-q", "-f", str(self.directory / "slapd.conf")]
        subprocess.run(command, input="".join(records), text=True, env=ENVIRONMENT, check=True, timeout=60)

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._process.running

    def start(self) -> None:
        """Start the server, if it does not run."""
        if not self._process.running:
            self._process.start(lambda: connects(self.port) and connects(self.socket))

    def stop(self) -> None:
        """Stop the server."""
        self._process.stop()

    def kill(self) -> None:
        """Crash the server."""
        self._process.kill()

    def signal(self, number: Signals) -> None:
        """Send the server a signal; return from SIGSTOP when it has come to rest: its threads go on for a moment."""
        self._process.signal_group(number)
        if number == Signals.SIGSTOP:
            assert wait_for(lambda: _is_stopped(self._process.pid), timeout=5)

    def crash_and_restart(self) -> None:
        """Crash the server and start it again."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def person(directory: Directory, base: DN, name: str = "bob", **attributes: list[str | bytes]) -> DN:
    """Add a person and return the name of the entry."""
    made = dn(("cn", name), base=base)
    directory.add(made, {"objectClass": ["inetOrgPerson"], "cn": [name], "sn": ["x"], **attributes})
    return made


def _people(base: DN, count: int) -> Iterable[str]:
    return (
        f"dn: cn=p{number},{base}\nobjectClass: inetOrgPerson\ncn: p{number}\nsn: p\nmail: p{number}@example.org\n\n"
        for number in range(count)
    )


def _record(name: DN, object_class: str, **attributes: str) -> str:
    lines = [f"dn: {name}", f"objectClass: {object_class}", *(f"{key}: {value}" for key, value in attributes.items())]
    return "\n".join([*lines, "", ""])


def _account(name: DN) -> str:
    return _record(name, "person", cn=rdn_value(name), sn="account", userPassword=PASSWORD)


def _make_certificate(directory: Path, name: str, *extensions: str, issuer: str | None = None) -> None:
    (directory / "openssl.cnf").write_text("distinguished_name = dn\n[dn]\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    signer = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else []
    options = [word for extension in extensions for word in ("-addext", extension)]
    subject = ["-out", f"{name}.pem", "-subj", f"/CN=mailstore {name}", "-days", "30"]
    run_tool(
        [program("openssl"), "req", "-x509", "-config", "openssl.cnf", *key, *subject, *signer, *options], directory
    )


def _is_stopped(pid: int) -> bool:
    states = (path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat"))
    return all(state == "T" for state in states)
