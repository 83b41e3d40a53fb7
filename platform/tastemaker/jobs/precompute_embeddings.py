"""Job: every item of a dataset version through an encoder, into a vector column of items.

The column is named by the encoder's digest and added to the items table as one atomic commit:
a run that was killed leaves either no column or the whole one, which the next run takes over,
and goes on from the parts that are written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from tastemaker.core import digests
from tastemaker.core.errors import DataError
from tastemaker.core.home import Home
from tastemaker.core.progress import Progress
from tastemaker.data.dataset import Dataset, Table, load_dataset, open_table
from tastemaker.jobs import embedding_parts
from tastemaker.jobs.embedding_config import EmbeddingsConfig
from tastemaker.jobs.embedding_parts import Part, Work
from tastemaker.promotion.bundle import load_bundle

_BLOCK_ROWS = 65_536  # of a column's digest


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
    dim = int(bundle.card.config["dim"])
    table = _with_column(data, column, bundle.digest, dim, settings)
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


def _with_column(
    data: Dataset, column: str, encoder: str, dim: int, settings: EmbeddingsConfig
) -> Table:
    old = data.tables["items"]
    path = data.home.uri(old.uri)
    data.open("items")  # NotFound where the table is gone
    latest = open_table(data.home, old.uri)
    if column not in latest.schema.names:
        data.home.require_tables()
        _spread(_work(data, column, encoder, latest.version, settings), old.rows, settings)
        latest = open_table(data.home, old.uri)
    kind = latest.schema.field(column).type
    if kind != pa.list_(pa.float32(), dim):
        raise DataError(
            f"column {column} of {path} is {kind}, but encoder {encoder} writes "
            f"{dim} numbers an item; move the table away and curate again"
        )
    content = digests.of_bytes([old.content.encode(), column.encode(), *_checked(latest, column)])
    return Table(uri=old.uri, version=latest.version, rows=old.rows, content=content)


def _work(
    data: Dataset, column: str, encoder: str, version: int, settings: EmbeddingsConfig
) -> Work:
    items = data.tables["items"]
    return Work(
        home=data.home.location,
        table=items.uri,
        version=version,
        content=items.content,
        encoder=encoder,
        column=column,
        batch_size=settings.batch_size,
        part_rows=settings.part_rows,
    )


def _spread(work: Work, rows: int, settings: EmbeddingsConfig) -> None:
    """Add the column: in this process, on Ray here, or in a Ray cluster of its own."""
    if rows <= settings.ray_above_items:
        add_column(work, _write_parts, _merge)
        return
    from tastemaker.jobs import ray_embed
    from tastemaker.jobs.ray_job import job_name
    from tastemaker.jobs.ray_job_config import RayJobConfig
    from tastemaker.jobs.ray_submit import run_ray_job

    job = RayJobConfig.from_environment()
    if job is not None:
        run_ray_job(job_name("embed", [work.content, work.encoder]), ray_embed.command(work), job)
        return
    with ray_embed.local_ray(settings.ray_actors):
        write = partial(ray_embed.write_parts, actors=settings.ray_actors)
        add_column(work, write, ray_embed.merge)


def add_column(
    work: Work,
    write: Callable[[Work, Sequence[Part]], None],
    merge: Callable[[Work, Sequence[Part]], list[tuple[Any, Any]]],
) -> None:
    """Write all parts, merge them into fragments, commit once.

    Args:
        work: What is embedded.
        write: Writes the parts that are missing.
        merge: Gives each fragment its column, in the table's order.
    """
    parts = embedding_parts.plan(work)
    write(work, parts)
    while not embedding_parts.commit(work, merge(work, parts)):
        latest = open_table(Home.open(work.home), work.table)
        if work.column in latest.schema.names:  # another run was first
            break
        work = replace(work, version=latest.version)
    embedding_parts.clean_up(work)


def _write_parts(work: Work, parts: Sequence[Part]) -> None:
    encoder, done = embedding_parts.load(work), 0
    progress = Progress("embed items", sum(part.rows for part in parts))
    for part in parts:
        embedding_parts.embed_part(work, encoder, part)
        done += part.rows
        progress.update(done)


def _merge(work: Work, parts: Sequence[Part]) -> list[tuple[Any, Any]]:
    fragments = dict.fromkeys(part.fragment for part in parts)
    return [embedding_parts.merge_fragment(work, fragment, parts) for fragment in fragments]


def _checked(table: Any, column: str) -> Iterator[bytes]:
    """The column's bytes in blocks of a fixed number of rows, however the table stores them.

    Raises:
        DataError: Vectors that are not of unit norm.
    """
    held = np.empty((0, 0), np.float32)
    for batch in table.to_batches(columns=[column], batch_size=_BLOCK_ROWS):
        vectors_BD = column_matrix(pa.chunked_array([batch[column]]))
        norms_B = np.linalg.norm(vectors_BD, axis=1)
        if not np.isfinite(vectors_BD).all() or abs(norms_B - 1).max() > 1e-3:
            raise DataError(
                f"column {column} of {table.uri} holds vectors that are not of unit norm"
            )
        held = np.concatenate([held, vectors_BD]) if len(held) else vectors_BD
        while len(held) >= _BLOCK_ROWS:
            yield held[:_BLOCK_ROWS].tobytes()
            held = held[_BLOCK_ROWS:]
    if len(held):
        yield held.tobytes()


def column_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A vector column as (rows, dim) float32."""
    whole = column.combine_chunks()
    flat = whole.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, np.float32).reshape(len(whole), whole.type.list_size)
