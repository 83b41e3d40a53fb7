"""Environments: which bundle is live where; one small model file a model.

A model file holds values for the chart `helm/model`: `bundle`, `dataset` and `space`, and what
else somebody wrote there. The environment of a laptop is of one home; `TASTEMAKER_MANIFESTS`
names a folder (of a Git checkout) that holds `models/<environment>/` instead.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.core.home import Home, write_text

MODELS = ("encoder", "retrieval", "recommender", "router")
PINS = ("bundle", "dataset", "space")

_CANARY = re.compile(r"^canary:[^\n]*\n(?:[ \t][^\n]*\n|\n(?=[ \t]))*", re.MULTILINE)


@dataclass(frozen=True)
class Live:
    """One model of an environment.

    Attributes:
        bundle: It serves.
        dataset: The dataset version that it serves over.
        space: The embedding space that it reads (of an encoder: writes); empty: the file says
            nothing of it, which no cluster takes.
    """

    bundle: str
    dataset: str
    space: str = ""


def set_live(home: Home, environment: str, model: str, live: Live) -> None:
    """Write what is live into a model's file; other keys and comments stay as they are.

    A canary beside a bundle that is replaced ends with it: it was compared with that one.
    """
    before = read_file(home, environment, model) or ""
    text = before
    if before and (yaml.safe_load(before) or {}).get("bundle") != live.bundle:
        text = _CANARY.sub("", before)
    for key in PINS:
        text = _with_pin(text, key, getattr(live, key))
    write_file(home, environment, model, text)


def get_live(home: Home, environment: str, model: str) -> Live:
    """Read what is live from a model's file.

    Raises:
        NotFound: Nothing is live under that name.
        ConfigError: The file is not a mapping with a bundle and a dataset.
    """
    text = read_file(home, environment, model)
    if text is None:
        raise NotFound(
            f"no {model} is live in environment {environment!r}; "
            "run `tastemaker pipeline run full_stack` first"
        )
    where = file_name(home, environment, model)
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must hold one mapping of values")
    pins = {key: values.get(key, "") for key in PINS}
    for key, value in pins.items():
        if not isinstance(value, str) or not (value or key == "space"):
            raise ConfigError(f"{where}: {key}: must be a digest in quotes, got {value!r}")
    return Live(**pins)


def switch(home: Home, environment: str, live: Mapping[str, Live]) -> None:
    """Make several models live, all or none: what fails half-way is put back as it was."""
    before: dict[str, str | None] = {}
    try:
        for model, now in live.items():
            then = read_file(home, environment, model)
            set_live(home, environment, model, now)
            before[model] = then
    except BaseException:
        for model, text in before.items():
            write_file(home, environment, model, text)
        raise


def file_name(home: Home, environment: str, model: str) -> str:
    """Where a model's file lies, for messages."""
    manifests = _manifests()
    if manifests is not None:
        return str(manifests.joinpath("models", environment, f"{model}.yaml"))
    return home.uri(*_parts(environment, model))


def read_file(home: Home, environment: str, model: str) -> str | None:
    """A model's file as text; None: there is none."""
    manifests = _manifests()
    if manifests is None:
        return home.read_text(*_parts(environment, model))
    path = manifests.joinpath("models", environment, f"{model}.yaml")
    return path.read_text() if path.is_file() else None


def write_file(home: Home, environment: str, model: str, text: str | None) -> None:
    """Write a model's file at once; None removes it."""
    manifests = _manifests()
    if manifests is not None:
        path = manifests.joinpath("models", environment, f"{model}.yaml")
        if text is None:
            path.unlink(missing_ok=True)
        else:
            write_text(path, text)
    elif text is None:
        home.remove(*_parts(environment, model))
    else:
        home.write_text(text, *_parts(environment, model))


def _parts(environment: str, model: str) -> tuple[str, ...]:
    return ("manifests", "models", environment, f"{model}.yaml")


def _manifests() -> Path | None:
    given = os.environ.get("TASTEMAKER_MANIFESTS")
    return Path(given).expanduser().resolve() if given else None


def _with_pin(text: str, key: str, value: str) -> str:
    """The text with `key: "value"`; quoted, for YAML reads some digests as numbers."""
    line = f'{key}: "{value}"'
    pattern = re.compile(rf"^{key}:[^\n#]*?(?P<comment>[ \t]+#[^\n]*)?$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda found: line + (found["comment"] or ""), text, count=1)
    if not value:
        return text
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
