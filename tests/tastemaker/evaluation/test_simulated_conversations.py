"""The agenda: what a user does with a list, and what they say next."""

import pytest

from tastemaker.evaluation.simulated_conversations import Act, Conversation, Deed
from tastemaker.evaluation.simulated_goals import Goal
from tests.tastemaker.evaluation.simulated_shop import KINDS, exact_shopper, shop

BLUE_LAMP = Goal("item", "lamp", {"color": "blue"}, None, 1)
ROWS = {kind: row for row, kind in enumerate(KINDS)}
BLUE, RED, GREEN = (ROWS["lamp", color, "boho"] for color in ("blue", "red", "green"))
CHAIR = ROWS["chair", "red", "boho"]


def talk(goal: Goal = BLUE_LAMP, *, probe: str = "", **nature: int) -> Conversation:
    return Conversation(shop(), exact_shopper(goal, **nature), seed=7, probe=probe)


def first_reaction(goal: Goal, rows: list[int], seed: int) -> Act:
    _, act = Conversation(shop(), exact_shopper(goal), seed).read(rows)
    assert act is not None
    return act


def test_a_user_says_what_they_want_takes_it_and_leaves() -> None:
    conversation = talk()
    assert conversation.opening() == Act("search", "lamp", {"color": "blue"})
    deeds, act = conversation.read([CHAIR, BLUE])
    assert deeds == [Deed(BLUE, "save")]
    assert act is None
    assert conversation.success
    assert conversation.ended == "satisfied"
    with pytest.raises(ValueError, match="has ended: satisfied"):
        conversation.read([])


def test_what_stands_below_the_last_look_is_not_seen() -> None:
    conversation = talk(looks=2)
    deeds, _ = conversation.read([CHAIR, RED, BLUE])
    assert Deed(BLUE, "save") not in deeds
    assert not conversation.success


def test_patience_ends_after_turns_in_a_row_that_give_nothing() -> None:
    conversation = talk(patience=2)
    assert conversation.read([CHAIR])[1] is not None
    assert conversation.read([])[1] is None
    assert conversation.ended == "impatient"
    assert not conversation.success


def test_something_taken_gives_patience_back() -> None:
    two = Goal("item", "lamp", {"color": "blue"}, None, 2)
    conversation = talk(two, patience=2)
    conversation.read([CHAIR])
    conversation.read([BLUE])
    assert conversation.read([BLUE])[1] is not None  # taken before: gives nothing, once
    assert conversation.read([BLUE])[1] is None


def test_the_last_turn_ends_it() -> None:
    conversation = talk(patience=9, turns=1)
    assert conversation.read([CHAIR])[1] is None
    assert conversation.ended == "turns"


def test_a_wrong_colour_is_named_or_refined_and_a_dear_item_is_called_dear() -> None:
    acts = [first_reaction(BLUE_LAMP, [RED], seed) for seed in range(30)]
    assert {act.manner for act in acts} == {"recolor", "similar", "search"}
    assert {act.values["color"] for act in acts if act.manner == "recolor"} == {"blue"}
    cheap = Goal("item", "lamp", {"color": "blue"}, 10.0, 1)  # the blue lamp costs more
    dear = [first_reaction(cheap, [BLUE], seed) for seed in range(30)]
    assert {(act.manner, act.max_price) for act in dear} == {("cheaper", None), ("reprice", 10.0)}


def test_more_like_this_names_the_place_of_the_nearest_item() -> None:
    acts = [first_reaction(BLUE_LAMP, [CHAIR, GREEN], seed) for seed in range(30)]
    places = {act.place for act in acts if act.manner == "similar"}
    assert places == {2}


def test_a_probe_comes_first_and_costs_no_patience() -> None:
    conversation = talk(probe="kx1", patience=1)
    assert conversation.opening() == Act("probe", title="kx1")
    assert conversation.read([])[1] == Act("search", "lamp", {"color": "blue"})
    assert conversation.barren == 0


def test_the_same_replies_give_the_same_conversation() -> None:
    said = []
    for _ in range(2):
        conversation = talk(patience=9)
        said.append([conversation.read(rows) for rows in ([CHAIR], [RED], [GREEN, RED], [])])
    assert said[0] == said[1]
