"""Structural schemas become strict JSON Schema."""

from typing import Any

import jsonschema
import pytest

from tastemaker.deployment.structural import strict_schema, with_defaults

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "format": "dns"},
        "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}]},
        "size": {"type": "integer", "nullable": True},
        "mode": {"type": "string", "enum": ["a", "b"], "nullable": True},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"known": {"type": "integer"}},
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {}},
        "ports": {"type": "array", "items": {"type": "object", "properties": {"n": {}}}},
        "odd": {"type": "string", "pattern": "^\\p{L}+$"},
    },
}
SCHEMA = {"type": "object", "properties": {"spec": SPEC}}


def faults(spec: dict[str, Any], **other: Any) -> list[str]:
    document = {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x"}, "spec": spec, **other}
    validator = jsonschema.Draft202012Validator(strict_schema(SCHEMA))
    return [error.json_path for error in validator.iter_errors(document)]


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "a", "port": 1},
        {"name": "a", "port": 1.0, "size": None, "mode": None},
        {"name": "a", "free": {"known": 1, "other": {"deep": []}}},
        {"name": "a", "labels": {"any": "text"}},
        {"name": "a", "template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {}}}},
        {"name": "a", "odd": "what RE2 alone can check"},
    ],
)
def test_taken(spec: dict[str, Any]) -> None:
    assert faults(spec) == []


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, "$.spec"),
        ({"name": "A"}, "$.spec.name"),
        ({"name": "a", "nmae": "b"}, "$.spec"),
        ({"name": "a", "port": []}, "$.spec.port"),
        ({"name": "a", "mode": "c"}, "$.spec.mode"),
        ({"name": None}, "$.spec.name"),
        ({"name": "a", "free": {"known": "x"}}, "$.spec.free.known"),
        ({"name": "a", "labels": {"any": 1}}, "$.spec.labels.any"),
        ({"name": "a", "template": {"spec": {}}}, "$.spec.template"),
        ({"name": "a", "ports": [{"m": 1}]}, "$.spec.ports[0]"),
    ],
)
def test_refused_where_it_stands(spec: dict[str, Any], path: str) -> None:
    assert path in faults(spec)


def test_an_unknown_field_beside_the_spec_is_refused() -> None:
    assert faults({"name": "a"}, sepc={}) == ["$"]


def test_defaults_fill_objects_in_lists_and_maps_and_change_nothing_given() -> None:
    inner = {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}}
    schema = {
        "properties": {
            "list": {"type": "array", "items": inner},
            "map": {"type": "object", "additionalProperties": inner},
            "given": {"default": {"n": 1}, **inner},
            "made": {"default": {}, **inner},
        }
    }
    value = {"list": [{}, {"n": 4}], "map": {"x": {}}, "given": {"n": 2}}
    filled = with_defaults(value, schema)
    assert filled == {
        "list": [{"n": 3}, {"n": 4}],
        "map": {"x": {"n": 3}},
        "given": {"n": 2},
        "made": {"n": 3},
    }
    assert value["list"] == [{}, {"n": 4}]
