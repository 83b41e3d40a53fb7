import random

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from tastemaker.core.errors import DataError
from tastemaker.encoder.config import AugmentConfig, EncoderConfig, ImageConfig, TextConfig
from tastemaker.encoder.examples import Examples
from tastemaker.encoder.trainer import Trainer, pace

STILL = AugmentConfig(
    zoom_frac=0,
    shift_frac=0,
    flip=False,
    color=0,
    gray_frac=0,
    word_dropout_frac=0,
    attribute_query_frac=0,
)
CONFIG = EncoderConfig(
    dim=32,
    image=ImageConfig(px=32, widths=(16, 32), depths=(1, 1)),
    text=TextConfig(width=32, buckets=512, min_count=1),
    batch_size=16,
    epochs=1000,
    dropout_frac=0,
    precision="float32",
)


def train_split(catalogue: tuple[pa.Table, pa.Table]) -> tuple[pa.Table, pa.Table]:
    items, boards = catalogue
    return (
        items.filter(pc.equal(items["split"], "train")),
        boards.filter(pc.equal(boards["split"], "train")),
    )


@pytest.mark.slow
def test_it_overfits_one_batch(catalogue: tuple[pa.Table, pa.Table]) -> None:
    items, boards = train_split(catalogue)
    config = CONFIG.model_copy(update={"augment": STILL, "board_weight": 0.0})
    trainer = Trainer(Examples(items.slice(0, 16), boards, config), config)
    for step in range(60):
        torch.manual_seed(step)
        last = trainer.step(step)
        if step == 0:
            first = last
    assert last["image"] < first["image"] / 10
    assert last["item"] < first["item"] / 10


def test_a_batch_is_a_function_of_its_step(catalogue: tuple[pa.Table, pa.Table]) -> None:
    examples = Examples(*train_split(catalogue), CONFIG)
    batches = []
    for step in (3, 3, 4):
        torch.manual_seed(step)
        batches.append(examples.batch(step))
    assert torch.equal(batches[0].pixels_B3PP, batches[1].pixels_B3PP)
    assert batches[0].query_words == batches[1].query_words
    assert batches[0].query_words != batches[2].query_words


def test_an_attribute_query_fits_every_item_that_has_the_attributes(
    catalogue: tuple[pa.Table, pa.Table],
) -> None:
    config = CONFIG.model_copy(update={"augment": AugmentConfig(attribute_query_frac=1)})
    batch = Examples(*train_split(catalogue), config).batch(0)
    colors, shapes = batch.values["color"], batch.values["category"]
    for row, words in enumerate(batch.query_words):
        same = torch.ones(len(colors), dtype=torch.bool)
        if set(words) & {"red", "green", "blue", "black"}:
            same &= colors == colors[row]
        if set(words) & {"disc", "square"}:
            same &= shapes == shapes[row]
        assert batch.fits_BB[row].tolist() == same.tolist()


def test_only_the_boards_given_make_neighbours(catalogue: tuple[pa.Table, pa.Table]) -> None:
    items, boards = train_split(catalogue)
    together = {frozenset((a, b)) for row in boards["items"].to_pylist() for a in row for b in row}
    examples = Examples(items, boards, CONFIG)
    ids = items["item_id"].to_pylist()
    rows = examples._rows(0, random.Random(0))
    neighbours = examples._neighbours(rows)
    for a, row_a in enumerate(rows):
        for b, row_b in enumerate(rows):
            joined = a != b and frozenset((ids[row_a], ids[row_b])) in together
            assert bool(neighbours[a, b]) == joined
    assert len(set(rows)) == len(rows)


def test_the_pace_rises_and_falls() -> None:
    paces = [pace(i, 100) for i in range(100)]
    assert paces[0] == pytest.approx(1 / 8)
    assert max(paces) == 1
    assert paces[-1] < 0.01


def test_one_item_is_too_few(catalogue: tuple[pa.Table, pa.Table]) -> None:
    with pytest.raises(DataError, match="at least 2"):
        Examples(catalogue[0].slice(0, 1), catalogue[1], CONFIG)
