"""Every variant of the chart renders, is valid and keeps the security baseline."""

import re
from collections.abc import Callable
from pathlib import Path

import yaml

import tastemaker
from tastemaker.deployment import charts, security
from tastemaker.deployment.schemas import Schemas
from tests.helm.tastemaker_objects import CHART, EVERY, VARIANTS, Objects, render, variant

SCALERS = {"HorizontalPodAutoscaler", "ScaledObject"}


@EVERY
def test_a_variant_is_valid_and_secure(file: Path, schemas: Schemas) -> None:
    objects = render(file)
    assert objects
    faults = [
        str(fault)
        for one in objects
        for fault in (*schemas.faults(one, where=file.name), *security.faults(one, where=file.name))
    ]
    assert not faults, "\n".join(faults)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names)


@EVERY
def test_helm_finds_nothing_to_say(file: Path) -> None:
    assert charts.lint(CHART, yaml.safe_load(file.read_text())) == []


def test_defaults_alone_render_what_runs_before_the_first_model() -> None:
    alone = charts.render(CHART, [], name="tastemaker", namespace="assistant")
    kinds = {(one["kind"], one["metadata"]["name"]) for one in alone}
    assert ("StatefulSet", "tastemaker-redis") in kinds
    assert ("Deployment", "tastemaker-gateway") not in kinds


def test_the_default_variant_is_as_reviewed(
    matches_golden: Callable[[str, Objects], None],
) -> None:
    matches_golden("tastemaker", variant("default"))


def test_pods_hold_no_token_but_the_one_that_starts_jobs() -> None:
    holders = []
    for file in VARIANTS:
        for one in render(file):
            for _, pod in security.pods(one):
                assert pod["automountServiceAccountToken"] is False
                for volume in pod.get("volumes", []):
                    if "serviceAccountToken" in str(volume):
                        holders.append((file.stem, one["metadata"]["name"]))
    assert {name for _, name in holders} == {"tastemaker-prefect-worker"}
    assert "process-worker-values" not in {stem for stem, _ in holders}


def test_what_scales_the_gateway_is_one_of_them() -> None:
    for file in VARIANTS:
        objects = render(file)
        gateway = [one for one in objects if one["metadata"]["name"] == "tastemaker-gateway"]
        scalers = [one["kind"] for one in gateway if one["kind"] in SCALERS]
        fixed = [one["spec"].get("replicas") for one in gateway if one["kind"] == "Deployment"]
        for replicas in fixed:
            assert (replicas is None) == bool(scalers), file.name
        assert len(scalers) <= 1


def test_versions_are_the_packages() -> None:
    card = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert card["appVersion"] == tastemaker.__version__


def test_templates_stay_readable() -> None:
    for path in (CHART / "templates").rglob("*.*"):
        text = path.read_text()
        assert len(text.split("\n")) <= 120, f"{path.name} holds too much"
        if path.suffix == ".yaml":
            assert len(re.findall(r'^kind:|include "tastemaker.externalSecret"', text, re.M)) == 1
    assert len((CHART / "values.yaml").read_text().split("\n")) <= 150


def test_no_secret_is_rendered() -> None:
    for file in VARIANTS:
        assert not [one for one in render(file) if one["kind"] == "Secret"]
