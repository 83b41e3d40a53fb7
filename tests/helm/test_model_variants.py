"""Every values variant of the model chart: rendered, valid for a cluster, secure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest

from tastemaker.deployment import charts, security
from tastemaker.deployment.schemas import Schemas
from tests.helm.conftest import ROOT, Objects, rendered, variants

CHART = ROOT / "helm" / "model"
VARIANTS = variants("model")
GOLDEN = ("encoder", "retrieval-hpa", "recommender-canary", "router-cpu", "router-cuda-keda")


def render(variant: Path) -> Objects:
    model = charts.layers([variant])[0][1]["model"]
    return rendered("model", [variant], name=model, namespace="models")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_a_variant_is_clean(variant: Path, schemas: Schemas) -> None:
    assert charts.lint(CHART, charts.layers([variant])[0][1]) == []
    documents = render(variant)
    assert [fault for one in documents for fault in schemas.faults(one, where=variant.name)] == []
    assert [fault for one in documents for fault in security.faults(one, where=variant.name)] == []
    assert any(list(security.pods(one)) for one in documents), "no pod was looked at"


@pytest.mark.parametrize("name", GOLDEN)
def test_default_variants_render_as_reviewed(
    name: str, matches_golden: Callable[[str, Objects], None]
) -> None:
    matches_golden(f"model-{name}", render(CHART / "ci" / f"{name}-values.yaml"))


def test_there_is_a_variant_of_every_model_and_feature() -> None:
    values = [charts.layers([one])[0][1] for one in VARIANTS]
    assert {one["model"] for one in values} == {"encoder", "retrieval", "recommender", "router"}
    classes = {one.get("autoscaling", {}).get("class", "none") for one in values}
    assert classes == {"none", "hpa", "keda"}
    assert {bool(one.get("canary")) for one in values if one["model"] == "router"} == {True, False}


def test_no_object_has_the_name_of_another() -> None:
    for variant in VARIANTS:
        names = [(one["kind"], one["metadata"]["name"]) for one in render(variant)]
        assert len(names) == len(set(names)), variant


def test_templates_are_short_and_values_too() -> None:
    for template in (CHART / "templates").iterdir():
        assert len(template.read_text().splitlines()) < 150, template
    assert len((CHART / "values.yaml").read_text().splitlines()) < 150


def test_the_schema_knows_every_default_and_nothing_else() -> None:
    with helm_python.Chart.load(str(CHART)) as chart:
        schema, values = chart.schema, chart.values

    def compare(node: dict[str, Any], held: dict[str, Any], path: str) -> None:
        if "properties" not in node:
            return
        assert node["additionalProperties"] is False, path
        assert set(node["properties"]) - {"global"} == set(held), path
        for key, inner in node["properties"].items():
            if isinstance(held.get(key), dict):
                compare(inner, held[key], f"{path}.{key}")

    assert isinstance(schema, dict)
    compare(schema, values, "values")
