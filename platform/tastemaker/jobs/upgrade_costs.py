"""What the steps of an upgrade take, as this home measured them when it made what is live."""

from dataclasses import dataclass

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset
from tastemaker.jobs import step_records

_FLOAT_BYTES = 4
_EVIDENCE_BYTES = 65_536  # with its report


@dataclass(frozen=True)
class Cost:
    """What a step takes, as it was measured when something like it was made.

    Attributes:
        seconds: Of the wall clock.
        cpu_s: Core seconds.
        num_bytes: Of what it leaves in the home.
    """

    seconds: float
    cpu_s: float
    num_bytes: int

    def scaled(self, factor: float) -> "Cost":
        """The same for so many times as much."""
        return Cost(self.seconds * factor, self.cpu_s * factor, int(self.num_bytes * factor))


@dataclass(frozen=True)
class Measured:
    """Costs by the records that steps left.

    Attributes:
        home: Where they lie.
        base: Dataset version that is served; records of others count by their items.
    """

    home: Home
    base: Dataset

    def embeddings(self, dim: int) -> Cost | None:
        """Of the version that is served, else of any; for vectors of `dim` numbers."""
        rows = self._rows(self.base.digest)
        size = rows * dim * _FLOAT_BYTES
        others = (done.made for done in step_records.of_step(self.home, "precompute_embeddings"))
        for digest in (self.base.digest, *others):
            done = step_records.longest(self.home, digest, "precompute_embeddings")
            if done is not None:
                factor = rows / self._rows(digest)
                return Cost(done.seconds * factor, done.cpu_s * factor, size)
        return None

    def step(self, step: str, before: str, kind: str) -> Cost | None:
        """Of a step.

        Args:
            step: Its name.
            before: Digest of what is live; else anything that the step made here counts.
            kind: Folder of what it makes.
        """
        done = step_records.longest(self.home, before, step) if before else None
        if done is not None:
            return Cost(done.seconds, done.cpu_s, _num_bytes(self.home, kind, before))
        for other in step_records.of_step(self.home, step):
            factor = self._rows(self.base.digest) / self._rows(other.inputs.get("dataset", ""))
            size = _num_bytes(self.home, kind, other.made)
            return Cost(other.seconds, other.cpu_s, size).scaled(factor)
        return None

    def gate(self, model: str) -> Cost | None:
        """Of judging a model: the longest time, for one that finds its evidence takes none."""
        own = (d for d in step_records.of_step(self.home, "gate") if d.inputs["model"] == model)
        best = max(own, key=lambda done: done.seconds, default=None)
        return Cost(best.seconds, best.cpu_s, _EVIDENCE_BYTES) if best else None

    def _rows(self, dataset: str) -> int:
        """Items of a version; of one that is gone as many as are served."""
        try:
            found = load_dataset(self.home, dataset)
        except NotFound:
            found = self.base
        return found.tables["items"].rows or 1


def _num_bytes(home: Home, kind: str, digest: str) -> int:
    """Of what lies on this machine; 0 where it does not."""
    folder = home.root / kind / digest
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
