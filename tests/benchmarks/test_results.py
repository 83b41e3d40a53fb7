import json
from pathlib import Path

import pytest

from benchmarks.make_results import HERE, markdown

ROW = {
    "metric": "m",
    "value": 0.5,
    "baseline": 0.4,
    "goal": 0.6,
    "unit": "fraction",
    "seeds": 1,
    "command": "c",
    "commit": "x",
    "date": "d",
    "machine": "m",
}


def test_results_page_is_current() -> None:
    assert (HERE / "RESULTS.md").read_text() == markdown(HERE / "results")


def test_a_miss_is_reported_as_a_miss(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"rows": [ROW, {**ROW, "value": 0.7}]}))
    lines = [line for line in markdown(tmp_path).splitlines() if line.startswith("| m ")]
    assert "**missed**" in lines[0]
    assert "| met |" in lines[1]


def test_of_times_the_lower_one_is_better(tmp_path: Path) -> None:
    rows = [{**ROW, "unit": "ms", "goal": 10, "value": value} for value in (11, 9)]
    (tmp_path / "a.json").write_text(json.dumps({"rows": rows}))
    lines = [line for line in markdown(tmp_path).splitlines() if line.startswith("| m ")]
    assert ["**missed**" in line for line in lines] == [True, False]


def test_a_goal_without_a_figure_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"rows": [{**ROW, "value": None}]}))
    assert "**missed** (not measured)" in markdown(tmp_path)


def test_a_row_without_a_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"rows": [{"metric": "m"}]}))
    with pytest.raises(ValueError, match=r"lacks.*baseline"):
        markdown(tmp_path)


def test_rows_of_several_runs_say_whose_they_are(tmp_path: Path) -> None:
    commands = ["c", "b", "c", "c", "c"]
    rows = [{**ROW, "command": command} for command in commands]
    (tmp_path / "a.json").write_text(json.dumps({"rows": rows}))
    lines = markdown(tmp_path).splitlines()
    assert lines[-2:] == ["- rows 1, 3-5: `c`, commit x, d, m", "- rows 2: `b`, commit x, d, m"]
    (tmp_path / "a.json").write_text(json.dumps({"rows": rows[:1]}))
    assert markdown(tmp_path).splitlines()[-2:] == ["", "`c`, commit x, d, m"]
