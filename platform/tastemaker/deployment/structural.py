"""Structural schemas of CRDs as strict JSON Schema, and their defaults.

What an API server does, step by step: defaults first, then types, with unknown fields refused;
int-or-string takes both, nullable takes null, and a node that preserves unknown fields takes any.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_ANY_METADATA = {"type": "object"}
_EMBEDDED = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": _ANY_METADATA,
}
_LISTED = ("allOf", "anyOf", "oneOf")  # they only tighten: never a place for "unknown" fields


def strict_schema(schema: Schema) -> dict[str, Any]:
    """JSON Schema (2020-12) of an `openAPIV3Schema`'s root object.

    Args:
        schema: The version's `openAPIV3Schema`.
    """
    root = _strict({**schema, "x-kubernetes-embedded-resource": True})
    # metadata is the API server's own; a CRD says no more about it than its type and its name
    root["properties"]["metadata"] = _ANY_METADATA
    return root


def with_defaults(document: Any, schema: Schema) -> Any:
    """A copy of a value with every default that its schema names."""
    value = copy.deepcopy(document)
    _fill(value, schema)
    return value


def _strict(schema: Schema) -> dict[str, Any]:
    kept = {k: v for k, v in schema.items() if not k.startswith("x-") and k in _KEYWORDS}
    if "pattern" in kept and not _compiles(kept["pattern"]):
        del kept["pattern"]  # RE2 knows classes that Python does not; the cluster checks them
    if schema.get("x-kubernetes-int-or-string"):
        kept.pop("type", None)
        kept["type"] = ["integer", "string"]
    if schema.get("x-kubernetes-embedded-resource"):
        kept["properties"] = {**_EMBEDDED, **schema.get("properties", {})}
    if "properties" in kept:
        kept["properties"] = {k: _strict(v) for k, v in kept["properties"].items()}
        open_node = schema.get("x-kubernetes-preserve-unknown-fields")
        if not open_node and "additionalProperties" not in kept:
            kept["additionalProperties"] = False
    if isinstance(kept.get("additionalProperties"), Mapping):
        kept["additionalProperties"] = _strict(kept["additionalProperties"])
    if "items" in kept:
        kept["items"] = _strict(kept["items"])
    for key in _LISTED:
        if key in kept:
            kept[key] = [_tightening(one) for one in kept[key]]
    if "not" in kept:
        kept["not"] = _tightening(kept["not"])
    if schema.get("nullable"):
        kept = _nullable(kept)
    return kept


def _tightening(schema: Schema) -> dict[str, Any]:
    """A branch of allOf, anyOf, oneOf, not: as it is, without what JSON Schema does not know."""
    kept = {k: v for k, v in schema.items() if k in _KEYWORDS}
    if "properties" in kept:
        kept["properties"] = {k: _tightening(v) for k, v in kept["properties"].items()}
    for key in _LISTED:
        if key in kept:
            kept[key] = [_tightening(one) for one in kept[key]]
    for key in ("items", "not"):
        if key in kept:
            kept[key] = _tightening(kept[key])
    return kept


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type", [])
    if kinds:
        schema["type"] = [*([kinds] if isinstance(kinds, str) else kinds), "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _fill(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for key, inner in properties.items():
            if key not in value and "default" in inner:
                value[key] = copy.deepcopy(inner["default"])
        others = schema.get("additionalProperties")
        for key, held in value.items():
            inner = properties.get(key, others)
            if isinstance(inner, Mapping):
                _fill(held, inner)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for held in value:
            _fill(held, schema["items"])


_KEYWORDS = {
    "type", "properties", "required", "items", "additionalProperties", "enum", "pattern",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
    "allOf", "anyOf", "oneOf", "not",
}  # fmt: skip
