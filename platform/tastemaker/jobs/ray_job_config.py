"""Settings of a Ray job on KubeRay, and where a step finds them."""

import os
from typing import Self

from pydantic import Field, PositiveInt, model_validator

from tastemaker.core.config import Config, from_settings
from tastemaker.jobs.cluster_config import BYTES, ClusterConfig, Resources, Toleration

GRACE_S = 600  # the operator ends a job at its deadline; it may be slow, or gone
ENVIRONMENT = "TASTEMAKER_RAY_JOB"  # holds the settings as JSON where steps submit Ray jobs


class RayJobConfig(Config):
    """Size, limits and surroundings of one Ray job; a compiled pipeline fills in the last part."""

    workers: PositiveInt = 4  # pods beside the head
    worker: Resources = Resources(
        cpu_request="4", cpu_limit="4", memory_request="8Gi", memory_limit="8Gi"
    )
    head: Resources = Resources(
        cpu_request="1", cpu_limit="2", memory_request="4Gi", memory_limit="4Gi"
    )
    object_store: str = Field(default="2Gi", pattern=BYTES)  # shared memory of each pod
    deadline_s: PositiveInt = 6 * 3600  # from start to end, waiting in a queue left out
    start_deadline_s: PositiveInt = 1800  # until the driver runs: images, nodes
    retries: int = Field(default=0, ge=0)  # with a new cluster; KFP tries the whole step again

    image: str = ""
    namespace: str = ""  # empty: the step's own
    service_account: str = "tastemaker-ray"  # of its pods; no token is mounted
    secret: str = ""
    secret_env: dict[str, str] = Field(default_factory=dict)
    config_map: str = ""
    config_map_env: dict[str, str] = Field(default_factory=dict)
    home_claim: str = ""
    queue: str = ""
    tolerations: tuple[Toleration, ...] = ()

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Self:
        if self.start_deadline_s >= self.deadline_s:
            raise ValueError(
                f"start_deadline_s {self.start_deadline_s} must be less than "
                f"deadline_s {self.deadline_s}"
            )
        return self

    @property
    def longest_s(self) -> int:
        """The longest that a step waits for the job once it has left the queue, seconds."""
        return self.deadline_s * (self.retries + 1) + GRACE_S

    @classmethod
    def from_environment(cls) -> "RayJobConfig | None":
        """The settings of this step, None where Ray runs in the step's own process.

        Raises:
            ConfigError: The variable holds something else.
        """
        settings = os.environ.get(ENVIRONMENT, "")
        return from_settings(cls, settings, family="ray_job") if settings else None


def in_cluster(job: RayJobConfig, cluster: ClusterConfig) -> RayJobConfig:
    """A Ray job with the images, credentials and queue of a cluster."""
    suffix = "-cuda" if job.worker.accelerators else ""
    return job.model_copy(
        update={
            "image": cluster.image(suffix),
            "secret": cluster.secret,
            "secret_env": cluster.secret_env,
            "config_map": cluster.config_map,
            "config_map_env": cluster.config_map_env,
            "home_claim": cluster.home_claim,
            "queue": cluster.queue,
            "tolerations": cluster.tolerations if job.worker.accelerators else (),
        }
    )
