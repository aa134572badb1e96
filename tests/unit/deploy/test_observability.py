"""What is documented, alerted on and drawn are the metrics that the workers have, and no others."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from schemas.events import Modality
from schemas.results import Verdict
from streams import metrics
from streams.settings import Budgets
from tests.unit.deploy.promql import labels_in, metrics_in

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/dashboards/headrace.json"
PROVISIONING = ROOT / "deploy/grafana/provisioning"
FROM_PROMETHEUS = {"up"}
SCRAPE_LABELS = {"instance", "job"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
NEAR = 0.8


@dataclass(frozen=True)
class Exposed:
    """One metric as it is exposed."""

    kind: str
    labels: tuple[str, ...]
    series: tuple[str, ...]


def registry() -> dict[str, Exposed]:
    """Read streams/metrics.py: every metric by the name that people know it by."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (described,) = metric.describe()
            suffixes = SUFFIXES[described.type]
            name = described.name + (suffixes[0] if described.type == "counter" else "")
            found[name] = Exposed(
                described.type,
                tuple(metric._labelnames),
                tuple(described.name + suffix for suffix in suffixes),
            )
    return found


def documented() -> dict[str, tuple[str, tuple[str, ...], str, str]]:
    """Read the tables of docs/metrics.md: type, labels, unit, meaning by name."""
    found = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `headrace_") and len(cells) == 5:
            name, kind, labels, unit, meaning = cells
            found[name.strip("`")] = (kind, tuple(re.findall(r"`(\w+)`", labels)), unit, meaning)
    return found


def alerts() -> list[dict[str, Any]]:
    """Return all alerting rules."""
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield where it stands, and each expression of rules, dashboard and page."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            (found,) = re.findall(r"^label_values\((\w+), (\w+)\)$", query)
            yield variable["name"], "sum by ({1}) ({0})".format(*found)
    for block in re.findall(
        r"```promql\n(.*?)```", (ROOT / "docs/metrics.md").read_text(), re.DOTALL
    ):
        yield "docs/metrics.md", block


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    """The page lists what is exposed: nothing is missing, nothing is made up, all have a text."""
    exposed = {name: (each.kind, each.labels) for name, each in registry().items()}
    page = documented()
    assert {name: cells[:2] for name, cells in page.items()} == exposed
    assert all(unit and meaning.endswith(".") for *_, unit, meaning in page.values())


def test_expressions_read_only_what_is_exposed() -> None:
    """A misspelt series would never alert and never be drawn, without a word."""
    known = {series for each in registry().values() for series in each.series} | FROM_PROMETHEUS
    unknown = {(where, *metrics_in(expr) - known) for where, expr in expressions()}
    assert {entry for entry in unknown if len(entry) > 1} == set()
    assert all(metrics_in(expr) or "vector(" in expr for _, expr in expressions())


def test_expressions_use_only_labels_that_their_metrics_have() -> None:
    """A label that is not there matches nothing, or merges all series into one."""
    by_series = {series: each for each in registry().values() for series in each.series}
    for where, expr in expressions():
        read = [by_series[name] for name in metrics_in(expr) - FROM_PROMETHEUS]
        known = SCRAPE_LABELS | {label for each in read for label in each.labels}
        if any(each.kind == "histogram" for each in read):
            known.add("le")
        assert labels_in(expr) <= known, where


def test_the_reader_of_expressions_sees_through_promql() -> None:
    """Functions, strings, ranges, clauses and variables are not taken for series."""
    expr = (
        'sum by (a, le) (rate(x_total{b=~"y_total|z", c!="{q}"}[$__rate_interval])) / 2e3 '
        "and on (d) max_over_time(w:x[5m] offset 1h) > bool 0.5 unless $v * vector(${k})"
    )
    assert metrics_in(expr) == {"x_total", "w:x"}
    assert labels_in('sum by (a, le) (x{b=~"1,2", c!="3"}) and on (d) y') == set("abcd") | {"le"}


def test_every_metric_of_the_stream_is_drawn() -> None:
    """What is measured can be seen."""
    titles = {panel["title"] for panel in json.loads(DASHBOARD.read_text())["panels"]}
    drawn = {name for where, expr in expressions() if where in titles for name in metrics_in(expr)}
    unseen = {name for name, each in registry().items() if not drawn.intersection(each.series)}
    assert unseen == set()


def test_every_alert_has_its_section_in_the_operations_page() -> None:
    """Who is woken by an alert finds its name, and no section is about an alert that is gone."""
    page = (ROOT / "docs/operations.md").read_text()
    sections = re.findall(r"^### (Headrace\w+)", page, re.MULTILINE)
    assert sorted(sections) == sorted(rule["alert"] for rule in alerts())


def test_every_alert_says_how_bad_it_is() -> None:
    """Severity decides who is woken; the summary is what they read first."""
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_alerts_name_verdicts_that_exist() -> None:
    """A verdict that was renamed must not make an alert silent."""
    named = {
        verdict
        for _, expr in expressions()
        for matcher in re.findall(r'verdict=~?"([^"]*)"', expr)
        for verdict in matcher.split("|")
    }
    assert named
    assert named <= set(Verdict)


def test_the_latency_alert_fits_the_default_budgets() -> None:
    """It fires at four fifths of each modality's default budget."""
    (rule,) = [rule for rule in alerts() if rule["alert"] == "HeadraceLatencyNearBudget"]
    found = re.findall(r'modality="(\w+)".*?> ([\d.]+)', rule["expr"], re.DOTALL)
    expected = {
        modality.value: pytest.approx(Budgets().of(modality) / 1e3 * NEAR) for modality in Modality
    }
    assert {modality: float(seconds) for modality, seconds in found} == expected


def test_the_dashboard_asks_the_source_that_is_provisioned() -> None:
    """Panels name the data source by the uid that it gets, and have ids of their own."""
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    used = {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"}
    assert used == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_panels_do_not_overlap() -> None:
    """Each panel has its own place on the grid of 24 columns."""
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert x < 24
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]


def test_the_alert_tests_try_every_alert() -> None:
    """Each alert is shown to fire by a test for promtool."""
    cases = yaml.safe_load((PROMETHEUS / "rules.test.yml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in cases
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in alerts()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
        ("test", "rules", "rules.test.yml"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_promtool_accepts_it(command: tuple[str, ...]) -> None:
    """Prometheus' own checker reads the files, and its alert tests pass."""
    done = subprocess.run(
        ["promtool", *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
