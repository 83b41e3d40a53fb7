"""The four images: what each installs, which of our modules and commands run in it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Role:
    """One image.

    Attributes:
        name: Target in the Dockerfile, last part of the image's name, and its lock's.
        entries: Our modules that run in it; `x.*` stands for every module of x.
        commands: What charts and pipelines start in it; each answers `--help`.
    """

    name: str
    entries: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]

    def modules(self, package_root: Path) -> list[str]:
        """Its modules by name.

        Args:
            package_root: Folder that holds the package: `platform`, or site-packages.
        """
        found = []
        for entry in self.entries:
            pattern = entry.replace(".", "/") + ".py"
            several = sorted(package_root.glob(pattern))
            for path in several if "*" in entry else [package_root / pattern]:
                if path.name != "__init__.py":
                    relative = path.relative_to(package_root).with_suffix("")
                    found.append(".".join(relative.parts))
        return found


ROLES = {
    role.name: role
    for role in (
        Role(
            "control",
            (
                "tastemaker.deployment.*",
                "tastemaker.jobs.promote",
                "tastemaker.jobs.flow_canary",
                "tastemaker.jobs.flow_drift",
                "tastemaker.jobs.flow_promotion",
                "tastemaker.jobs.home_commands",
                "tastemaker.jobs.new_data",
                "tastemaker.jobs.pipeline_commands",
                "tastemaker.jobs.preset_families",
                "tastemaker.jobs.refresh_features",
                "tastemaker.jobs.retention",
                "tastemaker.jobs.retrain",
                "tastemaker.jobs.sweep",
                "tastemaker.assistant.settings",
                "tastemaker.assistant.key_commands",
                "tastemaker.assistant.ask",
            ),
            (
                ("tastemaker",),
                ("tastemaker", "pipeline"),
                ("tastemaker", "promote"),
                ("git",),  # promotions are commits
                ("prefect", "worker", "start"),  # the chart's process worker
            ),
        ),
        Role(
            "train",
            ("tastemaker.jobs.*",),
            (
                ("tastemaker", "train-encoder"),
                ("git",),  # the gates and the promotion are steps
                ("python", "-m", "kfp.dsl.executor_main"),  # what KFP starts a step with
                ("ray", "start"),  # what KubeRay starts a node with
                ("wget",),  # what it asks the node's health with
            ),
        ),
        Role(
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
            ("tastemaker.serving.vllm_plugin",),
            (("python", "-m", "vllm.entrypoints.openai.api_server"),),
        ),
    )
}
