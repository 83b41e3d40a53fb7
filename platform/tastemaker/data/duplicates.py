"""Which items are the same thing offered twice."""

import re
from collections.abc import Sequence

import numpy as np

_MAX_CELLS = 1 << 24  # pairs compared at once
_WORDS = re.compile(r"\w+")


def exact_duplicates(pixels: Sequence[bytes]) -> dict[int, int]:
    """Places of repeated values, each with the place of the first one."""
    first: dict[bytes, int] = {}
    return {j: i for j, value in enumerate(pixels) if (i := first.setdefault(value, j)) != j}


def near_duplicates(
    fingerprints: np.ndarray, titles: Sequence[str], *, max_bits: int, title_overlap_frac: float
) -> dict[int, int]:
    """Places of items that look and read like an earlier one.

    The look alone is not enough: two cushions of one series differ in little but the name.

    Args:
        fingerprints: (N,) uint64.
        titles: N titles.
        max_bits: Most fingerprint bits that may differ, 0 to 64.
        title_overlap_frac: Least share of words in common (Jaccard), 0 to 1.

    Returns:
        Place of the later item: place of the earliest kept item that it repeats.
    """
    words = [frozenset(_WORDS.findall(title.lower())) for title in titles]
    kept_as: dict[int, int] = {}
    for i, j in _close_pairs(fingerprints, max_bits):  # sorted by j, then i
        if (
            i not in kept_as
            and j not in kept_as
            and _overlap(words[i], words[j]) >= (title_overlap_frac)
        ):
            kept_as[j] = i
    return kept_as


def _close_pairs(fingerprints: np.ndarray, max_bits: int) -> list[tuple[int, int]]:
    found = []
    rows = max(1, _MAX_CELLS // max(len(fingerprints), 1))
    for start in range(0, len(fingerprints), rows):
        block = fingerprints[start : start + rows]
        end = start + len(block)
        differ = np.bitwise_count(block[:, None] ^ fingerprints[None, :end])
        later, earlier = np.nonzero(differ <= max_bits)
        later = later + start
        found += [(int(i), int(j)) for j, i in zip(later, earlier, strict=True) if i < j]
    return found


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / max(len(a | b), 1)
