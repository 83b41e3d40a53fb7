"""The judge on simulated rollouts: thousands of looks, all seeded."""

import math

import numpy as np
import pytest

from tastemaker.core.config import load_preset
from tastemaker.core.errors import ConfigError
from tastemaker.promotion import judge as judging
from tastemaker.promotion.judge import Sample, Silence, Verdict
from tastemaker.promotion.judge_config import JudgeConfig

DEFAULT = load_preset(JudgeConfig, "judge")
CONFIG = load_preset(JudgeConfig, "judge", "default", ["weights=[20, 50, 100]", "growth=2"])
LOOKS = 5  # of one share, at most, in a simulated rollout


class World:
    """Turns of 1 to 4 requests, each by the canary with the chance of its weight.

    Args:
        seed: Of the draws.
        slow: The canary's latency over the stable one's.
        errors: Share of requests that fail: stable, canary.
        saves: Share of shown items that are saved: stable, canary.
        silent: Share of the canary's requests that are never answered.
    """

    def __init__(
        self,
        seed: int,
        *,
        slow: float = 1.0,
        errors: tuple[float, float] = (0.002, 0.002),
        saves: tuple[float, float] = (0.06, 0.06),
        silent: float = 0.0,
    ) -> None:
        self.draw = np.random.default_rng(seed)
        self.slow, self.errors, self.saves, self.silent = slow, errors, saves, silent

    def turns(self, num: int, weight: int) -> tuple[np.ndarray, ...]:
        draw = self.draw
        made_TC = np.arange(4) < draw.integers(1, 5, (num, 1))
        by_TC = draw.random((num, 4)) < weight / 100
        silent_TC = made_TC & by_TC & (draw.random((num, 4)) < self.silent)
        made_TC &= ~silent_TC
        ms_TC = 80 * np.exp(draw.normal(0, 0.3, (num, 1)) + draw.normal(0, 0.3, (num, 4)))
        ms_TC = np.where(by_TC, ms_TC * self.slow, ms_TC)
        failed_TC = made_TC & (draw.random((num, 4)) < np.where(by_TC, *self.errors[::-1]))
        first_T = by_TC[:, 0]
        saved_T = draw.binomial(8, np.where(first_T, *self.saves[::-1]))
        cents_T = 0.01 * made_TC.sum(1) * np.exp(draw.normal(0, 0.2, num))
        return made_TC, by_TC, ms_TC, failed_TC, silent_TC, saved_T, cents_T

    def verdict(self, turns: tuple[np.ndarray, ...], look: int, weight: int) -> Verdict:
        num = judging.turns_of_look(look, weight, CONFIG)
        made, by, ms, failed, silent, saved, cents = (part[:num] for part in turns)
        samples = []
        for canary in (True, False):
            own = made & (by == canary)
            ok = own & ~failed
            count = ok.sum(1)
            mean = np.where(ok, ms, 0).sum(1)[count > 0] / count[count > 0]
            first = by[:, 0] == canary
            answered = own.any(1)
            samples.append(
                Sample(
                    own.sum(1)[answered],
                    (own & failed).sum(1)[answered],
                    mean,
                    np.full(first.sum(), 8),
                    saved[first],
                    cents[first],
                )
            )
        quiet = Silence(
            (made | silent).sum(1), silent.sum(1), np.full(num, 2), np.zeros(num, np.int64)
        )
        return judging.judge(samples[0], samples[1], quiet, look, CONFIG)

    def rollout(self) -> str:
        """How a rollout ends: live, reverted, or open after `LOOKS` looks at one share."""
        for weight in CONFIG.weights[:-1]:
            turns = self.turns(0, weight)
            for look in range(1, LOOKS + 1):
                more = judging.turns_of_look(look, weight, CONFIG) - len(turns[0])
                pairs = zip(turns, self.turns(more, weight), strict=True)
                turns = tuple(np.concatenate(pair) for pair in pairs)
                decision = self.verdict(turns, look, weight).decision
                if decision == "revert":
                    return "reverted"
                if decision == "step":
                    break
            else:
                return "open"
        return "live"


def test_canaries_that_are_equal_are_hardly_ever_reverted_and_nearly_always_promoted() -> None:
    ends = [World(seed).rollout() for seed in range(300)]
    assert ends.count("reverted") <= 300 * CONFIG.false_revert_frac
    assert ends.count("live") >= 270


@pytest.mark.parametrize(
    ("world", "figure"),
    [
        ({"slow": 1.5}, "median_ms"),
        ({"errors": (0.002, 0.08)}, "errors"),
        ({"saves": (0.12, 0.04)}, "saves"),
        ({"silent": 1.0}, "no_answer"),
    ],
)
def test_a_canary_that_is_worse_is_reverted_for_that(world: dict, figure: str) -> None:
    ends = [World(seed, **world).rollout() for seed in range(40)]
    assert ends.count("reverted") >= 38
    turns = (one := World(0, **world)).turns(judging.turns_of_look(LOOKS, 20, CONFIG), 20)
    verdict = one.verdict(turns, LOOKS, 20)
    assert verdict.decision == "revert"
    assert any(reason.startswith(figure) for reason in verdict.reasons)


def test_a_canary_that_is_better_is_promoted() -> None:
    ends = [World(seed, slow=0.7, saves=(0.06, 0.09)).rollout() for seed in range(40)]
    assert ends.count("live") >= 38


def test_one_that_is_worse_within_the_margins_is_not_reverted() -> None:
    ends = [World(seed, slow=1.05).rollout() for seed in range(40)]
    assert ends.count("reverted") <= 2


def test_looks_come_at_growing_numbers_of_turns_and_spend_no_more_than_all() -> None:
    assert judging.turns_of_look(1, 10, DEFAULT) == 400
    assert judging.turns_of_look(2, 10, DEFAULT) == 600
    assert judging.turns_of_look(1, 50, DEFAULT) == 80
    assert [judging.latest_look(n, 10, DEFAULT) for n in (399, 400, 599, 600)] == [0, 1, 1, 2]
    assert sum(judging.spent(look) for look in range(1, 10_000)) == pytest.approx(1, abs=1e-3)


def test_before_the_first_look_and_without_answers_it_waits() -> None:
    none = np.zeros(0, np.int64)
    empty, quiet = Sample(none, none, none, none, none, none), Silence(none, none, none, none)
    assert judging.judge(empty, empty, quiet, 0, CONFIG).decision == "wait"
    verdict = judging.judge(empty, empty, quiet, 1, CONFIG)
    assert verdict.decision == "wait"
    assert verdict.reasons[0] == "no request was answered by the canary"


def test_figures_of_which_there_is_nothing_are_not_compared() -> None:
    world = World(0)
    turns = world.turns(judging.turns_of_look(1, 50, CONFIG), 50)
    named = {finding.name for finding in world.verdict(turns, 1, 50).findings}
    assert named == {"errors", "median_ms", "p95_ms", "saves", "cents"}  # everybody answered


@pytest.mark.parametrize("weights", [[10, 10, 100], [10, 25], [10, 60, 100], [0, 100]])
def test_weights_rise_to_all(weights: list[int]) -> None:
    with pytest.raises(ConfigError, match="weights"):
        load_preset(JudgeConfig, "judge", "default", [f"weights={weights}"])
    assert DEFAULT.next_weight(10) == 25
    assert DEFAULT.next_weight(50) == 100
    assert DEFAULT.next_weight(7) == 10


def test_a_reason_tells_the_figures() -> None:
    world = World(1, slow=2.0)
    turns = world.turns(judging.turns_of_look(4, 50, CONFIG), 50)
    (reason, *_) = world.verdict(turns, 4, 50).reasons
    assert reason.startswith("median_ms ")
    assert "margin 0.15" in reason
    assert not math.isnan(world.verdict(turns, 4, 50).findings[0].harm.value)
