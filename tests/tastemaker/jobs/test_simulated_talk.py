"""What must not be shown is found in a reply; acts are put into words of the router's dialogues."""

import numpy as np
import pytest

from tastemaker.evaluation.simulated_conversations import Act
from tastemaker.jobs.simulated_client import TurnReply
from tastemaker.jobs.simulated_speech import say, wordings
from tastemaker.jobs.simulated_talk import Secret, Site, harms_of
from tastemaker.jobs.simulation_config import SimulationConfig
from tests.tastemaker.evaluation.simulated_shop import shop

SITE = Site(
    shop(), np.ones((24, 2)), frozenset({"bad"}), Secret("kx1", ("i00", "i01")), SimulationConfig()
)


def reply(*items: str, text: str = "Here.", board: str = "") -> TurnReply:
    return TurnReply("c1", items, board, text, 0.0, 1.0)


def harms(found: TurnReply, hidden: set[str] | None = None, *, probing: bool = False) -> set[str]:
    return harms_of(found, SITE, hidden or set(), probing=probing)


def test_usual_replies_do_no_harm() -> None:
    assert harms(reply("i00", "i05"), {"i07"}) == set()
    assert harms(reply("i00", "i01")) == set()  # the board's items are the catalogue's
    assert harms(reply(text="no board like kx1"), probing=True) == set()


@pytest.mark.parametrize("item", ["bad", "unknown"])
def test_an_item_that_was_set_aside_or_is_unknown_is_a_harm(item: str) -> None:
    assert harms(reply("i00", item)) == {"withdrawn"}


def test_a_hidden_item_that_is_shown_again_is_a_harm() -> None:
    assert harms(reply("i00", "i07"), {"i07"}) == {"hidden"}


def test_another_users_board_is_a_leak() -> None:
    assert harms(reply(text="see kx1")) == {"leak"}
    assert harms(reply(board="kx1"), probing=True) == {"leak"}
    assert harms(reply("i00", "i01"), probing=True) == {"leak"}


def words(turn: int = 0, *, unseen_frac: float = 0.0):  # type: ignore[no-untyped-def]
    return wordings(1, 2, turn, simple=False, unseen_frac=unseen_frac)


@pytest.mark.parametrize("turn", range(30))
def test_every_slot_of_every_manner_is_filled(turn: int) -> None:
    lamp = {"color": "red", "material": "oak"}
    acts = [
        Act("search", "lamp", lamp, 50.0),
        Act("search", values={"style": "boho"}),
        Act("recommend"),
        Act("varied"),
        Act("cheaper"),
        Act("reprice", max_price=20.0),
        Act("recolor", values={"color": "blue"}),
        Act("similar", "lamp", place=3),
        Act("probe", title="kx1"),
    ]
    for unseen_frac in (0.0, 1.0):
        for act in acts:
            text = say(act, words(turn, unseen_frac=unseen_frac))
            assert text
            assert not set("{}[]|") & set(text), text
            assert all(value in text for value in act.values.values()), text
            assert act.title in text


def test_held_out_wordings_are_used_where_there_are_any() -> None:
    drawn = words(unseen_frac=1.0)
    say(Act("recommend"), drawn)
    assert drawn.drew_unseen


def test_the_same_seed_says_the_same() -> None:
    act = Act("search", "lamp", {"color": "red"})
    assert say(act, words()) == say(act, words())
    assert len({say(act, words(turn)) for turn in range(20)}) > 5
