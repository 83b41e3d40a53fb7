"""YAML as Kubernetes reads it: dates stay text, `=` is text, a key stands once."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from tastemaker.core.errors import ConfigError


class CrdLoader(yaml.CSafeLoader):
    """For schemas: text that YAML 1.1 takes for dates or operators stays text."""


class ObjectLoader(CrdLoader):
    """For objects and values: a key that stands twice is a fault, not the later one's win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping; refuse a repeated key."""
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"key {key!r} stands twice in the mapping at line {line}")
        return super().construct_mapping(node, deep)


def _text(_: CrdLoader, node: yaml.Node) -> str:
    return str(node.value)


for _tag in ("timestamp", "value"):
    yaml.add_constructor(f"tag:yaml.org,2002:{_tag}", _text, Loader=CrdLoader)

# Go reads 1e5 as a number, PyYAML as text: a digest such as 12345678901234e5 needs its quotes.
_NUMBER = re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$")
yaml.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"), ObjectLoader)


def read_documents(text: str, *, where: str) -> list[Any]:
    """Every document of a YAML text that is not empty.

    Args:
        text: The YAML.
        where: File that messages name.

    Raises:
        ConfigError: Not YAML, or a key stands twice.
    """
    try:
        return [one for one in yaml.load_all(text, ObjectLoader) if one is not None]
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from None


def read_values(text: str, *, where: str) -> dict[str, Any]:
    """A text that holds one mapping (values); an empty one is an empty mapping.

    Args:
        text: The YAML.
        where: File that messages name.

    Raises:
        ConfigError: Not YAML, several documents, or something else than a mapping.
    """
    documents = read_documents(text, where=where)
    if not documents:
        return {}
    if len(documents) > 1 or not isinstance(documents[0], dict):
        raise ConfigError(f"{where}: must hold one mapping of values")
    return documents[0]
