"""The checkout: the repository's model files as a folder, switched from one commit to the next.

checkout/trees/<commit>/models/<env>/<model>.yaml
checkout/current -> trees/<commit>        replaced at once, so that no reader sees half a commit
"""

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from tastemaker.core.home import Home, publish
from tastemaker.promotion.git import Git
from tastemaker.promotion.repository import (
    MODELS_FOLDER,
    held,
    is_there,
    open_repository,
)

MANIFESTS = "TASTEMAKER_MANIFESTS"
_KEPT = 3  # trees: of the newest commits, for who still reads the one before
_REGULAR = ("100644", "100755")


@dataclass(frozen=True)
class Checkout:
    """What a home follows.

    Attributes:
        folder: Holds `models/<environment>/<model>.yaml`.
        commit: It is of; empty: a folder that somebody keeps by other means.
    """

    folder: Path
    commit: str = ""


def current(home: Home) -> Checkout | None:
    """The checkout as it is, without asking the repository; None: there is none yet.

    `TASTEMAKER_MANIFESTS` names a folder that takes its place.
    """
    if given := os.environ.get(MANIFESTS):
        return Checkout(Path(given).expanduser().resolve())
    link = _link(home)
    try:
        tree = Path(os.readlink(link))
    except OSError:
        return None
    folder = link.parent / tree
    return Checkout(folder, tree.name) if folder.is_dir() else None


def read(home: Home) -> Checkout | None:
    """The checkout; made at first use where there is a repository; None: nothing is live."""
    return current(home) or (update(home) if is_there(home) else None)


def update(home: Home, timeout_s: float | None = None) -> Checkout:
    """Bring the checkout to where the repository's branch is now.

    Args:
        home: Whose.
        timeout_s: For a remote's answer; default: that of `Git.fetch`.

    Raises:
        ConfigError: No repository is named and the home cannot hold one.
        GitError: It does not answer; the checkout stays as it was.
    """
    if os.environ.get(MANIFESTS) and (found := current(home)):
        return found
    with held(home.root / "checkout" / "lock"):  # else an older commit could come last
        repository = open_repository(home)
        return _switch(home, repository.git, repository.fetch(timeout_s))


def _switch(home: Home, git: Git, commit: str) -> Checkout:
    name = commit or "empty"
    before = current(home)
    folder = home.root / "checkout" / "trees" / name
    if before and before.folder == folder:
        return before
    if not folder.is_dir():
        _write_tree(home, git, commit, folder)
    link = _link(home)
    staged = link.with_name(f".current.{uuid.uuid4().hex}")
    staged.symlink_to(Path("trees", name))
    staged.replace(link)
    _forget_old(folder, before)
    return Checkout(folder, name)


def _link(home: Home) -> Path:
    return home.root / "checkout" / "current"


def _write_tree(home: Home, git: Git, commit: str, folder: Path) -> None:
    with home.staging() as staging:
        made = staging / "tree"
        (made / "models").mkdir(parents=True)
        for path, mode in (git.files(commit, MODELS_FOLDER) if commit else {}).items():
            text = git.read(commit, path)
            if mode in _REGULAR and text is not None:  # a link could lead out of the folder
                target = made / "models" / path.removeprefix(f"{MODELS_FOLDER}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, errors="surrogateescape")
        publish(made, folder)


def _forget_old(folder: Path, before: Checkout | None) -> None:
    kept = {folder, before.folder if before else folder}
    trees = sorted(folder.parent.iterdir(), key=lambda tree: tree.stat().st_mtime, reverse=True)
    for tree in [tree for tree in trees if tree not in kept][_KEPT - 2 :]:
        shutil.rmtree(tree, ignore_errors=True)
