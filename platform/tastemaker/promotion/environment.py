"""Environments: which bundle is live where; one small model file a model.

The files are read from the checkout of the promotion repository, and changed by nothing but
commits (`promotion/promote.py`).
"""

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.promotion import checkout
from tastemaker.promotion.model_file import MODELS as MODELS
from tastemaker.promotion.model_file import PINS as PINS
from tastemaker.promotion.model_file import Live as Live
from tastemaker.promotion.model_file import Pins, parse_pinned
from tastemaker.promotion.repository import open_repository, path_of


def get_live(home: Home, environment: str, model: str) -> Live:
    """Read what is live from a model's file.

    Raises:
        NotFound: Nothing is live under that name.
        ConfigError: The file is not a mapping with a bundle and a dataset.
    """
    return get_pins(home, environment, model).live


def get_pins(home: Home, environment: str, model: str) -> Pins:
    """Read what is live and what is tried beside it.

    Raises:
        NotFound: Nothing is live under that name.
        ConfigError: The file is not a mapping with a bundle and a dataset, or the home is on S3
            and no repository is named.
    """
    text = read_file(home, environment, model)
    pins = parse_pinned(text, file_name(home, environment, model))
    if pins is None:
        if home.store and checkout.current(home) is None:
            open_repository(home)  # says so where none is named
        raise NotFound(
            f"no {model} is live in environment {environment!r}; "
            "run `tastemaker pipeline run full_stack` first"
        )
    return pins


def file_name(home: Home, environment: str, model: str) -> str:
    """Where a model's file lies, for messages."""
    found = checkout.read(home)
    if found is None:
        return path_of(environment, model)
    return str(found.folder / "models" / environment / f"{model}.yaml")


def read_file(home: Home, environment: str, model: str) -> str | None:
    """A model's file as text; None: there is none."""
    found = checkout.read(home)
    if found is None:
        return None
    path = found.folder / "models" / environment / f"{model}.yaml"
    return path.read_text() if path.is_file() else None
