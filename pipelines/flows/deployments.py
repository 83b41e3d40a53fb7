"""When flows run: schedules and events as code, for one local server and for a cluster.

    python -m pipelines.flows.deployments --pool tastemaker --image REGISTRY/tastemaker/control@...

registers them for workers of a pool; `pipelines.flows.serve` serves the same ones here.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx
from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.flows import EntrypointType

from pipelines.flows.check_drift import check_drift
from pipelines.flows.clean_up import clean_up
from pipelines.flows.evaluate_and_gate import evaluate_and_gate
from pipelines.flows.ingest_and_curate import ingest_and_curate
from pipelines.flows.judge_canary import judge_canary
from pipelines.flows.learn import learn
from pipelines.flows.loop import EVENTS, PRESET, resource_of
from pipelines.flows.materialise_features import materialise_features
from pipelines.flows.open_promotion import open_promotion
from pipelines.flows.retrain import retrain
from pipelines.flows.sweep import sweep
from tastemaker.core.config import load_preset
from tastemaker.core.errors import ServiceError
from tastemaker.jobs import prefect_runs
from tastemaker.jobs.flow_config import FlowConfig

NAME = "loop"  # of every deployment: `check_drift/loop`


@dataclass(frozen=True)
class Plan:
    """When one flow runs.

    Attributes:
        flow: It.
        cron: In UTC; empty: never by the clock.
        every_s: In place of `cron`; 0: never.
        on: Events that start it.
    """

    flow: Flow
    cron: str = ""
    every_s: float = 0.0
    on: tuple[str, ...] = ()


PLANS = (
    Plan(sweep, cron="50 * * * *"),
    Plan(ingest_and_curate, cron="0 * * * *", on=("new-events",)),
    Plan(check_drift, cron="10 3 * * *"),
    Plan(learn, cron="30 3 * * *", on=("ingested", "drift-found")),
    Plan(retrain),
    Plan(evaluate_and_gate),
    Plan(open_promotion),
    Plan(judge_canary, every_s=300.0, on=("promoted",)),
    Plan(materialise_features, cron="20 * * * *", on=("promoted", "judged")),
    Plan(clean_up, cron="0 4 * * 0"),
)


def deployments(
    preset: str = PRESET, plans: Sequence[Plan] = PLANS, *, pool: str = ""
) -> list[RunnerDeployment]:
    """Every flow with its schedule and triggers; one run of each at a time, others are dropped.

    Args:
        preset: Of the loop; names the environment, whose events count.
        plans: When what runs.
        pool: Work pool whose workers run them; empty: whoever serves them.
    """
    config = load_preset(FlowConfig, "flows", preset)
    return [_deployment(plan, preset, resource_of(config.environment), pool) for plan in plans]


def _deployment(plan: Plan, preset: str, resource: str, pool: str) -> RunnerDeployment:
    alone = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    triggers = [
        DeploymentEventTrigger(
            name=f"{event} starts {plan.flow.name}",
            expect={EVENTS + event},
            match={"prefect.resource.id": resource},
        )
        for event in plan.on
    ]
    made: RunnerDeployment = plan.flow.to_deployment(
        NAME,
        cron=plan.cron or None,
        interval=timedelta(seconds=plan.every_s) if plan.every_s else None,
        triggers=triggers,
        parameters={"preset": preset},
        concurrency_limit=alone,
        description=plan.flow.description,
        tags=["tastemaker"],
        work_pool_name=pool or None,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """Register for a work pool."""
    parser = argparse.ArgumentParser(prog="pipelines.flows.deployments", description=__doc__)
    parser.add_argument("--pool", required=True)
    parser.add_argument("--image", default="", help="Empty: the work pool's own.")
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--wait-s", type=float, default=300.0, help="For the server.")
    given = parser.parse_args(arguments)
    _wait_for_server(given.wait_s)
    for one in deployments(given.preset, pool=given.pool):
        one.apply(work_pool_name=given.pool, image=given.image or None)
        sys.stdout.write(f"{one.flow_name}/{one.name}\n")
    return 0


def _wait_for_server(wait_s: float) -> None:
    api, until = os.environ[prefect_runs.API], time.monotonic() + wait_s
    while True:
        try:
            if httpx.get(f"{api}/health", timeout=5.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > until:
            raise ServiceError(f"the Prefect server at {api} does not answer")
        time.sleep(1.0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
