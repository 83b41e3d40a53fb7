"""Model files: what is live in an environment, as values of the chart `helm/model`.

helm/model/values.yaml                  the chart's defaults
manifests/models/base/<model>.yaml      common to every environment
manifests/models/<env>/all.yaml         common to the environment's models
.../models/<env>/<model>.yaml           the promoted file: bundle, dataset, space, canary

The promoted file is read from the checkout of the promotion repository (or the folder
TASTEMAKER_MANIFESTS), else from this repository. A cluster and a laptop render the same chart from
the same files, so whatever one refuses the other refuses too, in the same words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastemaker.core.errors import ConfigError, NotFound, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.deployment import charts
from tastemaker.deployment.root import find
from tastemaker.deployment.yaml_files import read_values
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import file_name, read_file
from tastemaker.promotion.model_file import FAMILIES, MODELS

CHART = "helm/model"
NAMESPACE = "tastemaker-models"


@dataclass(frozen=True)
class ModelFile:
    """One model of an environment.

    Attributes:
        name: encoder, retrieval, recommender or router; also its release's.
        sources: Values files in Helm's order with their content; the last is the promoted one.
    """

    name: str
    sources: tuple[charts.Source, ...]

    @property
    def values(self) -> dict[str, Any]:
        """All files merged as Helm merges them, over the chart's defaults."""
        return charts.effective(find(CHART), self.sources)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files, the promoted one last."""
        return tuple(name for name, _ in self.sources)

    @property
    def bundle(self) -> str:
        """Digest of the bundle that serves."""
        return str(self.values["bundle"])

    @property
    def dataset(self) -> str:
        """Digest of the dataset version that it serves over."""
        return str(self.values["dataset"])

    @property
    def space(self) -> str:
        """Digest of the embedding space that it reads."""
        return str(self.values["space"])

    def render(self) -> list[dict[str, Any]]:
        """The objects that a cluster gets.

        Raises:
            ConfigError: What the chart refuses: the file, the field and the rule.
        """
        return charts.render(find(CHART), self.sources, name=self.name, namespace=NAMESPACE)


@dataclass(frozen=True)
class Environment:
    """The models of an environment, by name."""

    name: str
    models: Mapping[str, ModelFile]

    def render(self, model: str) -> list[dict[str, Any]]:
        """One model's objects, as `ModelFile.render`."""
        return self.models[model].render()

    def check_agreement(self, model: str) -> None:
        """Refuse a model that does not belong to the environment's encoder.

        Raises:
            SpaceMismatch: It reads another space than the encoder writes.
            ConfigError: It serves over another dataset version.
        """
        encoder, file = self.models["encoder"], self.models[model]
        promoted = file.files[-1]
        if file.space != encoder.bundle:
            raise SpaceMismatch(
                f"{promoted}: space: {model}", expected=file.space, found=encoder.bundle
            )
        if file.dataset != encoder.dataset:
            raise ConfigError(
                f"{promoted}: dataset: {model} serves over dataset version {file.dataset}, but the "
                f"encoder ({encoder.files[-1]}) over {encoder.dataset}: all models of an "
                "environment serve one version"
            )

    def check_bundle(self, home: Home, model: str) -> None:
        """Refuse a bundle that the home does not hold, or that is not what its file says.

        Raises:
            NotFound: No such bundle, or one of another family.
            SpaceMismatch: It reads another space than its file says.
        """
        file = self.models[model]
        canary = file.values["canary"]["bundle"]
        for field, digest in (("bundle", file.bundle), ("canary.bundle", canary)):
            if not digest:
                continue
            where = f"{file.files[-1]}: {field}"
            try:
                bundle = load_bundle(home, digest, family=FAMILIES[model])
            except NotFound as error:
                raise NotFound(f"{where}: {error}") from None
            if model != "encoder" and file.space not in bundle.card.reads:
                reads = ", ".join(bundle.card.reads) or "(none)"
                raise SpaceMismatch(
                    f"{where}: {bundle.card.family} bundle {digest}",
                    expected=reads,
                    found=file.space,
                )


def load_environment(home: Home, environment: str) -> Environment:
    """Read an environment and refuse what a cluster or a server would refuse later.

    Args:
        home: Where the bundles lie, and the promoted files of a laptop.
        environment: Its name.

    Raises:
        NotFound: A model is not live, or its bundle is not in the home or of another family.
        ConfigError: The chart refuses a model's values, or the models disagree.
        SpaceMismatch: A model reads another space than the encoder writes.
    """
    read = read_environment(home, environment)
    for model in read.models:
        read.render(model)
    for model in read.models:
        read.check_agreement(model)
    for model in read.models:
        read.check_bundle(home, model)
    return read


def read_environment(home: Home, environment: str) -> Environment:
    """Read an environment's files, unchecked.

    Raises:
        NotFound: A model is not live.
        ConfigError: A file is missing or is not a mapping of values.
    """
    return Environment(environment, {one: read_model(home, environment, one) for one in MODELS})


def read_model(home: Home, environment: str, model: str) -> ModelFile:
    """Read one model's files, unchecked.

    Raises:
        NotFound: It is not live.
        ConfigError: A file is missing or is not a mapping of values.
    """
    promoted, text = _promoted(home, environment, model)
    if text is None:
        raise NotFound(
            f"no {model} is live in environment {environment!r} (no {promoted}); "
            "run `tastemaker pipeline run full_stack` first"
        )
    sources = common(home, environment, model)
    return ModelFile(model, (*sources, (promoted, read_values(text, where=promoted))))


def common(home: Home, environment: str, model: str) -> list[charts.Source]:
    """Everything below the promoted file. Bundles lie in `home` where no file says otherwise."""
    sources = charts.layers([find(f"manifests/models/base/{model}.yaml")])
    path, text = f"manifests/models/{environment}/all.yaml", read_file(home, environment, "all")
    if text is None:
        sources += charts.layers([find(path)])
    else:
        path = file_name(home, environment, "all")
        sources.append((path, read_values(text, where=path)))
    if not any("home" in values for _, values in sources):
        uri = home.location if home.store else home.root.as_uri()
        sources.append(("TASTEMAKER_HOME", {"home": uri}))
    return sources


def _promoted(home: Home, environment: str, model: str) -> tuple[str, str | None]:
    """The promoted file: the checkout's (or TASTEMAKER_MANIFESTS'), else this repository's."""
    name, text = file_name(home, environment, model), read_file(home, environment, model)
    if text is None:
        try:
            path: Path = find(f"manifests/models/{environment}/{model}.yaml")
        except ConfigError:
            return name, None
        return str(path), path.read_text()
    return name, text
