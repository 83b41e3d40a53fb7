"""Retrieval on `fashion`: an encoder from scratch against hand-made features.

    TASTEMAKER_DATA=/path/to/data python -m benchmarks.fashion_retrieval    (12 minutes a seed)

Protocol: the distinct titles of the test split over all 6,703 images (T2I-full) or the test
images alone; hit = same title. I2I: test images against each other, relevant = same article type
and base colour. Baselines are measured in the same run. The settings are those of the demo
catalogue, with other batch sizes: nothing was chosen on this set, and its test split is read
here alone.
"""

import statistics

import numpy as np

from benchmarks.rows import row, save
from tastemaker.core.config import load_preset
from tastemaker.core.home import Home
from tastemaker.data.curation import CurateConfig
from tastemaker.data.dataset import load_dataset
from tastemaker.encoder.config import EncoderConfig
from tastemaker.encoder.storage import load_encoder
from tastemaker.evaluation import retrieval_metrics as metrics
from tastemaker.jobs import curate, evaluate_encoder, train_encoder

SEEDS = (0,)
COMMAND = "python -m benchmarks.fashion_retrieval"
CUT = 10
ABOVE = 1.3  # goal: 30 % over the published baselines
PUBLISHED = {"text_to_image_all_r@10": 0.353, f"image_to_image_p@{CUT}": 0.217}
SHOWN = (
    "text_to_image_all_r@1",
    "text_to_image_all_r@5",
    "text_to_image_all_r@10",
    "text_to_image_test_r@10",
    "image_to_text_test_r@10",
    f"image_to_image_p@{CUT}",
    "knn_category_accuracy",
    "knn_color_accuracy",
    "knn_gender_accuracy",
)


def measure(home: Home, dataset: str, seed: int) -> dict[str, tuple[float, float]]:
    """(value, baseline) by metric."""
    settings = load_preset(EncoderConfig, "encoder", "fashion", [f"seed={seed}"])
    encoder = train_encoder.run(home, dataset, settings)
    model = load_encoder(home.path("bundles", encoder))
    items = evaluate_encoder.Items.read(load_dataset(home, dataset))
    vectors = evaluate_encoder.embed(model, items)
    measured = [
        *evaluate_encoder.text_to_image(model, items, vectors),
        *evaluate_encoder.attributes_by_neighbours(items, vectors),
    ]
    found = {one.metric: (one.encoder, one.baseline) for one in measured}
    test = items.rows("test")
    kinds = [(items.values[i].get("category"), items.values[i].get("color")) for i in test]
    names = np.array([f"{category}|{color}" for category, color in kinds])
    same_QN = (names[:, None] == names[None, :]) & ~np.eye(len(test), dtype=bool)
    found[f"image_to_image_p@{CUT}"] = (
        neighbours_alike(vectors.image_ND[test], same_QN),
        max(
            neighbours_alike(hand[test], same_QN)
            for hand in (vectors.handmade_features_NF, vectors.handmade_ND)
        ),
    )
    return found


def neighbours_alike(vectors_QD: np.ndarray, same_QN: np.ndarray) -> float:
    """Precision of the nearest others, over the queries that have any relevant other."""
    scores_QN = vectors_QD @ vectors_QD.T
    np.fill_diagonal(scores_QN, -np.inf)
    asked = same_QN.any(1)
    return float(metrics.precisions_at(scores_QN[asked], same_QN[asked], CUT).mean())


def main() -> None:
    home = Home.open()
    dataset = curate.run(home, "fashion", load_preset(CurateConfig, "curate"))
    runs = [measure(home, dataset, seed) for seed in SEEDS]
    rows = []
    for metric in SHOWN:
        published = PUBLISHED.get(metric)
        rows.append(
            row(
                f"fashion {metric}",
                statistics.mean(run[metric][0] for run in runs),
                baseline=statistics.mean(run[metric][1] for run in runs),
                goal=round(ABOVE * published, 3) if published else None,
                unit="fraction",
                seeds=len(SEEDS),
                command=COMMAND,
            )
        )
    save("fashion_retrieval", rows)


if __name__ == "__main__":
    main()
