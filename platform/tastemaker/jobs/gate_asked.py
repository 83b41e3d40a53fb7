"""What the gates are asked, and whether they were asked the same before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tastemaker import __version__
from tastemaker.core import digests
from tastemaker.core.config import to_settings
from tastemaker.core.errors import EvidenceError, NotFound
from tastemaker.core.home import Home
from tastemaker.evaluation.cases import Cases
from tastemaker.evaluation.gate_config import GatesConfig
from tastemaker.promotion import evidence as evidence_files
from tastemaker.promotion.signing import key_id, private_key


@dataclass(frozen=True)
class Simulation:
    """Simulated conversations: metric -> user and seed -> outcome."""

    candidate: Cases
    live: Cases | None = None


@dataclass(frozen=True)
class Asked:
    """What is to be judged.

    Attributes:
        model: encoder, retrieval, recommender or router.
        bundle: Its digest.
        dataset: Dataset version that it is to serve over.
        environment: Where it is to become live.
        dialogues: What a router is evaluated on; "": what it was trained from.
        evaluated_on: Dataset version that another model is evaluated on; "": `dataset`. One that
            is trained on newer events has seen what the older version held out.
        beside: Bundles that are promoted in the same set, by model.
        simulation: Of whole conversations, where one was made.
        run: The pipeline run that asks, for the evidence.
    """

    model: str
    bundle: str
    dataset: str
    environment: str = "local"
    dialogues: str = ""
    evaluated_on: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    simulation: Simulation | None = None
    run: str = ""


def key_of(
    asked: Asked,
    config: GatesConfig,
    live: str,
    beside: Mapping[str, str],
    live_features: tuple[str, str],
) -> str:
    """Everything that a verdict hangs on."""
    simulated = asked.simulation and [asked.simulation.candidate, asked.simulation.live]
    return digests.of_json(
        [
            *(asked.model, asked.bundle, asked.dataset, asked.environment, asked.dialogues),
            asked.evaluated_on,
            *(live, dict(beside), sorted(asked.beside), live_features, simulated),
            *(to_settings(config), __version__),
        ]
    )


def fresh(home: Home, key: str, config: GatesConfig) -> str | None:
    """Evidence of the same inputs that is young enough, and is what this home's key signed."""
    digest = home.read_text("evidence", "judged", key)
    if digest is None:
        return None
    own = private_key(home).public_key()
    try:
        text = evidence_files.load_text(home, digest)
        found = evidence_files.verify(text, {key_id(own): own})
        found.check_age(timedelta(days=config.fresh_days), datetime.now(UTC))
    except (NotFound, EvidenceError):
        return None
    return digest


def remember(home: Home, key: str, evidence: str) -> None:
    """Keep the digest of the evidence that answers a question."""
    home.write_text(evidence, "evidence", "judged", key)
