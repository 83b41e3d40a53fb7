import itertools
from pathlib import Path

import numpy as np
import pytest

from tastemaker.core.errors import NotFound
from tastemaker.router.config import DialoguesConfig
from tastemaker.router.dialogue_files import (
    Dialogue,
    Vectors,
    count_kinds,
    open_dialogues,
    write_dialogues,
    write_shared,
)
from tastemaker.router.dialogues import make_dialogue, nearest, recolored
from tastemaker.router.draft import Stock
from tastemaker.router.kinds import KINDS
from tastemaker.router.messages import parse_handle, read_call
from tastemaker.router.tokenizer import canonical
from tastemaker.router.tools import ANSWER, fault

COPYING = (
    "search", "recommend", "recommend variety", "recommend by outcome", "complete a board",
    "open a board", "save a board", "shop a room", "similar to a picture", "second step",
)  # fmt: skip


def test_every_call_follows_its_schema_and_names_lists_that_exist(
    dialogues: list[Dialogue], vectors: Vectors
) -> None:
    for dialogue in dialogues:
        sizes: dict[int, int] = {}
        for turn in dialogue.turns:
            sizes |= {number: len(rows) for number, rows in turn.lists}
            if turn.role != "assistant":
                continue
            arguments = turn.arguments or {}
            assert fault(turn.name, arguments) == ""
            item = arguments.get("item", arguments.get("items", "@0"))
            handle = item["list"] if isinstance(item, dict) else item
            if handle != "@0":
                number, place = parse_handle(handle)
                assert (place or 1) <= sizes[number]
        assert list(sizes) == list(range(1, len(sizes) + 1))


def test_queries_are_copied_from_what_was_said(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        said = ""
        for turn in dialogue.turns:
            said += " " + canonical(turn.text)
            if turn.role == "assistant" and turn.kind in COPYING:
                for key in {"query", "title"} & set(turn.arguments or {}):
                    assert f" {canonical((turn.arguments or {})[key])} " in f" {said} "


def test_every_user_turn_ends_with_an_answer(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        roles = [turn.role for turn in dialogue.turns]
        assert roles[0] == "user"
        for one, two in itertools.pairwise(dialogue.turns):
            assert (two.role == "user") == (one.role == "assistant" and one.name == ANSWER)
        assert dialogue.turns[-1].name == ANSWER


def test_all_kinds_of_calls_occur(stock: Stock) -> None:
    made = [make_dialogue(stock, DialoguesConfig(), "train", n) for n in range(600)]
    assert set(count_kinds(made)) == set(KINDS)


def test_a_dialogue_is_a_function_of_its_number(stock: Stock) -> None:
    config = DialoguesConfig()
    assert make_dialogue(stock, config, "val", 7) == make_dialogue(stock, config, "val", 7)
    assert make_dialogue(stock, config, "val", 7) != make_dialogue(stock, config, "val", 8)


def test_unseen_wordings_are_of_the_test_split_alone(stock: Stock) -> None:
    for split in ("train", "val", "test"):
        made = [make_dialogue(stock, DialoguesConfig(), split, n) for n in range(200)]
        assert any(turn.unseen for d in made for turn in d.turns) == (split == "test")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("red velvet sofa", "blue velvet sofa"),
        ("sofa in navy blue", "sofa in blue"),
        ("velvet sofa", "blue velvet sofa"),
        ("reddish sofa", "blue reddish sofa"),
    ],
)
def test_a_query_in_another_colour(query: str, wanted: str) -> None:
    assert recolored(query, "blue", ("red", "navy blue", "blue")) == wanted


def test_nearest_starts_with_the_item_itself() -> None:
    items = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], np.float32)
    assert nearest(items, 2).tolist() == [[0, 2], [1, 2], [2, 0]]


def test_files_round_trip(tmp_path: Path, dialogues: list[Dialogue], vectors: Vectors) -> None:
    write_dialogues(tmp_path, "train", dialogues)
    write_shared(tmp_path, vectors, {"nouns": {"sofa": "sofa"}})
    opened = open_dialogues(tmp_path)
    assert opened.read("train") == dialogues
    np.testing.assert_array_equal(opened.vectors.items_ND, vectors.items_ND)
    with pytest.raises(NotFound, match="no dialogues"):
        open_dialogues(tmp_path / "absent")


def test_messages_of_a_dialogue_hold_its_calls(dialogues: list[Dialogue], vectors: Vectors) -> None:
    for dialogue in dialogues[:20]:
        messages = dialogue.to_messages(vectors)
        calls = [read_call(m) for m in messages if m["role"] == "assistant"]
        wanted = [(t.name, t.arguments) for t in dialogue.turns if t.role == "assistant"]
        assert calls == wanted
        assert (messages[0]["role"] == "system") == (dialogue.user is not None)
