"""Copy what a bundle or a dataset version needs from one home to another.

Everything keeps its digest, and what is there already stays: a copy that was stopped goes on
where it was. Tables are read and written by Lance, so they may go to S3 and back.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from tastemaker.core.errors import DataError, NotFound
from tastemaker.core.home import Home
from tastemaker.core.progress import Progress
from tastemaker.data.dataset import Dataset, Table, create_table, load_dataset, open_table
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import MODELS, get_live

BESIDE = ("quarantine.jsonl", "html")  # what lies beside a dataset version
EVALUATION = ("report.html", "cases.json", "metrics.json")  # the last one makes it count


class HomeCopy:
    """One copy from a home to another.

    Args:
        source: Where from.
        target: Where to.
        tell: Told of each thing that was copied.
    """

    def __init__(self, source: Home, target: Home, tell: Callable[[str], None]) -> None:
        self.source, self.target, self.tell = source, target, tell
        self._seen: set[str] = set()

    def environment(self, name: str) -> None:
        """What is live in an environment of the source.

        Raises:
            NotFound: Nothing is live there, or something that is live is gone.
        """
        live = []
        for model in MODELS:
            try:
                live.append(get_live(self.source, name, model))
            except NotFound:
                self.tell(f"no {model} is live in {name}")
        if not live:
            raise NotFound(f"nothing is live in environment {name!r} of {self.source.location}")
        for one in live:
            self.bundle(one.bundle)
            self.dataset(one.dataset)

    def bundle(self, digest: str) -> None:
        """A bundle with its evaluation and all that it was made from.

        Raises:
            NotFound: The source lacks the bundle or one of its parents.
            DataError: Its files are not those that its digest names.
        """
        if not self._first(f"bundles/{digest}"):
            return
        bundle = load_bundle(self.source, digest)
        if bundle.digest != digest:
            raise DataError(f"{bundle.path} is corrupted: its content is that of {bundle.digest}")
        for role, parent in bundle.card.parents.items():
            if role == "dataset":
                self.dataset(parent)
            elif role == "dialogues":
                self._folder("dialogues", parent)
            else:
                self.bundle(parent)
        self._folder("bundles", digest)
        for data in self.source.names("evaluations", digest):
            for name in EVALUATION:
                self._text("evaluations", digest, data, name)

    def dataset(self, digest: str) -> None:
        """A dataset version with its tables and the encoders of its vectors.

        Older versions that it was made from stay behind.

        Raises:
            NotFound: The source lacks it, a table or an encoder.
            ConfigError: The target cannot hold tables.
        """
        if not self._first(f"datasets/{digest}.yaml"):
            return
        data = load_dataset(self.source, digest)
        for encoder in data.spaces.values():
            self.bundle(encoder)
        if self.target.holds("datasets", f"{digest}.yaml"):
            return
        tables = {name: self._table(data, name) for name in data.tables}
        for suffix in BESIDE:
            self._text("datasets", f"{digest}.{suffix}")
        replace(data, home=self.target, tables=tables).save()  # last: all that it names is there
        self.tell(f"datasets/{digest}.yaml")

    def _first(self, name: str) -> bool:
        first = name not in self._seen
        self._seen.add(name)
        return first

    def _folder(self, kind: str, digest: str) -> None:
        if self.target.holds(kind, digest):
            return
        path = self.source.fetch(kind, digest)
        if not path.is_dir():
            raise NotFound(f"no {kind}/{digest} in {self.source.location}")
        with self.target.staging() as staging:
            shutil.copytree(path, staging / digest)
            self.target.publish(staging / digest, kind, digest)
        self.tell(f"{kind}/{digest}")

    def _text(self, *parts: str) -> None:
        text = self.source.read_text(*parts)
        if text is not None and text != self.target.read_text(*parts):
            self.target.write_text(text, *parts)
            self.tell("/".join(parts))

    def _table(self, data: Dataset, name: str) -> Table:
        """Its first version, then the columns that were added since and the target lacks."""
        wanted, at = data.open(name), data.tables[name]
        first = open_table(self.source, at.uri, version=1)
        try:
            found = open_table(self.target, at.uri)
        except NotFound:
            create_table(self.target, at.uri, _reader(first, first.schema.names, f"copy {name}"))
            found = open_table(self.target, at.uri)
            self.tell(at.uri)
        missing = [column for column in wanted.schema.names if column not in found.schema.names]
        if missing:
            self.target.require_tables()
            found.add_columns(_reader(wanted, missing, f"copy {', '.join(missing)}"))
            self.tell(f"{at.uri}: {', '.join(missing)}")
        as_first = wanted.schema.names == first.schema.names
        return replace(at, version=1 if as_first else found.version)


def _reader(table: Any, columns: list[str], label: str) -> pa.RecordBatchReader:
    """The rows in their order, a batch at a time, with progress."""
    scanner = table.scanner(columns=columns)

    def batches() -> Iterator[pa.RecordBatch]:
        progress, done = Progress(label, table.count_rows()), 0
        for batch in scanner.to_batches():
            yield batch
            done += len(batch)
            progress.update(done)

    return pa.RecordBatchReader.from_batches(scanner.projected_schema, batches())
