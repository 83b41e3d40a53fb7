"""Submission and schedules against the recorded contract of the real server, over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tastemaker.cli import app
from tastemaker.core.errors import ConfigError, NotFound, ServiceError, TastemakerError
from tastemaker.jobs import schedule, submit
from tastemaker.jobs.full_stack import resolve
from tastemaker.jobs.pipeline_server import Server
from tests.pipelines.contract.record import FILE, as_text, contract
from tests.pipelines.contract.server import KfpServer, faults, serving

RUNS = "POST /apis/v2beta1/runs"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[KfpServer]:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    with serving(KfpServer()) as server:
        yield server


def at(api: KfpServer, **more: Any) -> Server:
    return Server(api.url, pause_s=0.01, **more)


def tiny_package(arguments: dict[str, str]) -> Any:
    return submit.package("full_stack", "small", [], arguments)


def run_once(api: KfpServer, **more: Any) -> str:
    server, arguments = at(api, **more), resolve("tiny", "demo", [], here=False)
    with tiny_package(arguments) as file:
        what = submit.Submission("full_stack", arguments, file)
        return submit.submit(server, server.connect(), what)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["pipeline", *arguments])


def test_the_recorded_contract_is_that_of_the_installed_client() -> None:
    assert FILE.read_text() == as_text(contract()), "run python -m tests.pipelines.contract.record"


def test_the_contract_refuses_what_it_does_not_know() -> None:
    assert faults({"display_name": "a"}, "V2beta1Run") == []
    assert faults({"displayname": "a"}, "V2beta1Run")
    assert faults({"display_name": 3}, "V2beta1Run")
    assert faults({"state": "DONE"}, "V2beta1Run")
    assert faults({"trigger": {"cron_schedule": {"cron": 5}}}, "V2beta1RecurringRun")


def test_a_run_carries_both_documents_and_its_parameters(api: KfpServer) -> None:
    assert run_once(api) == "run-0"
    body = api.runs["run-0"]
    executors = body["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]
    assert len(executors["deploymentSpec"]["executors"]) == 17
    assert body["runtime_config"]["parameters"]["catalog"] == "demo"
    tasks = body["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert tasks["curate"]["cachingOptions"] == {"enableCache": True}
    assert not tasks["promote"]["cachingOptions"].get("enableCache")
    assert [e["display_name"] for e in api.experiments] == ["tastemaker"]
    run_once(api)
    assert len(api.experiments) == 1


def test_without_a_digest_of_the_source_curate_always_runs(api: KfpServer) -> None:
    arguments = resolve("tiny", "folder:/only/there", [], here=False)
    assert arguments["source_digest"] == ""
    assert arguments["catalog"] == "folder:/only/there"
    server = at(api)
    with tiny_package(arguments) as file:
        submit.submit(server, server.connect(), submit.Submission("full_stack", arguments, file))
    tasks = api.runs["run-0"]["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert not tasks["curate"]["cachingOptions"].get("enableCache")
    assert tasks["train-encoder"]["cachingOptions"]["enableCache"]


def step(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"task_id": name, "display_name": name, "state": state, **more}


def looks(*states: tuple[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{"state": s, "run_details": {"task_details": tasks}} for s, tasks in states]


def test_wait_says_what_each_step_does(api: KfpServer) -> None:
    root = step("root", "RUNNING")
    api.states = [
        {"state": "PENDING"},
        *looks(
            ("RUNNING", [root, step("curate-driver", "SUCCEEDED"), step("curate", "RUNNING")]),
            ("RUNNING", [root, step("curate", "SUCCEEDED")]),
            ("SUCCEEDED", [step("root", "SUCCEEDED"), step("curate", "SUCCEEDED")]),
        ),
    ]
    done = invoke(
        *("submit", "full_stack", "--host", api.url, "--preset", "tiny", "--catalog", "demo"),
        *("--cluster-preset", "small", "--wait", "--poll-s", "0.01"),
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == f"run-0  {api.url}/#/runs/details/run-0"
    assert done.stderr.splitlines() == ["curate: running", "curate: succeeded"]


def test_a_failed_run_names_the_step_and_its_reason(api: KfpServer) -> None:
    error = {"code": 2, "message": "error: catalogue 'demo'\nhas changed"}
    tasks = [step("curate", "SUCCEEDED"), step("train-encoder", "FAILED", error=error)]
    api.states = looks(("FAILED", [step("root", "FAILED"), *tasks]))
    run_id, server = run_once(api), at(api)
    with pytest.raises(TastemakerError, match="failed in train-encoder: error: catalogue 'demo' h"):
        submit.follow(server, server.connect(), run_id, timeout_s=5, poll_s=0.01)


def test_a_cancelled_run_and_one_that_takes_too_long(api: KfpServer) -> None:
    run_id, server = run_once(api), at(api)
    api.states = looks(("CANCELED", []))
    with pytest.raises(TastemakerError, match="run-0 was cancelled"):
        submit.follow(server, server.connect(), run_id, timeout_s=5)
    api.states = looks(("RUNNING", []))
    with pytest.raises(TastemakerError, match=r"not ended after 0 s \(it is RUNNING\); it goes on"):
        submit.follow(server, server.connect(), run_id, timeout_s=0, poll_s=0.01)


def test_refusals_are_one_line(api: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    api.token = "right"
    with pytest.raises(ServiceError, match=r"wants a valid token \(401 .*--token-env") as caught:
        run_once(api)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("WRONG", "wrong")
    with pytest.raises(ServiceError, match="401"):
        run_once(api, token_env="WRONG")
    with pytest.raises(ConfigError, match="NOWHERE: this variable is not set"):
        run_once(api, token_env="NOWHERE")
    monkeypatch.setenv("RIGHT", "right")
    assert run_once(api, token_env="RIGHT") == "run-0"


def test_a_token_file_is_read_again_as_it_is_renewed(api: KfpServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    api.token = "first"
    server = at(api, token_file=file)
    client = server.connect()
    file.write_text("second\n")
    api.token = "second"
    assert submit.experiment_id(server, client, "later") == "experiment-0"
    with pytest.raises(ConfigError, match="No such file"):
        at(api, token_file=tmp_path / "none").connect()


def test_namespaces_that_are_forbidden_or_missing(api: KfpServer) -> None:
    api.namespaces, api.forbidden = {"mine", "theirs"}, {"theirs"}
    with pytest.raises(ServiceError, match=r"does not allow this in namespace theirs \(403"):
        run_once(api, namespace="theirs")
    with pytest.raises(ServiceError, match='answered 404 namespaces "nowhere" not found'):
        run_once(api, namespace="nowhere")
    assert run_once(api, namespace="mine") == "run-0"
    assert api.experiments[0]["namespace"] == "mine"


def test_a_busy_server_gets_time_and_a_run_is_made_once(api: KfpServer) -> None:
    api.fail_next = {RUNS: [(503, "busy"), (502, "bad gateway")]}
    assert run_once(api) == "run-0"
    api.lose_next = [RUNS]  # made, but the answer was lost
    assert run_once(api) == "run-1"
    assert len(api.runs) == 2
    api.fail_next = {RUNS: [(503, "busy")] * 9}
    with pytest.raises(ServiceError, match="answered 503 busy"):
        run_once(api)


def test_nobody_there() -> None:
    server = Server("http://127.0.0.1:9", pause_s=0.001)
    with pytest.raises(ServiceError, match=r"cannot reach .*127.0.0.1:9: .*refused.*--host"):
        server.connect()
    with pytest.raises(ConfigError, match="must begin with http"):
        Server("kfp.example.com").connect()


def test_parameters_that_a_pipeline_does_not_have(api: KfpServer) -> None:
    arguments = {**resolve("tiny", "demo", [], here=False), "catalogue": "demo"}
    with (
        tiny_package(arguments) as file,
        pytest.raises(ServiceError, match=r"no parameters \['catalogue'\]; it takes"),
    ):
        submit.check_arguments(file, arguments)
    done = invoke("submit", "full_stack", "--host", api.url, "--set", "train_rooter.steps=1")
    assert isinstance(done.exception, ConfigError)
    assert api.requests == []


def test_overrides_of_the_cluster_are_compiled_in(api: KfpServer) -> None:
    done = invoke(
        *("submit", "full_stack", "--host", api.url, "--preset", "tiny", "--no-cache"),
        *("--cluster-set", "registry=registry.acme.io", "--cluster-set", "home_claim=homes"),
    )
    assert done.exit_code == 0, (done.output, done.exception)
    spec = api.runs["run-0"]["pipeline_spec"]
    executor = spec["pipeline_spec"]["deploymentSpec"]["executors"]["exec-curate"]["container"]
    assert executor["image"].startswith("registry.acme.io/tastemaker/train:")
    assert "homes" in json.dumps(spec["platform_spec"])
    assert "enableCache" not in json.dumps(spec["pipeline_spec"]["root"])
    done = invoke("submit", "full_stack", "--host", api.url, "--cluster-set", "regitsry=x")
    assert isinstance(done.exception, ConfigError)
    assert "did you mean 'registry'" in str(done.exception)


def ensure(api: KfpServer, name: str, cron: str, **more: Any) -> str:
    server, arguments = at(api), {**resolve("tiny", "demo", [], here=False), **more}
    with tiny_package(arguments) as file:
        what = submit.Submission("full_stack", arguments, file)
        return schedule.ensure(server, server.connect(), name, cron, what)


def test_a_schedule_is_made_once_and_replaced_when_it_changes(api: KfpServer) -> None:
    first = ensure(api, "nightly", "30 2 * * *")
    held = api.recurring[first]
    assert held["trigger"] == {"cron_schedule": {"cron": "0 30 2 * * *"}}
    assert (held["max_concurrency"], held["no_catchup"], held["mode"]) == ("1", True, "ENABLE")
    assert ensure(api, "nightly", "30 2 * * *") == first
    other = ensure(api, "hourly", "0 * * * *")
    later = ensure(api, "nightly", "30 3 * * *")
    assert set(api.recurring) == {other, later}
    changed = ensure(api, "nightly", "30 3 * * *", environment="staging")
    assert set(api.recurring) == {other, changed}


def test_a_schedule_whose_answer_was_lost_is_not_made_twice(api: KfpServer) -> None:
    api.lose_next = ["POST /apis/v2beta1/recurringruns"]
    assert [ensure(api, "nightly", "30 2 * * *")] == list(api.recurring)


def test_schedules_are_listed_and_deleted_by_name(api: KfpServer) -> None:
    for name in ("a", "b", "c"):
        ensure(api, name, "0 0 30 2 * *")
    api.recurring["theirs"] = {"recurring_run_id": "theirs", "display_name": "a"}
    shown = invoke("schedule", "list", "--host", api.url)
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["a", "b", "c"]
    assert invoke("schedule", "delete", "a", "--host", api.url).exit_code == 0
    assert {r["display_name"] for r in api.recurring.values()} == {"a", "b", "c"}  # a: theirs
    server = at(api)
    with pytest.raises(NotFound, match=r"no schedule 'd' at .* \(there: b, c\)"):
        schedule.delete(server, server.connect(), "d")


@pytest.mark.parametrize("cron", ["", "* * *", "every day at two", "0 0 * * * * *", "0 0 * * $"])
def test_a_cron_expression_that_is_none(cron: str) -> None:
    with pytest.raises(ConfigError, match="five fields"):
        schedule.cron_fields(cron)
