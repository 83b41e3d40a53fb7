"""What a promotion must prove, checked commit by commit: before a push, by a hook, and in CI.

A commit that brings a bundle into a model file where it was not needs evidence: signed by a key
that was trusted before the push, passed by thresholds that count there, fresh, and of exactly that
bundle, dataset version, space, environment and the bundle that was live. Ending a canary, changing
its weight or making it the stable one needs none, nor does going back to a bundle that was live in
that file before, nor serving a bundle over another dataset version together with its whole
environment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import PurePosixPath

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tastemaker.core.errors import ConfigError, EvidenceError, PromotionError, TastemakerError
from tastemaker.promotion import signing
from tastemaker.promotion.evidence import Evidence, verify
from tastemaker.promotion.git import Git
from tastemaker.promotion.model_file import PINS, Live, Pins, parse_pinned, values_of
from tastemaker.promotion.repository import GATES_FILE, KEYS_FOLDER, MODELS_FOLDER

MAX_AGE = timedelta(days=14)
MAX_CANARY = 50  # percent
EVIDENCE_START = '{"evidence":'  # of a line of a commit message
_SHARED = "all"  # the environment's file of common values


@dataclass(frozen=True)
class Rules:
    """What counts.

    Attributes:
        trusted: Keys by id, as they were before what is checked.
        max_age: Of evidence.
        gates: By environment the thresholds that count there: names of presets, or digests of
            thresholds of one's own; in any other environment all count. None: the file that says
            so cannot be read, and none count anywhere until it is mended.
        now: With its time zone.
    """

    trusted: Mapping[str, Ed25519PublicKey]
    max_age: timedelta = MAX_AGE
    gates: Mapping[str, tuple[str, ...]] | None = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def at(cls, git: Git, commit: str, max_age: timedelta = MAX_AGE) -> "Rules":
        """Those that a repository holds as of a commit.

        Raises:
            EvidenceError: A file of the keys' folder holds none.
        """
        gates: dict[str, tuple[str, ...]] | None
        try:
            gates = parse_gates(git.read(commit, GATES_FILE) if commit else None)
        except ConfigError:
            gates = None
        return cls(keys_at(git, commit), max_age, gates)


@dataclass(frozen=True)
class Change:
    """One model file in a commit."""

    path: str
    before: Pins | None
    after: Pins | None

    @property
    def environment(self) -> str:
        """Whose it is."""
        return PurePosixPath(self.path).parent.name

    @property
    def model(self) -> str:
        """Its model."""
        return PurePosixPath(self.path).stem

    @property
    def new(self) -> list[Live]:
        """What it brings into the file: bundles that answered no request before."""
        served = {one.bundle for one in self.before.served} if self.before else set()
        after = self.after.served if self.after else ()
        return [one for one in after if one.bundle not in served]


@dataclass(frozen=True)
class Commit:
    """A commit as it is checked: against its first parent, with all that it brings."""

    git: Git
    identity: str
    parent: str

    @cached_property
    def paths(self) -> list[str]:
        """What differs from the parent."""
        return self.git.changed(self.parent, self.identity)

    @cached_property
    def changes(self) -> list[Change]:
        """Model files whose bundle, dataset version, space or canary is another."""
        return [change for change in self._files() if change.before != change.after]

    def messages(self) -> Iterator[str]:
        """Its message, and those of what it merges."""
        for commit in self.git.commits(self.identity, *_without(self.parent)):
            yield self.git.message(commit)

    def was_live(self, path: str, bundle: str) -> bool:
        """Whether a bundle was a model file's stable one at any time before."""
        words = ("--first-parent", self.parent, "--", path)
        for commit in self.git.commits(*words) if self.parent else ():
            pins = pins_at(self.git, commit, path, lenient=True)
            if pins and pins.live.bundle == bundle:
                return True
        return False

    def _files(self) -> Iterator[Change]:
        for path in self.paths:
            if is_model_file(path):
                yield Change(
                    path,
                    pins_at(self.git, self.parent, path, lenient=True),
                    pins_at(self.git, self.identity, path),
                )


def keys_at(git: Git, commit: str) -> dict[str, Ed25519PublicKey]:
    """Keys that are trusted as of a commit.

    Raises:
        EvidenceError: A file of the keys' folder holds none.
    """
    files = git.files(commit, KEYS_FOLDER) if commit else {}
    return signing.trusted(git.read(commit, path) or "" for path in files if path.endswith(".pub"))


def parse_gates(text: str | None) -> dict[str, tuple[str, ...]]:
    """Thresholds that count, by environment, from the file that says so; no file says nothing.

    Raises:
        ConfigError: The file is not a mapping of lists of names.
    """
    found = {}
    for environment, names in values_of(text or "{}", GATES_FILE).items():
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            raise ConfigError(
                f"{GATES_FILE}: {environment}: must list names of gates in quotes, got {names!r}"
            )
        found[str(environment)] = tuple(names)
    return found


def check_range(git: Git, old: str, new: str, rules: Rules) -> int:
    """Check every step of a branch from one commit to another.

    Args:
        git: Holds both.
        old: Where the branch was; empty: it did not exist, and whoever makes it says what counts.
        new: Where it is to be.
        rules: With the keys of `old`.

    Returns:
        Number of commits that were checked.

    Raises:
        PromotionError: The branch would lose commits, or one breaks a rule; with its id.
    """
    if not old:
        return 0
    steps = git.commits("--first-parent", new, *_without(old))
    if steps:
        parents = git.parents(steps[-1])
        if not parents or parents[0] != old:
            raise PromotionError(
                f"{new[:12]} does not stand on {old[:12]} by first parents: rebase it, or merge it "
                "into the branch (not the branch into it)"
            )
    elif old != new:
        raise PromotionError(f"the branch would go back from {old[:12]} to {new[:12]}; revert")
    for identity in reversed(steps):
        try:
            check_commit(Commit(git, identity, git.parents(identity)[0]), rules)
        except TastemakerError as error:
            raise PromotionError(f"commit {identity[:12]}: {error}") from None
    return len(steps)


def check_commit(commit: Commit, rules: Rules) -> None:
    """Check one step.

    Raises:
        PromotionError: It breaks a rule.
        EvidenceError: Its evidence is missing, or does not prove what it is for.
        ConfigError: A model file that cannot be read.
    """
    _check_other_files(commit)
    if not commit.changes:
        return
    _check_one_environment(commit)
    environment = commit.changes[0].environment
    left = environment_at(commit.git, commit.identity, environment)
    check_agreement(environment, left)
    lines = [line for text in commit.messages() for line in evidence_lines(text)]
    for change in commit.changes:
        if change.after is None and left:  # else what comes next would have nothing to be beaten
            raise PromotionError(f"{change.path} goes, but {', '.join(left)} stay: take all away")
        _check_canary(change)
        for live in change.new:
            if not commit.was_live(change.path, live.bundle):
                _check_evidence(change, live, lines, rules)


def evidence_lines(message: str) -> list[str]:
    """The signed lines in a commit's message."""
    return [line for line in message.split("\n") if line.startswith(EVIDENCE_START)]


def is_model_file(path: str) -> bool:
    """Whether a path is that of one model in one environment."""
    parts = PurePosixPath(path)
    return (
        str(parts.parent.parent) == MODELS_FOLDER
        and parts.suffix == ".yaml"
        and parts.parent.name != "base"
        and parts.stem != _SHARED
    )


def pins_at(git: Git, commit: str, path: str, *, lenient: bool = False) -> Pins | None:
    """What a model file pins in a commit; None: it is not there, or names no bundle.

    Args:
        git: Holds the commit.
        commit: Which; may be empty.
        path: The file.
        lenient: A file that cannot be read counts as absent: mending it must be possible.

    Raises:
        TastemakerError: It cannot be read.
    """
    try:
        return parse_pinned(git.read(commit, path), path)
    except TastemakerError:
        if lenient:
            return None
        raise


def environment_at(git: Git, commit: str, environment: str) -> dict[str, Pins]:
    """What an environment's model files pin in a commit, by model."""
    folder = f"{MODELS_FOLDER}/{environment}"
    found = {}
    for path in git.files(commit, folder) if commit else ():
        if is_model_file(path) and (pins := pins_at(git, commit, path)):
            found[PurePosixPath(path).stem] = pins
    return found


def check_agreement(environment: str, pins: Mapping[str, Pins]) -> None:
    """Refuse models that do not belong to the environment's encoder.

    Raises:
        PromotionError: One reads another space, or serves over another dataset version.
    """
    if "encoder" not in pins:
        return
    encoder = pins["encoder"].live
    if pins["encoder"].canary:
        raise PromotionError("an encoder takes no canary: another encoder writes another space")
    for model, found in pins.items():
        for one in found.served:
            if one.space != encoder.bundle:
                raise PromotionError(
                    f"{model} {one.bundle} of {environment} reads space {one.space or '(none)'}, "
                    f"but its encoder writes {encoder.bundle}: promote both as one set"
                )
            if one.dataset != encoder.dataset:
                raise PromotionError(
                    f"{model} {one.bundle} of {environment} serves over dataset version "
                    f"{one.dataset}, but its encoder over {encoder.dataset}: promote all as one set"
                )


def _without(parent: str) -> tuple[str, ...]:
    return (f"^{parent}",) if parent else ()


def _check_other_files(commit: Commit) -> None:
    """Nothing but a model file says what is live, and what says which gates count can be read."""
    if GATES_FILE in commit.paths:
        parse_gates(commit.git.read(commit.identity, GATES_FILE))
    for path in commit.paths:
        if not path.startswith(f"{MODELS_FOLDER}/") or is_model_file(path):
            continue
        text = commit.git.read(commit.identity, path)
        if text is None or not path.endswith((".yaml", ".yml", ".json")):
            continue
        if pinned := sorted({*PINS, "canary"} & set(values_of(text or "{}", path))):
            raise PromotionError(f"{path}: {pinned[0]}: only a model's own file may say this")


def _check_one_environment(commit: Commit) -> None:
    names = sorted({change.environment for change in commit.changes})
    if len(names) > 1:
        raise PromotionError(f"one commit promotes in {' and '.join(names)}: make one of each")
    if others := [path for path in commit.paths if not is_model_file(path)]:
        more = "keys" if others[0].startswith(f"{KEYS_FOLDER}/") else "other files"
        raise PromotionError(
            f"a promotion changes model files alone, this one {others[0]} too: {more} need a "
            "commit of their own"
        )


def _check_canary(change: Change) -> None:
    canary = change.after.canary if change.after else None
    if canary is None or not change.after:
        return
    if not 1 <= canary.weight <= MAX_CANARY:
        raise PromotionError(
            f"{change.path}: canary.weight: must be 1 to {MAX_CANARY} percent, got {canary.weight}"
        )
    if canary.bundle == change.after.live.bundle:
        raise PromotionError(f"{change.path}: the canary {canary.bundle} is the stable bundle")


def _check_evidence(change: Change, live: Live, lines: Sequence[str], rules: Rules) -> None:
    """One of the lines must prove it; the message is of the one that comes closest."""
    what = f"{change.model} {live.bundle} to {change.environment}"
    closest: TastemakerError = EvidenceError(f"{what}: the commit carries no evidence of it")
    for line in lines:
        try:
            found = verify(line, rules.trusted)
            if found.bundle == live.bundle and found.model == change.model:
                _check_match(found, change, live, rules)
                return
        except EvidenceError as error:
            if live.bundle in line:
                closest = EvidenceError(f"{what}: {error}")
    raise closest


def _check_match(found: Evidence, change: Change, live: Live, rules: Rules) -> None:
    if not found.passed:
        failed = ", ".join(gate.name for gate in found.gates if not gate.passed)
        raise EvidenceError(f"its gates failed: {failed}")
    found.check_age(rules.max_age, rules.now)
    _check_thresholds(found, rules)
    baseline = change.before.live.bundle if change.before else ""
    for key, said, value, rule in (
        ("environment", found.environment, change.environment, "is promoted to"),
        ("dataset", found.dataset, live.dataset, "is promoted"),
        ("space", found.space, live.space, "is promoted"),
        ("baseline", found.baseline, baseline, "is live now"),
    ):
        if said != value:
            raise EvidenceError(
                f"evidence is of {key} {said or '(none)'}, but {value or '(none)'} {rule}: "
                "run the gates again"
            )


def _check_thresholds(found: Evidence, rules: Rules) -> None:
    if rules.gates is None:
        raise EvidenceError(f"{GATES_FILE} cannot be read: mend it by a commit of its own first")
    allowed = rules.gates.get(found.environment)
    if allowed is not None and not {*found.thresholds.split()} & {*allowed}:
        raise EvidenceError(
            f"its thresholds are {found.thresholds or '(not named)'}, but {found.environment} "
            f"takes {', '.join(allowed)} ({GATES_FILE})"
        )
