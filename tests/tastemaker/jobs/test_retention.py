"""What is live, could be rolled back to, or is young stays; the rest goes, cache entry first."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tastemaker.core.config import load_preset
from tastemaker.core.database import open_database
from tastemaker.core.errors import ConfigError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs import collect_events, flow_records, pipeline_run, retention
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.promotion import promote
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import Live, get_live
from tests.pipelines.flows import cheap_steps
from tests.pipelines.flows.small_loop import add_events, make_home

DAY_S = 86_400.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = make_home(tmp_path / "home")
    monkeypatch.setenv("TASTEMAKER_HOME", home.location)
    get_live(home, "local", "encoder")  # makes the repository
    return home


@pytest.fixture
def config() -> FlowConfig:
    return load_preset(FlowConfig, "flows", "tiny")


def trained(home: Home, item: int) -> dict[str, str]:
    """A dataset version and a user model that nothing references, in the cache too."""
    add_events(home, 20, item=item)
    live = get_live(home, "local", "encoder")
    dataset = collect_events.run(home, live.dataset, open_database(home.database()))
    key = f"t{item}"
    cheap_steps.train(key, dataset, live.bundle)
    made = pipeline_run.result(home, key)
    assert made
    entry = json.dumps({"Output": made["sequence"]})
    home.path("kfp", "cache", f"{key}.json").write_text(entry)
    return made


def in_days(days: float) -> float:
    return time.time() + days * DAY_S


def test_everything_young_stays(home: Home, config: FlowConfig) -> None:
    trained(home, 1)
    assert retention.clean_up(home, config, now_s=in_days(1)) == []


def test_what_nothing_references_goes_together_with_its_cache_entry(
    home: Home, config: FlowConfig
) -> None:
    made = trained(home, 1)
    flow_records.once(home, "retrain", "k", lambda: made, deadline_s=60)
    table = load_dataset(home, made["dataset"]).tables["events"].uri
    told = retention.clean_up(home, config, now_s=in_days(30), dry_run=True)
    assert home.holds("bundles", made["sequence"])  # a dry run only tells
    gone = retention.clean_up(home, config, now_s=in_days(30))
    assert gone == told
    wanted = [f"bundles/{made['sequence']}", f"datasets/{made['dataset']}.yaml", table]
    assert [line for line in gone if line in wanted] == wanted  # children before their parents
    for place in wanted:
        assert not (home.root / place).exists()
    assert home.names("kfp", "cache") == []
    assert pipeline_run.result(home, "t1") is None
    assert flow_records.read(home, "retrain", "k") is None  # else it would be "done before"


def test_what_is_live_stays_with_all_that_it_was_made_from(home: Home, config: FlowConfig) -> None:
    live = {model: get_live(home, "local", model) for model in ("encoder", "recommender", "router")}
    retention.clean_up(home, config, now_s=in_days(400))
    for one in live.values():
        load_bundle(home, one.bundle)
        assert len(load_dataset(home, one.dataset).read("events")) == 60


def promoted(home: Home, made: dict[str, str]) -> None:
    at = get_live(home, "local", "encoder")
    cheap_steps.judge("j", at.dataset, "local", made["sequence"])
    judged = pipeline_run.result(home, "j")
    assert judged
    live = Live(made["sequence"], at.dataset, at.bundle)
    promote.promote(home, "local", "recommender", live, judged["evidence.recommender"])


def test_what_a_rollback_could_need_stays_with_its_parents(home: Home, config: FlowConfig) -> None:
    first = get_live(home, "local", "recommender").bundle
    made = trained(home, 1)
    promoted(home, made)
    retention.clean_up(home, config, now_s=in_days(400))
    promote.rollback(home, "local", "recommender", "a drill")
    assert get_live(home, "local", "recommender").bundle == first
    load_bundle(home, first)
    retention.clean_up(home, config, now_s=in_days(400))
    load_bundle(home, made["sequence"])  # it is in the last commits: a person may want it back
    load_dataset(home, made["dataset"]).read("events")


def test_beyond_the_commits_that_count_it_goes(home: Home, config: FlowConfig) -> None:
    made = trained(home, 1)
    promoted(home, made)
    promote.rollback(home, "local", "recommender", "a drill")
    promoted(home, trained(home, 2))
    rule = config.retention.model_copy(update={"rollback_commits": 1})
    short = config.model_copy(update={"retention": rule})
    retention.clean_up(home, short, now_s=in_days(400))
    assert not home.holds("bundles", made["sequence"])


def test_killed_at_any_moment_nothing_is_named_that_is_gone(
    home: Home, config: FlowConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trained(home, 1)
    original, left = Home.remove, [0]

    def killed(self: Home, *parts: str) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        original(self, *parts)

    for moment in range(12):
        left[0] = moment
        monkeypatch.setattr(Home, "remove", killed)
        with suppress(KeyboardInterrupt):
            retention.clean_up(home, config, now_s=in_days(30))
        monkeypatch.undo()
        monkeypatch.setenv("TASTEMAKER_HOME", home.location)
        for name in home.names("kfp", "cache"):
            assert home.holds(
                "bundles", json.loads(home.read_text("kfp", "cache", name) or "")["Output"]
            )
        if home.holds("bundles", made["sequence"]):
            load_dataset(home, load_bundle(home, made["sequence"]).card.parents["dataset"])
        if home.holds("datasets", f"{made['dataset']}.yaml"):
            load_dataset(home, made["dataset"]).read("events")
    assert not home.holds("datasets", f"{made['dataset']}.yaml")


def test_it_waits_for_a_pipeline_that_is_at_work(home: Home, config: FlowConfig) -> None:
    lock = home.path("run", "pipeline.lock")
    code = (
        "import fcntl, sys, time\n"
        "lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(TastemakerError, match="pipeline run works"):
            retention.clean_up(home, config, now_s=in_days(30))
        process.kill()


def test_where_nothing_says_what_is_live_nothing_goes(tmp_path: Path, config: FlowConfig) -> None:
    empty = Home.open(str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="nothing is removed"):
        retention.clean_up(empty, config, now_s=in_days(400))


def test_old_scratch_of_runs_goes(home: Home, config: FlowConfig) -> None:
    folder = home.path("kfp", "runs", "retrain-2026-01-01", "x").parent
    os.utime(folder, (0, 0))
    assert "kfp/runs/retrain-2026-01-01" in retention.clean_up(home, config)
    assert not folder.exists()
