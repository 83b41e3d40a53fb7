"""Embedding in parts: resumed, merged by one commit, and equal on Ray and in a RayJob's driver."""

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest

from tastemaker.core.config import to_settings
from tastemaker.core.errors import DataError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, Table, load_dataset, table_digest
from tastemaker.deployment.schemas import Schemas
from tastemaker.encoder.config import EncoderConfig, ImageConfig, TextConfig
from tastemaker.jobs import embedding_parts, precompute_embeddings, ray_embed, train_encoder
from tastemaker.jobs.embedding_config import EmbeddingsConfig
from tastemaker.jobs.embedding_parts import Part, Work
from tastemaker.jobs.precompute_embeddings import column_matrix, column_name
from tastemaker.jobs.ray_job_config import ENVIRONMENT, RayJobConfig
from tests.tastemaker.encoder.conftest import make_catalogue
from tests.tastemaker.jobs.kubernetes_server import ApiServer, kubeconfig, operate, serving

CONFIG = EncoderConfig(
    dim=32,
    image=ImageConfig(px=32, widths=(16, 32), depths=(1, 1)),
    text=TextConfig(width=32, buckets=512, min_count=1),
    batch_size=16,
    epochs=1,
)
SPLIT = EmbeddingsConfig(batch_size=8, part_rows=7)


def fragmented_home(folder: Path) -> tuple[Home, str]:
    """48 items in three fragments of 20, 20 and 8 rows."""
    home = Home.open(str(folder))
    items, boards = make_catalogue()
    tables = {}
    for name, table in (("items", items), ("boards", boards)):
        content = table_digest(table)
        uri = f"tables/{name}-{content}.lance"
        lance.write_dataset(table, home.uri(uri), max_rows_per_file=20)
        tables[name] = Table(uri=uri, version=1, rows=len(table), content=content)
    return home, Dataset(home=home, name="shop", tables=tables).save()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str, str]:
    home, dataset = fragmented_home(tmp_path_factory.mktemp("home"))
    return home, dataset, train_encoder.run(home, dataset, CONFIG)


@pytest.fixture
def fresh(trained: tuple[Home, str, str], tmp_path: Path) -> tuple[Home, str, str]:
    home, dataset = fragmented_home(tmp_path / "home")
    os.symlink(trained[0].path("bundles"), home.path("bundles"))
    return home, dataset, trained[2]


@pytest.fixture(scope="module")
def vectors(trained: tuple[Home, str, str]) -> np.ndarray:
    home, dataset, encoder = trained
    return read(home, precompute_embeddings.run(home, dataset, encoder, EmbeddingsConfig()))


def read(home: Home, dataset: str) -> np.ndarray:
    data = load_dataset(home, dataset)
    (column,) = data.spaces
    return column_matrix(data.read("items", [column])[column])


def work_of(home: Home, dataset: str, encoder: str) -> Work:
    items = load_dataset(home, dataset).tables["items"]
    column = column_name(encoder)
    return Work(home.location, items.uri, 1, items.content, encoder, column, 8, 7)


def test_the_parts_are_every_row_once(trained: tuple[Home, str, str]) -> None:
    parts = embedding_parts.plan(work_of(*trained))
    assert [(p.fragment, p.start, p.rows) for p in parts] == [
        *[(0, 0, 7), (0, 7, 7), (0, 14, 6)],
        *[(1, 0, 7), (1, 7, 7), (1, 14, 6)],
        *[(2, 0, 7), (2, 7, 1)],
    ]


def test_how_it_is_split_changes_nothing(fresh: tuple[Home, str, str], vectors: np.ndarray) -> None:
    home, dataset, encoder = fresh
    made = precompute_embeddings.run(home, dataset, encoder, SPLIT)
    np.testing.assert_allclose(read(home, made), vectors, atol=1e-5)
    assert load_dataset(home, made).tables["items"].version == 2  # one commit
    assert not list(home.root.joinpath("embedding_parts").iterdir())


def test_a_run_that_was_killed_goes_on_from_its_parts(
    fresh: tuple[Home, str, str], vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, dataset, encoder = fresh
    real, embedded = embedding_parts.embed_batch, []

    def dies(model: Any, batch: Any) -> Any:
        if len(embedded) == 3:
            raise KeyboardInterrupt
        embedded.append(len(batch))
        return real(model, batch)

    monkeypatch.setattr(embedding_parts, "embed_batch", dies)
    with pytest.raises(KeyboardInterrupt):
        precompute_embeddings.run(home, dataset, encoder, SPLIT)
    assert load_dataset(home, dataset).open("items").latest_version == 1
    again: list[int] = []
    monkeypatch.setattr(
        embedding_parts, "embed_batch", lambda m, b: again.append(len(b)) or real(m, b)
    )
    made = precompute_embeddings.run(home, dataset, encoder, SPLIT)
    assert (sum(embedded), sum(again)) == (20, 28)
    np.testing.assert_allclose(read(home, made), vectors, atol=1e-5)


def test_a_half_written_part_is_written_again(fresh: tuple[Home, str, str]) -> None:
    home, dataset, encoder = fresh
    work = work_of(home, dataset, encoder)
    part, model = Part(0, 0, 7), embedding_parts.load(work)
    home.path(work.folder, part.name, "data", "x.lance").write_bytes(b"half")
    assert embedding_parts.embed_part(work, model, part) == 7
    assert embedding_parts.embed_part(work, model, part) == 0


def test_a_column_that_another_added_meanwhile_is_kept(
    fresh: tuple[Home, str, str], vectors: np.ndarray
) -> None:
    home, dataset, encoder = fresh
    work = work_of(home, dataset, encoder)

    def merge(work: Work, parts: Any) -> Any:
        merged = precompute_embeddings._merge(work, parts)
        if work.version == 1:
            lance.dataset(home.uri(work.table)).add_columns({"mine": "1"})
        return merged

    precompute_embeddings.add_column(work, precompute_embeddings._write_parts, merge)
    latest = lance.dataset(home.uri(work.table))
    assert {"mine", work.column} <= set(latest.schema.names)
    np.testing.assert_allclose(
        column_matrix(latest.to_table(columns=[work.column])[work.column]), vectors, atol=1e-5
    )


def test_parts_that_vanish_are_named(fresh: tuple[Home, str, str]) -> None:
    work = work_of(*fresh)
    with pytest.raises(DataError, match=r"parts \['2-0-7.lance', '2-7-1.lance'\]"):
        embedding_parts.merge_fragment(work, 2, embedding_parts.plan(work))


@pytest.mark.slow
def test_ray_writes_the_same_vectors(
    ray_address: str, fresh: tuple[Home, str, str], vectors: np.ndarray
) -> None:
    home, dataset, encoder = fresh
    on_ray = SPLIT.model_copy(update={"ray_above_items": 0})
    made = precompute_embeddings.run(home, dataset, encoder, on_ray)
    np.testing.assert_allclose(read(home, made), vectors, atol=1e-5)
    assert load_dataset(home, made).tables["items"].version == 2


@pytest.mark.slow
def test_what_fails_on_ray_says_why(ray_address: str, fresh: tuple[Home, str, str]) -> None:
    work = replace(work_of(*fresh), encoder="0" * 16)
    with pytest.raises(TastemakerError, match=r"embedding on Ray failed: .*0000000000000000"):
        ray_embed.write_parts(work, embedding_parts.plan(work), 1)


@pytest.mark.slow
def test_a_step_on_a_cluster_submits_a_ray_job_that_does_the_work(
    ray_address: str,
    fresh: tuple[Home, str, str],
    vectors: np.ndarray,
    schemas: Schemas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, dataset, encoder = fresh
    monkeypatch.setenv("TASTEMAKER_HOME", home.location)
    job = RayJobConfig(image="registry.acme.io/tastemaker/train:1", config_map="home")
    monkeypatch.setenv(ENVIRONMENT, to_settings(job))
    server = ApiServer(schemas)
    with serving(server):
        kubeconfig(tmp_path / "kubeconfig", server.port, monkeypatch)
        operator = threading.Thread(target=operate, args=(server, ray_address))
        operator.start()
        above = SPLIT.model_copy(update={"ray_above_items": 0})
        made = precompute_embeddings.run(home, dataset, encoder, above)
        operator.join()
    np.testing.assert_allclose(read(home, made), vectors, atol=1e-5)
    assert server.requests[0] == "create rayjobs"
    assert server.requests[-1].startswith("delete embed-")
