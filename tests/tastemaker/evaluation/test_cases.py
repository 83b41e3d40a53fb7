import numpy as np
import pytest

from tastemaker.evaluation.cases import aligned, mean, outcomes


def test_a_metric_is_the_mean_of_its_cases_also_of_repeated_ids() -> None:
    found = outcomes(["a", "b", "a"], np.array([1, 0, 1]))
    assert found == {"a": 1, "b": 0, "a#2": 1}
    assert mean(found) == pytest.approx(2 / 3)
    assert mean({}) == 0


def test_only_cases_of_both_are_compared_and_in_one_order() -> None:
    ours, theirs = aligned({"a": 1.0, "b": 2.0, "c": 3.0}, {"c": 30.0, "a": 10.0, "x": 0.0})
    assert ours.tolist() == [1, 3]
    assert theirs.tolist() == [10, 30]


def test_values_without_an_id_are_refused() -> None:
    with pytest.raises(ValueError):
        outcomes(["a"], np.array([1, 2]))
