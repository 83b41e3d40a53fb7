"""Record the part of Kubeflow Pipelines' API contract that we use, from its generated client.

`kfp_server_api` is generated from the server's OpenAPI: its methods name the paths and the
parameters, its models the fields and their types.

python -m tests.pipelines.contract.record             # write kfp_v2beta1.json
python -m tests.pipelines.contract.record --swagger DIR  # compare with the server's own files
"""

import argparse
import importlib.metadata
import inspect
import json
import re
from pathlib import Path
from typing import Any

import kfp_server_api
from kfp_server_api import models

FILE = Path(__file__).with_name("kfp_v2beta1.json")
OPERATIONS = {
    kfp_server_api.HealthzServiceApi: ["healthz_service_get_healthz"],
    kfp_server_api.ExperimentServiceApi: [
        "experiment_service_list_experiments",
        "experiment_service_create_experiment",
    ],
    kfp_server_api.RunServiceApi: [
        "run_service_create_run",
        "run_service_get_run",
        "run_service_list_runs",
    ],
    kfp_server_api.RecurringRunServiceApi: [
        "recurring_run_service_create_recurring_run",
        "recurring_run_service_list_recurring_runs",
        "recurring_run_service_delete_recurring_run",
    ],
}


def operation(api: type, method: str) -> dict[str, Any]:
    """Path, parameters and models of one method of the generated client."""
    source = inspect.getsource(getattr(api, f"{method}_with_http_info"))
    path, verb = re.search(r"call_api\(\s*'([^']+)', '(\w+)'", source).groups()  # type: ignore[union-attr]
    types = dict(re.findall(r":type (\w+): ([^\n]+)", source))
    query = re.findall(r"query_params\.append\(\('([^']+)'", source)
    body = re.search(r"body_params = local_var_params\['(\w+)'\]", source)
    response = re.search(r"response_type='([^']+)'", source)
    places = re.findall(r"path_params\['(\w+)'\]", source)
    required = re.findall(r":param (\w+):[^\n]*\(required\)", source)
    return {
        "path": path,
        "method": verb,
        "path_parameters": {name: types[name] for name in places},
        "query": {name: types[name] for name in query},
        "body": types[body.group(1)] if body else None,
        "response": response.group(1) if response else None,
        "required": required,
    }


def model(name: str) -> dict[str, Any]:
    """Fields and types of a model, or the values of an enumeration."""
    kind = getattr(models, name)
    if hasattr(kind, "allowable_values"):
        return {"values": list(kind.allowable_values)}
    return {"fields": {kind.attribute_map[key]: text for key, text in kind.openapi_types.items()}}


def contract() -> dict[str, Any]:
    """Everything that our requests and their answers are made of."""
    operations = {m: operation(api, m) for api, names in OPERATIONS.items() for m in names}
    waiting = ["GoogleRpcStatus"]
    for one in operations.values():
        waiting += [name for name in (one["body"], one["response"]) if name]
    found: dict[str, Any] = {}
    while waiting:
        for name in re.findall(r"[A-Z]\w+", waiting.pop()):
            if name not in found:
                found[name] = model(name)
                waiting += found[name].get("fields", {}).values()
    return {
        "made_from": f"kfp-server-api {importlib.metadata.version('kfp-server-api')}",
        "operations": operations,
        "models": dict(sorted(found.items())),
    }


def as_text(content: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


_KINDS = {"str": "string", "datetime": "string", "int": "integer", "bool": "boolean"}


def kind_of(text: str) -> str:
    """The JSON type of the generated client's name of a type."""
    if text.startswith("list["):
        return "array"
    return _KINDS.get(text, "object")


def differences(content: dict[str, Any], swagger: Path) -> list[str]:
    """Where the client and the server's own OpenAPI files say different things."""
    paths: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for file in swagger.glob("*.swagger.json"):
        read = json.loads(file.read_text())
        for path, methods in read.get("paths", {}).items():
            paths.setdefault(path, {}).update(methods)
        for name, one in read.get("definitions", {}).items():
            definitions[name.lower()] = one
    found = []
    for name, one in content["operations"].items():
        there = paths.get(one["path"], {}).get(one["method"].lower(), {"parameters": [None]})
        given = [p for p in there.get("parameters", []) if p and p["in"] == "query"]
        query = {p["name"]: p["type"] for p in given}
        ours = {key: kind_of(text) for key, text in one["query"].items()}
        if query != ours or None in there.get("parameters", []):
            found.append(f"{name}: {one['method']} {one['path']} takes {query}, not {ours}")
    for name, one in content["models"].items():
        if name != "ProtobufAny":  # a message of any type: its fields are that type's
            found += _model_differences(name, one, definitions)
    return found


def _model_differences(name: str, one: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    there = definitions.get(name.lower())
    if there is None:
        # an enumeration inside another message has its owner's name before its own
        return [f"{name}: not in the OpenAPI"]
    if "values" in one:
        return [] if one["values"] == there["enum"] else [f"{name}: values {there['enum']}"]
    fields = there.get("properties", {})
    theirs = {key: _swagger_kind(value, definitions) for key, value in fields.items()}
    ours = {key: _our_kind(text) for key, text in one["fields"].items()}
    return [f"{name}: {theirs.items() ^ ours.items()}"] if theirs != ours else []


def _swagger_kind(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in value:
        target = definitions[value["$ref"].rpartition("/")[2].lower()]
        return str(target.get("type", "object"))
    return str(value.get("type", "object"))


def _our_kind(text: str) -> str:
    if re.fullmatch(r"[A-Z]\w+", text) and "values" in model(text):
        return "string"
    return kind_of(text)


def main() -> int:
    """Returns 1 where `--swagger` finds a difference."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--swagger", type=Path)
    given = parser.parse_args()
    if given.swagger:
        found = differences(contract(), given.swagger)
        print("\n".join(found) or "no differences")  # noqa: T201
        return 1 if found else 0
    FILE.write_text(as_text(contract()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
