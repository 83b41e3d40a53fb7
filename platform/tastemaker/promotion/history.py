"""What was live when, and how two environments differ: read from the repository's commits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tastemaker.core.errors import EvidenceError
from tastemaker.core.home import Home
from tastemaker.promotion.evidence import Evidence, read_unverified
from tastemaker.promotion.git import Git
from tastemaker.promotion.model_file import MODELS, Pins
from tastemaker.promotion.repository import open_repository, path_of
from tastemaker.promotion.verification import environment_at, evidence_lines, pins_at

UNDOES = "Rollback-Of"  # trailer: the commit that a rollback goes back behind

_UNDOES = re.compile(rf"^{UNDOES}: ([0-9a-f]{{40}})$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One change of what a model file pins.

    Attributes:
        commit: That made it.
        parent: What it stands on; empty: nothing.
        time: Of the commit, UTC.
        author: Account of who made it.
        subject: First line of its message.
        undoes: Commit that it rolls back; empty: it is no rollback.
        before: What was pinned; None: nothing.
        after: What is pinned; None: nothing any more.
        evidence: Of bundles of this model, as the message carries it; not verified here.
    """

    commit: str
    parent: str
    time: datetime
    author: str
    subject: str
    undoes: str
    before: Pins | None
    after: Pins | None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One model in two environments; None: nothing is live."""

    model: str
    first: Pins | None
    second: Pins | None


def history(home: Home, environment: str, model: str) -> list[Step]:
    """Every change of a model in an environment, newest first.

    Raises:
        GitError: The repository does not answer.
        ConfigError: None is named and the home cannot hold one.
    """
    repository = open_repository(home)
    head = repository.fetch()
    return list(steps(repository.git, head, environment, model)) if head else []


def steps(git: Git, head: str, environment: str, model: str) -> Iterator[Step]:
    """Changes of what a model file pins up to a commit, newest first."""
    path = path_of(environment, model)
    for commit in git.commits("--first-parent", head, "--", path):
        parent = next(iter(git.parents(commit)), "")
        before = pins_at(git, parent, path, lenient=True)
        after = pins_at(git, commit, path, lenient=True)
        if before != after:
            yield _step(git, commit, parent, before, after, model)


def last_bundle_change(git: Git, head: str, environment: str, model: str) -> Step | None:
    """The step that brought what is stable now, as if rolled-back ones had never been.

    A rollback that went back behind a commit leaves the state before that commit, so the step
    that brought that state is asked for.
    """
    at = head
    while at:
        step = next((s for s in steps(git, at, environment, model) if _other_bundle(s)), None)
        if step is None or not step.undoes:
            return step
        at = next(iter(git.parents(step.undoes)), "")
    return None


def differences(home: Home, first: str, second: str) -> list[Difference]:
    """Every model of two environments, whether it differs or not.

    Raises:
        GitError: The repository does not answer.
        ConfigError: None is named and the home cannot hold one, or a model file is broken.
    """
    repository = open_repository(home)
    head = repository.fetch()
    one, other = (environment_at(repository.git, head, name) for name in (first, second))
    names = [*MODELS, *sorted({*one, *other} - set(MODELS))]
    return [Difference(name, one.get(name), other.get(name)) for name in names]


def _other_bundle(step: Step) -> bool:
    before = step.before.live if step.before else None
    return before != (step.after.live if step.after else None)


def _step(
    git: Git, commit: str, parent: str, before: Pins | None, after: Pins | None, model: str
) -> Step:
    head, _, message = (
        git.run("cat-file", "commit", commit).decode(errors="replace").partition("\n\n")
    )
    who = re.search(r"^author (?P<name>.*?) ?<[^>]*> \d+ \S+$", head, re.MULTILINE)
    when = re.search(r"^committer .* (\d+) \S+$", head, re.MULTILINE)
    undone = _UNDOES.search(message)
    return Step(
        commit,
        parent,
        datetime.fromtimestamp(int(when[1]) if when else 0, UTC),
        who["name"] if who else "",
        message.partition("\n")[0],
        undone[1] if undone else "",
        before,
        after,
        tuple(one for one in _evidence(message) if one.model == model),
    )


def _evidence(message: str) -> Iterator[Evidence]:
    for line in evidence_lines(message):
        try:
            yield read_unverified(line)
        except EvidenceError:
            continue  # of another version of this program; verification says so where it counts
