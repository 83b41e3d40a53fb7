"""The gateway as the platform's chart renders it, as a process of this machine.

Its database, features and identity are the laptop's own: from the chart comes how it is started.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tastemaker.core import digests
from tastemaker.core.home import Home, write_text
from tastemaker.deployment import charts
from tastemaker.deployment.model_files import Environment
from tastemaker.deployment.root import find
from tastemaker.serving import containers
from tastemaker.serving.services import Service, url_of

CHART = "helm/tastemaker"
_MODELS = ("encoder", "retrieval", "recommender")  # whose pins the gateway reads at its start


def gateway(home: Home, live: Environment, port: int, settings: str) -> Service:
    """The gateway in front of an environment's models.

    It reads what is live once, at its start, from a copy of the model files: when it is restarted
    while a promotion is tried or after one was rolled back, it still reads what it was made for.

    Args:
        home: Keeps the copy.
        live: The environment.
        port: Stable port.
        settings: Configuration as JSON; empty: the default preset.

    Raises:
        ConfigError: The chart refuses its values.
    """
    container = _container(live)
    return Service(
        "gateway",
        tuple(_word(word, settings) for word in containers.command(container, {})),
        port,
        containers.health(container),
        {"TASTEMAKER_MANIFESTS": str(_pinned(home, live))},
        space=live.models["encoder"].space,
        repeatable=False,  # a turn that is sent twice happens twice
        liveness=containers.liveness(container),
    )


def _container(live: Environment) -> Mapping[str, Any]:
    texts = {name: yaml.safe_dump(_pins(live, name)) for name in live.models}
    values = {
        "environment": live.name,
        "models": texts,
        "modelServers": {f"{name}Url": _address(name) for name in live.models},
    }
    objects = charts.render(find(CHART), [values], name="tastemaker", namespace="tastemaker")
    return _first_container(objects, "gateway")


def _first_container(objects: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    for rendered in objects:
        if rendered["kind"] == "Deployment":
            for container in rendered["spec"]["template"]["spec"]["containers"]:
                if container["name"] == name:
                    return dict(container)
    raise AssertionError(f"{CHART} renders no Deployment with a container {name}")


def _address(name: str) -> str:
    return f"http://{name}.local"  # stands in the chart's values for an address known at the start


def _word(word: str, settings: str) -> str:
    option, equals, value = word.partition("=")
    if option == "--settings":
        return f"{option}={settings}"
    name = option.removeprefix("--").removesuffix("-url")
    return f"{option}={url_of(name)}" if equals and value == _address(name) else word


def _pins(live: Environment, name: str) -> dict[str, str]:
    model = live.models[name]
    return {"bundle": model.bundle, "dataset": model.dataset, "space": model.space}


def _pinned(home: Home, live: Environment) -> Path:
    """A folder with the pins that the gateway reads, named by them."""
    pins = {name: _pins(live, name) for name in _MODELS}
    folder = home.path("run", "manifests", digests.of_json(pins), "models").parent
    for name, values in pins.items():
        write_text(folder / "models" / live.name / f"{name}.yaml", yaml.safe_dump(values))
    return folder
