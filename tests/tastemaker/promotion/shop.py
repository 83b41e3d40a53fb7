"""Homes with small bundles, evidence signed by the home's own key, and model files put in place."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tastemaker.core.home import Home
from tastemaker.promotion import checkout, evidence, signing
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.environment import read_file
from tastemaker.promotion.model_file import FAMILIES, Live, with_live
from tastemaker.promotion.repository import open_repository, path_of

DATASET = "d" * 16


def make_bundle(home: Home, model: str, space: str = "", salt: str = "") -> str:
    """A bundle without weights; an encoder writes its own space."""
    card = Card(
        family=FAMILIES[model],
        config={"salt": salt},
        parents={},
        reads=(space,) if space else (),
        writes_space=model == "encoder",
    )
    return write_bundle(home, card, lambda folder: None).digest


def make_set(home: Home, salt: str = "", dataset: str = DATASET) -> dict[str, Live]:
    """Four bundles of one space."""
    space = make_bundle(home, "encoder", salt=salt)
    bundles = {"encoder": space}
    for model in ("retrieval", "recommender", "router"):
        bundles[model] = make_bundle(home, model, space, salt)
    return {model: Live(bundle, dataset, space) for model, bundle in bundles.items()}


def signed(
    home: Home, model: str, live: Live, baseline: str = "", environment: str = "local", **more: Any
) -> str:
    """Evidence of a bundle as one line."""
    passed = more.get("passed", True)
    gate = evidence.Gate(name="floor:hr", rule="at least", value=0.3, bound=0.2, passed=passed)
    fields: dict[str, Any] = {
        "model": model,
        "family": FAMILIES[model],
        "bundle": live.bundle,
        "environment": environment,
        "dataset": live.dataset,
        "space": live.space,
        "baseline": baseline,
        "metrics": {"hr": evidence.Metric(value=0.3, low=0.25, high=0.35, cases=100)},
        "gates": (gate,),
        "passed": passed,
        "code_version": "0.1.0",
        "created": evidence.utc_now(),
    }
    return evidence.sign(evidence.Evidence(**{**fields, **more}), signing.private_key(home))


def signed_set(
    home: Home, live: Mapping[str, Live], before: Mapping[str, Live] | None = None
) -> list[str]:
    """Evidence of each model of a set."""
    then = {model: one.bundle for model, one in (before or {}).items()}
    return [signed(home, model, one, then.get(model, "")) for model, one in live.items()]


def write_live(home: Home, environment: str, model: str, live: Live) -> None:
    """Put a bundle into a model file without proof, as no promotion could."""
    text = read_file(home, environment, model) or ""
    write_file(home, environment, model, with_live(text, live))


def write_file(home: Home, environment: str, model: str, text: str | None) -> None:
    """Put a model file in place without proof; None removes it."""
    if folder := os.environ.get("TASTEMAKER_MANIFESTS"):
        path = Path(folder, "models", environment, f"{model}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True) if text is None else path.write_text(text)
        return
    repository = open_repository(home)
    head = repository.fetch()
    commit = repository.git.commit(head, {path_of(environment, model): text}, "By a test\n")
    repository.git.run("update-ref", f"refs/heads/{repository.branch}", commit, head)
    checkout.update(home)
