"""Dialogues in the spaces of another router: its items and users, in the same rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core.errors import NotFound
from tastemaker.data.dataset import Dataset, load_dataset, write_table
from tastemaker.jobs import dialogue_vectors, train_sequence
from tastemaker.promotion.bundle import Bundle, Card, load_bundle, write_bundle
from tastemaker.router.dialogue_files import DialogueSet, Vectors
from tastemaker.sequence.histories import histories
from tastemaker.sequence.recommender import load_sequence
from tests.tastemaker.jobs.test_sequence_jobs import CONFIG, DIM, new_home


def test_items_and_users_are_embedded_in_the_spaces_that_a_router_reads(tmp_path: Path) -> None:
    home, one_space, first = new_home(tmp_path / "home", users=12)
    card = Card(family="encoder", config={"second": 1}, parents={}, writes_space=True)
    second = write_bundle(home, card, lambda folder: None).digest
    data = load_dataset(home, one_space)
    items = data.read("items")
    other_ND = np.random.default_rng(1).normal(size=(len(items), DIM)).astype(np.float32)
    other_ND /= np.linalg.norm(other_ND, axis=1, keepdims=True)
    column = f"embedding_{second}"
    both = items.append_column(
        column, pa.FixedSizeListArray.from_arrays(pa.array(other_ND.ravel()), DIM)
    )
    tables = {**data.tables, "items": write_table(home, "items", both)}
    spaces = {**data.spaces, column: second}
    dataset = Dataset(home=home, name="shop", tables=tables, spaces=spaces).save()
    short = CONFIG.model_copy(update={"steps": 2})
    sequence = {space: train_sequence.run(home, dataset, space, short) for space in (first, second)}
    held = Vectors(np.zeros((len(items), DIM), np.float32), np.zeros((12, 16), np.float32))
    parents = {"dataset": dataset, "encoder": first, "sequence": sequence[first]}
    made = DialogueSet(held, {"parents": parents}, tmp_path)

    def router(space: str, users: str) -> Bundle:
        card = Card(family="router", config={}, parents={"sequence": users}, reads=(space,))
        return write_bundle(home, card, lambda folder: None)

    assert dialogue_vectors.run(home, made, router(first, sequence[first])) is held
    found = dialogue_vectors.run(home, made, router(second, sequence[second]))
    np.testing.assert_array_equal(found.items_ND, other_ND)
    recommender = load_sequence(load_bundle(home, sequence[second]).path)
    users = histories(data.read("events"), items["item_id"].to_pylist())
    np.testing.assert_allclose(found.users_UD, recommender.user_embeddings(users), atol=1e-6)
    with pytest.raises(NotFound):
        dialogue_vectors.run(home, made, router("0" * 16, sequence[second]))
