"""Next item on simulated users of the demo catalogue, against popularity and co-visitation.

    python -m benchmarks.next_item          (after the chain; about 2 minutes a seed)

Protocol: leave-one-out, the last positive event of each user, ranked among all items that the
user has not met. The second last positive event is for tuning; benchmarks/README.md says how the
simulated users themselves were chosen.
"""

import statistics

import yaml

from benchmarks.rows import row, save
from tastemaker.core.config import load_preset
from tastemaker.core.home import Home
from tastemaker.evaluation.tracking import find
from tastemaker.jobs import evaluate_sequence, train_sequence
from tastemaker.promotion.environment import get_live
from tastemaker.sequence.config import SequenceConfig

SEEDS = (0, 1, 2)
COMMAND = "python -m benchmarks.next_item"
METRICS = {"HR@10": "hr@10", "NDCG@10": "ndcg@10"}
BASELINES = ("popularity", "covisitation", "mean_embedding")


def main() -> None:
    home = Home.open()
    live = get_live(home, "local", "recommender")
    encoder = get_live(home, "local", "encoder").bundle
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        settings = load_preset(SequenceConfig, "sequence", "default", [f"seed={seed}"])
        bundle = train_sequence.run(home, live.dataset, encoder, settings)
        evaluate_sequence.run(home, live.dataset, bundle)
        kept = find(home, bundle, live.dataset)
        assert kept is not None
        for key, value in kept.metrics.items():
            found.setdefault(key, []).append(value)
    name = yaml.safe_load(home.path("datasets", f"{live.dataset}.yaml").read_text())["name"]
    rows = []
    for label, key in METRICS.items():
        means = {b: statistics.mean(found[f"test_{key}_{b}"]) for b in BASELINES}
        best = max(means, key=lambda b: means[b])
        value = statistics.mean(found[f"test_{key}_model"])
        rows.append(
            row(
                f"next item {label}, simulated users of {name} (baseline: {best})",
                value,
                baseline=means[best],
                goal=None,
                unit="fraction",
                seeds=len(SEEDS),
                command=COMMAND,
            )
        )
    save("next_item", rows)


if __name__ == "__main__":
    main()
