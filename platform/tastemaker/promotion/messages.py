"""Messages of promotion commits: a subject and figures for people, then evidence for programs."""

from collections.abc import Mapping, Sequence

from tastemaker.promotion.evidence import Evidence, Metric, read_unverified
from tastemaker.promotion.history import UNDOES
from tastemaker.promotion.model_file import Canary

_MAX_WHY = 500  # characters of what somebody says


def promotion(
    environment: str,
    bundles: Mapping[str, str],
    canary: int | None,
    why: str,
    evidence: Sequence[str],
) -> str:
    """The message of a promotion.

    Args:
        environment: Where.
        bundles: What becomes live or is tried, by model.
        canary: Its share of the requests, percent; None: all.
        why: A sentence, may be empty.
        evidence: Signed lines.

    Raises:
        EvidenceError: A line is none.
    """
    what = ", ".join(f"{model} {bundle[:8]}" for model, bundle in bundles.items())
    tried = f" (canary {canary} %)" if canary else ""
    used = [(line, found) for line in evidence if (found := read_unverified(line))]
    used = [(line, found) for line, found in used if bundles.get(found.model) == found.bundle]
    parts = [f"Promote {what} to {environment}{tried}", _reason(why)]
    parts += [_figures(found) for _, found in used]
    parts.append("\n".join(["Evidence:", *(line for line, _ in used)]) if used else "")
    parts.append(_trailers(environment, bundles))
    return _joined(parts)


def canary_step(environment: str, model: str, canary: Canary, weight: int, why: str) -> str:
    """The message of a canary's next share, or of its becoming the stable one."""
    if weight == 100:
        subject = f"Promote canary {model} {canary.bundle[:8]} to stable in {environment}"
    else:
        was = f"{canary.weight} to {weight} %"
        subject = f"Canary {model} {canary.bundle[:8]} in {environment}: {was}"
    return _joined([subject, _reason(why), _trailers(environment, {model: canary.bundle})])


def canary_end(environment: str, model: str, canary: Canary, why: str) -> str:
    """The message of a canary that is taken away."""
    subject = f"Revert canary {model} {canary.bundle[:8]} of {environment}"
    return _joined([subject, _reason(why), _trailers(environment, {model: canary.bundle})])


def rolled_back(
    environment: str, model: str, back: Mapping[str, str], undone: str, was: str, why: str
) -> str:
    """The message of a rollback.

    Args:
        environment: Where.
        model: That was asked to go back.
        back: Bundle that is live again, by model; the others go back with it.
        undone: Commit that brought what was live.
        was: Its subject.
        why: A sentence, may be empty.
    """
    others = [one for one in back if one != model]
    together = f" with {', '.join(others)}" if others else ""
    subject = f"Roll back {model} of {environment} to {back.get(model, '')[:8]}{together}"
    undoes = f'This goes back behind commit {undone[:12]} ("{was[:100]}").'
    trailers = f"{_trailers(environment, back)}\n{UNDOES}: {undone}"
    return _joined([subject, _reason(why), undoes, trailers])


def subject(message: str) -> str:
    """First line of a message."""
    return message.partition("\n")[0]


def _reason(why: str) -> str:
    """What somebody says, on one line of its own kind: neither evidence nor a trailer."""
    line = " ".join(why.split())[:_MAX_WHY]
    return f"Reason: {line}" if line else ""


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _trailers(environment: str, bundles: Mapping[str, str]) -> str:
    lines = [f"Promotion-Environment: {environment}"]
    return "\n".join(lines + [f"Promotion-Bundle: {one} {name}" for one, name in bundles.items()])


def _figures(found: Evidence) -> str:
    passed = sum(gate.passed for gate in found.gates)
    compared = f"compared with {found.baseline}" if found.baseline else "nothing was live before"
    lines = [
        f"{found.model} {found.bundle} on dataset {found.dataset}, {compared}: "
        f"{passed} of {len(found.gates)} gates passed, {found.created}."
    ]
    if found.metrics:
        lines += [
            "",
            "| metric | value | 95 % interval | live before | gain |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(name, metric) for name, metric in sorted(found.metrics.items())]
    return "\n".join(lines)


def _row(name: str, metric: Metric) -> str:
    cells = [name, _number(metric.value), f"{_number(metric.low)} to {_number(metric.high)}"]
    cells.append("-" if metric.baseline is None else _number(metric.baseline))
    if metric.gain is None:
        cells.append("-")
    else:
        between = [_number(one) for one in (metric.gain_low, metric.gain_high) if one is not None]
        cells.append(f"{metric.gain:+.4g}" + (f" ({' to '.join(between)})" if between else ""))
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:.4g}"
