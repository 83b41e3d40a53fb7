"""Train the user-sequence model on an embedded dataset version with events."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tastemaker.core import digests
from tastemaker.core.config import to_settings
from tastemaker.core.errors import DataError
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle
from tastemaker.sequence.batches import batch, training_part
from tastemaker.sequence.config import SequenceConfig
from tastemaker.sequence.histories import History, histories
from tastemaker.sequence.losses import next_item_loss
from tastemaker.sequence.model import SequenceModel
from tastemaker.sequence.recommender import Recommender, save_sequence
from tastemaker.training.device import training_device
from tastemaker.training.loop import fit


def run(home: Home, dataset: str, encoder: str, settings: SequenceConfig) -> str:
    """Train and write a bundle.

    Args:
        home: Where everything lives.
        dataset: A dataset version with events and vectors of `encoder`.
        encoder: The encoder bundle: the space that the model reads.
        settings: Size and training.

    Returns:
        The bundle's digest.

    Raises:
        NotFound: The dataset version has no events or no vectors of that space.
        DataError: No user has events enough to learn from.
    """
    data = load_dataset(home, dataset)
    load_bundle(home, encoder, family="encoder")
    column = data.vector_column(encoder)
    items = data.read("items", ["item_id", column])
    vectors = torch.from_numpy(np.stack(items[column].to_numpy(zero_copy_only=False)).copy())
    item_ids = items["item_id"].to_pylist()
    users = [training_part(h) for h in histories(data.read("events"), item_ids)]
    users = [user for user in users if len(user.items) >= 2 and len(user.positives())]
    if not users:
        raise DataError(f"dataset version {dataset}: no user has 4 positive events to learn from")
    popularity = torch.zeros(len(item_ids))
    for user in users:
        liked = torch.from_numpy(user.items[user.positives()])
        popularity += torch.bincount(liked, minlength=len(item_ids))
    torch.manual_seed(settings.seed)
    device = training_device()
    model = SequenceModel(settings, vectors.shape[1], len(item_ids)).train().to(device)
    with torch.no_grad():
        model.item_bias.copy_((popularity + 1).log() - (popularity + 1).log().mean())
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    key = digests.of_json([dataset, encoder, to_settings(settings)])
    checkpoint = home.restore("checkpoints", f"train_sequence-{key}.pt")
    with _threads(settings.threads):
        history = fit(
            _step(model, optimizer, vectors.to(device), users, settings),
            {"model": model, "optimizer": optimizer},
            num_steps=settings.steps,
            checkpoint=checkpoint,
            keep=home.keep,
            checkpoint_every=settings.checkpoint_every,
            seed=settings.seed,
            label="train the user model",
        )
    recommender = Recommender(model.cpu(), item_ids, vectors, popularity)
    curve = [round(h["loss"], 4) for h in history]
    card = Card(
        family="sequence",
        config=settings.model_dump(mode="json"),
        parents={"dataset": dataset, "encoder": encoder},
        reads=(encoder,),
        metrics={"final_loss": float(np.mean(curve[-20:]))},
    )

    def write(folder: Path) -> None:
        save_sequence(recommender, folder)
        (folder / "curve.json").write_text(json.dumps(curve))

    bundle = write_bundle(home, card, write)
    home.remove("checkpoints", checkpoint.name)
    return bundle.digest


def _step(
    model: SequenceModel,
    optimizer: torch.optim.Optimizer,
    vectors: Tensor,
    users: Sequence[History],
    settings: SequenceConfig,
) -> Callable[[int], dict[str, float]]:
    def step(i: int) -> dict[str, float]:
        rate = min(1.0, (i + 1) / 50) * 0.5 * (1 + math.cos(math.pi * i / settings.steps))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * max(rate, 0.01)
        drawn = batch(
            users,
            users=settings.batch_users,
            max_events=settings.max_events,
            seed=settings.seed,
            step=i,
        )
        moved = (part.to(vectors.device) for part in drawn)
        loss = next_item_loss(model, vectors, *moved, max_candidates=settings.max_candidates)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return {"loss": loss.item()}

    return step


@contextmanager
def _threads(num: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)
