"""Promotions: commits that change what is live, with their proof, pushed whole or not at all.

A commit is made beside what is there and pushed with the place where the branch was. Where the
branch moved meanwhile, it is made again on top; where the same model's file changed, whoever
comes second is refused and decides anew. A promotion that is there already is not made twice.
"""

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from tastemaker.core.errors import GitError, NotFound, PromotionError, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.promotion import checkout, messages, signing
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.evidence import load_text
from tastemaker.promotion.git import Git, Moved
from tastemaker.promotion.history import last_bundle_change
from tastemaker.promotion.model_file import (
    FAMILIES,
    MODELS,
    Canary,
    Live,
    Pins,
    parse,
    parse_pinned,
    with_canary,
    with_live,
)
from tastemaker.promotion.repository import KEYS_FOLDER, Repository, open_repository, path_of
from tastemaker.promotion.verification import (
    EVIDENCE_START,
    MAX_AGE,
    MAX_CANARY,
    Commit,
    Rules,
    check_commit,
    environment_at,
)

ATTEMPTS = 20  # to get in between the promotions of others
_WAIT_S = 0.2  # at most, before another attempt
_ENVIRONMENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{16}")

Files = dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of a promotion.

    Attributes:
        commit: That holds it; empty: the repository is empty.
        made: False: it was there already.
        branch: That it was pushed to.
        said: By the remote, such as the address of a pull request.
    """

    commit: str
    made: bool
    branch: str
    said: str = ""


@dataclass(frozen=True)
class _Plan:
    """What is to be made of the files that are there: new content by path, and why."""

    files: Files
    message: str


_Make = Callable[[Git, str], _Plan]


def promote(
    home: Home,
    environment: str,
    model: str,
    live: Live,
    evidence: str,
    *,
    canary: int | None = None,
    max_age: timedelta = MAX_AGE,
) -> str:
    """Make one bundle live, or try it beside what is live.

    Args:
        home: Holds the bundle and the evidence.
        environment: Where.
        model: encoder, retrieval, recommender or router.
        live: What it is to be.
        evidence: Digest or text of it.
        canary: Its share of the requests, 1 to 50 percent; None: all.
        max_age: Of evidence.

    Returns:
        The commit that holds it, which may be an earlier one.

    Raises:
        NotFound: The home lacks the bundle or the evidence.
        EvidenceError: Evidence that does not prove this promotion.
        PromotionError: A rule, or somebody else's promotion of that model, is against it.
        GitError: The repository refused or did not answer.
    """
    return propose(
        home, environment, {model: live}, [evidence], canary=canary, max_age=max_age
    ).commit


def promote_set(
    home: Home,
    environment: str,
    live: Mapping[str, Live],
    evidence: Sequence[str],
    message: str = "",
    *,
    max_age: timedelta = MAX_AGE,
) -> str:
    """Make several bundles live by one commit: all or none. As `promote`.

    Args:
        home: Holds the bundles and the evidence.
        environment: Where.
        live: What each model is to be.
        evidence: Digests or texts, of each bundle that is not live yet.
        message: A sentence that says why.
        max_age: Of evidence.

    Returns:
        The commit that holds it.
    """
    return propose(home, environment, live, evidence, message, max_age=max_age).commit


def propose(
    home: Home,
    environment: str,
    live: Mapping[str, Live],
    evidence: Sequence[str],
    message: str = "",
    *,
    canary: int | None = None,
    to_branch: bool = False,
    max_age: timedelta = MAX_AGE,
) -> Outcome:
    """`promote` and `promote_set`, with all that the remote says.

    Args:
        home: Holds the bundles and the evidence.
        environment: Where.
        live: What each model is to be.
        evidence: Digests or texts.
        message: A sentence that says why.
        canary: As for `promote`.
        to_branch: Push a branch for others to review and merge, in place of what says what is live.
        max_age: Of evidence.

    Returns:
        The commit, and whether it was made now.
    """
    _check_arguments(environment, live, canary)
    lines = [_line(home, one) for one in evidence]
    for model, one in live.items():
        _check_bundle(home, model, one)

    def make(git: Git, head: str) -> _Plan:
        files, new = {}, {}
        for model, one in live.items():
            path = path_of(environment, model)
            text = git.read(head, path) or ""
            changed = _tried(text, path, model, one, canary) if canary else _stable(text, path, one)
            if changed != text:
                files[path], new[model] = changed, one
        names = {model: one.bundle for model, one in new.items()}
        said = messages.promotion(environment, names, canary, message, lines)
        return _Plan(files, said)

    branch = f"promote/{environment}-{'-'.join(_branch_words(live))}" if to_branch else ""
    return _push(home, environment, tuple(live), make, branch, max_age)


def step_canary(home: Home, environment: str, model: str, weight: int, why: str = "") -> str:
    """Give a canary another share of the requests, or make it the stable bundle.

    Args:
        home: Whose repository.
        environment: Where.
        model: Which.
        weight: 1 to 50 percent; 100 makes it the stable one.
        why: A sentence for the commit.

    Returns:
        The commit.

    Raises:
        PromotionError: No canary is there, or the weight is out of range.
        GitError: The repository refused or did not answer.
    """
    _check_name(environment, model)
    if weight != 100 and not 1 <= weight <= MAX_CANARY:
        raise PromotionError(f"weight={weight}: 1 to {MAX_CANARY} percent, or 100")

    def make(git: Git, head: str) -> _Plan:
        path = path_of(environment, model)
        text, pins = _there(git, head, environment, model)
        if pins.canary is None:
            raise PromotionError(f"no canary of {model} is there in {environment}")
        if weight == 100:
            now = pins.served[1]
            text = with_live(with_canary(text, None), now)
        else:
            text = with_canary(text, Canary(pins.canary.bundle, pins.canary.space, weight))
        said = messages.canary_step(environment, model, pins.canary, weight, why)
        return _Plan({path: text}, said)

    return _push(home, environment, (model,), make).commit


def rollback(home: Home, environment: str, model: str, why: str = "") -> str:
    """Go back: end a running canary, else restore the last other bundle that was live.

    Models that became live by the same commit, such as an encoder and all that reads its space,
    go back together. A second rollback goes back further.

    Args:
        home: Whose repository.
        environment: Where.
        model: Which.
        why: A sentence for the commit.

    Returns:
        The commit.

    Raises:
        PromotionError: There is nothing to go back to.
        GitError: The repository refused or did not answer.
    """
    _check_name(environment, model)

    def make(git: Git, head: str) -> _Plan:
        text, pins = _there(git, head, environment, model)
        if pins.canary:
            said = messages.canary_end(environment, model, pins.canary, why)
            return _Plan({path_of(environment, model): with_canary(text, None)}, said)
        return _restored(git, head, environment, model, why)

    return _push(home, environment, MODELS, make, may_change=(model,)).commit


def trust_key(home: Home, name: str) -> str:
    """Commit this home's public key to the keys that evidence may be signed with.

    Args:
        home: Whose key.
        name: Of its file, letters, digits and dashes.

    Returns:
        The commit.

    Raises:
        PromotionError: Another key has that name.
        GitError: The repository refused or did not answer.
    """
    if not _ENVIRONMENT.fullmatch(name):
        raise PromotionError(f"name={name!r}: small letters, digits and dashes")
    path = f"{KEYS_FOLDER}/{name}.pub"
    pem = signing.public_pem(signing.private_key(home).public_key())

    def make(git: Git, head: str) -> _Plan:
        before = git.read(head, path)
        if before not in (None, pem):
            raise PromotionError(f"{path} is another key: take it away first, or choose a name")
        return _Plan({path: pem}, f"Trust key {name}\n")

    return _push(home, "", (), make).commit


def _push(
    home: Home,
    environment: str,
    models: Sequence[str],
    make: _Make,
    to_branch: str = "",
    max_age: timedelta = MAX_AGE,
    *,
    may_change: Sequence[str] | None = None,
) -> Outcome:
    """Make a commit on top of the branch and push it; again where the branch moved."""
    repository = open_repository(home)
    watched = [path_of(environment, one) for one in (models if may_change is None else may_change)]
    head = repository.fetch()
    seen = {path: repository.git.read(head, path) for path in watched}
    with repository.lock():
        for _ in range(ATTEMPTS):
            head = repository.fetch()
            try:
                outcome = _attempt(repository, head, seen, make, to_branch, max_age)
            except Moved:
                time.sleep(random.uniform(0, _WAIT_S))
                continue
            break
        else:
            raise GitError(f"{repository.name} moved {ATTEMPTS} times meanwhile; try again")
    with suppress(GitError):  # it is promoted; who follows the repository looks again
        checkout.update(home)
    return outcome


def _attempt(
    repository: Repository,
    head: str,
    seen: Mapping[str, str | None],
    make: _Make,
    to_branch: str,
    max_age: timedelta,
) -> Outcome:
    git, branch = repository.git, to_branch or repository.branch
    try:
        plan = make(git, head)
    except PromotionError:
        _check_unmoved(git, head, seen)  # the better reason, where it is one
        raise
    files = {path: text for path, text in plan.files.items() if git.read(head, path) != text}
    if not files:
        words = ("--first-parent", "--max-count=1", head, "--", *(plan.files or seen))
        return Outcome(next(iter(git.commits(*words)), ""), made=False, branch=repository.branch)
    _check_unmoved(git, head, seen)
    made = git.commit(head, files, plan.message)
    check_commit(Commit(git, made, head), Rules.at(git, head, max_age))
    expected = repository.at(branch) if to_branch else head
    try:
        said = git.push(repository.remote, made, branch, expected)
    except Moved:
        raise
    except GitError:
        if not _landed(repository, branch, made):  # a connection may end after the push was taken
            raise
        said = ""
    return Outcome(made, made=True, branch=branch, said=said)


def _check_unmoved(git: Git, head: str, seen: Mapping[str, str | None]) -> None:
    for path, before in seen.items():
        if git.read(head, path) != before:
            last = git.text("rev-list", "--first-parent", "--max-count=1", head, "--", path)
            raise PromotionError(
                f"{path} was changed meanwhile by commit {last[:12]} "
                f"({messages.subject(git.message(last))}): nothing was promoted"
            )


def _landed(repository: Repository, branch: str, commit: str) -> bool:
    try:
        return repository.at(branch) == commit
    except GitError:
        return False


def _check_arguments(environment: str, live: Mapping[str, Live], canary: int | None) -> None:
    if not live:
        raise PromotionError("nothing to promote")
    for model, one in live.items():
        _check_name(environment, model)
        for key, value in (("bundle", one.bundle), ("dataset", one.dataset), ("space", one.space)):
            if not _DIGEST.fullmatch(value):
                raise PromotionError(f"{model}: {key}={value!r}: must be a digest of 16 hex digits")
    if canary is not None and not 1 <= canary <= MAX_CANARY:
        raise PromotionError(f"canary={canary}: 1 to {MAX_CANARY} percent of the requests")


def _check_name(environment: str, model: str) -> None:
    if not _ENVIRONMENT.fullmatch(environment) or environment == "base":
        raise PromotionError(f"environment={environment!r}: small letters, digits and dashes")
    if model not in MODELS:
        raise PromotionError(f"model={model!r}: one of {', '.join(MODELS)}")


def _check_bundle(home: Home, model: str, live: Live) -> None:
    bundle = load_bundle(home, live.bundle, family=FAMILIES[model])
    reads = (bundle.digest,) if model == "encoder" else bundle.card.reads
    if live.space not in reads:
        what = f"{bundle.card.family} bundle {live.bundle}"
        raise SpaceMismatch(what, expected=", ".join(reads) or "(none)", found=live.space)


def _line(home: Home, evidence: str) -> str:
    return evidence if evidence.startswith(EVIDENCE_START) else load_text(home, evidence)


def _branch_words(live: Mapping[str, Live]) -> list[str]:
    if len(live) > 1:
        return ["set", *(one.bundle[:8] for one in live.values())]
    return [word for model, one in live.items() for word in (model, one.bundle[:8])]


def _stable(text: str, path: str, live: Live) -> str:
    """A file with another stable bundle; unchanged where that is stable already."""
    pins = parse_pinned(text, path)
    if pins is None:
        return _checked(with_live(text, live), Pins(live), path)
    if pins.live == live:
        return text
    if pins.canary and pins.canary.bundle != live.bundle:
        raise PromotionError(
            f"{path}: canary {pins.canary.bundle} is running ({pins.canary.weight} %): judge it or "
            "roll it back first"
        )
    return _checked(with_live(with_canary(text, None), live), Pins(live), path)


def _tried(text: str, path: str, model: str, live: Live, weight: int) -> str:
    """A file with a canary; unchanged where it runs already, at whatever weight."""
    pins = parse_pinned(text, path)
    if pins is None:
        raise PromotionError(f"{path}: nothing is live, so there is nothing to try it beside")
    if model == "encoder":
        raise PromotionError("an encoder takes no canary: another encoder writes another space")
    if pins.canary and pins.canary.bundle == live.bundle:
        return text
    if pins.canary:
        raise PromotionError(
            f"{path}: canary {pins.canary.bundle} is running ({pins.canary.weight} %): judge it or "
            "roll it back first"
        )
    if pins.live.bundle == live.bundle:
        raise PromotionError(f"{path}: {live.bundle} is live already")
    if pins.live.dataset != live.dataset:
        raise PromotionError(
            f"{path}: a canary serves over the dataset version of the stable bundle, "
            f"{pins.live.dataset}, not {live.dataset}"
        )
    canary = Canary(live.bundle, live.space, weight)
    return _checked(with_canary(text, canary), Pins(pins.live, canary), path)


def _checked(text: str, expected: Pins, path: str) -> str:
    """What was written must be read back as it was meant, however people wrote the rest."""
    if parse(text, path) != expected:
        raise PromotionError(
            f"{path} cannot be edited: bundle, dataset, space and canary need lines of their own"
        )
    return text


def _there(git: Git, head: str, environment: str, model: str) -> tuple[str, Pins]:
    path = path_of(environment, model)
    text = git.read(head, path)
    pins = parse_pinned(text, path)
    if text is None or pins is None:
        raise NotFound(f"no {model} is live in environment {environment!r}")
    return text, pins


def _restored(git: Git, head: str, environment: str, model: str, why: str) -> _Plan:
    """Files as they were before the commit that brought what is stable now."""
    step = last_bundle_change(git, head, environment, model)
    if step is None or step.before is None:
        raise PromotionError(f"{model} of {environment}: no other bundle was live before")
    before = environment_at(git, step.parent, environment)
    now = environment_at(git, head, environment)
    after = environment_at(git, step.commit, environment)
    together = [one for one in before if one in after and before[one].live != after[one].live]
    files, back = {}, {}
    for one in together:
        path, live = path_of(environment, one), before[one].live
        if now[one].live != live:
            text = with_live(with_canary(git.read(head, path) or "", None), live)
            files[path], back[one] = _checked(text, Pins(live), path), live.bundle
    said = messages.rolled_back(environment, model, back, step.commit, step.subject, why)
    return _Plan(files, said)
