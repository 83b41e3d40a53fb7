import numpy as np
import pytest

from tastemaker.features.item_popularity import DAY_MS, item_signals, smoothed


def test_rows_by_hand() -> None:
    noon = DAY_MS // 2
    events = [("a", "impression", noon), ("a", "save", noon + 5), ("a", "hide", DAY_MS + 3)]
    rows = list(item_signals(events, now_ms=100 * DAY_MS))
    quality = pytest.approx((1 + 0.2 * 20) / (1 + 20))
    assert rows[0] == ("a", DAY_MS, 1, 1, 1, quality, noon)
    assert rows[1] == ("a", 2 * DAY_MS, 0, 1, 1, quality, noon)
    assert [row[1] // DAY_MS for row in rows] == [1, 2, 8, 31], "a row where something changed"
    assert rows[-1][2:5] == (0, 0, 0)


def test_no_row_is_younger_than_now_or_older_than_the_item() -> None:
    events = [("a", "save", 5 * DAY_MS + 1), ("b", "save", 2 * DAY_MS)]
    rows = list(item_signals(events, now_ms=5 * DAY_MS + 2))
    assert [row[0] for row in rows] == ["b", "b"]
    assert all(2 * DAY_MS < row[1] <= 5 * DAY_MS for row in rows)


def test_windows_agree_with_a_slow_count() -> None:
    rng = np.random.default_rng(0)
    times = rng.integers(0, 60 * DAY_MS, 300)
    actions = rng.choice(["save", "click", "closeup", "hide", "impression"], 300)
    events = [("a", str(a), int(t)) for t, a in zip(times, actions, strict=True)]
    rows = list(item_signals(events, now_ms=200 * DAY_MS))
    for _, at_ms, *windows, _quality, _first in rows:
        for days, found in zip((1, 7, 30), windows, strict=True):
            inside = [a for _, a, t in events if at_ms - days * DAY_MS <= t < at_ms]
            assert found == sum(a in ("save", "click", "closeup") for a in inside)


def test_quality_starts_at_the_prior_and_stays_a_share() -> None:
    found = smoothed(np.array([0, 100, 5]), np.array([0, 100, 0]))
    assert found[0] == pytest.approx(0.2)
    assert 0.2 < found[2] < found[1] < 1
