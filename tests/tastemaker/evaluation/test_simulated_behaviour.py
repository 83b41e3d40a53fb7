"""Attention, opinions and patience: drawn once, the same for every system."""

import numpy as np
import pytest

from tastemaker.evaluation.simulated_behaviour import BehaviourConfig, draw_nature


def nature(seed: int = 1, **fields: float):  # type: ignore[no-untyped-def]
    config = BehaviourConfig.model_validate(fields)
    return draw_nature(config, 50, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_user_and_another_seed_another() -> None:
    one, same, other = nature(1), nature(1), nature(2)
    np.testing.assert_array_equal(one.opinion_N, same.opinion_N)
    np.testing.assert_array_equal(one.looks_T, same.looks_T)
    assert one.patience == same.patience
    assert not np.array_equal(one.opinion_N, other.opinion_N)


def test_attention_goes_down_the_list_and_never_past_it() -> None:
    user = nature(look_on_frac=0.0, look_min=2)
    assert user.looks_at([7, 8, 9], 0) == (7, 8)
    assert user.looks_at([7], 0) == (7,)


def test_looks_follow_the_persistence() -> None:
    looks = np.concatenate([nature(seed, look_on_frac=0.8).looks_T for seed in range(300)])
    assert looks.min() == 2
    assert looks.mean() == pytest.approx(2 + 0.8 / 0.2, rel=0.1)


def test_without_opinion_the_threshold_alone_decides() -> None:
    user = nature(opinion=1e-9, take_utility=0.5)
    taken = user.takes(np.linspace(0, 1, 50))
    np.testing.assert_array_equal(taken, np.linspace(0, 1, 50) > 0.5)


def test_half_of_the_users_take_what_is_at_the_threshold() -> None:
    taken = [nature(seed).takes(np.full(50, 0.75)).mean() for seed in range(100)]
    assert np.mean(taken) == pytest.approx(0.5, abs=0.03)


def test_mean_patience_is_what_was_set() -> None:
    patience = [nature(seed, patience_turns=3.0).patience for seed in range(2000)]
    assert min(patience) == 1
    assert np.mean(patience) == pytest.approx(3, rel=0.1)
