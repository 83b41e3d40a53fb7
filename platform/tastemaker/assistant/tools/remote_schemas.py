"""What a run-time tool says of itself, made safe: names, descriptions and argument schemas.

A schema comes from somebody else's server. Only what a router needs is kept of it: types, names,
enums and bounds. References are written out, within limits, so that none can grow without end;
patterns are dropped, since matching them can take for ever.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tastemaker.core.errors import DataError
from tastemaker.router.messages import clean_text

MAX_DESCRIPTION_CHARS = 500
_MAX_NOTE_CHARS = 200  # of one argument's description
_MAX_BYTES = 8192  # of a schema, as it came and as it is kept
_MAX_DEPTH = 6
_MAX_NODES = 150
_MAX_ENUM = 50
_MAX_ENUM_CHARS = 100
_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")


class SchemaRefused(DataError):
    """A tool that cannot be offered to the router."""


def check_name(name: str, what: str) -> str:
    """A server's or a tool's name.

    Raises:
        SchemaRefused: Not 1 to 48 letters, digits, `_` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise SchemaRefused(f"{what} {name[:60]!r}: 1 to 48 letters, digits, _ and -")
    return name


def description(text: str | None) -> str:
    """One line, without chat marks, at most `MAX_DESCRIPTION_CHARS`."""
    return clean_text((text or "")[: 4 * MAX_DESCRIPTION_CHARS])[:MAX_DESCRIPTION_CHARS]


def safe_schema(schema: Any) -> dict[str, Any]:
    """A tool's argument schema with what is known and bounded.

    Args:
        schema: JSON Schema of an object, as the endpoint gives it.

    Returns:
        The schema without references, patterns and annotations that nobody reads.

    Raises:
        SchemaRefused: Too large, too deep, or of types that are not JSON's.
    """
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise SchemaRefused("the arguments of a tool must be an object")
    if _num_bytes(schema) > _MAX_BYTES:
        raise SchemaRefused(f"its argument schema is longer than {_MAX_BYTES} bytes")
    kept = _Writer(schema).node({"type": "object", **schema}, 0)
    kept["additionalProperties"] = False
    if _num_bytes(kept) > _MAX_BYTES:
        raise SchemaRefused(f"its argument schema is longer than {_MAX_BYTES} bytes written out")
    return kept


class _Writer:
    """Writes a schema out, counting its nodes."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root, self.num_nodes = root, 0

    def node(self, schema: Any, depth: int) -> dict[str, Any]:
        self.num_nodes += 1
        if depth > _MAX_DEPTH or self.num_nodes > _MAX_NODES:
            limits = f"{_MAX_DEPTH} levels and {_MAX_NODES} parts"
            raise SchemaRefused(f"its argument schema has more than {limits}")
        if schema is True or schema == {}:
            return {}
        if not isinstance(schema, Mapping):
            raise SchemaRefused(f"its argument schema holds {_short(schema)}, which is no schema")
        if "$ref" in schema:
            return self.node(self._target(schema["$ref"]), depth + 1)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                choices = _list(schema, key)
                kept = {"anyOf": [self.node(choice, depth + 1) for choice in choices]}
                return kept | _note(schema)
        if len(_list(schema, "allOf")) == 1:
            return self.node(schema["allOf"][0], depth + 1) | _note(schema)
        return self._typed(schema, depth)

    def _typed(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        kinds = schema.get("type", [])
        kinds = list(kinds) if isinstance(kinds, list) else [kinds]
        if any(kind not in _TYPES for kind in kinds) or len(kinds) > len(_TYPES):
            raise SchemaRefused(f"its argument schema has the type {_short(schema.get('type'))}")
        kept: dict[str, Any] = _note(schema) | _bounds(schema) | _enum(schema)
        if kinds:
            kept["type"] = kinds[0] if len(kinds) == 1 else kinds
        if "array" in kinds and "items" in schema:
            kept["items"] = self.node(schema["items"], depth + 1)
        if "object" in kinds:
            kept |= self._object(schema, depth)
        return kept

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            raise SchemaRefused("its argument schema's properties are no object")
        for name in properties:
            if not _ARGUMENT.fullmatch(str(name)):
                raise SchemaRefused(f"its argument {_short(name)} has no plain name")
        required = [name for name in _list(schema, "required") if name in properties]
        return {
            "properties": {name: self.node(part, depth + 1) for name, part in properties.items()},
            "required": required,
        }

    def _target(self, ref: Any) -> Any:
        parts = str(ref).split("/")
        if len(parts) != 3 or parts[0] != "#" or parts[1] not in ("$defs", "definitions"):
            raise SchemaRefused(f"its argument schema refers to {_short(ref)}")
        found = self.root.get(parts[1])
        if not isinstance(found, Mapping) or parts[2] not in found:
            raise SchemaRefused(f"its argument schema refers to {_short(ref)}")
        return found[parts[2]]


def _note(schema: Mapping[str, Any]) -> dict[str, Any]:
    text = schema.get("description")
    clean = clean_text(text[: 4 * _MAX_NOTE_CHARS]) if isinstance(text, str) else ""
    return {"description": clean[:_MAX_NOTE_CHARS]} if clean else {}


def _bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {key: schema[key] for key in _BOUNDS if key in schema}
    return {
        key: value
        for key, value in numbers.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _enum(schema: Mapping[str, Any]) -> dict[str, Any]:
    values = [schema["const"]] if "const" in schema else _list(schema, "enum")
    if len(values) > _MAX_ENUM:
        raise SchemaRefused(f"its argument schema has an enum of more than {_MAX_ENUM} values")
    for value in values:
        if not isinstance(value, str | int | float | bool | None):
            raise SchemaRefused(f"its argument schema has the enum value {_short(value)}")
        if isinstance(value, str) and (value != clean_text(value) or len(value) > _MAX_ENUM_CHARS):
            raise SchemaRefused(f"its argument schema has the enum value {_short(value)}")
    return {"enum": values} if values else {}


def _list(schema: Mapping[str, Any], key: str) -> list[Any]:
    found = schema.get(key, [])
    if not isinstance(found, list):
        raise SchemaRefused(f"its argument schema's {key} is no list")
    return found


def _num_bytes(schema: Any) -> int:
    try:
        return len(json.dumps(schema))
    except (TypeError, ValueError, RecursionError):
        raise SchemaRefused("its argument schema is no JSON, or too deep") from None


def _short(value: Any) -> str:
    return clean_text(repr(value)[:80])
