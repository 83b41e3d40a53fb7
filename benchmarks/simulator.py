"""Is the simulator worth believing, and what does it cost?

    TASTEMAKER_DATA=/path python -m benchmarks.simulator calibrate [val]    (about 10 minutes)
    python -m benchmarks.simulator talk [URL] [USERS] [PRESET]   (with an assistant running)

`calibrate`: recommenders from known good to known bad, ordered by simulated sessions and by real
held-out events of three sets (`simulator_calibration.py` says what each side may know). With
`val` it only prints: that is for choices; the table is of the test events.

`talk`: whole conversations with the running assistant (real router in vLLM, tools, features), in
this machine's time; interval widths are of the first n of these conversations. The preset of
family `simulation` is `default`, or `tiny` where the router is of the tiny chain.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import RESULTS, row, save
from benchmarks.simulator_calibration import NAMES, fit, judge
from benchmarks.simulator_sets import SETS, load
from tastemaker.core.config import load_preset
from tastemaker.core.home import Home
from tastemaker.evaluation.simulated_outcomes import Outcome, widths
from tastemaker.evaluation.simulated_sessions import agreement
from tastemaker.jobs import simulate_conversations
from tastemaker.jobs.simulation_config import SimulationConfig

COMMAND = "python -m benchmarks.simulator"
SIZES = (50, 100, 200, 500, 1000)
GOAL = 1.0  # of the pairs that real events order


def main() -> None:
    what, *rest = sys.argv[1:] or [""]
    if what == "calibrate":
        calibrate(rest[0] if rest else "test")
    elif what == "talk":
        url = rest[0] if rest else "http://127.0.0.1:8400"
        users = int(rest[1]) if len(rest) > 1 else SIZES[-1]
        talk(url, users, rest[2] if len(rest) > 2 else "default")
    else:
        raise SystemExit(__doc__)


def calibrate(split: str) -> None:
    """Every set and taste, and all pairs together."""
    root = Path(os.environ["TASTEMAKER_DATA"])
    rows, found, every_draw = [], [], []
    for name in SETS:
        real = load(name, split, root)
        judged = judge(fit(real), real)
        for taste, success_RU in judged.success_RU.items():
            one, draws = agreement(success_RU, judged.recall_RU)
            found.append(one)
            every_draw.append(draws)
            print(f"{name}, {taste}: {one}")
            for place, recommender in enumerate(NAMES):
                simulated = float(success_RU[place].mean())
                real = float(judged.recall_RU[place].mean())
                print(f"  {recommender:12s} success {simulated:.3f}  recall@20 {real:.4f}")
                rows.append(
                    _row(
                        f"calibration, {name}, {taste}: session success of {recommender} "
                        "(baseline: its real recall@20)",
                        *(simulated, real, None, "fraction"),
                    )
                )
            label = f"calibration, {name}, {taste}: pairs of recommenders ordered alike"
            rows.append(_row(label, one.frac, None, None, "fraction"))
    pairs, decided = sum(one.pairs for one in found), sum(one.decided for one in found)
    alike = sum(round(one.decided_frac * one.decided) for one in found)
    low, high = np.quantile(np.mean(every_draw, axis=0), [0.025, 0.975])
    mean = sum(one.frac * one.pairs for one in found) / pairs
    head = [
        _row("orderings_agree", alike / decided, None, GOAL, "fraction"),
        _row(f"orderings_agree, all {pairs} pairs", mean, None, None, "fraction"),
        _row("orderings_agree, all pairs, 95 % low", float(low), None, None, "fraction"),
        _row("orderings_agree, all pairs, 95 % high", float(high), None, None, "fraction"),
        _row("pairs that real events order", decided, None, None, "pairs"),
    ]
    for one in head:
        print(one["metric"], one["value"])
    if split == "test":
        _merge("calibration", "orderings_agree", "pairs that real", rows=[*head, *rows])


def talk(url: str, users: int, preset: str) -> None:
    """Conversations with the assistant at an address."""
    home = Home.open()
    settings = load_preset(SimulationConfig, "simulation", preset, [f"users={users}"])
    load = os.getloadavg()[0]
    digest = simulate_conversations.run(home, settings, url=url)
    rows = rows_of(home, digest, f"preset {preset}, load {load:.0f} on {os.cpu_count()} cores")
    for one in rows:
        print(one["metric"], one["value"])
    kinds = ("conversations_per", "time of", "cost of", "turns of", "interval_width", "talk")
    _merge(*kinds, rows=rows)


def rows_of(home: Home, digest: str, where: str) -> list[dict[str, Any]]:
    """The rows of a run that held all of its conversations in one go."""
    at = ("simulations", digest)
    run: dict[str, Any] = json.loads(home.read_text(*at, "run.json") or "{}")
    figures: dict[str, float] = json.loads(home.read_text(*at, "metrics.json") or "{}")
    lines = (home.read_text(*at, "conversations.jsonl") or "").splitlines()
    outcomes = [_outcome(line) for line in lines]
    title = f"{len(outcomes)} conversations, {where}"
    cents, turns = sum(one.cents for one in outcomes), sum(one.turns for one in outcomes)
    rows = [
        _row("conversations_per_minute", run["held"] / run["seconds"] * 60, None, None, "1/min"),
        _row(f"time of {title}", run["seconds"], None, None, "s"),
        _row(f"cost of {title}", cents, None, None, "cents"),
        _row(f"turns of {title}", turns, None, None, "turns"),
        *_widths(outcomes),
    ]
    means = {"session_success": 1, "turns_to_success": 1, "diversity": 1, "cents_per_success": 1000}
    for name, times in means.items():
        unit = "mean" if times == 1 else f"cents for {times}"
        for suffix in ("", "_low", "_high") if name in figures else ():
            value = times * figures[name + suffix]
            rows.append(_row(f"talk, {name}{suffix}", value, None, None, unit))
    for name in ("harm_rate", "harm_hidden", "harm_leak", "harm_withdrawn", "error_rate"):
        rows.append(_row(f"talk, {name}", figures[name], None, None, "fraction"))
        rows.append(_row(f"talk, {name}_high", figures[f"{name}_high"], None, None, "fraction"))
    return rows


def _widths(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    success_N = np.array([float(one.success) for one in outcomes])
    num, most = len(success_N), SIZES[-1]
    measured = widths(success_N, SIZES)
    rows = [
        _row(f"interval_width_{n}", width, None, None, "fraction") for n, width in measured.items()
    ]
    if num < most:
        width = widths(success_N, [num])[num] * (num / most) ** 0.5
        label = (
            f"interval_width_{most} (not measured: that of {num} times the root of {num}/{most})"
        )
        rows.append(_row(label, width, None, None, "fraction"))
    return rows


def _outcome(line: str) -> Outcome:
    record = json.loads(line)
    record.pop("side")
    return Outcome.of_record(record)


def _row(
    metric: str, value: float, baseline: float | None, goal: float | None, unit: str
) -> dict[str, Any]:
    return row(metric, value, baseline=baseline, goal=goal, unit=unit, seeds=1, command=COMMAND)


def _merge(*kinds: str, rows: list[dict[str, Any]]) -> None:
    """Keep the rows of the other part, which is measured at another time."""
    path = RESULTS / "simulator.json"
    old = json.loads(path.read_text())["rows"] if path.is_file() else []
    kept = [one for one in old if not one["metric"].startswith(kinds)]
    first = [one for one in (*rows, *kept) if one["metric"] == "orderings_agree"]
    rest = [one for one in (*rows, *kept) if one["metric"] != "orderings_agree"]
    save("simulator", [*first, *rest])


if __name__ == "__main__":
    main()
