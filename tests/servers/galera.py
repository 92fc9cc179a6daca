"""A private cluster of three MariaDB nodes, all on loopback."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.servers.mariadb import MariaDB
from tests.servers.process import LOOPBACK, MissingCapabilityError, ServerError, free_ports, make_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Galera", "Node"]

_PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
# A node that is gone is expelled in a second or two, not after fifteen.
_PATIENCE = (
    "evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_check_period=PT0.5S;evs.inactive_timeout=PT6S;"
    "evs.install_timeout=PT5S;pc.announce_timeout=PT2S;gcache.size=16M"
)


class Node(MariaDB):
    """One node; ``address`` is where the others reach it."""

    def __init__(self, directory: Path, provider: str, name: str) -> None:
        super().__init__(directory)
        self.provider, self.name = provider, name
        group, transfer, self.sst = free_ports(3)
        self.address, self.transfer = f"{LOOPBACK}:{group}", f"{LOOPBACK}:{transfer}"
        self.members: Sequence[str] = ()
        self._first = False

    def _command(self) -> list[str]:
        provider_options = f"gmcast.listen_addr=tcp://{self.address};ist.recv_addr={self.transfer};{_PATIENCE}"
        return [
            *super()._command(),
            "--wsrep-on=ON",
            f"--wsrep-provider={self.provider}",
            f"--wsrep-cluster-address=gcomm://{','.join(self.members)}",
            "--wsrep-cluster-name=mailstore",
            f"--wsrep-node-name={self.name}",
            f"--wsrep-node-address={LOOPBACK}",
            f"--wsrep-sst-receive-address={LOOPBACK}:{self.sst}",
            "--wsrep-sst-method=rsync",
            f"--wsrep-provider-options={provider_options}",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--log-bin-trust-function-creators=1",  # for the trigger of iRedMail's schema
            *(["--wsrep-new-cluster"] if self._first else []),
        ]

    def bootstrap(self) -> None:
        """Start as the first node of a cluster."""
        self._first = True
        self.start()
        self._first = False
        self.wait()

    def status(self, name: str) -> str:
        """Return a status variable of the cluster, without its prefix."""
        rows = self.execute(f"SHOW STATUS LIKE 'wsrep_{name}'")
        return str(rows[0][1]) if rows else ""

    def is_synced(self) -> bool:
        """Whether the node takes part."""
        return self.status("local_state_comment") == "Synced"

    def isolate(self) -> None:
        """Cut the node off from the others: it is alone, without a quorum."""
        self.execute("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")
        if not wait_for(lambda: self.status("cluster_status") == "non-Primary", timeout=20):
            raise ServerError(f"{self.name} still has a quorum")

    def rejoin(self) -> None:
        """Let an isolated node find the others again."""
        self.execute("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
        self.wait()

    def wait(self) -> None:
        """Wait until the node takes part."""
        if not wait_for(self.is_synced, timeout=30):
            raise ServerError(f"{self.name} does not take part:\n{self.log.read_text(errors='replace')[-2000:]}")


class Galera:
    """Three nodes that begin with the same data, so that none has to be sent to another."""

    def __init__(self, directory: Path) -> None:
        found = [provider for provider in _PROVIDERS if Path(provider).exists()]
        if not found:
            raise MissingCapabilityError("galera-4 is not installed (see tests/servers/install.sh)")
        make_directory(directory)
        self.nodes = [Node(directory / f"n{number}", found[0], f"n{number}") for number in (1, 2, 3)]
        self._stack = ExitStack()

    def start(self) -> None:
        """Start all nodes; the first is filled before the others are copied from it."""
        first, *others = self.nodes
        for node in self.nodes:
            node.members = [other.address for other in self.nodes]
        first.bootstrap()
        first.stop()  # now it knows where it stands in the history of the cluster, and so do its copies
        for node in others:
            make_directory(node.run, node.user)
            shutil.copytree(first.data, node.data, ignore=shutil.ignore_patterns("galera.cache", "gvwstate.dat"))
            for path in (node.data, *node.data.rglob("*")):
                if node.user:
                    shutil.chown(path, node.user, node.user)
        first.bootstrap()
        for node in others:
            node.start()
        for node in self.nodes:
            node.wait()

    def stop(self) -> None:
        """Stop all nodes."""
        for node in reversed(self.nodes):
            node.stop()

    def execute(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run SQL as root on the first node that runs."""
        return next(node for node in self.nodes if node.running).execute(sql, database)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
