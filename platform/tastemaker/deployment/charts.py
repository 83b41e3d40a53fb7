"""Rendering charts with Helm's own engine, with faults that name the values file and the field."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import helm_python as helm

from tastemaker.core.errors import ConfigError
from tastemaker.deployment.faults import Fault, dotted
from tastemaker.deployment.yaml_files import read_documents, read_values

Values = Mapping[str, Any]
Source = tuple[str, Values]  # name of a values file, its content

_AT = re.compile(r"^- at '(?P<pointer>[^']*)': (?P<rule>.*)$", re.MULTILINE)
_QUOTED = re.compile(r"'([^']*)'")
_EXECUTION = re.compile(
    r"^execution error at \((?P<template>[^:)]+)[^)]*\): (?P<rule>.*)$", re.DOTALL
)


class ValuesError(ConfigError):
    """Values that a chart refuses: each fault names the values file, the release and the field."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


def layers(files: Sequence[Path]) -> list[Source]:
    """Values files, in the order of `helm install -f a -f b`: a later one wins.

    Raises:
        ConfigError: A file that is missing or is not a mapping.
    """
    for file in files:
        if not file.is_file():
            raise ConfigError(f"{file}: no such values file")
    return [(str(file), read_values(file.read_text(), where=str(file))) for file in files]


def merge(layered: Sequence[Values]) -> dict[str, Any]:
    """What Helm makes of several values files: mappings merge, null removes, the rest replaces."""
    merged: dict[str, Any] = {}
    for values in layered:
        merged = _over(merged, values)
    return merged


def effective(chart: Path, values: Sequence[Values | Source]) -> dict[str, Any]:
    """The values that a release would use: the chart's defaults below the given ones.

    Args:
        chart: Its folder.
        values: As for `render`.
    """
    with _open(chart) as opened:
        return opened.merge_values(merge([one for _, one in _sources(values)]))


def render(
    chart: Path, values: Sequence[Values | Source], *, name: str, namespace: str = "default"
) -> list[dict[str, Any]]:
    """Render a chart as `helm template` would.

    Args:
        chart: Its folder.
        values: Values over the chart's defaults, the last wins; `(file, values)` where a fault
            shall name the file.
        name: Of the release.
        namespace: Of the release.

    Returns:
        The objects, templates in the order of their names.

    Raises:
        ValuesError: A value breaks the chart's schema or one of its rules.
        ConfigError: Not a chart, or a template renders something that is not YAML.
    """
    sources = _sources(values)
    merged = merge([one for _, one in sources])
    release = f"{chart.name}/{name}"
    with _open(chart) as opened:
        try:
            opened.validate_schema(merged)
            texts = opened.render(merged, name=name, namespace=namespace)
        except helm.HelmValuesError as error:
            found = _schema_faults(str(error), sources, opened, release)
            raise ValuesError(found) from None
        except helm.HelmError as error:
            raise ValuesError([_template_fault(str(error), sources, release)]) from None
    documents = []
    for template in sorted(texts):
        if template.endswith((".yaml", ".yml")):
            documents += read_documents(texts[template], where=f"{chart.parent.name}/{template}")
    return documents


def lint(chart: Path, values: Values) -> list[str]:
    """Helm's own findings of a chart, from warnings on.

    Args:
        chart: Its folder.
        values: As for `render`.
    """
    report = helm.lint(str(chart), dict(values))
    found = [f"{m['path']}: {m['error']}" for m in report["messages"] if m["severity"] >= 2]
    return list(dict.fromkeys([*found, *report["errors"]]))


def _sources(values: Sequence[Values | Source]) -> list[Source]:
    return [one if isinstance(one, tuple) else ("values", one) for one in values]


def _open(chart: Path) -> helm.Chart:
    try:
        return helm.Chart.load(str(chart))
    except helm.HelmError as error:
        raise ConfigError(f"{chart}: not a chart: {error}") from None


def _over(below: Values, above: Values) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _over(result[key], value)
        else:
            result[key] = value
    return result


def _template_fault(message: str, sources: Sequence[Source], release: str) -> Fault:
    """A chart's own rule says `field: rule`; name the file that holds the field."""
    found = _EXECUTION.match(message.strip())
    if found is None:
        return Fault(_files(sources), release, "", message)
    field, _, rule = found["rule"].strip().partition(": ")
    return Fault(_holder(sources, field.split(".")), release, field, rule)


def _schema_faults(
    message: str, sources: Sequence[Source], chart: helm.Chart, release: str
) -> list[Fault]:
    faults = []
    for found in _AT.finditer(message):
        path = [part for part in found["pointer"].split("/") if part]
        rule, keys = found["rule"], _QUOTED.findall(found["rule"])
        if rule.startswith("additional propert"):
            for key in keys:
                near = difflib.get_close_matches(key, _known(chart, path), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                faults.append(_fault(sources, release, [*path, key], f"unknown field{hint}"))
        elif rule.startswith("missing propert"):
            faults += [_fault(sources, release, [*path, key], "missing, required") for key in keys]
        else:
            faults.append(_fault(sources, release, path, rule))
    return faults or [Fault(_files(sources), release, "", message.strip())]


def _fault(sources: Sequence[Source], release: str, path: Sequence[str], rule: str) -> Fault:
    return Fault(_holder(sources, path), release, dotted(path), rule)


def _known(chart: helm.Chart, path: Sequence[str]) -> list[str]:
    schema: Any = chart.schema or {}
    for part in path:
        schema = schema.get("properties", {}).get(part, {})
    return list(schema.get("properties", {}))


def _holder(sources: Sequence[Source], path: Sequence[str]) -> str:
    """The last file that holds the field; all of them where none does."""
    holders = [where for where, values in sources if path and _holds(values, path)]
    return holders[-1] if holders else _files(sources)


def _holds(values: Any, path: Sequence[str]) -> bool:
    for part in path:
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            return False
    return True


def _files(sources: Sequence[Source]) -> str:
    return " + ".join(where for where, _ in sources) or "values.yaml"
