"""Evaluate a user model against popularity, co-visitation and mean embedding; write its report."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tastemaker.core.errors import DataError
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation.report import Report, bars, curve
from tastemaker.evaluation.sequence import (
    covisitation,
    covisitation_scores,
    hit_rate,
    ndcg,
    popularity_scores,
    ranks,
)
from tastemaker.evaluation.tracking import record
from tastemaker.promotion.bundle import load_bundle
from tastemaker.sequence.batches import training_part
from tastemaker.sequence.histories import History, histories
from tastemaker.sequence.recommender import Recommender, load_sequence

K = 10


def run(home: Home, dataset: str, sequence: str) -> str:
    """Leave-one-out over all items: the last positive event of each user is the target.

    Returns:
        Digest of the metrics.

    Raises:
        DataError: No user has a test event.
    """
    bundle = load_bundle(home, sequence, family="sequence")
    data = load_dataset(home, dataset)
    items = data.read("items", ["item_id", "image", "title"])
    recommender = load_sequence(bundle.path)
    users = histories(data.read("events"), recommender.item_ids)
    training = [training_part(user) for user in users]
    liked = [user.items[user.positives()] for user in training]
    num_items = len(recommender.item_ids)
    metrics: dict[str, float] = {}
    for name, back in (("val", 2), ("test", 1)):
        cases = [case for user in users if (case := user.held_out(back))]
        if not cases:
            raise DataError(f"dataset version {dataset}: no user has a {name} event")
        seen = [history.items for history, _ in cases]
        targets = np.array([target for _, target in cases])
        past = [history.items[history.positives()] for history, _ in cases]
        vectors = recommender.items_NE.numpy()
        scored = {
            "model": recommender.scores([history for history, _ in cases]),
            "popularity": np.tile(popularity_scores(liked, num_items), (len(cases), 1)),
            "covisitation": covisitation_scores(covisitation(liked, num_items), past),
            "mean_embedding": np.stack([vectors[p[-20:]].mean(0) @ vectors.T for p in past]),
        }
        for method, scores in scored.items():
            at = ranks(scores, targets, seen)
            metrics[f"{name}_hr@{K}_{method}"] = hit_rate(at, K)
            metrics[f"{name}_ndcg@{K}_{method}"] = ndcg(at, K)
    metrics["num_test_users"] = len(cases)
    methods = list(scored)
    report = Report(f"User model {sequence}")
    report.text(
        f"{len(cases)} users of {data.name}; the last positive event of each is the target, "
        f"ranked among all {num_items} items that the user has not met."
    )
    report.table(
        "Next item",
        [
            {
                "method": method,
                **{
                    f"{split} {m}": metrics[f"{split}_{m.lower()}_{method}"]
                    for split in ("test", "val")
                    for m in (f"HR@{K}", f"NDCG@{K}")
                },
            }
            for method in methods
        ],
    )
    report.plot(
        f"HR@{K} on test", bars({m: metrics[f"test_hr@{K}_{m}"] for m in methods}, f"HR@{K}")
    )
    report.plot(
        "Training loss", curve(json.loads((bundle.path / "curve.json").read_text()), "nats")
    )
    report.images(
        "History (last 6) and what follows, best first", _examples(recommender, cases, items)
    )
    return record(
        home,
        bundle_digest=sequence,
        family="sequence",
        metrics=metrics,
        params=bundle.card.config,
        report_html=report.html(),
    )


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
