"""Sessions with plain recommenders, and how two orders of recommenders agree."""

import numpy as np
import pytest

from tastemaker.evaluation.simulated_behaviour import Nature
from tastemaker.evaluation.simulated_sessions import agreement, first_rows, play

N = 30


def user(patience: int = 2, turns: int = 5, looks: int = 3) -> Nature:
    return Nature(np.zeros(N), np.full(turns, looks), patience, 0.5)


def likes(*rows: int) -> np.ndarray:
    utility_N = np.zeros(N)
    utility_N[list(rows)] = 1
    return utility_N


def session(scores_N: np.ndarray, utility_N: np.ndarray, nature: Nature, wanted: int = 2):  # type: ignore[no-untyped-def]
    return play(
        lambda history: scores_N, np.array([0]), utility_N, nature, list_items=5, wanted=wanted
    )


def test_a_good_list_satisfies_in_one_turn() -> None:
    found = session(-np.arange(N), likes(1, 2), user())
    assert (found.success, found.turns, found.shown, found.taken) == (True, 1, 5, 2)


def test_what_the_user_knows_or_saw_is_not_shown_again() -> None:
    shown: list[list[int]] = []

    def recommend(history: np.ndarray) -> np.ndarray:
        shown.append(history.tolist())
        return -np.arange(N)

    play(recommend, np.array([0]), likes(6), user(patience=9), list_items=5, wanted=1)
    assert len(shown) == 2  # rows 1 to 5, then 6 to 10
    play(recommend, np.array([0]), likes(2), user(), list_items=5, wanted=9)
    assert shown[-1] == [0, 2]  # what was taken is known in the next turn


def test_patience_and_turns_end_a_session() -> None:
    assert session(-np.arange(N), likes(), user(patience=2)).turns == 2
    assert session(-np.arange(N), likes(), user(patience=9, turns=3)).turns == 3


def test_first_rows_are_the_best_that_are_open() -> None:
    met = np.zeros(N, bool)
    met[N - 1] = True
    assert first_rows(np.arange(N), met, 3).tolist() == [N - 2, N - 3, N - 4]


def test_agreement_counts_pairs_ordered_alike() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (4, 300))
    real = np.arange(4)[:, None] + noise
    same, _ = agreement(10 * real, real, draws=200)
    assert (same.frac, same.low, same.high, same.pairs, same.decided) == (1, 1, 1, 6, 6)
    opposite, _ = agreement(-real, real, draws=200)
    assert opposite.frac == opposite.decided_frac == 0
    swapped = real[[1, 0, 2, 3]]
    assert agreement(swapped, real, draws=200)[0].frac == pytest.approx(5 / 6)


def test_a_pair_that_real_events_do_not_order_is_not_decided() -> None:
    rng = np.random.default_rng(1)
    real = rng.integers(0, 2, (2, 100)).astype(float)
    found, _ = agreement(real, real, draws=500)
    assert (found.pairs, found.decided) == (1, 0)
