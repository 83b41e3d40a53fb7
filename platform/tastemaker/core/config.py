"""Configuration: frozen pydantic models; defaults < preset < `--set key=value`.

A preset is a YAML file in `tastemaker/presets/<family>/<name>.yaml`. Resolved settings travel
between processes as canonical JSON, so that a pipeline's cache sees their content.
"""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tastemaker.core.digests import canonical_json
from tastemaker.core.errors import ConfigError

PRESETS = Path(__file__).parents[1] / "presets"


class Config(BaseModel):
    """Base of every configuration: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=Config)


def presets(family: str) -> list[str]:
    """Names of a family's presets, sorted."""
    return sorted(path.stem for path in (PRESETS / family).glob("*.yaml"))


def load_preset(
    config: type[C], family: str, name: str = "default", overrides: Sequence[str] = ()
) -> C:
    """Resolve a preset.

    Args:
        config: The model to fill.
        family: Folder below `tastemaker/presets`.
        name: The preset's name, without `.yaml`.
        overrides: `key=value` or `group.key=value`; a value is YAML (`3`, `0.1`, `[a, b]`).

    Returns:
        The resolved configuration.

    Raises:
        ConfigError: Unknown preset, unknown key, or a value that breaks a field's rule.
    """
    path = PRESETS / family / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(presets(family)) or "none"
        raise ConfigError(f"unknown {family} preset {name!r}; the presets are: {known}")
    values: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    for override in overrides:
        _set(values, override)
    return parse(config, values, where=f"{family} preset {name!r}")


def parse(config: type[C], values: dict[str, Any], *, where: str) -> C:
    """Validate values against a configuration, with one readable line for each fault.

    Raises:
        ConfigError: Naming every offending key, its value and the rule.
    """
    try:
        return config.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_fault(config, e) for e in error.errors())
        raise ConfigError(f"{where}: {faults}") from None


def to_settings(config: Config) -> str:
    """Canonical JSON of a resolved configuration."""
    return canonical_json(config.model_dump(mode="json"))


def from_settings(config: type[C], settings: str, *, family: str) -> C:
    """Read `to_settings` back; an empty string is the family's `default` preset.

    Raises:
        ConfigError: Text that is not a JSON object or breaks a field's rule.
    """
    if not settings:
        return load_preset(config, family)
    try:
        values = json.loads(settings)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{family} settings are not JSON: {error}") from None
    return parse(config, values, where=f"{family} settings")


def _set(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set takes key=value, got {override!r}")
    *groups, last = key.split(".")
    at = values
    for group in groups:
        at = at.setdefault(group, {})
        if not isinstance(at, dict):
            raise ConfigError(f"--set {override!r}: {group!r} is a value, not a group of keys")
    try:
        at[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML: {error}") from None


def _fault(config: type[BaseModel], error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    if error["type"] != "extra_forbidden":
        # A rule on a whole group names the values that it is about; the others are nobody's
        # business, and one may be a password.
        group = isinstance(error["input"], dict | list | tuple)
        key = ".".join(path) + ("" if group else f"={error['input']!r}")
        rule = error["msg"].removeprefix("Value error, ")
        return f"{key}: {rule}" if key else rule
    owner = _owner(config, path[:-1])
    near = difflib.get_close_matches(path[-1], owner, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(owner))}"
    return f"unknown key {'.'.join(path)!r}; {hint}"


def _owner(config: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = config.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        config = inner
    return list(config.model_fields)
