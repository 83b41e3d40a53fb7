import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tastemaker.assistant.tracing import Tracing


def spans(folder: Path) -> list[dict[str, Any]]:
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


def test_in_an_event_loop_spans_are_made_after_the_turn_with_its_own_times(tmp_path: Path) -> None:
    tracing = Tracing(tmp_path)

    async def turns() -> None:
        for number in range(2):
            turn = tracing.turn()
            with turn.part("router"):
                await asyncio.sleep(0.05)
            turn.end("done", {"turn.steps": number})
            assert turn.span.is_recording(), "nobody waits for that"
            if number == 0:
                await asyncio.sleep(0.2)
                assert not turn.span.is_recording()

    asyncio.run(turns())
    tracing.close()  # the second turn's were not made yet
    parts = [one for one in spans(tmp_path) if one["name"] == "router"]
    wholes = [one for one in spans(tmp_path) if one["name"] == "turn"]
    assert [one["attributes"]["turn.steps"] for one in wholes] == [0, 1]
    for part, whole in zip(parts, wholes, strict=True):
        assert part["parent_id"] == whole["context"]["span_id"]
        assert 0.05e9 <= part["end_ns"] - part["start_ns"] <= whole["end_ns"] - whole["start_ns"]
