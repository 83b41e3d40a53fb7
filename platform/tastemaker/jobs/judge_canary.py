"""Judge a canary by what turns did with it: it gets a larger share, stays as it is, or goes.

Everything is read from the repository (which canary, since when) and from the operational
database; nothing is remembered in between. A look's turns are fixed by its number, so judging
twice says the same twice, and whoever is killed leaves either the old share or the new one.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine

from tastemaker.core.errors import PromotionError
from tastemaker.core.home import Home
from tastemaker.jobs import canary_turns
from tastemaker.jobs.canary_turns import Turn
from tastemaker.promotion import judge as judging
from tastemaker.promotion import promote
from tastemaker.promotion.history import Step, steps
from tastemaker.promotion.judge import Verdict
from tastemaker.promotion.judge_config import JudgeConfig
from tastemaker.promotion.repository import held, open_repository


@dataclass(frozen=True)
class Trial:
    """A canary and its present share.

    Attributes:
        model, environment: Which, and where.
        bundle: The canary.
        stable: What it is compared with.
        weight: Its share, percent.
        commit: That gave it this share.
        since_ms: When that was, ms since 1970 UTC.
        began_ms: When the canary got its first share.
    """

    model: str
    environment: str
    bundle: str
    stable: str
    weight: int
    commit: str
    since_ms: int
    began_ms: int


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what came of it.

    Attributes:
        trial: Of which canary.
        verdict: What was found.
        num_turns: Turns that asked the model since the canary has its share.
        commit: That the verdict made; empty: none.
    """

    trial: Trial
    verdict: Verdict
    num_turns: int
    commit: str = ""

    def text(self) -> str:
        """For people."""
        trial, verdict = self.trial, self.verdict
        lines = [
            f"{trial.model} canary {trial.bundle} at {trial.weight} % in {trial.environment}, "
            f"beside {trial.stable}: {verdict.decision} (look {verdict.look}, "
            f"{self.num_turns} turns)",
            *(f"  {reason}" for reason in verdict.reasons),
        ]
        return "\n".join([*lines, *([f"commit {self.commit}"] if self.commit else [])])

    def body(self) -> dict[str, Any]:
        """For programs."""
        found = asdict(self)
        found["verdict"]["findings"] = [str(one) for one in self.verdict.findings]
        return found


def run(
    home: Home,
    environment: str,
    model: str,
    engine: Engine,
    config: JudgeConfig,
    *,
    act: bool = True,
) -> Judgement:
    """Judge the canary of a model and do what the verdict says.

    Args:
        home: Whose repository.
        environment: Where the canary runs.
        model: retrieval, recommender or router.
        engine: The operational database of the assistant that it runs in.
        config: When it gets more, and when it goes.
        act: False: only say what would be done.

    Raises:
        PromotionError: No canary of that model runs there.
        GitError: The repository refused or did not answer.
    """
    with held(home.root / "run" / "git" / "judge.lock"):
        trial = trial_of(home, environment, model)
        judgement = judged(engine, trial, config, int(time.time() * 1000) + 1)
        if not act or judgement.verdict.decision == "wait":
            return judgement
        return Judgement(
            trial, judgement.verdict, judgement.num_turns, _act(home, judgement, config)
        )


def trial_of(home: Home, environment: str, model: str) -> Trial:
    """The canary that runs, by the repository's commits.

    Raises:
        PromotionError: None does.
    """
    repository = open_repository(home)
    head = repository.fetch()
    shares: list[Step] = []
    for step in steps(repository.git, head, environment, model) if head else ():
        pins = step.after
        if pins is None or pins.canary is None:
            break
        if shares and pins.canary.bundle != _canary(shares[0]).bundle:
            break
        shares.append(step)
    if not shares:
        raise PromotionError(f"no canary of {model} runs in environment {environment!r}")
    newest, oldest = shares[0], shares[-1]
    assert newest.after is not None
    canary = _canary(newest)
    return Trial(
        model=model,
        environment=environment,
        bundle=canary.bundle,
        stable=newest.after.live.bundle,
        weight=canary.weight,
        commit=newest.commit,
        since_ms=_ms(newest),
        began_ms=_ms(oldest),
    )


def judged(engine: Engine, trial: Trial, config: JudgeConfig, now_ms: int) -> Judgement:
    """The verdict, from the turns until now."""
    turns = canary_turns.read_turns(engine, trial.model, trial.since_ms, now_ms)
    look = judging.latest_look(len(turns), trial.weight, config) if trial.weight else 0
    if look == 0:
        needed = judging.turns_of_look(1, trial.weight, config) if trial.weight else 0
        said = f"{len(turns)} turns asked the {trial.model}; the first look comes at {needed}"
        return Judgement(trial, Verdict("wait", 0, (said,)), len(turns))
    seen = turns[: judging.turns_of_look(look, trial.weight, config)]
    return Judgement(trial, _verdict(engine, trial, seen, look, config), len(turns))


def _verdict(
    engine: Engine, trial: Trial, seen: Sequence[Turn], look: int, config: JudgeConfig
) -> Verdict:
    length_ms = seen[-1].time_ms - trial.since_ms + 1
    earlier_ms = trial.began_ms - length_ms
    before = canary_turns.read_turns(engine, trial.model, earlier_ms, trial.began_ms)
    saved = canary_turns.saves(engine, seen)
    canary, stable = (
        canary_turns.sample(seen, bundle, saved) for bundle in (trial.bundle, trial.stable)
    )
    return judging.judge(canary, stable, canary_turns.silence(seen, before), look, config)


def _act(home: Home, judgement: Judgement, config: JudgeConfig) -> str:
    trial, verdict = judgement.trial, judgement.verdict
    now = trial_of(home, trial.environment, trial.model)
    if now.commit != trial.commit:
        raise PromotionError(
            f"the canary of {trial.model} in {trial.environment} was changed meanwhile by commit "
            f"{now.commit[:12]}: judge it again"
        )
    why = f"judge, look {verdict.look} at {trial.weight} %: {'; '.join(verdict.reasons)}"
    if verdict.decision == "revert":
        return promote.rollback(home, trial.environment, trial.model, why)
    weight = config.next_weight(trial.weight)
    return promote.step_canary(home, trial.environment, trial.model, weight, why)


def _canary(step: Step) -> Any:
    assert step.after is not None
    return step.after.canary


def _ms(step: Step) -> int:
    return int(step.time.timestamp() * 1000)
