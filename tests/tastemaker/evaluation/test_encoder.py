import io

import numpy as np
import pytest
from PIL import Image

from tastemaker.evaluation import encoder as baselines

COLORS = {"red": (200, 30, 30), "green": (30, 160, 40), "blue": (30, 50, 200)}


def jpeg(color: tuple[int, int, int], seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    noise = rng.integers(-20, 20, (40, 40, 3)) + np.array(color)
    out = io.BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(out, "JPEG")
    return out.getvalue()


def test_features_have_the_published_width_and_do_not_depend_on_size() -> None:
    features = baselines.handmade_features([jpeg(COLORS["red"], 0)])
    assert features.shape == (1, 1200)
    assert np.linalg.norm(features) == pytest.approx(3**0.5, rel=1e-3)


def test_ridge_to_titles_names_the_colour_of_unseen_pictures() -> None:
    names = [name for name in COLORS for _ in range(8)]
    images = [jpeg(COLORS[name], seed) for seed, name in enumerate(names)]
    titles = [f"{name} lamp" for name in names]
    train = np.arange(len(names)) % 8 < 6
    space = baselines.TitleSpace.fit([t for t, known in zip(titles, train, strict=True) if known])
    title_vectors = space.embed(titles)
    carried = baselines.ridge_to_titles(
        baselines.handmade_features(images), train, title_vectors[train], penalty=10.0
    )
    nearest = (carried[~train] @ title_vectors[train].T).argmax(1)
    told = np.array(names)[train][nearest]
    assert told.tolist() == np.array(names)[~train].tolist()


def test_rows_of_zeros_stay_zero() -> None:
    assert baselines.unit(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [
        [0.0, 0.0],
        [pytest.approx(0.6), pytest.approx(0.8)],
    ]
