import json
from pathlib import Path

import pytest

from tastemaker.assistant.tracing import Tracing


def spans(folder: Path) -> list[dict[str, object]]:
    (file,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_turn_is_one_trace_below_the_clients_own(tmp_path: Path) -> None:
    tracing = Tracing(tmp_path / "traces")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    turn = tracing.turn({"traceparent": parent})
    assert turn.trace_id == "0af7651916cd43dd8448eb211c80319c"
    with turn.part("tool", **{"tool.name": "search_items"}):
        assert turn.headers()["traceparent"].split("-")[1] == turn.trace_id
    with pytest.raises(ValueError, match="secret words"), turn.part("router"):
        raise ValueError("secret words")
    turn.end("done", {"turn.steps": 2})
    tracing.close()
    tool, router, whole = spans(tmp_path / "traces")
    assert {s["context"]["trace_id"] for s in (tool, router, whole)} == {f"0x{turn.trace_id}"}
    assert tool["parent_id"] == router["parent_id"] == whole["context"]["span_id"]
    assert whole["parent_id"] == "0xb7ad6b7169203331"
    assert router["status"]["status_code"] == "ERROR"
    assert "secret words" not in json.dumps([tool, router, whole])
    assert whole["attributes"] == {"turn.status": "done", "turn.steps": 2}


def test_old_files_go_and_a_wrong_header_starts_a_trace_of_its_own(tmp_path: Path) -> None:
    for day in range(1, 21):
        (tmp_path / f"2020-01-{day:02}.jsonl").write_text("")
    tracing = Tracing(tmp_path)
    assert len(list(tmp_path.glob("2020-*.jsonl"))) == 14
    first, second = tracing.turn({"traceparent": "nonsense"}), tracing.turn()
    assert first.trace_id != second.trace_id
    for turn in (first, second):
        turn.end("done")
    tracing.close()
