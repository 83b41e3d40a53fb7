"""Evaluate a user model against popularity, co-visitation and mean embedding; write its report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tastemaker.core.errors import DataError
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation.cases import Outcomes, mean, outcomes
from tastemaker.evaluation.intervals import of_paired_gain
from tastemaker.evaluation.report import Report, bars, curve, lines
from tastemaker.evaluation.sequence import (
    covisitation,
    covisitation_scores,
    first_k_mass,
    hit_rate,
    ndcgs,
    popularity_scores,
    ranks,
    reliability,
)
from tastemaker.evaluation.tracking import record
from tastemaker.promotion.bundle import load_bundle
from tastemaker.sequence.batches import training_part
from tastemaker.sequence.histories import History, histories
from tastemaker.sequence.recommender import Recommender, load_sequence
from tastemaker.sequence.shop import Shop

K = 10
BASELINES = ("popularity", "covisitation", "mean_embedding")
LENGTHS = (0, 20, 40, 80)  # events of a history: where a group of users begins


@dataclass(frozen=True)
class Judged:
    """The users of one split with a target, and where each method ranks it (0 = first)."""

    cases: Sequence[tuple[History, int]]
    ranks: Mapping[str, np.ndarray]
    mass: np.ndarray  # probability that the model gives to its first K, per user


def run(home: Home, dataset: str, sequence: str) -> str:
    """Leave-one-out over all items: the last positive event of each user is the target.

    Args:
        home: Where to.
        dataset: Dataset version with events; it may hold items that the bundle does not know.
        sequence: Sequence bundle; it brings its item vectors along, of whichever space.

    Returns:
        Digest of the metrics.

    Raises:
        DataError: No user has a test event.
    """
    bundle = load_bundle(home, sequence, family="sequence")
    data = load_dataset(home, dataset)
    recommender = load_sequence(bundle.path)
    pictures = _pictures(data.read("items", ["item_id", "image"]))
    shop = Shop(recommender, list(pictures))
    users = histories(data.read("events"), shop.item_ids)
    judged = {}
    for split, back in (("val", 2), ("test", 1)):
        cases = [case for user in users if (case := user.held_out(back))]
        if not cases:
            raise DataError(f"dataset version {dataset}: no user has a {split} event")
        judged[split] = _judge(shop, users, cases)
    # the strongest on the very users that are compared: that choice can only work against us
    best = max(BASELINES, key=lambda method: hit_rate(judged["test"].ranks[method], K))
    metrics = _metrics(judged, best)
    report = _report(data.name, bundle.path, judged, metrics, best)
    shown = _examples(recommender, judged["test"].cases, pictures)
    report.images("History (last 6) and what follows, best first", shown)
    return record(
        home,
        bundle_digest=sequence,
        family="sequence",
        dataset=dataset,
        metrics=metrics,
        cases=_cases(judged),
        params=bundle.card.config,
        report_html=report.html(),
    )


def _ranks(
    shop: Shop, scores: np.ndarray, targets: np.ndarray, seen: Sequence[np.ndarray]
) -> np.ndarray:
    """Ranks of the targets; one that the model does not know comes last of all."""
    known = targets < shop.num_known
    found = np.full(len(targets), float(len(shop.item_ids)))
    some = [met for met, there in zip(seen, known, strict=True) if there]
    found[known] = ranks(scores[known], targets[known], some)
    return found


def _judge(shop: Shop, users: Sequence[History], held_out: Sequence[tuple[History, int]]) -> Judged:
    recommender, num_items = shop.recommender, shop.num_known
    cases = [(shop.read(history), target) for history, target in held_out]
    training = [shop.read(training_part(user)) for user in users]
    liked = [user.items[user.positives()] for user in training]
    seen = [np.concatenate([history.items, shop.gone]) for history, _ in cases]
    past = [history.items[history.positives()] for history, _ in cases]
    targets = np.array([target for _, target in cases])
    vectors = recommender.items_NE.numpy()
    recent = [vectors[p[-20:]].sum(0) / max(1, len(p[-20:])) for p in past]
    scored = {
        "model": recommender.scores([history for history, _ in cases]),
        "popularity": np.tile(popularity_scores(liked, num_items), (len(cases), 1)),
        "covisitation": covisitation_scores(covisitation(liked, num_items), past),
        "mean_embedding": np.stack([mean_E @ vectors.T for mean_E in recent]),
    }
    return Judged(
        cases=cases,
        ranks={method: _ranks(shop, scores, targets, seen) for method, scores in scored.items()},
        mass=first_k_mass(scored["model"], seen, K),
    )


def _cases(judged: Mapping[str, Judged]) -> dict[str, Outcomes]:
    cases: dict[str, Outcomes] = {}
    for split, found in judged.items():
        users = [history.user_id for history, _ in found.cases]
        for method, at in found.ranks.items():
            cases[f"{split}_hr@{K}_{method}"] = outcomes(users, at < K)
            cases[f"{split}_ndcg@{K}_{method}"] = outcomes(users, ndcgs(at, K))
    return cases


def _metrics(judged: Mapping[str, Judged], best: str) -> dict[str, float]:
    metrics = {name: mean(found) for name, found in _cases(judged).items()}
    test = judged["test"]
    gain = of_paired_gain(test.ranks["model"] < K, test.ranks[best] < K)
    metrics[f"test_hr@{K}_gain_low"], metrics[f"test_hr@{K}_gain_high"] = gain.low, gain.high
    metrics["num_test_users"] = len(test.cases)
    return metrics


def _report(
    name: str, folder: Path, judged: Mapping[str, Judged], metrics: Mapping[str, float], best: str
) -> Report:
    test = judged["test"]
    hits = {method: hit_rate(at, K) for method, at in test.ranks.items()}
    report = Report(f"User model {folder.name}")
    report.text(
        f"{len(test.cases)} users of {name}; the last positive event of each is the target, "
        "ranked among all items of the catalogue that the user has not met; the one before it is "
        f"val. On test HR@{K} is {hits['model']:.3f}, against {hits[best]:.3f} of {best}, the "
        "strongest baseline there; the difference is between "
        f"{metrics[f'test_hr@{K}_gain_low']:+.3f} "
        f"and {metrics[f'test_hr@{K}_gain_high']:+.3f} (95%, users drawn anew)."
    )
    report.table("Next item", [_row(method, metrics) for method in test.ranks])
    report.plot(f"HR@{K} on test", bars(hits, f"HR@{K}"))
    report.plot(
        "Hit rate by length of the list, test",
        lines(
            {m: [(k, hit_rate(at, k)) for k in range(1, 51)] for m, at in test.ranks.items()},
            "length of the list",
            "hit rate",
        ),
    )
    report.table(f"HR@{K} on test by events in the history", _by_length(test))
    points = reliability(test.mass, test.ranks["model"] < K)
    edge = max(max(predicted, observed) for predicted, observed in points)
    report.plot(
        f"Calibration on test: what the model gives its first {K}, and how often they hold the "
        "target (fifths of the users)",
        lines(
            {"model": points, "calibrated": [(0.0, 0.0), (edge, edge)]},
            "probability given",
            "share of users",
            marker="o",
        ),
    )
    losses = json.loads((folder / "curve.json").read_text())
    report.plot("Training loss", curve(losses, "nats"))
    return report


def _row(method: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    figures = {
        f"{split} {label}": metrics[f"{split}_{label.lower()}_{method}"]
        for split in ("test", "val")
        for label in (f"HR@{K}", f"NDCG@{K}")
    }
    return {"method": method, **figures}


def _by_length(found: Judged) -> list[dict[str, Any]]:
    lengths = np.array([len(history.items) for history, _ in found.cases])
    rows = []
    for begin, end in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        among = (lengths >= begin) & (lengths < (end if end is not None else np.inf))
        if among.any():
            rates = {method: hit_rate(at[among], K) for method, at in found.ranks.items()}
            label = f"{begin} to {end - 1}" if end is not None else f"{begin} or more"
            rows.append({"events": label, "users": int(among.sum()), **rates})
    return rows


def _pictures(items: pa.Table) -> dict[str, bytes]:
    return dict(zip(items["item_id"].to_pylist(), items["image"].to_pylist(), strict=True))


def _examples(
    recommender: Recommender, cases: Sequence[tuple[History, int]], pictures: Mapping[str, bytes]
) -> list[tuple[str, list[bytes]]]:
    rows = []
    for history, _ in cases[:: max(1, len(cases) // 5)][:5]:
        past = [recommender.item_ids[row] for row in history.items[history.positives()][-6:]]
        best = [item for item, _ in recommender.recommend(history, 6)]
        for label, items in ((f"{history.user_id} liked", past), ("and is offered", best)):
            rows.append((label, [pictures[item] for item in items if item in pictures]))
    return rows
