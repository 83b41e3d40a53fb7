"""The plan of an encoder upgrade: what must be made anew in its space, and what that takes.

Another encoder writes another space, so everything that reads vectors is made again from the same
data with the settings of what is live: embeddings, index, user model, dialogues (their item and
user tokens), router (its projector), features (user and session embeddings). What a step would
make is looked for by its inputs and settings, so a plan that is made again after a step, or after
a run that was killed, goes on from there. Costs are those that this home measured for what is live.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from tastemaker.core import digests
from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset
from tastemaker.features.config import current
from tastemaker.jobs.upgrade_costs import Cost, Measured
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import MODELS, Live, get_live


@dataclass(frozen=True)
class PlannedStep:
    """One step.

    Attributes:
        step: Function of `steps`.
        role: What it makes: dataset, index, sequence, dialogues, router, features,
            `evidence of <model>`, or live.
        arguments: Of the function; empty texts are made by steps before it.
        made: Digest of what is there already; empty: it has to be made.
        cost: None where this home never measured it.
    """

    step: str
    role: str
    arguments: Mapping[str, str]
    made: str = ""
    cost: Cost | None = None


@dataclass(frozen=True)
class Plan:
    """The steps in their order.

    Attributes:
        encoder: Digest of the encoder that is to be live.
        environment: Where.
        steps: All of them, done or not.
        num_items: That are embedded.
        num_users: Whose features are made.
    """

    encoder: str
    environment: str
    steps: tuple[PlannedStep, ...]
    num_items: int
    num_users: int

    @property
    def to_do(self) -> list[PlannedStep]:
        """Steps whose result is not there."""
        return [step for step in self.steps if not step.made]

    def made(self, role: str) -> str:
        """Digest of what a step made; empty: not yet."""
        return next(step.made for step in self.steps if step.role == role)


def make(home: Home, encoder: str, environment: str, gates: str = "default") -> Plan:
    """Plan an upgrade.

    Args:
        home: Holds the encoder and what is live.
        encoder: Digest of the encoder bundle.
        environment: Where it is to become live.
        gates: Preset of each family's thresholds.

    Raises:
        NotFound: The home lacks the encoder, or nothing is live there.
    """
    live = {model: get_live(home, environment, model) for model in MODELS}
    load_bundle(home, encoder, family="encoder")
    base = load_dataset(home, live["encoder"].dataset)
    steps = tuple(_Planner(home, encoder, environment, gates, live, base).steps())
    generation = _generation(home)
    users = base.notes.get("users", 0) if generation else 0
    return Plan(encoder, environment, steps, base.tables["items"].rows, int(users or 0))


@dataclass(frozen=True)
class _Planner:
    home: Home
    encoder: str
    environment: str
    gates: str
    live: Mapping[str, Live]
    base: Dataset

    def steps(self) -> Iterator[PlannedStep]:
        """Each step, with what is there of it."""
        encoder, now = self.encoder, self._bundles_now()
        dataset, dim = self._embedded(), int(self._card(encoder)["config"].get("dim", 0))
        given = {"dataset": self.base.digest, "encoder": encoder}
        yield PlannedStep(
            "precompute_embeddings", "dataset", given, dataset, self._measured.embeddings(dim)
        )
        given = {"dataset": dataset, "encoder": encoder}
        settings = self._settings_of(now["retrieval"])
        index = self._bundle("index", given, settings)
        yield self._step("build_index", "index", given | {"settings": settings}, index, "retrieval")
        settings = self._settings_of(now["recommender"])
        sequence = self._bundle("sequence", given, settings)
        given |= {"settings": settings}
        yield self._step("train_sequence", "sequence", given, sequence, "recommender")
        before = self._card(now["router"])["parents"]["dialogues"]
        settings = self._settings_of(before, "dialogues")
        given = {"dataset": dataset, "encoder": encoder, "sequence": sequence}
        dialogues = self._dialogues(given, settings)
        given |= {"settings": settings}
        cost = self._measured.step("make_dialogues", before, "dialogues")
        yield PlannedStep("make_dialogues", "dialogues", given, dialogues, cost)
        settings = self._settings_of(now["router"])
        router = self._bundle("router", {"dialogues": dialogues}, settings)
        given = {"dialogues": dialogues, "settings": settings}
        yield self._step("train_router", "router", given, router, "router")
        yield from self._gates_and_promotion(dataset, index, sequence, router)

    def _gates_and_promotion(
        self, dataset: str, index: str, sequence: str, router: str
    ) -> Iterator[PlannedStep]:
        made = {"encoder": self.encoder, "index": index, "sequence": sequence, "router": router}
        roles = dict(zip(MODELS, made, strict=True))
        wanted = {m: Live(made[roles[m]], dataset, self.encoder) for m in MODELS}
        done = all(made.values()) and wanted == self.live
        for model in MODELS:
            given = {"model": model, "bundle": made[roles[model]], "dataset": dataset, **made}
            given |= {"environment": self.environment, "preset": self.gates}
            # evidence that is fresh is found again by the gate itself, in no time
            yield PlannedStep(
                "gate",
                f"evidence of {model}",
                given,
                "live" if done else "",
                self._measured.gate(model),
            )
        generation, features = _generation(self.home), ""
        if generation and (generation["dataset"], generation["sequence"]) == (dataset, sequence):
            features = str(generation["tables"])
        given = {"dataset": dataset, "sequence": sequence}
        before = str(generation["tables"]) if generation else ""
        cost = self._measured.step("materialise_features", before, "features")
        yield PlannedStep("materialise_features", "features", given, features, cost)
        given = {"dataset": dataset, **made, "features": features, "environment": self.environment}
        yield PlannedStep("promote", "live", given, "live" if done else "", Cost(1.0, 1.0, 4096))

    def _step(
        self, step: str, role: str, given: Mapping[str, str], made: str, model: str
    ) -> PlannedStep:
        cost = self._measured.step(step, self._bundles_now()[model], "bundles")
        return PlannedStep(step, role, given, made, cost)

    @cached_property
    def _measured(self) -> Measured:
        return Measured(self.home, self.base)

    def _bundles_now(self) -> dict[str, str]:
        return {model: one.bundle for model, one in self.live.items()}

    def _embedded(self) -> str:
        """A version that is the base with the encoder's vectors."""
        if self.encoder in self.base.spaces.values():
            return self.base.digest
        for name in self.home.names("datasets"):
            if name.endswith(".yaml"):
                found = yaml.safe_load(self.home.read_text("datasets", name) or "{}")
                own = self.encoder in found.get("spaces", {}).values()
                if own and found.get("parents") == [self.base.digest]:
                    return name.removesuffix(".yaml")
        return ""

    def _bundle(self, family: str, parents: Mapping[str, str], settings: str) -> str:
        """A bundle of these parents and settings; empty where a parent is not there yet."""
        if not all(parents.values()):
            return ""
        for digest in self.home.names("bundles"):
            card = self._card(digest)
            same = parents.items() <= card.get("parents", {}).items()
            if card.get("family") == family and same and _settings(card["config"]) == settings:
                return digest
        return ""

    def _dialogues(self, parents: Mapping[str, str], settings: str) -> str:
        if not all(parents.values()):
            return ""
        for digest in self.home.names("dialogues"):
            meta = self._meta(digest)
            if meta.get("parents") == parents and _settings(meta["config"]) == settings:
                return digest
        return ""

    def _card(self, digest: str) -> dict[str, Any]:
        """What a bundle says of itself; its weights are neither fetched nor read."""
        text = self.home.read_text("bundles", digest, "bundle.yaml")
        found: dict[str, Any] = yaml.safe_load(text or "{}")
        return found

    def _meta(self, digest: str) -> dict[str, Any]:
        text = self.home.read_text("dialogues", digest, "meta.json")
        found: dict[str, Any] = json.loads(text or "{}")
        return found

    def _settings_of(self, digest: str, kind: str = "bundles") -> str:
        found = self._card(digest) if kind == "bundles" else self._meta(digest)
        if not found:
            raise NotFound(f"{kind}/{digest} is gone: the settings of what is live are not known")
        return _settings(found["config"])


def _settings(config: Mapping[str, Any]) -> str:
    return digests.canonical_json(config)


def _generation(home: Home) -> dict[str, Any] | None:
    try:
        return vars(current(home))
    except NotFound:
        return None
