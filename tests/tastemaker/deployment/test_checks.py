"""`tastemaker check`: each deliberate mistake is refused with its file and field."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tastemaker.core.config import Config
from tastemaker.deployment import check_charts, check_code, check_models
from tastemaker.deployment.schemas import Schemas
from tests.tastemaker.deployment.conftest import CHECKOUT, DATASET, Served

OTHER = "aaaa1111bbbb2222"
pytestmark = pytest.mark.usefixtures("schemas")


def edited(file: Path, change: dict[str, Any]) -> None:
    """Merge a change into a YAML file; None removes a key."""
    content = yaml.safe_load(file.read_text())
    for key, value in change.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    file.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"replica": {"min": 1}}, "model/encoder: replica: unknown field; did you mean 'replicas'"),
        ({"startupSeconds": "ten"}, "model/encoder: startupSeconds: got string, want integer"),
        ({"bundle": None}, "model/encoder: bundle: "),
        ({"space": OTHER}, "model/encoder: space: an encoder writes the space of its own bundle"),
        ({"image": {"repository": "a", "tag": "latest"}}, "model/encoder: image.tag: latest moves"),
        ({"image": {"repository": "a"}}, "model/encoder: image.tag: neither a tag nor a digest"),
        (
            {"resources": {"requests": {"cpu": "lots", "memory": [1]}}},
            "model/encoder: resources.requests.memory: got array",
        ),
    ],
)
def test_mistakes_in_the_values_of_a_variant(
    change: dict[str, Any], fault: str, checkout: Path, schemas: Schemas
) -> None:
    chart = checkout / "helm" / "model"
    file = chart / "ci" / "encoder-values.yaml"
    assert list(check_charts.chart_faults(chart, file, schemas)) == []
    edited(file, change)
    said = [str(one) for one in check_charts.chart_faults(chart, file, schemas)]
    assert any(one.startswith(f"helm/model/ci/encoder-values.yaml: {fault}") for one in said), said


def test_mistakes_in_a_template_are_found_in_what_it_renders(
    checkout: Path, schemas: Schemas
) -> None:
    chart = checkout / "helm" / "model"
    template = chart / "templates" / "_kserve.tpl"
    text = template.read_text().replace("storageUris:", "storageUri:")
    template.write_text(text.replace("livenessProbe:", "liveProbe:"))
    file = chart / "ci" / "encoder-values.yaml"
    said = "\n".join(map(str, check_charts.chart_faults(chart, file, schemas)))
    what = "helm/model/ci/encoder-values.yaml: InferenceService/encoder: spec.predictor"
    assert f"{what}.storageUri: unknown field; did you mean 'storageUris'?" in said
    assert f"{what}.containers[0].livenessProbe: missing" in said


SCALED: dict[str, Any] = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "shop"},
    "spec": {"scaleTargetRef": {"name": "shop"}, "triggers": [{"type": "cpu", "metadata": {}}]},
}


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"maxReplicaCuont": 3}, "spec.maxReplicaCuont: unknown field; did you mean"),
        ({"maxReplicaCount": "3"}, "spec.maxReplicaCount: '3' is not of type 'integer'"),
        ({"triggers": None}, "spec.triggers: missing, required"),
    ],
)
def test_mistakes_in_a_manifest(
    spec: dict[str, Any], fault: str, checkout: Path, schemas: Schemas
) -> None:
    file = checkout / "manifests" / "infrastructure" / "shop.yaml"
    whole = {**SCALED["spec"], **spec}
    kept = {key: value for key, value in whole.items() if value is not None}
    file.write_text(yaml.safe_dump({**SCALED, "spec": kept}))
    assert check_charts.manifests() == [file]
    (said,) = check_charts.manifest_faults(file, set(), schemas)
    assert str(said).startswith(f"manifests/infrastructure/shop.yaml: ScaledObject/shop: {fault}")


def test_a_patch_may_leave_out_what_is_required_but_names_no_unknown_field(
    checkout: Path, schemas: Schemas
) -> None:
    folder = checkout / "manifests" / "infrastructure"
    (folder / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        "patches: [{ path: patch.yaml }]\n"
    )
    file = folder / "patch.yaml"
    file.write_text(yaml.safe_dump({**SCALED, "spec": {"maxReplicaCount": 3, "minReplica": 1}}))
    (said,) = check_charts.manifest_faults(file, check_charts.patch_files(), schemas)
    assert said.field == "spec.minReplica"
    kustomization = folder / "kustomization.yaml"
    assert list(check_charts.manifest_faults(kustomization, set(), schemas)) == []


def test_pods_of_manifests_keep_the_baseline_and_broken_yaml_is_named(
    checkout: Path, schemas: Schemas
) -> None:
    file = checkout / "manifests" / "infrastructure" / "job.yaml"
    pod = {"containers": [{"name": "a", "image": "a:latest"}], "restartPolicy": "Never"}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
    file.write_text(yaml.safe_dump({**job, "spec": {"template": {"spec": pod}}}))
    said = {one.field for one in check_charts.manifest_faults(file, set(), schemas)}
    assert "spec.template.spec.containers[0].image" in said
    file.write_text("a: [")
    (broken,) = check_charts.manifest_faults(file, set(), schemas)
    assert str(broken).startswith("manifests/infrastructure/job.yaml: not valid YAML")


def test_the_repositorys_manifests_are_valid(schemas: Schemas) -> None:
    patches, files = check_charts.patch_files(), check_charts.manifests()
    assert len(files) > 50
    for file in files:
        assert list(check_charts.manifest_faults(file, patches, schemas)) == []


def test_the_repositorys_environments_are_sound(served: Served, schemas: Schemas) -> None:
    assert check_models.environments() == ["local", "production", "staging"]
    for environment in check_models.environments():
        report = check_models.check_environment(served.home, environment, schemas)
        assert report.faults == []


def said_of(served: Served, schemas: Schemas, environment: str = "local") -> str:
    report = check_models.check_environment(served.home, environment, schemas)
    return "\n".join(map(str, report.faults))


def test_mistakes_in_model_files_name_file_model_and_field(
    served: Served, schemas: Schemas
) -> None:
    router = served.file("router")
    text = router.read_text()
    router.write_text(text + "replica: 1\nimage: { tag: latest }\n")
    assert f"{router}: model/router: replica: unknown field" in said_of(served, schemas)
    router.write_text(text + "image: { tag: latest }\n")
    assert f"{router}: model/router: image.tag: latest moves" in said_of(served, schemas)
    router.write_text(text.replace(served.space, OTHER))
    assert f"{router}: local/router: space: router reads embedding space" in said_of(
        served, schemas
    )
    router.write_text(text.replace(DATASET, "e" * 16))
    assert f"{router}: local/router: dataset: router serves over" in said_of(served, schemas)
    router.write_text(text.replace(served.bundles["router"], OTHER))
    assert f"{router}: local/router: bundle: no bundle '{OTHER}'" in said_of(served, schemas)
    router.write_text("bundle: [\n")
    assert f"local/router: {router}: not valid YAML" in said_of(served, schemas)


def test_mistakes_in_the_repositorys_environments(
    served: Served, checkout: Path, schemas: Schemas
) -> None:
    edited(checkout / "manifests/models/staging/retrieval.yaml", {"space": OTHER})
    file = f"{checkout}/manifests/models/staging/retrieval.yaml"
    assert said_of(served, schemas, "staging").startswith(f"{file}: staging/retrieval: space: ")
    edited(checkout / "manifests/models/production/all.yaml", {"home": "/mnt"})
    found = said_of(served, schemas, "production")
    assert f"{checkout}/manifests/models/production/all.yaml: model/encoder: home: " in found
    (checkout / "manifests/models/staging/router.yaml").unlink()
    assert "no router is live in environment 'staging'" in said_of(served, schemas, "staging")


def test_an_empty_home_is_a_note_and_the_files_below_are_still_checked(
    served: Served, checkout: Path, schemas: Schemas
) -> None:
    for name in ("git", "checkout"):
        shutil.rmtree(served.home.root / name)
    report = check_models.check_environment(served.home, "local", schemas)
    assert report.faults == []
    assert "local/router: nothing is live in" in "\n".join(report.notes)
    edited(checkout / "manifests/models/local/all.yaml", {"image": {"tag": 1}})
    found = said_of(served, schemas)
    assert "manifests/models/local/all.yaml: model/router: image.tag: got number" in found


def test_compiled_pipelines_load_and_their_objects_are_valid(schemas: Schemas) -> None:
    for file in check_code.pipelines():
        assert list(check_code.pipeline_faults(file, schemas)) == []


def test_mistakes_in_compiled_pipelines(checkout: Path, schemas: Schemas) -> None:
    source = CHECKOUT / "pipelines" / "compiled"
    file = checkout / "pipelines" / "compiled" / "full_stack.yaml"
    text = (source / "full_stack.yaml").read_text()
    file.write_text(text.replace("image: tastemaker/train:0.1.0", "image: tastemaker/train", 1))
    (said,) = check_code.pipeline_faults(file, schemas)
    assert said.field.startswith("deploymentSpec.executors.")
    assert "neither a digest nor a tag" in said.rule
    file.write_text("components: {}\nroot: {}\n")
    (broken,) = check_code.pipeline_faults(file, schemas)
    assert str(broken).startswith("pipelines/compiled/full_stack.yaml: pipeline: kfp cannot load")
    objects = next(source.rglob("*.objects.yaml")).read_text()
    file.write_text(objects.replace("pipelineSpec:", "pipelineSpek:", 1))
    assert any("pipelineSpek" in str(one) for one in check_code.pipeline_faults(file, schemas))


@pytest.mark.slow
def test_feast_definitions_are_applied() -> None:
    assert list(check_code.feature_faults()) == []


def test_a_preset_that_nothing_reads_or_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty(Config):
        """Reads no key."""

    said = [str(one) for one in check_code.preset_faults({"encoder": Empty})]
    assert any("presets/router/tiny.yaml: preset router/tiny: nothing reads" in one for one in said)
    assert any("preset encoder/tiny: encoder preset 'tiny': unknown key" in one for one in said)


@pytest.mark.slow
def test_the_command_lists_every_fault_and_exits_with_1(
    served: Served, checkout: Path, schemas: Schemas
) -> None:
    for variant in sorted((checkout / "helm/model/ci").iterdir())[1:]:
        variant.unlink()
    clean = command(served, schemas)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert clean.stdout.endswith(" checked, 0 faults\n")
    assert "ok  models of staging" in clean.stdout
    edited(checkout / "helm/model/ci/encoder-values.yaml", {"replica": {}})
    edited(checkout / "manifests/models/staging/router.yaml", {"space": OTHER})
    broken = command(served, schemas, "--environment", "staging")
    assert broken.returncode == 1
    lines = broken.stdout.splitlines()
    assert lines[-1].endswith("2 faults"), broken.stdout
    assert lines[-3].startswith("helm/model/ci/encoder-values.yaml: model/encoder: replica: ")
    assert "manifests/models/staging/router.yaml: staging/router: space: " in lines[-2]
    assert "models of production" not in broken.stdout


def command(served: Served, schemas: Schemas, *words: str) -> subprocess.CompletedProcess[str]:
    named = {
        "TASTEMAKER_HOME": str(served.home.root),
        "TASTEMAKER_CRDS": str(schemas.folders[0]),
    }
    environment = {**os.environ, **named}
    return subprocess.run(
        [sys.executable, "-m", "tastemaker.cli", "check", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
