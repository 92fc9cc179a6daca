"""A private slapd with the configuration, the schema and the tree that mailstore publishes."""

from __future__ import annotations

import contextlib
import shutil
import socket as sockets
import subprocess
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote

from mailstore.ldap.iredmail.schema.tree import ADMINS, DOMAINS, Tls, empty_tree, schema_files, server_configuration
from mailstore.passwords import hash_password
from tests.servers.database import PASSWORDS
from tests.servers.process import (
    ENVIRONMENT,
    LOOPBACK,
    Process,
    ServerError,
    as_user,
    connects,
    free_ports,
    is_root,
    make_directory,
    program,
    run_tool,
)

with warnings.catch_warnings():
    # It uses names that newer versions of pyasn1 have deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = "dc=mailstore,dc=test"
MANAGER, MANAGER_PASSWORD = "manager", "managerpass"
# The default 1 Mi of containers would cost hundreds of MB: slapd has a table with a row for each.
OPEN_FILES = 1024
DATABASE_SIZE = 1 << 30
STOCK_LIMIT = 500
# More entries than that are gone sooner by filling a new database and starting again.
FEW = 200


class Login(NamedTuple):
    """What a client binds with."""

    dn: str
    password: str


class Slapd:
    """slapd on loopback ports and a socket; killing or restarting it keeps its data and its addresses."""

    def __init__(self, directory: Path, *, suffix: str = SUFFIX, size_limit: int | None = None) -> None:
        """`size_limit` is for a server like a stock one (STOCK_LIMIT); iRedMail's has none."""
        self.directory = make_directory(directory)
        self.suffix = suffix
        self.size_limit = size_limit
        self.data = directory / "data"
        self.run = directory / "run"
        self.tls = directory / "tls"
        self.config = directory / "slapd.conf"
        self.log = directory / "log"
        self.port, self.tls_port = free_ports(2)
        self._process: Process | None = None

    @property
    def user(self) -> str | None:
        """The system user to run as."""
        return "openldap" if is_root() else None

    @property
    def socket(self) -> Path:
        """The server's Unix socket."""
        return self.run / "s"

    @property
    def url(self) -> str:
        """Where clients connect, and may ask for StartTLS."""
        return f"ldap://{LOOPBACK}:{self.port}"

    @property
    def ldaps_url(self) -> str:
        """Where clients connect with TLS from the first byte."""
        return f"ldaps://{LOOPBACK}:{self.tls_port}"

    @property
    def ldapi_url(self) -> str:
        """Where clients of this machine connect without TCP."""
        return f"ldapi://{quote(str(self.socket), safe='')}"

    @property
    def ca(self) -> Path:
        """The authority that signed the server's certificate."""
        return self.tls / "ca.pem"

    @property
    def wrong_ca(self) -> Path:
        """An authority that did not."""
        return self.tls / "wrong.pem"

    def bind(self, name: str) -> Login:
        """Return what manager, vmail or vmailadmin binds with."""
        if name == MANAGER:
            return Login(f"cn=Manager,{self.suffix}", MANAGER_PASSWORD)
        return Login(f"cn={name},{self.suffix}", PASSWORDS[name])

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start the server; the first time, make its certificate, configuration and tree too."""
        if not self.data.exists():
            self._prepare()
        urls = f"{self.url}/ {self.ldaps_url}/ {self.ldapi_url}/????x-mod=-rwxrwxrwx"
        slapd = [program("slapd"), "-f", str(self.config), "-h", urls, "-d", "none"]
        command = [program("prlimit"), f"--nofile={OPEN_FILES}", *slapd]
        self._process = Process(command, self.log, user=self.user)
        self._process.start(self._ready)

    def _ready(self) -> bool:
        # It listens before it has opened the database: only an answer tells.
        if not connects(self.socket):
            return False
        with self.connect():
            return True

    def _prepare(self) -> None:
        make_directory(self.run, self.user)
        make_directory(self.tls)
        self._make_certificates()
        for name, text in schema_files().items():
            (self.directory / name).write_text(text)
        self.config.write_text(self._configuration())
        self._fill(self.empty_tree())

    def _configuration(self) -> str:
        return server_configuration(
            self.suffix,
            str(self.data),
            schema_directory=str(self.directory),
            run_directory=str(self.run),
            manager_hash=hash_password(MANAGER_PASSWORD),
            tls=Tls(*(str(self.tls / name) for name in ("ca.pem", "server.pem", "server.key"))),
            max_size=DATABASE_SIZE,
            size_limit=self.size_limit,
            sync=False,
        )

    def empty_tree(self) -> str:
        """Return the LDIF of what an empty directory holds."""
        return empty_tree(
            self.suffix,
            reader_hash=hash_password(PASSWORDS["vmail"]),
            writer_hash=hash_password(PASSWORDS["vmailadmin"]),
        )

    def _make_certificates(self) -> None:
        (self.tls / "openssl.cnf").write_text("distinguished_name = dn\n[dn]\n")
        authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
        self._make_certificate("ca", authority)
        self._make_certificate("wrong", authority)
        # libldap compares "localhost" with the machine's own name.
        names = ["DNS:localhost", f"DNS:{sockets.gethostname()}", f"IP:{LOOPBACK}"]
        self._make_certificate("server", [f"subjectAltName={','.join(names)}", "basicConstraints=CA:FALSE"], "ca")

    def _make_certificate(self, name: str, extensions: list[str], issuer: str | None = None) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
        subject = ["-out", f"{name}.pem", "-subj", f"/CN=mailstore test {name}", "-days", "30"]
        signer = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else []
        options = [word for extension in extensions for word in ("-addext", extension)]
        command = [program("openssl"), "req", "-x509", "-config", "openssl.cnf"]
        run_tool([*command, *key, *subject, *signer, *options], self.tls)
        if self.user is not None:
            shutil.chown(self.tls / f"{name}.key", self.user)

    def _fill(self, *texts: str, quick: bool = True) -> None:
        """Make the database anew, offline, from these entries."""
        shutil.rmtree(self.data, ignore_errors=True)
        make_directory(self.data, self.user).chmod(0o700)
        for text in texts:
            file = self.directory / "load.ldif"
            file.write_text(text.removeprefix("version: 1\n"))  # which slapadd does not know
            options = ["-q"] if quick else []
            run_tool([program("slapadd"), *options, *self._database(), "-l", str(file)], self.directory, self.user)

    def _database(self) -> list[str]:
        return ["-f", str(self.config), "-b", self.suffix]

    def stop(self) -> None:
        """Stop the server in an orderly way, if it runs."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """Crash the server with SIGKILL; what was acknowledged must survive this."""
        if not self.running or self._process is None:
            raise ServerError("the server to kill is not running")
        self._process.kill()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same data and ports."""
        self.stop()
        self.start()

    @contextlib.contextmanager
    def connect(self, login: Login | None = None) -> Iterator[Any]:
        """Connect over the socket with ldap3, as the manager if nobody else is named; results are left to the caller."""
        dn, password = login or self.bind(MANAGER)
        server = ldap3.Server(self.ldapi_url, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, dn, password, check_names=False)
        try:
            connection.bind()
            if connection.result["result"]:
                raise ServerError(f"{dn}: {connection.result['description']}")
            yield connection
        finally:
            connection.unbind()

    def dump(self) -> str:
        """Return all entries as LDIF, with operational attributes; the server may be running."""
        result = subprocess.run(
            [*as_user(self.user), program("slapcat"), *self._database()],
            cwd=self.directory,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if result.returncode:
            raise ServerError(f"slapcat ended with {result.returncode}: {result.stderr}")
        return result.stdout

    def load(self, ldif: str, *, quick: bool = True, whole: bool = False) -> None:
        """Replace what is there, offline: by the empty tree and these entries, or by a `whole` dump; then start."""
        self.stop()
        self._fill(*([ldif] if whole else [self.empty_tree(), ldif]), quick=quick)
        self.start()

    def clear(self) -> None:
        """Remove all domains and admins from the running server; connections survive if there was little."""
        with self.connect() as connection:
            names = self._below_tops(connection)
            if len(names) <= FEW:
                _delete(connection, names)
                return
        self.load("")

    def _below_tops(self, connection: Any) -> list[str]:
        names: list[str] = []
        for top in (DOMAINS, ADMINS):
            connection.search(f"{top},{self.suffix}", f"(!({top}))", attributes=["1.1"], size_limit=FEW + 1)
            names += [entry["dn"] for entry in connection.response]
        return names

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def _delete(connection: Any, names: list[str]) -> None:
    # slapd writes commas within values as \2C, so that those that are left tell the depth.
    for name in sorted(names, key=lambda name: name.count(","), reverse=True):
        if not connection.delete(name):
            raise ServerError(f"{name}: {connection.result}")
