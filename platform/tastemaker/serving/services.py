"""Which processes an environment consists of: the four model servers and the gateway."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from tastemaker.core.home import Home
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import MODELS, get_live
from tastemaker.serving.router_command import llm_python, router_command, router_environment

FAMILIES = {"encoder": "encoder", "retrieval": "index", "recommender": "sequence"}
NAMES = ("gateway", *MODELS)  # in the order of their ports


@dataclass(frozen=True)
class Service:
    """One server process.

    Attributes:
        name: Also its log's.
        command: Program and arguments.
        port: TCP port on 127.0.0.1.
        health: Path that answers 200 once it can serve.
        environment: Variables on top of those that every server has.
    """

    name: str
    command: tuple[str, ...]
    port: int
    health: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Address without a path."""
        return f"http://127.0.0.1:{self.port}"


def services(home: Home, environment: str, port: int, settings: str = "") -> list[Service]:
    """The processes that serve what is live in an environment.

    Args:
        home: Where the bundles lie.
        environment: Its name.
        port: The gateway's; encoder, retrieval, recommender and router take the four after it.
        settings: The gateway's configuration as JSON; empty: its default preset.

    Raises:
        NotFound: A model is not live, or its bundle is gone or of another family.
        SpaceMismatch: A live model reads another space than the live encoder writes.
        ServiceError: No environment with vLLM.
    """
    live = {model: get_live(home, environment, model) for model in MODELS}
    ports = {name: port + offset for offset, name in enumerate(NAMES)}
    space = live["encoder"].bundle
    found = []
    for model, family in FAMILIES.items():
        bundle = load_bundle(home, live[model].bundle, family=family)
        if model != "encoder":
            bundle.check_space(space)
        command = [sys.executable, "-m", f"tastemaker.serving.{model}_server"]
        command += ["--model-dir", str(bundle.path), "--http-port", str(ports[model])]
        found.append(Service(model, tuple(command), ports[model], f"/v1/models/{model}"))
    router = load_bundle(home, live["router"].bundle, family="router")
    router.check_space(space)
    python = llm_python()
    found.append(
        Service(
            "router",
            tuple(router_command(python, router.path / "model", ports["router"])),
            ports["router"],
            "/health",
            router_environment(home.path("vllm-cache")),
        )
    )
    urls = {service.name: service.url for service in found}
    command = [sys.executable, "-m", "tastemaker.assistant.gateway", "--port", str(port)]
    command += ["--environment", environment]
    if settings:
        command += ["--settings", settings]
    for name in MODELS:
        command += [f"--{name}-url", urls[name]]
    return [*found, Service("gateway", tuple(command), port, "/healthz")]


def base_environment(home: Home) -> dict[str, str]:
    """Variables of every server: this process's, the home, one thread, no downloads."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "TASTEMAKER_HOME": str(home.root),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
