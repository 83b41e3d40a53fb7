"""Carry out the plan of an encoder upgrade: step by step, then gates, then one atomic promotion.

The plan is made anew after each step, from what is there: a run that was killed is resumed by
running it again, and two of them at once do the same work twice, never different work. What
serves goes on with the old space until the one commit; the reconciler then swaps everything.
"""

import os
import sys
from collections.abc import Callable, Mapping

from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home
from tastemaker.jobs import steps, upgrade_plan
from tastemaker.jobs.upgrade_plan import Plan, PlannedStep
from tastemaker.promotion import checkout

_WORK: Mapping[str, Callable[..., str]] = {
    "precompute_embeddings": steps.precompute_embeddings,
    "build_index": steps.build_index,
    "train_sequence": steps.train_sequence,
    "make_dialogues": steps.make_dialogues,
    "train_router": steps.train_router,
    "gate": steps.gate,
    "materialise_features": steps.materialise_features,
}


def run(home: Home, encoder: str, environment: str, gates: str = "default") -> Plan:
    """Do what is left of an upgrade.

    Args:
        home: Where everything lives.
        encoder: Digest of the encoder bundle.
        environment: Where it becomes live.
        gates: Preset of each family's thresholds.

    Returns:
        The plan with nothing left to do.

    Raises:
        NotFound: The home lacks the encoder, or nothing is live there.
        TastemakerError: A step ended, but what it made is not found.
        SystemExit: A step or a gate failed, and said why.
    """
    os.environ["TASTEMAKER_HOME"] = home.location  # what the steps work on
    checkout.update(home)
    before: PlannedStep | None = None
    while True:
        plan = upgrade_plan.make(home, encoder, environment, gates)
        step = next((one for one in plan.to_do if not _is_last(one)), None)
        if step is None:
            break
        if step == before:
            raise TastemakerError(
                f"{step.step} ended, but no {step.role} of {dict(step.arguments)} is in the home"
            )
        sys.stderr.write(f"== {step.step}\n")
        _WORK[step.step](**step.arguments)
        before = step
    if plan.to_do:
        _promote(plan)
    return upgrade_plan.make(home, encoder, environment, gates)


def _promote(plan: Plan) -> None:
    """Gates, features, and the promotion: features last, for the old models lose theirs by it."""
    evidence = []
    for step in plan.steps:
        if step.step == "gate":
            sys.stderr.write(f"== gate {step.arguments['model']}\n")
            evidence.append(steps.gate(**step.arguments))
    features = plan.made("features")
    for step in plan.steps:
        if step.step == "materialise_features" and not features:
            sys.stderr.write("== materialise_features\n")
            features = steps.materialise_features(**step.arguments)
    last = plan.steps[-1]
    sys.stderr.write("== promote\n")
    steps.promote(**{**last.arguments, "features": features}, evidence=evidence)


def _is_last(step: PlannedStep) -> bool:
    """Whether a step belongs to the promotion, which is done as a whole."""
    return step.step in ("gate", "materialise_features", "promote")
