"""The page about simulated conversations: figures, a comparison, how and why they ended."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tastemaker.evaluation.intervals import Interval
from tastemaker.evaluation.report import Report, bars, lines
from tastemaker.evaluation.simulated_outcomes import (
    HARMS,
    Outcome,
    cases,
    compare,
    summary,
    widths,
)

_SIZES = (25, 50, 100, 200, 500, 1000)
_EXPLAINED = (
    "Users with latent tastes hold whole conversations over the HTTP API. They say what they "
    "want, look at part of each list, save or hide items, refine, and leave with what they wanted "
    "or without patience. Intervals are 95 %; docs/simulator.md describes the users."
)


def report(
    ours: Sequence[Outcome],
    theirs: Sequence[Outcome] | None,
    urls: Mapping[str, str],
    took: Mapping[str, Any],
) -> str:
    """One self-contained page.

    Args:
        ours: Conversations of the version that is judged.
        theirs: Of the other version, same users and seeds; None for none.
        urls: Address by side.
        took: `held` conversations of this process and its `seconds`.
    """
    page = Report("Simulated conversations")
    page.text(_EXPLAINED)
    page.text(f"{len(ours)} users, {', '.join(urls.values())}; {took['seconds']:.0f} s.")
    own = summary(ours)
    page.table("What they came to", [_row(name, found) for name, found in own.items()])
    if theirs:
        gains = compare(cases(ours), cases(theirs))
        other = summary(theirs)
        page.text(
            f"Compared with {list(urls.values())[-1]} on the same users and seeds, paired by "
            "conversation: a gain whose interval is wholly on one side of 0 is not luck."
        )
        page.table(
            "Compared",
            [
                {
                    "metric": name,
                    "this": own[name].value,
                    "other": other[name].value,
                    "gain": gain.value,
                    "low": gain.low,
                    "high": gain.high,
                    "sure": "yes" if gain.low > 0 or gain.high < 0 else "no",
                }
                for name, gain in gains.items()
                if name in own and name in other
            ],
        )
    sides = {"this": ours} | ({"other": theirs} if theirs else {})
    page.plot(
        "Share of users who have what they wanted, by turn",
        lines({n: _by_turn(o) for n, o in sides.items()}, "turn", "share", marker="o"),
    )
    page.table("By what was wanted", _by_kind(ours))
    page.plot("How they ended", bars(_shares(o.ended for o in ours), "share"))
    page.table("Harm", [{"kind": k, "conversations": _harmed(ours, k)} for k in HARMS])
    success_N = np.array([float(o.success) for o in ours])
    width = widths(success_N, _SIZES)
    if len(width) > 1:
        points = [(float(size), found) for size, found in width.items()]
        page.plot(
            "Width of the interval of session success, by number of users",
            lines({"success": points}, "users", "width", marker="o"),
        )
    errors = [{"user": o.case, "error": o.error[:200]} for o in ours if o.error]
    if errors:
        page.table("Errors", errors[:50])
    return page.html()


def _row(name: str, found: Interval) -> dict[str, Any]:
    return {
        "metric": name,
        "value": f"{found.value:.4g}",
        "low": f"{found.low:.4g}",
        "high": f"{found.high:.4g}",
    }


def _by_turn(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    most = max((o.turns for o in outcomes), default=0)
    return [
        (float(turn), float(np.mean([o.success and o.turns <= turn for o in outcomes])))
        for turn in range(most + 1)
    ]


def _by_kind(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    rows = []
    for kind in sorted({o.kind for o in outcomes}):
        own = [o for o in outcomes if o.kind == kind]
        rows.append(
            {
                "wanted": kind,
                "users": len(own),
                "success": float(np.mean([o.success for o in own])),
                "turns": float(np.mean([o.turns for o in own])),
                "taken": float(np.mean([o.taken for o in own])),
                "errors": sum(bool(o.error) for o in own),
            }
        )
    return rows


def _shares(values: Any) -> dict[str, float]:
    counts = Counter(values)
    return {name: num / counts.total() for name, num in counts.most_common()}


def _harmed(outcomes: Sequence[Outcome], kind: str) -> int:
    return sum(kind in outcome.harms for outcome in outcomes)
