"""Schedules and triggers as code: whole, consistent, and as the documentation has them."""

import ast
import re
from pathlib import Path

from prefect.schedules import Cron

from pipelines.flows import run
from pipelines.flows.deployments import PLANS, deployments

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "pipelines" / "flows"
NO_FLOWS = {"loop", "deployments", "serve", "run"}
STARTS_PIPELINES = {"ingest_and_curate", "check_drift", "retrain", "evaluate_and_gate"}
STARTS_PIPELINES |= {"materialise_features", "learn"}


def told() -> set[str]:
    """Events that flows tell."""
    texts = [path.read_text() for path in FOLDER.glob("*.py")]
    return set(re.findall(r"\.tell\(\s*\"([\w-]+)\"", "\n".join(texts)))


def test_every_file_is_a_flow_of_its_name_and_every_flow_is_deployed() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - NO_FLOWS
    assert {plan.flow.name for plan in PLANS} == files == set(run.FLOWS)
    for one in deployments("tiny"):
        assert one.entrypoint == f"pipelines.flows.{one.flow_name}.{one.flow_name}"
        assert one.parameters == {"preset": "tiny"}


def test_what_flows_listen_to_is_told_by_some_flow_or_from_outside() -> None:
    heard = {event for plan in PLANS for event in plan.on}
    assert heard <= told() | {"new-events"}
    triggers = [t for one in deployments() for t in one.triggers]
    for trigger in triggers:
        assert trigger.match.root == {"prefect.resource.id": "tastemaker.environment.local"}


def test_one_layer_retries_and_every_flow_has_a_deadline() -> None:
    for plan in PLANS:
        assert plan.flow.timeout_seconds, plan.flow.name
        if plan.flow.name in STARTS_PIPELINES:
            assert plan.flow.retries == 0, f"{plan.flow.name}: KFP retries already"


def test_one_run_of_each_flow_at_a_time() -> None:
    for one in deployments():
        assert one.concurrency_limit == 1
        assert one.concurrency_options.collision_strategy.value == "CANCEL_NEW"


def test_for_a_cluster_each_is_of_the_work_pool() -> None:
    assert {one.work_pool_name for one in deployments(pool="tastemaker")} == {"tastemaker"}


def test_schedules_are_cron_lines_in_utc() -> None:
    for plan in PLANS:
        if plan.cron:
            assert Cron(plan.cron).cron == plan.cron
            assert len(plan.cron.split()) == 5
        assert not (plan.cron and plan.every_s)


def test_the_table_of_the_documentation_has_every_flow_and_event() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    assert {name for name, _ in rows} == set(run.FLOWS)
    when = dict(rows)
    for plan in PLANS:
        for event in plan.on:
            assert f"`{event}`" in when[plan.flow.name], f"{plan.flow.name}: {event}"


def test_flows_hold_no_logic() -> None:
    for name in set(run.FLOWS) - {"learn"}:
        tree = ast.parse((FOLDER / f"{name}.py").read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert len(functions) == 1, name
        assert len((FOLDER / f"{name}.py").read_text().splitlines()) < 40, name
