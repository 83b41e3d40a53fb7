"""Promotion commits, for the lineage of what they made live."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from tastemaker.core import digests
from tastemaker.core.errors import NotFound, TastemakerError
from tastemaker.core.home import Home
from tastemaker.jobs.lineage import Node, Ref
from tastemaker.promotion import checkout
from tastemaker.promotion.git import Git
from tastemaker.promotion.history import Step, steps
from tastemaker.promotion.repository import MODELS_FOLDER, open_repository
from tastemaker.promotion.verification import evidence_lines, is_model_file


@dataclass
class Commits:
    """The commits of a home's promotion repository; none where there is none.

    Attributes:
        home: Whose.
        fault: Why there are none, for people.
    """

    home: Home
    fault: str = ""
    _git: Git | None = field(default=None)

    @cached_property
    def steps(self) -> list[tuple[str, str, Step]]:
        """(environment, model, step) of all model files, newest first in each."""
        if checkout.read(self.home) is None:
            self.fault = "no promotion repository"
            return []
        try:
            repository = open_repository(self.home)
            head = repository.fetch()
        except TastemakerError as error:
            self.fault = str(error)
            return []
        self._git = repository.git
        found = []
        for path in repository.git.files(head, MODELS_FOLDER) if head else ():
            if is_model_file(path):
                environment, file = path.removeprefix(f"{MODELS_FOLDER}/").split("/")
                model = file.removesuffix(".yaml")
                named = steps(repository.git, head, environment, model)
                found += [(environment, model, step) for step in named]
        return found

    @cached_property
    def evidence(self) -> dict[str, str]:
        """Signed lines that commits carry, by digest."""
        messages = [self._git.message(step.commit) for _, _, step in self.steps if self._git]
        lines = [line for message in messages for line in evidence_lines(message)]
        return {digests.of_bytes([line.encode()]): line for line in lines}

    def that_brought(self, bundle: str) -> list[str]:
        """Commits that brought a bundle into a model file, oldest first."""
        found = {
            step.commit: step.time
            for _, _, step in self.steps
            if bundle in _bundles(step.after) and bundle not in _bundles(step.before)
        }
        return sorted(found, key=lambda commit: found[commit])

    def live_at(self, environment: str, time_ms: int) -> list[str]:
        """Commits that said what was live in an environment at a time, each once."""
        when = datetime.fromtimestamp(time_ms / 1000, UTC)
        found: dict[str, str] = {}
        for place, model, step in self.steps:
            if place == environment and step.time <= when and model not in found:
                found[model] = step.commit
        return list(dict.fromkeys(found.values()))

    def read(self, commit: str) -> Node:
        """A commit, with the evidence that it carries.

        Raises:
            NotFound: No such commit changes what is live.
        """
        own = [(place, model, step) for place, model, step in self.steps if step.commit == commit]
        if not own or self._git is None:
            raise NotFound(self.fault or f"no promotion by commit {commit}")
        environment, _, step = own[0]
        facts = {
            "at": step.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "by": step.author,
            "environment": environment,
            "says": repr(step.subject),
        }
        lines = evidence_lines(self._git.message(commit))
        links = [("evidence", Ref("evidence", digests.of_bytes([line.encode()]))) for line in lines]
        if step.undoes:
            links.append(("goes back behind", Ref("commit", step.undoes)))
        return Node(facts, tuple(links))


def _bundles(pins: object) -> set[str]:
    return {one.bundle for one in pins.served} if pins else set()  # type: ignore[attr-defined]
