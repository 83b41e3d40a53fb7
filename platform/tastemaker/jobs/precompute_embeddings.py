"""Job: every item of a dataset version through an encoder, into a vector column of items.

The column is named by the encoder's digest and added to the items table as one atomic commit:
a run that was killed leaves either no column or the whole one, which the next run takes over.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from tastemaker.core import digests
from tastemaker.core.config import Config
from tastemaker.core.errors import DataError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.core.progress import Progress
from tastemaker.data.dataset import Dataset, Table, load_dataset, open_table
from tastemaker.encoder.model import Encoder, item_text
from tastemaker.encoder.storage import load_encoder
from tastemaker.promotion.bundle import load_bundle

COLUMNS = ("image", "title", "text")  # what an item's vector is made of
VECTOR = "vector"


class EmbeddingsConfig(Config):
    """How the items are embedded; the vectors do not depend on it."""

    batch_size: PositiveInt = 256  # items
    ray_above_items: int = Field(default=50_000, ge=0)  # more than this many go through Ray Data
    ray_actors: PositiveInt = 2  # processes, one thread each


def run(home: Home, dataset: str, encoder: str, settings: EmbeddingsConfig) -> str:
    """Embed the items of a dataset version.

    Args:
        home: Where to.
        dataset: Digest of a dataset version.
        encoder: Digest of an encoder bundle.
        settings: Batch size, and from where on Ray does it.

    Returns:
        Digest of a dataset version that shares all tables and has one vector column more.

    Raises:
        NotFound: No such dataset version or encoder.
        DataError: The column that is there already has another width than the encoder.
    """
    data = load_dataset(home, dataset)
    bundle = load_bundle(home, encoder, family="encoder")
    column = column_name(bundle.digest)
    if data.spaces.get(column) == bundle.digest:
        return dataset
    table = _with_column(data, column, bundle.path, load_encoder(bundle.path), settings)
    embedded = Dataset(
        home=home,
        name=data.name,
        tables={**data.tables, "items": table},
        parents=(dataset,),
        spaces={**data.spaces, column: bundle.digest},
        notes=data.notes,
    )
    return embedded.save()


def column_name(encoder: str) -> str:
    """Name of the items column that holds an encoder's vectors."""
    return f"embedding_{encoder}"


def embed_batch(encoder: Encoder, batch: pa.Table | pa.RecordBatch) -> pa.FixedSizeListArray:
    """Embed some rows of items; each row's vector depends on that row alone.

    Args:
        encoder: In eval mode.
        batch: With the columns image, title and text.

    Returns:
        fixed_size_list<float32>[dim], unit norm, one a row.
    """
    titles, texts = batch["title"].to_pylist(), batch["text"].to_pylist()
    words = [item_text(title, text) for title, text in zip(titles, texts, strict=True)]
    vectors_BD = encoder.embed_items(batch["image"].to_pylist(), words)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(vectors_BD.ravel(), pa.float32()), vectors_BD.shape[1]
    )


def _with_column(
    data: Dataset, column: str, bundle: Any, encoder: Encoder, settings: EmbeddingsConfig
) -> Table:
    old = data.tables["items"]
    path = data.home.uri(old.uri)
    data.open("items")  # NotFound where the table is gone
    latest = open_table(data.home, old.uri)
    if column not in latest.schema.names:
        data.home.require_tables()
        vectors = _embed(data, bundle, encoder, settings)
        table = pa.table({column: vectors})
        try:
            latest.add_columns(table.to_reader())
        except (OSError, ValueError):  # another run was first
            latest = open_table(data.home, old.uri)
            if column not in latest.schema.names:
                raise
    kind = latest.schema.field(column).type
    if kind != pa.list_(pa.float32(), encoder.config.dim):
        raise DataError(
            f"column {column} of {path} is {kind}, but encoder {bundle.name} writes "
            f"{encoder.config.dim} numbers an item; move the table away and curate again"
        )
    vectors_ND = column_matrix(latest.to_table(columns=[column])[column])
    if (
        not np.isfinite(vectors_ND).all()
        or abs(np.linalg.norm(vectors_ND, axis=1) - 1).max() > 1e-3
    ):
        raise DataError(f"column {column} of {path} holds vectors that are not of unit norm")
    content = digests.of_bytes([old.content.encode(), column.encode(), vectors_ND.tobytes()])
    return Table(uri=old.uri, version=latest.version, rows=old.rows, content=content)


def column_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A vector column as (rows, dim) float32."""
    whole = column.combine_chunks()
    flat = whole.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, np.float32).reshape(len(whole), whole.type.list_size)


def _embed(
    data: Dataset, bundle: Any, encoder: Encoder, settings: EmbeddingsConfig
) -> pa.FixedSizeListArray:
    rows = data.tables["items"].rows
    if rows > settings.ray_above_items:
        return embed_with_ray(data, str(bundle), settings)
    progress, done, parts = Progress("embed items", rows), 0, []
    for batch in data.open("items").to_batches(
        columns=list(COLUMNS), batch_size=settings.batch_size
    ):
        parts.append(embed_batch(encoder, batch))
        done += len(batch)
        progress.update(done)
    return pa.concat_arrays(parts)


class EmbedRows:
    """A Ray Data actor: one encoder in its own process, one thread.

    Args:
        folder: The encoder's bundle.
    """

    def __init__(self, folder: str) -> None:
        from pathlib import Path

        import torch

        torch.set_num_threads(1)
        self.encoder = load_encoder(Path(folder))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The batch's row numbers with their vectors."""
        return pa.table({"row": batch["row"], VECTOR: embed_batch(self.encoder, batch)})


def embed_with_ray(data: Dataset, folder: str, settings: EmbeddingsConfig) -> pa.FixedSizeListArray:
    """Embed the items in `ray_actors` processes; the rows keep their order.

    Args:
        data: Its items are read.
        folder: The encoder's bundle.
        settings: Batch size and number of actors.

    Raises:
        TastemakerError: Ray gave back another number of rows than it was given.
    """
    import os

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    mine = not ray.is_initialized()
    if mine:
        # logical CPUs: actors that hold every one would leave none for the read tasks
        ray.init(
            num_cpus=settings.ray_actors + 2,
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
        )
    try:
        items = data.read("items", COLUMNS)
        numbered = items.append_column("row", pa.array(range(len(items)), pa.int64()))
        found = (
            ray.data.from_arrow(numbered)
            .repartition(settings.ray_actors * 4)
            .map_batches(
                EmbedRows,
                fn_constructor_args=(folder,),
                batch_format="pyarrow",
                batch_size=settings.batch_size,
                compute=ray.data.ActorPoolStrategy(size=settings.ray_actors),
                num_cpus=1,
            )
        )
        parts = [ray.get(part) for part in found.to_arrow_refs()]
    finally:
        if mine:
            ray.shutdown()
    table = pa.concat_tables(parts).sort_by("row").combine_chunks()
    if table["row"].to_pylist() != list(range(len(items))):
        raise TastemakerError(f"Ray embedded {len(table)} rows of {len(items)} items")
    return table[VECTOR].combine_chunks()
