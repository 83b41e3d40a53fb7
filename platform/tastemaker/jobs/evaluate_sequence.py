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
from tastemaker.evaluation.report import Report, bars, curve, lines
from tastemaker.evaluation.sequence import (
    covisitation,
    covisitation_scores,
    first_k_mass,
    hit_rate,
    ndcg,
    paired_interval,
    popularity_scores,
    ranks,
    reliability,
)
from tastemaker.evaluation.tracking import record
from tastemaker.promotion.bundle import load_bundle
from tastemaker.sequence.batches import training_part
from tastemaker.sequence.histories import History, histories
from tastemaker.sequence.recommender import Recommender, load_sequence

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

    Returns:
        Digest of the metrics.

    Raises:
        DataError: No user has a test event.
    """
    bundle = load_bundle(home, sequence, family="sequence")
    data = load_dataset(home, dataset)
    recommender = load_sequence(bundle.path)
    users = histories(data.read("events"), recommender.item_ids)
    judged = {}
    for split, back in (("val", 2), ("test", 1)):
        cases = [case for user in users if (case := user.held_out(back))]
        if not cases:
            raise DataError(f"dataset version {dataset}: no user has a {split} event")
        judged[split] = _judge(recommender, users, cases)
    # the strongest on the very users that are compared: that choice can only work against us
    best = max(BASELINES, key=lambda method: hit_rate(judged["test"].ranks[method], K))
    metrics = _metrics(judged, best)
    report = _report(data.name, bundle.path, judged, metrics, best)
    pictures = _examples(recommender, judged["test"].cases, data.read("items", ["image"]))
    report.images("History (last 6) and what follows, best first", pictures)
    return record(
        home,
        bundle_digest=sequence,
        family="sequence",
        metrics=metrics,
        params=bundle.card.config,
        report_html=report.html(),
    )


def _judge(
    recommender: Recommender, users: Sequence[History], cases: Sequence[tuple[History, int]]
) -> Judged:
    training = [training_part(user) for user in users]
    liked = [user.items[user.positives()] for user in training]
    num_items = len(recommender.item_ids)
    seen = [history.items for history, _ in cases]
    past = [history.items[history.positives()] for history, _ in cases]
    targets = np.array([target for _, target in cases])
    vectors = recommender.items_NE.numpy()
    scored = {
        "model": recommender.scores([history for history, _ in cases]),
        "popularity": np.tile(popularity_scores(liked, num_items), (len(cases), 1)),
        "covisitation": covisitation_scores(covisitation(liked, num_items), past),
        "mean_embedding": np.stack([vectors[p[-20:]].mean(0) @ vectors.T for p in past]),
    }
    return Judged(
        cases=cases,
        ranks={method: ranks(scores, targets, seen) for method, scores in scored.items()},
        mass=first_k_mass(scored["model"], seen, K),
    )


def _metrics(judged: Mapping[str, Judged], best: str) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for split, found in judged.items():
        for method, at in found.ranks.items():
            metrics[f"{split}_hr@{K}_{method}"] = hit_rate(at, K)
            metrics[f"{split}_ndcg@{K}_{method}"] = ndcg(at, K)
    test = judged["test"]
    low, high = paired_interval(test.ranks["model"] < K, test.ranks[best] < K, seed=0)
    metrics[f"test_hr@{K}_gain_low"], metrics[f"test_hr@{K}_gain_high"] = low, high
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


def _examples(
    recommender: Recommender, cases: Sequence[tuple[History, int]], items: pa.Table
) -> list[tuple[str, list[bytes]]]:
    images = items["image"]
    rows = []
    for history, _ in cases[:: max(1, len(cases) // 5)][:5]:
        past = history.items[history.positives()][-6:]
        best = recommender.recommend(history, 6)
        rows.append((f"{history.user_id} liked", [images[int(i)].as_py() for i in past]))
        found = [images[recommender.row_of[item]].as_py() for item, _ in best]
        rows.append(("and is offered", found))
    return rows
