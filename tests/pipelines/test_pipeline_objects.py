"""Pipeline and PipelineVersion objects are printed, and made through the Kubernetes API."""

import copy
from collections.abc import Iterator

import pytest
import yaml
from typer.testing import CliRunner

from tastemaker.cli import app
from tastemaker.core.errors import ServiceError, TastemakerError
from tastemaker.deployment.schemas import Schemas
from tastemaker.jobs.full_stack import compiled
from tastemaker.jobs.kubernetes_api import KubernetesApi
from tastemaker.jobs.pipeline_objects import apply, objects
from tests.tastemaker.jobs.kubernetes_server import ApiServer, serving


@pytest.fixture
def server(schemas: Schemas) -> ApiServer:
    return ApiServer(schemas)


@pytest.fixture
def api(server: ApiServer) -> Iterator[KubernetesApi]:
    with serving(server) as client:
        yield client


def test_a_dry_run_prints_what_is_checked_in() -> None:
    done = CliRunner().invoke(
        app, ["pipeline", "submit", "full_stack", "--as-objects", "--dry-run"]
    )
    assert done.exit_code == 0, done.exception
    kept = compiled("full_stack.objects", "default").read_text()
    assert list(yaml.safe_load_all(done.stdout)) == list(yaml.safe_load_all(kept))


def test_applied_twice_they_are_made_once(server: ApiServer, api: KubernetesApi) -> None:
    made = objects("full_stack", "default", ["registry=registry.acme.io"], "flows")
    names = [f"{d['kind']} flows/{d['metadata']['name']}" for d in made]
    assert list(apply(made, api)) == [f"{name} created" for name in names]
    assert list(apply(made, api)) == [f"{name} unchanged" for name in names]
    assert len(server.objects) == 2
    changed = copy.deepcopy(made)
    changed[1]["spec"]["pipelineSpec"]["pipelineInfo"]["name"] = "other"
    with pytest.raises(TastemakerError, match="holds another pipeline"):
        list(apply(changed, api))


def test_an_account_without_the_right_is_told(server: ApiServer, api: KubernetesApi) -> None:
    server.forbidden = True
    made = objects("full_stack", "small", [], "")
    with pytest.raises(ServiceError, match="403: pipelines is forbidden"):
        list(apply(made, api))
