"""Baselines that an encoder has to beat: hand-made picture features, and TF-IDF of the text.

Hand-made features are 1,200 numbers a picture (HSV histogram, histogram of oriented gradients,
12x12 thumbnail); ridge regression carries them to a TF-IDF/SVD space of titles. It learns in
seconds from the same training items, and beats a weak encoder.

Shape suffixes: N = items, M = training items, F = features, D = width of a space, Q = queries.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

SIDE = 128  # pixels of the square that features are taken from
HUE_BINS, SATURATION_BINS, VALUE_BINS = 12, 4, 4
ANGLES, CELLS = 9, 8
THUMBNAIL = 12
NUM_FEATURES = HUE_BINS * SATURATION_BINS * VALUE_BINS + ANGLES * CELLS**2 + 3 * THUMBNAIL**2


def handmade_features(images: Sequence[bytes]) -> np.ndarray:
    """HSV histogram, oriented gradients and thumbnail of each picture.

    Args:
        images: Encoded image files.

    Returns:
        (N, 1200) float32; each block has unit norm.
    """
    return np.stack([_features(image) for image in images]).astype(np.float32)


@dataclass(frozen=True)
class TitleSpace:
    """TF-IDF of titles, reduced by SVD; unit vectors.

    Attributes:
        vectorizer: Words and pairs of words.
        svd: To at most 256 numbers.
    """

    vectorizer: Any
    svd: Any

    @classmethod
    def fit(cls, titles: Sequence[str], dim: int = 256) -> "TitleSpace":
        """Learn the space from training titles."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")
        counts = vectorizer.fit_transform(titles)
        svd = TruncatedSVD(max(1, min(dim, min(counts.shape) - 1)), random_state=0)
        return cls(vectorizer, svd.fit(counts))

    def embed(self, titles: Sequence[str]) -> np.ndarray:
        """Titles to unit vectors; zero where no word is known."""
        return unit(self.svd.transform(self.vectorizer.transform(titles)))


def standardised(features_NF: np.ndarray, train_N: np.ndarray) -> np.ndarray:
    """Features with the training items' mean 0 and deviation 1, then scaled to unit norm."""
    mean_F, std_F = features_NF[train_N].mean(0), features_NF[train_N].std(0) + 1e-6
    return unit((features_NF - mean_F) / std_F)


def ridge_to_titles(
    features_NF: np.ndarray, train_N: np.ndarray, title_MD: np.ndarray, penalty: float = 3000.0
) -> np.ndarray:
    """Carry picture features to a title space by ridge regression.

    Args:
        features_NF: Of all items.
        train_N: Bool: which of them it learns from.
        title_MD: Title vectors of those, in order.
        penalty: Of the squared weights, on standardised features.

    Returns:
        (N, D) unit vectors.
    """
    mean_F, std_F = features_NF[train_N].mean(0), features_NF[train_N].std(0) + 1e-6
    scaled_NF = ((features_NF - mean_F) / std_F).astype(np.float64)
    known_MF = scaled_NF[train_N]
    middle_D = title_MD.mean(0)
    square_FF = known_MF.T @ known_MF + penalty * np.eye(known_MF.shape[1])
    weights_FD = np.linalg.solve(square_FF, known_MF.T @ (title_MD - middle_D))
    return unit(scaled_NF @ weights_FD + middle_D)


def unit(vectors_ND: np.ndarray) -> np.ndarray:
    """Rows scaled to unit norm; rows of zeros stay."""
    norm_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.maximum(norm_N1, 1e-9), np.float32)


def _features(image: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    hsv = np.asarray(picture.convert("HSV"), np.float32).reshape(-1, 3) / 256
    bins = (HUE_BINS, SATURATION_BINS, VALUE_BINS)
    colors, _ = np.histogramdd(hsv, bins=bins, range=((0, 1),) * 3)
    small = np.asarray(picture.resize((THUMBNAIL, THUMBNAIL)), np.float32) / 255 - 0.5
    blocks = (np.sqrt(colors.ravel()), _gradients(picture), small.ravel())
    return np.concatenate([block / max(float(np.linalg.norm(block)), 1e-6) for block in blocks])


def _gradients(picture: Image.Image) -> np.ndarray:
    gray = np.asarray(picture.convert("L"), np.float32) / 255
    down, across = np.gradient(gray)
    strength = np.hypot(across, down)
    angle = (np.arctan2(down, across) % np.pi / np.pi * ANGLES).astype(int) % ANGLES
    cell = np.arange(SIDE) * CELLS // SIDE
    place = (cell[:, None] * CELLS + cell[None, :]) * ANGLES + angle
    sums = np.bincount(place.ravel(), strength.ravel(), minlength=CELLS * CELLS * ANGLES)
    cells = sums.reshape(-1, ANGLES)
    return np.sqrt(cells / (np.linalg.norm(cells, axis=1, keepdims=True) + 1e-2)).ravel()
