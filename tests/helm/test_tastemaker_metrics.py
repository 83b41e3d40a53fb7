"""Alerts, dashboards and the autoscaler ask for metrics that the code exports."""

import json
import re
from collections.abc import Iterator

import yaml
from prometheus_client import REGISTRY, CollectorRegistry

from tastemaker.assistant.metrics import Metrics
from tastemaker.assistant.providers import counters
from tastemaker.features.metrics import FeatureMetrics
from tests.helm.tastemaker_objects import CHART, of_kind, variant

PROMETHEUS_OWN = {"up"}
_NAME = re.compile(r"\b(tastemaker_[a-z_]+|up)\b(?=[{\[) ]|$)")
_LABELS = re.compile(r"\b(tastemaker_[a-z_]+)\{([^}]*)\}")
_BY_SCRAPING = {"namespace", "pod", "service", "job", "le"}


def exported() -> dict[str, set[str]]:
    """Names of the series that the gateway exports, with their labels."""
    registry = CollectorRegistry()
    Metrics(registry)
    FeatureMetrics(registry)
    assert counters.ATTEMPTS  # registered with the process
    found: dict[str, set[str]] = {}
    for one in (registry, REGISTRY):
        for names, collector in _collectors(one):
            for name in names:
                found[name] = set(getattr(collector, "_labelnames", ()))
    return found


def _collectors(registry: CollectorRegistry) -> Iterator[tuple[list[str], object]]:
    for collector, names in registry._collector_to_names.items():
        yield [name for name in names if name.startswith("tastemaker_")], collector


def questions() -> dict[str, str]:
    """Every PromQL expression of the chart, by where it stands."""
    found = {}
    for rule in of_kind(variant("default"), "PrometheusRule"):
        for group in rule["spec"]["groups"]:
            for alert in group["rules"]:
                found[alert["alert"]] = alert["expr"]
    for one in of_kind(variant("default"), "ConfigMap"):
        for name, text in one["data"].items():
            if name.endswith(".json") and "panels" in text:
                for panel in json.loads(text)["panels"]:
                    for number, target in enumerate(panel["targets"]):
                        found[f"{name}: {panel['title']} {number}"] = target["expr"]
    for one in of_kind(variant("keda"), "ScaledObject"):
        found["keda"] = one["spec"]["triggers"][0]["metadata"]["query"]
    return found


def test_every_metric_is_one_that_the_gateway_exports() -> None:
    known, asked = exported(), questions()
    assert len(asked) > 30
    for where, expression in asked.items():
        names = set(_NAME.findall(expression)) - PROMETHEUS_OWN
        assert names or "up{" in expression, f"{where}: no metric in {expression}"
        for name in names:
            assert name in known, f"{where}: nothing exports {name}"


def test_every_label_is_one_that_the_metric_has() -> None:
    known = exported()
    for where, expression in questions().items():
        for name, labels in _LABELS.findall(expression):
            used = set(re.findall(r"([a-z_]+)\s*[=!]~?", labels))
            assert used <= known[name] | _BY_SCRAPING, f"{where}: {name} has no {used}"
        names = set(_NAME.findall(expression)) - PROMETHEUS_OWN
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            have = set().union(*(known[name] for name in names)) | _BY_SCRAPING
            assert set(grouped.replace(" ", "").split(",")) <= have, f"{where}: by ({grouped})"


def test_every_exported_metric_is_on_a_dashboard() -> None:
    shown = " ".join(text for where, text in questions().items() if ".json" in where)
    families = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in exported()}
    assert {name for name in families if name not in shown} == set()


def test_parentheses_and_braces_balance() -> None:
    for where, expression in questions().items():
        for left, right in ("()", "{}", "[]"):
            assert expression.count(left) == expression.count(right), where


def test_alerts_say_what_and_how_bad_in_the_releases_namespace() -> None:
    groups = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["for"]
    for rule in of_kind(variant("default"), "PrometheusRule"):
        assert "$NAMESPACE" not in str(rule)
        assert 'namespace="assistant"' in str(rule)


def test_dashboards_have_names_of_their_own() -> None:
    files = sorted((CHART / "files" / "dashboards").glob("*.json"))
    boards = [json.loads(file.read_text()) for file in files]
    assert len({board["uid"] for board in boards}) == len(boards) == 3
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
