"""What must stay in a home: everything that is live or could be rolled back to, and its parents."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion.bundle import load_bundle

BUNDLES, DATASETS, DIALOGUES, TABLES = "bundles", "datasets", "dialogues", "tables"


@dataclass(frozen=True, order=True)
class Artifact:
    """Something immutable in a home.

    Attributes:
        kind: Its folder.
        digest: Its name there; of a table the folder's name.
    """

    kind: str
    digest: str

    @property
    def parts(self) -> tuple[str, str]:
        """Its place."""
        return self.kind, f"{self.digest}.yaml" if self.kind == DATASETS else self.digest


@dataclass
class References:
    """Follows digests to all that they were made from.

    Attributes:
        home: Where everything lies.
        kept: Reached so far.
    """

    home: Home
    kept: set[Artifact] = field(default_factory=set)

    def add(self, artifacts: Iterable[Artifact]) -> None:
        """Keep artifacts and their parents; one that the home lacks is left out."""
        waiting = list(artifacts)
        while waiting:
            one = waiting.pop()
            if one not in self.kept and self.home.holds(*one.parts):
                self.kept.add(one)
                waiting += parents(self.home, one)


def parents(home: Home, one: Artifact) -> list[Artifact]:
    """What an artifact was made from, directly; a dataset version's tables too."""
    if one.kind == BUNDLES:
        try:
            card = load_bundle(home, one.digest).card
        except NotFound:
            return []
        return [_of_role(role, digest) for role, digest in card.parents.items()]
    if one.kind == DATASETS:
        data = load_dataset(home, one.digest)
        tables = [Artifact(TABLES, at.uri.partition("/")[2]) for at in data.tables.values()]
        spaces = [Artifact(BUNDLES, encoder) for encoder in data.spaces.values()]
        return tables + spaces + [Artifact(DATASETS, digest) for digest in data.parents]
    if one.kind == DIALOGUES:
        meta = json.loads((home.fetch(*one.parts) / "meta.json").read_text())
        return [_of_role(role, digest) for role, digest in meta["parents"].items()]
    return []


def of_features(home: Home) -> list[Artifact]:
    """What the live features were made from."""
    text = home.read_text("features", "current.yaml")
    if text is None:
        return []
    found = yaml.safe_load(text)
    bundles = [Artifact(BUNDLES, found[role]) for role in ("encoder", "sequence")]
    return [*bundles, Artifact(DATASETS, found["dataset"])]


def _of_role(role: str, digest: str) -> Artifact:
    kinds = {"dataset": DATASETS, "dialogues": DIALOGUES}
    return Artifact(kinds.get(role, BUNDLES), digest)
