"""The service: waitress from start to stop, with what systemd wants to know.

Waitress reads requests and sends answers in one thread and lets others work only on requests that are complete, so that slow
clients hold none of them.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from mailstore.errors import ConfigurationError
from mailstore.version import __version__
from mailstore_http import settings as configuration
from mailstore_http.afterlogic.dialect import AfterLogic
from mailstore_http.app import Application
from mailstore_http.atmail.dialect import Atmail
from mailstore_http.dialect import Dialect
from mailstore_http.failures import FailedLogins
from mailstore_http.iredadmin.dialect import IRedAdmin
from mailstore_http.mailinabox.dialect import MailInABox
from mailstore_http.metrics import HttpMetrics
from mailstore_http.serving import Present
from mailstore_http.settings import DialectSettings, Settings, seconds
from mailstore_http.stores import Stores
from mailstore_http.v1.api import V1
from mailstored.logs import FilteringBoundLogger, adopt_standard_logging, make_logger
from mailstored.metrics import Exporter
from mailstored.notify import Notifier

__all__ = ["Service", "application"]

_DIALECTS: Mapping[str, Callable[[DialectSettings, Stores, FailedLogins], Dialect]] = {
    "iredadmin": IRedAdmin,
    "mailinabox": MailInABox,
    "atmail": Atmail,
    "afterlogic": AfterLogic,
}
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_FIXED = ("listen", "threads", "connections", "max_header", "idle_timeout")
"""What a running service cannot change."""
_STEP = 0.02
_READ_NO_MORE = -1
"""Waitress reads from a connection while it has no more than so many requests of it."""
_HEADROOM = 4
"""A body up to so many times the limit is taken, for the API to refuse it in its own words; waitress refuses beyond."""


def application(
    settings: Settings,
    log: FilteringBoundLogger | None = None,
    failures: FailedLogins | None = None,
    metrics: HttpMetrics | None = None,
) -> tuple[Application, Stores]:
    """Return the WSGI application of a configuration, and the stores to be closed in the end.

    Without `log` it logs as configured, to standard error, and so does whatever else this process logs.
    """
    if log is None:
        log = make_logger(settings.http.log_format, settings.http.log_level)
        adopt_standard_logging(log)
    stores = Stores(settings.stores, settings.trail)
    failures = failures or FailedLogins()
    dialects: list[Dialect] = [_DIALECTS[each.config.api](each, stores, failures) for each in settings.dialects]
    origins = {}
    if settings.v1 is not None:
        dialects.append(V1(settings.v1, stores, failures))
        origins["v1"] = settings.v1.cors
    told = metrics.answered if metrics else _untold
    return Application(dialects, stores, log, settings.proxies, settings.http.max_body, origins, told), stores


def _untold(*_facts: object) -> None:
    """Count nothing."""


class Service:
    """One process that serves until a signal ends it."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        """`path` is the file that `settings` were read from, to be read again on SIGHUP."""
        self._path = path
        self._settings = settings
        self._metrics = HttpMetrics()
        self._exporter = Exporter(self._metrics.registry)
        self._failures = FailedLogins(counted=self._metrics.failed_logins.inc)
        self._log = make_logger(settings.http.log_format, settings.http.log_level)
        adopt_standard_logging(self._log)
        self._present = Present(*application(settings, self._log, self._failures, self._metrics))
        self._notifier = Notifier()
        self._stopping = threading.Event()
        self._complete = False

    def run(self) -> int:
        """Serve. Returns the exit code. Raises OSError if an address cannot be had, ConfigurationError for the socket."""
        # Fetched, not handled; blocked before any thread starts, so that all threads inherit it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        server = self._server()
        self._metrics.watch_connections(lambda: len(server.active_channels))
        self._exporter.listen(self._settings.metrics)
        thread = threading.Thread(target=self._serve, args=(server,), name="sockets")
        thread.start()
        where = self._settings.socket or f"{server.effective_host}:{server.effective_port}"
        self._log.info(
            "started", version=__version__, listen=where, stores=list(self._settings.stores), **self._watched()
        )
        self._notifier.ready(f"listening on {where}")
        self._wait(thread)
        self._stop(server, thread)
        return 0

    def _watched(self) -> dict[str, str]:
        metrics = self._settings.metrics
        return {"metrics": f"{metrics.host}:{self._exporter.port}"} if metrics else {}

    # --- a new configuration

    def _reload(self) -> None:
        """Take the configuration as the file has it now for all calls to come; a wrong one changes nothing."""
        self._notifier.reloading()
        try:
            settings = configuration.load(self._path)
            log = make_logger(settings.http.log_format, settings.http.log_level)
            made = application(settings, log, self._failures, self._metrics)
            self._exporter.listen(settings.metrics)
        except (ConfigurationError, OSError) as error:
            self._metrics.reload_failures.inc()
            self._log.error("configuration refused; the old one stays in force", error=str(error))
        else:
            self._log = log
            adopt_standard_logging(log)
            self._present.replace(*made)
            late = [name for name in _FIXED if getattr(settings.http, name) != getattr(self._settings.http, name)]
            self._settings = settings
            self._log.info("configuration reloaded", stores=list(settings.stores), after_restart=late)
        self._notifier.ready("serving")

    # --- from start to stop

    def _server(self) -> Any:
        http, settings = self._settings.http, self._settings
        where: dict[str, Any] = {"host": settings.host, "port": settings.port}
        if settings.socket:
            if not Path(settings.socket).parent.is_dir():
                raise ConfigurationError(f"http.listen: there is no directory for {settings.socket}")
            where = {"unix_socket": settings.socket, "unix_socket_perms": "660"}
        return create_server(
            self._present,
            **where,
            threads=http.threads,
            connection_limit=http.connections,
            channel_timeout=seconds(http.idle_timeout),
            cleanup_interval=5,
            max_request_body_size=http.max_body * _HEADROOM,
            max_request_header_size=http.max_header,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=False,  # see `mailstore_http.networks`
            ident=None,
        )

    def _wait(self, thread: threading.Thread) -> None:
        period = self._notifier.watchdog_seconds
        while thread.is_alive():
            received = signal.sigtimedwait(_SIGNALS, period / 2 if period else 60.0)
            if received is None:
                self._notifier.ping()
            elif received.si_signo == signal.SIGHUP:
                self._reload()
            else:
                self._log.info("stopping", signal=signal.Signals(received.si_signo).name)
                return

    def _serve(self, server: Any) -> None:
        """Read and write on all sockets. Everything that is done to them is done here, also when the service stops."""
        while not self._stopping.is_set():
            wasyncore.loop(timeout=1.0, use_poll=True, map=server._map, count=1)
        wasyncore.dispatcher.close(server)
        server.adj.channel_request_lookahead = _READ_NO_MORE
        deadline = time.monotonic() + seconds(self._settings.http.stop_timeout)
        while _in_hand(server) and time.monotonic() < deadline:
            wasyncore.loop(timeout=_STEP, use_poll=True, map=server._map, count=1)
        self._complete = not server.active_channels

    def _stop(self, server: Any, thread: threading.Thread) -> None:
        """Take no new connections, answer what is in hand, and end."""
        self._stopping.set()
        self._notifier.stopping("answering the calls in hand")
        server.pull_trigger()
        thread.join()
        server.task_dispatcher.shutdown(timeout=1)
        self._present.close()
        self._exporter.close()
        self._log.info("stopped", complete=self._complete)
        self._notifier.close()


def _in_hand(server: Any) -> bool:
    """Close the connections on which nothing is in hand, and tell whether there are others."""
    for channel in list(server.active_channels.values()):
        if not (channel.requests or channel.total_outbufs_len):
            channel.handle_close()
    return bool(server.active_channels)
