"""A model file as text: what is live, what is tried beside it; keys and comments of people stay.

It holds values for the chart `helm/model`: `bundle`, `dataset`, `space` and `canary` are written
by promotions, everything else by people.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tastemaker.core.errors import ConfigError

MODELS = ("encoder", "retrieval", "recommender", "router")
PINS = ("bundle", "dataset", "space")
FAMILIES = {
    "encoder": "encoder",
    "retrieval": "index",
    "recommender": "sequence",
    "router": "router",
}

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


@dataclass(frozen=True)
class Canary:
    """A second bundle that gets a share of the requests, over the same dataset version.

    Attributes:
        bundle: It serves.
        space: The embedding space that it reads.
        weight: Its share of the requests, percent.
    """

    bundle: str
    space: str
    weight: int


@dataclass(frozen=True)
class Pins:
    """What promotions write into a model file."""

    live: Live
    canary: Canary | None = None

    @property
    def served(self) -> tuple[Live, ...]:
        """All that answers requests: the stable one, then the canary over its dataset."""
        if self.canary is None:
            return (self.live,)
        tried = Live(self.canary.bundle, self.live.dataset, self.canary.space)
        return (self.live, tried)


def parse(text: str, where: str) -> Pins:
    """Read a model file.

    Args:
        text: Its content.
        where: Its name, for messages.

    Raises:
        ConfigError: Not a mapping with a bundle and a dataset, or a key stands in it twice.
    """
    values = values_of(text, where)
    pins = {key: values.get(key, "") for key in PINS}
    for key, value in pins.items():
        if not isinstance(value, str) or not (value or key == "space"):
            raise ConfigError(f"{where}: {key}: must be a digest in quotes, got {value!r}")
    return Pins(Live(**pins), _canary(values.get("canary"), where))


def parse_pinned(text: str | None, where: str) -> Pins | None:
    """Read a model file that may name no bundle yet: people write the rest of it before.

    Raises:
        ConfigError: As `parse`.
    """
    if text is None or not {*PINS, "canary"} & set(values_of(text or "{}", where)):
        return None
    return parse(text, where)


def values_of(text: str, where: str) -> Mapping[str, Any]:
    """Any values file as a mapping.

    Raises:
        ConfigError: Not YAML, not a mapping, or a key stands in it twice (readers of YAML do not
            agree which one counts).
    """
    try:
        values, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from None
    if not isinstance(values, Mapping) or not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{where}: must hold one mapping of values")
    keys = [key.value for key, _ in node.value]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ConfigError(f"{where}: {twice[0]}: stands in it twice")
    return values


def with_live(text: str, live: Live) -> str:
    """The text with another stable bundle; a canary that was compared with the old one ends."""
    if text and (yaml.safe_load(text) or {}).get("bundle") != live.bundle:
        text = _CANARY.sub("", text)
    for key in PINS:
        text = _with_pin(text, key, getattr(live, key))
    return text


def with_canary(text: str, canary: Canary | None) -> str:
    """The text with another canary, or without one."""
    text = _CANARY.sub("", _ended(text))
    if canary is None:
        return text
    lines = (f'bundle: "{canary.bundle}"', f'space: "{canary.space}"', f"weight: {canary.weight}")
    return text + "canary:\n" + "".join(f"  {line}\n" for line in lines)


def _canary(found: Any, where: str) -> Canary | None:
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: canary: must be a mapping, got {found!r}")
    bundle, space, weight = (found.get(key, "") for key in ("bundle", "space", "weight"))
    if bundle == "":
        return None
    if not isinstance(bundle, str) or not isinstance(space, str) or type(weight) is not int:
        raise ConfigError(f"{where}: canary: needs bundle and space in quotes, and a whole weight")
    return Canary(bundle, space, weight)


def _with_pin(text: str, key: str, value: str) -> str:
    """The text with `key: "value"`; quoted, for YAML reads some digests as numbers."""
    line = f'{key}: "{value}"'
    pattern = re.compile(rf"^{key}:[^\n#]*?(?P<comment>[ \t]+#[^\n]*)?$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda found: line + (found["comment"] or ""), text, count=1)
    return f"{_ended(text)}{line}\n" if value else text


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
