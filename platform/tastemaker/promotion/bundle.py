"""Bundles: a trained model (or an index) as files, named by a digest of its content.

bundle.yaml    family, name, resolved config, parents, spaces read and written, code version
*              weights (safetensors), vocabularies, whatever the family needs
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tastemaker import __version__
from tastemaker.core import digests
from tastemaker.core.errors import NotFound, SpaceMismatch
from tastemaker.core.home import Home

BUNDLE_HEADER = "x-tastemaker-bundle"  # in a reply of a model server: which bundle answered
FAILED_HEADER = "x-tastemaker-failed-bundle"  # and which one was asked before it, in vain


@dataclass(frozen=True)
class Card:
    """What `bundle.yaml` says.

    Attributes:
        family: encoder, index, sequence, router.
        config: The resolved configuration that it was made with.
        parents: Digests of what it was made from, by role: dataset, encoder, ...
        reads: Embedding spaces (encoder digests) whose vectors it reads.
        writes_space: True for an encoder: the space that it writes is its own digest.
        metrics: Figures of the training run (not part of a gate's evidence).
        code_version: Version of this package that wrote it.
    """

    family: str
    config: Mapping[str, Any]
    parents: Mapping[str, str]
    reads: tuple[str, ...] = ()
    writes_space: bool = False
    metrics: Mapping[str, float] | None = None
    code_version: str = __version__


@dataclass(frozen=True)
class Bundle:
    """A bundle in a home."""

    digest: str
    path: Path
    card: Card

    def check_space(self, space: str) -> None:
        """Refuse vectors of a space that this bundle does not read.

        Raises:
            SpaceMismatch: With both digests in the message.
        """
        if space not in self.card.reads:
            expected = ", ".join(self.card.reads) or "(none)"
            what = f"{self.card.family} bundle {self.digest}"
            raise SpaceMismatch(what, expected=expected, found=space)


def write_bundle(home: Home, card: Card, write: Callable[[Path], None]) -> Bundle:
    """Write a bundle atomically.

    Args:
        home: Where to.
        card: What it is.
        write: Puts the model's files into the folder that it is given.

    Returns:
        The bundle, named by the digest of its files and its card.
    """
    with home.staging() as staging:
        staged = staging / "bundle"
        staged.mkdir()
        write(staged)
        content = {**asdict(card), "reads": list(card.reads), "metrics": dict(card.metrics or {})}
        (staged / "bundle.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        digest = digests.of_folder(staged)
        home.publish(staged, "bundles", digest)
    return load_bundle(home, digest)


def load_bundle(home: Home, digest: str, *, family: str | None = None) -> Bundle:
    """Open a bundle by its digest.

    Args:
        home: Where it lies.
        digest: Its 16 hex characters.
        family: Refuse a bundle of another family.

    Raises:
        NotFound: The home has no such bundle, or it is of another family.
    """
    path = home.fetch("bundles", digest)
    if not (path / "bundle.yaml").is_file():
        raise NotFound(f"no bundle {digest!r} in {home.location}")
    return read_bundle(path, family=family)


def read_bundle(path: Path, *, family: str | None = None) -> Bundle:
    """Open a bundle's folder wherever it lies (a server's mounted `/mnt/models`).

    Raises:
        NotFound: Not a bundle, or of another family.
    """
    file = path / "bundle.yaml"
    if not file.is_file():
        raise NotFound(f"{path} is not a bundle: it holds no bundle.yaml")
    content = yaml.safe_load(file.read_text())
    card = Card(**{**content, "reads": tuple(content["reads"])})
    if family is not None and card.family != family:
        raise NotFound(f"bundle {path.name} is of family {card.family!r}, not {family!r}")
    return Bundle(digest=digests.of_folder(path), path=path, card=card)
