"""One resumable training loop: a run that was killed and resumed ends with the same weights.

A batch is a function of its step number, never of what came before, so resuming needs no
replay of the data; models and optimizers are restored from the last checkpoint.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from tastemaker.core.progress import Progress
from tastemaker.layers.data_parallel import ALONE, Group


class Stateful(Protocol):
    """A module, optimizer or scheduler."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Go on from `state_dict`."""
        ...


def fit(
    step: Callable[[int], dict[str, float]],
    state: Mapping[str, Stateful],
    *,
    num_steps: int,
    checkpoint: Path,
    checkpoint_every: int,
    keep: Callable[[Path], None] | None = None,
    seed: int,
    label: str,
    group: Group = ALONE,
) -> list[dict[str, float]]:
    """Run `step(0) ... step(num_steps - 1)`, saving as it goes.

    The random state is seeded before each step from `seed` and the step number.

    Args:
        step: Makes batch i, updates the weights, and returns named losses (nats) or metrics.
        state: What to save and restore, by name.
        num_steps: Length of the whole run, >= 1.
        checkpoint: File of the last checkpoint; a job names it by the digest of its inputs
            and settings, and removes it once its bundle is written.
        checkpoint_every: Steps between two checkpoints, >= 1.
        keep: Told after each save: it takes the file where another machine can go on from it.
        seed: Seed of the run.
        label: Shown with the progress.
        group: Processes that train together: the first alone saves and reports, and all go on
            from its checkpoint.

    Returns:
        What each step returned, in order, those before a resumption included.
    """
    history: list[dict[str, float]] = []
    if saved := group.from_first(lambda: _saved(checkpoint)):
        for name, part in state.items():
            part.load_state_dict(saved["state"][name])
        history = saved["history"]
    progress = Progress(label, num_steps, done=len(history))
    for i in range(len(history), num_steps):
        torch.manual_seed(seed * 1_000_003 + i)
        history.append(step(i))
        if not group.first:
            continue
        progress.update(i + 1, "  ".join(f"{k} {v:.3f}" for k, v in history[-1].items()))
        if (i + 1) % checkpoint_every == 0 and i + 1 < num_steps:
            _save(checkpoint, state, history)
            if keep:
                keep(checkpoint)
    return history


def _saved(path: Path) -> dict[str, Any] | None:
    # to the processor: each part takes its own to where it is
    return torch.load(path, weights_only=True, map_location="cpu") if path.is_file() else None


def _save(path: Path, state: Mapping[str, Stateful], history: list[dict[str, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    content = {"state": {name: s.state_dict() for name, s in state.items()}, "history": history}
    torch.save(content, staged)
    staged.replace(path)
