import io
import json
from pathlib import Path

from tastemaker.core.home import Home
from tastemaker.jobs.full_stack import forget_lost
from tastemaker.jobs.pipeline_output import PipelineOutput


def test_cache_entries_of_lost_bundles_are_dropped_and_others_kept(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    home.path("bundles", "aa", "bundle.yaml").write_text("")
    home.path("datasets", "bb.yaml").write_text("")
    for name, content in (
        ("kept1", '{"Output": "aa"}'),
        ("kept2", '{"Output": "bb"}'),
        ("lost", '{"Output": "cc"}'),
        ("broken", "{"),
    ):
        home.path("kfp", "cache", f"{name}.json").write_text(content)
    forget_lost(home)
    left = {path.stem for path in (tmp_path / "kfp" / "cache").iterdir()}
    assert left == {"kept1", "kept2"}


def test_a_person_sees_steps_and_their_lines_and_the_log_sees_all() -> None:
    screen, log = io.StringIO(), io.StringIO()
    output = PipelineOutput(screen, log)
    dump = json.dumps({"inputs": {"x": 1}}, indent=4).replace("\n", "\n    ")
    text = (
        "05:17:55.302 - INFO - Executing task \x1b[96m'train-encoder'\x1b[0m\n"
        "    [KFP Executor 2026 INFO]: Got executor_input:\n"
        f"    {dump}\n"
        "    train encoder  5/10\n"
        "    error: items.csv has no column 'title'\n"
        "----------\n"
    )
    output.write(text[:50])
    output.write(text[50:])
    shown = screen.getvalue().splitlines()
    assert shown[0] == "== train-encoder"
    assert shown[1].strip() == "train encoder  5/10"
    assert "inputs" not in screen.getvalue()
    assert output.steps == ["train-encoder"]
    assert output.failure == "items.csv has no column 'title'"
    assert log.getvalue() == text
