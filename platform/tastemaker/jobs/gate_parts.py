"""What a bundle has to fit: everything else that is live, or promoted in the same set."""

import json
from collections.abc import Mapping

import pyarrow.parquet as pq

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation import compatibility
from tastemaker.evaluation.compatibility import Part
from tastemaker.evaluation.gates import Verdict
from tastemaker.features import config as features
from tastemaker.promotion.bundle import Bundle, load_bundle
from tastemaker.promotion.environment import MODELS, get_live


def live_bundle(home: Home, environment: str, model: str) -> str:
    """Digest of what is live; "" where nothing is."""
    try:
        return get_live(home, environment, model).bundle
    except NotFound:
        return ""


def others(home: Home, environment: str, model: str, beside: Mapping[str, str]) -> dict[str, str]:
    """Bundles by model that a candidate will be live beside.

    Args:
        home: Where everything lives.
        environment: Where it is to be live.
        model: The candidate's.
        beside: What is promoted in the same set; takes the place of what is live.
    """
    found = {one: beside.get(one) or live_bundle(home, environment, one) for one in MODELS}
    return {one: bundle for one, bundle in found.items() if bundle and one != model}


def check(
    home: Home, model: str, candidate: Bundle, dataset: str, beside: Mapping[str, str], in_set: bool
) -> list[Verdict]:
    """Verdicts on how a bundle fits.

    Args:
        home: Where everything lives.
        model: The candidate's.
        candidate: The bundle.
        dataset: The version that it is to serve over.
        beside: Of `others`.
        in_set: Its encoder or its recommender is promoted with it.

    Raises:
        NotFound: A bundle beside it, or the dataset version, is gone.
    """
    data = load_dataset(home, dataset)
    part = part_of(model, candidate)
    parts = {one: part_of(one, load_bundle(home, digest)) for one, digest in beside.items()}
    items = frozenset(data.read("items", ["item_id"])["item_id"].to_pylist())
    verdicts = compatibility.check(part, parts, held=set(data.spaces.values()), items=items)
    return verdicts + compatibility.features(part, *live_features(home), in_set=in_set)


def live_features(home: Home) -> tuple[str, str]:
    """Encoder and sequence bundle that the live features are of; "" where there are none."""
    try:
        live = features.current(home)
    except NotFound:
        return "", ""
    return live.encoder, live.sequence


def part_of(model: str, bundle: Bundle) -> Part:
    """A bundle as far as others have to fit it."""
    card = bundle.card
    space = bundle.digest if card.writes_space else "".join(card.reads)
    return Part(model, bundle.digest, space, card.parents.get("sequence", ""), _items(bundle))


def _items(bundle: Bundle) -> frozenset[str] | None:
    if bundle.card.family == "index":
        table = pq.read_table(bundle.path / "items.parquet", columns=["item_id"])
        return frozenset(table["item_id"].to_pylist())
    if bundle.card.family == "sequence":
        return frozenset(json.loads((bundle.path / "item_ids.json").read_text()))
    return None
