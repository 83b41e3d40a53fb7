"""The four images: what each installs, which of our modules and commands run in it."""

from dataclasses import dataclass
from pathlib import Path

VARIANTS = ("cpu", "cuda")


@dataclass(frozen=True)
class Role:
    """One image.

    Attributes:
        name: Target in the Dockerfile, and last part of the image's name.
        lock: Lock of its CPU variant in locks/, without the suffix.
        entries: Our modules that run in it; `x.*` stands for every module of x.
        commands: What charts and pipelines start in it; each answers `--help`.
        cuda: Whether its CUDA variant has a lock of its own; without one, both are alike.
    """

    name: str
    lock: str
    entries: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    cuda: bool = False

    def lock_of(self, variant: str) -> str:
        """File name in locks/ for a variant.

        Raises:
            ValueError: Unknown variant.
        """
        if variant not in VARIANTS:
            raise ValueError(f"variant {variant!r} is not one of {', '.join(VARIANTS)}")
        return f"{self.lock}-cuda.lock" if variant == "cuda" and self.cuda else f"{self.lock}.lock"

    def modules(self, package_root: Path) -> list[str]:
        """Its modules by name.

        Args:
            package_root: Folder that holds the package: `platform`, or site-packages.
        """
        found = []
        for entry in self.entries:
            pattern = entry.replace(".", "/") + ".py"
            paths = sorted(package_root.glob(pattern.removesuffix("/*.py") + "/*.py"))
            if not entry.endswith("*"):
                paths = [package_root / pattern]
            for path in paths:
                if path.name != "__init__.py":
                    relative = path.relative_to(package_root).with_suffix("")
                    found.append(".".join(relative.parts))
        return found


ROLES = {
    role.name: role
    for role in (
        Role(
            "control",
            "control",
            (
                "tastemaker.deployment.*",
                "tastemaker.jobs.deploy",
                "tastemaker.jobs.home_commands",
                "tastemaker.jobs.pipeline_commands",
                "tastemaker.jobs.preset_families",
                "tastemaker.assistant.settings",
                "tastemaker.assistant.key_commands",
                "tastemaker.assistant.ask",
            ),
            (
                ("tastemaker",),
                ("tastemaker", "pipeline"),
                ("tastemaker", "deploy"),
                ("prefect", "worker", "start"),  # the chart's process worker
            ),
        ),
        Role(
            "train",
            "train",
            ("tastemaker.jobs.*",),
            (
                ("tastemaker", "train-encoder"),
                ("python", "-m", "kfp.dsl.executor_main"),  # what KFP starts a step with
                ("ray", "start"),  # what KubeRay starts a node with
            ),
            cuda=True,
        ),
        Role(
            "assistant",
            "assistant",
            (
                "tastemaker.assistant.gateway",
                "tastemaker.serving.encoder_server",
                "tastemaker.serving.retrieval_server",
                "tastemaker.serving.recommender_server",
            ),
            (
                ("python", "-m", "tastemaker.assistant.gateway"),
                ("python", "-m", "tastemaker.serving.encoder_server"),
                ("python", "-m", "tastemaker.serving.retrieval_server"),
                ("python", "-m", "tastemaker.serving.recommender_server"),
                ("feast", "serve"),
            ),
        ),
        Role(
            "llm",
            "llm",
            ("tastemaker.serving.vllm_plugin",),
            (("python", "-m", "vllm.entrypoints.openai.api_server"),),
            cuda=True,
        ),
    )
}
