import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import Turn
from tastemaker.assistant.conversation_records import Records
from tastemaker.assistant.conversation_store import Conversations
from tastemaker.assistant.identity import Caller, Owner
from tastemaker.assistant.keeping import Keeper, Left
from tastemaker.assistant.ledger import Entry, Ledger
from tastemaker.assistant.limits import Limits
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.reply import Reply
from tastemaker.data import event_log

ADA = Owner("ada")


class Pushes:
    """The features: which events it was asked to push."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def push(self, ids: list[int]) -> None:
        self.asked += ids


PAYER = Caller("ada-key", "ada", frozenset({"user"}), 60, cents_per_day=1.0)


@pytest.fixture
def engine(each_database: Engine) -> Engine:
    return each_database


@pytest.fixture
def keeper(engine: Engine, catalogue: Catalogue) -> Keeper:
    features: Any = Pushes()
    ledger, boards = Ledger(engine, Prices.read()), BoardStore(engine)
    return Keeper(Conversations(engine, catalogue), features, ledger, Limits(engine), boards)


def left(keeper: Keeper, turn_id: str = "t1", **changes: Any) -> Left:
    """A turn of ada's that showed two items."""
    conversation = keeper.conversations.new(ADA)
    reply = Reply(
        id=turn_id,
        created=1,
        conversation=conversation.conversation_id,
        question="blue",
        text="Here.",
        items=({"item_id": "a"}, {"item_id": "b"}),
        steps=(),
        prompt_tokens=5,
        completion_tokens=2,
        ms=1.0,
        cents=0.1,
        notices=(),
        trace="0" * 32,
    )
    entry = Entry(turn_id, "tool", "search_items", "free", 1, user_id="ada", cents=0.1)
    turn = Turn("blue", (), turn_id=turn_id)
    return replace(
        Left(conversation, "ada-key", (), turn, reply, [entry], began_ms=2000), **changes
    )


def test_a_turn_leaves_its_record_its_money_and_what_was_shown(
    keeper: Keeper, engine: Engine
) -> None:
    kept = left(keeper)
    keeper.keep(kept)
    session = kept.conversation.conversation_id
    assert Records(engine).of_turn("t1", ADA) is not None
    assert [entry["cents"] for entry in keeper.ledger.of_turn("t1")] == [0.1]
    for limits in (keeper.limits, Limits(engine)):
        assert asyncio.run(limits.remaining(PAYER)) == pytest.approx(0.9)
    shown = event_log.since(engine)
    assert [(event.item_id, event.action) for event in shown] == [
        ("a", "impression"),
        ("b", "impression"),
    ]
    assert {(event.user_id, event.session_id) for event in shown} == {("ada", session)}
    assert event_log.pending(engine) == [], "no feature reads impressions"
    held = keeper.conversations.get(session, ADA)
    assert held is not None
    assert [turn.question for turn in held.turns] == ["blue"]


def test_a_click_is_pushed(keeper: Keeper, engine: Engine) -> None:
    keeper.keep(left(keeper, liked="c"))
    (click,) = event_log.pending(engine)
    assert (click.item_id, click.action) == ("c", "closeup")
    assert click.event_id in keeper.features.asked  # type: ignore[attr-defined]


def test_a_turn_that_was_broken_off_leaves_its_record_and_its_money(
    keeper: Keeper, engine: Engine
) -> None:
    keeper.keep(left(keeper, turn=None, liked="c"))
    assert Records(engine).of_turn("t1", ADA) is not None
    assert keeper.ledger.of_turn("t1")
    assert event_log.since(engine) == []


def test_of_a_user_who_was_forgotten_meanwhile_only_the_money_stays(
    keeper: Keeper, engine: Engine
) -> None:
    step = {"tool": "board_save", "arguments": {"title": "Blue"}}
    keeper.boards.create("ada", "Blue", ["a"])
    event_log.forget_user(engine, "ada", now_ms=2000)
    kept = left(keeper)
    keeper.keep(replace(kept, record=replace(kept.record, steps=(step,))))
    assert Records(engine).of_turn("t1", ADA) is None
    assert Records(engine).count("ada") == 0
    assert event_log.since(engine) == []
    assert [entry["user_id"] for entry in keeper.ledger.of_turn("t1")] == [None]
    assert keeper.boards.same_title("ada", "Blue") is None
    keeper.keep(left(keeper, "t2", began_ms=2001))
    assert Records(engine).count("ada") == 1


def test_all_or_nothing(keeper: Keeper, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> list[int]:
        raise OSError("disk full")

    monkeypatch.setattr(event_log, "add", broken)
    with pytest.raises(OSError, match="disk full"):
        keeper.keep(left(keeper))
    assert Records(engine).of_turn("t1", ADA) is None
    assert keeper.ledger.of_turn("t1") == []
    assert asyncio.run(keeper.limits.remaining(PAYER)) == 1.0


def test_a_deleted_conversation_is_not_brought_back(keeper: Keeper, engine: Engine) -> None:
    first = left(keeper)
    keeper.keep(first)
    held = keeper.conversations.get(first.conversation.conversation_id, ADA)
    assert held is not None
    keeper.conversations.delete(held.conversation_id, ADA)
    keeper.keep(left(keeper, "t2", conversation=held, context=held.turns))
    assert Records(engine).of_turn("t2", ADA) is None
    assert len(event_log.since(engine)) == 2
    assert keeper.ledger.of_turn("t2")
