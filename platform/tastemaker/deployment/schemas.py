"""Strict validation of Kubernetes objects, as an API server with `--validate=strict` does it.

Built-in kinds by the schemas that kubernetes-validate ships; other kinds by the
CustomResourceDefinitions that their controllers install. A kind without a schema is a fault.
CEL rules (`x-kubernetes-validations`) and admission webhooks only run on a cluster.
"""

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import yaml
from kubernetes_validate import utils as kubernetes  # type: ignore[import-untyped]
from referencing import Registry, Resource

from tastemaker.deployment import crd_files
from tastemaker.deployment.faults import Fault, dotted, named
from tastemaker.deployment.structural import strict_schema, with_defaults
from tastemaker.deployment.yaml_files import CrdLoader

Document = Mapping[str, Any]


class Schemas:
    """Validates objects of any kind.

    Args:
        folders: Where CRD files lie, the first that holds a kind wins; default:
            `crd_files.folders()`.
    """

    def __init__(self, folders: list[Path] | None = None) -> None:
        self.folders = crd_files.folders() if folders is None else folders
        self._crds = functools.cache(self._custom)

    def faults(self, document: Document, *, where: str) -> list[Fault]:
        """What is wrong with an object; empty: an API server would take it.

        Args:
            document: The object.
            where: File that the faults name.
        """
        kind, api_version = document.get("kind"), document.get("apiVersion")
        if not isinstance(kind, str) or not isinstance(api_version, str):
            return [Fault(where, named(document), "kind", "apiVersion and kind must be text")]
        group = api_version.rpartition("/")[0]
        if custom := self._crds(api_version, kind):
            validator, schema = custom
            return _faults(validator, with_defaults(document, schema), where)
        # Built-in groups have no dot, or end so; a file of another group may bear the same name.
        if "." not in group or group.endswith(".k8s.io"):
            builtin = _builtin(api_version, kind)
            if builtin is not None:
                return _faults(builtin, document, where)
        looked = ", ".join(map(str, self.folders)) or "no folder of CRDs"
        rule = (
            f"no schema of {kind} in {api_version} (looked among Kubernetes "
            f"{kubernetes.latest_version()}'s kinds and in {looked}); "
            "run `tastemaker check --fetch-schemas`, or set TASTEMAKER_CRDS"
        )
        return [Fault(where, named(document), "apiVersion", rule)]

    def _custom(self, api_version: str, kind: str) -> tuple[Any, Mapping[str, Any]] | None:
        group, _, version = api_version.rpartition("/")
        if not group:
            return None
        for folder in self.folders:
            for crd in _definitions(folder, group, kind):
                for one in crd["spec"]["versions"]:
                    if one["name"] == version and one["served"]:
                        schema = one["schema"]["openAPIV3Schema"]
                        return _validator(strict_schema(schema)), schema
        return None


def _definitions(folder: Path, group: str, kind: str) -> Iterator[Mapping[str, Any]]:
    """CRDs of one kind; a file is only parsed (seconds for the large ones) if it names both."""
    names = [
        re.compile(rf"""{key}["']?:\s*["']?{re.escape(value)}["']?[\s,}}]""")
        for key, value in (("group", group), ("kind", kind))
    ]
    for text in _texts(folder):
        if not all(name.search(text) for name in names):
            continue
        for crd in _parsed(text):
            if (
                isinstance(crd, dict)
                and crd.get("kind") == "CustomResourceDefinition"
                and crd["spec"]["group"] == group
                and crd["spec"]["names"]["kind"] == kind
            ):
                yield crd


@functools.cache
def _texts(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.rglob("*.yaml"))]


def _parsed(text: str) -> list[Any]:
    if text.startswith("{"):  # one-line flow YAML is JSON, ten times faster to read
        return [json.loads(text)]
    return list(yaml.load_all(text, CrdLoader))


@functools.cache
def _builtin(api_version: str, kind: str) -> Any | None:
    """Validator of a kind that Kubernetes itself has, by kubernetes-validate's file names."""
    version = kubernetes.latest_version()
    folder = f"kubernetes-json-schema/v{version}-local-strict"
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    try:
        schema = kubernetes.schema_contents(f"{folder}/{kind.lower()}-{short}.json", version)
    except FileNotFoundError:
        return None
    return _validator(schema, _builtin_registry(folder, version))


@functools.cache
def _builtin_registry(folder: str, version: str) -> Any:
    definitions = kubernetes.schema_contents(f"{folder}/_definitions.json", version)
    return Resource.from_contents(definitions) @ Registry()


def _validator(schema: Mapping[str, Any], registry: Any = None) -> Any:
    known = {} if registry is None else {"registry": Resource.from_contents(schema) @ registry}
    return jsonschema.Draft202012Validator(schema, **known)


def _faults(validator: Any, document: Document, where: str) -> list[Fault]:
    # jsonschema says each missing key in an error of its own: all keys come with each
    return list(dict.fromkeys(_each_fault(validator, document, where)))


def _each_fault(validator: Any, document: Document, where: str) -> Iterator[Fault]:
    for error in sorted(validator.iter_errors(document), key=lambda e: list(map(str, e.path))):
        path = list(error.absolute_path)
        what = named(document)
        if error.validator == "additionalProperties":
            known = list(error.schema.get("properties", {}))
            for key in [key for key in error.instance if key not in known]:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                yield Fault(where, what, dotted([*path, key]), f"unknown field{hint}")
        elif error.validator == "required":
            for key in [key for key in error.validator_value if key not in error.instance]:
                yield Fault(where, what, dotted([*path, key]), "missing, required")
        else:
            yield Fault(where, what, dotted(path), error.message)
