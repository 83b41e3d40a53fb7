"""Judge a bundle by the gates of its family, and sign what they find: the evidence.

The same bundle beside the same live bundle, on the same data and with the same thresholds is
judged once: its evidence is found again for as long as it is fresh.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict

from tastemaker import __version__
from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, DataError, NotFound, TastemakerError
from tastemaker.core.home import Home
from tastemaker.evaluation import gates
from tastemaker.evaluation.gate_config import MODEL_OF, GatesConfig, load_gates, named
from tastemaker.evaluation.gates import Figure, Verdict
from tastemaker.jobs import gate_costs, gate_evaluations, gate_parts, gate_report
from tastemaker.jobs.gate_asked import Asked, Simulation, fresh, key_of, remember
from tastemaker.promotion import evidence as evidence_files
from tastemaker.promotion.bundle import Bundle, load_bundle
from tastemaker.promotion.evidence import Evidence, Gate, Metric
from tastemaker.promotion.signing import private_key

FAMILY_OF = {model: family for family, model in MODEL_OF.items()}


class GateFailed(TastemakerError):
    """A bundle that the gates stop; the message names them, and where the report lies."""

    def __init__(self, message: str, evidence: str) -> None:
        super().__init__(message)
        self.evidence = evidence


def run(
    home: Home,
    model: str,
    bundle: str,
    dataset: str,
    environment: str = "local",
    *,
    config: GatesConfig | None = None,
    dialogues: str = "",
    evaluated_on: str = "",
    beside: Mapping[str, str] | None = None,
    simulation: Simulation | None = None,
    run_name: str = "",
    again: bool = False,
) -> str:
    """Judge a bundle; see `judge` for what is asked.

    Args:
        home: Where everything lives.
        model: encoder, retrieval, recommender or router.
        bundle: Its digest.
        dataset: Dataset version that it is to serve over.
        environment: Where it is to become live.
        config: Thresholds; default: the family's preset `default`.
        dialogues: What a router is evaluated on; default: what it was trained from.
        evaluated_on: Dataset version that another model is evaluated on; default: `dataset`.
        beside: Bundles that are promoted in the same set, by model; itself may be among them.
        simulation: Of whole conversations, where one was made.
        run_name: The pipeline run that asks.
        again: Judge even where fresh evidence of the same is there.

    Returns:
        Digest of the evidence.

    Raises:
        GateFailed: A gate stops it. The evidence of that is kept too.
        NotFound: The home lacks the bundle, the dataset version or what it would be beside.
        ConfigError: No such model.
        DataError: The bundle's files are not those that its digest names.
        EvidenceError: The signing key cannot be used.
    """
    if model not in FAMILY_OF:
        raise ConfigError(f"model={model!r}: the models are {', '.join(FAMILY_OF)}")
    others = {m: b for m, b in (beside or {}).items() if m != model and b}
    asked = Asked(
        model,
        bundle,
        dataset,
        environment,
        dialogues=dialogues,
        evaluated_on=evaluated_on,
        beside=others,
        simulation=simulation,
        run=run_name,
    )
    return judge(home, asked, config or load_gates(FAMILY_OF[model]), again=again)


def judge(home: Home, asked: Asked, config: GatesConfig, *, again: bool = False) -> str:
    """Judge what is asked; returns the digest of the evidence."""
    candidate = load_bundle(home, asked.bundle, family=FAMILY_OF[asked.model])
    if candidate.digest != asked.bundle:
        raise DataError(
            f"bundle {asked.bundle} is corrupted: its content is that of {candidate.digest}"
        )
    live = gate_parts.live_bundle(home, asked.environment, asked.model)
    beside = gate_parts.others(home, asked.environment, asked.model, asked.beside)
    key = key_of(asked, config, live, beside, gate_parts.live_features(home))
    found = None if again else fresh(home, key, config)
    if found is None:
        found = _judge(home, asked, config, candidate, live, beside)
        remember(home, key, found)
    _raise_if_failed(home, found)
    return found


def _judge(
    home: Home,
    asked: Asked,
    config: GatesConfig,
    candidate: Bundle,
    live: str,
    beside: Mapping[str, str],
) -> str:
    private = private_key(home)  # first: what cannot be signed need not be judged
    start = time.monotonic()
    on = _evaluated_on(asked, candidate)
    live_bundle, lost = _open(home, live)
    needed = config.metrics() - set(config.may_lack)
    compared = gate_evaluations.run(home, candidate, live_bundle, on, needed)
    figures = gates.figures(compared.ours, compared.theirs, min_cases=config.min_cases)
    beside_live = None if compared.note else live_bundle  # what cannot be evaluated does not run
    measured = gate_costs.run(home, candidate, beside_live, on)
    in_set = bool({"encoder", "recommender"} & {asked.model, *asked.beside})
    fits = gate_parts.check(home, asked.model, candidate, asked.dataset, beside, in_set)
    verdicts = [
        *lost,
        *gates.judge(config, figures, compared.ours, live=live_bundle is not None),
        *_simulated(config, asked),
        *gates.ceilings(config, measured),
        *fits,
    ]
    cost = {
        "request_ms": measured.request_ms,
        "size_mib": measured.mib,
        "core_s_per_1000_requests": measured.cpu_ms,  # ms of one are s of a thousand
        "judging_s": round(time.monotonic() - start, 1),
    }
    found = _evidence(asked, config, candidate, live, on, figures, verdicts, cost)
    judged = gate_report.Judged(
        evidence=found,
        figures=figures,
        compared=compared,
        measured=measured,
        candidate=candidate,
        live=live_bundle,
        config=config,
        on=on,
        in_set=_new(home, asked),
    )
    page = gate_report.page(home, judged)
    signed = found.model_copy(update={"report": digests.of_bytes([page.encode()])})
    return evidence_files.keep(home, evidence_files.sign(signed, private), page)


def _new(home: Home, asked: Asked) -> tuple[str, ...]:
    """Bundles of its set that are not live yet."""
    return tuple(
        bundle
        for model, bundle in asked.beside.items()
        if bundle != gate_parts.live_bundle(home, asked.environment, model)
    )


def _evaluated_on(asked: Asked, candidate: Bundle) -> str:
    if asked.model != "router":
        return asked.evaluated_on or asked.dataset
    return asked.dialogues or candidate.card.parents["dialogues"]


def _open(home: Home, live: str) -> tuple[Bundle | None, list[Verdict]]:
    """The live bundle; one that the home lost cannot be compared with, which is a verdict."""
    if not live:
        return None, []
    try:
        bundle = load_bundle(home, live)
    except NotFound:
        bundle = None
    if bundle and bundle.digest == live:
        return bundle, []
    rule = "the live bundle is whole in the home, to compare with"
    found = bundle.digest if bundle else "gone"
    return None, [Verdict("no_regression:baseline", rule, found, live, False)]


def _simulated(config: GatesConfig, asked: Asked) -> list[Verdict]:
    if asked.simulation is None:
        return []
    return gates.simulated(config, asked.simulation.candidate, asked.simulation.live)


def _evidence(
    asked: Asked,
    config: GatesConfig,
    candidate: Bundle,
    live: str,
    on: str,
    figures: Mapping[str, Figure],
    verdicts: list[Verdict],
    cost: dict[str, float],
) -> Evidence:
    card, ruled = candidate.card, config.metrics()
    kind = "dialogues" if asked.model == "router" else "dataset"
    content = dict(
        model=asked.model,
        family=card.family,
        bundle=candidate.digest,
        environment=asked.environment,
        dataset=asked.dataset,
        space=candidate.digest if card.writes_space else "".join(card.reads),
        baseline=live,
        evaluated_on={kind: on},
        thresholds=named(card.family, config),
        metrics={name: Metric(**asdict(found)) for name, found in figures.items() if name in ruled},
        gates=tuple(Gate(**asdict(verdict)) for verdict in verdicts),
        passed=all(verdict.passed for verdict in verdicts),
        cost=cost,
        run=asked.run,
        code_version=__version__,
        created=evidence_files.utc_now(),
    )
    return Evidence.model_validate(content)


def _raise_if_failed(home: Home, digest: str) -> None:
    found = evidence_files.read_unverified(evidence_files.load_text(home, digest))
    failed = [gate for gate in found.gates if not gate.passed]
    if not failed:
        return
    why = "; ".join(f"{gate.name} ({gate.rule}: {_shown(gate.value)})" for gate in failed)
    if any("too few cases" in gate.rule for gate in failed):
        why += ". A small catalogue has thresholds of its own: preset `small`"
    raise GateFailed(
        f"{found.model} {found.bundle} does not pass the gates of environment "
        f"{found.environment!r}: {why}. Report: {home.uri('evidence', f'{digest}.html')}",
        digest,
    )


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
