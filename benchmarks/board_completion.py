"""Board completion on `ikea-home`: graph, text and image together against co-occurrence.

    TASTEMAKER_DATA=/path/to/data python -m benchmarks.board_completion    (4 minutes a seed)

Protocol: each product of the 61 test boards is hidden in turn (832 cases) and ranked among all
2,187; edges of train and validation boards are known. In 354 cases the hidden product is on no
known board (cold). Weights were chosen on the validation boards with train edges alone.
"""

import statistics

from benchmarks.rows import row, save
from tastemaker.core.config import load_preset
from tastemaker.core.home import Home
from tastemaker.data.curation import CurateConfig
from tastemaker.data.dataset import load_dataset
from tastemaker.encoder.config import EncoderConfig
from tastemaker.encoder.storage import load_encoder
from tastemaker.jobs import curate, evaluate_encoder, train_encoder

SEEDS = (0,)
COMMAND = "python -m benchmarks.board_completion"
GOALS = {"board_completion_r@10": 0.16}


def measure(home: Home, dataset: str, seed: int) -> dict[str, tuple[float, float]]:
    """(value, best baseline) by metric."""
    settings = load_preset(EncoderConfig, "encoder", "ikea-home", [f"seed={seed}"])
    encoder = train_encoder.run(home, dataset, settings)
    data = load_dataset(home, dataset)
    items = evaluate_encoder.Items.read(data)
    vectors = evaluate_encoder.embed(load_encoder(home.path("bundles", encoder)), items)
    named = evaluate_encoder.named_metrics(evaluate_encoder.board_completion(data, items, vectors))
    return {
        metric: (value, named[f"{metric}_baseline"])
        for metric, value in named.items()
        if not metric.endswith("_baseline")
    }


def main() -> None:
    home = Home.open()
    dataset = curate.run(home, "ikea-home", load_preset(CurateConfig, "curate"))
    runs = [measure(home, dataset, seed) for seed in SEEDS]
    rows = [
        row(
            f"ikea-home {metric}",
            statistics.mean(run[metric][0] for run in runs),
            baseline=statistics.mean(run[metric][1] for run in runs),
            goal=GOALS.get(metric),
            unit="fraction",
            seeds=len(SEEDS),
            command=COMMAND,
        )
        for metric in runs[0]
    ]
    save("board_completion", rows)


if __name__ == "__main__":
    main()
