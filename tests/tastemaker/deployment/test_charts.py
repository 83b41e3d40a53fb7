"""Helm's engine: layers of values, and faults that name file and field."""

from pathlib import Path
from typing import Any

import pytest

from tastemaker.core.errors import ConfigError
from tastemaker.deployment.charts import ValuesError, effective, layers, lint, merge, render

SCHEMA = """
{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
 "additionalProperties": false, "required": ["size"],
 "properties": {"size": {"type": "integer"}, "list": {"type": "array", "items": {"type": "object",
   "additionalProperties": false, "properties": {"name": {"type": "string"}}}},
   "group": {"type": "object", "additionalProperties": false,
             "properties": {"colour": {"type": "string"}, "deep": {"type": "object"}}}}}
"""
TEMPLATE = """
{{- if eq .Values.group.colour "blue" }}{{ fail "group.colour: blue is taken" }}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: { name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }} }
data: { size: "{{ .Values.size }}", colour: {{ .Values.group.colour }} }
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "paint"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: paint\nversion: 0.1.0\n")
    (folder / "values.yaml").write_text("group: { colour: red }\n")
    (folder / "values.schema.json").write_text(SCHEMA)
    (folder / "templates" / "map.yaml").write_text(TEMPLATE)
    return folder


def test_a_render_has_the_release_and_the_last_value(chart: Path) -> None:
    layered = [{"size": 1, "group": {"colour": "green"}}, {"size": 2}]
    (document,) = render(chart, layered, name="one", namespace="shop")
    assert document["metadata"] == {"name": "one", "namespace": "shop"}
    assert document["data"] == {"size": "2", "colour": "green"}


def test_effective_values_are_those_of_a_release(chart: Path) -> None:
    assert effective(chart, [{"size": 1}, {"size": 2}]) == {"size": 2, "group": {"colour": "red"}}
    assert effective(chart, [{"group": {"colour": None}}]) == {"group": {}}


def test_merging_is_helms() -> None:
    below = {"a": {"b": 1, "c": 2}, "l": [1, 2]}
    assert merge([below, {"a": {"c": 3}, "l": [9]}]) == {"a": {"b": 1, "c": 3}, "l": [9]}


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ({"size": 1}, {"groop": {}}, "b.yaml: paint/one: groop: unknown field; did you mean"),
        ({"size": "x"}, {}, "a.yaml: paint/one: size: got string, want integer"),
        ({"size": "x"}, {"size": 2.5}, "b.yaml: paint/one: size: got number, want integer"),
        ({}, {}, "a.yaml + b.yaml: paint/one: size: missing, required"),
        ({"size": 1, "group": {"colours": "x"}}, {}, "a.yaml: paint/one: group.colours: unknown"),
        ({"size": 1, "list": [{"nam": "x"}]}, {}, "a.yaml: paint/one: list.0.nam: unknown field"),
        ({"size": 1, "group": {"colour": "blue"}}, {}, "a.yaml: paint/one: group.colour: blue is"),
    ],
)
def test_a_fault_names_the_file_that_holds_the_field(
    chart: Path, first: dict[str, Any], second: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValuesError) as caught:
        render(chart, [("a.yaml", first), ("b.yaml", second)], name="one")
    assert str(caught.value).startswith(fault)


def test_all_faults_are_said_at_once(chart: Path) -> None:
    with pytest.raises(ValuesError) as caught:
        render(chart, [{"size": "x", "z": 1, "y": 1}], name="one")
    assert {fault.field for fault in caught.value.faults} == {"size", "z", "y"}


def test_a_template_that_is_not_yaml_is_named(chart: Path) -> None:
    (chart / "templates" / "bad.yaml").write_text("a: [\n")
    with pytest.raises(ConfigError, match=r"templates/bad\.yaml: not valid YAML"):
        render(chart, [{"size": 1}], name="one")


def test_a_folder_without_a_chart_and_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a chart"):
        render(tmp_path, [], name="one")
    with pytest.raises(ConfigError, match="no such values file"):
        layers([tmp_path / "none.yaml"])


def test_lint_says_what_helm_warns_of(chart: Path) -> None:
    assert lint(chart, {"size": 1}) == []
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: paint\nversion: one\n")
    assert any("version" in finding for finding in lint(chart, {"size": 1}))
