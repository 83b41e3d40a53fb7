"""The page beside the evidence: the verdict first, then all that a reviewer may ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tastemaker.core.home import Home
from tastemaker.evaluation.gate_config import GatesConfig
from tastemaker.evaluation.gates import Figure, Measured
from tastemaker.evaluation.report import Report, forest
from tastemaker.jobs import gate_examples
from tastemaker.jobs.gate_evaluations import Compared
from tastemaker.promotion.bundle import Bundle
from tastemaker.promotion.evidence import Evidence, Gate

FEW = 14  # rows of a plot that are read


@dataclass(frozen=True)
class Judged:
    """Everything that was found of a bundle."""

    evidence: Evidence
    figures: Mapping[str, Figure]
    compared: Compared
    measured: Measured
    candidate: Bundle
    live: Bundle | None
    config: GatesConfig
    on: str
    in_set: tuple[str, ...] = ()  # bundles that are promoted with it

    @property
    def replaces(self) -> Bundle | None:
        """The live bundle where it is another one."""
        return self.live if self.live and self.live.digest != self.candidate.digest else None


def page(home: Home, judged: Judged) -> str:
    """The report as one HTML page."""
    found = judged.evidence
    report = Report(f"{found.model} {found.bundle} for {found.environment}")
    _verdict(report, judged)
    report.table("Gates", [_gate_row(gate) for gate in sorted(found.gates, key=lambda g: g.passed)])
    _plot(report, judged)
    report.table(
        "Figures, with 95 % intervals", [_figure_row(n, f) for n, f in _shown(judged).items()]
    )
    _changes(report, judged)
    report.table("What it takes", _costs(judged))
    _cases(report, home, judged)
    return report.html()


def _verdict(report: Report, judged: Judged) -> None:
    found = judged.evidence
    passed, failed = _passed(found), [gate for gate in found.gates if not gate.passed]
    beside = f"beside the live bundle {found.baseline}" if judged.replaces else (
        "it is what is live" if judged.live else "nothing is live yet"
    )  # fmt: skip
    if found.passed:
        text = f"May be promoted: {passed} of {len(found.gates)} gates passed, {beside}."
        report.verdict(True, text, _highlights(judged))
        report.command(*_promotion(judged))
    else:
        points = [f"{gate.name}: {gate.rule} (found {_short(gate.value)})" for gate in failed]
        text = f"Refused: {len(failed)} of {len(found.gates)} gates failed, {beside}."
        report.verdict(False, text, points)
    if judged.compared.note:
        report.text(judged.compared.note)
    data = ", ".join(f"{kind} {digest}" for kind, digest in found.evaluated_on.items())
    report.text(
        f"Judged {found.created} by version {found.code_version} on {data}, to serve over dataset "
        f"version {found.dataset} in embedding space {found.space}."
        + (f" Pipeline run {found.run}." if found.run else "")
    )
    preset, _, digest = found.thresholds.partition(" ")
    report.text(
        f"Thresholds are not those of a preset: somebody changed them by hand ({digest})."
        if preset == "changed"
        else f"Thresholds: preset {preset} ({digest})."
    )


def _promotion(judged: Judged) -> tuple[str, str]:
    """How it becomes live: alone, first on some of the requests, or with its set at once."""
    found = judged.evidence
    to = f"--to {found.environment}"
    if judged.in_set:
        together = " ".join([found.bundle, *judged.in_set])
        return (
            "To make it live, once all of its set have passed:",
            f"tastemaker promote {together} {to}",
        )
    if judged.replaces and found.model != "encoder":
        return (
            "To try it on a tenth of the requests (without --canary: on all of them at once):",
            f"tastemaker promote {found.bundle} {to} --canary 10",
        )
    return "To make it live:", f"tastemaker promote {found.bundle} {to}"


def _highlights(judged: Judged) -> list[str]:
    """What is surely better or worse than before."""
    points = []
    for name in judged.config.no_regression:
        figure = judged.figures.get(name)
        if figure and figure.gain_low is not None and figure.gain_high is not None:
            sure = "surely better" if figure.gain_low > 0 else (
                "surely worse, within what is tolerated" if figure.gain_high < 0 else
                "no difference that the cases can show"
            )  # fmt: skip
            points.append(f"{name}: {figure.gain:+.3f}, {sure}")
    return points


def _gate_row(gate: Gate) -> dict[str, Any]:
    return {
        "": gate.passed,
        "gate": gate.name,
        "rule": gate.rule,
        "found": _short(gate.value),
        "asked": _asked(gate),
    }


def _asked(gate: Gate) -> str:
    same = isinstance(gate.bound, str) and gate.bound == gate.value
    return "the same" if same else _short(gate.bound)


def _plot(report: Report, judged: Judged) -> None:
    """Gains against the live bundle; without one, the figures beside their floors."""
    shown = dict(list(_shown(judged).items())[:FEW])
    if judged.replaces:
        rows = [
            (name, figure.gain, figure.gain_low, figure.gain_high)
            for name, figure in shown.items()
            if not _is_baseline(name)
            and figure.gain is not None
            and figure.gain_low is not None
            and figure.gain_high is not None
        ]
        marks = {name: -rule.tolerance for name, rule in judged.config.no_regression.items()}
        if rows:
            caption = "Gain over the live bundle, 95 % (tick: what may be lost)"
            report.plot(caption, forest(rows, "gain", marks=marks))
        return
    values = [(name, figure.value, figure.low, figure.high) for name, figure in shown.items()]
    marks = {**judged.config.floors, **judged.config.safety}
    report.plot("Figures, 95 % (tick: floor)", forest(values, "value", line=None, marks=marks))


def _shown(judged: Judged) -> dict[str, Figure]:
    """Figures that a rule reads, in its order, then the candidate's other ones."""
    config = judged.config
    ruled = [*config.no_regression, *config.floors, *config.safety]
    ruled += [name for margin in config.beats for name in (margin.metric, margin.over)]
    rest = sorted(
        name for name in judged.figures if not name.startswith("val_") and not _is_baseline(name)
    )
    names = dict.fromkeys(name for name in [*ruled, *rest] if name in judged.figures)
    return {name: judged.figures[name] for name in names}


def _is_baseline(name: str) -> bool:
    return name.endswith(("_baseline", "_rules", "_popularity", "_covisitation", "_mean_embedding"))


def _figure_row(name: str, figure: Figure) -> dict[str, Any]:
    row: dict[str, Any] = {
        "metric": name,
        "value": figure.value,
        "between": f"{figure.low:.3f} and {figure.high:.3f}",
        "cases": figure.cases,
    }
    if figure.baseline is None or figure.gain is None:
        return {**row, "live": "", "gain": "", "gain between": "", "compared": ""}
    return {
        **row,
        "live": figure.baseline,
        "gain": f"{figure.gain:+.3f}",
        "gain between": f"{figure.gain_low:+.3f} and {figure.gain_high:+.3f}",
        "compared": figure.comparison,
    }


def _changes(report: Report, judged: Judged) -> None:
    if judged.replaces is None:
        parents = judged.candidate.card.parents.items()
        report.table("Made from", [{"role": role, "digest": digest} for role, digest in parents])
        return
    old, new = judged.replaces.card, judged.candidate.card
    rows = [
        *_differences("made from", old.parents, new.parents),
        *_differences("config", old.config, new.config),
    ]
    if old.code_version != new.code_version:
        rows.append({"what": "code", "live": old.code_version, "candidate": new.code_version})
    same = [{"what": "nothing: the same data and settings gave another bundle"}]
    report.table(f"What changed against the live bundle {judged.replaces.digest}", rows or same)


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "what": f"{kind}: {key}",
            "live": str(old.get(key, "-")),
            "candidate": str(new.get(key, "-")),
        }
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _costs(judged: Judged) -> list[dict[str, Any]]:
    found = judged.measured
    rows: list[dict[str, Any]] = [
        {"what": "a request on one idle core, ms", "candidate": round(found.request_ms, 3)},
        {"what": "CPU of a request, ms", "candidate": round(found.cpu_ms, 3)},
        {"what": "files, MiB", "candidate": round(found.mib, 2)},
    ]
    if found.time_ratio and found.cpu_ratio:
        ratios = (found.time_ratio, found.cpu_ratio)
        shown = [f"{r.value:.2f} ({r.low:.2f} to {r.high:.2f})" for r in ratios]
        shown.append(f"{found.mib / found.live_mib:.2f}" if found.live_mib else "-")
        rows = [{**row, "times the live one": s} for row, s in zip(rows, shown, strict=True)]
    return rows


def _cases(report: Report, home: Home, judged: Judged) -> None:
    metrics = list(judged.config.no_regression) or list(judged.config.floors)
    theirs = judged.compared.theirs if judged.replaces else None
    lost = gate_examples.worst(judged.compared.ours, theirs, metrics)
    caption = "Cases that went better with the live bundle" if judged.replaces else (
        "Cases that went wrong"
    )  # fmt: skip
    if not lost:
        report.text("No case went worse than with the live bundle.")
    elif judged.evidence.model == "router":
        report.table(caption, gate_examples.calls(home, judged.on, lost))
    else:
        family = judged.candidate.card.family
        report.images(caption, gate_examples.pictures(home, family, judged.on, lost))


def _passed(found: Evidence) -> int:
    return sum(gate.passed for gate in found.gates)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
