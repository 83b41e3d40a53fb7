from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tastemaker.core.database import open_database
from tastemaker.core.errors import DataError
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent

SAVE = LiveEvent("u1", "s1", "a", "save", "assistant", 1000)


@pytest.fixture
def engine(each_database: Engine) -> Engine:
    return each_database


def test_an_event_is_pending_until_it_is_marked_and_survives_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    first, second = event_log.append(
        open_database(url), [SAVE, replace(SAVE, item_id="b", time_ms=900)]
    )
    engine = open_database(url)
    assert [event.item_id for event in event_log.pending(engine)] == ["a", "b"]
    assert event_log.oldest_pending_ms(engine) == 900
    event_log.mark_pushed(engine, [first])
    assert [event.event_id for event in event_log.pending(engine, 10)] == [second]
    event_log.mark_pushed(engine, [second])
    assert event_log.oldest_pending_ms(engine) is None
    assert event_log.mark_pending_from(engine, second) == 1
    assert [event.event_id for event in event_log.since(engine)] == [first, second]


def test_histories_are_the_latest_in_order_of_time_without_impressions(engine: Engine) -> None:
    events = [replace(SAVE, item_id=f"i{n}", time_ms=1000 - n) for n in range(5)]
    events += [replace(SAVE, action="impression"), replace(SAVE, user_id=None, item_id="other")]
    event_log.append(engine, events)
    assert [e.item_id for e in event_log.of_user(engine, "u1", 3)] == ["i2", "i1", "i0"]
    assert len(event_log.of_session(engine, "s1")) == 6


def test_a_forgotten_user_leaves_a_tombstone_and_no_rows(engine: Engine) -> None:
    event_log.append(engine, [SAVE, replace(SAVE, session_id="s2"), replace(SAVE, user_id="u2")])
    assert event_log.forget_user(engine, "u1", now_ms=2000) == 2
    assert event_log.forgotten(engine) == {"u1"}
    assert event_log.of_user(engine, "u1") == []
    assert [event.user_id for event in event_log.pending(engine)] == ["u2"]
    assert event_log.uncleared(engine) == {"u1": ("s1", "s2")}
    assert event_log.append(engine, [SAVE]) == [], "the past does not come back"
    event_log.append(engine, [replace(SAVE, time_ms=2001, session_id="s3")])
    assert len(event_log.of_user(engine, "u1")) == 1, "a new beginning is allowed"
    assert event_log.forget_user(engine, "u1", now_ms=3000) == 1
    assert event_log.uncleared(engine) == {"u1": ("s1", "s2", "s3")}
    event_log.mark_cleared(engine, "u1")
    assert event_log.uncleared(engine) == {}
    assert event_log.forgotten_at(engine) == {"u1": 3000}


def test_ids_are_never_used_twice(engine: Engine) -> None:
    (last,) = event_log.append(engine, [SAVE])
    event_log.forget_user(engine, "u1", now_ms=2000)
    (after,) = event_log.append(engine, [replace(SAVE, time_ms=2001)])
    assert after > last
    assert event_log.next_id(engine) == after + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": "like"}, "unknown action 'like'"),
        ({"item_id": ""}, "needs a session and an item"),
        ({"session_id": "a\nb"}, "one line"),
    ],
)
def test_a_wrong_event_is_refused_whole(engine: Engine, change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        event_log.append(engine, [SAVE, replace(SAVE, **change)])
    assert event_log.pending(engine) == []
