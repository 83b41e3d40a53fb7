"""Who users are: the catalogue can meet every goal, and chance is the seed's alone."""

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from tastemaker.core.errors import DataError
from tastemaker.data.records import BOARDS, EVENTS
from tastemaker.evaluation.simulated_goals import GoalsConfig, open_shop
from tests.tastemaker.evaluation.simulated_shop import items, shop, shopper


def test_the_same_number_and_seed_give_the_same_user() -> None:
    one, same, other = shopper(4), shopper(4), shopper(5)
    assert one.goal == same.goal
    assert one.history == same.history
    np.testing.assert_array_equal(one.utility_N, same.utility_N)
    assert not np.array_equal(one.nature.opinion_N, other.nature.opinion_N)


@pytest.mark.parametrize("number", range(40))
def test_a_user_takes_enough_items_where_all_are_shown(number: int) -> None:
    user = shopper(number)
    assert 1 <= user.goal.wanted <= user.nature.takes(user.utility_N).sum()


def test_all_kinds_of_goals_are_drawn() -> None:
    users = [shopper(number) for number in range(60)]
    assert {user.goal.kind for user in users} == {"item", "style", "taste"}
    assert any(user.goal.max_price for user in users)
    for user in users:
        if user.goal.kind == "style":
            assert user.goal.category == ""
            assert set(user.goal.values) == {"style"}


def test_what_is_over_budget_keeps_its_fit_and_loses_its_utility() -> None:
    users = [shopper(n, style_frac=0, taste_frac=0, budget_frac=1) for n in range(10)]
    prices_N = shop().prices_N
    for user in users:
        assert user.goal.max_price is not None
        dear_N = prices_N > user.goal.max_price
        assert (user.utility_N[dear_N] < 0.01).all()
        assert user.fit_N[dear_N].max(initial=0) >= 0


def test_an_item_that_has_all_that_is_wanted_fits_whole() -> None:
    user = shopper(1, style_frac=0, taste_frac=0)
    here = shop()
    for row in range(24):
        has = all(here.values[row].get(k) == v for k, v in user.goal.values.items())
        whole = has and here.categories[row] == user.goal.category
        assert (user.fit_N[row] == 1) == whole


def test_appeal_is_the_share_of_items_that_are_wanted_less_often() -> None:
    event = {"user_id": "u", "session_id": "s", "surface": "feed", "time": 0}
    rows = [
        {**event, "item_id": "i03", "action": "save"},
        {**event, "item_id": "i03", "action": "save"},
        {**event, "item_id": "i05", "action": "click"},
        {**event, "item_id": "i07", "action": "impression"},
        {**event, "item_id": "gone", "action": "save"},
    ]
    appeal_N = shop(pa.Table.from_pylist(rows, schema=EVENTS)).appeal_N
    assert appeal_N[3] == pytest.approx(23 / 24)
    assert appeal_N[5] == pytest.approx(22 / 24)
    assert appeal_N[7] == 0


def test_too_few_items_and_weights_without_taste_are_refused() -> None:
    with pytest.raises(DataError, match="need 8 items"):
        open_shop(items().slice(0, 3), BOARDS.empty_table(), EVENTS.empty_table())
    with pytest.raises(ValidationError, match="more than 1 together"):
        GoalsConfig(goal_weight=0.95, appeal_weight=0.1)
