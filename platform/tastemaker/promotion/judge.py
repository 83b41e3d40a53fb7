"""The verdict on a canary: wait, step, or revert, from what turns did with it and without it.

Whoever looks often enough at noise sees what he fears. Looks are counted, therefore: look k comes
when the canary has had a fixed number of turns (each time `growth` times as many), and may spend
a fixed part of the chance of a false alarm, 6 / (pi k)^2 of it (alpha spending, Lan and DeMets
1983, with a series that never ends, so any number of looks stays within the whole). It is divided
further between the shares of a rollout and the figures that are compared. A canary steps up
when no figure can be worse by more than its margin (non-inferiority), each at its own confidence.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tastemaker.promotion import comparison
from tastemaker.promotion.comparison import Harm, Limits
from tastemaker.promotion.judge_config import JudgeConfig

Decision = Literal["wait", "step", "revert"]
_Compared = tuple[float, float, Harm]  # the canary's figure, the stable one's, the harm


@dataclass(frozen=True)
class Sample:
    """What one bundle did, by turn; N turns that it answered in, M turns that it answered first.

    A turn asks a model several times, and a share of the requests goes to the canary, so one turn
    may be answered by both. Requests are counted for who answered them. What only a whole turn
    has (what was saved of the items it showed, what it cost) counts for whoever answered the
    turn's first request: that is drawn by chance, whereas a turn that the canary answered at all
    tends to be one with many requests.

    Attributes:
        calls_N: Requests that it answered or failed.
        failed_N: Of these, failed.
        ms_N: Milliseconds of an answered one, mean within the turn; those without are left out.
        shown_M: Items shown.
        saved_M: Of these, saved.
        cents_M: Cents of the whole turn.
    """

    calls_N: np.ndarray
    failed_N: np.ndarray
    ms_N: np.ndarray
    shown_M: np.ndarray
    saved_M: np.ndarray
    cents_M: np.ndarray


@dataclass(frozen=True)
class Silence:
    """Requests that nobody answered, so nobody knows whose they were.

    Attributes:
        calls_T: Requests of each turn since the canary has its share.
        silent_T: Of these, without an answer.
        calls_B: Requests of each turn before the canary began.
        silent_B: Of these, without an answer.
    """

    calls_T: np.ndarray
    silent_T: np.ndarray
    calls_B: np.ndarray
    silent_B: np.ndarray


@dataclass(frozen=True)
class Finding:
    """One figure compared.

    Attributes:
        name: Of the figure.
        canary, stable: Its values.
        harm: How much worse the canary is, with limits.
        margin: How much it may be.
        worse: It is proven worse, and by more than the margin as far as one can tell.
        fine: It is proven not to be worse by more than the margin.
    """

    name: str
    canary: float
    stable: float
    harm: Harm
    margin: float
    worse: bool
    fine: bool

    def __str__(self) -> str:
        low, high = _number(self.harm.low), _number(self.harm.high)
        return (
            f"{self.name} {_number(self.canary)} (stable {_number(self.stable)}): worse by "
            f"{_number(self.harm.value)} [{low}, {high}], margin {self.margin:g}"
        )


@dataclass(frozen=True)
class Verdict:
    """What to do with a canary, and why.

    Attributes:
        decision: wait, step (to the next share) or revert.
        look: Number of the look, from 1; 0: too few turns for the first.
        reasons: For people, one a line.
        findings: All that was compared.
    """

    decision: Decision
    look: int
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def turns_of_look(look: int, weight: int, config: JudgeConfig) -> int:
    """Turns, the canary's and others', at which a look is taken.

    The canary's share of them is `first_look` for the first look and `growth` times as many for
    each further one. It does not count what the canary answered: one that never answers is looked
    at as well.
    """
    return math.ceil(config.first_look * config.growth ** (look - 1) * 100 / weight)


def latest_look(num_turns: int, weight: int, config: JudgeConfig) -> int:
    """Number of the latest look that so many turns allow; 0: none yet."""
    look = 0
    while turns_of_look(look + 1, weight, config) <= num_turns:
        look += 1
    return look


def judge(
    canary: Sample, stable: Sample, silence: Silence, look: int, config: JudgeConfig
) -> Verdict:
    """Judge a canary at a look.

    Args:
        canary: What it did since it has its present share.
        stable: What the stable bundle did in the same turns and time.
        silence: Requests that nobody answered.
        look: Its number, from `latest_look`; the samples end with the look's last turn.
        config: Margins and error rates.
    """
    if look < 1:
        return Verdict("wait", 0, ("too few turns for a first look",))
    findings = tuple(_findings(canary, stable, silence, look, config))
    worse = [str(one) for one in findings if one.worse]
    if worse:
        return Verdict("revert", look, tuple(worse), findings)
    unseen = [
        name
        for name, sample in (("canary", canary), ("stable bundle", stable))
        if sample.calls_N.sum() == 0
    ]
    if unseen:
        said = tuple(f"no request was answered by the {name}" for name in unseen)
        return Verdict("wait", look, said, findings)
    if undecided := [str(one) for one in findings if not one.fine]:
        return Verdict("wait", look, tuple(undecided), findings)
    return Verdict("step", look, tuple(map(str, findings)), findings)


def spent(look: int) -> float:
    """Part of an error rate that a look may spend; all looks together spend 1."""
    return 6 / (math.pi * look) ** 2


def _findings(
    canary: Sample, stable: Sample, silence: Silence, look: int, config: JudgeConfig
) -> list[Finding]:
    num_stages = sum(weight < 100 for weight in config.weights)
    margins = config.margins.model_dump()
    alpha = config.false_revert_frac * spent(look) / num_stages / len(margins)
    z = comparison.quantile_of_normal(alpha)
    z_on = comparison.quantile_of_normal(config.false_step_frac * spent(look))
    found = _compared(canary, stable, silence, (z, z_on))
    return [_finding(name, *found[name], margins[name]) for name in margins if name in found]


def _finding(name: str, canary: float, stable: float, harm: Harm, margin: float) -> Finding:
    worse = harm.low > 0 and harm.value > margin
    return Finding(name, canary, stable, harm, margin, worse, fine=harm.high < margin)


def _compared(
    canary: Sample, stable: Sample, silence: Silence, zs: tuple[float, float]
) -> Mapping[str, _Compared]:
    """By figure, both values and the harm; figures of which there is nothing are left out."""
    found: dict[str, _Compared] = {}
    if canary.calls_N.sum() and stable.calls_N.sum():
        ours, theirs = (canary.failed_N, canary.calls_N), (stable.failed_N, stable.calls_N)
        found["errors"] = _shares(ours, theirs, zs)
    if silence.silent_T.sum() and silence.calls_B.sum():
        now, before = (silence.silent_T, silence.calls_T), (silence.silent_B, silence.calls_B)
        found["no_answer"] = _shares(now, before, zs)
    if len(canary.ms_N) and len(stable.ms_N):
        for name, q in (("median_ms", 0.5), ("p95_ms", 0.95)):
            found[name] = _ratio(
                _two(comparison.log_quantile(canary.ms_N, q, z) for z in zs),
                _two(comparison.log_quantile(stable.ms_N, q, z) for z in zs),
            )
    if canary.shown_M.sum() and stable.shown_M.sum():
        ours, theirs = (canary.saved_M, canary.shown_M), (stable.saved_M, stable.shown_M)
        value, other, harm = _shares(theirs, ours, zs)  # fewer saves are the harm
        found["saves"] = (other, value, harm)
    if canary.cents_M.sum() and stable.cents_M.sum():
        found["cents"] = _ratio(
            _two(comparison.log_mean(canary.cents_M, z) for z in zs),
            _two(comparison.log_mean(stable.cents_M, z) for z in zs),
        )
    return found


def _shares(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    zs: tuple[float, float],
) -> _Compared:
    """Hits of trials, of two sides."""
    ours = _two(comparison.share(*first, z) for z in zs)
    theirs = _two(comparison.share(*second, z) for z in zs)
    return ours[0].value, theirs[0].value, comparison.difference(ours, theirs)


def _ratio(first: tuple[Limits, Limits], second: tuple[Limits, Limits]) -> _Compared:
    """Two figures whose logarithms are given."""
    harm = comparison.as_ratio(comparison.difference(first, second))
    return math.exp(first[0].value), math.exp(second[0].value), harm


def _two(limits: Iterable[Limits]) -> tuple[Limits, Limits]:
    first, second = limits
    return first, second


def _number(value: float) -> str:
    return "unknown" if math.isinf(value) else f"{value:.3g}"
