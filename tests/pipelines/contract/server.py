"""A Kubeflow Pipelines API server over real HTTP that holds every request to the contract.

It keeps experiments, runs and recurring runs. A path, query parameter, field or type that the
recorded contract does not have is kept in `violations` and answered with 400; what it answers
is validated as well.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import uvicorn
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.pipelines.contract.record import FILE

CONTRACT = json.loads(FILE.read_text())
_SIMPLE = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "datetime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
    "object": {},
}


def schema(text: str) -> dict[str, Any]:
    """JSON schema of the contract's name of a type."""
    if text in _SIMPLE:
        return dict(_SIMPLE[text])
    if found := re.fullmatch(r"list\[(.+)\]", text):
        return {"type": "array", "items": schema(found.group(1))}
    if found := re.fullmatch(r"dict\(str, (.+)\)", text):
        return {"type": "object", "additionalProperties": schema(found.group(1))}
    return {"$ref": f"#/$defs/{text}"}


def _definition(model: dict[str, Any]) -> dict[str, Any]:
    if "values" in model:
        return {"enum": model["values"]}
    fields = {name: schema(text) for name, text in model["fields"].items()}
    return {"type": "object", "properties": fields, "additionalProperties": False}


DEFINITIONS = {name: _definition(model) for name, model in CONTRACT["models"].items()}


def faults(value: Any, text: str) -> list[str]:
    """What keeps a JSON value from being of a type of the contract."""
    whole = {**schema(text), "$defs": DEFINITIONS}
    found = jsonschema.Draft202012Validator(whole).iter_errors(value)
    return [f"{text}.{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in found]


@dataclass
class KfpServer:
    """State of the server, and what a test decides of it.

    Attributes:
        token: Asked of every request; empty: none.
        forbidden: Namespaces that are refused with 403.
        namespaces: Those that there are; empty: single-user mode.
        fail_next: Answers (status, message) that the next requests get, by "METHOD path".
        lose_next: Requests that are carried out and then answered with 503, by "METHOD path".
        states: What a run is at each look, the last one for ever.
    """

    token: str = ""
    forbidden: set[str] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    fail_next: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    lose_next: list[str] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=lambda: [{"state": "SUCCEEDED"}])
    violations: list[str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: int = 0
    url: str = ""

    def app(self) -> Starlette:
        """Its routes, one for each operation of the contract."""
        handlers: dict[str, Callable[[Request, Any], Any]] = {
            "healthz_service_get_healthz": lambda r, b: {"multi_user": bool(self.namespaces)},
            "experiment_service_list_experiments": self._list_experiments,
            "experiment_service_create_experiment": self._create_experiment,
            "run_service_create_run": self._create_run,
            "run_service_get_run": self._get_run,
            "run_service_list_runs": self._list_runs,
            "recurring_run_service_create_recurring_run": self._create_recurring,
            "recurring_run_service_list_recurring_runs": self._list_recurring,
            "recurring_run_service_delete_recurring_run": self._delete_recurring,
        }
        routes = [
            Route(one["path"], self._endpoint(one, handlers[name]), methods=[one["method"]])
            for name, one in CONTRACT["operations"].items()
        ]
        return Starlette(routes=[*routes, Route("/{path:path}", self._unknown, methods=ALL)])

    def _endpoint(self, one: dict[str, Any], handler: Callable[[Request, Any], Any]) -> Any:
        async def answer(request: Request) -> Response:
            raw = await request.body()
            body = json.loads(raw) if raw else None
            key = f"{request.method} {one['path']}"
            self.requests.append((key, dict(request.query_params), body))
            found = self._faults(request, one, body)
            if found:
                self.violations += found
                return _status(400, "; ".join(found))
            if refusal := self._refusal(request, key, body):
                return refusal
            content = handler(request, body)
            if isinstance(content, Response):
                return content
            found = faults(content, one["response"])
            assert not found, found
            if key in self.lose_next:
                self.lose_next.remove(key)
                return _status(503, "upstream connect error")
            return JSONResponse(content)

        return answer

    async def _unknown(self, request: Request) -> Response:
        self.violations.append(f"{request.method} {request.url.path} is not in the contract")
        return _status(404, "Not Found")

    def _faults(self, request: Request, one: dict[str, Any], body: Any) -> list[str]:
        found = [
            f"{one['path']}: unknown query parameter {name}"
            for name in request.query_params
            if name not in one["query"]
        ]
        for name, text in one["query"].items():
            value = request.query_params.get(name)
            if value is not None and text == "int" and not value.isdigit():
                found.append(f"{one['path']}: {name}={value} is no integer")
        if one["body"]:
            found += faults(body, one["body"])
            found += _spec_faults(body)
        elif body is not None:
            found.append(f"{one['path']}: takes no body")
        return found

    def _refusal(self, request: Request, key: str, body: Any) -> Response | None:
        if waiting := self.fail_next.get(key):
            return _status(*waiting.pop(0))
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return _status(401, "Request header error: there is no user identity header.")
        namespace = request.query_params.get("namespace") or (body or {}).get("namespace", "")
        if namespace in self.forbidden:
            return _status(403, f"User is not authorized in namespace {namespace}")
        if namespace and self.namespaces and namespace not in self.namespaces:
            return _status(404, f'namespaces "{namespace}" not found')
        return None

    def _list_experiments(self, request: Request, body: Any) -> Any:
        wanted = _wanted(request)
        return {"experiments": [e for e in self.experiments if wanted in ("", e["display_name"])]}

    def _create_experiment(self, request: Request, body: Any) -> Any:
        made = {**body, "experiment_id": f"experiment-{len(self.experiments)}"}
        self.experiments.append(made)
        return made

    def _create_run(self, request: Request, body: Any) -> Any:
        if body["experiment_id"] not in {e["experiment_id"] for e in self.experiments}:
            return _status(400, f"experiment {body['experiment_id']} not found")
        if bad := _parameter_fault(body):
            return _status(400, bad)
        run_id = f"run-{len(self.runs)}"
        self.runs[run_id] = {**body, "run_id": run_id, "created_at": NOW}
        return {**self.runs[run_id], "state": "PENDING"}

    def _get_run(self, request: Request, body: Any) -> Any:
        run_id = request.path_params["run_id"]
        if run_id not in self.runs:
            return _status(404, f"Run {run_id} not found")
        state = self.states[min(self.looks, len(self.states) - 1)]
        self.looks += 1
        return {**self.runs[run_id], **state}

    def _list_runs(self, request: Request, body: Any) -> Any:
        wanted = _wanted(request)
        return {"runs": [run for run in self.runs.values() if run["display_name"] == wanted]}

    def _create_recurring(self, request: Request, body: Any) -> Any:
        if bad := _parameter_fault(body):
            return _status(400, bad)
        identity = f"recurring-{len(self.requests)}"
        made = {**body, "recurring_run_id": identity, "status": "ENABLED", "created_at": NOW}
        self.recurring[identity] = made
        return made

    def _list_recurring(self, request: Request, body: Any) -> Any:
        wanted = _wanted(request)
        found = [r for r in self.recurring.values() if wanted in ("", r["display_name"])]
        start = int(request.query_params.get("page_token") or 0)
        size = min(int(request.query_params.get("page_size") or 10), 2)  # pages are small here
        page = {"recurringRuns": found[start : start + size], "total_size": len(found)}
        more = start + size < len(found)
        return {**page, "next_page_token": str(start + size)} if more else page

    def _delete_recurring(self, request: Request, body: Any) -> Any:
        if self.recurring.pop(request.path_params["recurring_run_id"], None) is None:
            return _status(404, "Recurring run not found")
        return {}


ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]
NOW = "2026-11-28T12:00:00Z"


def _status(code: int, message: str) -> JSONResponse:
    content = {"code": code, "message": message, "details": []}
    assert not faults(content, "GoogleRpcStatus")
    return JSONResponse(content, status_code=code)


def _wanted(request: Request) -> str:
    text = request.query_params.get("filter")
    if not text:
        return ""
    (predicate,) = json.loads(text)["predicates"]
    assert predicate["key"] == "display_name"
    assert predicate["operation"] in (1, "EQUALS")
    return str(predicate["stringValue"])


def _spec_faults(body: Any) -> list[str]:
    spec = body.get("pipeline_spec") if isinstance(body, dict) else None
    if spec is None:
        return []
    parts = spec if "pipeline_spec" in spec else {"pipeline_spec": spec}
    try:
        json_format.ParseDict(parts["pipeline_spec"], pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(parts.get("platform_spec", {}), pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        return [f"pipeline_spec: {error}"]
    return []


def _parameter_fault(body: Any) -> str:
    spec = body["pipeline_spec"]
    spec = spec.get("pipeline_spec", spec)
    known = spec["root"]["inputDefinitions"]["parameters"]
    unknown = sorted(set(body["runtime_config"].get("parameters", {})) - set(known))
    return f"parameter {unknown[0]} is not an input of the pipeline" if unknown else ""


@contextmanager
def serving(server: KfpServer, port: int = 0) -> Iterator[KfpServer]:
    """Serve on loopback; a violation of the contract fails the test when it ends."""
    config = uvicorn.Config(server.app(), host="127.0.0.1", port=port, log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        server.url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
        yield server
    finally:
        running.should_exit = True
        thread.join()
    assert not server.violations, server.violations
