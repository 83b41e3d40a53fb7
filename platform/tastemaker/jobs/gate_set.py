"""Job: judge bundles that are to become live together; the signed evidence of each is kept."""

import sys
from collections.abc import Mapping

from tastemaker.core.home import Home
from tastemaker.evaluation.gate_config import load_gates
from tastemaker.jobs import gate
from tastemaker.jobs.gate import GateFailed
from tastemaker.jobs.gate_parts import live_bundle


def run(
    home: Home,
    bundles: Mapping[str, str],
    *,
    dataset: str,
    evaluated_on: str,
    environment: str,
    preset: str = "default",
) -> dict[str, str]:
    """Judge each bundle beside the others of its set.

    Args:
        home: Where everything lives.
        bundles: By model; what is live already needs no evidence and is passed over.
        dataset: Version that they are to serve over.
        evaluated_on: Version that they are compared on with what is live: the newest, so that
            no bundle was trained on what it is asked.
        environment: Where they are to become live.
        preset: Of the thresholds, in each family.

    Returns:
        `evidence.<model>`: its digest, of what passed; `failed.<model>`: why not, of others.
    """
    found = {}
    for model, bundle in bundles.items():
        if bundle == live_bundle(home, environment, model):
            continue
        try:
            found[f"evidence.{model}"] = gate.run(
                home,
                model,
                bundle,
                dataset,
                environment,
                config=load_gates(gate.FAMILY_OF[model], preset),
                evaluated_on=evaluated_on,
                beside=bundles,
            )
        except GateFailed as error:
            found[f"failed.{model}"] = str(error)
            sys.stderr.write(f"{error}\n")
    return found
