"""Embedding in parts: each is written by one process alone, and one commit ends it.

A part is a range of rows of one fragment of items; its vectors are a small table of their own, so
that what a process that died has finished is there for the next. When all parts are there, each
fragment gets a file with the new column, again by one process alone; no lock is shared. The
column appears in the items table by one commit of all fragments, or not at all.

`platform/tastemaker/jobs/precompute_embeddings.py` calls these functions one after another,
`platform/tastemaker/jobs/ray_embed.py` on many processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tastemaker.core import digests
from tastemaker.core.errors import DataError, NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import open_table
from tastemaker.encoder.model import Encoder, item_text
from tastemaker.encoder.storage import load_encoder
from tastemaker.promotion.bundle import load_bundle
from tastemaker.training.device import training_device

COLUMNS = ("image", "title", "text")  # what an item's vector is made of
_MERGED_ROWS = 8192  # vectors in memory at once while a fragment gets its column


@dataclass(frozen=True)
class Work:
    """What is to be embedded; small, and the same in every process.

    Attributes:
        home: Location of the home.
        table: Folder of items below it.
        version: Lance version that is read.
        content: Digest of the table's content.
        encoder: Digest of the encoder's bundle.
        column: Name of the new column.
        batch_size: Items that go through the encoder at once.
        part_rows: Rows of a part, at most.
    """

    home: str
    table: str
    version: int
    content: str
    encoder: str
    column: str
    batch_size: int
    part_rows: int

    @property
    def folder(self) -> str:
        """Where the parts lie: parts of other sizes, tables or encoders never mix."""
        return f"embedding_parts/{digests.of_json([self.content, self.encoder, self.part_rows])}"

    def open(self) -> Any:
        """The items that are read."""
        return open_table(Home.open(self.home), self.table, self.version)


@dataclass(frozen=True)
class Part:
    """A range of rows of one fragment."""

    fragment: int
    start: int
    rows: int

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.fragment}-{self.start}-{self.rows}.lance"


def plan(work: Work) -> list[Part]:
    """All parts, in the table's order."""
    parts: list[Part] = []
    for fragment in work.open().get_fragments():
        rows = fragment.count_rows()
        for start in range(0, rows, work.part_rows):
            parts.append(Part(fragment.fragment_id, start, min(work.part_rows, rows - start)))
    return parts


def load(work: Work) -> Encoder:
    """The encoder, in eval mode."""
    bundle = load_bundle(Home.open(work.home), work.encoder, family="encoder")
    return load_encoder(bundle.path).to(training_device())


def embed_part(work: Work, encoder: Encoder, part: Part) -> int:
    """Write a part's vectors unless they are there; returns the number of rows embedded."""
    if _written(work, part) is not None:
        return 0
    import lance

    home = Home.open(work.home)
    scanner = (
        work.open()
        .get_fragment(part.fragment)
        .scanner(
            columns=list(COLUMNS), offset=part.start, limit=part.rows, batch_size=work.batch_size
        )
    )
    vectors = [embed_batch(encoder, batch) for batch in scanner.to_batches()]
    table = pa.table({work.column: pa.concat_arrays(vectors)})
    try:
        lance.write_dataset(
            table,
            home.uri(work.folder, part.name),
            mode="overwrite",
            storage_options=home.storage_options,
        )
    except OSError:
        if _written(work, part) is None:  # else another process was first with the same rows
            raise
    return part.rows


def merge_fragment(work: Work, fragment: int, parts: Sequence[Part]) -> tuple[Any, Any]:
    """Write one fragment's file with the new column, from its parts.

    Returns:
        The fragment's metadata and the table's schema, for `commit`.

    Raises:
        DataError: A part is missing.
    """
    own = [part for part in parts if part.fragment == fragment]
    tables: list[Any] = [_written(work, part) for part in own]
    if missing := [part.name for part, table in zip(own, tables, strict=True) if table is None]:
        raise DataError(f"parts {missing} of {work.folder} are gone; run the step again")

    def batches() -> Iterator[pa.RecordBatch]:
        for table in tables:
            yield from table.to_batches(batch_size=_MERGED_ROWS)

    reader = pa.RecordBatchReader.from_batches(tables[0].schema, batches())
    merged: tuple[Any, Any] = work.open().get_fragment(fragment).merge_columns(reader)
    return merged


def commit(work: Work, merged: Sequence[tuple[Any, Any]]) -> bool:
    """Add the column to the table, all fragments at once.

    Args:
        work: What was embedded.
        merged: Of each fragment, in the table's order.

    Returns:
        False where another column was committed since `work.version`: merge again on the latest.
    """
    import lance
    from lance.commit import CommitConflictError

    home = Home.open(work.home)
    change = lance.LanceOperation.Merge([one for one, _ in merged], merged[0][1])
    try:
        lance.LanceDataset.commit(
            home.uri(work.table),
            change,
            read_version=work.version,
            storage_options=home.storage_options,
        )
    except CommitConflictError:
        return False
    return True


def clean_up(work: Work) -> None:
    """Remove the parts: the column is in the table."""
    Home.open(work.home).remove(work.folder)


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


def _written(work: Work, part: Part) -> Any | None:
    try:
        table = open_table(Home.open(work.home), f"{work.folder}/{part.name}")
    except NotFound:
        return None
    return table if table.count_rows() == part.rows else None
