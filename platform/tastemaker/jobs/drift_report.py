"""The drift check's page: what moved, by how much, how sure that is."""

from collections.abc import Sequence
from typing import Any

from tastemaker.evaluation.drift import Finding
from tastemaker.evaluation.report import Report, figure

_HEADINGS = {
    "embedding": "Embedding drift: vectors of the items that people act on",
    "feature": "Feature drift: population stability index, nats",
    "answers": "Quality of answers: change of a rate, or the rate itself",
}


def html(findings: Sequence[Finding], *, environment: str, bundle: str) -> str:
    """A self-contained page.

    Args:
        findings: Of one check.
        environment: Whose models.
        bundle: The live user model.
    """
    report = Report(f"Drift in {environment}")
    moved = [one.name for one in findings if one.drifted]
    thin = [one.name for one in findings if not one.enough]
    report.text(f"Live user model {bundle}, compared with what it was trained on.")
    report.text(f"Drifted: {', '.join(moved)}." if moved else "Nothing drifted.")
    if thin:
        report.text(f"Too few rows for a verdict: {', '.join(thin)}.")
    for kind, heading in _HEADINGS.items():
        own = [one for one in findings if one.kind == kind]
        if own:
            report.plot(heading, intervals(own))
            report.table(f"{heading.split(':')[0]}: numbers", [_row(one) for one in own])
    return report.html()


def intervals(findings: Sequence[Finding]) -> Any:
    """A row each: the value, its 95 % interval and the threshold."""
    made, axes = figure(7.0, 0.9 + 0.42 * len(findings))
    for place, one in enumerate(reversed(findings)):
        colour = "#c2410c" if one.drifted else "#356ae6" if one.enough else "#9aa4b2"
        axes.plot([one.low, one.high], [place, place], color=colour, linewidth=2)
        axes.plot([one.value], [place], "o", color=colour)
        axes.plot([one.threshold], [place], "|", color="#111", markersize=14)
    axes.set_yticks(range(len(findings)), [one.name for one in reversed(findings)])
    axes.set_xlabel("value and 95 % interval; black: threshold; grey: too few rows")
    return made


def _row(one: Finding) -> dict[str, Any]:
    verdict = "drifted" if one.drifted else "no" if one.enough else "too few rows"
    return {
        "what": one.name,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "threshold": one.threshold,
        "reference": one.num_reference,
        "recent": one.num_recent,
        "verdict": verdict,
    }
