"""The item index: nearest items to a vector, with filters, exact or by a graph.

Files of an index: vectors.npy (float16, unit norm), items.parquet (ids, categories, prices in
the same order), index.json (settings, space), and above `exact_up_to_items` graph.usearch.
All are memory-mapped or read once; nothing is written after the build.

Shape suffixes: N = items, D = width of the space, K = candidates.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, PositiveInt

from tastemaker.core.config import Config, parse
from tastemaker.core.errors import DataError, NotFound, SpaceMismatch

UNLIKE_WEIGHT = 0.5  # of an unliked item beside a liked one


class IndexConfig(Config):
    """When a graph replaces exact search, and its density."""

    exact_up_to_items: int = Field(default=20_000, ge=0)  # exact: about 1 ms of matmul at 20,000
    connectivity: int = Field(default=16, ge=2)  # edges an item
    build_candidates: PositiveInt = 128  # looked at for each item added
    search_candidates: PositiveInt = 128  # looked at for each search, then ranked exactly


@dataclass(frozen=True)
class Hit:
    """An item that was found; `score` is its cosine to the query, -1..1."""

    item_id: str
    score: float


@dataclass(frozen=True)
class Query:
    """What to search for; a vector, liked items or unliked ones, at least one of them.

    Attributes:
        vector: In the index's space; need not be of unit norm.
        like: Items to be near to.
        unlike: Items to be far from.
        category: Only items of this category (its case does not count).
        max_price: Only items with a price of at most this.
        exclude: Items to leave out; liked and unliked ones always are.
        k: Number of items, >= 1.
    """

    vector: Sequence[float] | np.ndarray | None = None
    like: Sequence[str] = ()
    unlike: Sequence[str] = ()
    category: str | None = None
    max_price: float | None = None
    exclude: Sequence[str] = ()
    k: int = 10


def write_index(
    items: pa.Table, vectors_ND: np.ndarray, space: str, config: IndexConfig, folder: Path
) -> None:
    """Build an index into an existing folder.

    Args:
        items: With item_id, category and price, in the order of the vectors.
        vectors_ND: Unit vectors.
        space: The embedding space that they are in.
        config: Exact or graph.
        folder: Where to.

    Raises:
        DataError: Not one vector an item.
    """
    if vectors_ND.ndim != 2 or len(vectors_ND) != len(items) or not len(items):
        raise DataError(f"{len(items)} items and vectors of shape {vectors_ND.shape}: one an item")
    np.save(folder / "vectors.npy", vectors_ND.astype(np.float16))
    pq.write_table(items.select(["item_id", "category", "price"]), folder / "items.parquet")
    about = {"space": space, "items": len(items), "dim": vectors_ND.shape[1]}
    settings = {**about, "config": config.model_dump(mode="json")}
    (folder / "index.json").write_text(json.dumps(settings, indent=1))
    if len(items) > config.exact_up_to_items:
        graph = _new_graph(vectors_ND.shape[1], config)
        # one thread: the order of insertion decides the graph, and so the bundle's digest
        graph.add(np.arange(len(items)), vectors_ND.astype(np.float16), threads=1)
        graph.save(str(folder / "graph.usearch"))


class ItemIndex:
    """An index opened from its folder.

    Args:
        folder: What `write_index` filled, wherever it lies.

    Raises:
        NotFound: The folder holds no index.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "index.json").is_file():
            raise NotFound(f"{folder} holds no index (index.json)")
        about = json.loads((folder / "index.json").read_text())
        self.space: str = about["space"]
        self.config = parse(IndexConfig, about["config"], where=str(folder))
        columns = pq.read_table(folder / "items.parquet").to_pydict()
        self.item_ids: list[str] = columns["item_id"]
        self.row_of = {item: row for row, item in enumerate(self.item_ids)}
        self.categories_N = np.array([name.casefold() for name in columns["category"]])
        prices = [np.nan if price is None else price for price in columns["price"]]
        self.prices_N = np.array(prices, np.float32)
        stored_ND = np.load(folder / "vectors.npy", mmap_mode="r")
        graph = folder / "graph.usearch"
        self.graph: Any = None
        self.vectors_ND: np.ndarray = stored_ND
        if graph.is_file():
            self.graph = _new_graph(about["dim"], self.config)
            self.graph.view(str(graph))
        else:
            self.vectors_ND = stored_ND.astype(np.float32)

    def __len__(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    def search(self, query: Query, *, space: str) -> list[Hit]:
        """Find the nearest items.

        Args:
            query: What to search for.
            space: The embedding space of its vector.

        Returns:
            At most `k` hits, nearest first; ties in the order of the catalogue.

        Raises:
            SpaceMismatch: The query is of another space.
            NotFound: A liked or unliked item is not in the index.
            DataError: Nothing to search for, k < 1, or a vector of another width.
        """
        if space != self.space:
            raise SpaceMismatch("the item index", expected=self.space, found=space)
        if query.k < 1:
            raise DataError(f"k={query.k}: at least one item is asked for")
        target_D = self._target(query)
        hidden = np.array(
            [*self._rows([*query.like, *query.unlike]), *self._known(query.exclude)], int
        )
        allowed_N = self._allowed(query)
        rows_K = self._candidates(target_D, query.k + len(hidden), allowed_N)
        rows_K = np.setdiff1d(rows_K, hidden)  # sorted: ties keep the catalogue's order
        scores_K = self.vectors_ND[rows_K].astype(np.float32) @ target_D
        best = np.argsort(-scores_K, kind="stable")[: query.k]
        return [Hit(self.item_ids[rows_K[i]], float(scores_K[i])) for i in best]

    def vector(self, item_id: str) -> np.ndarray:
        """The stored vector of an item, float32.

        Raises:
            NotFound: The item is not in the index.
        """
        vector_D: np.ndarray = self.vectors_ND[self._rows([item_id])[0]].astype(np.float32)
        return vector_D

    def _target(self, query: Query) -> np.ndarray:
        width = self.vectors_ND.shape[1]
        target_D = np.zeros(width, np.float32)
        if query.vector is not None:
            given_D = np.asarray(query.vector, np.float32)
            if given_D.shape != (width,) or not np.isfinite(given_D).all():
                raise DataError(
                    f"a vector of {given_D.shape}: the index takes {width} finite numbers"
                )
            target_D += given_D / max(float(np.linalg.norm(given_D)), 1e-9)
        for items, weight in ((query.like, 1.0), (query.unlike, -UNLIKE_WEIGHT)):
            if items:
                target_D += weight * self.vectors_ND[self._rows(items)].astype(np.float32).mean(0)
        norm = float(np.linalg.norm(target_D))
        if norm < 1e-9:
            raise DataError("nothing to search for: give a vector, liked or unliked items")
        return target_D / norm

    def _rows(self, items: Sequence[str]) -> list[int]:
        missing = [item for item in items if item not in self.row_of]
        if missing:
            raise NotFound(f"no item {missing[0]!r} among the {len(self)} items of the index")
        return [self.row_of[item] for item in items]

    def _known(self, items: Sequence[str]) -> list[int]:
        return [self.row_of[item] for item in items if item in self.row_of]

    def _allowed(self, query: Query) -> np.ndarray | None:
        """Rows that pass the filters; None where there is no filter."""
        if query.category is None and query.max_price is None:
            return None
        allowed_N = np.ones(len(self), bool)
        if query.category is not None:
            allowed_N &= self.categories_N == query.category.casefold()
        if query.max_price is not None:
            allowed_N &= self.prices_N <= query.max_price  # unknown prices (NaN) do not pass
        return np.flatnonzero(allowed_N)

    def _candidates(
        self, target_D: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> np.ndarray:
        """Rows to rank exactly: all that pass, or the graph's nearest."""
        if self.graph is None:
            return np.arange(len(self)) if allowed is None else allowed
        if allowed is None:
            return self._graph_rows(target_D, max(count, self.config.search_candidates))
        if len(allowed) <= max(self.config.exact_up_to_items, self.config.search_candidates):
            return allowed
        share = len(allowed) / len(self)
        wanted = int(max(count, self.config.search_candidates) / share)
        return np.intersect1d(self._graph_rows(target_D, wanted), allowed)

    def _graph_rows(self, target_D: np.ndarray, count: int) -> np.ndarray:
        found = self.graph.search(target_D.astype(np.float16), min(count, len(self)))
        return np.asarray(found.keys, np.int64)


def _new_graph(dim: int, config: IndexConfig) -> Any:
    from usearch.index import Index

    return Index(
        ndim=dim,
        metric="ip",
        dtype="f16",
        connectivity=config.connectivity,
        expansion_add=config.build_candidates,
        expansion_search=config.search_candidates,
    )
