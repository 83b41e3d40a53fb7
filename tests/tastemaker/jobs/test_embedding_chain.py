"""train_encoder, precompute_embeddings, build_index and evaluate_encoder on a synthetic shop."""

import os
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core.errors import DataError, NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset, write_table
from tastemaker.encoder.config import EncoderConfig, ImageConfig, TextConfig
from tastemaker.encoder.storage import load_encoder
from tastemaker.encoder.trainer import Trainer
from tastemaker.evaluation.cases import mean
from tastemaker.evaluation.tracking import find
from tastemaker.jobs import (
    build_index,
    evaluate_encoder,
    evaluate_index,
    precompute_embeddings,
    train_encoder,
)
from tastemaker.jobs.embedding_config import EmbeddingsConfig
from tastemaker.jobs.precompute_embeddings import column_matrix, column_name
from tastemaker.promotion.bundle import load_bundle
from tastemaker.retrieval.index import IndexConfig, ItemIndex, Query
from tests.tastemaker.encoder.conftest import make_catalogue

CONFIG = EncoderConfig(
    dim=32,
    image=ImageConfig(px=32, widths=(16, 32), depths=(1, 1)),
    text=TextConfig(width=32, buckets=512, min_count=1),
    batch_size=16,
    epochs=10,
    checkpoint_every=5,
)


def new_home(folder: Path) -> tuple[Home, str]:
    home = Home.open(str(folder))
    items, boards = make_catalogue()
    tables = {
        "items": write_table(home, "items", items),
        "boards": write_table(home, "boards", boards),
    }
    return home, Dataset(home=home, name="shop", tables=tables).save()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str, str]:
    home, dataset = new_home(tmp_path_factory.mktemp("home"))
    return home, dataset, train_encoder.run(home, dataset, CONFIG)


@pytest.fixture(scope="module")
def embedded(trained: tuple[Home, str, str]) -> tuple[Home, str, str]:
    home, dataset, encoder = trained
    return home, precompute_embeddings.run(home, dataset, encoder, EmbeddingsConfig()), encoder


@pytest.mark.slow
def test_killed_and_resumed_it_gives_the_same_bundle(
    trained: tuple[Home, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, dataset, straight = trained
    home, again = new_home(tmp_path / "home")
    assert again == dataset
    step = Trainer.step

    def dies(trainer: Trainer, i: int) -> dict[str, float]:
        if i == 13:
            raise KeyboardInterrupt
        return step(trainer, i)

    monkeypatch.setattr(Trainer, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        train_encoder.run(home, dataset, CONFIG)
    assert list((home.root / "checkpoints").iterdir())
    monkeypatch.setattr(Trainer, "step", step)
    assert train_encoder.run(home, dataset, CONFIG) == straight
    assert not list((home.root / "checkpoints").iterdir())


def test_the_bundle_names_what_it_came_from(trained: tuple[Home, str, str]) -> None:
    home, dataset, encoder = trained
    card = load_bundle(home, encoder, family="encoder").card
    assert card.writes_space
    assert card.parents == {"dataset": dataset}
    assert card.metrics is not None
    assert card.metrics["train_loss"] > 0


def test_the_column_holds_unit_vectors_of_each_item(embedded: tuple[Home, str, str]) -> None:
    home, dataset, encoder = embedded
    data = load_dataset(home, dataset)
    column = data.vector_column(encoder)
    table = data.read("items", [column, "image", "title", "text"])
    assert table.schema.field(column).type == pa.list_(pa.float32(), CONFIG.dim)
    vectors = column_matrix(table[column])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    model = load_encoder(home.path("bundles", encoder))
    row = table.slice(5, 1).to_pylist()[0]
    alone = model.embed_items([row["image"]], [f"{row['title']} {row['text']}".strip()])
    np.testing.assert_allclose(vectors[5:6], alone, atol=1e-5)


def test_embedding_again_is_no_work_and_gives_the_same_version(
    embedded: tuple[Home, str, str], trained: tuple[Home, str, str]
) -> None:
    home, dataset, encoder = embedded
    plain = trained[1]
    version = load_dataset(home, dataset).tables["items"].version
    assert precompute_embeddings.run(home, dataset, encoder, EmbeddingsConfig()) == dataset
    # a run that was killed after its commit: the column is there, the version's file is not
    home.path("datasets", f"{dataset}.yaml").unlink()
    assert (
        precompute_embeddings.run(home, plain, encoder, EmbeddingsConfig(batch_size=7)) == dataset
    )
    assert load_dataset(home, dataset).tables["items"].version == version


def test_a_second_encoder_adds_a_second_column(
    embedded: tuple[Home, str, str], tmp_path: Path
) -> None:
    home, dataset, first = embedded
    plain = load_dataset(home, dataset).parents[0]
    second = train_encoder.run(home, plain, CONFIG.model_copy(update={"seed": 1, "epochs": 1}))
    both = precompute_embeddings.run(home, dataset, second, EmbeddingsConfig())
    data = load_dataset(home, both)
    assert set(data.spaces.values()) == {first, second}
    assert load_dataset(home, dataset).spaces == {column_name(first): first}
    with pytest.raises(NotFound, match=second):
        load_dataset(home, dataset).vector_column(second)


def test_a_column_of_another_width_is_refused(
    trained: tuple[Home, str, str], tmp_path: Path
) -> None:
    old, dataset, encoder = trained
    home, _ = new_home(tmp_path / "home")
    os.symlink(old.path("bundles"), home.path("bundles"))
    table = load_dataset(home, dataset).tables["items"]
    narrow = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(48 * 4), pa.float32()), 4)
    lance.dataset(str(home.path(table.uri))).add_columns(
        pa.table({column_name(encoder): narrow}).to_reader()
    )
    with pytest.raises(DataError, match="32 numbers an item"):
        precompute_embeddings.run(home, dataset, encoder, EmbeddingsConfig())


def test_the_index_reads_the_encoders_space(embedded: tuple[Home, str, str]) -> None:
    home, dataset, encoder = embedded
    digest = build_index.run(home, dataset, encoder, IndexConfig())
    bundle = load_bundle(home, digest, family="index")
    bundle.check_space(encoder)
    index = ItemIndex(bundle.path)
    vector = load_encoder(home.path("bundles", encoder)).embed_text(["red disc"])[0]
    hits = index.search(Query(vector=vector, k=3, category="disc"), space=encoder)
    titles = dict(
        load_dataset(home, dataset).read("items", ["item_id", "title"]).to_pandas().values
    )
    assert all("red" in titles[hit.item_id] for hit in hits)
    assert build_index.run(home, dataset, encoder, IndexConfig()) == digest
    with pytest.raises(NotFound, match="precompute-embeddings"):
        build_index.run(home, load_dataset(home, dataset).parents[0], encoder, IndexConfig())


def test_an_index_is_evaluated_against_exact_search(embedded: tuple[Home, str, str]) -> None:
    home, dataset, encoder = embedded
    graph = IndexConfig(exact_up_to_items=0, connectivity=2, search_candidates=1)
    for settings in (IndexConfig(), graph):
        index = build_index.run(home, dataset, encoder, settings)
        evaluate_index.run(home, dataset, index)
        kept = find(home, index, dataset)
        assert kept is not None
        assert kept.metrics["recall@10"] == pytest.approx(mean(kept.cases["recall@10"]))
        assert len(kept.cases["recall@10"]) == 48
        if settings is not graph:
            assert kept.metrics["recall@10"] == kept.metrics["recall@10_filtered"] == 1
    assert "by a graph" in (home.read_text("evaluations", index, dataset, "report.html") or "")


def test_evaluation_stands_beside_baselines(embedded: tuple[Home, str, str]) -> None:
    home, dataset, encoder = embedded
    evaluate_encoder.run(home, dataset, encoder)
    folder = home.path("evaluations", encoder, dataset)
    kept = find(home, encoder, dataset)
    assert kept is not None
    found = kept.metrics
    assert set(kept.cases) == set(found)
    for name, cases in kept.cases.items():
        assert mean(cases) == pytest.approx(found[name]), name
    assert found["knn_color_accuracy"] >= 0.75
    assert {name for name in found if name.startswith("board_completion")}
    for name in found:
        assert 0 <= found[name] <= 1
        assert name.endswith("_baseline") or f"{name}_baseline" in found
    page = (folder / "report.html").read_text()
    assert "<img" in page
    assert "TF-IDF" in page


def test_a_board_item_is_hidden_in_turn() -> None:
    asked = []

    def scorer(given: list[int]) -> np.ndarray:
        asked.append(given)
        return np.array([0.0, 3.0, 2.0, 1.0])

    ranks, cold = evaluate_encoder.hidden_ranks(scorer, [[0, 1], [3]], np.array([0, 0, 1, 0]) > 0)
    assert asked == [[1], [0]]
    assert ranks.tolist() == [2, 0]  # behind items 2 and 3: the given item 1 is left out
    assert cold.tolist() == [False, False]
