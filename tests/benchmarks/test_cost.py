"""The benchmark's parts that need no server."""

from pathlib import Path

import numpy as np

from benchmarks import cost
from tastemaker.assistant.providers.request import RouterReply
from tastemaker.router import messages as codec
from tastemaker.router.dialogue_files import Dialogue, DialogueSet, Turn, Vectors

DIALOGUE = Dialogue(
    (
        Turn("user", "red lamp"),
        Turn("assistant", name="search_items", arguments={"query": "red lamp"}),
        Turn("tool", lists=((1, (0, 2)),)),
        Turn("assistant", name="answer", arguments={"text": "Here.", "items": "@1"}),
        Turn("user", "like the second"),
        Turn("assistant", name="similar_items", arguments={"item": {"list": "@1", "ref": "red"}}),
    ),
    user=0,
)


def steps() -> list[cost.Step]:
    vectors = Vectors(np.eye(3, 4, dtype=np.float32), np.ones((1, 2), np.float32))
    made = DialogueSet(vectors, {}, Path())
    return cost.steps_of(DIALOGUE, made, ["a", "b", "c"])


def test_each_step_has_its_true_history_and_lists() -> None:
    found = steps()
    assert [step.name for step in found] == ["search_items", "answer", "similar_items"]
    assert [step.goes_on for step in found] == [False, True, True]
    assert [len(step.request.lists) for step in found] == [0, 1, 1]
    assert [len(step.request.messages) for step in found] == [2, 4, 6]
    listed = found[1].request.lists[0]
    assert [found[1].request.describe(str(item)) for item in listed.item_ids] == ["a", "c"]


def test_exact_means_tool_and_all_arguments() -> None:
    step = steps()[0]
    right = RouterReply(codec.assistant_message("x", "search_items", {"query": "red lamp"}), 1, 1)
    wrong = RouterReply(codec.assistant_message("x", "search_items", {"query": "lamp"}), 1, 1)
    assert step.is_exact(right)
    assert not step.is_exact(wrong)
    assert not step.is_exact(RouterReply({"content": "hello"}, 1, 1))


def test_tools_that_the_right_calls_need() -> None:
    servers = [server for server, _ in cost.tool_requests(steps())]
    assert servers == ["encoder", "retrieval", "recommender", "encoder", "retrieval"]
