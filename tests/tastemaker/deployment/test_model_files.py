"""Model files: one description for a laptop and a cluster, refused in the same words."""

from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError, NotFound, SpaceMismatch
from tastemaker.deployment import charts
from tastemaker.deployment.model_files import MODELS, load_environment, read_environment
from tests.tastemaker.deployment.conftest import CHECKOUT, DATASET, FAMILIES, Served

OTHER = "aaaa1111bbbb2222"


def test_an_environment_is_read_from_base_all_and_promoted(served: Served) -> None:
    found = load_environment(served.home, "local")
    assert set(found.models) == set(MODELS)
    for model, file in found.models.items():
        assert (file.bundle, file.dataset) == (served.bundles[model], DATASET)
        assert file.space == served.space
        assert file.values["model"] == model
        assert file.values["home"] == served.home.root.as_uri()
        assert file.values["startupSeconds"] == 600  # the chart's default
        assert [Path(one).name for one in file.files] == [
            f"{model}.yaml",
            "all.yaml",
            "TASTEMAKER_HOME",
            f"{model}.yaml",
        ]
    kinds = {model: found.render(model)[0]["kind"] for model in MODELS}
    assert set(kinds.values()) == {"InferenceService", "LLMInferenceService"}
    assert kinds["router"] == "LLMInferenceService"


def test_the_promoted_file_wins(served: Served) -> None:
    with served.file("retrieval").open("a") as file:
        file.write("startupSeconds: 33\nresources: { limits: { cpu: '7' } }\n")
    values = load_environment(served.home, "local").models["retrieval"].values
    assert values["startupSeconds"] == 33
    assert values["resources"]["limits"] == {"cpu": "7", "memory": "2Gi"}


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_environments_of_the_repository_are_accepted_by_the_chart(
    environment: str, served: Served
) -> None:
    found = read_environment(served.home, environment)
    for model in MODELS:
        assert found.render(model)
        found.check_agreement(model)
        assert found.models[model].files[-1].startswith(str(CHECKOUT))
        assert found.models[model].values["home"].startswith("s3://")


def test_what_the_chart_refuses_is_refused_here_in_the_same_words(served: Served) -> None:
    with served.file("router").open("a") as file:
        file.write("replica: { min: 2 }\n")
    with pytest.raises(ConfigError) as caught:
        load_environment(served.home, "local")
    fault = "model/router: replica: unknown field; did you mean 'replicas'?"
    assert str(caught.value) == f"{served.file('router')}: {fault}"
    values = read_environment(served.home, "local").models["router"].sources
    with pytest.raises(ConfigError) as cluster:
        charts.render(CHECKOUT / "helm" / "model", values, name="router")
    assert str(cluster.value) == str(caught.value)


def test_a_model_that_is_not_live(served: Served) -> None:
    served.file("recommender").unlink()
    with pytest.raises(NotFound, match=r"no recommender is live in environment 'local' \(no .*"):
        load_environment(served.home, "local")


@pytest.mark.parametrize("model", list(FAMILIES))
def test_two_spaces_never_mix(model: str, served: Served) -> None:
    served.promote(model, served.make(FAMILIES[model], OTHER), space=OTHER)
    with pytest.raises(SpaceMismatch) as caught:
        load_environment(served.home, "local")
    assert str(caught.value).startswith(f"{served.file(model)}: space: {model}")
    assert OTHER in str(caught.value)
    assert served.space in str(caught.value)


def test_a_bundle_of_another_space_than_its_file_says(served: Served) -> None:
    bundle = served.make("index", OTHER)
    served.promote("retrieval", bundle)
    with pytest.raises(SpaceMismatch, match=rf"retrieval.yaml: bundle: index bundle {bundle}"):
        load_environment(served.home, "local")


def test_two_datasets_never_mix(served: Served) -> None:
    served.promote("router", served.bundles["router"], dataset="e" * 16)
    with pytest.raises(ConfigError, match=r"router.yaml: dataset: router serves over .*e{16}"):
        load_environment(served.home, "local")


def test_a_bundle_that_is_gone_or_of_another_family(served: Served) -> None:
    served.promote("recommender", OTHER)
    with pytest.raises(NotFound, match=rf"recommender.yaml: bundle: no bundle '{OTHER}'"):
        load_environment(served.home, "local")
    served.promote("recommender", served.bundles["retrieval"])
    with pytest.raises(NotFound, match="is of family 'index', not 'sequence'"):
        load_environment(served.home, "local")


def test_a_canary_must_be_there_too(served: Served) -> None:
    with served.file("recommender").open("a") as file:
        file.write(f'canary: {{ bundle: "{OTHER}", space: "{served.space}", weight: 5 }}\n')
    with pytest.raises(NotFound, match=r"recommender.yaml: canary.bundle: no bundle"):
        load_environment(served.home, "local")


def test_manifests_of_another_folder(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    monkeypatch.setenv("TASTEMAKER_MANIFESTS", str(folder))
    (folder / "models").mkdir(parents=True)
    home = served.home.root / "checkout" / "current" / "models" / "local"
    home.rename(folder / "models" / "local")
    (folder / "models" / "local" / "all.yaml").write_text(
        "image: { tag: 9.9.9 }\nrouter: { tls: { enabled: false } }\n"
    )
    file = load_environment(served.home, "local").models["router"]
    assert file.values["image"]["tag"] == "9.9.9"
    assert file.files[-1] == str(folder / "models" / "local" / "router.yaml")
