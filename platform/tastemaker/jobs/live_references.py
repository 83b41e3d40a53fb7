"""What model files name, now and in commits that a rollback could need, in every environment."""

from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath

from tastemaker.core.errors import ConfigError
from tastemaker.core.home import Home
from tastemaker.jobs.references import BUNDLES, DATASETS, Artifact
from tastemaker.promotion import checkout
from tastemaker.promotion.history import steps
from tastemaker.promotion.model_file import Pins, parse
from tastemaker.promotion.repository import MODELS_FOLDER, is_there, open_repository


def live_references(home: Home, rollback_commits: int) -> set[Artifact]:
    """Bundles, canaries and dataset versions that model files name.

    Args:
        home: Whose repository.
        rollback_commits: Latest changes of each model file that count.

    Raises:
        ConfigError: Nothing says what is live, so nothing may be removed.
        GitError: The repository does not answer.
    """
    if not is_there(home):
        raise ConfigError(
            f"{home.location} has no repository that says what is live, so nothing is removed; "
            "promote something, or name one in TASTEMAKER_GIT"
        )
    found: set[Artifact] = set()
    for pins in (*_committed(home, rollback_commits), *_checked_out(home)):
        for live in pins.served:
            found |= {Artifact(BUNDLES, live.bundle), Artifact(DATASETS, live.dataset)}
    return found


def _committed(home: Home, rollback_commits: int) -> Iterator[Pins]:
    repository = open_repository(home)
    head = repository.fetch()
    for path in repository.git.files(head, MODELS_FOLDER) if head else ():
        file = PurePosixPath(path)
        changes = steps(repository.git, head, file.parent.name, file.stem)
        for step in islice(changes, rollback_commits):
            yield from (pins for pins in (step.before, step.after) if pins)


def _checked_out(home: Home) -> Iterator[Pins]:
    """What servers read: a folder that somebody names may differ from the repository."""
    found = checkout.current(home)
    files = found.folder.glob("models/*/*.yaml") if found else ()
    for file in files:
        if "bundle:" in (text := file.read_text()):
            yield parse(text, str(file))
