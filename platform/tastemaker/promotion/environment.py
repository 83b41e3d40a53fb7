"""Environments: which bundle is live where; one small file a model."""

from dataclasses import asdict, dataclass

import yaml

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home, write_text

MODELS = ("encoder", "retrieval", "recommender", "router")


@dataclass(frozen=True)
class Live:
    """One model of an environment: `bundle` serves over dataset version `dataset`."""

    bundle: str
    dataset: str


def set_live(home: Home, environment: str, model: str, live: Live) -> None:
    """Write one model's file."""
    path = home.path("environments", environment, f"{model}.yaml")
    write_text(path, yaml.safe_dump(asdict(live)))


def get_live(home: Home, environment: str, model: str) -> Live:
    """Read one model's file.

    Raises:
        NotFound: Nothing is live under that name.
    """
    path = home.path("environments", environment, f"{model}.yaml")
    if not path.is_file():
        raise NotFound(
            f"no {model} is live in environment {environment!r}; "
            "run `tastemaker pipeline run full_stack` first"
        )
    return Live(**yaml.safe_load(path.read_text()))
