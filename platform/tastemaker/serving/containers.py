"""From the containers that charts render to commands of processes on this machine.

A container's `python` becomes the interpreter of its image's role, what it mounts a local folder,
its port a free one, and all interfaces become this machine alone.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.serving.services import PORT, Liveness

_SCRATCH = "/home/tastemaker"  # the writable folder of our images
_PORT_WORDS = ("--port", "--http-port")


@dataclass(frozen=True)
class Rendered:
    """One container of a model, as the chart renders it.

    Attributes:
        container: Its specification.
        mounts: URI by path of what is fetched before it starts.
        bundle: That it serves.
        canary: Whether it is the version that is tried beside the stable one.
        weight: Its share of the requests, percent.
    """

    container: Mapping[str, Any]
    mounts: Mapping[str, str]
    bundle: str
    canary: bool = False
    weight: int = 100


def of_model(objects: Sequence[Mapping[str, Any]]) -> list[Rendered]:
    """The containers of a rendered model, the canary's last.

    Args:
        objects: From `ModelFile.render`.
    """
    found = [one for rendered in objects for one in _containers(rendered)]
    weight = sum(one.weight for one in found if one.canary)
    stable = [one for one in found if not one.canary]
    assert len(stable) == 1, "a model chart renders one stable server"
    only = Rendered(stable[0].container, stable[0].mounts, stable[0].bundle, weight=100 - weight)
    return [only, *(one for one in found if one.canary)]


def command(container: Mapping[str, Any], folders: Mapping[str, Path]) -> tuple[str, ...]:
    """Program and arguments that do on this machine what a container does.

    Args:
        container: Its specification.
        folders: Local folder by path in the container.

    Raises:
        ConfigError: It needs something that only a cluster has.
        ServiceError: It needs vLLM, and no environment with vLLM is found.
    """
    words = [str(word) for word in (*container["command"], *container.get("args", ()))]
    port = str(container["ports"][0]["containerPort"])
    local = [_local(word, before, port) for before, word in zip(["", *words], words, strict=False)]
    if local[0] == "python":
        local[0] = interpreter(str(container["image"]))
    return tuple(_with_folders(word, folders) for word in local)


def health(container: Mapping[str, Any]) -> str:
    """Path that answers 200 once a container can serve."""
    return str(container["readinessProbe"]["httpGet"]["path"])


def liveness(container: Mapping[str, Any]) -> Liveness:
    """How a cluster would notice that a container hangs."""
    probe = container["livenessProbe"]
    return Liveness(
        str(probe["httpGet"]["path"]),
        period_s=probe["periodSeconds"],
        timeout_s=probe["timeoutSeconds"],
        failures=probe["failureThreshold"],
    )


def environment(container: Mapping[str, Any], scratch: Path) -> dict[str, str]:
    """Variables of a container, as a process gets them.

    Args:
        container: Its specification.
        scratch: Stands for the writable folder of the image.

    Raises:
        ConfigError: One has a value that only a cluster knows.
    """
    found = {}
    for variable in container.get("env", ()):
        name = variable["name"]
        if "value" not in variable:
            raise ConfigError(f"variable {name} is filled in by a cluster; not on one machine")
        if name != "HOME":  # of the user here
            found[name] = str(variable["value"]).replace(_SCRATCH, str(scratch))
    return found


def interpreter(image: str) -> str:
    """The interpreter that stands for an image: this one, or for the role llm vLLM's.

    Args:
        image: Such as registry/tastemaker/llm:0.1.0.
    """
    role = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return llm_python() if role == "llm" else sys.executable


def llm_python() -> str:
    """The interpreter that has vLLM: `TASTEMAKER_LLM_PYTHON`, else `.venv-llm` beside `.venv`.

    Raises:
        ServiceError: None is found.
    """
    if given := os.environ.get("TASTEMAKER_LLM_PYTHON"):
        candidates = [Path(given)]
    else:
        folders = (Path.cwd(), Path(sys.prefix).parent)
        candidates = [folder / ".venv-llm" / "bin" / "python" for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate)
    tried = ", ".join(map(str, candidates))
    raise ServiceError(
        f"no Python with vLLM found (tried {tried}); run `make setup`, or set TASTEMAKER_LLM_PYTHON"
    )


def _containers(rendered: Mapping[str, Any]) -> Iterator[Rendered]:
    if rendered["kind"] == "InferenceService":
        spec = rendered["spec"]
        yield _predictor(spec["predictor"])
        for one in spec.get("canary", ()):
            yield _predictor(one["predictor"], canary=True, weight=one["trafficPercent"])
    elif rendered["kind"] == "LLMInferenceService":
        spec = rendered["spec"]
        if "prefill" in spec:
            raise ConfigError("router.prefill.replicas: must be 0 on one machine")
        yield Rendered(
            spec["template"]["containers"][0],
            {"/mnt/models": spec["model"]["uri"]},
            spec["labels"]["tastemaker.io/bundle"],
            canary=spec["labels"]["tastemaker.io/track"] == "canary",
            weight=spec["router"]["route"].get("weight", 100),
        )


def _predictor(
    predictor: Mapping[str, Any], *, canary: bool = False, weight: int = 100
) -> Rendered:
    mounts = {one["mountPath"]: one["uri"] for one in predictor["storageUris"]}
    bundle = predictor["labels"]["tastemaker.io/bundle"]
    return Rendered(predictor["containers"][0], mounts, bundle, canary=canary, weight=weight)


def _local(word: str, before: str, port: str) -> str:
    """A word with the port and the address of this machine."""
    option, equals, value = word.partition("=")
    if not equals:
        option, value = before, word
    if option in _PORT_WORDS and value == port:
        value = PORT
    elif option == "--host" and value == "0.0.0.0":
        value = "127.0.0.1"
    return f"{option}={value}" if equals else value


def _with_folders(word: str, folders: Mapping[str, Path]) -> str:
    for path, folder in folders.items():
        if word == path or word.startswith(f"{path}/"):
            return f"{folder}{word.removeprefix(path)}"
    if word.startswith(("/mnt/", "/var/run/")):
        raise ConfigError(f"{word} is mounted by a cluster only; not on one machine")
    return word
