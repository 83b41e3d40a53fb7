"""The compiled pipeline is current, valid for kfp's own loader, and resolves its arguments."""

import subprocess
import sys
from pathlib import Path

from kfp import components

from tastemaker.jobs.full_stack import STEPS, compiled, resolve

ROOT = Path(__file__).parents[2]


def test_compiled_pipelines_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.compile", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_kfp_loads_it_and_it_takes_what_resolve_gives() -> None:
    task = components.load_component_from_file(str(compiled("full_stack")))
    inputs = set(task.component_spec.inputs or {})
    arguments = resolve("tiny", None, ["train_router.seed=3"])
    assert set(arguments) <= inputs
    assert {f"{step}_settings" for step in STEPS} <= inputs
    assert '"seed":3' in arguments["train_router_settings"]


def test_the_steps_in_the_ir_are_the_chain() -> None:
    task = components.load_component_from_file(str(compiled("full_stack")))
    tasks = set(task.pipeline_spec.root.dag.tasks)
    judged = {"gate", "gate-2", "gate-3", "gate-4", "promote"}
    evaluations = {"evaluate-encoder", "evaluate-sequence", "evaluate-router"}
    assert tasks == {step.replace("_", "-") for step in STEPS} | evaluations | judged
