from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core import digests
from tastemaker.core.errors import DataError, NotFound, SpaceMismatch
from tastemaker.retrieval.index import IndexConfig, ItemIndex, Query, write_index

SPACE = "a" * 16


def unit_rows(num: int, dim: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def build(folder: Path, vectors: np.ndarray, **config: int) -> ItemIndex:
    n = len(vectors)
    items = pa.table(
        {
            "item_id": [f"i{k}" for k in range(n)],
            "category": ["Lamp" if k % 2 else "sofa" for k in range(n)],
            "price": pa.array([None if k % 5 == 4 else float(k) for k in range(n)], pa.float32()),
        }
    )
    folder.mkdir()
    write_index(items, vectors, SPACE, IndexConfig(**config), folder)
    return ItemIndex(folder)


def ids(index: ItemIndex, query: Query) -> list[str]:
    return [hit.item_id for hit in index.search(query, space=SPACE)]


def test_an_item_finds_itself_with_cosine_one(tmp_path: Path) -> None:
    vectors = unit_rows(40, 16)
    index = build(tmp_path / "i", vectors)
    hit = index.search(Query(vector=3 * vectors[7], k=1), space=SPACE)[0]
    assert hit.item_id == "i7"
    assert hit.score == pytest.approx(1, abs=2e-3)


def test_filters_and_exclusions(tmp_path: Path) -> None:
    vectors = unit_rows(40, 16)
    index = build(tmp_path / "i", vectors)
    found = ids(
        index, Query(vector=vectors[7], category="lamp", max_price=20, exclude=["i7"], k=40)
    )
    assert set(found) == {f"i{k}" for k in range(1, 21, 2) if k % 5 != 4 and k != 7}
    assert ids(index, Query(vector=vectors[7], category="boat")) == []


def test_like_is_near_and_unlike_is_far(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0.9, 0.4359], [0.9, -0.4359], [-1, 0]], np.float32)
    index = build(tmp_path / "i", vectors)
    assert ids(index, Query(like=["i0"], k=4)) == ["i1", "i2", "i3"]  # a tie keeps the order
    assert ids(index, Query(vector=[1, 0], unlike=["i1"], k=4)) == ["i2", "i0", "i3"]


@pytest.mark.parametrize("dim", [32])
def test_the_graph_finds_what_exact_search_finds(tmp_path: Path, dim: int) -> None:
    vectors = unit_rows(3000, dim)
    exact = build(tmp_path / "exact", vectors)
    graph = build(tmp_path / "graph", vectors, exact_up_to_items=100)
    assert exact.graph is None
    assert graph.graph is not None
    queries = unit_rows(50, dim, seed=1)
    for filters in ({}, {"max_price": 1500.0}):
        share = []
        for vector in queries:
            truth = set(ids(exact, Query(vector=vector, k=10, **filters)))
            share.append(len(truth & set(ids(graph, Query(vector=vector, k=10, **filters)))) / 10)
        assert np.mean(share) > 0.95


def test_the_same_input_gives_the_same_files(tmp_path: Path) -> None:
    vectors = unit_rows(600, 16)
    for name in ("a", "b"):
        build(tmp_path / name, vectors, exact_up_to_items=100)
    assert digests.of_folder(tmp_path / "a") == digests.of_folder(tmp_path / "b")


def test_what_cannot_be_searched_is_refused(tmp_path: Path) -> None:
    index = build(tmp_path / "i", unit_rows(10, 8))
    with pytest.raises(SpaceMismatch, match=f"{SPACE}.*other"):
        index.search(Query(like=["i0"]), space="other")
    with pytest.raises(NotFound, match="'nope'"):
        index.search(Query(like=["nope"]), space=SPACE)
    with pytest.raises(DataError, match="8 finite numbers"):
        index.search(Query(vector=[1.0]), space=SPACE)
    with pytest.raises(DataError, match="nothing to search for"):
        index.search(Query(), space=SPACE)
    with pytest.raises(DataError, match="k=0"):
        index.search(Query(like=["i0"], k=0), space=SPACE)
    with pytest.raises(NotFound, match=r"index\.json"):
        ItemIndex(tmp_path)
    with pytest.raises(DataError, match="one an item"):
        write_index(pa.table({"item_id": ["a"]}), unit_rows(2, 8), SPACE, IndexConfig(), tmp_path)
