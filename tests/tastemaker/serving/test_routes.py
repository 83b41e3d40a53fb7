"""Shares by count."""

from collections import Counter
from random import Random

import pytest

from tastemaker.serving.routes import Route
from tests.tastemaker.serving.test_proxy import At


def counted(route: Route, requests: int) -> Counter[str]:
    picked = [route.pick() for _ in range(requests)]
    return Counter(one.bundle for one in picked if one is not None)


@pytest.mark.parametrize("weight", [0, 1, 10, 33, 50, 100])
def test_each_hundred_in_a_row_is_split_by_weight(weight: int) -> None:
    route = Route("one")
    route.lead_to([(At(1, "stable"), 100 - weight), (At(2, "canary"), weight)])
    for _ in range(3):
        assert counted(route, 100)["canary"] == weight


def test_a_share_is_spread_and_not_sent_in_a_row() -> None:
    route = Route("one")
    route.lead_to([(At(1, "stable"), 90), (At(2, "canary"), 10)])
    assert counted(route, 10)["canary"] == 1


@pytest.mark.parametrize("weight", [10, 50])
def test_no_place_in_a_turn_is_always_the_canary_s(weight: int) -> None:
    """Turns of two requests, one after another: either of them may be the canary's."""
    route = Route("one", Random(0))
    route.lead_to([(At(1, "stable"), 100 - weight), (At(2, "canary"), weight)])
    by_place = [Counter[str](), Counter[str]()]
    for _ in range(500):
        for place in by_place:
            place += counted(route, 1)
    assert all(0.7 * weight < place["canary"] / 5 < 1.3 * weight for place in by_place)


def test_one_that_is_down_gets_nothing_and_its_share_is_answered() -> None:
    route, down = Route("one"), At(2, "canary", accepts=False)
    route.lead_to([(At(1, "stable"), 0), (down, 100)])
    assert counted(route, 10) == {"stable": 10}
    route.lead_to([(down, 100)])
    assert route.pick() is None


def test_one_that_failed_is_picked_again_only_if_it_is_alone() -> None:
    route, one, other = Route("one"), At(1, "one"), At(2, "other")
    route.lead_to([(one, 100), (other, 0)])
    assert route.pick(other_than=one) is other
    route.lead_to([(one, 100)])
    assert route.pick(other_than=one) is one
