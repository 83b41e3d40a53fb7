"""A home with four bundles of one space that are live in `local`, and a checkout to break."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tastemaker.core.home import Home
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.environment import file_name
from tastemaker.promotion.model_file import Live
from tests.tastemaker.promotion.shop import write_live

CHECKOUT = Path(__file__).parents[3]
DATASET = "d" * 16
FAMILIES = {"retrieval": "index", "recommender": "sequence", "router": "router"}


@dataclass
class Served:
    """A home and what is live there."""

    home: Home
    space: str
    bundles: dict[str, str] = field(default_factory=dict)

    def make(self, family: str, reads: str = "", salt: str = "") -> str:
        """Write a bundle; its digest."""
        card = Card(
            family=family, config={"salt": salt}, parents={}, reads=(reads,) if reads else ()
        )
        return write_bundle(self.home, card, lambda folder: None).digest

    def promote(self, model: str, bundle: str, *, dataset: str = DATASET, space: str = "") -> None:
        """Make a bundle live."""
        write_live(self.home, "local", model, Live(bundle, dataset, space or self.space))

    def file(self, model: str) -> Path:
        """A model's promoted file."""
        return Path(file_name(self.home, "local", model))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.delenv("TASTEMAKER_MANIFESTS", raising=False)
    found = Served(Home.open(str(tmp_path / "home")), "")
    found.space = found.make("encoder")
    found.bundles = {"encoder": found.space}
    found.bundles |= {model: found.make(family, found.space) for model, family in FAMILIES.items()}
    for model, one in found.bundles.items():
        write_live(found.home, "local", model, Live(one, DATASET, found.space))
    return found


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of charts, model files and one pipeline that a test may break."""
    root = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / "helm" / "model", root / "helm" / "model")
    shutil.copytree(CHECKOUT / "manifests" / "models", root / "manifests" / "models")
    (root / "manifests" / "infrastructure").mkdir()
    (root / "pipelines" / "compiled").mkdir(parents=True)
    monkeypatch.setenv("TASTEMAKER_ROOT", str(root))
    monkeypatch.chdir(root)
    return root
