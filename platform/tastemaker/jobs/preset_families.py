"""Which configuration reads each family of presets that jobs use."""

from tastemaker.core.config import Config
from tastemaker.jobs.cluster_config import ClusterConfig
from tastemaker.jobs.drift_config import DriftConfig
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.full_stack import STEPS, FullStackConfig, config_of
from tastemaker.jobs.ray_job_config import RayJobConfig


def configs() -> dict[str, type[Config]]:
    """Family to configuration; imports every step's module."""
    found = {family: config_of(step) for step, (family, _) in STEPS.items()}
    found.update(full_stack=FullStackConfig, cluster=ClusterConfig, ray_job=RayJobConfig)
    found.update(flows=FlowConfig, drift=DriftConfig)
    return found
