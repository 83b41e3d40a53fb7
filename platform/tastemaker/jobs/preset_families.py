"""Which configuration reads each family of presets that jobs use."""

from tastemaker.core.config import Config
from tastemaker.evaluation.gate_config import MODEL_OF, GatesConfig, preset_family
from tastemaker.jobs.cluster_config import ClusterConfig
from tastemaker.jobs.drift_config import DriftConfig
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.full_stack import STEPS, FullStackConfig, config_of
from tastemaker.jobs.ray_job_config import RayJobConfig
from tastemaker.jobs.simulation_config import SimulationConfig
from tastemaker.promotion.judge_config import JudgeConfig


def configs() -> dict[str, type[Config]]:
    """Family to configuration; imports every step's module."""
    found = {family: config_of(step) for step, (family, _) in STEPS.items()}
    found.update(full_stack=FullStackConfig, cluster=ClusterConfig, ray_job=RayJobConfig)
    found.update(flows=FlowConfig, drift=DriftConfig, simulation=SimulationConfig)
    found.update({preset_family(family): GatesConfig for family in MODEL_OF})
    found.update(judge=JudgeConfig)
    return found
