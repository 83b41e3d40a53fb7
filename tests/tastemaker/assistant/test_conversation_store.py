from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import ItemList, Turn
from tastemaker.assistant.conversation_records import Records
from tastemaker.assistant.conversation_store import Conversations
from tastemaker.assistant.identity import Owner
from tastemaker.core.statements import writing

ADA, BOB, GUEST = Owner("ada"), Owner("bob"), Owner(None, "web")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(each_database: Engine) -> Engine:
    return each_database


def ask(catalogue: Catalogue, question: str, turn_id: str) -> Turn:
    ids = tuple(item.item_id for item in catalogue.items[:3])
    own = np.eye(1, catalogue.vectors_ND.shape[1], dtype=np.float32)
    lists = (
        ItemList(ids, catalogue.vectors(ids), (0.3, 0.2, 0.1)),
        ItemList((None,), own, (), ("aGk=",)),
    )
    return Turn(question, ({"role": "user", "content": question},), lists, 0, "x", turn_id)


def put(store: Conversations, *turn: Any) -> bool:
    """Store a turn in a transaction of its own."""
    with writing(store.engine) as direct:
        held = store.put(direct, *turn)
    return held is not None and bool(store.keep(held))


def test_a_turn_is_the_same_for_the_next_process(engine: Engine, catalogue: Catalogue) -> None:
    first = Conversations(engine, catalogue)
    started = first.new(ADA)
    turn = ask(catalogue, "blue", "t1")
    put(first, started, (), turn, {"id": "t1", "answer": "Here."})
    found = Conversations(engine, catalogue).get(started.conversation_id, ADA)
    assert found is not None
    (read,) = found.turns
    assert (read.question, read.messages, read.shown) == (turn.question, turn.messages, 0)
    assert (read.liked, read.turn_id) == ("x", "t1")
    for was, now in zip(turn.lists, read.lists, strict=True):
        assert (was.item_ids, was.scores, was.images) == (now.item_ids, now.scores, now.images)
        np.testing.assert_array_equal(was.vectors_ND, now.vectors_ND)
    assert first.get(started.conversation_id, ADA) is not found
    records = Records(engine).of_conversation(started.conversation_id, ADA)
    assert records == [{"id": "t1", "answer": "Here."}]


def test_nobody_else_reads_or_deletes_it(engine: Engine, catalogue: Catalogue) -> None:
    store = Conversations(engine, catalogue)
    started = store.new(ADA)
    put(store, started, (), ask(catalogue, "blue", "t1"), {"id": "t1"})
    for other in (BOB, GUEST, Owner(None, "ada"), Owner("ada", "key")):
        assert store.get(started.conversation_id, other) is None
        assert Records(engine).of_conversation(started.conversation_id, other) is None
        assert Records(engine).of_turn("t1", other) is None
        assert not store.delete(started.conversation_id, other)
        assert not store.delete_turn("t1", other)
    assert Records(engine).count("ada") == 1
    assert store.forget("ada") == {"conversations": 1, "turns": 1}
    assert store.get(started.conversation_id, ADA) is None
    assert Records(engine).of_turn("t1", ADA) is None


def test_an_idle_conversation_ends_and_old_turns_are_swept(
    engine: Engine, catalogue: Catalogue
) -> None:
    clock = Clock()
    store = Conversations(engine, catalogue, idle_s=10, clock=clock)
    started = store.new(GUEST)
    put(store, started, (), ask(catalogue, "blue", "t1"), {"id": "t1"})
    clock.now += 9
    assert store.get(started.conversation_id, GUEST) is not None
    clock.now += 2
    assert store.get(started.conversation_id, GUEST) is None
    assert Records(engine).of_turn("t1", GUEST) == {"id": "t1"}
    clock.now += 86_400
    assert store.sweep(keep_days=1) == 1
    assert Records(engine).of_turn("t1", GUEST) is None


def test_what_the_router_no_longer_sees_stays_in_the_record(
    engine: Engine, catalogue: Catalogue
) -> None:
    store = Conversations(engine, catalogue)
    held = store.new(GUEST)
    turns: list[Turn] = []
    for name in ("a", "b", "c"):
        turns.append(ask(catalogue, name, name))
        put(store, held, turns[:-1], turns[-1], {"id": name})
        found = store.get(held.conversation_id, GUEST)
        assert found is not None
        held = found
    put(store, held, turns[:1], ask(catalogue, "d", "d"), {"id": "d"})  # branched after a
    fresh = Conversations(engine, catalogue).get(held.conversation_id, GUEST)
    assert fresh is not None
    assert [turn.question for turn in fresh.turns] == ["a", "d"]
    records = Records(engine).of_conversation(held.conversation_id, GUEST)
    assert [record["id"] for record in records or []] == ["a", "b", "c", "d"]


def test_a_turn_broken_off_is_recorded_and_not_continued(
    engine: Engine, catalogue: Catalogue
) -> None:
    store = Conversations(engine, catalogue)
    held = store.new(GUEST)
    put(store, held, (), ask(catalogue, "a", "a"), {"id": "a"})
    held = store.get(held.conversation_id, GUEST) or held
    put(store, held, held.turns, None, {"id": "b", "status": "cancelled"})
    fresh = Conversations(engine, catalogue).get(held.conversation_id, GUEST)
    assert fresh is not None
    assert [turn.question for turn in fresh.turns] == ["a"]
    put(store, fresh, fresh.turns, ask(catalogue, "c", "c"), {"id": "c"})
    assert [
        r["id"] for r in Records(engine).of_conversation(held.conversation_id, GUEST) or []
    ] == ["a", "b", "c"]


def test_another_space_ends_a_conversation(engine: Engine, catalogue: Catalogue) -> None:
    store = Conversations(engine, catalogue)
    held = store.new(GUEST)
    put(store, held, (), ask(catalogue, "a", "a"), {"id": "a"})
    other = Catalogue.__new__(Catalogue)
    other.__dict__.update({**catalogue.__dict__, "space": "another"})
    assert Conversations(engine, other).get(held.conversation_id, GUEST) is None


def test_a_deleted_turn_is_not_seen_again(engine: Engine, catalogue: Catalogue) -> None:
    store = Conversations(engine, catalogue)
    held = store.new(ADA)
    put(store, held, (), ask(catalogue, "a", "a"), {"id": "a"})
    assert store.delete_turn("a", ADA)
    found = store.get(held.conversation_id, ADA)
    assert found is not None
    assert found.turns == ()


def test_a_guests_conversation_is_that_callers_alone(engine: Engine, catalogue: Catalogue) -> None:
    store = Conversations(engine, catalogue)
    held = store.new(GUEST)
    put(store, held, (), ask(catalogue, "a", "a"), {"id": "a"})
    assert store.get(held.conversation_id, GUEST) is not None
    for other in (Owner(None, "other-key"), Owner(None), ADA):
        assert store.get(held.conversation_id, other) is None
        assert Records(engine).of_conversation(held.conversation_id, other) is None
        assert Records(engine).of_turn("a", other) is None
        assert not store.delete_turn("a", other)
        assert not store.delete(held.conversation_id, other)
    assert store.delete(held.conversation_id, GUEST)


def test_a_conversation_that_was_deleted_is_not_brought_back(
    engine: Engine, catalogue: Catalogue
) -> None:
    store = Conversations(engine, catalogue)
    started = store.new(ADA)
    put(store, started, (), ask(catalogue, "blue", "t1"), {"id": "t1"})
    held = store.get(started.conversation_id, ADA)
    assert held is not None
    store.delete(started.conversation_id, ADA)
    assert not put(store, held, held.turns, ask(catalogue, "red", "t2"), {"id": "t2"})
    assert store.get(started.conversation_id, ADA) is None
    assert Records(engine).of_turn("t2", ADA) is None


def test_of_turns_that_two_gateways_answer_at_once_the_last_goes_on(
    engine: Engine, catalogue: Catalogue
) -> None:
    here, there = Conversations(engine, catalogue), Conversations(engine, catalogue)
    started = here.new(ADA)
    put(here, started, (), ask(catalogue, "a", "a"), {"id": "a"})
    found = [store.get(started.conversation_id, ADA) for store in (here, there)]
    assert found[0] is not None
    assert found[1] is not None
    put(here, found[0], found[0].turns, ask(catalogue, "b", "b"), {"id": "b"})
    put(there, found[1], found[1].turns, ask(catalogue, "c", "c"), {"id": "c"})
    fresh = Conversations(engine, catalogue)
    for store in (here, there, fresh):  # none goes on from a copy of its own
        now = store.get(started.conversation_id, ADA)
        assert now is not None
        assert [turn.question for turn in now.turns] == ["a", "c"]
    records = Records(engine).of_conversation(started.conversation_id, ADA)
    assert [record["id"] for record in records or []] == ["a", "b", "c"]


def test_a_turn_broken_off_beside_another_gateways_hides_nothing(
    engine: Engine, catalogue: Catalogue
) -> None:
    here, there = Conversations(engine, catalogue), Conversations(engine, catalogue)
    started = here.new(ADA)
    put(here, started, (), ask(catalogue, "a", "a"), {"id": "a"})
    found = there.get(started.conversation_id, ADA)
    assert found is not None
    put(here, found, found.turns, ask(catalogue, "b", "b"), {"id": "b"})
    put(there, found, found.turns, None, {"id": "c", "status": "cancelled"})
    for store in (here, there):
        now = store.get(started.conversation_id, ADA)
        assert now is not None
        assert [turn.question for turn in now.turns] == ["a", "b"]
