"""Keep what an evaluation found: files in the home, an MLflow run, a registered version.

evaluations/<bundle>/<dataset or dialogues>/{metrics.json,cases.json,report.html}
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tastemaker.core import digests
from tastemaker.core.home import Home
from tastemaker.evaluation.cases import Cases

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation of a bundle found: figures, and the cases that they are the means of."""

    metrics: Mapping[str, float]
    cases: Cases


def record(
    home: Home,
    *,
    bundle_digest: str,
    family: str,
    dataset: str,
    metrics: Mapping[str, float],
    cases: Cases,
    params: Mapping[str, Any],
    report_html: str,
) -> str:
    """Keep figures, cases and report of a bundle, log the run, and register the version once.

    Args:
        home: Where to: `evaluations/<bundle>/<dataset>/`. The run goes to
            `MLFLOW_TRACKING_URI`, else to `mlflow.db` of a local home; a home on S3 has none.
        bundle_digest: The bundle that was evaluated.
        family: encoder, index, sequence, router; the registered model is `tastemaker-<family>`.
        dataset: What it was evaluated on: digest of a dataset version or of dialogues.
        metrics: Named figures.
        cases: Outcome of each case, by metric.
        params: The bundle's configuration.
        report_html: The report.

    Returns:
        Digest of the metrics.
    """
    at = ("evaluations", bundle_digest, dataset)
    home.write_text(report_html, *at, "report.html")
    home.write_text(digests.canonical_json(cases), *at, "cases.json")
    figures = json.dumps(dict(metrics), indent=1, sort_keys=True)
    home.write_text(figures, *at, "metrics.json")  # last: it says that all is there
    server = os.environ.get("MLFLOW_TRACKING_URI") or _own_server(home)
    if server:
        _log(home, server, bundle_digest, family, metrics, {**params, "evaluated_on": dataset})
    else:
        _logger.warning("MLFLOW_TRACKING_URI is not set: %s is not registered", bundle_digest)
    return digests.of_json(dict(metrics))


def find(home: Home, bundle_digest: str, dataset: str) -> Evaluation | None:
    """What was kept of a bundle on a dataset version or dialogues; None: nothing was."""
    at = ("evaluations", bundle_digest, dataset)
    figures, cases = home.read_text(*at, "metrics.json"), home.read_text(*at, "cases.json")
    if figures is None or cases is None:
        return None
    return Evaluation(json.loads(figures), json.loads(cases))


def _own_server(home: Home) -> str:
    return "" if home.store else f"sqlite:///{home.path('mlflow.db')}"


def _log(
    home: Home,
    server: str,
    bundle: str,
    family: str,
    metrics: Mapping[str, float],
    params: Mapping[str, Any],
) -> None:
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    client = mlflow.MlflowClient(server)
    name = f"tastemaker-{family}"
    own = server == _own_server(home)  # another server has a place of its own for artifacts
    artifacts = home.path("mlartifacts", "x").parent.as_uri() if own else None
    experiment = client.get_experiment_by_name(name)
    made = experiment.experiment_id if experiment else client.create_experiment(name, artifacts)
    run = client.create_run(made, run_name=bundle, tags={"bundle": bundle})
    for key, value in params.items():
        client.log_param(run.info.run_id, key, str(value)[:500])
    for key, value in metrics.items():
        client.log_metric(run.info.run_id, key.replace("@", "_at_"), float(value))
    client.set_terminated(run.info.run_id)
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    held = client.search_model_versions(f"name='{name}'")
    if bundle not in {version.tags.get("bundle") for version in held}:
        local = home.path("bundles", bundle).as_uri()
        source = home.uri("bundles", bundle) if home.store else local
        client.create_model_version(name, source, run_id=run.info.run_id, tags={"bundle": bundle})
