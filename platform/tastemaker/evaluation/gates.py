"""The rules of the gates: pure functions from measured figures to verdicts.

A bundle is refused for what is sure, not for bad luck: where a figure is compared, the interval
of the difference has to lie wholly on the wrong side. Where too few cases are there to tell, it
is refused too, and the verdict says so.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tastemaker.evaluation import intervals
from tastemaker.evaluation.cases import Cases, Outcomes, aligned
from tastemaker.evaluation.gate_config import GatesConfig, Regression


@dataclass(frozen=True)
class Verdict:
    """One rule and what came of it.

    Attributes:
        name: `kind:metric`, unique among the verdicts of a bundle.
        rule: A sentence that a reviewer reads.
        value: What was found.
        bound: What was asked.
        passed: Whether the rule holds.
    """

    name: str
    rule: str
    value: float | str
    bound: float | str
    passed: bool


@dataclass(frozen=True)
class Figure:
    """A metric with its 95 % interval, and beside it what the live bundle has."""

    value: float
    low: float
    high: float
    cases: int
    baseline: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    comparison: str = ""  # paired, unpaired, or "" without a live bundle


@dataclass(frozen=True)
class Measured:
    """What a bundle takes.

    Attributes:
        request_ms: Of one request, the fastest tenth: what the machine does besides adds to it.
        cpu_ms: CPU time of one request, likewise.
        mib: Of its files.
        time_ratio: Time of a request over the live bundle's, measured in turns; None: no live one.
        cpu_ratio: The same of CPU time.
        live_mib: Of the live bundle's files; 0: none.
    """

    request_ms: float
    cpu_ms: float
    mib: float
    time_ratio: intervals.Interval | None = None
    cpu_ratio: intervals.Interval | None = None
    live_mib: float = 0.0


def figures(ours: Cases, theirs: Cases | None, *, min_cases: int) -> dict[str, Figure]:
    """Each metric of a bundle, beside the live bundle's.

    Args:
        ours: The candidate's cases.
        theirs: The live bundle's; None: nothing is live.
        min_cases: Where fewer cases than this are common to both, they are compared unpaired.
    """
    return {
        name: _figure(cases, (theirs or {}).get(name), min_cases)
        for name, cases in ours.items()
        if cases
    }


def judge(
    config: GatesConfig, found: Mapping[str, Figure], ours: Cases, *, live: bool
) -> list[Verdict]:
    """All rules about quality and safety.

    Args:
        config: The thresholds.
        found: Of `figures`.
        ours: The candidate's cases, for what is compared within them.
        live: Whether there is a live bundle to compare with.
    """
    verdicts = [*_floors(config, found), *_safety(config, found), *_beats(config, ours)]
    return [*verdicts, *_regressions(config, found)] if live else verdicts


def _figure(ours: Outcomes, theirs: Outcomes | None, min_cases: int) -> Figure:
    mine = np.array(list(ours.values()))
    own = intervals.of_mean(mine)
    base = Figure(own.value, own.low, own.high, len(mine))
    if not theirs:
        return base
    both_ours, both_theirs = aligned(ours, theirs)
    paired = len(both_ours) >= min(min_cases, len(ours), len(theirs))
    if paired:
        gain, baseline = intervals.of_paired_gain(both_ours, both_theirs), both_theirs
    else:
        baseline = np.array(list(theirs.values()))
        gain = intervals.of_unpaired_gain(mine, baseline)
    return Figure(
        *(own.value, own.low, own.high, len(mine)),
        baseline=float(baseline.mean()),
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        comparison="paired" if paired else "unpaired",
    )


def _floors(config: GatesConfig, found: Mapping[str, Figure]) -> Iterator[Verdict]:
    for metric, floor in config.floors.items():
        yield _at_least(config, found, f"floor:{metric}", metric, floor)


def _safety(config: GatesConfig, found: Mapping[str, Figure]) -> Iterator[Verdict]:
    for metric, floor in config.safety.items():
        yield _at_least(config, found, f"safety:{metric}", metric, floor)


def _at_least(
    config: GatesConfig, found: Mapping[str, Figure], name: str, metric: str, floor: float
) -> Verdict:
    figure = found.get(metric)
    if figure is None or figure.cases < config.min_cases:
        return _too_few(config, name, metric, 0 if figure is None else figure.cases)
    return Verdict(name, f"at least {floor:g}", figure.value, floor, figure.value >= floor)


def _beats(config: GatesConfig, ours: Cases) -> Iterator[Verdict]:
    for margin in config.beats:
        name, metric = f"beats:{margin.over}", margin.metric
        mine, other = aligned(ours.get(metric, {}), ours.get(margin.over, {}))
        if len(mine) < config.min_cases:
            yield _too_few(config, name, metric, len(mine))
            continue
        lead = intervals.of_paired_gain(mine, other)
        rule = (
            f"{metric} may not be surely below {margin.over} {margin.by:+g} on the same cases; "
            f"it leads by {lead.value:+.3f} ({lead.low:+.3f} to {lead.high:+.3f})"
        )
        yield Verdict(name, rule, lead.high, margin.by, lead.high >= margin.by)


def _regressions(config: GatesConfig, found: Mapping[str, Figure]) -> Iterator[Verdict]:
    for metric, rule in config.no_regression.items():
        figure = found.get(metric)
        if figure is None or figure.cases < config.min_cases:
            cases = 0 if figure is None else figure.cases
            yield _too_few(config, f"no_regression:{metric}", metric, cases)
        else:
            yield regression(metric, rule, figure)


def regression(metric: str, rule: Regression, figure: Figure) -> Verdict:
    """Whether a metric did not fall against the live bundle, and whether that can be told."""
    name = f"no_regression:{metric}"
    if figure.gain is None or figure.gain_low is None or figure.gain_high is None:
        return Verdict(name, "the live bundle must have the metric too", "none", "some", False)
    half = (figure.gain_high - figure.gain_low) / 2
    how = (
        f"gain {figure.gain:+.3f} ({figure.gain_low:+.3f} to {figure.gain_high:+.3f}, "
        f"{figure.comparison})"
    )
    if half > rule.resolution:
        said = f"too few cases to tell: {how}; the interval may be +-{rule.resolution:g} wide"
        return Verdict(name, said, half, rule.resolution, False)
    said = f"the gain's interval may not lie wholly below {-rule.tolerance:g}; {how}"
    passed = figure.gain_high >= -rule.tolerance
    return Verdict(name, said, figure.gain_high, -rule.tolerance, passed)


def _too_few(config: GatesConfig, name: str, metric: str, cases: int) -> Verdict:
    if not cases and metric in config.may_lack:
        return Verdict(name, "this catalogue has no cases for it", "not measured", "-", True)
    rule = f"too few cases to tell: {metric} needs {config.min_cases}"
    return Verdict(name, rule, float(cases), float(config.min_cases), False)


def ceilings(config: GatesConfig, measured: Measured) -> list[Verdict]:
    """Latency, cost and size, against fixed bounds and against the live bundle."""
    fixed = (
        ("latency:request_ms", "ms a request", measured.request_ms, config.max_request_ms),
        ("size:mib", "MiB of files", measured.mib, config.max_mib),
    )
    verdicts = [
        Verdict(name, f"at most {bound:g} {unit}", value, bound, value <= bound)
        for name, unit, value, bound in fixed
    ]
    beside = (
        ("latency:ratio", "time of a request", measured.time_ratio, config.max_latency_ratio),
        ("cost:ratio", "CPU seconds of a request", measured.cpu_ratio, config.max_cost_ratio),
    )
    for name, what, ratio, bound in beside:
        if ratio is not None:
            rule = (
                f"{what} may not be surely above {bound:g} times the live bundle's, side by side; "
                f"{ratio.value:.2f} times ({ratio.low:.2f} to {ratio.high:.2f})"
            )
            verdicts.append(Verdict(name, rule, ratio.low, bound, ratio.low <= bound))
    if measured.live_mib:
        times, most = measured.mib / measured.live_mib, config.max_size_ratio
        rule = f"at most {most:g} times the live bundle's files"
        verdicts.append(Verdict("size:ratio", rule, times, most, times <= most))
    return verdicts


def simulated(config: GatesConfig, ours: Cases, theirs: Cases | None) -> list[Verdict]:
    """Rules about whole conversations of simulated users.

    Args:
        config: The thresholds.
        ours: Cases of conversations with the candidate; `harm_rate` and `session_success` count.
        theirs: Of the same users with what is live; None: not simulated.
    """
    harms = ours.get("harm_rate", {})
    verdicts = [_harm(config, int(sum(harms.values())), len(harms))]
    if theirs is not None:
        found = figures(ours, theirs, min_cases=config.min_cases).get("session_success")
        if found is not None:
            verdicts.append(regression("session_success", config.simulated_success, found))
    return verdicts


def _harm(config: GatesConfig, harmed: int, conversations: int) -> Verdict:
    """By the upper end of Wilson's interval: no harm in ten conversations shows little."""
    if not conversations:
        rule = "too few cases to tell: the simulation has no conversation"
        return Verdict("safety:harm_rate", rule, 0.0, 1.0, False)
    num, z = conversations, 1.96
    wide = z * math.sqrt(harmed * (num - harmed) / num + z * z / 4)
    high = (harmed + z * z / 2 + wide) / (num + z * z)
    rule = (
        f"at most {config.max_harm_rate:g} of simulated conversations do harm, with 95 % "
        f"confidence; {harmed} of {num} did"
    )
    most = config.max_harm_rate
    return Verdict("safety:harm_rate", rule, high, most, high <= most)
