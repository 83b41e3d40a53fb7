"""From trained bundles to a promotion: gates, then one commit; each done once.

Nothing here decides whether a bundle is good: the gates do, and sign it. Nothing is promoted
twice: before a commit is made, the repository is asked whether it ever had it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs import flow_records, pipeline_run
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.flow_records import Outcome
from tastemaker.promotion import promote
from tastemaker.promotion.environment import Live, get_live
from tastemaker.promotion.history import history

GATE, PROMOTE = "evaluate_and_gate", "open_promotion"
_ROLES = {
    "encoder": "encoder",
    "retrieval": "index",
    "recommender": "sequence",
    "router": "router",
}
_DEADLINE_S = 3600.0


@dataclass(frozen=True)
class Candidates:
    """Bundles that are to become live together.

    Attributes:
        models: By model; only those that differ from what is live.
        served: Dataset version that the environment is to serve over.
        evaluated_on: The newest one, on which they are compared with what is live.
    """

    models: Mapping[str, Live]
    served: str
    evaluated_on: str

    @property
    def key(self) -> str:
        """Digest of bundles and dataset version."""
        named = {model: [one.bundle, one.dataset, one.space] for model, one in self.models.items()}
        return flow_records.key_of(named)


def candidates(home: Home, made: Mapping[str, str], environment: str) -> Candidates:
    """What a retraining offers to an environment.

    The version that is served changes with the catalogue alone: then every model's file names
    the new one. New events alone change the models that read them.

    Args:
        home: Holds the bundles.
        made: Digests by role, as the pipeline `retrain` keeps them.
        environment: Where they are to be live.

    Raises:
        NotFound: Nothing is live there, or the home lacks a dataset version.
    """
    encoder = get_live(home, environment, "encoder")
    before, after = load_dataset(home, encoder.dataset), load_dataset(home, made["dataset"])
    changed = before.tables["items"].uri != after.tables["items"].uri
    served = made["dataset"] if changed else encoder.dataset
    bundles = {model: made[role] for model, role in _ROLES.items() if role in made}
    if changed:
        bundles["encoder"] = encoder.bundle
    else:
        bundles.pop("retrieval", None)  # the same items in the same space
    wanted = {model: Live(digest, served, encoder.bundle) for model, digest in bundles.items()}
    live = {model: _live(home, environment, model) for model in wanted}
    differing = {model: one for model, one in wanted.items() if live[model] != one}
    return Candidates(differing, served, made["dataset"])


def evaluate_and_gate(
    home: Home, found: Candidates, config: FlowConfig, *, again: bool = False
) -> Outcome:
    """Judge each bundle that is new against what is live; the evidence is signed and kept.

    Returns:
        The outcome; its result says `passed`, `evidence` and `failed` by model. A bundle that
        fails is no failure of the flow: it was judged.

    Raises:
        TastemakerError: The pipeline failed, or it was given up.
    """
    environment = config.environment
    live = {model: _bundle(home, environment, model) for model in found.models}
    key = flow_records.key_of(found.key, found.evaluated_on, live, environment, config.gates)

    def work() -> Mapping[str, Any]:
        given = {
            "dataset": found.served,
            "evaluated_on": found.evaluated_on,
            "environment": environment,
            "gates": config.gates,
            **{_ROLES[model]: one.bundle for model, one in found.models.items()},
        }
        judged = pipeline_run.run(home, "gate", key, given, config.pipelines)
        evidence, failed = (_of(judged, kind) for kind in ("evidence", "failed"))
        return {"evidence": evidence, "failed": failed, "passed": not failed}

    return pipeline_run.once(home, GATE, key, work, config, again=again)


def _of(judged: Mapping[str, str], kind: str) -> dict[str, str]:
    named = {role.partition("."): text for role, text in judged.items()}
    return {model: text for (found, _, model), text in named.items() if found == kind}


def open_promotion(
    home: Home,
    found: Candidates,
    evidence: Mapping[str, str],
    config: FlowConfig,
    *,
    again: bool = False,
) -> Outcome:
    """Promote by one commit: one bundle alone as a canary, several at once.

    Returns:
        The outcome; its result names the commit, whether it was `made` now, and the `canary`'s
        share, 0 for none.

    Raises:
        EvidenceError: Evidence is missing or refused.
        PromotionError: A rule is against it, or the same model was promoted meanwhile.
        GitError: The repository refused or did not answer.
    """
    environment = config.environment
    key = flow_records.key_of(found.key, environment)

    def work() -> Mapping[str, Any]:
        weight = config.canary_weight if len(found.models) == 1 else 0
        if commit := promoted_before(home, environment, found):
            return {"commit": commit, "made": False, "canary": weight}
        why = f"The loop retrained on dataset version {found.served} (key {key})."
        made = promote.propose(
            home, environment, found.models, list(evidence.values()), why, canary=weight or None
        )
        return {"commit": made.commit, "made": made.made, "canary": weight}

    return flow_records.once(
        home,
        PROMOTE,
        key,
        work,
        deadline_s=_DEADLINE_S,
        max_attempts=config.max_attempts,
        again=again,
    )


def promoted_before(home: Home, environment: str, found: Candidates) -> str:
    """The commit that brought all of these bundles; "" where some never were in their files.

    A bundle that was rolled back stays so: only a person promotes it again.
    """
    commits = []
    for model, one in found.models.items():
        brought = [
            step.commit
            for step in history(home, environment, model)
            if step.after and any(live == one for live in step.after.served)
        ]
        if not brought:
            return ""
        commits.append(brought[-1])
    return commits[0] if commits else ""


def _live(home: Home, environment: str, model: str) -> Live | None:
    try:
        return get_live(home, environment, model)
    except NotFound:
        return None


def _bundle(home: Home, environment: str, model: str) -> str:
    found = _live(home, environment, model)
    return found.bundle if found else ""
