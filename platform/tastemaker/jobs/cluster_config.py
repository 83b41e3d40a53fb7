"""How pipeline steps run on a cluster: resources, storage, retries and time limits by preset.

`pipelines/cluster.py` applies it when a pipeline is compiled; nothing here reaches a local run.
"""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tastemaker import __version__
from tastemaker.core.config import Config

CPU = r"^\d+(\.\d+)?m?$"  # 500m, 0.5, 2
BYTES = r"^\d+(Mi|Gi|Ti)$"
UID = 10001  # of every image
HOME_MOUNT = "/mnt/home"


class Resources(Config):
    """What one container asks for and may use."""

    cpu_request: str = Field(default="500m", pattern=CPU)
    cpu_limit: str = Field(default="1", pattern=CPU)
    memory_request: str = Field(default="1Gi", pattern=BYTES)
    memory_limit: str = Field(default="2Gi", pattern=BYTES)
    accelerator: str = ""  # a resource of the cluster, for example nvidia.com/gpu; empty: none
    accelerators: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _accelerators_have_a_name(self) -> Self:
        if bool(self.accelerator) != bool(self.accelerators):
            raise ValueError(
                f"accelerator={self.accelerator!r} with accelerators={self.accelerators}: "
                "give both or neither"
            )
        return self


class StepClass(Resources):
    """A class of steps that run alike."""

    timeout_s: PositiveInt = 3600  # of one attempt
    retries: int = Field(default=2, ge=0)  # attempts after the first
    image_suffix: str = ""  # of the tag: -cuda for the image with CUDA


class Toleration(Config):
    """A taint of nodes that steps may run on."""

    key: str
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class ClusterConfig(Config):
    """Where images, credentials and the home are, and what each step gets."""

    registry: str = "registry.example.com"  # images are <registry>/tastemaker/<role>:<tag>
    tag: str = Field(default=__version__, pattern=r"^[\w][\w.-]{0,127}$")
    secret: str = "tastemaker-object-store"  # empty: the role of the pods' account
    secret_env: dict[str, str] = Field(
        default_factory=lambda: {
            "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
        }
    )
    # secret: key: variable; of these, what is there is taken: databases and the online store
    more_secrets: dict[str, dict[str, str]] = Field(
        default_factory=lambda: {
            "tastemaker-database": {
                "assistant": "TASTEMAKER_DATABASE",
                "features": "FEATURE_REGISTRY_URL",
            },
            "tastemaker-redis": {"password": "REDIS_PASSWORD"},
        }
    )
    config_map: str = "tastemaker-home"
    config_map_env: dict[str, str] = Field(
        default_factory=lambda: {
            "TASTEMAKER_HOME": "TASTEMAKER_HOME",
            "AWS_ENDPOINT_URL": "AWS_ENDPOINT_URL",
            "AWS_REGION": "AWS_REGION",
            "MLFLOW_TRACKING_URI": "MLFLOW_TRACKING_URI",
        }
    )
    home_claim: str = ""  # a volume claim (ReadWriteMany) as the home, in place of S3
    scratch: str = Field(default="10Gi", pattern=BYTES)  # below /tmp and /home/tastemaker, each
    scratch_storage_class: str = ""  # empty: the node's disk; else a volume made for each step
    queue: str = ""  # Kueue's LocalQueue; empty: pods start at once
    retry_after_s: PositiveInt = 30  # before the second attempt
    retry_factor: float = Field(default=2.0, ge=1)
    retry_after_max_s: PositiveInt = 600
    run_timeout_s: PositiveInt = 24 * 3600  # of a whole run
    keep_finished_s: PositiveInt = 7 * 24 * 3600  # pods of a finished run
    tolerations: tuple[Toleration, ...] = ()  # of steps with accelerators
    classes: dict[str, StepClass] = Field(default_factory=lambda: {"light": StepClass()})
    steps: dict[str, str] = Field(default_factory=dict)  # step: class; others take `light`
    ray_job: str = "default"  # preset of the Ray jobs that steps submit; empty: none are

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if "TASTEMAKER_HOME" not in self.config_map_env.values():
            raise ValueError(f"config_map_env {self.config_map_env}: no key gives TASTEMAKER_HOME")
        unknown = sorted({*self.steps.values(), "light"} - set(self.classes))
        if unknown:
            raise ValueError(f"unknown step classes {unknown}; there are {sorted(self.classes)}")
        if self.tag == "latest":
            raise ValueError("tag='latest': an image's tag must name one version")
        return self

    def step_class(self, step: str) -> StepClass:
        """What a step (`train_router`) gets."""
        return self.classes[self.steps.get(step, "light")]

    def image(self, suffix: str = "") -> str:
        """The image that steps run in."""
        return f"{self.registry}/tastemaker/train:{self.tag}{suffix}"
