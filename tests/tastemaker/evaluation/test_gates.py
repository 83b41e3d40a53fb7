"""The rules: each can pass, and each can refuse."""

from typing import Any

import numpy as np
import pytest

from tastemaker.core.errors import ConfigError
from tastemaker.evaluation import gates
from tastemaker.evaluation.cases import outcomes
from tastemaker.evaluation.gate_config import GatesConfig, load_gates, named
from tastemaker.evaluation.intervals import Interval

N = 400
CEILINGS: dict[str, Any] = {
    "max_latency_ratio": 1.25,
    "max_cost_ratio": 1.25,
    "max_request_ms": 50,
    "max_mib": 10,
    "max_size_ratio": 2.0,
}


def config(**rules: Any) -> GatesConfig:
    return GatesConfig(**{"min_cases": 20, "floors": {}, **CEILINGS, **rules})


def hits(rate: float, *, seed: int = 0, num: int = N, first: int = 0) -> dict[str, float]:
    values = np.random.default_rng(seed).permutation(num) < rate * num
    return outcomes([f"user {first + n}" for n in range(num)], values)


def judged(
    rules: GatesConfig, ours: dict[str, dict[str, float]], theirs: Any = None
) -> dict[str, gates.Verdict]:
    found = gates.figures(ours, theirs, min_cases=rules.min_cases)
    return {one.name: one for one in gates.judge(rules, found, ours, live=theirs is not None)}


@pytest.mark.parametrize(("rate", "passed"), [(0.3, True), (0.2, True), (0.19, False)])
def test_a_floor_is_a_floor(rate: float, passed: bool) -> None:
    for kind in ("floor", "safety"):
        rules = config(**{f"{kind}s" if kind == "floor" else kind: {"hr": 0.2}})
        assert judged(rules, {"hr": hits(rate)})[f"{kind}:hr"].passed is passed


def test_too_few_cases_are_refused_and_it_says_so() -> None:
    rules = config(
        floors={"hr": 0.1},
        beats=({"metric": "hr", "over": "base"},),
        no_regression={"hr": {"tolerance": 0.1, "resolution": 0.1}},
    )
    few = {"hr": hits(1, num=19), "base": hits(0, num=19)}
    found = judged(rules, few, few)
    assert {name: one.passed for name, one in found.items()} == {
        "floor:hr": False, "beats:base": False, "no_regression:hr": False,
    }  # fmt: skip
    assert all("too few cases to tell" in one.rule for one in found.values())


def test_a_metric_that_was_not_measured_is_refused_unless_a_catalogue_may_lack_it() -> None:
    assert not judged(config(floors={"mrr": 0.1}), {})["floor:mrr"].passed
    lacking = judged(config(floors={"mrr": 0.1}, may_lack=("mrr",)), {})["floor:mrr"]
    assert lacking.passed
    assert lacking.value == "not measured"
    # with some cases, but few, it is no longer lacking
    some = judged(config(floors={"mrr": 0.1}, may_lack=("mrr",)), {"mrr": hits(1, num=3)})
    assert not some["floor:mrr"].passed
    with pytest.raises(ValueError, match="may_lack names"):
        config(may_lack=("mrr",))


@pytest.mark.parametrize(
    ("ours", "theirs", "passed"),
    [(0.30, 0.30, True), (0.40, 0.30, True), (0.29, 0.30, True), (0.15, 0.30, False)],
)
def test_no_regression_refuses_what_is_surely_worse(
    ours: float, theirs: float, passed: bool
) -> None:
    rules = config(no_regression={"hr": {"tolerance": 0.01, "resolution": 0.1}})
    found = judged(rules, {"hr": hits(ours)}, {"hr": hits(theirs, seed=1)})["no_regression:hr"]
    assert found.passed is passed
    assert "paired" in found.rule


def test_what_the_interval_cannot_show_is_refused() -> None:
    rules = config(no_regression={"hr": {"tolerance": 0.01, "resolution": 0.02}})
    found = judged(rules, {"hr": hits(0.3, num=60)}, {"hr": hits(0.3, seed=1, num=60)})
    assert not found["no_regression:hr"].passed
    assert "too few cases to tell" in found["no_regression:hr"].rule


def test_a_small_sure_loss_is_seen_in_pairs_and_tolerated_within_its_bound() -> None:
    before = hits(0.5)
    lost = [case for case, value in before.items() if value][:12]  # 3 % of the cases
    after = {case: 0.0 if case in lost else value for case, value in before.items()}
    for tolerance, passed in ((0.005, False), (0.05, True)):
        rules = config(no_regression={"hr": {"tolerance": tolerance, "resolution": 0.1}})
        assert judged(rules, {"hr": after}, {"hr": before})["no_regression:hr"].passed is passed


def test_cases_that_are_not_the_same_are_compared_unpaired() -> None:
    ours, theirs = {"hr": hits(0.3)}, {"hr": hits(0.3, first=N)}
    figure = gates.figures(ours, theirs, min_cases=20)["hr"]
    assert figure.comparison == "unpaired"
    assert figure.gain == pytest.approx(0)
    assert figure.gain_high is not None
    assert figure.gain_high > 0.03
    same = gates.figures(ours, {"hr": {**theirs["hr"], **ours["hr"]}}, min_cases=20)["hr"]
    assert same.comparison == "paired"
    assert same.gain == same.gain_low == same.gain_high == 0


def test_a_live_bundle_without_the_metric_is_no_reason_to_wave_through() -> None:
    rules = config(no_regression={"hr": {"tolerance": 0.01, "resolution": 0.1}})
    found = judged(rules, {"hr": hits(0.3)}, {})
    assert not found["no_regression:hr"].passed


def test_a_baseline_has_to_be_beaten_on_the_same_cases() -> None:
    rules = config(beats=({"metric": "hr", "over": "popularity", "by": 0.0},))
    for rate, passed in ((0.3, True), (0.1, True), (0.02, False)):
        ours = {"hr": hits(rate), "popularity": hits(0.1, seed=1)}
        assert judged(rules, ours)["beats:popularity"].passed is passed


def test_ceilings_refuse_what_is_surely_slower_dearer_or_larger() -> None:
    good = gates.Measured(request_ms=5, cpu_ms=5, mib=4)
    assert all(one.passed for one in gates.ceilings(config(), good))
    assert len(gates.ceilings(config(), good)) == 2
    noisy, sure = Interval(1.6, 1.1, 2.5), Interval(1.6, 1.5, 1.7)
    bad = gates.Measured(
        request_ms=51, cpu_ms=5, mib=11, time_ratio=sure, cpu_ratio=noisy, live_mib=5
    )
    assert {one.name: one.passed for one in gates.ceilings(config(), bad)} == {
        "latency:request_ms": False, "size:mib": False, "latency:ratio": False,
        "cost:ratio": True, "size:ratio": False,
    }  # fmt: skip


def test_no_harm_in_few_conversations_shows_little() -> None:
    for num, harmed, passed in ((400, 0, True), (100, 0, False), (2000, 40, False), (0, 0, False)):
        harms = {f"c{n}": float(n < harmed) for n in range(num)}
        (found,) = gates.simulated(config(max_harm_rate=0.01), {"harm_rate": harms}, None)
        assert found.passed is passed


def test_simulated_success_is_compared_with_the_live_system() -> None:
    rules = config(simulated_success={"tolerance": 0.02, "resolution": 0.1})
    harms = {"harm_rate": dict.fromkeys(map(str, range(N)), 0.0)}
    for rate, passed in ((0.6, True), (0.3, False)):
        ours = {**harms, "session_success": hits(rate)}
        theirs = {**harms, "session_success": hits(0.6, seed=1)}
        found = {one.name: one for one in gates.simulated(rules, ours, theirs)}
        assert found["no_regression:session_success"].passed is passed


def test_thresholds_are_named_by_their_preset_while_nobody_changed_them() -> None:
    shipped = load_gates("router")
    assert named("router", shipped).startswith("default ")
    assert named("router", load_gates("router", "tiny")).startswith("tiny ")
    weaker = shipped.model_copy(update={"floors": {}})
    assert named("router", weaker).startswith("changed ")
    assert named("router", weaker).split()[1] != named("router", shipped).split()[1]


def test_thresholds_are_closed_and_there_for_every_family() -> None:
    for family in ("encoder", "index", "sequence", "router"):
        assert load_gates(family).min_cases >= load_gates(family, "tiny").min_cases
    with pytest.raises(ConfigError, match="no gates for family 'canvas'"):
        load_gates("canvas")
    with pytest.raises(ValueError, match="extra"):
        config(floor={"hr": 1})
