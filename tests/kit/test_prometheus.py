"""The rules, the dashboard and the sample of a scrape job, tried with Prometheus itself and a daemon that runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailstored.metrics import Metrics
from tests.servers.process import free_ports, program
from tests.test_daemon import NEVER
from tests.test_daemon_rig import Mail, running

DAEMON = Path(__file__).parents[2] / "daemon"
RULES = DAEMON / "prometheus" / "mailstored.rules.yml"
SCRAPE = DAEMON / "prometheus" / "mailstored.scrape.yml"
DASHBOARD = DAEMON / "grafana" / "mailstored.json"
TESTS = Path(__file__).parent / "mailstored.test.yml"
PATIENCE = 60.0


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def queries() -> list[str]:
    """Return the queries of the panels, as Grafana would send them: everything selected, steps of half a minute."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    values = {"$instance": ".*", "$store": ".*", "$__rate_interval": "30s"}
    return [re.sub(r"\$\w+", lambda found: values[found[0]], query) for query in asked]


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\bmailstored_\w+", text))


class Prometheus:
    """A real one, scraping the daemon every second."""

    def __init__(self, directory: Path, target: str) -> None:
        [port] = free_ports(1)
        self._url = f"http://127.0.0.1:{port}/api/v1"
        config = yaml.safe_load(SCRAPE.read_text())
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
        config |= {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
        }
        path = directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        with (directory / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={path}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer; one that is no success has an error instead."""
        url = f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 ours
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def health(self) -> dict[str, str]:
        """Return how the last evaluation of each alert went: ok, err, or unknown before the first."""
        return {rule["name"]: rule["health"] for group in self.get("rules")["groups"] for rule in group["rules"]}

    def wait_for(self, query: str) -> None:
        """Wait until a query has an answer that is not empty."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.get("query", query=query)["result"]:
                    return
            except urllib.error.URLError:  # it is still starting
                assert self.process.poll() is None
            assert time.monotonic() < deadline, query
            time.sleep(0.2)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, vmail_owner: tuple[int, int]) -> Iterator[Prometheus]:
    """Prometheus with what it has learnt of a daemon that has just started, and has done nothing yet."""
    directory = tmp_path_factory.mktemp("prometheus")
    program("prometheus")
    mail = Mail(directory / "mail", vmail_owner)
    [port] = free_ports(1)
    config = f'{mail.toml("main")}{NEVER}metrics_listen = "127.0.0.1:{port}"\n'
    with running(directory, config) as daemon:
        daemon.wait_for_line("run finished", job="open")
        server = Prometheus(directory, f"127.0.0.1:{port}")
        try:
            server.wait_for("count_over_time(mailstored_build_info[1m]) >= 3")
            yield server
        finally:
            server.process.terminate()
            server.process.wait(30)


def test_the_rules_raise_what_they_should_and_nothing_else(tmp_path: Path) -> None:
    for path in (RULES, TESTS):
        shutil.copy(path, tmp_path)
    done = subprocess.run(
        [program("promtool"), "test", "rules", TESTS.name], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_raised_by_a_case() -> None:
    tried = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test.get("alert_rule_test", [])]
    raised = {case["alertname"] for case in tried if case["exp_alerts"]}
    assert {rule["alert"] for rule in rules()} == raised


def test_rules_and_dashboard_ask_for_what_there_is() -> None:
    metrics = Metrics()
    metrics.serve(["main"], ["purge"])
    metrics.plan([("main", "purge")], lambda _store, _job: 0.0)
    there = {sample.name for family in metrics.registry.collect() for sample in family.samples} | {
        "mailstored_findings"
    }
    for asked in [*(rule["expr"] for rule in rules()), *queries()]:
        assert names_in(asked) <= there, asked


def test_every_query_of_the_dashboard_has_an_answer_from_the_start(prometheus: Prometheus) -> None:
    empty = {query for query in queries() if not prometheus.get("query", query=query)["result"]}
    assert all("last_success" in query for query in empty), empty  # there was none yet, and no time since it


def test_the_variables_of_the_dashboard_are_found(prometheus: Prometheus) -> None:
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
        assert prometheus.get(f"label/{label}/values", **{"match[]": metric})


def test_the_rules_are_evaluated_and_a_fresh_daemon_raises_none(prometheus: Prometheus) -> None:
    deadline = time.monotonic() + PATIENCE
    while "unknown" in (health := prometheus.health()).values():
        assert time.monotonic() < deadline, health
        time.sleep(0.2)
    assert health == {rule["alert"]: "ok" for rule in rules()}
    assert prometheus.get("alerts")["alerts"] == []
