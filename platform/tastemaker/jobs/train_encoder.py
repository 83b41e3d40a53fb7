"""Job: a dataset version to an encoder bundle, whose digest names an embedding space."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.core import digests
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.encoder.config import EncoderConfig
from tastemaker.encoder.examples import Examples
from tastemaker.encoder.storage import save_encoder
from tastemaker.encoder.trainer import Trainer
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.training.device import training_device
from tastemaker.training.loop import fit

LAST = 20  # steps averaged into the card's losses


def run(home: Home, dataset: str, settings: EncoderConfig) -> str:
    """Train an encoder on the train split of items and boards.

    Args:
        home: Where to.
        dataset: Digest of a dataset version.
        settings: Of the model and its training.

    Returns:
        The bundle's digest, which is the embedding space.

    Raises:
        NotFound: No such dataset version.
        DataError: Fewer than two training items.
    """
    data = load_dataset(home, dataset)
    items, boards = data.read("items"), data.read("boards")
    train_items = items.filter(_is_train(items))
    examples = Examples(train_items, boards.filter(_is_train(boards)), settings)
    trainer = Trainer(examples, settings, training_device())
    key = digests.of_json([dataset, settings.model_dump(mode="json")])
    checkpoint = home.restore("checkpoints", f"train_encoder-{key}.pt")
    history = fit(
        trainer.step,
        trainer.state,
        num_steps=trainer.num_steps,
        checkpoint=checkpoint,
        keep=home.keep,
        checkpoint_every=settings.checkpoint_every,
        seed=settings.seed,
        label="train encoder",
    )
    encoder = trainer.encoder.cpu().eval()

    def write(folder: Path) -> None:
        save_encoder(encoder, folder)
        (folder / "history.json").write_text(json.dumps(_rounded(history)))

    card = Card(
        family="encoder",
        config=settings.model_dump(mode="json"),
        parents={"dataset": dataset},
        writes_space=True,
        metrics=_means(history[-LAST:]),
    )
    bundle = write_bundle(home, card, write)
    home.remove("checkpoints", checkpoint.name)
    return bundle.digest


def _is_train(table: pa.Table) -> pa.ChunkedArray:
    return pc.equal(table["split"], "train")


def _means(history: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for step in history for name in step})
    found = {name: [step[name] for step in history if name in step] for name in names}
    return {f"train_{name}": round(sum(v) / len(v), 4) for name, v in found.items()}


def _rounded(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: round(value, 5) for name, value in step.items()} for step in history]
