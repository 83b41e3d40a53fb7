"""Each shipped preset loads; each file in tests/presets/invalid fails with its message."""

from pathlib import Path

import pytest
import yaml

from tastemaker.assistant.settings import GatewayConfig
from tastemaker.core.config import PRESETS, Config, load_preset, parse
from tastemaker.core.errors import ConfigError
from tastemaker.evaluation.gate_config import MODEL_OF, GatesConfig, load_gates, preset_family
from tastemaker.jobs.cluster_config import ClusterConfig
from tastemaker.jobs.drift_config import DriftConfig
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.full_stack import STEPS, FullStackConfig, config_of, resolve
from tastemaker.jobs.ray_job_config import RayJobConfig
from tastemaker.jobs.simulation_config import SimulationConfig
from tastemaker.promotion.judge_config import JudgeConfig

BY_FAMILY = {family: step for step, (family, _) in STEPS.items()}
SHIPPED = sorted(path.relative_to(PRESETS).with_suffix("") for path in PRESETS.rglob("*.yaml"))
INVALID = sorted((Path(__file__).parent / "presets" / "invalid").glob("*.yaml"))


@pytest.mark.parametrize("preset", SHIPPED, ids=str)
def test_shipped_preset_loads(preset: Path) -> None:
    family, name = preset.parent.as_posix(), preset.name
    others: dict[str, type[Config]] = {
        "full_stack": FullStackConfig,
        "assistant": GatewayConfig,
        "cluster": ClusterConfig,
        "ray_job": RayJobConfig,
        "flows": FlowConfig,
        "judge": JudgeConfig,
        "drift": DriftConfig,
        "simulation": SimulationConfig,
    }
    others |= {preset_family(family): GatesConfig for family in MODEL_OF}
    config = others.get(family) or config_of(BY_FAMILY[family])
    load_preset(config, family, name)


@pytest.mark.parametrize("step", STEPS)
def test_every_family_has_a_default_and_full_stack_steps_resolve(step: str) -> None:
    load_preset(config_of(step), STEPS[step][0], "default")


@pytest.mark.parametrize("file", INVALID, ids=lambda path: path.stem)
def test_invalid_preset_fails_with_its_message(file: Path) -> None:
    case = yaml.safe_load(file.read_text())
    with pytest.raises(ConfigError) as caught:
        parse(config_of(case["step"]), case["values"], where=file.stem)
    assert case["message"] in str(caught.value)


def test_unknown_preset_names_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"unknown full_stack preset 'huge'; .*default.*tiny"):
        resolve("huge", "demo", [])


def test_unknown_step_and_misspelt_key_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"step\.key=value"):
        resolve("tiny", "demo", ["train_rooter.steps=1"])
    with pytest.raises(ConfigError, match=r"unknown key 'seeed'; did you mean 'seed'"):
        resolve("tiny", "demo", ["train_encoder.seeed=1"])


@pytest.mark.parametrize("family", MODEL_OF)
@pytest.mark.parametrize("name", ["default", "tiny"])
def test_every_threshold_says_why_or_what_was_reached(family: str, name: str) -> None:
    load_gates(family, name)
    lines = (PRESETS / "gates" / family / f"{name}.yaml").read_text().splitlines()
    said = False  # a comment above speaks for the lines below it, until the next group
    for line in lines:
        said = True if line.strip().startswith("#") else said and line.startswith(" ")
        if any(letter.isdigit() for letter in line.partition("#")[0].partition(":")[2]):
            assert said or "#" in line or name == "tiny", f"{family}/{name}: {line}"
