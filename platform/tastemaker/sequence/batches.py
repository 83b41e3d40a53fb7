"""Training batches: a function of the step number."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tastemaker.sequence.histories import History
from tastemaker.sequence.model import PADDING


def training_part(history: History) -> History:
    """Everything before the validation target: what training may see."""
    positions = history.positives()
    return history.before(int(positions[-2])) if len(positions) >= 4 else history.before(0)


def batch(
    histories: Sequence[History], *, users: int, max_events: int, seed: int, step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw users and a window of each one's events.

    Args:
        histories: Training parts, each with at least 2 events.
        users: B.
        max_events: Longest window, T.
        seed: Of the run.
        step: Number of the step; the same (seed, step) gives the same batch.

    Returns:
        rows (B, T), actions (B, T), next (B, T): next is -100 where no positive event follows.
    """
    rng = np.random.default_rng((seed, step))
    chosen = rng.choice(len(histories), size=users, replace=len(histories) < users)
    windows = []
    for which in chosen:
        history = histories[which]
        last = len(history.items)
        start = int(rng.integers(0, max(1, last - max_events))) if last > max_events + 1 else 0
        windows.append((history, start, min(last, start + max_events + 1)))
    width = max(end - start for _, start, end in windows) - 1
    rows = np.zeros((users, width), np.int64)
    actions = np.full((users, width), PADDING, np.int64)
    following = np.full((users, width), -100, np.int64)
    for b, (history, start, end) in enumerate(windows):
        size = end - start - 1
        rows[b, :size] = history.items[start : end - 1]
        actions[b, :size] = history.actions[start : end - 1]
        positive = np.isin(np.arange(start + 1, end), history.positives())
        following[b, :size] = np.where(positive, history.items[start + 1 : end], -100)
    return torch.from_numpy(rows), torch.from_numpy(actions), torch.from_numpy(following)
