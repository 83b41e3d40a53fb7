"""What each environment tells Argo CD: pinned, ordered, confined, and pointing at what exists."""

import re
from typing import Any

import pytest

from tests.manifests.builds import (
    ENVIRONMENTS,
    ROOT,
    build,
    cluster,
    configs,
    expand,
    needs_kubectl,
    of_kind,
    sources,
    wave,
)

pytestmark = needs_kubectl
OURS = "https://git.example.com/tastemaker/tastemaker.git"
ROOT_APP = "tastemaker-root"
VERSION = re.compile(r"^v?\d+\.\d+\.\d+$")
environments = pytest.mark.parametrize("environment", ENVIRONMENTS)

# Which Application installs the CRDs of a group; a kind that Kubernetes has itself has no owner.
OWNERS = {
    "cert-manager.io": "cert-manager",
    "external-secrets.io": "external-secrets",
    "gateway.envoyproxy.io": "envoy-gateway-crds",
    "gateway.networking.k8s.io": "gateway-api-crds",
    "keda.sh": "keda",
    "kueue.x-k8s.io": "kueue",
    "monitoring.coreos.com": "prometheus-operator-crds",
    "ray.io": "kuberay",
    "serving.kserve.io": "kserve-crds",
}
BEFORE = [  # a controller, and what must be there when it starts
    ("cert-manager", "kserve"),
    ("cert-manager", "kserve-llmisvc"),
    ("cert-manager", "kubeflow-pipelines"),
    ("configs", "kube-prometheus-stack"),
    ("configs", "kubeflow-pipelines"),
    ("envoy-gateway", "envoy-ai-gateway"),
    ("gateway-api-crds", "envoy-gateway"),
    ("inference-extension-crds", "envoy-gateway"),
    ("kserve", "kserve-llmisvc"),
    ("kserve-llmisvc", "kserve-presets"),
    ("kuberay", "kueue"),
    ("kubeflow-pipelines-crds", "kubeflow-pipelines"),
    ("prometheus-operator-crds", "external-secrets"),
    ("tastemaker", "models"),
]


def applications(environment: str) -> dict[str, Any]:
    return of_kind(cluster(environment), "Application")


def models(environment: str) -> dict[str, Any]:
    return of_kind(cluster(environment), "ApplicationSet")["models"]


@environments
def test_only_argo_cd_objects_in_its_namespace(environment: str) -> None:
    assert {one["apiVersion"] for one in cluster(environment)} == {"argoproj.io/v1alpha1"}
    assert {one["metadata"]["namespace"] for one in cluster(environment)} == {"argocd"}


@environments
def test_the_repository_and_its_revisions_come_from_one_file(environment: str) -> None:
    text = str(cluster(environment))
    assert "from source.yaml" not in text
    assert "ENVIRONMENT" not in text
    named = [
        path
        for path in (ROOT / "manifests").rglob("*.yaml")
        if OURS in path.read_text() and path.parent.name == environment
    ]
    assert [str(path.relative_to(ROOT)) for path in named] == [
        f"manifests/clusters/{environment}/source.yaml"
    ]


@environments
def test_what_is_not_ours_is_pinned_to_a_version(environment: str) -> None:
    for name, application in applications(environment).items():
        for source in sources(application):
            if source["repoURL"] != OURS:
                assert VERSION.match(source["targetRevision"]), f"{name}: {source}"


def test_production_takes_controllers_from_a_tag_and_models_from_a_protected_branch() -> None:
    ours = {
        name: source["targetRevision"]
        for name, application in applications("production").items()
        for source in sources(application)
        if source["repoURL"] == OURS
    }
    moving = {name for name, revision in ours.items() if not VERSION.match(revision)}
    assert moving == {"tastemaker-root", "tastemaker"}
    template = models("production")["spec"]["template"]["spec"]["source"]
    assert {*(ours[name] for name in moving), template["targetRevision"]} == {"production"}


@environments
def test_chart_and_values_of_a_model_are_of_one_revision(environment: str) -> None:
    """Argo CD refuses two revisions of one repository in one Application."""
    spec = models(environment)["spec"]
    template = spec["template"]["spec"]
    assert "sources" not in template
    generator = spec["generators"][0]["git"]
    assert generator["revision"] == template["source"]["targetRevision"]
    assert generator["repoURL"] == template["source"]["repoURL"] == OURS


@environments
def test_every_path_that_an_application_names_exists(environment: str) -> None:
    every = [*applications(environment).values(), *expand(models(environment))]
    for application in every:
        for source in sources(application):
            helm = source.get("helm", {})
            files = [one.removeprefix("$values") for one in helm.get("valueFiles", [])]
            files += [one["path"] for one in helm.get("fileParameters", [])]
            for file in files:
                assert file.startswith("/"), file
                assert (ROOT / file[1:]).is_file(), file
            if source["repoURL"] == OURS and "path" in source:
                assert (ROOT / source["path"]).is_dir(), source["path"]


@environments
def test_each_controller_folder_is_used(environment: str) -> None:
    text = str(cluster(environment))
    for folder in (ROOT / "manifests" / "infrastructure" / "controllers").iterdir():
        if folder.is_dir():
            assert f"infrastructure/controllers/{folder.name}" in text, folder


@environments
def test_a_file_a_model_is_a_release_a_model(environment: str) -> None:
    folder = ROOT / "manifests" / "models" / environment
    names = {path.stem for path in folder.glob("*.yaml")} - {"all"}
    made = list(expand(models(environment)))
    assert {one["metadata"]["name"] for one in made} == {f"model-{name}" for name in names}
    for one in made:
        helm = one["spec"]["source"]["helm"]
        name = helm["releaseName"]
        assert helm["valueFiles"] == [
            f"/manifests/models/base/{name}.yaml",
            f"/manifests/models/{environment}/all.yaml",
            f"/manifests/models/{environment}/{name}.yaml",
        ]


@environments
def test_waves_are_in_order(environment: str) -> None:
    waves = {name: wave(one) for name, one in applications(environment).items() if name != ROOT_APP}
    waves["models"] = wave(models(environment))
    assert waves.pop("namespaces") == 0 < min(waves.values())
    for first, then in BEFORE:
        assert waves[first] < waves[then], f"{first} must come before {then}"
    for one in configs(environment):
        group = one["apiVersion"].rpartition("/")[0]
        if group in OWNERS:
            assert waves[OWNERS[group]] < waves["configs"], f"{one['kind']} needs {OWNERS[group]}"
    assert waves["configs"] < waves["tastemaker"] < waves["models"]


@environments
def test_all_is_kept_equal_to_git_but_crds_are_never_pruned(environment: str) -> None:
    for name, one in applications(environment).items():
        automated = one["spec"]["syncPolicy"]["automated"]
        crds = one["metadata"].get("labels", {}).get("tastemaker.dev/holds") == "crds"
        assert automated == {"prune": not crds, "selfHeal": True}, name
        assert one["spec"]["syncPolicy"]["retry"]["limit"] > 0, name
        assert "ServerSideApply=true" in one["spec"]["syncPolicy"]["syncOptions"], name


@environments
def test_projects_allow_what_is_used_and_no_more(environment: str) -> None:
    projects = of_kind(cluster(environment), "AppProject")
    used: dict[str, set[tuple[str, str]]] = {name: set() for name in projects}
    repositories: dict[str, set[str]] = {name: set() for name in projects}
    for one in [*applications(environment).values(), models(environment)["spec"]["template"]]:
        project, destination = one["spec"]["project"], one["spec"]["destination"]
        used[project].add((destination["server"], destination["namespace"]))
        repositories[project] |= {source["repoURL"] for source in sources(one)}
    for name, project in projects.items():
        spec = project["spec"]
        assert set(spec["sourceRepos"]) == repositories[name], name
        allowed = {(one["server"], one["namespace"]) for one in spec["destinations"]}
        assert used[name] <= allowed, name
        assert not any("*" in part for pair in allowed for part in pair), name
    assert projects["tastemaker"]["spec"]["clusterResourceWhitelist"] == []
    assert projects[ROOT_APP]["spec"]["clusterResourceWhitelist"] == []


@environments
def test_destinations_are_declared_namespaces(environment: str) -> None:
    declared = of_kind(build("manifests/infrastructure/controllers/namespaces"), "Namespace")
    given = {"argocd", "kube-system"}  # by Argo CD's installation, and by Kubernetes
    for one in cluster(environment):
        if one["kind"] == "AppProject":
            wanted = {entry["namespace"] for entry in one["spec"]["destinations"]}
            assert wanted <= set(declared) | given, wanted


def test_bootstrap_selects_the_root_and_its_project() -> None:
    first = [
        (one["kind"], one["metadata"]["name"])
        for one in cluster("production")
        if one["metadata"].get("labels", {}).get("tastemaker.dev/bootstrap") == "true"
    ]
    assert sorted(first) == [("AppProject", ROOT_APP), ("Application", ROOT_APP)]
