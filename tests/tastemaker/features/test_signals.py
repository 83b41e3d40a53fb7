import random

import numpy as np
import pytest

from tastemaker.features import signals

DAY_MS = 86_400_000


def test_merging_is_a_union_in_any_order_and_any_number_of_times() -> None:
    rng = random.Random(0)
    events = [(rng.randrange(500), f"i{rng.randrange(20)}", "save") for _ in range(200)]
    whole = signals.merged(events)
    assert len(whole) == signals.KEPT
    assert list(whole) == sorted(set(events))[-signals.KEPT :]
    for _ in range(20):
        rng.shuffle(events)
        state: tuple = ()
        for begin in range(0, 200, 7):
            state = signals.merged(state, events[begin : begin + 7], events[: rng.randrange(50)])
        assert state == whole


def test_impressions_and_what_is_forgotten_are_left_out() -> None:
    events = [(1, "a", "save"), (2, "b", "impression"), (3, "c", "hide")]
    assert signals.merged(events) == ((1, "a", "save"), (3, "c", "hide"))
    assert signals.merged(events, after_ms=1) == ((3, "c", "hide"),)


def test_counts_by_window_match_a_count_by_hand() -> None:
    now_ms = 40 * DAY_MS
    times = [now_ms - 31 * DAY_MS, now_ms - 8 * DAY_MS, now_ms - DAY_MS, now_ms - 1]
    found = signals.counts(times, ["save", "save", "save", "hide"], now_ms)
    assert (found["save_1d"], found["save_7d"], found["save_30d"]) == (0, 1, 2)
    assert (found["hide_1d"], found["hide_30d"], found["click_30d"]) == (1, 1, 0)
    assert len(found) == 12


def test_shares_decay_with_time_and_a_hide_speaks_against() -> None:
    two_weeks = 14 * DAY_MS
    found = shares(["lamp", "rug"], [0, two_weeks], ["save", "save"])
    assert found == {"rug": pytest.approx(2 / 3), "lamp": pytest.approx(1 / 3)}
    hidden = shares(["lamp", "rug", "rug", ""], [5, 5, 5, 5], ["save", "click", "hide", "save"])
    assert hidden == {"lamp": 1.0}
    assert shares(["rug"], [1], ["hide"]) == shares([], [], []) == {}
    assert list(shares(["b", "a"], [1, 1], ["save", "save"])) == ["a", "b"]


def shares(values: list[str], times: list[int], actions: list[str]) -> dict[str, float]:
    return signals.shares(values, signals.weights(times, actions))


def test_intent_is_the_latest_liked_category() -> None:
    assert signals.intent([], []) == ""
    assert signals.intent(["rug"], ["hide"]) == ""
    assert signals.intent(["rug"] * 3 + ["lamp"] * 3, ["save"] * 6) == "lamp"
    assert signals.intent(["rug", "", "lamp"], ["save", "save", "closeup"]) == "rug"


def test_session_embedding_points_to_what_was_liked_and_away_from_what_was_hidden() -> None:
    x, y = np.eye(2, dtype=np.float32)
    both = signals.session_embedding([x, y], ["save", "save"])
    assert both is not None
    assert both.dtype == np.float32
    assert both[1] / both[0] == pytest.approx(2**0.25)
    away = signals.session_embedding([x, y, None], ["save", "hide", "save"])
    assert away is not None
    assert away[0] > 0 > away[1]
    assert signals.session_embedding([None], ["save"]) is None
    assert signals.session_embedding([], []) is None


def test_recency_is_never_negative() -> None:
    assert signals.recency_s([], 5) is None
    assert signals.recency_s([1000, 4000], 5000) == 1.0
    assert signals.recency_s([6000], 5000) == 0.0
