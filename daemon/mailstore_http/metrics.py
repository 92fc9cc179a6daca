"""Metrics of the HTTP service for Prometheus, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

__all__ = ["HttpMetrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """Everything that is counted. ``api`` is the name of a dialect in the configuration, or ``v1``."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "mailstore_http_requests", "Answered requests.", ("api", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "mailstore_http_request_seconds",
            "How long requests took, to the last piece of the answer.",
            ("api",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.failed_logins = Counter(
            "mailstore_http_failed_logins", "Logins with a wrong password or token.", registry=registry
        )
        self.reload_failures = Counter(
            "mailstore_http_config_reload_failures", "Configurations that were refused on SIGHUP.", registry=registry
        )
        self._connections = Gauge("mailstore_http_connections", "Open connections.", registry=registry)

    def answered(self, api: str, method: str, status: int, seconds: float) -> None:
        """Count a request; methods that nobody knows are counted together."""
        self._requests.labels(api, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(api).observe(seconds)

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Let `count` say how many connections are open."""
        self._connections.set_function(count)
