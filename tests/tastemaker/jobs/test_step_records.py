import json
from pathlib import Path

import pytest

from tastemaker.core.home import Home
from tastemaker.jobs import step_records, steps

MADE = "a" * 16


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path))
    for name in ("TASTEMAKER_RUN", "KFP_RUN_ID", "ARGO_NODE_ID"):
        monkeypatch.delenv(name, raising=False)
    return Home.open()


def keep(home: Home, seconds: float, made: str = MADE, step: str = "train_router") -> None:
    step_records.record(home, step, made, {"dialogues": "d"}, seconds=seconds, cpu_seconds=1)


def test_a_step_leaves_what_it_made_from_what_and_how_long_it_took(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_RUN", "run-7")

    @steps.step
    def make_something(dataset: str, settings: str = "") -> str:
        assert sum(n * n for n in range(200_000))
        return MADE

    assert make_something("d" * 16, settings='{"steps": 3}') == MADE
    (done,) = step_records.of(home, MADE)
    assert (done.step, done.made, done.run) == ("make_something", MADE, "run-7")
    assert done.inputs["dataset"] == "d" * 16
    assert len(done.inputs["settings"]) == 16
    assert done.seconds > 0
    assert done.cpu_s > 0
    assert done.ended.endswith("Z")
    head = step_records.code_commit()
    assert done.code == head
    assert len(head.removesuffix("+")) == 40


def test_what_is_no_digest_is_not_kept(home: Home) -> None:
    @steps.step
    def tell() -> str:
        return "all is well"

    tell()
    assert home.names(step_records.FOLDER) == []


def test_the_end_that_did_the_work_counts(home: Home) -> None:
    for seconds in (0.1, 30.0, 0.2):
        keep(home, seconds)
    keep(home, 99.0, step="evaluate_router")
    found = step_records.longest(home, MADE, "train_router")
    assert found is not None
    assert found.seconds == 30.0
    assert [one.seconds for one in step_records.of_step(home, "train_router")] == [30.0]
    assert step_records.longest(home, "b" * 16, "train_router") is None


def test_the_newest_entries_are_kept(home: Home) -> None:
    for seconds in range(30):
        keep(home, float(seconds))
    kept = step_records.of(home, MADE)
    assert len(kept) == 20
    assert kept[-1].seconds == 29.0


def test_a_file_of_another_version_says_nothing(home: Home) -> None:
    for text in ("not json", json.dumps([{"step": "x", "surprise": 1}]), json.dumps({"a": 1})):
        home.write_text(text, "runs", f"{MADE}.json")
        assert step_records.of(home, MADE) == []
    keep(home, 1.0)
    assert [one.seconds for one in step_records.of(home, MADE)] == [1.0]
